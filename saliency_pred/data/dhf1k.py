"""DHF1K: its released maps, and its raw gaze with every sample where it was."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import numpy as np

from saliency_pred.data.annotated_frames import AnnotatedFrames
from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.fixation_table import FixationTable
from saliency_pred.data.index_cache import cached_table
from saliency_pred.data.videos import Which, in_frames
from saliency_pred.fixations import Fixations, OutsidePolicy

SCREEN = (900, 1440)
"""(height, width) in pixels of the screen that gaze was recorded on; videos filled its width."""
_GAZE_FOLDERS = ("exportdata_train", "exportdata_test", "exportdata", "gaze_record")
_GAZE_FILE = re.compile(r"P(\d+)_Tra?ia?l(\d+)\.txt", re.IGNORECASE)
_COLUMNS = ("Time", "L POR X [px]", "L POR Y [px]", "L Event Info")


class DHF1K(AnnotatedFrames):
    """DHF1K: 1000 videos of everyday scenes, 17 viewers, free viewing; the test part without annotation.

    ::

        video/001.AVI ... 1000.AVI                      (or frames in annotation/NNNN/images/)
        annotation/0001/maps/0001.png ...               density maps
        annotation/0001/fixation/0001.png ...           fixated pixels, or fixation/maps/0001.mat
        exportdata_train/P01/P01_Trail001.txt ...       raw gaze, only for data.gaze=raw

    ``released`` takes the fixation maps as they are. The script that made them marks every row of a viewer's
    samples in every column of them, so that the samples of one viewer in one frame become a grid of mostly false
    points. ``raw`` takes the eye tracker's samples that belong to fixations, each where it was, with its viewer: a
    fixation counts in every frame that it lasts through, with as many points as samples (about 8 a frame).

    Args:
        root, split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        gaze: ``released`` or ``raw``.
        maps: also the shipped density maps.

    Source: Wang, Shen, Guo, Cheng, Borji, "Revisiting video saliency", CVPR 2018;
    https://github.com/wenguanwang/DHF1K, ``record_mapping.m``, ``make_gauss_masks.m``.
    """

    name = "dhf1k"
    blur_sigma = 30 / np.sqrt(8 * np.log(2))  # full width at half maximum 30 pixels

    def __init__(
        self,
        root: str | Path,
        split: str = "official",
        outside: OutsidePolicy = "drop",
        gaze: Literal["released", "raw"] = "released",
        maps: bool = False,
    ) -> None:
        super().__init__(root, split, outside)
        if gaze not in ("released", "raw"):
            raise ValueError(f"{self.name}: gaze={gaze!r} is none of 'released', 'raw'")
        self.gaze = gaze
        self.maps = maps
        annotated = _numbered_folders(self.root / "annotation")
        files = _numbered_files(self.root / "video")
        records = self._gaze_files() if gaze == "raw" else {}
        numbers = sorted(set(files) | {n for n, folder in annotated.items() if (folder / "images").is_dir()})
        if not numbers:
            raise DatasetNotFoundError(
                f"{self.name}: expected videos in {self.root / 'video'} (001.AVI ...), or frames in "
                f"{self.root / 'annotation'} / 0001 / images; set data.root to the folder that holds them"
            )
        self.image_ids, self.paths, self.annotations, self._records = [], [], [], []
        for n in numbers:
            folder = annotated.get(n)
            held_back = n > 700 and n not in records
            if gaze == "raw" and n not in records and not held_back:
                self.note("video without raw gaze", f"{n:04d}")
                continue
            if gaze == "released" and folder is None and not held_back:
                self.note("video without annotation", f"{n:04d}")
                continue
            frames = folder is not None and (folder / "images").is_dir()
            self.image_ids.append(f"{n:04d}")
            self.paths.append(folder / "images" if frames and folder is not None else files[n])
            self.annotations.append(folder)
            self._records.append(records.get(n, []))
        if not self.image_ids:
            what = "raw gaze" if gaze == "raw" else "annotation"
            raise DatasetLayoutError(f"{self.name}: none of the {len(numbers)} videos in {self.root} has its {what}")
        self.log_issues()

    def official_part(self, index: int) -> str:
        """Videos 1 to 600 ``train``, to 700 ``val``, to 1000 ``test``."""
        number = int(self.image_ids[index])
        return "train" if number <= 600 else "val" if number <= 700 else "test"

    def length(self, index: int) -> int:
        """How many frames are there with their annotation; with raw gaze, how many frames there are."""
        return len(self.video(index)) if self.gaze == "raw" and not self.maps else super().length(index)

    def frame_fixations(self, index: int, which: Which) -> Fixations | None:
        """Of the released maps, or the samples of the raw gaze; None where they are held back."""
        if self.gaze == "released":
            return super().frame_fixations(index, which)
        if not self._records[index]:
            return None
        size, windows = self.size(index), self.windows(index)
        points: list[list[np.ndarray]] = [[] for _ in np.asarray(which)]
        viewers: list[list[np.ndarray]] = [[] for _ in points]
        for viewer, path in self._records[index]:
            time, x, y = fixation_samples(path, size)
            begin, end = (np.searchsorted(time, windows[np.asarray(which), k]) for k in (0, 1))
            for k, (a, b) in enumerate(zip(begin, end, strict=True)):
                points[k].append(np.stack([x[a:b], y[a:b]], axis=1))
                viewers[k].append(np.full(b - a, viewer))
        return in_frames(
            [np.concatenate(p) for p in points],
            windows[np.asarray(which), 0],
            size,
            [np.concatenate(v) for v in viewers],
        )

    def _gaze_files(self) -> dict[int, list[tuple[int, Path]]]:
        """Video number → viewer and file of its raw gaze."""
        found: dict[int, list[tuple[int, Path]]] = {}
        folders = [self.root / name for name in _GAZE_FOLDERS if (self.root / name).is_dir()]
        for path in sorted(p for folder in folders for p in folder.rglob("*.txt")):
            if match := _GAZE_FILE.fullmatch(path.name):
                found.setdefault(int(match[2]), []).append((int(match[1]) - 1, path))
        if not found:
            raise DatasetNotFoundError(
                f"{self.name}: expected raw gaze in {self.root / _GAZE_FOLDERS[0]} (P01/P01_Trail001.txt ...); unpack "
                "the raw data there, or set data.gaze=released"
            )
        return found


def fixation_samples(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, x and y of one viewer's gaze samples that belong to fixations, in a video's pixels.

    The video fills the width of the screen and is centred in its height. ``record_mapping.m`` rounds to pixels that
    are counted from 1, so its pixel c is the interval [c - 1, c) here: half a pixel less.

    Args:
        path: of the eye tracker's export: tab-separated, times in microseconds.
        size: (height, width) of the video.

    Returns:
        three (n,) arrays: seconds from the first sample, ascending; pixels, which may lie outside the video.

    Raises:
        BrokenFileError: a column is missing or cannot be read.
    """
    _, table = cached_table(path, _read_samples)
    x, y, time, _, _ = table.row(0)
    assert time is not None
    scale = size[1] / SCREEN[1]
    border = (SCREEN[0] - size[0] / scale) / 2
    return time, scale * x - 0.5, scale * (y - border) - 0.5


def _read_samples(path: Path) -> tuple[list[str], FixationTable]:
    """The samples that belong to fixations, on the screen."""
    try:
        lines = [line.split("\t") for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError as problem:
        raise BrokenFileError(f"{path} cannot be read: {problem.strerror}; copy it again") from problem
    begin = next((k for k, line in enumerate(lines) if line[0].strip() == "Time"), None)
    if begin is None or not all(c in lines[begin] for c in _COLUMNS):
        raise BrokenFileError(f"{path}: no line names the columns {', '.join(_COLUMNS)}; it is no raw gaze of DHF1K")
    time_at, x_at, y_at, event_at = (lines[begin].index(c) for c in _COLUMNS)
    rows = [line for line in lines[begin + 1 :] if len(line) > event_at and "SMP" in line]
    try:
        table = np.array([[float(line[k]) for k in (time_at, x_at, y_at)] for line in rows]).reshape(-1, 3)
    except ValueError as problem:
        raise BrokenFileError(f"{path}: a sample is no number ({problem}); copy it again") from problem
    seconds = (table[:, 0] - table[:1, 0]) / 1e6
    fixated = np.array([line[event_at].startswith("F") for line in rows], dtype=bool)
    return [path.stem], FixationTable([(table[fixated, 1], table[fixated, 2], seconds[fixated], None, None)])


def _numbered_folders(folder: Path) -> dict[int, Path]:
    """Number → subfolder, of those that are named by a number."""
    if not folder.is_dir():
        return {}
    return {int(p.name): p for p in sorted(folder.iterdir()) if p.is_dir() and p.name.isdecimal()}


def _numbered_files(folder: Path) -> dict[int, Path]:
    """Number → video file."""
    if not folder.is_dir():
        return {}
    return {
        int(p.stem): p for p in sorted(folder.iterdir()) if p.suffix.lower() in (".avi", ".mp4") and p.stem.isdecimal()
    }
