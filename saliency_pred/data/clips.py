"""Clips of videos: which frames go into a network together, and which of them it predicts.

The frames of a clip
    F positions, ``step`` frames apart, on the video's own frames or, with ``fps``, on frames picked by time at that
    rate. A network that predicts the ``last`` frame sees the F - 1 positions before it; one that predicts the
    ``centre`` sees F // 2 before and F - F // 2 - 1 after; one that predicts ``all`` gets clip after clip.

Where a clip reaches beyond the video
    ==========  =====================================================================================================
    ``start``   what stands before the first frame
    repeat      the first frame (ViNet-S; with ``end: repeat`` the clamped edges of ViNet-A)
    mirror      the frames after it, outwards: 3 2 1 | 0 1 2
    reverse     nothing: the clip runs backwards instead, from the frames that follow to the predicted one (ViNet,
                TASED-Net); only for position ``last``
    skip        nothing: frames whose clip is incomplete are not predicted
    ``end``     what stands after the last frame, also of videos that are shorter than a clip
    repeat      the last frame (ViSAGE)
    mirror      the frames before it, outwards
    skip        nothing: frames whose clip is incomplete are not predicted, and with position ``all`` not seen
    ==========  =====================================================================================================

Which clips
    In training ``random``: one of each video an epoch, at a place that depends on the seed, the epoch and the video
    alone; complete ones where the video is long enough. Or ``every``: all that are scored. In scoring every frame is
    predicted exactly once: position ``last`` and ``centre`` have one clip a frame; position ``all`` cuts each of the
    ``step`` phases of a video (frames 0, s, 2 s, ..., then 1, s + 1, ...) into clips one after the other, as UNISAL
    (step 5) and ViSAGE (step 6) do. ``stride`` scores one clip in so many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from saliency_pred.data.dataset import SaliencyDataset, Sample
from saliency_pred.data.errors import DatasetLayoutError
from saliency_pred.data.video import frame_windows, resample
from saliency_pred.data.videos import VideoDataset
from saliency_pred.fixations import Fixations

Position = Literal["last", "centre", "all"]

_BIAS_FRAMES = 32
"""So many frames of each video are read to know where people look in any of them."""


@dataclass(frozen=True)
class Clip:
    """One clip of a video, as numbers of its frames.

    Attributes:
        frames: (F,) int64, the frames that the network sees, in order.
        predicted: (T,) int64, the frames that it predicts; -1 where it predicts nothing that exists.
    """

    frames: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class ClipSampler:
    """Cuts videos into clips; the module's text says how.

    Args:
        frames: F, of a clip. 1: single frames, given as images (H, W, 3), for networks of still images.
        position: which frames of a clip are predicted.
        step: from one frame of a clip to the next.
        fps: frames a second that the network is made for; None: those of the video.
        start, end: what stands for frames that do not exist.
        train: ``random`` or ``every`` clip.
        stride: in scoring, from one clip to the next.

    Raises:
        ValueError: an option is out of range or unknown.
    """

    frames: int = 1
    position: Position = "last"
    step: int = 1
    fps: float | None = None
    start: Literal["repeat", "mirror", "reverse", "skip"] = "repeat"
    end: Literal["repeat", "mirror", "skip"] = "repeat"
    train: Literal["random", "every"] = "random"
    stride: int = 1

    def __post_init__(self) -> None:
        for name, known in (
            ("position", ("last", "centre", "all")),
            ("start", ("repeat", "mirror", "reverse", "skip")),
            ("end", ("repeat", "mirror", "skip")),
            ("train", ("random", "every")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"clips.{name}={getattr(self, name)} is none of {', '.join(known)}")
        for name in ("frames", "step", "stride"):
            if getattr(self, name) < 1:
                raise ValueError(f"clips.{name}={getattr(self, name)} must be 1 or more")
        if self.fps is not None and not self.fps > 0:
            raise ValueError(f"clips.fps={self.fps} must be above 0")
        if self.start == "reverse" and (self.position != "last" or self.end == "skip"):
            raise ValueError(
                "clips.start=reverse needs clips.position=last, and clips.end=repeat or mirror for videos in which the "
                f"frames that follow are too few; got position={self.position}, end={self.end}"
            )

    @property
    def span(self) -> int:
        """How many frames a clip reaches over, those that ``step`` leaves out included."""
        return (self.frames - 1) * self.step + 1

    @property
    def num_windows(self) -> int:
        """T, how many frames of a clip are predicted."""
        return self.frames if self.position == "all" else 1

    def count(self, times: np.ndarray) -> int:
        """How many clips of a video are scored.

        Args:
            times: (N,) of its frames, see :attr:`~saliency_pred.data.video.Video.times`.
        """
        return len(range(0, self._clips(len(self._picked(times))), self.stride))

    def clip(self, times: np.ndarray, number: int) -> Clip:
        """The clip with this number of a video, 0 to ``count(times) - 1``."""
        picked = self._picked(times)
        total = self._clips(len(picked))
        if not 0 <= number * self.stride < total:
            raise IndexError(f"a video of {len(times)} frames has {self.count(times)} clips, not a clip {number}")
        number *= self.stride
        if self.position == "all":
            for phase in range(self.step):
                here = self._in_phase(len(picked), phase)
                if number < here:
                    return self._at(phase + number * self.frames * self.step, picked)
                number -= here
        first, _ = self._predictable(len(picked))
        return self._at(first + number, picked)

    def draw(self, times: np.ndarray, rng: np.random.Generator) -> Clip:
        """A clip of a video at random; complete if there is a complete one.

        Raises:
            ValueError: no clip of this video may be used (``skip``).
        """
        picked = self._picked(times)
        length = len(picked)
        before, after = self._reach()
        if length >= self.span:
            first, last = before, length - 1 - after
        elif self._clips(length) == 0:
            raise ValueError(f"a video of {length} frames is shorter than a clip of {self.span} (start, end: skip)")
        else:
            first, last = 0, 0 if self.position == "all" else length - 1
        return self._at(int(rng.integers(first, last + 1)), picked)

    # ------------------------------------------------------------------ positions on the picked frames

    def _picked(self, times: np.ndarray) -> np.ndarray:
        """Numbers of the frames at the rate of the network."""
        return np.arange(len(times)) if self.fps is None else resample(times, self.fps)

    def _reach(self) -> tuple[int, int]:
        """Frames that a clip reaches before and after the place it is named by."""
        if self.position == "all":
            return 0, self.span - 1
        before = (self.frames - 1 if self.position == "last" else self.frames // 2) * self.step
        return before, self.span - 1 - before

    def _predictable(self, length: int) -> tuple[int, int]:
        """First place, and one after the last, that has a clip (positions ``last`` and ``centre``)."""
        before, after = self._reach()
        first = before if self.start == "skip" else 0
        end = length - after if self.end == "skip" else length
        return first, max(first, end)

    def _in_phase(self, length: int, phase: int) -> int:
        """Clips of position ``all`` in one phase."""
        mine = len(range(phase, length, self.step))
        return mine // self.frames if self.end == "skip" else -(-mine // self.frames)

    def _clips(self, length: int) -> int:
        if self.position == "all":
            return sum(self._in_phase(length, phase) for phase in range(self.step))
        first, end = self._predictable(length)
        return end - first

    def _at(self, place: int, picked: np.ndarray) -> Clip:
        """The clip that is named by a place: of the predicted frame, or for ``all`` of the first one."""
        before, _ = self._reach()
        positions = place - before + np.arange(self.frames) * self.step
        if self.start == "reverse" and positions[0] < 0:
            positions = place + np.arange(self.frames)[::-1] * self.step
        frames = picked[self._filled(positions, len(picked))]
        if self.position == "all":
            exists = positions < len(picked)
            return Clip(frames, np.where(exists, frames, -1))
        return Clip(frames, picked[[place]])

    def _filled(self, positions: np.ndarray, length: int) -> np.ndarray:
        """Positions with those outside [0, length) replaced as ``start`` and ``end`` say."""
        if length == 1:
            return np.zeros_like(positions)
        positions = positions.copy()
        while ((positions < 0) | (positions >= length)).any():  # mirrored positions may leave on the other side
            low, high = positions < 0, positions >= length
            positions[low] = -positions[low] if self.start == "mirror" else 0
            positions[high] = 2 * (length - 1) - positions[high] if self.end == "mirror" else length - 1
        return positions


class Clips(SaliencyDataset):
    """The clips of a set of videos, as a data set: what the loader sees in its place.

    An item of the train part is one clip of a video drawn anew every epoch (``random``), with the video's name; all
    others are numbered clips, named ``<video>/<number of the predicted frame>``. The fixations of an item lie in T
    windows, the times of the predicted frames.

    Args:
        videos: the data set.
        sampler: how they are cut.
        seed: of the split and of the drawn clips.
    """

    def __init__(self, videos: VideoDataset, sampler: ClipSampler, seed: int = 0) -> None:
        self.videos = videos
        self.sampler = sampler
        self.seed = seed
        self.root, self.split, self.outside, self.issues = videos.root, videos.split, videos.outside, videos.issues
        for name in ("name", "domain", "viewing_time", "pixel_per_dva", "blur_sigma"):
            setattr(self, name, getattr(videos, name))
        self.items: list[tuple[int, int | None]] = []
        """Video and number of the clip; None: drawn by the epoch."""
        self._parts: dict[str, list[int]] = {}
        for part, members in videos.parts(seed).items():
            begin = len(self.items)
            for video in members:
                drawn = part == "train" and sampler.train == "random"
                if drawn and "skip" not in (sampler.start, sampler.end):
                    self.items.append((video, None))  # without opening it: a set may have thousands
                    continue
                count = sampler.count(videos.times(video))
                if count == 0:
                    self.note(f"video shorter than a clip of {sampler.span} frames", videos.image_ids[video])
                self.items += [(video, None)] * min(count, 1) if drawn else [(video, k) for k in range(count)]
            self._parts[part] = list(range(begin, len(self.items)))
        if not self.items:
            raise DatasetLayoutError(
                f"{videos.name}: none of the {len(videos)} videos has the {sampler.span} frames of a clip; set "
                "clips.start and clips.end to repeat, or clips.frames to less"
            )
        self.image_ids = [self._name(*item) for item in self.items]
        if hasattr(videos, "true_log_density"):
            self.true_log_density = self._true_log_density

    def _name(self, video: int, number: int | None) -> str:
        name = self.videos.image_ids[video]
        if number is None:
            return name
        return f"{name}/{self.sampler.clip(self.videos.times(video), number).predicted[0]:05d}"

    def parts(self, seed: int = 0) -> dict[str, list[int]]:
        """The items of each part; the seed is that of :attr:`seed`."""
        return {part: list(indices) for part, indices in self._parts.items()}

    def clip(self, index: int, epoch: int = 0) -> Clip:
        """The frames of an item."""
        video, number = self.items[index]
        times = self.videos.times(video)
        if number is not None:
            return self.sampler.clip(times, number)
        return self.sampler.draw(times, np.random.default_rng([self.seed, epoch, video]))

    def sample(self, index: int, epoch: int = 0) -> Sample:
        """Frames, fixations and maps of an item, drawn for this epoch."""
        video, _ = self.items[index]
        clip = self.clip(index, epoch)
        frames = self.videos.frames(video, clip.frames)
        return Sample(
            frames[0] if self.sampler.frames == 1 else frames,
            self._fixations(video, clip),
            self._density(video, clip),
            self.image_ids[index],
        )

    def windows(self, index: int, epoch: int = 0) -> Tensor:
        """(T, 2) float64 seconds: when the predicted frames of an item are on the screen."""
        return self._windows(self.items[index][0], self.clip(index, epoch))

    def nominal_windows(self) -> list[list[float]] | None:
        """[start, end] in seconds of the T predicted frames of a clip at the start of the first video; None for one."""
        if self.sampler.num_windows == 1:
            return None
        times = self.videos.times(self.items[0][0])
        rate = self.sampler.fps or (len(times) - 1) / max(float(times[-1]), 1e-9) or 1.0
        windows: list[list[float]] = frame_windows(np.arange(self.sampler.frames) * self.sampler.step / rate).tolist()
        return windows

    def some_fixations(self, part: str) -> list[Fixations]:
        """The fixations of some frames, spread evenly, of each video of a part: one pack a video, in one window."""
        packs = []
        for video in dict.fromkeys(self.items[i][0] for i in self._parts.get(part, [])):
            length = self.videos.length(video)
            which = np.unique(np.linspace(0, length - 1, min(length, _BIAS_FRAMES)).round().astype(np.int64))
            found = self.videos.clean_frame_fixations(video, which)
            if found is not None:
                packs.append(found.in_windows(torch.zeros_like(found.window), 1))
        return packs

    # ------------------------------------------------------------------ as any data set, in epoch 0

    def image(self, index: int) -> np.ndarray:
        """uint8 (F, H, W, 3); of clips of one frame (H, W, 3)."""
        frames = self.videos.frames(self.items[index][0], self.clip(index).frames)
        return frames[0] if self.sampler.frames == 1 else frames

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of the frames."""
        return self.videos.size(self.items[index][0])

    def fixations(self, index: int) -> Fixations | None:
        """The fixations of the predicted frames, in their windows."""
        return self._fixations(self.items[index][0], self.clip(index))

    def density(self, index: int) -> Tensor | None:
        """float32 (T, H, W) shipped maps of the predicted frames; black where there is nothing to predict."""
        return self._density(self.items[index][0], self.clip(index))

    def predicted_frames(self, index: int) -> np.ndarray:
        """uint8 (T, H, W, 3) the frames that are to be predicted; the first of them where there is none."""
        clip = self.clip(index)
        return self.videos.frames(self.items[index][0], np.where(clip.predicted < 0, clip.predicted[0], clip.predicted))

    def _true_log_density(self, index: int, windows: Tensor | None = None) -> Tensor:
        """(T, H, W) exact log density of the predicted frames, of generated videos; even where none exists."""
        video, _ = self.items[index]
        exist = torch.from_numpy(self.clip(index).predicted >= 0)
        known: Tensor = self.videos.true_log_density(video, self.windows(index)[exist])  # type: ignore[attr-defined]
        truth = torch.full((len(exist), *known.shape[1:]), -math.log(known[0].numel()), dtype=known.dtype)
        truth[exist] = known
        return truth

    def category(self, index: int) -> str | None:
        """Of the video."""
        return self.videos.category(self.items[index][0])

    def official_part(self, index: int) -> str | None:
        """Of the video."""
        return self.videos.official_part(self.items[index][0])

    # ------------------------------------------------------------------ of a clip

    def _fixations(self, video: int, clip: Clip) -> Fixations | None:
        exist = np.flatnonzero(clip.predicted >= 0)
        found = self.videos.clean_frame_fixations(video, clip.predicted[exist])
        if found is None:
            return None
        return found.in_windows(torch.from_numpy(exist)[found.window], len(clip.predicted))

    def _density(self, video: int, clip: Clip) -> Tensor | None:
        exist = np.flatnonzero(clip.predicted >= 0)
        found = self.videos.frame_density(video, clip.predicted[exist])
        if found is None or len(exist) == len(clip.predicted):
            return found
        every = torch.zeros(len(clip.predicted), *found.shape[1:])
        every[exist] = found
        return every

    def _windows(self, video: int, clip: Clip) -> Tensor:
        known = self.videos.windows(video)
        windows = known[clip.predicted]
        nothing = clip.predicted < 0
        # Times after the end of the video, so that no fixation falls into them.
        after = known[-1, 1] + np.arange(int(nothing.sum()))[:, None] + np.array([[0.0, 1.0]])
        windows[nothing] = after
        return torch.from_numpy(windows)


class SomeFrames(Clips):
    """Frames spread evenly over each video of a set, as images: for looking at the set and measuring it.

    Args:
        videos: the data set.
        count: about so many frames in all, at least one of each video.
    """

    def __init__(self, videos: VideoDataset, count: int) -> None:
        self.videos = videos
        self.sampler = ClipSampler()
        self.seed = 0
        self.root, self.split, self.outside, self.issues = videos.root, "all", videos.outside, videos.issues
        for name in ("name", "domain", "viewing_time", "pixel_per_dva", "blur_sigma"):
            setattr(self, name, getattr(videos, name))
        each = max(1, round(count / len(videos)))
        self.items = []
        for video in range(len(videos)):
            length = videos.length(video)
            middles = (np.arange(min(each, length)) + 0.5) / min(each, length) * length
            self.items += [(video, int(frame)) for frame in middles]
        self._parts = {"train": list(range(len(self.items))), "val": list(range(len(self.items)))}
        self.image_ids = [self._name(*item) for item in self.items]
