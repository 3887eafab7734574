"""SALICON: mouse-contingent free viewing of MS COCO pictures, editions 2017 and 2015."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np

from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.fixation_table import FixationTable
from saliency_pred.data.index_cache import cached_table
from saliency_pred.data.matlab import columns, entries, field, numbers, read_mat
from saliency_pred.data.stills import StillDataset, find_folder, list_files, list_images
from saliency_pred.data.windows import matched_onsets
from saliency_pred.fixations import Fixations, OutsidePolicy

_PARTS = ("train", "val", "test")
_JSON = "fixations_*2014*.json"
_SLICES = ("saliency_volumes_5/{part}", "saliency_volumes_5", "temporal_slices")


class SALICON(StillDataset):
    """SALICON: 10000 / 5000 / 5000 COCO pictures (480 x 640), many viewers with a mouse, 5 s.

    ``images/{train,val,test}/COCO_*2014_*.jpg``, ``maps/{train,val}/*.png`` and one of

    - ``fixations/{train,val}/*.mat`` with ``gaze``, one struct a viewer: ``location`` and ``timestamp`` (raw
      mouse samples, ms), ``fixations`` (detected, no times): both editions look alike and differ in content;
    - the same files with a binary map ``I`` (an older per-image form): no viewers, no times;
    - ``annotations/fixations_{train,val}2014*.json`` (2015 only): raw samples per worker as [row, column].

    Coordinates are counted from 1 in all of them. Onsets of fixations are estimated from the samples as
    TempSAL does (:func:`~saliency_pred.data.windows.matched_onsets`). Numbers across editions are not
    comparable.

    Args:
        root: the folder with ``images``.
        edition: ``2017`` or ``2015``: which of the two ``fixations`` was unpacked. It is recorded with
            results.
        split: ``official`` (train, val, and test without fixations), or see
            :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        outside: what becomes of fixations outside the image; some are, in the 2017 edition.
        points: ``fixations``, or ``samples``: all raw mouse positions with their own times.
        maps: ``none``; ``official``: the shipped maps as densities; ``slices``: TempSAL's five one-second
            maps ``saliency_volumes_5/<name>_{0..4}.png``. With maps the folder ``fixations`` may be absent.

    Source: Jiang, Huang, Duan, Zhao, "SALICON: Saliency in Context", CVPR 2015; http://salicon.net.
    Annotations CC BY 4.0, photos by Flickr users. Slices: Aydemir et al., "TempSAL", CVPR 2023.
    """

    name = "salicon"
    domain = "natural-mouse"
    viewing_time = 5.0
    blur_sigma = 19.0
    expected_size = (480, 640)

    def __init__(
        self,
        root: str | Path,
        edition: Literal["2017", "2015"] = "2017",
        split: str = "official",
        outside: OutsidePolicy = "drop",
        points: Literal["fixations", "samples"] = "fixations",
        maps: Literal["none", "official", "slices"] = "none",
    ) -> None:
        super().__init__(root, split, outside)
        self.edition = str(edition)
        for option, value, allowed in (
            ("edition", self.edition, ("2017", "2015")),
            ("points", points, ("fixations", "samples")),
            ("maps", maps, ("none", "official", "slices")),
        ):
            if value not in allowed:
                raise ValueError(f"{self.name}: {option}={value!r} is none of {', '.join(allowed)}")
        self.points = points
        self.mat_paths: list[Path | None] | None = None
        annotations = sorted(self.root.glob(f"annotations/{_JSON}"))
        if any((self.root / "fixations" / part).is_dir() for part in _PARTS):
            self._open_mat()
        elif annotations:
            self._open_json(annotations)
        elif maps != "none":
            images = self._all_images()
            self.image_ids, self.paths = list(images), list(images.values())
            self.note("fixations are not there, maps only", str(self.root / "fixations"))
        else:
            raise DatasetNotFoundError(
                f"{self.name}: {self.root / 'fixations'} with train/*.mat and val/*.mat is missing; "
                "unpack the "
                f"fixations of edition {self.edition} there, or set data.maps=official to go on with "
                "maps alone"
            )
        if maps != "none":
            self._open_maps(maps)
        self._finish()

    # ------------------------------------------------------------------ opening

    def _open_mat(self) -> None:
        names: list[str] = []
        paths: list[Path] = []
        mats: list[Path | None] = []
        for part in _PARTS:
            folder = self.root / "images" / part
            have_images, have_mats = folder.is_dir(), (self.root / "fixations" / part).is_dir()
            if not have_images and not have_mats:
                continue
            images = list_images(folder, f"{self.name}: images")
            if part == "test" and not have_mats:  # held back by the benchmark
                records: dict[str, Path] = {}
                matched = list(images)
            else:
                records = list_files(self.root / "fixations" / part, [".mat"], f"{self.name}: fixations")
                matched = self._match(images, records)
            names += matched
            paths += [images[stem] for stem in matched]
            mats += [records.get(stem) for stem in matched]
        self.image_ids, self.paths, self.mat_paths = names, paths, mats

    def _open_json(self, annotations: list[Path]) -> None:
        if self.edition != "2015":
            raise DatasetLayoutError(
                f"{self.name}: {annotations[0]} is of the 2015 edition; set data.edition=2015, or unpack the "
                f"fixations of 2017 as {self.root / 'fixations'}"
            )
        images = self._all_images()
        tables = [cached_table(path, read_salicon_json) for path in annotations]
        where = {name: (k, i) for k, (names, _) in enumerate(tables) for i, name in enumerate(names)}
        self.image_ids = self._match(images, where)
        self.paths = [images[name] for name in self.image_ids]
        tests = [stem for stem in images if stem not in where and "_test2014_" in stem]
        chosen = [where[name] for name in self.image_ids]
        if len(tables) == 1:
            self.table = tables[0][1].select([i for _, i in chosen])
        else:
            self.table = FixationTable([tables[k][1].row(i) for k, i in chosen])
        if tests:
            self.issues.pop("image without fixation record", None)

    def _all_images(self) -> dict[str, Path]:
        base = find_folder(self.root, ["images"], f"{self.name}: images")
        folders = sorted(p for p in base.iterdir() if p.is_dir() and not p.name.startswith("."))
        if not folders:
            raise DatasetLayoutError(f"{self.name}: {base} has none of the folders train, val, test")
        images: dict[str, Path] = {}
        for folder in folders:
            images |= list_images(folder, f"{self.name}: images")
        return images

    def _open_maps(self, maps: str) -> None:
        def find(name: str) -> list[Path]:
            part = self._part(name) or "train"
            if maps == "official":
                return [self.root / "maps" / part / f"{name}.png"]
            base = next((f for s in _SLICES if (f := self.root / s.format(part=part)).is_dir()), None)
            if base is None:
                raise DatasetNotFoundError(
                    f"{self.name}: TempSAL's slices are missing; unpack them as {self.root / 'saliency_volumes_5'}"
                )
            return [base / f"{name}_{k}.png" for k in range(5)]

        held_back = [i for i, name in enumerate(self.image_ids) if self._part(name) == "test"]
        keep = [i for i in range(len(self.image_ids)) if i not in set(held_back)]
        if held_back:  # the test part ships neither fixations nor maps
            self._keep(keep, "test image, which has no map")
            self.mat_paths = None if self.mat_paths is None else [self.mat_paths[i] for i in keep]
        before = self.image_ids
        self._attach_maps(find)
        if self.mat_paths is not None:
            kept = set(self.image_ids)
            self.mat_paths = [m for m, name in zip(self.mat_paths, before, strict=True) if name in kept]

    # ------------------------------------------------------------------ reading

    def fixations(self, index: int) -> Fixations | None:
        """Fixations (or samples) of one image; None for test images and where only maps are there."""
        if self.table is not None:
            return self.table.of(index, self.size(index))
        path = None if self.mat_paths is None else self.mat_paths[index]
        if path is None:
            return None
        size = self.size(index)
        contents = read_mat(path)
        if "gaze" in contents:
            return self._from_gaze(contents["gaze"], path, size)
        if "I" in contents:
            return self._from_binary(contents["I"], path, size)
        raise DatasetLayoutError(
            f"{path} has neither 'gaze' nor 'I' but {sorted(contents) or 'nothing'}: it is no SALICON file"
        )

    def _from_gaze(self, gaze: object, path: Path, size: tuple[int, int]) -> Fixations:
        parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for k, viewer in enumerate(entries(gaze)):
            where = f"{path}: gaze({k + 1})"
            found = columns(field(viewer, "fixations", where), 2, f"{where}.fixations")
            location = columns(field(viewer, "location", where), 2, f"{where}.location")
            timestamp = numbers(field(viewer, "timestamp", where)) / 1000
            if len(location) != len(timestamp):
                raise DatasetLayoutError(f"{where}: {len(location)} samples but {len(timestamp)} timestamps")
            if self.points == "samples":
                points, onset = location, timestamp
            else:
                points, onset = found, matched_onsets(found, location, timestamp, self.viewing_time)
            parts.append((points, onset, np.full(len(points), k)))
        if not parts:
            return Fixations.empty(size)
        points, onset, viewers = (np.concatenate([p[j] for p in parts]) for j in range(3))
        known = np.isfinite(points).all(axis=1)
        if not known.all():
            self.note("NaN or infinite coordinates left out", f"{path.stem} ({int((~known).sum())})")
        points, onset, viewers = points[known] - 0.5, onset[known], viewers[known]
        return Fixations.of(points[:, 0], points[:, 1], size, time=onset, viewer=viewers)

    def _from_binary(self, binary: object, path: Path, size: tuple[int, int]) -> Fixations:
        if self.points == "samples":
            raise DatasetLayoutError(f"{path} holds a binary map, not samples; set data.points=fixations")
        mask = np.asarray(binary)
        if mask.shape != size:
            raise DatasetLayoutError(f"{path}: the binary map I is {mask.shape}, its image is {size}")
        rows, cols = np.nonzero(mask)
        return Fixations.of(cols + 0.5, rows + 0.5, size)

    # ------------------------------------------------------------------ parts

    def official_part(self, index: int) -> str | None:
        """``train``, ``val`` or ``test``, from the COCO name."""
        return self._part(self.image_ids[index])

    @staticmethod
    def _part(name: str) -> str | None:
        return next((part for part in _PARTS if f"_{part}2014_" in name), None)


def read_salicon_json(path: Path) -> tuple[list[str], FixationTable]:
    """Image stems and raw samples of one 2015 annotation file; [row, column] counted from 1.

    Raises:
        BrokenFileError: it is no JSON (truncated), or may not be read.
        DatasetLayoutError: it is JSON of another kind.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise BrokenFileError(f"{path} cannot be read as JSON ({problem}); download it again") from problem
    if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
        raise DatasetLayoutError(f"{path}: expected COCO-style JSON with 'images' and 'annotations'")
    tracks: dict[int, list[tuple[int, np.ndarray]]] = {}
    try:
        names = {int(image["id"]): Path(image["file_name"]).stem for image in content["images"]}
        for track in content["annotations"]:
            points = np.asarray(track["fixations"], dtype=np.float64).reshape(-1, 2)
            tracks.setdefault(int(track["image_id"]), []).append((int(track["worker_id"]), points))
    except (KeyError, TypeError, ValueError) as problem:
        raise DatasetLayoutError(f"{path}: not SALICON's annotation format ({problem!r})") from problem
    rows = []
    for image in names:
        mine = tracks.get(image, [])
        points = np.concatenate([p for _, p in mine]) if mine else np.zeros((0, 2))
        worker = np.concatenate([np.full(len(p), w) for w, p in mine]) if mine else np.zeros(0, np.int64)
        rows.append((points[:, 1] - 0.5, points[:, 0] - 0.5, None, None, worker))
    return list(names.values()), FixationTable(rows)
