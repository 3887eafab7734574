"""SUN500: free viewing of 500 scenes of SUN2012, with true onsets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saliency_pred.data.errors import DatasetLayoutError
from saliency_pred.data.fixation_table import FixationTable, Row
from saliency_pred.data.matlab import columns, field, read_mat
from saliency_pred.data.stills import StillDataset, find_folder, list_images
from saliency_pred.fixations import OutsidePolicy


class SUN500(StillDataset):
    """SUN500: 500 scenes, up to 12 viewers, 3 s.

    ``data/stimuli/*.jpg``; ``data/tidy/fixations.mat``: ``fixations``, an N x 12 cell (image, viewer) of
    [row, column, onset, duration] in pixels counted from 1 and seconds, empty where a viewer saw nothing of
    an image; ``data/tidy/imgInfo.mat``: ``imgInfo.size``, N x 2 [height, width]. The i-th row belongs to
    the i-th picture in the order of names. The read-me speaks of 15 viewers; the file has 12. MIT licence.

    Source: Liang, Jiang, Liang, Zhao, "Saliency prediction with scene structural guidance", 2015;
    https://github.com/Yanakz/Scene.
    """

    name = "sun500"
    viewing_time = 3.0
    blur_sigma = 24.0

    def __init__(self, root: str | Path, split: str = "0.8/0.2", outside: OutsidePolicy = "drop") -> None:
        super().__init__(root, split, outside)
        base = find_folder(self.root, ["stimuli", "data/stimuli"], f"{self.name}: images").parent
        images = list_images(base / "stimuli", f"{self.name}: images")
        path = base / "tidy" / "fixations.mat"
        cells = read_mat(path, "fixations")
        info = base / "tidy" / "imgInfo.mat"
        sizes = columns(field(read_mat(info, "imgInfo"), "size", f"{info}: imgInfo"), 2, f"{info}: imgInfo.size")
        if not isinstance(cells, np.ndarray) or cells.dtype != object or cells.ndim != 2:
            raise DatasetLayoutError(f"{path}: fixations must be a cell array (image, viewer), found {cells!r:.60}")
        if not len(images) == len(cells) == len(sizes):
            raise DatasetLayoutError(
                f"{self.name}: {len(images)} images in {base / 'stimuli'}, but {len(cells)} records in "
                f"{path} and "
                f"{len(sizes)} in {info}; they are matched by position, so that none may be missing or added"
            )
        self.image_ids, self.paths = list(images), list(images.values())
        self.sizes = [(int(h), int(w)) for h, w in sizes]
        rows: list[Row] = []
        for i, viewers in enumerate(cells):
            of = [columns(v, 4, f"{path}: fixations{{{i + 1},{k + 1}}}") for k, v in enumerate(viewers)]
            all_of = np.concatenate(of)
            viewer = np.concatenate([np.full(len(v), k) for k, v in enumerate(of)])
            rows.append((all_of[:, 1] - 0.5, all_of[:, 0] - 0.5, all_of[:, 2], all_of[:, 3], viewer))
        self.table = FixationTable(rows)
        self._finish()
