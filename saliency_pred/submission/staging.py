"""Entries of an archive that is being built: each kept as soon as it is whole, so that a build goes on after a stop."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ABOUT = "about.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content is the same archive, bit for bit


class Staging:
    """A folder beside the archive that finished entries wait in.

    Args:
        out: the archive; the folder is ``.OUT.parts`` beside it.
        about: what the entries are made of (checkpoint, data, board). Entries that were made of something else
            are thrown away.

    Raises:
        FileExistsError: the archive is there already.
    """

    def __init__(self, out: Path, about: dict[str, Any]) -> None:
        if out.exists():
            raise FileExistsError(f"{out} is there already; check it with check=true, or give another out=FILE")
        self.out = out
        self.folder = out.with_name(f".{out.name}.parts")
        note = self.folder / _ABOUT
        text = json.dumps(about, indent=2, sort_keys=True) + "\n"
        if self.folder.exists() and (not note.is_file() or note.read_text() != text):
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.rglob(".writing.*"):  # of a build that was stopped
            left.unlink()
        if not note.exists():
            with self.writing(_ABOUT) as path:
                path.write_text(text)

    def __contains__(self, name: str) -> bool:
        return self.path(name).is_file()

    def path(self, name: str) -> Path:
        """Where a finished entry is."""
        return self.folder / name

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path to write an entry to; it becomes the entry when the block ends without an error."""
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".writing.{target.name}")  # keeps the suffix, which tells encoders the format
        yield temporary
        os.replace(temporary, target)

    def write_zip(self, names: Sequence[str], within: str = "") -> None:
        """All entries, uncompressed (pictures and videos are), as one zip; then the folder goes away."""
        temporary = self.folder / ".writing.zip"
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for name in names:
                info = zipfile.ZipInfo(f"{within}{name}", _EPOCH)
                info.external_attr = 0o100644 << 16
                info.file_size = self.path(name).stat().st_size
                with self.path(name).open("rb") as source, archive.open(info, "w") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
        self.finish(temporary)

    def finish(self, made: Path) -> None:
        """The archive is whole: put it in its place and remove what it was made of."""
        os.replace(made, self.out)
        shutil.rmtree(self.folder)
