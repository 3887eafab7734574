"""Decoded, resized images on disk, mapped into memory: read by many runs and processes, decoded once.

A cache is a folder ``NAME_HxW_RULE_KEY`` with ``pixels-*.bin`` (uint8 RGB images one after another) and
``index.json`` (which image is where, how large, and the state of the file it was made of). The index is
written last and names its pixels, so that a cache exists whole or not at all. An image whose file has
another size or time of change than when it was decoded is decoded anew when the cache is opened.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.data.errors import BrokenFileError
from saliency_pred.data.placement import Placement, ResizeRule, resize_image

_VERSION = 1
"""Of what is stored; to be raised when decoding or resizing changes."""


class DiskCache:
    """The images of one data set at one input size, as :class:`~saliency_pred.data.datamodule.CachedImages`.

    Made by :meth:`open`. Picklable; every process maps the file for itself and shares its pages.

    Attributes:
        folder: of this cache.
        sizes: (N, 2) int64 height and width of each stored image.
        decoded: how many images had to be decoded when it was opened; 0: all were there.
    """

    def __init__(self, folder: Path, pixels: Path, offsets: np.ndarray, sizes: np.ndarray, decoded: int) -> None:
        self.folder = folder
        self.sizes = sizes
        self.decoded = decoded
        self._pixels = pixels
        self._offsets = offsets
        # At once, not at the first use: should another run bring the cache up to date, this one keeps its pixels.
        self._mapped = _map(pixels)

    @classmethod
    def open(
        cls,
        dataset: SaliencyDataset,
        grid: Sequence[int],
        rule: ResizeRule,
        root: str | Path,
        workers: int = 2,
        step: Callable[[], object] = lambda: None,
    ) -> DiskCache:
        """The cache of a data set below ``root``; made, or brought up to date, if it is not.

        Of several processes that open it at once, one makes it and the others wait.

        Args:
            dataset: of picture files.
            grid: (height, width) of the input.
            rule: how images are placed on it; stored without padding.
            root: folder of caches.
            workers: threads that decode.
            step: called after each image that is decoded.

        Raises:
            ValueError: the data set has no picture files (it is generated, or of clips).
            BrokenFileError: an image cannot be read; nothing is left half-made.
            OSError: the disk is full or may not be written to.
        """
        size = (int(grid[0]), int(grid[1]))
        states = _states(dataset)
        folder = Path(root).expanduser() / _name(dataset, size, rule)
        if (found := cls._read(folder, states)) is not None:
            return found
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(folder):
                if (found := cls._read(folder, states)) is not None:  # made while this process waited
                    return found
                decoded = _write(dataset, size, rule, folder, states, workers, step)
        except BrokenFileError:
            raise
        except OSError as problem:
            if problem.errno in (errno.ENOSPC, errno.EDQUOT):
                needed = len(dataset) * size[0] * size[1] * 3
                raise OSError(
                    f"the disk of {root} is full: the cache of {dataset.name} needs up to {needed / 1e9:.1f} GB; "
                    "make room, or give another folder"
                ) from problem
            raise
        made = cls._read(folder, states)
        assert made is not None
        made.decoded = decoded
        return made

    @classmethod
    def _read(cls, folder: Path, states: list[list[object]]) -> DiskCache | None:
        """The cache in a folder if it is whole and of these files; None otherwise."""
        index = _load(folder)
        if index is None or index["states"] != states:
            return None
        sizes = np.asarray(index["sizes"], dtype=np.int64).reshape(-1, 2)
        return cls(folder, folder / index["pixels"], _offsets(sizes), sizes, 0)

    def __len__(self) -> int:
        return len(self.sizes)

    def get(self, index: int) -> np.ndarray:
        """uint8 (h, w, 3): a copy, which the caller may change."""
        start, end = self._offsets[index], self._offsets[index + 1]
        height, width = self.sizes[index]
        return np.array(self._mapped[start:end]).reshape(height, width, 3)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_mapped": None}  # a memory map would be pickled with all its bytes

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._mapped = _map(self._pixels)


def _write(
    dataset: SaliencyDataset,
    size: tuple[int, int],
    rule: ResizeRule,
    folder: Path,
    states: list[list[object]],
    workers: int,
    step: Callable[[], object],
) -> int:
    """Decode what is new or changed, copy the rest from the cache as it was; returns how many were decoded."""
    for left in folder.glob("*.part"):
        left.unlink()
    old = _load(folder)
    kept: dict[int, int] = {}  # number of an image here → its number in the cache as it was
    previous: DiskCache | None = None
    if old is not None:
        sizes = np.asarray(old["sizes"], dtype=np.int64).reshape(-1, 2)
        previous = DiskCache(folder, folder / old["pixels"], _offsets(sizes), sizes, 0)
        was = {json.dumps(state): k for k, state in enumerate(old["states"])}
        kept = {i: was[key] for i, state in enumerate(states) if (key := json.dumps(state)) in was}

    def small(index: int) -> tuple[np.ndarray, bool]:
        if previous is not None and index in kept:
            return previous.get(kept[index]), False
        image = dataset.image(index)
        place = Placement.of((image.shape[0], image.shape[1]), size, rule)
        return np.ascontiguousarray(resize_image(image, place.size)), True

    cv2.setNumThreads(0)
    stored: list[tuple[int, int]] = []
    decoded = 0
    temporary = tempfile.NamedTemporaryFile(dir=folder, prefix="pixels-", suffix=".part", delete=False)  # noqa: SIM115
    part = Path(temporary.name)
    try:
        with temporary, ThreadPoolExecutor(max(1, workers)) as pool:
            for begin in range(0, len(states), 64):  # so that no more than 64 images wait to be written
                for image, new in pool.map(small, range(begin, min(begin + 64, len(states)))):
                    temporary.write(image.data)
                    stored.append((image.shape[0], image.shape[1]))
                    decoded += new
                    if new:
                        step()
        pixels = part.with_suffix(".bin")
        os.replace(part, pixels)
        index = {"version": _VERSION, "pixels": pixels.name, "sizes": stored, "states": states}
        beside = folder / "index.json.part"
        beside.write_text(json.dumps(index))
        os.replace(beside, folder / "index.json")
    finally:
        part.unlink(missing_ok=True)
    for outdated in folder.glob("pixels-*.bin"):
        if outdated.name != pixels.name:  # tempfile makes relative paths absolute
            outdated.unlink()  # who still has it mapped keeps it until it ends
    return decoded


def _load(folder: Path) -> dict[str, Any] | None:
    """The index of a cache whose pixels are all there; None if there is none, or it is damaged."""
    try:
        index: dict[str, Any] = json.loads((folder / "index.json").read_text())
        sizes = np.asarray(index["sizes"], dtype=np.int64).reshape(-1, 2)
        whole = (folder / index["pixels"]).stat().st_size == _offsets(sizes)[-1]
        same = index["version"] == _VERSION and len(index["states"]) == len(sizes)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return index if whole and same else None


def _map(pixels: Path) -> np.ndarray:
    try:
        return np.memmap(pixels, np.uint8, "r")
    except OSError as problem:
        raise BrokenFileError(
            f"{pixels} cannot be read ({problem.strerror}): another run has brought the cache up to date; start again"
        ) from problem


def _offsets(sizes: np.ndarray) -> np.ndarray:
    """(N + 1,) where each image begins, in bytes."""
    return np.concatenate([[0], np.cumsum(sizes.prod(1) * 3)]).astype(np.int64)


def _states(dataset: SaliencyDataset) -> list[list[object]]:
    """Image id, size and time of change of the file behind each image."""
    states: list[list[object]] = []
    for index, image_id in enumerate(dataset.image_ids):
        one, at = dataset.source(index)
        paths = getattr(one, "paths", None)
        if paths is None:
            raise ValueError(
                f"{one.name} has no picture files, so that there is nothing to keep on disk; "
                "loader.cache=ram keeps its images in memory"
            )
        try:
            state = os.stat(paths[at])
        except OSError as problem:
            raise BrokenFileError(f"{paths[at]} cannot be read: {problem.strerror}") from problem
        states.append([image_id, state.st_size, state.st_mtime_ns])
    return states


def _name(dataset: SaliencyDataset, size: tuple[int, int], rule: str) -> str:
    """Of the folder: everything that the pixels may depend on besides the files themselves."""
    sources = {id(one): one for one in (dataset.source(i)[0] for i in range(len(dataset)))}
    described = sorted(_options(one) for one in sources.values())
    key = hashlib.sha256("\n".join([*described, *dataset.image_ids]).encode()).hexdigest()[:10]
    return f"{dataset.name}_{size[0]}x{size[1]}_{rule}_{key}"


def _options(dataset: SaliencyDataset) -> str:
    """Where a data set is and how it was opened; its split and what it does with fixations change no pixel."""
    plain = {k: v for k, v in vars(dataset).items() if isinstance(v, str | bool | int | float)}
    for name in ("split", "outside"):
        plain.pop(name, None)
    return f"{dataset.name} {dataset.root.resolve()} {sorted(plain.items())}"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one process at a time, where the system can see to that; else each makes its own, and one wins."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with (folder / "lock").open("w") as file:
        with contextlib.suppress(OSError):  # a network disk without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
