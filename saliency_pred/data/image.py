"""Reading pictures: any format a data set or a user may have, as RGB the way it is shown.

OpenCV decodes what it decodes right and fast (JPEG, PNG, BMP); Pillow does the rest: CMYK, palettes,
transparency and everything unusual. Both apply the EXIF rotation: people looked at the rotated picture.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from saliency_pred.data.errors import BrokenFileError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})
"""Endings, in lower case, of the files that are taken for pictures when a folder is listed."""

_UNROTATED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
_ORIENTATION = 0x0112  # EXIF tag; values 5 to 8 swap width and height


def read_image(path: str | Path, exif: bool = True, max_pixels: int | None = None) -> np.ndarray:
    """uint8 (H, W, 3) RGB, rotated as EXIF says (unless ``exif`` is False; TIFF always is).

    Grey becomes three equal channels, 16 bit are cut to the upper 8, transparency is laid on white (what a
    browser page shows), CMYK is converted, and of animations the first frame is taken.

    Args:
        path: of the file.
        exif: whether to rotate.
        max_pixels: a file whose header states more is not decoded; None: the limits of the libraries.

    Raises:
        BrokenFileError: the file is missing, empty, truncated, not permitted, no picture or too large.
    """
    data = _read_bytes(path)
    if max_pixels is not None:
        with _no_bomb_limit():
            return _decoded(path, data, exif, max_pixels)
    return _decoded(path, data, exif, None)


def _decoded(path: str | Path, data: bytes, exif: bool, max_pixels: int | None) -> np.ndarray:
    if max_pixels is not None:
        try:
            with Image.open(io.BytesIO(data)) as header:
                width, height = header.size
        except Exception as problem:
            raise _unreadable(path, len(data), problem) from problem
        if width * height > max_pixels:
            raise BrokenFileError(
                f"{path} has {width} x {height} = {width * height:,} pixels, more than the limit of {max_pixels:,}; "
                "make it smaller or raise max_pixels"
            )
    if _is_simple(data):
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR if exif else _UNROTATED)
        if decoded is not None:
            return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            return to_rgb(ImageOps.exif_transpose(picture) if exif else picture)
    except Exception as problem:  # Pillow raises OSError, SyntaxError, ValueError, struct.error ... by format
        raise _unreadable(path, len(data), problem) from problem


def read_map(path: str | Path) -> np.ndarray:
    """float32 (H, W) with the grey levels of a saliency or fixation map, unscaled (0 .. 255 for 8 bit).

    A coloured file is averaged to grey with the usual luma weights.

    Raises:
        BrokenFileError: as :func:`read_image`.
    """
    data = _read_bytes(path)
    if _is_complete(data):
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
        if decoded is not None:
            return decoded.astype(np.float32)
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            if picture.mode not in ("L", "I", "F", "I;16"):
                picture = picture.convert("L")  # type: ignore[assignment]
            return np.asarray(picture, dtype=np.float32)
    except Exception as problem:
        raise _unreadable(path, len(data), problem) from problem


def image_size(path: str | Path, exif: bool = True) -> tuple[int, int]:
    """(height, width) as :func:`read_image` gives it, from the file's header alone.

    Raises:
        BrokenFileError: the header cannot be read.
    """
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            if picture.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8):
                if picture.format == "TIFF":  # Pillow's releases differ in whether the size is turned already
                    height, width = read_image(path, exif).shape[:2]
                elif exif:
                    width, height = height, width
            return height, width
    except Exception as problem:
        raise _unreadable(path, None, problem) from problem


def _read_bytes(path: str | Path) -> bytes:
    try:
        data = Path(path).read_bytes()
    except OSError as problem:
        raise _unreadable(path, None, problem) from problem
    if not data:
        raise BrokenFileError(f"{path} is empty (0 bytes); copy or download it again")
    return data


def _unreadable(path: str | Path, size: int | None, problem: Exception) -> BrokenFileError:
    path = Path(path)
    if isinstance(problem, FileNotFoundError):
        return BrokenFileError(f"{path} does not exist (or is a link to a file that does not)")
    if isinstance(problem, PermissionError):
        return BrokenFileError(f"{path} may not be read by this user; change its permissions (chmod u+r)")
    if isinstance(problem, IsADirectoryError):
        return BrokenFileError(f"{path} is a folder where an image file was expected")
    if isinstance(problem, Image.DecompressionBombError):
        return BrokenFileError(f"{path} has too many pixels to be opened safely ({problem}); make it smaller")
    if isinstance(problem, OSError) and problem.errno is not None:  # the system's word: a link loop, a lost disk ...
        return BrokenFileError(f"{path} cannot be read: {problem.strerror}")
    if size is None:
        size = path.stat().st_size
    if size == 0:
        return BrokenFileError(f"{path} is empty (0 bytes); copy or download it again")
    what = str(problem).replace("<_io.BytesIO object at", "data at")
    kind = "is truncated" if "truncated" in what.lower() else "is damaged or no picture"
    return BrokenFileError(f"{path} {kind} ({size} bytes; {type(problem).__name__}: {what}); copy or download it again")


def _is_complete(data: bytes) -> bool:
    """Whether the file ends as its format says; OpenCV silently fills a truncated picture up with grey."""
    if data[:2] == b"\xff\xd8":
        return data[-2:] == b"\xff\xd9"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return data[-8:-4] == b"IEND"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) >= int.from_bytes(data[4:8], "little") + 8
    if data[:2] == b"BM":
        return len(data) >= int.from_bytes(data[2:6], "little")
    return False


def _is_simple(data: bytes) -> bool:
    """Whether OpenCV reads this file as :func:`read_image` promises."""
    if not _is_complete(data):
        return False
    if data[:2] == b"\xff\xd8":
        return _jpeg_channels(data) in (1, 3)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        # Colour type 0 grey, 2 RGB; 3 palette, 4 and 6 with alpha; a tRNS chunk makes one colour transparent.
        return data[25] in (0, 2) and b"tRNS" not in data[: data.find(b"IDAT")]
    return data[:2] == b"BM" and int.from_bytes(data[28:30], "little") == 24


def _jpeg_channels(data: bytes) -> int:
    """Number of colour channels from the frame header; 0 if there is none."""
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return 0
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[at + 9]
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0


@contextmanager
def _no_bomb_limit() -> Iterator[None]:
    """Without Pillow's own limit, where another one is kept."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def to_rgb(picture: Image.Image) -> np.ndarray:
    """uint8 (H, W, 3) of a Pillow image, by the rules of :func:`read_image`; EXIF is not looked at.

    Raises:
        ValueError: a floating-point picture.
    """
    if picture.mode.startswith("I"):  # 16-bit grey, as I;16 or (by older Pillow) widened to I
        return np.repeat((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)[..., None], 3, -1)
    if picture.mode == "F":
        raise ValueError("floating-point pictures have no agreed white; save it with 8 or 16 bit")
    if "A" in picture.getbands() or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, layer)
    return np.array(picture.convert("RGB"))
