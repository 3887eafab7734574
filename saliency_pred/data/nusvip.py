"""The layout of NUS VIP's eye-tracking releases: ``stimuli/`` and ``eye/fixations.mat``.

``fixations`` is an N x 1 cell of structs {img, subjects}; ``subjects`` a cell of structs {fix_x, fix_y,
fix_duration}, one a viewer: image pixels counted from 1, and milliseconds. Onsets are not stored; fixations
are in the order in which they were made.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saliency_pred.data.errors import DatasetLayoutError
from saliency_pred.data.fixation_table import FixationTable, Row
from saliency_pred.data.matlab import entries, field, numbers, read_mat
from saliency_pred.data.stills import StillDataset, find_folder, list_images
from saliency_pred.data.windows import cumulative_onsets
from saliency_pred.fixations import OutsidePolicy


class NUSVIPDataset(StillDataset):
    """Base of the sets in this layout (OSIE, EyeCrowd, a packaging of MIT1003).

    Args:
        root: the folder with ``stimuli`` and ``eye``, or one of those above it that the release has.
        split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        saccade_gap: None leaves the onsets unknown. A number of seconds estimates them: a viewer's k-th
            fixation starts after the durations of those before it plus k such gaps for the saccades.
    """

    folders: tuple[str, ...] = ("", "data")

    def __init__(
        self,
        root: str | Path,
        split: str = "0.8/0.2",
        outside: OutsidePolicy = "drop",
        saccade_gap: float | None = None,
    ) -> None:
        super().__init__(root, split, outside)
        stimuli = find_folder(self.root, [f"{f}/stimuli".lstrip("/") for f in self.folders], f"{self.name}: images")
        images = list_images(stimuli, f"{self.name}: images")
        rows = read_nusvip(stimuli.parent / "eye" / "fixations.mat", saccade_gap)
        self.image_ids = self._match(images, rows)
        self.paths = [images[stem] for stem in self.image_ids]
        self.table = FixationTable([rows[stem] for stem in self.image_ids])
        self._finish()


def read_nusvip(path: Path, saccade_gap: float | None = None) -> dict[str, Row]:
    """x, y, time, duration and viewer of each image of a ``fixations.mat``, by the image's stem.

    Raises:
        BrokenFileError: the file cannot be read.
        DatasetLayoutError: it is of another form, or names an image twice.
    """
    rows: dict[str, Row] = {}
    for i, record in enumerate(entries(read_mat(path, "fixations"))):
        where = f"{path}: fixations{{{i + 1}}}"
        name = field(record, "img", where)
        if not isinstance(name, str):
            raise DatasetLayoutError(f"{where}.img: expected a file name, found {type(name).__name__}")
        stem = Path(name.strip()).stem
        if stem in rows:
            raise DatasetLayoutError(f"{where}: {name} was listed before; each image may have one record")
        parts = []
        for viewer, subject in enumerate(entries(field(record, "subjects", where))):
            whose = f"{where}.subjects{{{viewer + 1}}}"
            if isinstance(subject, np.ndarray) and subject.size == 0:  # a viewer who did not see this image
                continue
            x, y = (numbers(field(subject, k, whose)) for k in ("fix_x", "fix_y"))
            duration = numbers(field(subject, "fix_duration", whose)) / 1000
            if not len(x) == len(y) == len(duration):
                raise DatasetLayoutError(
                    f"{whose}: {len(x)} fix_x, {len(y)} fix_y and {len(duration)} fix_duration; they belong together"
                )
            onset = np.full(len(x), np.nan) if saccade_gap is None else cumulative_onsets(duration, saccade_gap)
            parts.append((x - 0.5, y - 0.5, onset, duration, np.full(len(x), viewer)))  # 1-based to pixel edges
        columns = [np.concatenate(c) for c in zip(*parts, strict=True)] if parts else [np.zeros(0)] * 5
        rows[stem] = (columns[0], columns[1], columns[2], columns[3], columns[4])
    return rows
