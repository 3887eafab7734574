"""SalECI: pictures of online shops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from saliency_pred.data.image import read_map
from saliency_pred.data.stills import StillDataset, find_folder, list_files, list_images
from saliency_pred.fixations import Fixations, OutsidePolicy


class SalECI(StillDataset):
    """SalECI: 972 e-commerce pictures (about 720 x 720).

    ``ALLSTIMULI/N.jpg``, ``ALLFIXATIONMAPS/N_fixPts.jpg`` (white points on black) and
    ``ALLFIXATIONMAPS/N_fixMap.jpg`` (their density). A fixation is the brightest pixel of each spot above
    half white: JPEG has smeared the points, and fixations on touching pixels cannot be told apart. Viewers
    and times are not stored.

    Args:
        root, split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`; the authors hold out a
            random tenth.
        maps: read ``_fixMap`` too, as shipped densities.

    Source: Jiang, Li, et al., "Does text attract attention on e-commerce images", CVPR 2022.
    """

    name = "saleci"
    domain = "e-commerce"

    def __init__(
        self, root: str | Path, split: str = "0.9/0.1", outside: OutsidePolicy = "drop", maps: bool = False
    ) -> None:
        super().__init__(root, split, outside)
        images = list_images(find_folder(self.root, ["ALLSTIMULI"], f"{self.name}: images"), f"{self.name}: images")
        self._truth = find_folder(self.root, ["ALLFIXATIONMAPS"], f"{self.name}: fixations")
        shipped = list_files(self._truth, [".jpg", ".png"], f"{self.name}: fixations")
        ending = "_fixPts"
        self._points = {name.removesuffix(ending): p for name, p in shipped.items() if name.endswith(ending)}
        self.image_ids = self._match(images, self._points)
        self.paths = [images[stem] for stem in self.image_ids]
        if maps:
            self._attach_maps(lambda stem: [self._truth / f"{stem}_fixMap.jpg"])
        self._finish()

    def fixations(self, index: int) -> Fixations:
        """The fixations of one picture, in its pixels."""
        path = self._points[self.image_ids[index]]
        levels, size = read_map(path), self.size(index)
        self._check_map(path, levels, index, size)
        row, column = spots(levels)
        return Fixations.of(column + 0.5, row + 0.5, size)


def spots(levels: np.ndarray, threshold: float = 127.5) -> tuple[np.ndarray, np.ndarray]:
    """(row, column) of the brightest pixel of each 8-connected spot above ``threshold``.

    Args:
        levels: (H, W), 0 .. 255, white points on black.
        threshold: what belongs to a spot.
    """
    labels, count = ndimage.label(levels > threshold, structure=np.ones((3, 3)))
    if count == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    peaks = np.array(ndimage.maximum_position(levels, labels, np.arange(1, count + 1)), dtype=np.int64)
    return peaks[:, 0], peaks[:, 1]
