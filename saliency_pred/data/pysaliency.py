"""Data sets as pysaliency stores them: ``stimuli.hdf5`` and ``fixations.hdf5``."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np

from saliency_pred.data.dataset import DOMAINS
from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.fixation_table import FixationTable
from saliency_pred.data.stills import StillDataset
from saliency_pred.fixations import OutsidePolicy

Columns = dict[str, np.ndarray]
"""x, y, time, duration, viewer and image of n fixations, (n,) each."""


class Pysaliency(StillDataset):
    """Pictures and fixations written by pysaliency, or by ``saliency data convert ... to=pysaliency``.

    ``stimuli.hdf5`` of the type ``FileStimuli`` lists picture files, relative to itself; ``fixations.hdf5`` is of
    the type ``FixationTrains``, ``ScanpathFixations`` or ``Fixations``. There as here a position x lies on the
    pixel floor(x), so coordinates are taken over as they are; times and durations are taken as seconds.
    Images are named by their file, without its ending and without the folders that all are in.

    Args:
        root: the folder of both files.
        split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        domain, viewing_time, pixel_per_dva, blur_sigma: as for :class:`~saliency_pred.data.folder.Folder`.

    Source: the file format of pysaliency 0.2 and 0.3, https://github.com/matthias-k/pysaliency.
    """

    name = "pysaliency"

    def __init__(
        self,
        root: str | Path,
        split: str = "0.8/0.2",
        outside: OutsidePolicy = "drop",
        domain: str = "natural-eye",
        viewing_time: float = math.nan,
        pixel_per_dva: float = math.nan,
        blur_sigma: float = math.nan,
    ) -> None:
        super().__init__(root, split, outside)
        if domain not in DOMAINS:
            raise ValueError(f"{self.name}: domain={domain!r} is none of {', '.join(DOMAINS)}")
        self.domain = domain  # type: ignore[misc]
        self.viewing_time = viewing_time  # type: ignore[misc]
        self.pixel_per_dva = pixel_per_dva  # type: ignore[misc]
        self.blur_sigma = pixel_per_dva if math.isnan(blur_sigma) else blur_sigma  # type: ignore[misc]
        for file in ("stimuli.hdf5", "fixations.hdf5"):
            if not (self.root / file).is_file():
                raise DatasetNotFoundError(
                    f"{self.name}: {self.root / file} is missing; write it with pysaliency's to_hdf5(), "
                    "stimuli and fixations each into a file of its own"
                )
        self.paths, self.sizes, self.image_ids = _read_stimuli(self.root / "stimuli.hdf5")
        columns = _read_fixations(self.root / "fixations.hdf5")
        last = int(columns["image"].max(initial=-1))
        if last >= len(self.paths):
            raise DatasetLayoutError(
                f"{self.name}: {self.root / 'fixations.hdf5'} is about image {last}, but stimuli.hdf5 lists "
                f"{len(self.paths)} (0 to {len(self.paths) - 1}); they are not of one data set"
            )
        order = np.argsort(columns["image"], kind="stable")
        ends = np.cumsum(np.bincount(columns["image"], minlength=len(self.paths)))
        chosen = np.split(order, ends[:-1])
        names = ("x", "y", "time", "duration", "viewer")
        self.table = FixationTable([tuple(columns[n][rows] for n in names) for rows in chosen])  # type: ignore[misc]
        self._finish()


def _read_stimuli(path: Path) -> tuple[list[Path], list[tuple[int, int]], list[str]]:
    with _opened(path) as file:
        kind, version = _text(file.attrs.get("type", "")), _text(file.attrs.get("version", ""))
        if kind != "FileStimuli":
            raise DatasetLayoutError(
                f"{path} holds {kind or 'something else'}, expected FileStimuli: stimuli that are files. "
                "Save the pictures as files and write pysaliency.FileStimuli(filenames).to_hdf5(...)"
            )
        try:
            names = [_text(n) for n in file["filenames"][...]]
            sizes = [(int(s[0]), int(s[1])) for s in file["shapes"][...]]
        except (KeyError, IndexError) as problem:
            raise DatasetLayoutError(f"{path} is not a complete FileStimuli file ({problem})") from problem
    if not names or len(names) != len(sizes):
        raise DatasetLayoutError(f"{path} lists {len(names)} files and {len(sizes)} shapes")
    paths = [Path(n) if version == "1.0" else path.parent / n for n in names]
    return paths, sizes, _ids(names)


def _ids(names: list[str]) -> list[str]:
    """Names without the folders that all of them are in, but for categories below ``images``."""
    plain = [PurePosixPath(n.replace("\\", "/")) for n in names]
    if all(p.parts[0] == "images" for p in plain):
        shared = 1
    else:
        leading = [p.parts[:-1] for p in plain]
        shared = next(
            (k for k, level in enumerate(zip(*leading, strict=False)) if len(set(level)) > 1), min(map(len, leading))
        )
    plain = [PurePosixPath(*p.parts[shared:]) for p in plain]
    ids = [str(p.with_suffix("")) for p in plain]
    return ids if len(set(ids)) == len(ids) else [str(p) for p in plain]


def _read_fixations(path: Path) -> Columns:
    with _opened(path) as file:
        kind = _text(file.attrs.get("type", ""))
        try:
            if kind == "FixationTrains":
                own = file.get("scanpath_fixation_attributes", {})  # new in format 1.2
                return _flat(
                    file["train_xs"][...],
                    file["train_ys"][...],
                    file["train_ts"][...],
                    own["durations"][...] if "durations" in own else None,
                    file["train_ns"][...],
                    file["train_subjects"][...],
                    file["train_lengths"][...] if "train_lengths" in file else None,
                )
            if kind == "ScanpathFixations":
                paths = file["scanpaths"]
                own, whose = paths["fixation_attributes"], paths["scanpath_attributes"]
                return _flat(
                    paths["xs"][...],
                    paths["ys"][...],
                    own["ts"][...] if "ts" in own else None,
                    own["durations"][...] if "durations" in own else None,
                    paths["n"][...],
                    whose["subject"][...] if "subject" in whose else None,
                    paths["length"][...],
                )
            if kind == "Fixations":
                viewer = next((file[n][...] for n in ("subjects", "subject") if n in file), None)
                duration = next((file[n][...] for n in ("duration", "durations") if n in file), None)
                x = np.asarray(file["x"][...], dtype=np.float64)
                return _columns(x, file["y"][...], file["t"][...], duration, viewer, file["n"][...])
        except KeyError as problem:
            raise DatasetLayoutError(f"{path} is not a complete {kind} file ({problem})") from problem
    raise DatasetLayoutError(
        f"{path} holds {kind or 'something else'}, expected FixationTrains, ScanpathFixations or Fixations"
    )


def _flat(
    xs: np.ndarray,
    ys: np.ndarray,
    ts: np.ndarray | None,
    durations: np.ndarray | None,
    image: np.ndarray,
    viewer: np.ndarray | None,
    lengths: np.ndarray | None,
) -> Columns:
    """(scanpaths, longest) arrays, padded with NaN → one row a fixation."""
    if lengths is None:
        filled = ~np.isnan(xs)
        lengths = np.where(filled.any(1), xs.shape[1] - np.argmax(filled[:, ::-1], axis=1), 0)
    real = np.arange(xs.shape[1]) < np.asarray(lengths)[:, None]

    def flat(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[real]

    whose = None if viewer is None else np.repeat(viewer, lengths)
    return _columns(xs[real], ys[real], flat(ts), flat(durations), whose, np.repeat(image, lengths))


def _columns(
    x: np.ndarray,
    y: np.ndarray,
    time: np.ndarray | None,
    duration: np.ndarray | None,
    viewer: np.ndarray | None,
    image: np.ndarray,
) -> Columns:
    unknown = np.full(len(x), np.nan)
    return {
        "x": np.asarray(x, dtype=np.float64),
        "y": np.asarray(y, dtype=np.float64),
        "time": unknown if time is None else np.asarray(time, dtype=np.float64),
        "duration": unknown if duration is None else np.asarray(duration, dtype=np.float64),
        "viewer": np.full(len(x), -1) if viewer is None else np.asarray(viewer, dtype=np.int64),
        "image": np.asarray(image, dtype=np.int64),
    }


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as problem:
        raise BrokenFileError(f"{path} is damaged or no HDF5 file ({problem}); write it again") from problem


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
