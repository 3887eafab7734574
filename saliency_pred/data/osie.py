"""OSIE and EyeCrowd: free viewing of everyday scenes and of crowds, as NUS VIP released them."""

from __future__ import annotations

from saliency_pred.data.nusvip import NUSVIPDataset


class OSIE(NUSVIPDataset):
    """OSIE: 700 everyday scenes with many objects, 15 viewers, 3 s of free viewing.

    ``data/stimuli/1001.jpg ... 1700.jpg`` (800 x 600) and ``data/eye/fixations.mat``; MIT licence.
    Durations are stored, onsets are not. 1279.jpg and 1374.jpg are the same picture.

    Source: Xu, Jiang, Wang, Kankanhalli, Zhao, "Predicting human gaze beyond pixels", Journal of Vision 2014;
    https://github.com/NUS-VIP/predicting-human-gaze-beyond-pixels.
    """

    name = "osie"
    viewing_time = 3.0
    pixel_per_dva = 24.0
    blur_sigma = 24.0
    expected_size = (600, 800)


class EyeCrowd(NUSVIPDataset):
    """EyeCrowd: 500 pictures of crowds, 16 viewers, 5 s of free viewing.

    ``data/stimuli/*.jpg`` (1024 x 768) and ``data/eye/fixations.mat``; durations are stored, onsets are not.

    Source: Jiang, Xu, Zhao, "Saliency in crowd", ECCV 2014; https://github.com/NUS-VIP/saliency-in-crowd.
    """

    name = "eyecrowd"
    viewing_time = 5.0
    blur_sigma = 24.0
    expected_size = (768, 1024)
