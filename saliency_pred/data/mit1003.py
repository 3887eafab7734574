"""MIT1003 (Judd et al. 2009)."""

from __future__ import annotations

from saliency_pred.data.nusvip import NUSVIPDataset


class MIT1003(NUSVIPDataset):
    """MIT1003 in the packaging of NUS VIP: 1003 pictures, 15 viewers, 3 s of free viewing.

    ``data/mit/stimuli/*.jpg`` and ``data/mit/eye/fixations.mat``: made from the original raw samples with the
    official detector; the first fixation of each viewer (on the central cross) and those outside are left out.

    Source: Judd, Ehinger, Durand, Torralba, "Learning to predict where humans look", ICCV 2009;
    https://github.com/NUS-VIP/ksvd-saliency.
    """

    name = "mit1003"
    viewing_time = 3.0
    pixel_per_dva = 35.0
    blur_sigma = 24.0
    folders = ("", "data/mit", "data", "mit")
