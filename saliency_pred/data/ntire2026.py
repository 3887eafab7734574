"""The set of the NTIRE 2026 challenge, which follows AViMoS in its form."""

from __future__ import annotations

from saliency_pred.data.avimos import AViMoS


class NTIRE2026(AViMoS):
    """NTIRE 2026 video saliency: 2000 videos in full HD of about 18 s, more than 70 viewers each.

    1200 train, 300 public and 500 private test, laid out as :class:`~saliency_pred.data.avimos.AViMoS`; a test part
    whose fixations are held back is predicted and not scored.

    Args:
        root, split, outside, test, maps: see :class:`~saliency_pred.data.avimos.AViMoS`.

    Source: https://github.com/msu-video-group/NTIRE26_Saliency_Prediction.
    """

    name = "ntire2026"
