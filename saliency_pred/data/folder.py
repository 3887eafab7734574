"""A folder of one's own pictures, with fixations, density maps or both."""

from __future__ import annotations

import csv
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from saliency_pred.data.dataset import DOMAINS
from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.fixation_table import FixationTable, Row
from saliency_pred.data.image import IMAGE_SUFFIXES
from saliency_pred.data.index_cache import cached_table
from saliency_pred.data.stills import StillDataset
from saliency_pred.fixations import OutsidePolicy

Coordinates = Literal["edge", "zero", "one", "relative"]
"""What x = 0 means: the picture's left edge; the first pixel; nothing, the first pixel being 1; a share of
the width."""

SHIFT = {"edge": 0.0, "zero": 0.5, "one": -0.5, "relative": 0.0}
"""What is added to a coordinate, by what x = 0 means."""

_OPTIONAL = ("time", "duration", "viewer")


class Folder(StillDataset):
    """One's own pictures.

    ::

        root/images/...            pictures; subfolders are searched, links to folders are not followed
        root/fixations.csv         image,x,y[,time,duration,viewer]: one fixation a line
        root/fixations.json        {"<image>": {"x": [...], "y": [...], "time": [...], ...}}
        root/fixations/<image>.npz arrays x, y[, time, duration, viewer]: (n,) each
        root/maps/<image>.png      grey density maps of the pictures' size (any picture format)

    One of the three forms of fixations, or maps, or both. ``<image>`` is the file's path below ``images``,
    with or without its ending. Times and durations are seconds from onset; viewers are any names or numbers.

    Args:
        root: the folder.
        split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        coordinates: ``edge``: x = 0 is the left edge of the picture, pixel i covers [i, i + 1); ``zero``:
            pixel numbers from 0; ``one``: pixel numbers from 1 (MATLAB); ``relative``: shares of width and
            height.
        images: name of the folder with the pictures; ``.`` for root itself.
        domain: kind of images, see :data:`~saliency_pred.data.dataset.DOMAINS`.
        viewing_time: seconds; NaN if unknown.
        pixel_per_dva: pixels per degree of visual angle; NaN if unknown.
        blur_sigma: pixels, of the Gaussian that makes densities of the fixations; NaN: one degree of visual
            angle if that is known.
    """

    name = "folder"

    def __init__(
        self,
        root: str | Path,
        split: str = "0.8/0.2",
        outside: OutsidePolicy = "drop",
        coordinates: Coordinates = "edge",
        images: str = "images",
        domain: str = "natural-eye",
        viewing_time: float = math.nan,
        pixel_per_dva: float = math.nan,
        blur_sigma: float = math.nan,
    ) -> None:
        super().__init__(root, split, outside)
        if coordinates not in SHIFT:
            raise ValueError(f"folder: coordinates={coordinates!r} is none of {', '.join(SHIFT)}")
        if domain not in DOMAINS:
            raise ValueError(f"folder: domain={domain!r} is none of {', '.join(DOMAINS)}")
        self.domain = domain  # type: ignore[misc]
        self.viewing_time = viewing_time  # type: ignore[misc]
        self.pixel_per_dva = pixel_per_dva  # type: ignore[misc]
        self.blur_sigma = pixel_per_dva if math.isnan(blur_sigma) else blur_sigma  # type: ignore[misc]
        self._base = self.root / images
        found = _pictures(self._base, passed_over={"maps", "fixations"} if images == "." else set())
        listed = self._read_fixations(found)
        maps = _pictures(self.root / "maps", set()) if (self.root / "maps").is_dir() else None
        if listed is None and maps is None:
            raise DatasetNotFoundError(
                f"folder: {self.root} has neither fixations (fixations.csv, fixations.json or fixations/*.npz) nor "
                "maps/; see the section on own data in data/README.md"
            )
        if listed is not None:
            self.image_ids = self._match(found, listed[0])
        else:
            self.image_ids = list(found) if maps is None else self._match(found, maps)
        self.paths = [found[name] for name in self.image_ids]
        if listed is not None:
            number = {name: k for k, name in enumerate(listed[0])}
            table = listed[1].select([number[name] for name in self.image_ids])
            if coordinates == "relative":
                self.table = table.scaled(np.array([self.size(i) for i in range(len(self.image_ids))]))
            else:
                self.table = table.shifted(SHIFT[coordinates])
        if maps is not None:
            self._attach_maps(lambda name: [maps.get(name, self.root / "maps" / f"{name}.png")])
        self._finish()

    def _read_fixations(self, images: dict[str, Path]) -> tuple[list[str], FixationTable] | None:
        """Names of images and their fixations, as stored; None where no form of them is there."""
        forms = [
            path
            for path in (self.root / "fixations.csv", self.root / "fixations.json", self.root / "fixations")
            if os.path.lexists(path)
        ]
        if not forms:
            return None
        if len(forms) > 1:
            raise DatasetLayoutError(
                f"folder: {' and '.join(p.name for p in forms)} are both in {self.root}; leave one of them"
            )
        path = forms[0]
        if path.suffix in (".csv", ".json"):
            records, table = _table(_read_csv(path) if path.suffix == ".csv" else _read_json(path), path)
        else:
            records, table = cached_table(path, _read_npz_folder)
        names = [_image_of(name, images) for name in records]
        if len(set(names)) < len(names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise DatasetLayoutError(f"{path}: {twice} is listed twice, with and without its ending")
        return names, table


def _pictures(base: Path, passed_over: set[str]) -> dict[str, Path]:
    """Pictures below ``base``, by path without ending."""
    if not base.is_dir():
        raise DatasetNotFoundError(f"folder: {base} does not exist; put the pictures there, or set data.images=.")
    found: dict[str, Path] = {}

    def failed(problem: OSError) -> None:
        raise BrokenFileError(f"folder: {problem.filename} may not be listed: {problem.strerror}") from problem

    for folder, below, files in os.walk(base, onerror=failed):  # does not follow links, so never in a circle
        here = Path(folder)
        below[:] = sorted(d for d in below if not d.startswith(".") and not (here == base and d in passed_over))
        for file in sorted(files):
            path = here / file
            if file.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            name = path.relative_to(base).with_suffix("").as_posix()
            if name in found:
                raise DatasetLayoutError(
                    f"folder: {found[name].name} and {path.name} in {here} have the same name but for "
                    "the ending; "
                    "remove or rename one of them"
                )
            found[name] = path
    if not found:
        raise DatasetLayoutError(f"folder: {base} holds no pictures ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return found


def _image_of(name: str, images: dict[str, Path]) -> str:
    """The image that a record means: its name with or without ending."""
    plain = name.strip().replace("\\", "/").removeprefix("./")
    if plain in images:
        return plain
    stem, suffix = os.path.splitext(plain)
    return stem if suffix.lower() in IMAGE_SUFFIXES else plain


def _numbers(values: Any, key: str, image: str, path: Path) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as problem:
        raise DatasetLayoutError(f"{path}: {image}: {key} must be numbers ({problem})") from problem


def _natural(name: str) -> tuple[int, int, str]:
    return (0, int(name), "") if name.isdecimal() else (1, 0, name)


def _read_csv(path: Path) -> dict[str, dict[str, list[Any]]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise BrokenFileError(f"{path} cannot be read: {problem}; it must be UTF-8 text") from problem
    rows = list(csv.reader(lines))
    header = [h.strip().lower() for h in rows[0]] if rows else []
    known = ("image", "x", "y", *_OPTIONAL)
    missing, unknown = [c for c in known[:3] if c not in header], [c for c in header if c not in known]
    if missing or unknown:
        raise DatasetLayoutError(
            f"{path}: the first line must be image,x,y[,time,duration,viewer]; "
            + (f"{', '.join(missing)} missing" if missing else f"unknown {', '.join(unknown)}")
        )
    records: dict[str, dict[str, list[Any]]] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise DatasetLayoutError(f"{path}, line {number}: {len(row)} values for {len(header)} columns")
        values = dict(zip(header, (cell.strip() for cell in row), strict=True))
        record = records.setdefault(values.pop("image"), {column: [] for column in header if column != "image"})
        for column, text in values.items():
            try:
                value = text if column == "viewer" else (float(text) if text else math.nan)
            except ValueError:
                raise DatasetLayoutError(f"{path}, line {number}: {column} is {text!r}, no number") from None
            record[column].append(value)
    return records


def _read_json(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise BrokenFileError(f"{path} cannot be read as JSON: {problem}") from problem
    if not isinstance(content, dict):
        raise DatasetLayoutError(f'{path}: expected {{"<image>": {{"x": [...], "y": [...]}}}}')
    for name, record in content.items():
        _check_keys(record if isinstance(record, dict) else {}, f"{path}: {name}")
    return content


def _read_npz_folder(path: Path) -> tuple[list[str], FixationTable]:
    if not path.is_dir():
        raise DatasetLayoutError(f"folder: {path} must be a folder of .npz files")
    records = {}
    for file in sorted(path.rglob("*.npz")):
        try:
            with np.load(file, allow_pickle=False) as stored:
                record = {key: stored[key] for key in stored.files}
        except Exception as problem:  # zipfile, zlib, OSError, ValueError: by kind of damage
            raise BrokenFileError(f"{file} cannot be read ({problem}); write it again with numpy.savez") from problem
        _check_keys(record, str(file))
        records[file.relative_to(path).with_suffix("").as_posix()] = record
    if not records:
        raise DatasetLayoutError(f"folder: {path} holds no .npz file")
    return _table(records, path)


def _table(records: Mapping[str, Mapping[str, Any]], path: Path) -> tuple[list[str], FixationTable]:
    """Names of images and their fixations, the viewers numbered in the order of their names."""
    viewers = sorted({str(v) for r in records.values() for v in r.get("viewer", ())}, key=_natural)
    number = {name: k for k, name in enumerate(viewers)}
    rows: list[Row] = []
    for name, record in records.items():
        viewer = None
        if "viewer" in record:
            viewer = np.array([number[str(v)] for v in record["viewer"]], dtype=np.int64)
        numeric = {key: _numbers(record[key], key, name, path) for key in record if key != "viewer"}
        lengths = {key: len(v) for key, v in numeric.items()} | ({} if viewer is None else {"viewer": len(viewer)})
        if len(set(lengths.values())) > 1:
            raise DatasetLayoutError(f"{path}: {name}: columns of different lengths {lengths}")
        rows.append((numeric["x"], numeric["y"], numeric.get("time"), numeric.get("duration"), viewer))
    return list(records), FixationTable(rows)


def _check_keys(record: Iterable[str], where: str) -> None:
    keys = set(record)
    if not {"x", "y"} <= keys or keys - {"x", "y", *_OPTIONAL}:
        raise DatasetLayoutError(
            f"{where}: expected x, y and perhaps time, duration, viewer; found {', '.join(sorted(keys)) or 'nothing'}"
        )
