"""AIM 2024 video saliency challenge (AViMoS)."""

from __future__ import annotations

from typing import ClassVar

from saliency_pred.submission.map_videos import MapVideoBoard


class Aim2024(MapVideoBoard):
    """One video of maps for each test video, see :class:`~saliency_pred.submission.map_videos.MapVideoBoard`.

    Source: https://github.com/msu-video-group/ECCVW24_Saliency_Prediction (bench.py).
    """

    name = "aim2024"
    images: ClassVar[dict[str, int]] = {"avimos": 500}
