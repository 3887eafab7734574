"""What the data sets of still images share: listing pictures, matching them with records, reading them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.fixation_table import FixationTable
from saliency_pred.data.image import IMAGE_SUFFIXES, image_size, read_image, read_map
from saliency_pred.fixations import Fixations

_CHECKED_AT_OPENING = 8
"""So many images' headers are compared with their fixations when a data set is opened."""


def list_files(folder: Path, suffixes: Iterable[str], what: str) -> dict[str, Path]:
    """The files of a folder by stem, sorted; hidden files, folders and other endings are passed over.

    Args:
        folder: to be listed, without its subfolders.
        suffixes: endings in lower case, with the dot.
        what: the files are, for messages ("osie: images").

    Raises:
        DatasetNotFoundError: the folder is missing.
        BrokenFileError: it may not be listed.
        DatasetLayoutError: no such file is in it, or two differ only in their ending.
    """
    suffixes = frozenset(suffixes)
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError) as problem:
        raise DatasetNotFoundError(
            f"{what}: the folder {folder} is missing; unpack the complete release there"
        ) from problem
    except PermissionError as problem:
        raise BrokenFileError(f"{what}: {folder} may not be listed by this user (chmod u+rx)") from problem
    except OSError as problem:
        raise BrokenFileError(f"{what}: {folder} cannot be listed: {problem.strerror}") from problem
    found: dict[str, Path] = {}
    for name in names:
        stem, suffix = os.path.splitext(name)
        if suffix.lower() not in suffixes:
            continue
        if stem in found:
            raise DatasetLayoutError(
                f"{what}: {found[stem].name} and {name} in {folder} have the same name but for the ending; "
                "remove or rename one of them"
            )
        found[stem] = folder / name
    if not found:
        raise DatasetLayoutError(f"{what}: {folder} holds no {'/'.join(sorted(suffixes))} file")
    return found


def list_images(folder: Path, what: str) -> dict[str, Path]:
    """:func:`list_files` for every kind of picture."""
    return list_files(folder, IMAGE_SUFFIXES, what)


def list_categories(folder: Path, what: str) -> dict[str, Path]:
    """The pictures in the subfolders of ``folder``, by ``subfolder/stem``; ``Output`` folders are passed
    over.

    Raises:
        DatasetNotFoundError, BrokenFileError, DatasetLayoutError: as :func:`list_files`.
    """
    try:
        subfolders = sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith("."))
    except OSError as problem:
        raise DatasetNotFoundError(
            f"{what}: the folder {folder} is missing or may not be listed ({problem.strerror})"
        ) from problem
    found = {
        f"{name}/{stem}": path
        for name in subfolders
        if name.lower() != "output"
        for stem, path in list_images(folder / name, what).items()
    }
    if not found:
        raise DatasetLayoutError(f"{what}: {folder} holds no folder of images, one a category")
    return found


def find_folder(root: Path, candidates: Sequence[str], what: str) -> Path:
    """The first of ``candidates`` that is a folder below ``root`` ('' is root itself).

    Raises:
        DatasetNotFoundError: none is; the message lists what was looked for and what is there.
    """
    for candidate in candidates:
        if (root / candidate).is_dir():
            return root / candidate
    try:
        there = sorted(p.name for p in root.iterdir())[:8]
    except OSError as problem:
        raise BrokenFileError(f"{what}: {root} may not be listed: {problem.strerror}") from problem
    raise DatasetNotFoundError(
        f"{what}: expected the folder {' or '.join(str(root / c) for c in candidates)}; "
        f"{root} holds {', '.join(there) or 'nothing'}"
    )


class StillDataset(SaliencyDataset):
    """A data set of pictures, one file each.

    A subclass fills ``image_ids`` and ``paths`` in ``__init__`` and, if all fixations are read at opening,
    ``table``; otherwise it overrides :meth:`fixations`.
    """

    expected_size: ClassVar[tuple[int, int] | None] = None
    """(height, width) of every image of the release, where it is one."""

    exif: ClassVar[bool] = True
    """Whether EXIF rotations of this release mean what was shown."""

    paths: list[Path]
    table: FixationTable | None = None
    sizes: list[tuple[int, int]] | None = None
    """(height, width) that the release states per image, where it does."""
    map_paths: list[list[Path]] | None = None
    """The T map files of each image, where maps were asked for."""

    def image(self, index: int) -> np.ndarray:
        """uint8 (H, W, 3) RGB as shown."""
        picture = read_image(self.paths[index], self.exif)
        self._check_size(index, picture.shape[:2])
        return picture

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) from the file's header."""
        size = image_size(self.paths[index], self.exif)
        self._check_size(index, size)
        return size

    def fixations(self, index: int) -> Fixations | None:
        """The fixations of one image, in its pixels, as stored."""
        return None if self.table is None else self.table.of(index, self.size(index))

    def density(self, index: int) -> Tensor | None:
        """float32 (T, H, W) shipped maps, each summing to 1; None unless maps were asked for.

        Raises:
            BrokenFileError: a map cannot be read, or is black.
            DatasetLayoutError: a map's size is not its image's.
        """
        if self.map_paths is None:
            return None
        size = self.size(index)
        maps = []
        for path in self.map_paths[index]:
            levels = torch.from_numpy(read_map(path)).double()
            self._check_map(path, levels, index, size)
            total = levels.sum()
            if not total > 0:
                raise BrokenFileError(f"{path} is black: a density cannot be made of it; download it again")
            maps.append((levels / total).float())
        return torch.stack(maps)

    def _check_map(self, path: Path, levels: np.ndarray | Tensor, index: int, size: tuple[int, int]) -> None:
        if tuple(levels.shape) != size:
            raise DatasetLayoutError(
                f"{self.name}: the map {path} is {levels.shape[0]} x {levels.shape[1]} (height x width), "
                f"its image {self.paths[index].name} {size[0]} x {size[1]}; they are not of one edition"
            )

    def _attach_maps(self, find: Callable[[str], list[Path]]) -> None:
        """Fill ``map_paths`` with the files that belong to each image; images that lack one are left out."""
        self.map_paths = [find(name) for name in self.image_ids]
        have = [i for i, paths in enumerate(self.map_paths) if all(p.is_file() for p in paths)]
        if not have and self.image_ids:
            raise DatasetNotFoundError(
                f"{self.name}: no image has its map; the first was looked for at {self.map_paths[0][0]}"
            )
        self._keep(have, "image without map")

    def _check_size(self, index: int, size: tuple[int, ...]) -> None:
        expected = self.sizes[index] if self.sizes is not None else self.expected_size
        if expected is not None and tuple(size) != tuple(expected):
            raise DatasetLayoutError(
                f"{self.name}: {self.paths[index]} is {size[0]} x {size[1]} (height x width) but its "
                "fixations are "
                f"for {expected[0]} x {expected[1]}; put the release's own picture there, not a resized or "
                "rotated one"
            )

    def _match(self, images: dict[str, Path], records: Iterable[str]) -> list[str]:
        """Image names that have a record, sorted; what lacks its partner is noted and left out."""
        known = set(records)
        for stem in sorted(known - images.keys()):
            self.note("record without image", stem)
        for stem in images:
            if stem not in known:
                self.note("image without fixation record", images[stem].name)
        both = [stem for stem in images if stem in known]
        if not both:
            raise DatasetLayoutError(
                f"{self.name}: none of the {len(images)} images (first: {next(iter(images), '-')}) has "
                "one of "
                f"the {len(known)} records (first: {min(known, default='-')}) in {self.root}; "
                "they are from different sets"
            )
        return both

    def _finish(self) -> None:
        """The end of ``__init__``: leave out images without fixations, check the rest, log the issues."""
        if self.table is not None:
            for i in np.flatnonzero(self.table.not_finite):
                self.note(
                    "NaN or infinite coordinates left out",
                    f"{self.image_ids[i]} ({self.table.not_finite[i]})",
                )
            self._keep([i for i, n in enumerate(self.table.counts) if n], "image without fixations")
        self._check_coordinates()
        self.log_issues()

    def _keep(self, indices: list[int], otherwise: str) -> None:
        """Keep only these images; the others are noted as ``otherwise``."""
        if len(indices) == len(self.image_ids):
            return
        for i in sorted(set(range(len(self.image_ids))) - set(indices)):
            self.note(otherwise, self.image_ids[i])
        if not indices:
            raise DatasetLayoutError(f"{self.name}: no image in {self.root} has a fixation left ({otherwise})")
        self.image_ids = [self.image_ids[i] for i in indices]
        self.paths = [self.paths[i] for i in indices]
        if self.map_paths is not None:
            self.map_paths = [self.map_paths[i] for i in indices]
        if self.sizes is not None:
            self.sizes = [self.sizes[i] for i in indices]
        if self.table is not None:
            self.table = self.table.select(indices)

    def _check_coordinates(self) -> None:
        """Fixations that mostly miss their images were made for other pictures: refuse to go on."""
        total, inside = 0, 0
        for i in np.linspace(0, len(self) - 1, min(len(self), _CHECKED_AT_OPENING)).astype(int):
            try:
                fixations = self.fixations(int(i))
            except BrokenFileError:  # one broken file does not condemn the set; it is reported where it is needed
                continue
            if fixations is not None:
                total, inside = total + len(fixations), inside + int(fixations.inside.sum())
        if total and inside < total / 2:
            raise DatasetLayoutError(
                f"{self.name}: {total - inside} of {total} fixations in a sample of images of "
                f"{self.root} lie "
                "outside their image; the images were resized, or the coordinates are of another edition or "
                "(y, x) swapped"
            )
