"""What the data sets of videos share: frames by number, and the fixations and maps of chosen frames.

A video is too long to be read whole for every step of training, so a set says what it has frame by frame.
Clips are cut by :mod:`saliency_pred.data.clips`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.data.errors import BrokenFileError
from saliency_pred.data.index_cache import cached_arrays
from saliency_pred.data.video import Pixels, Video, VideoFile, VideoIndex, frame_windows, open_video
from saliency_pred.fixations import Fixations

Which = Sequence[int] | np.ndarray
"""Numbers of frames, from 0; they may come in any order and more than once."""


class VideoDataset(SaliencyDataset):
    """A data set whose items are videos.

    A subclass fills ``image_ids`` and defines :meth:`times`, :meth:`frames`, :meth:`size` and
    :meth:`frame_fixations`, and :meth:`frame_density` if maps are shipped.

    A fixation belongs to the frame on the screen at its onset. Where a protocol counts it in every frame that it
    lasts through, as those of gaze samples do, the set gives it once for each of these frames, with a time within
    that frame.
    """

    domain: ClassVar[str] = "video"

    @abstractmethod
    def times(self, index: int) -> np.ndarray:
        """(F,) float64: when each frame of a video is first shown, in seconds from the first frame."""

    @abstractmethod
    def frames(self, index: int, which: Which) -> np.ndarray:
        """uint8 (n, H, W, 3) the frames with these numbers."""

    @abstractmethod
    def frame_fixations(self, index: int, which: Which) -> Fixations | None:
        """The fixations of n frames as a pack of one image with n windows, the k-th frame's in window k.

        In pixels of the frames, as stored; ``time`` in seconds from the first frame, within the frame it is given
        for. None where only maps are shipped.
        """

    def frame_density(self, index: int, which: Which) -> Tensor | None:
        """float32 (n, H, W) shipped maps of n frames, each summing to 1; None where there are none."""
        return None

    def length(self, index: int) -> int:
        """How many frames a video has."""
        return len(self.times(index))

    def windows(self, index: int) -> np.ndarray:
        """(F, 2) float64 seconds: when each frame of a video is on the screen."""
        return frame_windows(self.times(index))

    def clean_frame_fixations(self, index: int, which: Which) -> Fixations | None:
        """:meth:`frame_fixations` with those outside the frame treated as ``outside`` says."""
        fixations = self.frame_fixations(index, which)
        return None if fixations is None else fixations.clean(self.outside)[0]

    # ------------------------------------------------------------------ whole videos, as of any data set

    def image(self, index: int) -> np.ndarray:
        """uint8 (F, H, W, 3): all frames of a video at once."""
        return self.frames(index, np.arange(self.length(index)))

    def fixations(self, index: int) -> Fixations | None:
        """All fixations of a video with their times, in one window."""
        found = self.frame_fixations(index, np.arange(self.length(index)))
        return None if found is None else found.assign_windows(torch.tensor([[-torch.inf, torch.inf]]))

    def density(self, index: int) -> Tensor | None:
        """float32 (F, H, W) shipped maps of all frames, each summing to 1; None where there are none."""
        return self.frame_density(index, np.arange(self.length(index)))


class OpenedVideos(VideoDataset):
    """A data set whose videos are files or folders of frames on disk.

    A subclass fills ``image_ids`` and ``paths`` and defines :meth:`frame_fixations`. The time stamps of a file are
    read once and kept, for later runs too (:mod:`saliency_pred.data.index_cache`).

    Where the release has no ``val`` part, split ``official`` draws one of its train part, so that no checkpoint is
    chosen by what it is tested on: a tenth of the videos, parts of one recording together (:meth:`recording`).

    Attributes:
        paths: of the videos: files, or folders of frames.
        frame_rate: frames a second of folders, which have no times of their own.
    """

    paths: list[Path]
    frame_rate: float = 30.0

    def recording(self, index: int) -> str:
        """What a video was cut from; videos of one recording stay in one part."""
        return self.image_ids[index]

    def parts(self, seed: int = 0) -> dict[str, list[int]]:
        """The videos of each part of ``self.split``."""
        parts = super().parts(seed)
        train = parts.get("train", [])
        recordings = sorted({self.recording(i) for i in train})
        if self.split != "official" or "val" in parts or len(recordings) < 2:
            return parts
        order = np.random.default_rng(seed).permutation(len(recordings))
        held_out = {recordings[k] for k in order[: max(1, round(len(recordings) / 10))]}
        drawn = {
            "train": [i for i in train if self.recording(i) not in held_out],
            "val": [i for i in train if self.recording(i) in held_out],
        }
        return drawn | {part: indices for part, indices in parts.items() if part != "train"}

    def __getstate__(self) -> dict[str, object]:
        kept = {k: v for k, v in self.__dict__.items() if not k.startswith("_known")}
        return kept  # what is known of single videos is not worth sending to every worker

    def video(self, index: int) -> Video:
        """One video, opened."""
        return self.opened(self.paths[index], self.rate(index))

    def opened(self, path: Path, rate: float, pixels: Pixels = "rgb") -> Video:
        """A video of the set or one of its maps; time stamps that were read before are not read again."""
        if path.is_dir():
            folders: dict[tuple[Path, Pixels], Video] = self.__dict__.setdefault("_known_folders", {})
            if (path, pixels) not in folders:
                folders[path, pixels] = open_video(path, fps=rate, pixels=pixels)
            return folders[path, pixels]
        known: dict[Path, VideoIndex] = self.__dict__.setdefault("_known_files", {})
        if path not in known:

            def scan() -> dict[str, np.ndarray]:
                video = open_video(path, threads=1)
                assert isinstance(video, VideoFile)
                return video.index.arrays()

            known[path] = VideoIndex.from_arrays(cached_arrays(path, "time stamps of a video", scan))
        return open_video(path, pixels=pixels, index=known[path], threads=1)

    def rate(self, index: int) -> float:
        """Frames a second of a video that is a folder of frames."""
        return self.frame_rate

    def times(self, index: int) -> np.ndarray:
        """(F,) float64: when each frame is first shown, in seconds from the first frame."""
        return self.video(index).times

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of the frames."""
        return self.video(index).size

    def frames(self, index: int, which: Which) -> np.ndarray:
        """uint8 (n, H, W, 3) the frames with these numbers."""
        return self.video(index).frames_at(which)


def in_frames(
    points: Sequence[np.ndarray], times: np.ndarray, size: tuple[int, int], viewer: Sequence[np.ndarray] | None = None
) -> Fixations:
    """Pack the points of n frames, each in the window of its own.

    Args:
        points: n of (m, 2) x, y in pixels (pixel i covers [i, i + 1)).
        times: (n,) when the frames are first shown, which becomes the time of their points.
        size: (height, width) of the frames.
        viewer: n of (m,) who looked; None where unknown.
    """
    counts = [len(p) for p in points]
    joined = np.concatenate([np.zeros((0, 2)), *(np.asarray(p, dtype=np.float64).reshape(-1, 2) for p in points)])
    pack = Fixations.of(
        joined[:, 0],
        joined[:, 1],
        size,
        time=np.repeat(times, counts),
        viewer=None if viewer is None else np.concatenate([np.zeros(0, np.int64), *viewer]),
    )
    return pack.in_windows(torch.repeat_interleave(torch.arange(len(points)), torch.tensor(counts)), len(points))


def as_density(levels: np.ndarray, path: Path, size: tuple[int, int]) -> Tensor:
    """float32 (H, W) summing to 1, of the grey levels of a map; all zero where the map is black.

    Raises:
        BrokenFileError: it is not of the frame's size.
    """
    if levels.shape != size:
        raise BrokenFileError(
            f"{path}: a map of {levels.shape[0]} x {levels.shape[1]} (height x width) for frames of {size[0]} x "
            f"{size[1]}; they are not of one release"
        )
    total = float(levels.sum(dtype=np.float64))
    return torch.from_numpy(levels.astype(np.float64) / total if total > 0 else levels).float()
