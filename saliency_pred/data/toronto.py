"""Toronto: 120 pictures, 20 viewers, 4 s."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saliency_pred.data.errors import DatasetLayoutError
from saliency_pred.data.fixation_table import FixationTable, Row
from saliency_pred.data.matlab import entries, read_mat
from saliency_pred.data.stills import StillDataset, find_folder, list_images
from saliency_pred.fixations import OutsidePolicy


class Toronto(StillDataset):
    """Toronto: 120 indoor and outdoor scenes (511 x 681), 20 viewers, 4 s of free viewing.

    ``eyetrackingdata/fixdens/Original Image Set/{1..120}.jpg`` and ``fixdens/origfixdata.mat``: ``white``,
    a cell of binary maps, the i-th of picture i. Viewers and times are not stored (the ``Raw`` listings of
    the release are not in image pixels and are not read).

    Source: Bruce, Tsotsos, "Attention based on information maximization", Journal of Vision 2007.
    """

    name = "toronto"
    viewing_time = 4.0
    expected_size = (511, 681)

    def __init__(self, root: str | Path, split: str = "0.8/0.2", outside: OutsidePolicy = "drop") -> None:
        super().__init__(root, split, outside)
        folder = "Original Image Set"
        candidates = [f"{above}{folder}" for above in ("", "fixdens/", "eyetrackingdata/fixdens/")]
        base = find_folder(self.root, candidates, f"{self.name}: images").parent
        images = list_images(base / folder, f"{self.name}: images")
        path = base / "origfixdata.mat"
        maps = {str(i + 1): np.asarray(m) for i, m in enumerate(entries(read_mat(path, "white")))}
        self.image_ids = sorted(self._match(images, maps), key=lambda stem: int(stem))
        self.paths = [images[stem] for stem in self.image_ids]
        rows: list[Row] = []
        for stem in self.image_ids:
            if maps[stem].shape != self.expected_size:
                raise DatasetLayoutError(
                    f"{path}: white{{{stem}}} is {maps[stem].shape}, Toronto's maps are {self.expected_size}"
                )
            row, column = np.nonzero(maps[stem])
            rows.append((column + 0.5, row + 0.5, None, None, None))
        self.table = FixationTable(rows)
        self._finish()
