"""Videos that are annotated with one picture a frame: a binary map of fixated pixels and a density map."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.image import read_map
from saliency_pred.data.matlab import read_mat
from saliency_pred.data.video import FrameFolder
from saliency_pred.data.videos import OpenedVideos, Which, as_density, in_frames
from saliency_pred.fixations import Fixations, OutsidePolicy

_KEPT_LISTINGS = 64


class AnnotatedFrames(OpenedVideos):
    """Videos whose annotation is one file a frame, matched with the frames by the number in its name.

    Who looked is not stored, and two fixations on one pixel are one.

    Attributes:
        fixation_files: where the binary maps are below the folder of a video's annotation: patterns of file names
            (pictures, or .mat files with ``fixation_variable``), of which the first that is found is read.
        map_files: where the density maps are.
        annotations: folder of each video's annotation; None where it is held back.
        maps: whether the density maps are read.
    """

    fixation_files: ClassVar[tuple[str, ...]] = ("fixation/*.png", "fixation/maps/*.mat")
    fixation_variable: ClassVar[str] = "I"
    map_files: ClassVar[str] = "maps/*.png"

    annotations: list[Path | None]
    maps: bool = False

    def length(self, index: int) -> int:
        """How many frames are there with their annotation."""
        return len(self._numbers(index))

    def times(self, index: int) -> np.ndarray:
        """(F,) float64 seconds of the frames that are there with their annotation."""
        return super().times(index)[: self.length(index)]

    def frame_fixations(self, index: int, which: Which) -> Fixations | None:
        """A fixation in the centre of every marked pixel; None where the annotation is held back."""
        if self.annotations[index] is None:
            return None
        size, points = self.size(index), []
        files = self._fixation_files(index)
        for number in self._numbers(index)[np.asarray(which)].tolist():
            path = self._of_frame(files, index, number)
            levels = read_map(path) if path.suffix != ".mat" else np.asarray(read_mat(path, self.fixation_variable))
            scale = self._scale(levels.shape, path, index)
            # Half of the brightest level: JPEG leaves noise around the marks.
            row, column = np.nonzero(levels > max(float(levels.max()) / 2, 0.0))
            points.append(np.stack([(column + 0.5) * scale[1], (row + 0.5) * scale[0]], axis=1))
        return in_frames(points, self.times(index)[np.asarray(which)], size)

    def frame_density(self, index: int, which: Which) -> Tensor | None:
        """float32 (n, H, W) shipped maps; None unless they were asked for."""
        folder = self.annotations[index]
        if not self.maps or folder is None:
            return None
        files = self._listed(folder, self.map_files)
        size, maps = self.size(index), []
        for number in self._numbers(index)[np.asarray(which)].tolist():
            path = self._of_frame(files, index, number)
            levels = read_map(path)
            if self._scale(levels.shape, path, index) != (1.0, 1.0):
                levels = cv2.resize(levels, size[::-1], interpolation=cv2.INTER_LINEAR)
            maps.append(as_density(levels, path, size))
        return torch.stack(maps)

    def _scale(self, annotated: tuple[int, ...], path: Path, index: int) -> tuple[float, float]:
        """Pixels of the frame per pixel of its annotation, along height and width."""
        height, width = self.size(index)
        if len(annotated) != 2 or abs(annotated[0] * width / (annotated[1] * height) - 1) > 0.02:
            raise BrokenFileError(
                f"{path} is {' x '.join(map(str, annotated))} (height x width), its frame {height} x {width}: of "
                "another shape; they are not of one release"
            )
        if annotated != (height, width):
            issue, name = "annotation of another size than the frames, rescaled", self.image_ids[index]
            if name not in self.issues.get(issue, ()):
                self.note(issue, name)
        return height / annotated[0], width / annotated[1]

    def _of_frame(self, files: Mapping[int, Path], index: int, number: int) -> Path:
        path = files.get(number)
        if path is None:
            raise BrokenFileError(
                f"{self.annotations[index]}: frame {number} has no file beside "
                f"{next(iter(files.values()), 'anything')}; unpack the release again"
            )
        return path

    def _numbers(self, index: int) -> np.ndarray:
        """(F,) the numbers of the frames that have a picture and an annotation, as in the names of the files."""
        known: dict[int, np.ndarray] = self.__dict__.setdefault("_known_numbers", {})
        if index not in known:
            known[index] = self._find_numbers(index)
        return known[index]

    def _find_numbers(self, index: int) -> np.ndarray:
        video = self.video(index)
        frames = video.numbers if isinstance(video, FrameFolder) else np.arange(len(video))
        if self.annotations[index] is None:
            return frames
        annotated = np.array(sorted(self._fixation_files(index)), dtype=np.int64)
        if not isinstance(video, FrameFolder):
            frames = frames + min(1, annotated[0])  # some count from 0, most from 1
        both = min(len(frames), len(annotated))
        if not np.array_equal(frames[:both], annotated[:both]):
            raise BrokenFileError(
                f"{self.name}: {video.path} has the frames {frames[0]} to {frames[-1]}, {self.annotations[index]} has "
                f"those of {annotated[0]} to {annotated[-1]}, {len(annotated)} in all; they do not belong together, or "
                "files are missing"
            )
        if len(frames) != len(annotated):
            issue = "frames without annotation" if len(frames) > both else "annotation without frames"
            self.note(issue, f"{self.image_ids[index]}: {len(frames)} frames, {len(annotated)} annotated")
        return frames[:both]

    def _listed(self, folder: Path, pattern: str) -> Mapping[int, Path]:
        """:func:`_by_number`, of the last few folders from memory: clip after clip is read of one video."""
        listings: dict[tuple[Path, str], Mapping[int, Path]] = self.__dict__.setdefault("_known_listings", {})
        if (folder, pattern) not in listings:
            if len(listings) >= _KEPT_LISTINGS:
                listings.clear()
            listings[folder, pattern] = _by_number(folder, pattern)
        return listings[folder, pattern]

    def _fixation_files(self, index: int) -> Mapping[int, Path]:
        folder = self.annotations[index]
        assert folder is not None
        for pattern in self.fixation_files:
            if found := self._listed(folder, pattern):
                return found
        raise BrokenFileError(
            f"{self.name}: {folder} holds no fixations ({' or '.join(self.fixation_files)}); unpack the release again"
        )


def _by_number(folder: Path, pattern: str) -> dict[int, Path]:
    """Number in the name → file, of the files below a folder that match a pattern."""
    sub, name = os.path.split(pattern)
    prefix, suffix = name.split("*")
    try:
        names = os.listdir(folder / sub)
    except FileNotFoundError:
        return {}
    except OSError as problem:
        raise BrokenFileError(f"{folder / sub} cannot be listed: {problem.strerror}") from problem
    found: dict[int, Path] = {}
    for entry in sorted(names):
        digits = re.findall(r"\d+", entry[len(prefix) : len(entry) - len(suffix)])
        if entry.startswith((".", "_")) or not entry.startswith(prefix) or not entry.lower().endswith(suffix):
            continue
        if digits:
            found[int(digits[-1])] = folder / sub / entry
    return found


def release_clips(dataset: AnnotatedFrames, parts: Mapping[str, str]) -> list[str]:
    """Fill ``image_ids``, ``paths`` and ``annotations`` from ``<part folder>/<clip>/{images,maps,fixation}``.

    Args:
        dataset: to be filled.
        parts: part folder → ``train``, ``val`` or ``test``.

    Returns:
        the part of each clip.

    Raises:
        DatasetNotFoundError: there is no part folder.
        DatasetLayoutError: no clip is in them.
    """
    root = dataset.root
    there = [folder for folder in parts if (root / folder).is_dir()]
    if not there:
        raise DatasetNotFoundError(
            f"{dataset.name}: expected the folder {' or '.join(str(root / p) for p in parts)}; set data.root to the "
            "folder that holds them"
        )
    dataset.image_ids, dataset.paths, dataset.annotations, found = [], [], [], []
    for folder in there:
        for clip in sorted(p for p in (root / folder).iterdir() if p.is_dir() and not p.name.startswith(".")):
            if not (clip / "images").is_dir():
                dataset.note("folder without images", f"{folder}/{clip.name}")
                continue
            dataset.image_ids.append(clip.name)
            dataset.paths.append(clip / "images")
            dataset.annotations.append(clip)
            found.append(parts[folder])
    if not found:
        raise DatasetLayoutError(f"{dataset.name}: no folder in {root / there[0]} has a subfolder images")
    return found


class ReleaseClips(AnnotatedFrames):
    """Clips in the layout of DHF1K's release, in a folder ``training`` and a folder ``testing``.

    Args:
        root, split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        maps: also the shipped density maps.
    """

    def __init__(
        self, root: str | Path, split: str = "official", outside: OutsidePolicy = "drop", maps: bool = False
    ) -> None:
        super().__init__(root, split, outside)
        self.maps = maps
        self._part = release_clips(self, {"training": "train", "testing": "test"})
        self.log_issues()

    def official_part(self, index: int) -> str:
        """``train`` or ``test``."""
        return self._part[index]
