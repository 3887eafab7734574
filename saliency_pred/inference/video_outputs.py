"""What can be written about a video: each kind in parts of some frames, which are put together at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor

from saliency_pred.atomic import replacing
from saliency_pred.data.video import Video, open_video
from saliency_pred.density import saliency_map
from saliency_pred.inference.overlay import overlay
from saliency_pred.inference.video_writer import VideoWriter, join, time_stamps


class VideoOutput(ABC):
    """One kind of output: :meth:`begin`, :meth:`write` for each frame and :meth:`end` make a part.

    Args:
        video: that is predicted.
    """

    suffix: ClassVar[str]
    """Of the file, behind the name of the results."""
    needs_pictures: ClassVar[bool] = False
    """Whether :meth:`write` is to be given the picture of each frame."""

    def __init__(self, video: Video) -> None:
        self.video = video

    @abstractmethod
    def begin(self, path: Path, first: int, count: int) -> None:
        """Open a part for the frames ``first`` to ``first + count - 1``."""

    @abstractmethod
    def write(self, log_density: Tensor, picture: np.ndarray | None) -> None:
        """Append the next frame: its log density (H, W), and its picture uint8 (H, W, 3) if that is needed."""

    @abstractmethod
    def end(self) -> None:
        """Close the part."""

    @abstractmethod
    def join(self, parts: Sequence[Path], starts: Sequence[int], target: Path) -> None:
        """Put together the parts that begin at these frames; ``target`` is replaced whole or not at all."""

    @abstractmethod
    def frames_in(self, path: Path) -> int:
        """How many frames a finished file gives when it is read to its end."""


class Maps(VideoOutput):
    """Each density between its smallest and its largest value, as 10-bit H.264 with the video's time stamps."""

    suffix = "_maps.mp4"
    content: ClassVar[Literal["map", "picture"]] = "map"

    def begin(self, path: Path, first: int, count: int) -> None:
        """Open a part."""
        stamps, time_base = time_stamps(self.video)
        self._stamps: Iterator[int] = iter((stamps[first : first + count] - stamps[first]).tolist())
        self._writer = VideoWriter(path, self.video.size, time_base, self.content)

    def write(self, log_density: Tensor, picture: np.ndarray | None) -> None:
        """Append a frame."""
        self._writer.write(self.shown(log_density, picture), next(self._stamps))

    def shown(self, log_density: Tensor, picture: np.ndarray | None) -> np.ndarray:
        """What is shown of one frame."""
        density = (log_density - log_density.max()).exp_()
        lowest = density.min()
        return density.sub_(lowest).div_((1 - lowest).clamp_min(1e-12)).numpy()

    def end(self) -> None:
        """Close the part."""
        self._writer.close()

    def join(self, parts: Sequence[Path], starts: Sequence[int], target: Path) -> None:
        """Put parts together."""
        stamps, time_base = time_stamps(self.video)
        join(parts, stamps[list(starts)].tolist(), time_base, target)

    def frames_in(self, path: Path) -> int:
        """How many frames can be decoded."""
        written = open_video(path)
        if np.abs(written.times - self.video.times[: len(written)]).max(initial=0) > 1e-3:
            raise OSError(f"{path}: frames do not have the times of {self.video.path}")
        return sum(1 for _ in written.frames())


class Overlay(Maps):
    """The map laid over each frame, as H.264 with the video's time stamps."""

    suffix = "_overlay.mp4"
    needs_pictures = True
    content = "picture"

    def shown(self, log_density: Tensor, picture: np.ndarray | None) -> np.ndarray:
        """What is shown of one frame."""
        assert picture is not None
        return overlay(picture, saliency_map(log_density).numpy())


class Array(VideoOutput):
    """Log densities as one .npy array: float32 (F, H, W), natural logarithm, exp of each sums to 1."""

    suffix = ".npy"

    def begin(self, path: Path, first: int, count: int) -> None:
        """Open a part."""
        self._array = np.lib.format.open_memmap(path, "w+", np.float32, (count, *self.video.size))
        self._next = 0

    def write(self, log_density: Tensor, picture: np.ndarray | None) -> None:
        """Append a frame."""
        self._array[self._next] = log_density.numpy()
        self._next += 1

    def end(self) -> None:
        """Close the part."""
        self._array.flush()
        del self._array

    def join(self, parts: Sequence[Path], starts: Sequence[int], target: Path) -> None:
        """Put parts together."""
        with replacing(target) as temporary:
            shape = (len(self.video), *self.video.size)
            whole = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
            for path, start in zip(parts, starts, strict=True):
                part = np.load(path, mmap_mode="r")
                whole[start : start + len(part)] = part
            whole.flush()

    def frames_in(self, path: Path) -> int:
        """How many frames the array has."""
        return len(np.load(path, mmap_mode="r"))


class HDF5(VideoOutput):
    """Log densities in HDF5: ``log_density`` float32 (F, H, W), one compressed chunk a frame, and ``time`` (F,)."""

    suffix = ".h5"

    def begin(self, path: Path, first: int, count: int) -> None:
        """Open a part."""
        self._file = _hdf5().File(path, "w")
        self._data = self._dataset(self._file, count)
        self._next = 0

    def write(self, log_density: Tensor, picture: np.ndarray | None) -> None:
        """Append a frame."""
        self._data[self._next] = log_density.numpy()
        self._next += 1

    def end(self) -> None:
        """Close the part."""
        self._file.close()

    def join(self, parts: Sequence[Path], starts: Sequence[int], target: Path) -> None:
        """Put parts together, chunk by chunk as they are compressed."""
        with replacing(target) as temporary, _hdf5().File(temporary, "w") as file:
            whole = self._dataset(file, len(self.video))
            whole.attrs["axes"] = "frame, y, x"
            whole.attrs["unit"] = "natural logarithm of the density per pixel; exp sums to 1"
            file.create_dataset("time", data=self.video.times).attrs["unit"] = "seconds from the first frame"
            for path, start in zip(parts, starts, strict=True):
                with _hdf5().File(path, "r") as part:
                    data = part["log_density"]
                    for k in range(len(data)):
                        mask, chunk = data.id.read_direct_chunk((k, 0, 0))
                        whole.id.write_direct_chunk((start + k, 0, 0), chunk, mask)

    def frames_in(self, path: Path) -> int:
        """How many frames the data set has."""
        with _hdf5().File(path, "r") as file:
            return len(file["log_density"])

    def _dataset(self, file: Any, count: int) -> Any:
        size = self.video.size
        options = {"chunks": (1, *size), "compression": "gzip", "compression_opts": 1, "shuffle": True}
        return file.create_dataset("log_density", (count, *size), np.float32, **options)


VIDEO_OUTPUTS: dict[str, type[VideoOutput]] = {"maps": Maps, "overlay": Overlay, "npy": Array, "hdf5": HDF5}
"""Kinds by the name that ``write_video`` knows them by."""


def _hdf5() -> Any:
    import h5py  # only here: it is slow to import

    return h5py
