"""Videos as numbered frames with times: files decoded by PyAV, or folders with one picture a frame.

    video = open_video("clip.mp4")
    video.size, len(video), video.times     # (height, width), number of frames, seconds from the first frame
    for frame in video.frames():            # one after the other, one in memory at a time
        ...
    clip = video.frames_at([10, 12, 14])    # any frames, in any order

What frame number i is
    The i-th frame that decoding the whole file from its start gives. Its time is its presentation time stamp,
    counted from that of the first: never i divided by some rate, so files of variable rate are right, and so are
    files that do not begin at 0.
    The numbers come from the packets' time stamps, which are read without decoding. Where these cannot be trusted
    (time stamps missing or twice, a beginning that cannot be decoded, hidden frames) the file is decoded once to
    count. Random access seeks to a key frame at or before the wanted frame, checks where it landed, and decodes
    from there to the wanted time stamp, so it gives what decoding from the start gives.

Pixels are as stored, turned upright where the file says that the camera was turned. A pixel aspect other than 1
is not undone: gaze is recorded on the stored pixels.
"""

from __future__ import annotations

import itertools
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError
from saliency_pred.data.image import IMAGE_SUFFIXES, image_size, read_image, read_map

Pixels = Literal["rgb", "grey"]
"""``rgb``: uint8 (H, W, 3). ``grey``: float32 (H, W), luma in [0, 1] at the file's full bit depth."""
Damaged = Literal["error", "keep"]
"""What becomes of a damaged video: refuse it, or go on with the frames that can be decoded."""

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".m2ts", ".ts", ".mts", ".wmv", ".flv", ".ogv",
     ".3gp", ".gif"}
)  # fmt: skip
"""Endings, in lower case, of the files that are taken for videos when a folder is listed."""

_HIDES_FRAMES = frozenset({"vp8"})
"""Codecs that have packets of their own for frames that are never shown."""


def open_video(
    path: str | Path,
    *,
    pixels: Pixels = "rgb",
    fps: float | None = None,
    damaged: Damaged = "error",
    index: VideoIndex | None = None,
    threads: int = 0,
) -> Video:
    """Open a video file or a folder of frames.

    Args:
        path: a video file of any format that FFmpeg knows, or a folder with one picture a frame, numbered in
            their names (``0001.png``, ``clip_001_012.jpg``, ``img_00001.jpg``, ``7.png``).
        pixels: ``rgb``: uint8 (H, W, 3); ``grey``: float32 (H, W) luma in [0, 1] at full bit depth, for maps.
        fps: frames a second of a folder, which needs it for its times. A file has times of its own.
        damaged: ``error`` refuses a file that is cut off or a folder in which numbers are missing; ``keep`` goes
            on with what can be decoded (which is then counted by decoding).
        index: of this file, from an earlier :attr:`VideoFile.index`; saves reading all time stamps again.
        threads: that decode; 0: as many as FFmpeg finds useful.

    Raises:
        BrokenFileError: it is missing, empty, truncated, no video, or cannot be decoded; the message names the
            remedy.
        DatasetLayoutError: a folder without numbered pictures.
        ValueError: an option that is none of these, or ``fps`` is missing.
    """
    path = Path(path).expanduser()
    for name, given, known in (("pixels", pixels, ("rgb", "grey")), ("damaged", damaged, ("error", "keep"))):
        if given not in known:
            raise ValueError(f"{name}={given!r} is none of {', '.join(map(repr, known))}")
    if path.is_dir():
        if fps is None:
            raise ValueError(f"{path} is a folder of frames, which has no times of its own; give fps=30 or the like")
        return FrameFolder(path, fps, pixels, damaged)
    return VideoFile(path, pixels, damaged, index, threads)


class Video(ABC):
    """Numbered frames with times. Nothing is held open, so it may be pickled and read from several places.

    Attributes:
        path: where it is.
        size: (height, width) of the frames as given out.
        times: (F,) float64, when each frame is first shown: seconds from the first frame, ascending.
        pixels: what a frame is, see :data:`Pixels`.
    """

    path: Path
    size: tuple[int, int]
    times: np.ndarray
    pixels: Pixels

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        height, width = self.size
        return f"{type(self).__name__}({str(self.path)!r}, {len(self)} frames of {height} x {width})"

    @property
    def fps(self) -> float:
        """Frames a second on average; NaN of a single frame."""
        return (len(self) - 1) / float(self.times[-1]) if len(self) > 1 else float("nan")

    @property
    def windows(self) -> np.ndarray:
        """(F, 2) float64 seconds: when each frame is on the screen, see :func:`frame_windows`."""
        return frame_windows(self.times)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """The frames ``start`` to ``stop`` (not included; None: the end), one in memory at a time.

        Raises:
            IndexError: there are no such frames.
            BrokenFileError: one cannot be decoded.
        """
        stop = len(self) if stop is None else stop
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"{self.path} has the frames 0 to {len(self) - 1}, not {start} to {stop - 1}")
        return self._read(start, stop)

    def frames_at(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, ...) the frames with these numbers, in this order; a number may come more than once.

        Raises:
            IndexError: there is no such frame, or none was asked for.
            BrokenFileError: one cannot be decoded.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if len(wanted) == 0:
            raise IndexError(f"{self.path}: no frame was asked for")
        if wanted.min() < 0 or wanted.max() >= len(self):
            raise IndexError(f"{self.path} has the frames 0 to {len(self) - 1}, not {wanted.min()} to {wanted.max()}")
        unique, place = np.unique(wanted, return_inverse=True)
        found = self._pick(unique)
        return np.stack([found[k] for k in place])

    @abstractmethod
    def _read(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """The frames from ``start`` to before ``stop``, which exist."""

    @abstractmethod
    def _pick(self, indices: np.ndarray) -> list[np.ndarray]:
        """The frames of ascending, different numbers, which exist."""


# ---------------------------------------------------------------------------------------------- times


def frame_windows(times: np.ndarray) -> np.ndarray:
    """(F, 2) float64: [start, end) of each frame; the last is shown as long as the one before (1 s if alone).

    Args:
        times: (F,) ascending.
    """
    times = np.asarray(times, dtype=np.float64)
    last = times[-1] - times[-2] if len(times) > 1 else 1.0
    return np.stack([times, np.append(times[1:], times[-1] + last)], axis=1)


def nearest_frames(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(n,) int64: for each wanted time the frame nearest in time, of two equally near the earlier one.

    Args:
        times: (F,) ascending seconds.
        wanted: (n,) seconds.
    """
    times, wanted = np.asarray(times, dtype=np.float64), np.asarray(wanted, dtype=np.float64)
    if len(times) == 1:
        return np.zeros(len(wanted), dtype=np.int64)
    after = np.searchsorted(times, wanted).clip(1, len(times) - 1)
    # A microsecond of tolerance, so that rounding does not decide between two frames.
    earlier = wanted - times[after - 1] <= times[after] - wanted + 1e-6
    return np.where(earlier, after - 1, after).astype(np.int64)


def resample(times: np.ndarray, fps: float) -> np.ndarray:
    """(n,) int64: the frame nearest to k / fps seconds for k = 0, 1, ... as long as the video lasts.

    The way back, from each frame of the file to the step of the network that stands for it, is
    ``nearest_frames(times[resample(times, fps)], times)``.

    Args:
        times: (F,) float64 seconds from the first frame, ascending.
        fps: frames a second that a network was made for.

    Raises:
        ValueError: ``fps`` is not above 0.
    """
    if not fps > 0:
        raise ValueError(f"fps={fps} must be above 0")
    times = np.asarray(times, dtype=np.float64)
    # Half a frame is room for time stamps that are rounded (to 1 ms in Matroska), and the last frame is shown longer.
    half = float(np.median(np.diff(times))) / 2 if len(times) > 1 else 0.0
    count = int(np.floor((times[-1] + min(half, 0.5 / fps)) * fps + 1e-6)) + 1
    return nearest_frames(times, np.arange(count) / fps)


# ---------------------------------------------------------------------------------------------- files


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """The numbers and times of a file's frames, without its pixels: small, and may be kept and pickled.

    Attributes:
        times: (F,) float64 seconds from the first frame.
        pts: (F,) int64 time stamps of the frames, ascending; empty where the file has none to go by.
        time_base: seconds a tick of ``pts``.
        size: (height, width) as stored.
        turn: quarter turns, counter-clockwise, that bring the stored picture upright.
        keys: (K, 3) int64, key frames in the order of decoding: time stamp, decoding time stamp, and place among
            all packets. Empty: the file can only be read from its start.
        packets: (P,) int64 time stamps of all packets in the order of decoding.
    """

    times: np.ndarray
    pts: np.ndarray
    time_base: Fraction
    size: tuple[int, int]
    turn: int
    keys: np.ndarray
    packets: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything by name, for storing; :meth:`from_arrays` is the way back."""
        base = np.array([self.time_base.numerator, self.time_base.denominator])
        shape = np.array([*self.size, self.turn])
        named = {name: getattr(self, name) for name in ("times", "pts", "keys", "packets")}
        return {**named, "base": base, "shape": shape}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> VideoIndex:
        """The index that :meth:`arrays` came from."""
        height, width, turn = arrays["shape"].tolist()
        base = Fraction(*arrays["base"].tolist())
        return cls(arrays["times"], arrays["pts"], base, (height, width), turn, arrays["keys"], arrays["packets"])


class VideoFile(Video):
    """A file, read by PyAV; made by :func:`open_video`.

    Attributes:
        index: numbers and times of its frames; its ``pts`` and ``time_base`` are those of the file.
    """

    def __init__(self, path: Path, pixels: Pixels, damaged: Damaged, index: VideoIndex | None, threads: int) -> None:
        self.path = path
        self.pixels = pixels
        self.damaged = damaged
        self.threads = threads
        self.index = self._scan() if index is None else index
        height, width = self.index.size
        self.size = (width, height) if self.index.turn % 2 else (height, width)
        self.times = self.index.times

    def _read(self, start: int, stop: int) -> Iterator[np.ndarray]:
        return map(self._pixels_of, self._run(start, stop))

    def _pick(self, indices: np.ndarray) -> list[np.ndarray]:
        found = []
        for run in self._runs(indices):
            mine = set(run.tolist())
            first, last = int(run[0]), int(run[-1])
            for number, frame in enumerate(self._run(first, last + 1), first):
                if number in mine:
                    found.append(self._pixels_of(frame))
        return found

    def _runs(self, indices: np.ndarray) -> list[np.ndarray]:
        """Ascending frame numbers, cut where seeking skips frames that would be decoded for nothing."""
        if not len(self.index.keys):
            return [indices]
        group = np.searchsorted(np.sort(self.index.keys[:, 0]), self.index.pts[indices], side="right")
        cut = np.flatnonzero((np.diff(group) > 0) & (np.diff(indices) > 1)) + 1
        return np.split(indices, cut)

    # ------------------------------------------------------------------ decoding

    def _run(self, start: int, stop: int) -> Iterator[Any]:
        """The frames from ``start`` to before ``stop``, as PyAV's objects."""
        if start >= stop:
            return
        if not len(self.index.keys):
            given = 0
            for frame in self._frames_from(None):
                if given >= start:
                    yield frame
                given += 1
                if given == stop:
                    return
            raise self._undecodable(given)
        wanted = self.index.pts[start:stop].tolist()
        given = 0
        for key in self._entries(wanted[0]):
            for frame in self._frames_from(key):
                if frame.pts is None or frame.pts < wanted[given]:
                    continue
                if frame.pts > wanted[given] or frame.is_corrupt:
                    break  # the wanted frame did not come, or not whole
                yield frame
                given += 1
                if given == len(wanted):
                    return
            if given:
                break
        raise self._undecodable(start + given)

    def _entries(self, pts: int) -> list[np.ndarray | None]:
        """Where decoding may begin to reach a time stamp: the last two key frames up to it, then the start."""
        before = self.index.keys[self.index.keys[:, 0] <= pts]
        return [*before[:-3:-1], None]

    def _frames_from(self, key: np.ndarray | None) -> Generator[Any]:
        """All frames from a key frame, or one before it, on (None: from the start); none if it cannot be sought."""
        av = _library()
        with self._opened() as (container, stream):
            packets = container.demux(stream) if key is None else self._sought(container, stream, key)
            while True:
                try:
                    packet = next(packets, None)
                    frames = [] if packet is None else packet.decode()
                except (av.error.FFmpegError, OSError) as problem:
                    if self.damaged == "keep":
                        continue
                    raise BrokenFileError(
                        f"{self.path} is damaged ({problem}); copy or download it again, or go on with what can be "
                        "decoded (damaged=keep)"
                    ) from problem
                yield from frames
                if packet is None:
                    return

    def _sought(self, container: Any, stream: Any, key: np.ndarray) -> Iterator[Any]:
        """The packets from a key frame, or one before it, on; none where seeking lands elsewhere."""
        av = _library()
        pts, dts, place = key.tolist()
        for stamp in dict.fromkeys((pts, dts)):  # containers are indexed by one or the other
            try:
                container.seek(stamp, stream=stream, backward=True)
                packets = container.demux(stream)
                first = next(packets, None)
            except (av.error.FFmpegError, OSError):
                continue
            if first is None or not first.is_keyframe:
                continue
            if first.pts in self.index.packets[: place + 1]:
                yield first
                yield from packets
                return

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        """The container and its video stream."""
        av = _library()
        try:
            container = av.open(str(self.path))
        except (av.error.FFmpegError, OSError, ValueError) as problem:
            raise self._unreadable(problem) from problem
        with container:
            streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
            if not streams:
                raise BrokenFileError(f"{self.path} has no moving pictures in it, only sound or a cover")
            streams[0].thread_type = "AUTO"
            streams[0].codec_context.thread_count = self.threads
            yield container, streams[0]

    # ------------------------------------------------------------------ what is in the file

    def _scan(self) -> VideoIndex:
        """Number the frames by their packets' time stamps, or by decoding where these cannot be trusted."""
        av = _library()
        if self.damaged == "error" and cut_off(self.path):
            raise BrokenFileError(
                f"{self.path} is truncated: it is shorter than its own header says; copy or download it again, or go "
                "on with the frames that are there (damaged=keep)"
            )
        with self._opened() as (container, stream):
            rate = stream.average_rate or stream.guessed_rate
            codec, reorders = stream.codec_context.name, stream.codec_context.has_b_frames
            time_base = stream.time_base
            packets = []
            try:
                for packet in container.demux(stream):
                    packets.append((packet.pts, packet.dts, packet.is_keyframe, packet.is_discard, packet.size))
            except (av.error.FFmpegError, OSError) as problem:
                if self.damaged == "error":
                    raise self._unreadable(problem) from problem
        packets = packets[:-1] if packets and packets[-1][-1] == 0 else packets  # the last one flushes the decoder
        shown = sorted(p[0] for p in packets if p[0] is not None and not p[3])
        frames = self._frames_from(None)
        first = next(frames, None)
        frames.close()
        if first is None:
            raise BrokenFileError(f"{self.path}: not one frame can be decoded; copy or download it again")
        size, turn = (first.height, first.width), round(first.rotation / 90) % 4
        trusted = (
            self.damaged == "error"
            and codec not in _HIDES_FRAMES
            and all(p[0] is not None and p[4] > 0 for p in packets)
            and len({p[0] for p in packets}) == len(packets)
            and packets[0][2]
            and len(shown) > 0
            # AVI stores the order of decoding alone, also where frames are shown in another.
            and not (reorders and all(a[0] < b[0] for a, b in itertools.pairwise(packets)))
            and first.pts == shown[0]  # else frames before the first key frame refer to what is not there
            and time_base is not None
        )
        if not trusted:
            return self._count(size, turn, rate, time_base)
        pts = np.array(shown, dtype=np.int64)
        keys = [(p[0], p[0] if p[1] is None else p[1], i) for i, p in enumerate(packets) if p[2]]
        return VideoIndex(
            times=(pts - pts[0]) * float(time_base),
            pts=pts,
            time_base=time_base,
            size=size,
            turn=turn,
            keys=np.array(keys, dtype=np.int64),
            packets=np.array([p[0] for p in packets], dtype=np.int64),
        )

    def _count(self, size: tuple[int, int], turn: int, rate: Fraction | None, time_base: Fraction | None) -> VideoIndex:
        """Number the frames by decoding all of them."""
        stamps = [frame.pts for frame in self._frames_from(None)]
        known = time_base is not None and all(s is not None for s in stamps)
        pts = np.array(stamps if known else [], dtype=np.int64)
        if known and bool((np.diff(pts) > 0).all()):
            times = (pts - pts[0]) * float(time_base or 0)
        elif rate:
            pts, times = pts[:0], np.arange(len(stamps)) / float(rate)
        else:
            raise BrokenFileError(
                f"{self.path} states neither when its frames are shown nor at what rate; write it as MP4 or Matroska"
            )
        none = np.zeros((0, 3), dtype=np.int64)
        return VideoIndex(times, pts, time_base or Fraction(0), size, turn, none, none[:, 0])

    def _pixels_of(self, frame: Any) -> np.ndarray:
        height, width = self.index.size  # a stream may change its size on the way; players scale it back
        if self.pixels == "rgb":
            # Naming the target's matrix, which RGB has none of, makes older PyAV heed that of the source.
            options = {"format": "rgb24", "width": width, "height": height, "dst_colorspace": "DEFAULT"}
            picture: np.ndarray = frame.to_ndarray(**options)
        else:
            picture = _grey(frame if (frame.height, frame.width) == (height, width) else frame.reformat(width, height))
        return np.ascontiguousarray(np.rot90(picture, self.index.turn)) if self.index.turn else picture

    def _undecodable(self, number: int) -> BrokenFileError:
        return BrokenFileError(
            f"{self.path}: frame {number} of {len(self)}, at {self.times[number]:.3f} s, cannot be decoded: the file "
            "is damaged there; copy or download it again, or go on without such frames (damaged=keep)"
        )

    def _unreadable(self, problem: Exception) -> BrokenFileError:
        if isinstance(problem, FileNotFoundError):
            return BrokenFileError(f"{self.path} does not exist (or is a link to a file that does not)")
        if isinstance(problem, PermissionError):
            return BrokenFileError(f"{self.path} may not be read by this user; change its permissions (chmod u+r)")
        size = self.path.stat().st_size if self.path.exists() else 0
        if size == 0:
            return BrokenFileError(f"{self.path} is empty (0 bytes); copy or download it again")
        return BrokenFileError(
            f"{self.path} is truncated or no video ({size} bytes; {problem}); copy or download it again"
        )


def cut_off(path: Path) -> bool:
    """Whether an MP4, AVI or Matroska file is shorter than its own header says.

    False for other formats, which do not say, and for files that cannot be read.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(64)
            if head[:4] == b"RIFF":
                stated = int.from_bytes(head[4:8], "little")
                return 0 < stated < 0xFFFFFFFF and stated + 8 > size + 1  # odd chunks may lack their padding
            if head[:4] == b"\x1a\x45\xdf\xa3":
                length, at = _ebml_length(head, 4)
                at += length
                file.seek(at)
                head = file.read(16)
                length, at_segment = _ebml_length(head, 4)
                unknown = length == (1 << 7 * (at_segment - 4)) - 1  # all ones: written to a pipe
                return head[:4] == b"\x18\x53\x80\x67" and not unknown and at + at_segment + length > size
            if head[4:8] == b"ftyp":
                return _boxes_exceed(file, size)
    except (OSError, IndexError):
        pass
    return False


def _ebml_length(data: bytes, at: int) -> tuple[int, int]:
    """An element's length, which is stored with as many bytes as its first has leading zeros, and where it ends."""
    count = 9 - data[at].bit_length()
    return int.from_bytes(data[at : at + count], "big") & ((1 << 7 * count) - 1), at + count


def _boxes_exceed(file: Any, size: int) -> bool:
    """Whether the last of the boxes that an MP4 file consists of ends after the file."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 0:  # to the end of the file, wherever that is
            return False
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            return False
        at += length
    return at > size


def _grey(frame: Any) -> np.ndarray:
    """float32 (H, W) luma in [0, 1] of a decoded frame, at full bit depth; of RGB the mean of the channels."""
    name, bits = frame.format.name, frame.format.components[0].bits
    if frame.format.is_rgb or name.startswith("pal"):
        deep = bits > 8
        levels = frame.to_ndarray(format="rgb48le" if deep else "rgb24")
        return (levels.mean(-1, dtype=np.float32) / (65535 if deep else 255)).astype(np.float32)
    if not name.startswith(("yuv4", "yuvj4", "gray", "nv12")) or name.endswith("be") or name.startswith("yuyv"):
        wide = "yuv444p16le" if bits > 8 else "yuv444p"
        frame = frame.reformat(format=wide)
        name, bits = wide, frame.format.components[0].bits
    plane = frame.planes[0]
    dtype = np.dtype("<u2") if bits > 8 else np.dtype(np.uint8)
    rows = np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
    levels = rows[: frame.height, : frame.width].astype(np.float32)
    if name.startswith(("gray", "yuvj")) or frame.color_range == 2:  # AVCOL_RANGE_JPEG: full
        return levels / np.float32(2**bits - 1)
    unit = 2.0 ** (bits - 8)
    return np.clip((levels - np.float32(16 * unit)) / np.float32(219 * unit), 0, 1)


def _library() -> Any:
    """PyAV, imported when the first file is read: it is an optional dependency."""
    try:
        import av
    except ImportError as problem:
        raise ImportError("video files are read by PyAV: pip install 'saliency-pred[video]'") from problem
    return av


# ---------------------------------------------------------------------------------------------- folders


class FrameFolder(Video):
    """A folder with one picture a frame; made by :func:`open_video`.

    The frames are ordered by the number in their names, whatever stands around it and whatever the pictures'
    formats. Numbers may begin anywhere and go up in even steps; frame 0 is the first.

    Attributes:
        names: of the pictures, in order.
        numbers: (F,) int64, as in their names.
    """

    def __init__(self, path: Path, fps: float, pixels: Pixels = "rgb", damaged: Damaged = "error") -> None:
        if not fps > 0:
            raise ValueError(f"fps={fps} must be above 0")
        self.path = path
        self.pixels = pixels
        self.names, numbers = numbered_pictures(path)
        self.numbers = np.array(numbers, dtype=np.int64)
        steps = np.diff(self.numbers)
        step = int(steps.min()) if len(steps) else 1
        if damaged == "error" and bool((steps != step).any()):
            at = int(np.flatnonzero(steps != step)[0])
            raise BrokenFileError(
                f"{path}: {self.names[at]} is followed by {self.names[at + 1]}, others go up by {step}; "
                f"{int(steps.sum()) // step + 1 - len(self.names)} frames are missing. Copy the folder again, or go on "
                "without them (damaged=keep)"
            )
        self.times = (self.numbers - self.numbers[0]) / step / fps
        self.size = image_size(path / self.names[0])

    def _read(self, start: int, stop: int) -> Iterator[np.ndarray]:
        return map(self._picture, range(start, stop))

    def _pick(self, indices: np.ndarray) -> list[np.ndarray]:
        return [self._picture(int(i)) for i in indices]

    def _picture(self, number: int) -> np.ndarray:
        path = self.path / self.names[number]
        picture = read_image(path) if self.pixels == "rgb" else read_map(path) / np.float32(_white(path))
        if picture.shape[:2] != self.size:
            raise BrokenFileError(
                f"{path} is {picture.shape[0]} x {picture.shape[1]} (height x width), the frames before it are "
                f"{self.size[0]} x {self.size[1]}; all frames of a video have one size"
            )
        return picture


def numbered_pictures(folder: Path) -> tuple[list[str], list[int]]:
    """The names of a folder's pictures in the order of the numbers in them, and these numbers.

    Raises:
        BrokenFileError: it may not be listed.
        DatasetLayoutError: it holds no pictures, pictures without number, or those of several videos.
    """
    try:
        names = sorted(e.name for e in os.scandir(folder) if not e.name.startswith("."))
    except OSError as problem:
        raise BrokenFileError(f"{folder} cannot be listed: {problem.strerror}") from problem
    names = [n for n in names if os.path.splitext(n)[1].lower() in IMAGE_SUFFIXES]
    if not names:
        raise DatasetLayoutError(f"{folder} holds no pictures ({', '.join(sorted(IMAGE_SUFFIXES))})")
    parts = {name: re.split(r"(\d+)", os.path.splitext(name)[0]) for name in names}
    pattern = parts[names[0]]
    varying = {len(pattern) - 2} if len(names) == 1 else set()
    for name, mine in parts.items():
        if len(mine) == 1:
            raise DatasetLayoutError(f"{folder / name} has no number in its name, which would tell which frame it is")
        if len(mine) != len(pattern) or mine[::2] != pattern[::2]:
            raise DatasetLayoutError(
                f"{folder} holds {names[0]} and {name}: frames of one video differ in their numbers only; put each "
                "video into a folder of its own"
            )
        varying |= {k for k in range(1, len(mine), 2) if int(mine[k]) != int(pattern[k])}
    if len(varying) > 1:
        raise DatasetLayoutError(
            f"{folder} holds {names[0]} ... {names[-1]}, which differ in more than one number; put each video into a "
            "folder of its own"
        )
    place = varying.pop() if varying else len(pattern) - 2
    numbered = sorted((int(mine[place]), name) for name, mine in parts.items())
    for (number, one), (other, two) in itertools.pairwise(numbered):
        if number == other:
            raise DatasetLayoutError(f"{folder} holds {one} and {two}, which have the same number; remove one of them")
    return [name for _, name in numbered], [number for number, _ in numbered]


def _white(path: Path) -> int:
    """The largest level that a picture's format can store: 65535 of 16-bit PNG and TIFF, else 255."""
    try:
        with path.open("rb") as file:
            head = file.read(25)
        if head[:8] == b"\x89PNG\r\n\x1a\n":
            return 65535 if head[24] == 16 else 255
        with Image.open(path) as picture:
            return 65535 if picture.mode.startswith("I") else 255
    except OSError as problem:
        raise BrokenFileError(f"{path} cannot be read: {problem}; copy it again") from problem
