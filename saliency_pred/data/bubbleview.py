"""The nesting that the BubbleView and FIGRIM releases store gaze in.

A struct array of images {filename, ..., userdata}; ``userdata`` a struct array of viewers {fixations};
``fixations`` {enc, ...}: (n, 2) [x, y] counted from 1 from the first showing; ``enc_time``, where there is
one, a cell of char, one a fixation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saliency_pred.data.errors import DatasetLayoutError
from saliency_pred.data.fixation_table import FixationTable, Row
from saliency_pred.data.matlab import columns, entries, field, read_mat
from saliency_pred.data.stills import StillDataset, find_folder, list_images
from saliency_pred.fixations import OutsidePolicy


class FIWIBubbleView(StillDataset):
    """FIWI's eye tracking as the BubbleView release packs it: 51 web pages, 11 viewers, 5 s.

    ``targets_fiwi/*.png`` (1360 or 1366 x 768) and ``fiwi_eyetrack.mat`` (``bubble``). ``enc_time`` is the
    onset in
    milliseconds: it increases within every viewer.

    Source: Shen, Zhao, "Webpage saliency", ECCV 2014; Kim, Bylinskii et al., "BubbleView", ACM TOCHI 2017;
    https://github.com/cvzoya/bubbleview.
    """

    name = "fiwi_bubbleview"
    domain = "web"
    viewing_time = 5.0
    blur_sigma = 30.0

    def __init__(self, root: str | Path, split: str = "0.8/0.2", outside: OutsidePolicy = "drop") -> None:
        super().__init__(root, split, outside)
        folder = find_folder(self.root, ["targets_fiwi"], f"{self.name}: images")
        images = list_images(folder, f"{self.name}: images")
        rows = read_userdata(self.root / "fiwi_eyetrack.mat", "bubble")
        self.image_ids = self._match(images, rows)
        self.paths = [images[stem] for stem in self.image_ids]
        self.table = FixationTable([rows[stem] for stem in self.image_ids])
        self._finish()


class SALICONBubbleView(StillDataset):
    """Raw SALICON mouse tracks of 51 pictures, as the BubbleView release packs them.

    ``targets_salicon/*.jpg`` (480 x 640) and ``salicon_gt.mat`` (``bubble``): every mouse sample of each
    worker. The stored time is the wall clock to the second, too coarse for onsets, which stay unknown.

    Source: as :class:`FIWIBubbleView`; Jiang et al., "SALICON", CVPR 2015.
    """

    name = "salicon_bubbleview"
    domain = "natural-mouse"
    viewing_time = 5.0
    blur_sigma = 19.0
    expected_size = (480, 640)

    def __init__(self, root: str | Path, split: str = "0.8/0.2", outside: OutsidePolicy = "drop") -> None:
        super().__init__(root, split, outside)
        folder = find_folder(self.root, ["targets_salicon"], f"{self.name}: images")
        images = list_images(folder, f"{self.name}: images")
        rows = read_userdata(self.root / "salicon_gt.mat", "bubble")
        self.image_ids = self._match(images, rows)
        self.paths = [images[stem] for stem in self.image_ids]
        self.table = FixationTable([rows[stem] for stem in self.image_ids])
        self._finish()


def read_userdata(path: Path, variable: str, showings: Sequence[str] = ("enc",)) -> dict[str, Row]:
    """x, y, onset, duration (unknown) and viewer of each image of such a file, by the image's stem.

    Args:
        path: the .mat file.
        variable: of the struct array in it.
        showings: fields of ``fixations`` to be read: ``enc`` the first showing, ``rec``, ``rec2`` later ones.

    Raises:
        BrokenFileError: the file cannot be read.
        DatasetLayoutError: it is of another form, or names an image twice.
    """
    rows: dict[str, Row] = {}
    for i, record in enumerate(entries(read_mat(path, variable))):
        where = f"{path}: {variable}({i + 1})"
        name = field(record, "filename", where)
        stem = Path(str(name)).stem
        if stem in rows:
            raise DatasetLayoutError(f"{where}: {name} was listed before; each image may have one record")
        parts = []
        for viewer, one in enumerate(entries(field(record, "userdata", where))):
            whose = f"{where}.userdata({viewer + 1})"
            shown = field(one, "fixations", whose)
            if isinstance(shown, np.ndarray) and shown.size == 0:
                continue
            for showing in showings:
                points = columns(field(shown, showing, whose), 2, f"{whose}.{showing}")
                time = _milliseconds(shown, f"{showing}_time", len(points), whose)
                parts.append((points, time, np.full(len(points), viewer)))
        if not parts:
            parts = [(np.zeros((0, 2)), np.zeros(0), np.zeros(0, np.int64))]
        points, time, viewers = (np.concatenate([p[j] for p in parts]) for j in range(3))
        rows[stem] = (points[:, 0] - 0.5, points[:, 1] - 0.5, time, None, viewers)
    return rows


def _milliseconds(shown: Any, name: str, count: int, where: str) -> np.ndarray:
    """(count,) seconds from chars of milliseconds; NaN where there are none or they are a date."""
    unknown = np.full(count, np.nan)
    try:
        texts = [str(t) for t in entries(field(shown, name, where))]
    except DatasetLayoutError:
        return unknown
    if len(texts) != count or not all(re.fullmatch(r"\s*\d+(\.\d+)?\s*", t) for t in texts):
        return unknown
    return np.array([float(t) for t in texts]) / 1000
