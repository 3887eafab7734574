"""COCO-FreeView and COCO-Search18: MS COCO pictures on a padded screen, freely viewed or searched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.fixation_table import FixationTable, Row
from saliency_pred.data.image import IMAGE_SUFFIXES
from saliency_pred.data.stills import StillDataset
from saliency_pred.data.windows import cumulative_onsets
from saliency_pred.fixations import OutsidePolicy

_PARTS = {"train": "train", "valid": "val", "validation": "val", "val": "val", "test": "test"}
_FOLDERS = ("images", "coco_search18_images_TP", "coco_search18_images_TA", "stimuli")


class _COCOGaze(StillDataset):
    """Base of both: pictures of 1050 x 1680, JSON lists of {name, X, Y, T, length, subject, split, ...}.

    X and Y are pixels counted from 0 with fractions, taken as positions (0 is the left edge); T lists the
    durations in milliseconds. A picture that was searched for several targets is in several folders, as the
    same file.
    """

    pixel_per_dva = 30.0
    blur_sigma = 30.0
    expected_size = (1050, 1680)

    def _open(self, files: list[Path], saccade_gap: float | None, keep: dict[str, set[str]]) -> None:
        images = self._pictures()
        parts: dict[str, list[Row]] = {}
        self._part_of: dict[str, str] = {}
        for path in files:
            for where, item in _items(path):
                if any(str(item.get(key)) not in allowed for key, allowed in keep.items()):
                    continue
                stem = Path(str(item["name"])).stem
                x, y, duration = (np.asarray(item[k], dtype=np.float64).reshape(-1) for k in ("X", "Y", "T"))
                if not len(x) == len(y) == len(duration):
                    raise DatasetLayoutError(f"{where}: {len(x)} X, {len(y)} Y and {len(duration)} T")
                duration = duration / 1000
                onset = None if saccade_gap is None else cumulative_onsets(duration, saccade_gap)
                viewer = np.full(len(x), int(item["subject"]))
                parts.setdefault(stem, []).append((x, y, onset, duration, viewer))
                self._part_of[stem] = _PARTS.get(str(item.get("split")), "train")
        self.image_ids = self._match(images, parts)
        self.paths = [images[stem] for stem in self.image_ids]
        self.table = FixationTable([_joined(parts[stem]) for stem in self.image_ids])
        self._finish()

    def _pictures(self) -> dict[str, Path]:
        """Every picture below the image folders, by stem; the same file in several folders is taken once."""
        bases = [self.root / f for f in _FOLDERS if (self.root / f).is_dir()]
        if not bases:
            raise DatasetNotFoundError(
                f"{self.name}: none of the folders {', '.join(_FOLDERS)} is in {self.root}; unpack "
                "COCOSearch18-images-TP.zip and COCOSearch18-images-TA.zip there"
            )
        images: dict[str, Path] = {}
        for base in bases:
            for path in sorted(base.rglob("*")):  # does not follow links to folders
                if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."):
                    first = images.setdefault(path.stem, path)
                    if first.suffix != path.suffix:
                        raise DatasetLayoutError(f"{self.name}: {first} and {path} have the same name; remove one")
        if not images:
            raise DatasetLayoutError(f"{self.name}: {bases[0]} holds no pictures")
        return images

    def official_part(self, index: int) -> str | None:
        """``train`` or ``val``, as the annotations say."""
        return self._part_of.get(self.image_ids[index])


class COCOFreeView(_COCOGaze):
    """COCO-FreeView: about 5317 COCO pictures padded to 1050 x 1680, 10 viewers, free viewing.

    ``COCOFreeView_fixations_trainval.json`` beside the pictures of COCO-Search18. Durations are stored,
    onsets are not. The fixations of 1000 test pictures are held back by the benchmark.

    Args:
        root, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        split: ``official`` (train, val), or as there.
        saccade_gap: estimate onsets; see :class:`~saliency_pred.data.nusvip.NUSVIPDataset`.

    Source: Chen, Yang, Chakraborty et al., "Characterizing target-absent human attention", CVPR 2022
    workshops; https://sites.google.com/view/cocosearch/coco-freeview.
    """

    name = "coco_freeview"

    def __init__(
        self,
        root: str | Path,
        split: str = "official",
        outside: OutsidePolicy = "drop",
        saccade_gap: float | None = None,
    ) -> None:
        super().__init__(root, split, outside)
        files = sorted(self.root.rglob("COCOFreeView_fixations*.json"))
        if not files:
            raise DatasetNotFoundError(
                f"{self.name}: COCOFreeView_fixations_trainval.json is not in {self.root}; download it there"
            )
        self._open(files, saccade_gap, {})


class COCOSearch18(_COCOGaze):
    """COCO-Search18: 6202 COCO pictures searched for one of 18 targets by 10 viewers.

    ``coco_search18_fixations_T{P,A}_*.json`` and ``images/<target>/*.jpg`` (target present),
    ``coco_search18_images_TA/<target>/*.jpg`` (absent). Looking is led by the task: not free viewing.
    Durations are stored, onsets are not.

    Args:
        root, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        split: ``official`` (train, val), or as there.
        saccade_gap: estimate onsets; see :class:`~saliency_pred.data.nusvip.NUSVIPDataset`.
        condition: ``present``, ``absent`` or ``both``.

    Source: Chen, Yang, Ahn et al., "COCO-Search18 fixation dataset for predicting goal-directed attention
    control", Scientific Reports 2021; https://sites.google.com/view/cocosearch.
    """

    name = "coco_search18"

    def __init__(
        self,
        root: str | Path,
        split: str = "official",
        outside: OutsidePolicy = "drop",
        saccade_gap: float | None = None,
        condition: Literal["present", "absent", "both"] = "both",
    ) -> None:
        super().__init__(root, split, outside)
        if condition not in ("present", "absent", "both"):
            raise ValueError(f"{self.name}: condition={condition!r} is none of present, absent, both")
        files = sorted(self.root.rglob("coco_search18_fixations_T*.json"))
        if not files:
            raise DatasetNotFoundError(
                f"{self.name}: no coco_search18_fixations_T*.json in {self.root}; unpack the fixations there"
            )
        self._open(files, saccade_gap, {} if condition == "both" else {"condition": {condition}})


def _joined(rows: list[Row]) -> Row:
    """The viewers of one picture in one row."""
    columns = [None if r[0] is None else np.concatenate(r) for r in zip(*rows, strict=True)]
    return columns[0], columns[1], columns[2], columns[3], columns[4]  # type: ignore[return-value]


def _items(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The scanpaths of one annotation file, each with where it is."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise BrokenFileError(f"{path} cannot be read as JSON ({problem}); download it again") from problem
    needed = {"name", "X", "Y", "T", "subject"}
    if not isinstance(content, list) or not all(isinstance(c, dict) and needed <= c.keys() for c in content):
        raise DatasetLayoutError(f"{path}: expected a list of objects with {', '.join(sorted(needed))}")
    for i, item in enumerate(content):
        yield f"{path}: item {i}", item
