"""What was parsed once and is kept between runs: the fixations of releases with one big file of them, or with
thousands of small ones, and the time stamps of videos.

An entry is one .npz in the user's cache folder ($XDG_CACHE_HOME or ~/.cache), keyed by path, size and time of
change of the source, of every file in it if it is a folder. It may be deleted at any time; where it cannot be
written, the source is parsed each time.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from saliency_pred.data.fixation_table import FixationTable

log = logging.getLogger(__name__)

_VERSION = 1  # of the entries; to be raised when their content changes


def cached_table(
    path: Path, read: Callable[[Path], tuple[list[str], FixationTable]]
) -> tuple[list[str], FixationTable]:
    """``read(path)``, or what it returned before if the file has not changed since.

    Args:
        path: the annotation file, or a folder of them.
        read: parses it to image names and their fixations.
    """

    def arrays() -> dict[str, np.ndarray]:
        names, table = read(path)
        return {"names": np.array(names, dtype=str), **table.arrays()}

    found = cached_arrays(path, f"{read.__module__}.{read.__qualname__}", arrays)
    return [str(n) for n in found.pop("names")], FixationTable.from_arrays(found)


def cached_arrays(path: Path, kind: str, read: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """``read()``, or what it returned before if the file or folder has not changed since.

    Args:
        path: what is read.
        kind: what is made of it; different things made of one file are kept apart.
        read: makes the arrays.
    """
    try:
        source = f"{path.resolve()}|{_state(path)}"
    except OSError:
        return read()  # lets the reader say what is wrong
    key = f"{_VERSION}|{kind}|{source}"
    entry = _folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    try:
        with np.load(entry, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        pass
    except Exception as problem:  # a damaged entry is as good as none
        log.warning("%s is damaged (%s) and is made anew", entry, problem)
    arrays = read()
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=entry.parent, suffix=".part", delete=False) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        os.replace(file.name, entry)
    except OSError as problem:
        log.info("%s is not kept for the next run: %s", path, problem)
    return arrays


def _state(path: Path) -> str:
    """Size and time of change of a file, or of every file below a folder, with the names."""
    if not path.is_dir():
        return _stamp(path)
    files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
    return "\n".join(f"{file}|{_stamp(file)}" for file in files)


def _stamp(file: str | Path) -> str:
    state = os.stat(file)
    return f"{state.st_size}|{state.st_mtime_ns}"


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "saliency_pred" / "fixations"
