"""PASCAL-S: pictures of PASCAL VOC 2010."""

from __future__ import annotations

from pathlib import Path

from saliency_pred.data.fixation_table import FixationTable, Row
from saliency_pred.data.matlab import columns, entries, read_mat
from saliency_pred.data.stills import StillDataset, find_folder, list_images
from saliency_pred.fixations import OutsidePolicy


class PASCALS(StillDataset):
    """PASCAL-S: 850 pictures, 8 viewers, 2 s of free viewing.

    ``datasets/imgs/pascal/{1..850}.jpg`` and ``datasets/fixations/pascalFix.mat`` (v7.3): ``fixCell``,
    whose i-th cell lists the fixations on picture i as [row, column, viewer], all counted from 1. Times are
    not stored.

    Source: Li, Hou, Koch, Rehg, Yuille, "The secrets of salient object segmentation", CVPR 2014;
    http://cbs.ic.gatech.edu/salobj.
    """

    name = "pascal_s"
    viewing_time = 2.0

    def __init__(self, root: str | Path, split: str = "650/200", outside: OutsidePolicy = "drop") -> None:
        super().__init__(root, split, outside)
        base = find_folder(self.root, ["imgs/pascal", "datasets/imgs/pascal"], f"{self.name}: images")
        images = list_images(base, f"{self.name}: images")
        path = base.parents[1] / "fixations" / "pascalFix.mat"
        cells = {str(i + 1): cell for i, cell in enumerate(entries(read_mat(path, "fixCell")))}
        self.image_ids = sorted(self._match(images, cells), key=int)
        self.paths = [images[stem] for stem in self.image_ids]
        rows: list[Row] = []
        for stem in self.image_ids:
            row, column, viewer = columns(cells[stem], 3, f"{path}: fixCell{{{stem}}}").T
            rows.append((column - 0.5, row - 0.5, None, None, viewer - 1))
        self.table = FixationTable(rows)
        self._finish()
