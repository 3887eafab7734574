"""Writing any data set of pictures in a common form: a plain folder, or the HDF5 files of pysaliency."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import cv2
import h5py
import numpy as np
from PIL import Image

from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.data.image import read_image
from saliency_pred.data.stills import StillDataset
from saliency_pred.fixations import Fixations

Form = Literal["folder", "pysaliency"]
CSV_LIMIT = 1_000_000
"""Up to so many fixations a folder gets one ``fixations.csv``, beyond that ``fixations/<image>.npz``."""

_ORIENTATION = 0x0112  # EXIF tag; 1: as it is


def convert(dataset: SaliencyDataset, out: Path, to: Form, step: Callable[[], object] = lambda: None) -> dict[str, int]:
    """Write a data set to a new folder.

    Both forms get ``images/<image id>.<ending>``: the file itself, byte for byte, where other programs see in it
    what this package sees, and a PNG where they would not (an EXIF rotation, cut margins). Coordinates, times,
    durations are written exactly; fixations outside their image are kept.

    ``folder``: what :class:`~saliency_pred.data.folder.Folder` reads, with ``maps/`` if the data set was opened
    with shipped maps. Viewers are written by number; numbers are given anew, in their order, on reading.
    ``pysaliency``: ``stimuli.hdf5`` (FileStimuli 2.1) and ``fixations.hdf5`` (FixationTrains 1.2), read by pysaliency
    from 0.2.22 on; a scanpath is what one viewer did on one image, and a fixation of an unknown viewer is a
    scanpath by itself. Unknown times are NaN.

    Args:
        dataset: opened; images must be stills.
        out: must not exist, or be empty; appears when everything is in it.
        to: the form.
        step: called after each image.

    Returns:
        counts of images, fixations and maps.

    Raises:
        FileExistsError: ``out`` holds something.
        ValueError: this data set cannot be said in this form.
    """
    if to not in ("folder", "pysaliency"):
        raise ValueError(f"to={to!r} is none of 'folder', 'pysaliency'")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is there already; give another out=DIR, or move it away")
    staging = out.with_name(f".{out.name}.{os.getpid()}.part")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        files, packs, maps = [], [], 0
        for index in range(len(dataset)):
            files.append(_write_image(dataset, index, staging))
            packs.append(dataset.fixations(index))
            if to == "folder":
                maps += _write_map(dataset, index, staging)
            step()
        known = [p for p in packs if p is not None]
        if known and len(known) < len(packs):
            without = [i for i, p in zip(dataset.image_ids, packs, strict=True) if p is None]
            raise ValueError(
                f"{len(without)} of {len(packs)} images have no fixations at all ({without[0]} ...): "
                "convert the parts that have some (of SALICON: a folder without test)"
            )
        if to == "pysaliency":
            if not known:
                raise ValueError(f"{dataset.name} ships only maps; pysaliency's files hold fixations: use to=folder")
            _write_stimuli(staging / "stimuli.hdf5", files, [dataset.size(i) for i in range(len(dataset))])
            _write_trains(staging / "fixations.hdf5", known)
        elif known:
            _write_fixations(staging, dataset.image_ids, known)
        elif not maps:
            raise ValueError(f"{dataset.name} was opened without fixations and without maps: nothing to write")
        if out.is_dir():
            out.rmdir()
        os.replace(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return {"images": len(files), "fixations": sum(map(len, known)), "maps": maps}


# ---------------------------------------------------------------------------------------------- pictures


def _write_image(dataset: SaliencyDataset, index: int, base: Path) -> str:
    """Copy or redraw one picture; returns its path below ``base``."""
    one, at = dataset.source(index)
    name = dataset.image_ids[index]
    path = one.paths[at] if isinstance(one, StillDataset) else None
    if path is not None and _as_it_is(one, at, path):
        target = base / "images" / f"{name}{path.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    else:
        image = one.image(at)
        if image.ndim != 3:
            raise ValueError(f"{dataset.name} consists of clips; only sets of pictures can be converted")
        target = base / "images" / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(target), np.ascontiguousarray(image[..., ::-1])):
            raise OSError(f"{target} could not be written")
    return target.relative_to(base).as_posix()


def _as_it_is(dataset: SaliencyDataset, index: int, path: Path) -> bool:
    """Whether a plain reader sees in the file what the data set shows."""
    try:
        with Image.open(path) as picture:
            if picture.getexif().get(_ORIENTATION, 1) != 1 or picture.mode not in ("L", "RGB"):
                return False
    except OSError:
        pass  # reading it below says what is wrong with it
    if type(dataset).image is StillDataset.image:
        dataset.size(index)  # the header is whole, and the size the release's
        return True
    return np.array_equal(dataset.image(index), read_image(path))


def _write_map(dataset: SaliencyDataset, index: int, base: Path) -> int:
    one, at = dataset.source(index)
    paths = getattr(one, "map_paths", None)
    if paths is None:
        return 0
    if len(paths[at]) != 1:
        raise ValueError(f"{one.name} was opened with {len(paths[at])} maps an image; a folder holds one an image")
    source = paths[at][0]
    target = base / "maps" / f"{dataset.image_ids[index]}{source.suffix}"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return 1


# ---------------------------------------------------------------------------------------------- a folder


def _write_fixations(base: Path, names: list[str], packs: list[Fixations]) -> None:
    columns = _known_columns(packs)
    if sum(map(len, packs)) > CSV_LIMIT:
        for name, pack in zip(names, packs, strict=True):
            target = base / "fixations" / f"{name}.npz"
            target.parent.mkdir(parents=True, exist_ok=True)
            np.savez(target, **{c: getattr(pack, c).numpy() for c in columns})
        return
    with (base / "fixations.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", *columns])
        for name, pack in zip(names, packs, strict=True):
            values = [[_shortest(v) for v in getattr(pack, c).tolist()] for c in columns]
            writer.writerows([name, *row] for row in zip(*values, strict=True))


def _known_columns(packs: list[Fixations]) -> list[str]:
    """x, y, and of the others those that are known of some fixation."""
    columns = ["x", "y"]
    columns += [c for c in ("time", "duration") if any(not bool(getattr(p, c).isnan().all()) for p in packs)]
    unknown = sum(int((p.viewer < 0).sum()) for p in packs)
    if unknown == 0:
        columns.append("viewer")
    elif unknown < sum(map(len, packs)):
        raise ValueError(
            f"the viewer of {unknown} fixations is unknown and of the others known; a folder has no way to say so: "
            "use to=pysaliency"
        )
    return columns


def _shortest(value: float | int) -> str:
    """The shortest text that reads back as the same number; empty for NaN."""
    return "" if value != value else repr(value)


# ---------------------------------------------------------------------------------------------- pysaliency


def _write_stimuli(path: Path, files: list[str], sizes: list[tuple[int, int]]) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["type"], file.attrs["version"] = np.bytes_("FileStimuli"), np.bytes_("2.1")
        file.attrs["size"] = len(files)
        file.attrs["__attributes__"] = np.bytes_("[]")
        file.create_dataset("filenames", data=files, dtype=h5py.string_dtype())
        shapes = file.create_dataset("shapes", (len(files),), dtype=h5py.vlen_dtype(np.int64))
        for index, (size, name) in enumerate(zip(sizes, files, strict=True)):
            with Image.open(path.parent / name) as picture:
                grey = picture.mode == "L"
            shapes[index] = np.array(size if grey else (*size, 3))


def _write_trains(path: Path, packs: list[Fixations]) -> None:
    trains: list[tuple[int, int, np.ndarray]] = []  # image, viewer, rows of the pack
    for image, pack in enumerate(packs):
        viewer = pack.viewer.numpy()
        for one in dict.fromkeys(viewer.tolist()):
            rows = np.flatnonzero(viewer == one)
            trains += [(image, one, rows)] if one >= 0 else [(image, one, rows[k : k + 1]) for k in range(len(rows))]
    longest = max((len(rows) for _, _, rows in trains), default=0)

    def padded(column: str) -> np.ndarray:
        values = np.full((len(trains), longest), np.nan)
        for k, (image, _, rows) in enumerate(trains):
            values[k, : len(rows)] = getattr(packs[image], column).numpy()[rows]
        return values

    with h5py.File(path, "w") as file:
        file.attrs["type"], file.attrs["version"] = np.bytes_("FixationTrains"), np.bytes_("1.2")
        file.attrs["__attributes__"] = np.bytes_("[]")
        file.attrs["scanpath_attribute_mapping"] = np.bytes_(json.dumps({"durations": "duration"}))
        for name, column in (("train_xs", "x"), ("train_ys", "y"), ("train_ts", "time")):
            file.create_dataset(name, data=padded(column))
        file.create_dataset("train_ns", data=np.array([t[0] for t in trains], dtype=np.int64))
        file.create_dataset("train_subjects", data=np.array([t[1] for t in trains], dtype=np.int64))
        file.create_group("scanpath_attributes").attrs["__attributes__"] = np.bytes_("[]")
        own = file.create_group("scanpath_fixation_attributes")
        own.attrs["__attributes__"] = np.bytes_(json.dumps(["durations"]))
        own.create_dataset("durations", data=padded("duration"))
