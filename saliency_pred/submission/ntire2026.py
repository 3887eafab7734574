"""NTIRE 2026 video saliency challenge."""

from __future__ import annotations

from typing import ClassVar

from saliency_pred.submission.map_videos import MapVideoBoard


class Ntire2026(MapVideoBoard):
    """One video of maps for each test video, see :class:`~saliency_pred.submission.map_videos.MapVideoBoard`.

    Source: https://github.com/msu-video-group/NTIRE26_Saliency_Prediction (bench.py).
    """

    name = "ntire2026"
    images: ClassVar[dict[str, int]] = {"ntire2026": 800}
