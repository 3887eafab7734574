"""FIWI: web pages, as the density maps of the original release."""

from __future__ import annotations

from pathlib import Path

from saliency_pred.data.stills import StillDataset, find_folder, list_images
from saliency_pred.fixations import OutsidePolicy


class FIWI(StillDataset):
    """FIWI: 149 screenshots of web pages (pictorial, text, mixed), 11 viewers, 5 s; maps only.

    ``stimuli/*.png`` (1360 or 1366 x 768) and ``all5/*.png``: the density of all viewers over 5 s. For
    fixations of 51 of the pages see :class:`~saliency_pred.data.bubbleview.FIWIBubbleView`.

    Source: Shen, Zhao, "Webpage saliency", ECCV 2014.
    """

    name = "fiwi"
    domain = "web"
    viewing_time = 5.0
    blur_sigma = 30.0

    def __init__(self, root: str | Path, split: str = "99/50", outside: OutsidePolicy = "drop") -> None:
        super().__init__(root, split, outside)
        images = list_images(find_folder(self.root, ["stimuli"], f"{self.name}: images"), f"{self.name}: images")
        maps = list_images(find_folder(self.root, ["all5"], f"{self.name}: maps"), f"{self.name}: maps")
        self.image_ids = self._match(images, maps)
        self.paths = [images[stem] for stem in self.image_ids]
        self._attach_maps(lambda stem: [maps[stem]])
        self._finish()
