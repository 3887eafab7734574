"""Scores of map videos, frame by frame, straight from the files: nothing is unpacked to pictures.

Every frame of a video is scored by the rules of a preset against its own fixations and its own human map. A video
whose maps are more or fewer than its frames is not scored at all: which map belongs to which frame is then unknown.
Frames without fixations have no value in the metrics of fixations; they are counted, and the means leave them out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from saliency_pred.data.errors import BrokenFileError
from saliency_pred.data.video import VIDEO_SUFFIXES, open_video
from saliency_pred.data.videos import VideoDataset
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.metrics.accumulate import Row
from saliency_pred.metrics.functional import cc
from saliency_pred.metrics.presets import Kind

_AT_ONCE = 16
"""Frames whose fixations and human maps are read together."""
_OWN_SUFFIX = "_maps"
"""What ``saliency predict`` puts behind a video's name."""
STEADINESS = "steadiness"
"""Column of the rows: CC of a frame's map with the map before it; of no preset, to be read beside the scores."""
TRUE_STEADINESS = "steadiness_of_truth"
"""The same of the human maps: what a prediction that is as steady as people's attention has."""


@dataclass(frozen=True)
class MapVideos:
    """The map videos below a folder, by the name of their video.

    Attributes:
        path: the folder.
        files: name → video file, folder of pictures, or .npy or HDF5 array (F, H, W).
    """

    path: Path
    files: dict[str, Path]

    @classmethod
    def open(cls, path: str | Path) -> MapVideos:
        """List ``<name>.mp4`` (or any video format), ``<name>_maps.mp4``, ``<name>.npy``, ``<name>.h5``, ``<name>/``.

        Raises:
            FileNotFoundError: nothing is there.
            ValueError: it holds no such thing, or two for one video.
        """
        where = Path(path).expanduser()
        if not where.exists():
            raise FileNotFoundError(f"{where} does not exist; give a folder of map videos, or one of them")
        files: dict[str, Path] = {}
        for entry in sorted(where.iterdir()) if where.is_dir() else [where]:
            is_array = entry.suffix.lower() in (".npy", ".h5", ".hdf5")
            is_video = entry.suffix.lower() in VIDEO_SUFFIXES and not entry.stem.endswith("_overlay")
            if entry.name.startswith(".") or not (entry.is_dir() or is_array or is_video):
                continue
            name = entry.name if entry.is_dir() else entry.stem
            name = name.removesuffix(_OWN_SUFFIX)
            if name in files:
                raise ValueError(f"{where}: {files[name].name} and {entry.name} are both of the video {name}; keep one")
            files[name] = entry
        if not files:
            raise ValueError(f"{where} holds no map videos (.mp4, .npy, .h5, or a folder of pictures each)")
        return cls(where, files)

    def maps(self, name: str) -> tuple[int, Iterator[Tensor]]:
        """How many maps there are of a video, and the maps one after the other, float (h, w).

        Raises:
            BrokenFileError: the file cannot be read.
        """
        path = self.files[name]
        if path.suffix.lower() == ".npy" and path.is_file():
            array = np.load(path, mmap_mode="r")
            if array.ndim != 3:
                raise BrokenFileError(f"{path} must be (frames, height, width), got {array.shape}")
            return len(array), (torch.from_numpy(np.array(one)) for one in array)
        if path.suffix.lower() in (".h5", ".hdf5") and path.is_file():
            return _hdf5_maps(path)
        video = open_video(path, pixels="grey", fps=30 if path.is_dir() else None)  # times do not matter here
        return len(video), (torch.from_numpy(frame) for frame in video.frames())


@dataclass(frozen=True)
class VideoScores:
    """What came of a set of map videos.

    Attributes:
        rows: of the frames that were scored, named ``<video>/<number of the frame>``.
        failed: video → why it could not be scored.
        missing: videos without maps.
        surplus: maps without a video.
    """

    rows: list[Row]
    failed: dict[str, str]
    missing: list[str]
    surplus: list[str]


def score_videos(
    maps: MapVideos, dataset: VideoDataset, indices: list[int], scorer: Scorer, kind: Kind = "map"
) -> VideoScores:
    """Score every map video that belongs to a video of a data set.

    Args:
        maps: by the videos' names.
        dataset: the videos.
        indices: which of them.
        scorer: the rules.
        kind: what the values are; those of video files are maps.

    Raises:
        ValueError: not one map video belongs to one of the videos.
    """
    names = {dataset.image_ids[i]: i for i in indices}
    by_stem = {Path(name).name: name for name in names}
    found = {name if name in names else by_stem.get(name): name for name in maps.files}
    matched = {name: key for name, key in found.items() if name in names}
    if not matched:
        raise ValueError(
            f"{maps.path}: none of {len(maps.files)} map videos (first: {next(iter(maps.files))}) is named like a "
            f"video of {dataset.name} (first: {next(iter(names), 'none')})"
        )
    rows: list[Row] = []
    failed: dict[str, str] = {}
    for name in tqdm([n for n in names if n in matched], desc="scoring", unit="video", disable=None, leave=False):
        try:
            rows += list(_rows(maps, matched[name], dataset, names[name], scorer, kind))
        except (ValueError, OSError) as error:
            failed[name] = str(error)
    missing = [name for name in names if name not in matched]
    surplus = sorted(set(maps.files) - set(matched.values()))
    return VideoScores(rows, failed, missing, surplus)


def _rows(maps: MapVideos, key: str, dataset: VideoDataset, index: int, scorer: Scorer, kind: Kind) -> Iterator[Row]:
    """The rows of one video's frames."""
    name, length = dataset.image_ids[index], dataset.length(index)
    count, values = maps.maps(key)
    if count != length:
        raise BrokenFileError(
            f"{maps.files[key]} has {count} maps, the video {name} {length} frames; write one map a frame"
        )
    before: Tensor | None = None
    truth_before: Tensor | None = None
    for first in range(0, length, _AT_ONCE):
        which = np.arange(first, min(first + _AT_ONCE, length))
        fixations = dataset.clean_frame_fixations(index, which)
        densities = dataset.frame_density(index, which)
        for k, frame in enumerate(which.tolist()):
            one = next(values)
            row: Row = {"image_id": f"{name}/{frame:05d}", "dataset": dataset.name}
            row |= scorer.score(
                one[None],
                None if fixations is None else fixations.of_window(k),
                None if densities is None else densities[k : k + 1],
                dataset.blur_sigma,
                row["image_id"],
                dataset.name,
                kind=kind,
            )
            now = one.exp() if kind == "log_density" else one
            row[STEADINESS] = _likeness(before, now)
            before = now
            if densities is not None:
                row[TRUE_STEADINESS] = _likeness(truth_before, densities[k])
                truth_before = densities[k]
            yield row


def _likeness(first: Tensor | None, second: Tensor) -> float:
    """CC of two maps; NaN where one is missing or constant."""
    if first is None or first.amin() == first.amax() or second.amin() == second.amax():
        return math.nan
    return float(cc(first[None].double(), second[None].double())[0])


def _hdf5_maps(path: Path) -> tuple[int, Iterator[Tensor]]:
    import h5py  # only here: it is slow to import

    with h5py.File(path, "r") as file:
        if "log_density" not in file or file["log_density"].ndim != 3:
            raise BrokenFileError(f"{path} has no log_density of (frames, height, width)")
        count = len(file["log_density"])

    def read() -> Iterator[Tensor]:
        with h5py.File(path, "r") as file:
            for k in range(count):
                yield torch.from_numpy(file["log_density"][k])

    return count, read()
