"""What the boards of videos share: which videos they want maps of, building, checking, comparing.

Frames are predicted, stored and read one after the other; one is in memory at a time.
"""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor
from tqdm import tqdm

from saliency_pred.data.clips import ClipSampler
from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.data.videos import OpenedVideos, VideoDataset
from saliency_pred.density import normalise, saliency_map
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.inference.predictor import Predictor
from saliency_pred.inference.stream import VideoStream
from saliency_pred.instantiate import instantiate
from saliency_pred.metrics import functional as F
from saliency_pred.metrics.accumulate import ScoreTable
from saliency_pred.metrics.presets import Preset
from saliency_pred.submission.check import Check, zip_entries
from saliency_pred.submission.staging import Staging
from saliency_pred.submission.stills import SAME_MAP, Loss

_SMALL = 32


@dataclass(frozen=True, eq=False)
class WantedVideo:
    """A video that a board wants a map of every frame of.

    Attributes:
        index: in the data set.
        name: without folders and ending.
        size: (height, width) of its frames.
        times: (F,) seconds when each frame is first shown.
    """

    index: int
    name: str
    size: tuple[int, int]
    times: np.ndarray

    @property
    def frames(self) -> int:
        """How many."""
        return len(self.times)


PredictFrames = Callable[[WantedVideo], Iterator[Tensor]]
"""float32 (H, W) log densities of all frames of a video, in order, at any size."""


def wanted_videos(dataset: SaliencyDataset, indices: Sequence[int]) -> list[WantedVideo]:
    """The videos of a data set that maps are wanted of.

    Raises:
        ValueError: the data set has no videos, or two of one name.
    """
    if not isinstance(dataset, VideoDataset):
        raise ValueError(f"{dataset.name} is no data set of videos, which the board's maps are of")
    found = [
        WantedVideo(i, PurePosixPath(dataset.image_ids[i]).name, dataset.size(i), dataset.times(i)) for i in indices
    ]
    if len({v.name for v in found}) < len(found):
        raise ValueError(f"{dataset.name}: videos of the same name in different folders; a board has one of each")
    if not found:
        raise ValueError(f"{dataset.name}: no videos to submit maps of")
    return found


def streamed(predictor: Predictor, dataset: SaliencyDataset) -> PredictFrames:
    """What a checkpoint predicts for the videos of a data set, decoded and predicted frame after frame.

    Raises:
        ValueError: the data set has no video files.
    """
    if not isinstance(dataset, OpenedVideos):
        raise ValueError(f"{dataset.name} has no video files; the boards' data sets are dhf1k, avimos, ntire2026")
    config = None if predictor.checkpoint is None else predictor.checkpoint.config.loader.get("clips")
    clips = ClipSampler() if config is None else instantiate(config)

    def predict(wanted: WantedVideo) -> Iterator[Tensor]:
        stream = VideoStream(predictor, dataset.video(wanted.index), clips, predictor.batch_size)
        densities, done, density = stream.run(), 0, torch.empty(0)
        for step in stream.step_of.tolist():  # several frames may share a step of the network
            while done <= step:
                density, _ = next(densities)
                done += 1
            yield density

    return predict


class VideoBoard(ABC):
    """A leaderboard of videos that takes a zip."""

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = (".zip",)
    images: ClassVar[dict[str, int]]
    """Data set → how many videos of it the board scores."""

    @abstractmethod
    def entries(self, video: WantedVideo) -> list[str]:
        """The names of its files in the archive, below :meth:`folder`."""

    @abstractmethod
    def write(self, video: WantedVideo, maps: Iterator[np.ndarray], staging: Staging) -> None:
        """Store the maps of one video, float32 (H, W) in [0, 1] each."""

    @abstractmethod
    def look_at(self, check: Check, archive: zipfile.ZipFile, video: WantedVideo, folder: str) -> None:
        """Look at what is stored of one video."""

    @abstractmethod
    def read(self, file: Path, video: WantedVideo) -> Iterator[np.ndarray]:
        """The maps of one video in a sound archive, float32 (H, W) in [0, 1] each."""

    def folder(self, file: Path) -> str:
        """The folder within the archive that all lies in, ending in ``/``; empty: in none."""
        return ""

    def build(self, wanted: Sequence[WantedVideo], predict: PredictFrames, out: Path, about: dict[str, Any]) -> None:
        """Predict every video that is not done yet, then make the archive.

        A build that was stopped goes on with the video that it was at.

        Args:
            wanted: the videos.
            predict: called once for each.
            out: the archive, which must not exist.
            about: what the maps are made of; see :class:`~saliency_pred.submission.staging.Staging`.

        Raises:
            ValueError: the archive's name has another ending than the board's, or a prediction is no log density,
                or there are more or fewer of them than frames.
        """
        if out.suffix.lower() not in self.suffixes:
            raise ValueError(f"{self.name} takes {' or '.join(self.suffixes)}, out={out} ends otherwise")
        out.parent.mkdir(parents=True, exist_ok=True)
        staging = Staging(out, about)
        for video in tqdm(wanted, desc=f"maps for {self.name}", unit="video", disable=None, leave=False):
            if not all(entry in staging for entry in self.entries(video)):
                self.write(video, stretched(video, predict(video)), staging)
        staging.write_zip([entry for video in wanted for entry in self.entries(video)], self.folder(out))

    def check(self, file: Path, wanted: Sequence[WantedVideo]) -> Check:
        """Names, then every video."""
        check = Check(file)
        found = zip_entries(check, tolerated=(".DS_Store", "Thumbs.db"))
        if not check.sound:
            return check
        folder = self.folder(file)
        expected = [f"{folder}{entry}" for video in wanted for entry in self.entries(video)]
        have = set(check.compare_names(found, expected, self.hint()))
        with zipfile.ZipFile(file) as archive:
            for video in tqdm(wanted, desc="checking", unit="video", disable=None, leave=False):
                if all(f"{folder}{entry}" in have for entry in self.entries(video)):
                    self.look_at(check, archive, video, folder)
        return check

    @abstractmethod
    def hint(self) -> str:
        """How files are named, in words."""


def stretched(video: WantedVideo, predictions: Iterator[Tensor]) -> Iterator[np.ndarray]:
    """float32 maps in [0, 1] with minimum 0 and maximum 1, of log densities; exactly one a frame.

    Raises:
        ValueError: NaN or infinite pixels, or another number of predictions than of frames.
    """
    given, before = 0, None
    for given, log_density in enumerate(predictions, 1):
        if given > video.frames:
            break
        if before is not None:
            yield before
        bad = int((~torch.isfinite(log_density)).sum())
        if bad or log_density.ndim != 2:
            shape = tuple(log_density.shape)
            raise ValueError(f"{video.name}, frame {given}: {bad} pixels of {shape} are NaN or infinite, or no map")
        map_ = saliency_map(log_density.float())
        low = map_.min()
        before = ((map_ - low) / (1 - low) if low < 1 else torch.zeros_like(map_)).numpy()
    if given != video.frames:
        found = f"more than {video.frames}" if given > video.frames else str(given)
        raise ValueError(f"{video.name}: {found} predictions for {video.frames} frames")
    if before is not None:
        yield before  # the last map completes a video, so it waits until the number is known to be right


def compare_videos(board: VideoBoard, check: Check, wanted: Sequence[WantedVideo], predict: PredictFrames) -> Loss:
    """Predict some videos again and compare: what storing cost, and whether each map is its own frame's.

    Args:
        board, check: of a sound archive; frames whose maps are others' are refused in ``check``.
        wanted: the videos.
        predict: with the checkpoint that the archive is said to be of.
    """
    sums, frames = np.zeros(3), 0
    for video in wanted:
        small: list[tuple[np.ndarray, np.ndarray]] = []
        wrong: list[int] = []
        both = zip(board.read(check.file, video), stretched(video, predict(video)), strict=True)
        for number, (kept, made) in enumerate(tqdm(both, desc=video.name, unit="frame", disable=None, leave=False)):
            stored = torch.from_numpy(kept).double()[None]
            predicted = normalise(_sized(torch.from_numpy(made), kept.shape).double()[None])
            scores = [float(metric(stored, predicted)) for metric in (F.cc, F.kld, F.sim)]
            sums += scores
            frames += 1
            small.append((_shrunk(kept), _shrunk(made)))
            if scores[0] < SAME_MAP and np.ptp(made) > 0:
                wrong.append(number)
        for number in wrong:
            twin = _twin(small, number)
            exchanged = "" if twin is None else ", but that of another frame: frames were exchanged"
            fits = "" if twin is None else f" (it fits frame {twin + 1})"
            check.refuse(f"is not what the checkpoint predicts{exchanged}", f"{video.name} frame {number + 1}{fits}")
    return Loss(frames, *(sums / max(1, frames)).tolist())


def score_videos(
    board: VideoBoard,
    check: Check,
    wanted: Sequence[WantedVideo],
    predict: PredictFrames | None,
    dataset: VideoDataset,
    preset: Preset,
) -> tuple[ScoreTable, ScoreTable]:
    """Rows of the stored maps of all frames, and of the predictions without storing (none without ``predict``).

    Metrics that need the fixations of other videos are left out.
    """
    scorer = Scorer(None, preset=preset)
    stored, exact = ScoreTable(), ScoreTable()
    for video in wanted:
        made = None if predict is None else stretched(video, predict(video))
        for number, kept in enumerate(board.read(check.file, video)):
            fixations = dataset.clean_frame_fixations(video.index, [number])
            density = dataset.frame_density(video.index, [number])
            named = {"image_id": f"{video.name}/{number + 1}", "dataset": dataset.name}
            for table, map_ in ((stored, kept), (exact, None if made is None else next(made))):
                if map_ is not None and fixations is not None and len(fixations):
                    maps, sigma, name = torch.from_numpy(map_)[None], dataset.blur_sigma, named["image_id"]
                    row = scorer.score(maps, fixations, density, sigma, name, dataset.name, "map")
                    table.extend([named | row])
    return stored, exact


def _sized(map_: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(map_.shape) == tuple(size):
        return map_
    return nnf.interpolate(map_[None, None], size=tuple(size), mode="bilinear", align_corners=False)[0, 0]


def _shrunk(map_: np.ndarray) -> np.ndarray:
    small = nnf.adaptive_avg_pool2d(torch.from_numpy(map_)[None], min(_SMALL, *map_.shape))
    return np.asarray(small[0].flatten())


def _twin(small: list[tuple[np.ndarray, np.ndarray]], number: int) -> int | None:
    """The frame whose prediction is what is stored for this one."""
    stored = small[number][0]
    for other, (_, made) in enumerate(small):
        if other != number and np.ptp(made) > 0 and np.ptp(stored) > 0 and np.corrcoef(stored, made)[0, 1] >= SAME_MAP:
            return other
    return None
