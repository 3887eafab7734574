"""Files that are there whole or not at all: written beside, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to, which becomes ``target`` when the block ends without an error.

    Readers see the old file or the new one, never half of one; after an error the old one is as it was.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(target: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(target) as path:
        path.write_bytes(content)


def write_text(target: Path, content: str) -> None:
    """Write a UTF-8 file whole or not at all."""
    with replacing(target) as path:
        path.write_text(content, encoding="utf-8")
