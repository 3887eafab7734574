"""DUT-OMRON: pictures of a salient-object benchmark, with fixations."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saliency_pred.data.errors import DatasetLayoutError
from saliency_pred.data.matlab import columns, read_mat
from saliency_pred.data.stills import StillDataset, find_folder, list_files, list_images
from saliency_pred.fixations import Fixations, OutsidePolicy


class DUTOMRON(StillDataset):
    """DUT-OMRON: 5168 pictures (longer side 400), 5 viewers, 2 s of free viewing.

    ``DUT-OMRON-image/*.jpg`` and ``DUT-OMRON-eye-fixations/mat/<stem>.mat``: ``s`` (n, 3) of [x, y, viewer]
    counted from 0; the row of viewer 0 holds the picture's size instead. Viewer numbers may mean another
    person in another picture; times are not stored. The authors removed fixations outside the objects.

    Source: Yang, Zhang, Lu, Ruan, Yang, "Saliency detection via graph-based manifold ranking", CVPR 2013;
    http://saliencydetection.net/dut-omron.
    """

    name = "dut_omron"
    viewing_time = 2.0

    def __init__(self, root: str | Path, split: str = "4168/1000", outside: OutsidePolicy = "drop") -> None:
        super().__init__(root, split, outside)
        folder = find_folder(self.root, ["DUT-OMRON-image"], f"{self.name}: images")
        inner = folder / folder.name
        images = list_images(inner if inner.is_dir() else folder, f"{self.name}: images")
        mats = find_folder(self.root, ["DUT-OMRON-eye-fixations/mat"], f"{self.name}: fixations")
        self._mats = list_files(mats, [".mat"], f"{self.name}: fixations")
        self.image_ids = self._match(images, self._mats)
        self.paths = [images[stem] for stem in self.image_ids]
        self._finish()

    def fixations(self, index: int) -> Fixations:
        """The fixations of one picture, in its pixels."""
        path, size = self._mats[self.image_ids[index]], self.size(index)
        x, y, viewer = columns(read_mat(path, "s"), 3, f"{path}: s").T
        for stated in zip(x[viewer == 0], y[viewer == 0], strict=True):
            if sorted(stated) != sorted(size):
                raise DatasetLayoutError(
                    f"{path} is for a picture of {stated[0]:.0f} x {stated[1]:.0f}, {self.paths[index]} is "
                    f"{size[1]} x {size[0]} (width x height); the picture was resized or is another one"
                )
        real = (viewer > 0) & np.isfinite(x) & np.isfinite(y)
        return Fixations.of(x[real] + 0.5, y[real] + 0.5, size, viewer=viewer[real] - 1)
