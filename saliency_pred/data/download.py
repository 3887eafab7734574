"""Downloading data sets: resumed after an interruption, checked, put in place whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from saliency_pred.data.archive import unpack
from saliency_pred.data.catalogue import RemoteFile, Source, readable_size
from saliency_pred.data.manifest import compare, load_manifest
from saliency_pred.version import __version__

_BLOCK = 1 << 18
_TIMEOUT = 60.0  # seconds without a byte
_PAUSES = (1.0, 2.0, 5.0, 15.0)
"""Seconds before the next attempt at one address, by how many in a row brought nothing; then it is given up."""

Progress = Callable[[int, int, int | None], object]
"""Called with (bytes just received, bytes that are here, bytes in all or None)."""


class DownloadError(OSError):
    """A file could not be had from any of its addresses; says what happened at each and what to do."""


class ChecksumError(DownloadError):
    """What arrived is not what was published."""


def fetch_file(remote: RemoteFile, folder: Path, progress: Progress = lambda new, here, total: None) -> Path:
    """Download one file into a folder, going on where an earlier attempt stopped.

    Bytes go to ``NAME.part`` and the finished, checked file gets its name at the end. If the server cannot
    resume, or the file there has changed since, the download starts from the beginning.

    Returns:
        the file; at once if it is there already.

    Raises:
        ChecksumError: every address delivered something else than the published checksum.
        DownloadError: no address delivered the whole file; what came is kept for the next attempt.
        OSError: the disk is full or may not be written to.
    """
    target = folder / remote.name
    if target.is_file() and (remote.md5 is None or md5(target) == remote.md5):
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise _explained(problem, folder) from problem
    failures: list[str] = []
    wrong = False
    for url in remote.urls:
        try:
            part = _fetch(url, target.with_name(f"{target.name}.part"), progress)
        except DownloadError as problem:
            failures.append(f"{url}: {problem}")
            continue
        if remote.md5 is not None and (found := md5(part)) != remote.md5:
            _forget(part)
            wrong = True
            failures.append(f"{url}: MD5 is {found}, published is {remote.md5}")
            continue
        os.replace(part, target)
        _forget(part)
        return target
    listed = "\n  ".join(failures)
    if wrong:
        raise ChecksumError(
            f"{remote.name} is not the published file:\n  {listed}\n"
            "It was changed on the server or on the way (a login page in its place, for instance) and was deleted. "
            "Try again later, or get it by hand from the data set's page."
        )
    raise DownloadError(
        f"{remote.name} could not be downloaded:\n  {listed}\n"
        "What arrived is kept: the same command goes on from there."
    )


def remote_size(url: str) -> int | None:
    """Bytes of the file at an address, if the server says so; None if it does not, or does not answer."""
    try:
        with _open(url, {}, method="HEAD") as answer:
            return _length(answer)
    except (OSError, http.client.HTTPException):
        return None


def install(
    source: Source,
    folder: Path,
    downloads: Path,
    progress: Progress = lambda new, here, total: None,
    unpacked: Callable[[int], object] = lambda size: None,
) -> int:
    """Download and unpack all files of a source; ``folder`` appears when everything is in it.

    Args:
        source: what to get.
        folder: of the data set; must not exist, or be empty.
        downloads: where archives are kept until everything is in place; what is there from an earlier
            attempt is used.
        progress: see :data:`Progress`.
        unpacked: called with bytes as they are unpacked.

    Returns:
        how many files ``folder`` holds.

    Raises:
        FileExistsError: ``folder`` holds something.
        ChecksumError: the unpacked files are not those of the release.
        DownloadError, UnsafeArchiveError, BrokenFileError, OSError: see :func:`fetch_file` and
            :func:`~saliency_pred.data.archive.unpack`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there already; move or delete it to download it again")
    arrived = [fetch_file(remote, downloads, progress) for remote in source.files]
    staging = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        for remote, path in zip(source.files, arrived, strict=True):
            place = staging / remote.into
            if remote.unpack:
                unpack(path, place, remote.strip, remote.keep, unpacked)
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place / remote.name)
        if source.manifest is not None:
            check_contents(staging, source.manifest)
        if folder.is_dir():
            folder.rmdir()
        os.replace(staging, folder)
    except ChecksumError:
        for path in arrived:
            path.unlink(missing_ok=True)
        raise
    except OSError as problem:
        raise _explained(problem, folder) from problem
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    for path in arrived:
        path.unlink(missing_ok=True)
    if downloads.is_dir() and not any(downloads.iterdir()):
        downloads.rmdir()
    return sum(1 for path in folder.rglob("*") if path.is_file())


def check_contents(folder: Path, manifest: str) -> None:
    """Compare what was unpacked with the list of the release, file by file.

    Raises:
        ChecksumError: files are missing or different; names some.
    """
    found = compare(folder, load_manifest(manifest))
    bad = [*(f"{p} is missing" for p in found.missing), *(f"{p} is different" for p in found.changed)]
    if bad:
        some = "\n  ".join(bad[:5]) + ("\n  ..." if len(bad) > 5 else "")
        raise ChecksumError(
            f"{len(bad)} files are not those of the release:\n  {some}\n"
            "The archive was damaged or changed and was deleted; try again later."
        )


def md5(path: Path) -> str:
    """32 hex digits."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# ---------------------------------------------------------------------------------------------- one address


def _fetch(url: str, part: Path, progress: Progress) -> Path:
    """All bytes at an address into ``part``; several attempts, each going on where the last one stopped."""
    vain = 0  # attempts in a row that brought nothing: a slow line may break as often as it likes
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _receive(url, part, progress)
            return part
        except urllib.error.HTTPError as answer:
            problem = f"the server answers {answer.code} {answer.reason}"
            answer.close()
            if answer.code not in (408, 425, 429) and answer.code < 500:
                raise DownloadError(problem) from None
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, _Short) as reason:
            problem = _told(reason)
        except ssl.SSLError as reason:
            problem = f"the secured connection broke ({reason.reason})"
        except OSError as reason:
            raise _explained(reason, part) from reason
        after = part.stat().st_size if part.exists() else 0
        vain = 0 if after > before else vain + 1
        if vain >= len(_PAUSES):
            raise DownloadError(f"{problem} (tried {vain} times)")
        time.sleep(_PAUSES[vain])


class _Short(Exception):
    """The connection ended before the file did."""


def _receive(url: str, part: Path, progress: Progress) -> None:
    """One request; appends to ``part`` if the server goes on from there, else starts anew."""
    state = _state(part)
    have = part.stat().st_size if part.exists() else 0
    known = state.read_text().splitlines() if state.exists() else []
    headers = {}
    # Without a tag of the version, bytes of two different files might be put together.
    if have and len(known) == 2 and known[0] == url and known[1]:
        headers = {"Range": f"bytes={have}-", "If-Range": known[1]}
    try:
        answer = _open(url, headers)
    except urllib.error.HTTPError as refusal:
        if refusal.code != 416 or not headers:
            raise
        refusal.close()
        if _complete(refusal.headers.get("Content-Range"), have):
            return
        _forget(part)  # longer than the file there: another file
        answer = _open(url, {})
    with answer:
        resumed = answer.status == 206 and headers and _starts_at(answer.headers.get("Content-Range"), have)
        if answer.status == 206 and not resumed:
            raise _Short("the server sent another part of the file than was asked for")
        have = have if resumed else 0
        length = _length(answer)
        total = None if length is None else have + length
        _room(part, length)
        if not resumed:
            part.unlink(missing_ok=True)
            state.write_text(f"{url}\n{_version(answer)}")
        progress(have if resumed else 0, have, total)
        with part.open("ab") as file:
            while block := answer.read(_BLOCK):
                file.write(block)
                have += len(block)
                progress(len(block), have, total)
        if total is not None and have < total:
            raise _Short(f"the connection ended after {have:,} of {total:,} bytes")


def _open(url: str, headers: dict[str, str], method: str = "GET") -> http.client.HTTPResponse:
    request = urllib.request.Request(
        url,
        headers={"User-Agent": f"saliency-pred/{__version__}", "Accept-Encoding": "identity", **headers},
        method=method,
    )
    answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT)
    return answer


def _length(answer: http.client.HTTPResponse) -> int | None:
    value = answer.headers.get("Content-Length", "")
    return int(value) if value.isdecimal() else None


def _version(answer: http.client.HTTPResponse) -> str:
    """What tells this version of the file from others: a strong entity tag, or the time of change."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _starts_at(content_range: str | None, have: int) -> bool:
    return bool(content_range) and str(content_range).startswith(f"bytes {have}-")


def _complete(content_range: str | None, have: int) -> bool:
    return bool(content_range) and str(content_range).rsplit("/", 1)[-1] == str(have)


def _state(part: Path) -> Path:
    return part.with_name(f"{part.name}.from")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _state(part).unlink(missing_ok=True)


def _room(part: Path, needed: int | None) -> None:
    """Say so before a download that cannot fit."""
    free = shutil.disk_usage(part.parent).free
    if needed is not None and needed > free:
        raise OSError(errno.ENOSPC, f"{readable_size(needed)} are needed and {readable_size(free)} are free")


def _told(reason: BaseException) -> str:
    inner = reason.reason if isinstance(reason, urllib.error.URLError) else reason
    if isinstance(inner, TimeoutError):
        return f"no answer within {_TIMEOUT:.0f} s"
    if isinstance(inner, socket.gaierror):
        return "the server's name is unknown (is this machine connected to the internet?)"
    if isinstance(inner, ConnectionRefusedError):
        return "the server refuses the connection"
    if isinstance(inner, http.client.IncompleteRead):
        return f"the connection ended after {len(inner.partial):,} bytes"
    return str(inner) or type(inner).__name__


def _explained(problem: OSError, where: Path) -> OSError:
    """The system's error with what to do about it."""
    if isinstance(problem, DownloadError) or problem.errno is None:
        return problem
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        detail = f" ({problem.strerror})" if "needed" in str(problem.strerror) else ""
        return OSError(
            f"the disk of {where.parent} is full{detail}; make room, or give another folder with root=DIR. "
            "What arrived is kept: the same command goes on from there."
        )
    if isinstance(problem, PermissionError):
        return PermissionError(f"{where.parent} may not be written to by this user; give another folder with root=DIR")
    return problem
