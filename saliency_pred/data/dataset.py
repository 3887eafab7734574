"""The contract of a data set: numbered images (or clips), each with fixations or maps.

One data set is one file beside this one with one subclass of :class:`SaliencyDataset`. It only says what
is on disk; resizing, augmentation and batching are in ``transforms.py`` and ``datamodule.py``.
"""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import Tensor

from saliency_pred.data.errors import DatasetNotFoundError
from saliency_pred.data.splits import split_indices
from saliency_pred.fixations import Fixations, OutsidePolicy

log = logging.getLogger(__name__)

DOMAINS = {
    "natural-mouse": 0,
    "natural-eye": 1,
    "e-commerce": 2,
    "ui": 3,
    "web": 4,
    "video": 5,
    "synthetic": 6,
}
"""Kinds of images and how looking at them was recorded: what domain-aware decoders are told per image."""


@dataclass
class Sample:
    """One image or clip of a data set, as it is on disk.

    Attributes:
        image: uint8 (H, W, 3) RGB as shown (EXIF rotation applied), or (F, H, W, 3) for clips.
        fixations: of this image, cleaned, in its pixels, window 0 of 1; None where only maps are shipped.
        density: float32 (T, H, W) shipped maps, each summing to 1; None where there are none.
        image_id: unique within the data set: the file's stem, with its folders where stems repeat.
    """

    image: np.ndarray
    fixations: Fixations | None
    density: Tensor | None
    image_id: str


class SaliencyDataset(ABC):
    """Base of all data sets.

    A subclass sets the class attributes, fills ``image_ids`` (in a fixed order) in ``__init__`` and defines
    :meth:`image`, :meth:`size` and :meth:`fixations`, and :meth:`density` if maps are shipped. It must be
    picklable, so that data loader workers can be spawned, and hold no open files.

    Args:
        root: the folder that the original release unpacks to.
        split: the name of a split, see :func:`saliency_pred.data.splits.split_indices`.
        outside: what becomes of fixations outside their image (``drop``, ``clip`` or ``error``).

    Raises:
        DatasetNotFoundError: ``root`` does not exist or is no folder.
    """

    name: ClassVar[str]
    domain: ClassVar[str] = "natural-eye"
    viewing_time: ClassVar[float] = math.nan
    """Seconds that each image was shown; NaN where unknown or different from image to image."""
    pixel_per_dva: ClassVar[float] = math.nan
    """Pixels of the original image per degree of visual angle; NaN where unknown."""
    blur_sigma: ClassVar[float] = math.nan
    """The Gaussian sigma, in pixels of the original image, that the release blurs its maps with."""
    split_names: ClassVar[dict[str, str]] = {}
    """Published splits by name, spelled as in :mod:`saliency_pred.data.splits`."""

    image_ids: list[str]
    issues: dict[str, list[str]]
    """What is wrong on disk but safe to go on with: kind of damage → the files or images concerned."""

    def __init__(self, root: str | Path, split: str = "0.8/0.2", outside: OutsidePolicy = "drop") -> None:
        self.root = Path(root).expanduser()
        self.split = split
        self.outside = outside
        self.issues = {}
        if outside not in ("drop", "clip", "error"):
            raise ValueError(f"{self.name}: outside={outside!r} is none of 'drop', 'clip', 'error'")
        if not self.root.is_dir():
            if self.root.is_symlink():
                found = "is a link that leads nowhere or round in a circle"
            else:
                found = "is a file" if self.root.exists() else "does not exist"
            raise DatasetNotFoundError(
                f"{self.name}: {self.root} {found}. Set data.root to the folder that the release unpacks to; "
                f"`saliency data info {self.name}` shows the expected tree and where to get it."
            )

    def __len__(self) -> int:
        return len(self.image_ids)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r}, {len(self)} images, split={self.split!r})"

    def note(self, issue: str, where: str) -> None:
        """Record damage that is safe to go on with."""
        self.issues.setdefault(issue, []).append(where)

    def log_issues(self) -> None:
        """One warning per kind of damage recorded so far, with the number and the first few names."""
        for issue, where in self.issues.items():
            names = ", ".join(where[:3]) + (" ..." if len(where) > 3 else "")
            log.warning("%s: %d x %s (%s)", self.name, len(where), issue, names)

    def source(self, index: int) -> tuple[SaliencyDataset, int]:
        """The data set that an image comes from, and its index there: itself, but for sets made of sets."""
        return self, index

    def parts(self, seed: int = 0) -> dict[str, list[int]]:
        """The images of each part of ``self.split``: part name (train, val, test) → indices, ascending."""
        everything = range(len(self))
        return split_indices(
            self.image_ids,
            self.split_names.get(self.split, self.split),
            seed,
            categories=[self.category(i) for i in everything],
            official=[self.official_part(i) for i in everything],
        )

    def category(self, index: int) -> str | None:
        """The kind of image that the release files this one under; None where it has no kinds."""
        return None

    def official_part(self, index: int) -> str | None:
        """``train``, ``val`` or ``test``: where the release puts this image; None where it has no parts."""
        return None

    @abstractmethod
    def image(self, index: int) -> np.ndarray:
        """uint8 (H, W, 3) RGB as shown, or (F, H, W, 3) for clips; BrokenFileError names a bad file."""

    @abstractmethod
    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of :meth:`image`, without decoding it where the format allows."""

    @abstractmethod
    def fixations(self, index: int) -> Fixations | None:
        """The fixations of one image, in its pixels, as stored; None where only maps are shipped."""

    def density(self, index: int) -> Tensor | None:
        """float32 (T, H, W) shipped maps, each summing to 1; None where there are none."""
        return None

    def clean_fixations(self, index: int) -> Fixations | None:
        """:meth:`fixations` with those outside the image treated as ``outside`` says."""
        fixations = self.fixations(index)
        if fixations is None:
            return None
        cleaned, outside = fixations.clean(self.outside)
        if outside and not len(cleaned):
            issue, name = "image with all its fixations outside", self.image_ids[index]
            if name not in self.issues.get(issue, ()):
                self.note(issue, name)
        return cleaned

    def sample(self, index: int) -> Sample:
        """Everything about one image."""
        return Sample(self.image(index), self.clean_fixations(index), self.density(index), self.image_ids[index])
