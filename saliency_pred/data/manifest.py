"""Lists of contents: which files a release holds, and the checksum of each.

A list is a text file ``manifests/NAME.txt`` with a line ``<40 hex digits>  <path>`` a file. The checksum is
git's own: SHA-1 of ``blob <size>\\0`` and the content, so that a list can be compared with the repository
that the release lives in (``git ls-tree -r``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path, PurePosixPath


@dataclass
class Difference:
    """How a folder differs from a list.

    Attributes:
        missing, changed: paths of the list that are not there, or are there with another content.
        checked: how many files were compared.
    """

    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    checked: int = 0


def load_manifest(name: str) -> dict[str, str]:
    """Path → checksum of the list ``manifests/NAME.txt``."""
    lines = (files("saliency_pred.data") / "manifests" / f"{name}.txt").read_text().splitlines()
    return {line[42:]: line[:40] for line in lines if line and not line.startswith("#")}


def blob_id(path: Path) -> str:
    """git's checksum of a file's content, 40 hex digits."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def compare(root: Path, manifest: dict[str, str], step: Callable[[], object] = lambda: None) -> Difference:
    """Compare a folder with a list; files that the list does not name are not looked at.

    Args:
        root: the folder that the paths are below; leading folders that ``root`` itself already includes
            (``data``) may be missing.
        manifest: path → checksum.
        step: called after each file.
    """
    base = _base(root, manifest)
    result = Difference()
    for path, checksum in manifest.items():
        file = root / PurePosixPath(path).relative_to(base)
        if not file.is_file():
            result.missing.append(path)
        else:
            result.checked += 1
            if blob_id(file) != checksum:
                result.changed.append(path)
        step()
    return result


def _base(root: Path, manifest: dict[str, str]) -> PurePosixPath:
    """The leading folders of all paths that ``root`` already includes."""
    folders = {PurePosixPath(p).parent for p in manifest}
    common: list[PurePosixPath] = [PurePosixPath()]
    first = min(folders, key=lambda f: len(f.parts))
    common += [PurePosixPath(*first.parts[: i + 1]) for i in range(len(first.parts) - 1)]
    for base in common:
        if all(f.is_relative_to(base) for f in folders) and any((root / f.relative_to(base)).is_dir() for f in folders):
            return base
    return PurePosixPath()
