"""Unpacking archives of strangers: nothing outside the target folder, no links, no endless output."""

from __future__ import annotations

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from saliency_pred.data.errors import BrokenFileError

MAX_RATIO = 50
"""An archive may unpack to so many times its own size; pictures do not shrink, MATLAB files about tenfold."""
_SLACK = 64 << 20  # bytes that are granted beyond that, for small archives of text
_BLOCK = 1 << 20


class UnsafeArchiveError(ValueError):
    """An archive that would write outside its folder, or unpack to far more than any data set holds."""


def unpack(
    archive: Path,
    target: Path,
    strip: int = 0,
    keep: tuple[str, ...] = (),
    step: Callable[[int], object] = lambda size: None,
) -> int:
    """Unpack a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz into a folder.

    Every path is checked before anything is written. Links, devices and hidden AppleDouble files are
    passed over; permissions and times are not taken over.

    Args:
        archive: its kind is told by its content.
        target: made if needed; files that are there already are overwritten.
        strip: so many leading folders are cut off every path; what lies above is passed over.
        keep: only paths (after ``strip``) that are one of these, or lie below one that ends in ``/``.
        step: called with the bytes written, as they are written.

    Returns:
        how many files were written.

    Raises:
        UnsafeArchiveError: a path is absolute or climbs out of the folder, or the content is too large.
        BrokenFileError: the archive is damaged, or is none.
    """
    limit = archive.stat().st_size * MAX_RATIO + _SLACK
    written = count = 0
    try:
        planned = [name for name, _ in _members(archive)]
        for name in planned:
            _check(name, archive)
        for name, open_member in _members(archive):
            path = _wanted(name, strip, keep)
            if path is None:
                continue
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with open_member() as source, file.open("wb") as sink:
                while block := source.read(_BLOCK):
                    written += len(block)
                    if written > limit:
                        raise UnsafeArchiveError(
                            f"{archive} unpacks to more than {MAX_RATIO} times its size "
                            f"(stopped at {written:,} bytes): this is no data set; delete it"
                        )
                    sink.write(block)
                    step(len(block))
            count += 1
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError) as problem:
        raise BrokenFileError(f"{archive} is damaged or no archive ({problem}); download it again") from problem
    except RuntimeError as problem:  # zipfile's word for a password or an unknown compression
        raise BrokenFileError(f"{archive} cannot be unpacked: {problem}") from problem
    return count


def _members(archive: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    """Name and opener of every regular file, in the archive's order."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                mode = info.external_attr >> 16
                if not info.is_dir() and (mode == 0 or not stat.S_IFMT(mode) or stat.S_ISREG(mode)):
                    yield info.filename, lambda info=info: opened.open(info)  # type: ignore[misc]
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isreg():
                yield member.name, lambda member=member: tar.extractfile(member)  # type: ignore[misc]
        # gzip's checksum stands behind the last block, which tarfile has no reason to read.
        while tar.fileobj is not None and tar.fileobj.read(_BLOCK):
            pass


def _check(name: str, archive: Path) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0] or "\0" in name:
        raise UnsafeArchiveError(
            f"{archive} holds the path {name!r}, which leads out of the folder it is unpacked to; "
            "nothing of it was unpacked: get the archive from the data set's own page"
        )


def _wanted(name: str, strip: int, keep: tuple[str, ...]) -> PurePosixPath | None:
    parts = PurePosixPath(name.replace("\\", "/")).parts[strip:]
    if not parts or parts[0] == "__MACOSX" or parts[-1].startswith("._") or parts[-1] == ".DS_Store":
        return None
    path = PurePosixPath(*parts)
    if keep and not any(str(path) == k or (k.endswith("/") and str(path).startswith(k)) for k in keep):
        return None
    return path
