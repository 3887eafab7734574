"""Boards of the MSU challenges: one video of maps for each video."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from saliency_pred.data.errors import BrokenFileError
from saliency_pred.data.video import open_video
from saliency_pred.inference.video_writer import VideoWriter
from saliency_pred.submission.check import Check
from saliency_pred.submission.staging import Staging
from saliency_pred.submission.videos import VideoBoard, WantedVideo

_JITTER = 0.02
"""Frames may come so much too early or late, in shares of a frame: containers round time stamps."""


class MapVideoBoard(VideoBoard):
    """``NAME.mp4`` for every video, of as many frames, H.264 in 10 bits.

    The scorer lets ffmpeg write the frames as pictures at a constant rate, stretches each to [0, 1] and resizes it
    to the human map; a video of variable rate would gain or lose frames there. What the coding
    costs is in :mod:`saliency_pred.inference.video_writer`, and measured for every archive that is built.

    Args:
        crf: quality of the coding, 0 (lossless) to 51; 18 or less keeps the maps.
    """

    def __init__(self, crf: int = 16) -> None:
        if not 0 <= crf <= 51:
            raise ValueError(f"board.crf={crf} must be from 0 to 51")
        self.crf = crf

    def hint(self) -> str:
        """How files are named."""
        return "maps are named as their videos, with .mp4, in no folder"

    def entries(self, video: WantedVideo) -> list[str]:
        """One file."""
        return [f"{video.name}.mp4"]

    def write(self, video: WantedVideo, maps: Iterator[np.ndarray], staging: Staging) -> None:
        """Encode at the constant rate of the video."""
        with staging.writing(self.entries(video)[0]) as path:
            encode(path, maps, constant_rate(video.times), self.crf)

    def look_at(self, check: Check, archive: zipfile.ZipFile, video: WantedVideo, folder: str) -> None:
        """Decode it whole: number of frames, rate, shape, bits, content."""
        name = f"{folder}{self.entries(video)[0]}"
        with _extracted(archive, name) as path:
            try:
                stored = open_video(path, pixels="grey", threads=1)
                check.entries += len(stored)
                if len(stored) != video.frames:
                    check.refuse("has another number of frames", f"{name} ({len(stored)} for {video.frames})")
                    return
                if not _constant(stored.times):
                    check.refuse(
                        "shows frames at a variable rate or out of their order: the scorer's ffmpeg would drop or "
                        "repeat some", name,
                    )  # fmt: skip
                    return
                shape, wanted = stored.size, video.size
                if (shape[0] > shape[1]) != (wanted[0] > wanted[1]) and wanted[0] != wanted[1]:
                    check.refuse(
                        "is turned by 90 degrees", f"{name} ({shape[0]} x {shape[1]} for {wanted[0]} x {wanted[1]})"
                    )
                    return
                if abs(shape[0] * wanted[1] / (shape[1] * wanted[0]) - 1) > 0.02:
                    check.warn("has another aspect than its video: the scorer stretches it", name)
                if eight_bits(path):
                    check.warn("has 8 bits, which cost NSS .004 and more of KLD: write 10 (yuv420p10le)", name)
                flat = sum(1 for frame in stored.frames() if np.ptp(frame) == 0)
                if flat:
                    check.refuse("has frames that are the same everywhere", f"{name} ({flat} of {video.frames})")
            except BrokenFileError as error:
                check.refuse("cannot be decoded", f"{name} ({str(error).replace(str(path), 'it')})")

    def read(self, file: Path, video: WantedVideo) -> Iterator[np.ndarray]:
        """Decoded frames, each stretched to [0, 1] as the scorer does."""
        entry = f"{self.folder(file)}{self.entries(video)[0]}"
        with zipfile.ZipFile(file) as archive, _extracted(archive, entry) as path:
            for frame in open_video(path, pixels="grey", threads=1).frames():
                low, high = float(frame.min()), float(frame.max())
                yield (frame - low) / (high - low) if high > low else np.zeros_like(frame)


@contextmanager
def _extracted(archive: zipfile.ZipFile, name: str) -> Iterator[Path]:
    """A video of the archive as a file, as long as the block lasts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.mp4"
        with archive.open(name) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        yield path


def encode(path: Path, maps: Iterator[np.ndarray], rate: Fraction, crf: int) -> None:
    """Write maps in [0, 1] at a constant rate that the file states.

    Raises:
        OSError: PyAV is not installed.
    """
    _library()
    first = next(maps)
    height, width = first.shape
    with VideoWriter(path, (height, width), 1 / rate, "map", crf, rate) as writer:
        for number, map_ in enumerate(itertools.chain([first], maps)):
            writer.write(map_, number)


def constant_rate(times: np.ndarray) -> Fraction:
    """Frames a second on average, as a ratio that is near; 30 for a single frame."""
    if len(times) < 2:
        return Fraction(30)
    fps = (len(times) - 1) / float(times[-1] - times[0])
    for known in (Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)):
        if abs(fps / known - 1) < 1e-5:
            return known
    return Fraction(fps).limit_denominator(1000)


def eight_bits(path: Path) -> bool:
    """Whether a video stores 8 bits a pixel."""
    av = _library()
    with av.open(str(path)) as container:
        return max(c.bits for c in container.streams.video[0].codec_context.format.components) <= 8


def _constant(times: np.ndarray) -> bool:
    steps = np.diff(times)
    return len(steps) == 0 or bool((np.abs(steps - np.median(steps)) < max(_JITTER * np.median(steps), 2e-3)).all())


def _library() -> Any:
    try:
        import av
    except ImportError as missing:
        raise OSError("videos of maps are written by PyAV: pip install 'saliency-pred[video]'") from missing
    return av
