"""Parsed annotation files kept between runs, for releases that hide a whole data set in one big file.

An entry is one .npz in the user's cache folder ($XDG_CACHE_HOME or ~/.cache), keyed by the source's path,
size and time of change. It may be deleted at any time; where it cannot be written, the file is parsed each
time.
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
        path: the annotation file.
        read: parses it to image names and their fixations.
    """
    try:
        state = path.stat()
    except OSError:
        return read(path)  # lets the reader say what is wrong
    source = f"{path.resolve()}|{state.st_size}|{state.st_mtime_ns}"
    key = f"{_VERSION}|{read.__module__}.{read.__qualname__}|{source}"
    entry = _folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    try:
        with np.load(entry, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return [str(n) for n in arrays.pop("names")], FixationTable.from_arrays(arrays)
    except FileNotFoundError:
        pass
    except Exception as problem:  # a damaged entry is as good as none
        log.warning("%s is damaged (%s) and is made anew", entry, problem)
    names, table = read(path)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=entry.parent, suffix=".part", delete=False) as file:
            arrays = {"names": np.array(names, dtype=str), **table.arrays()}
            np.savez(file, **arrays)
        os.replace(file.name, entry)
    except OSError as problem:
        log.info("%s is not kept for the next run: %s", path, problem)
    return names, table


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "saliency_pred" / "fixations"
