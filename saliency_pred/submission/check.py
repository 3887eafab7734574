"""What is found wrong with an archive, and looking into archives of strangers."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

MAX_RATIO = 20
"""An entry may unpack to so many times its size: pictures and videos are compressed already."""
_SLACK = 1 << 20
_NAMED = 3


@dataclass
class Check:
    """What a board would say to an archive.

    Attributes:
        file: the archive.
        entries: maps (or frames) that were looked at.
        problems: what is wrong → the entries concerned. The board would refuse the archive, or misread it.
        warnings: what costs score but is accepted → the entries concerned.
    """

    file: Path
    entries: int = 0
    problems: dict[str, list[str]] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)

    def refuse(self, problem: str, entry: str = "") -> None:
        """Record a reason to refuse the archive."""
        self.problems.setdefault(problem, []).append(entry)

    def warn(self, problem: str, entry: str = "") -> None:
        """Record what costs score."""
        self.warnings.setdefault(problem, []).append(entry)

    @property
    def sound(self) -> bool:
        """Whether nothing was found that the board would refuse."""
        return not self.problems

    def told(self) -> list[str]:
        """One line a problem, with the number and the first names, then the warnings."""
        lines = [f"error: {self.file}: {_line(what, where)}" for what, where in self.problems.items()]
        return lines + [f"warning: {self.file}: {_line(what, where)}" for what, where in self.warnings.items()]

    def compare_names(self, found: Iterable[str], expected: Sequence[str], hint: str) -> list[str]:
        """Refuse what is missing and what is too much; returns the names that are in both, as expected."""
        have, wanted = set(found), set(expected)
        for name in expected:
            if name not in have:
                self.refuse(f"image without its map ({hint})", name)
        for name in sorted(have - wanted):
            self.refuse("map of no image of the board", name)
        return [name for name in expected if name in have]


def _line(what: str, where: list[str]) -> str:
    named = [name for name in where if name]
    if not named:
        return what
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"{len(named)} x {what}: {', '.join(named[:_NAMED])}{more}"


def zip_entries(check: Check, tolerated: tuple[str, ...] = ()) -> dict[str, zipfile.ZipInfo]:
    """Name → entry of every file of a zip archive that is safe to read; what is not is refused.

    Nothing is unpacked. Folders and what ``tolerated`` names are passed over.
    """
    try:
        with zipfile.ZipFile(check.file) as archive:
            listed = archive.infolist()
            broken = archive.testzip() if _bomb(check, listed) is None else None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        check.refuse(f"is no zip archive that can be read ({error})")
        return {}
    except RuntimeError as error:  # zipfile's word for a password
        check.refuse(f"cannot be opened without a password ({error})")
        return {}
    if broken is not None:
        check.refuse("is damaged: the checksum does not fit", broken)
    found: dict[str, zipfile.ZipInfo] = {}
    for info in listed:
        name = info.filename
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0] or "\0" in name:
            check.refuse("leads out of the folder it is unpacked to", repr(name))
        elif (info.external_attr >> 16) & 0o170000 == 0o120000:
            check.refuse("is a link, not a file", name)
        elif name in found:
            check.refuse("is in the archive twice", name)
        elif not info.is_dir() and path.name not in tolerated and path.parts[0] != "__MACOSX":
            found[name] = info
    return found if check.sound else {}


def _bomb(check: Check, listed: Sequence[zipfile.ZipInfo]) -> str | None:
    """Refuses, and returns the name of, an entry that unpacks to far more than a map has."""
    for info in listed:
        if info.file_size > MAX_RATIO * info.compress_size + _SLACK:
            check.refuse(f"unpacks to more than {MAX_RATIO} times its size: this is no map", info.filename)
            return info.filename
    return None
