"""Scores of regions: how much of the looking falls onto a box, and how much more than its area would have."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = ("name", "x", "y", "width", "height")
"""Of a CSV file with regions; a column ``image`` may be there too."""


@dataclass(frozen=True)
class Region:
    """A box in pixels of the image: x to the right, y down, pixel i covers [i, i + 1).

    Attributes:
        name: unique among the regions of an image.
        x, y: of the upper left corner.
        width, height: above 0; parts outside the image do not count.
        image: the file name of the image that it is of; None: of every image.
    """

    name: str
    x: float
    y: float
    width: float
    height: float
    image: str | None = None

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.x, self.y, self.width, self.height))):
            raise ValueError(f"region {self.name}: x, y, width and height must be numbers, got {self.box}")
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"region {self.name}: width and height must be above 0, got {self.box}")

    @classmethod
    def of(cls, name: str, box: Any, image: str | None = None) -> Region:
        """From ``[x, y, width, height]``.

        Raises:
            ValueError: the box is something else.
        """
        try:
            x, y, width, height = map(float, [box] if isinstance(box, str) else box)
        except (TypeError, ValueError) as error:
            raise ValueError(f"region {name} must be [x, y, width, height] in pixels, got {box!r}") from error
        return cls(str(name), x, y, width, height, image)

    @property
    def box(self) -> list[float]:
        """``[x, y, width, height]``."""
        return [self.x, self.y, self.width, self.height]

    def coverage(self, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """How much of each row and of each column lies inside, 0 to 1; a pixel's coverage is their product.

        Raises:
            ValueError: nothing of the region lies on the image.
        """
        rows = _covered(self.y, self.y + self.height, size[0])
        columns = _covered(self.x, self.x + self.width, size[1])
        if not (rows.any() and columns.any()):
            raise ValueError(
                f"region {self.name} {self.box} lies outside the image of {size[1]} x {size[0]} pixels (width x height)"
            )
        return rows, columns


def _covered(start: float, end: float, length: int) -> np.ndarray:
    first = np.arange(length, dtype=np.float64)
    return np.clip(np.minimum(first + 1, end) - np.maximum(first, start), 0, 1)


@dataclass(frozen=True)
class RegionScore:
    """What a density says of a region.

    Attributes:
        region: the box.
        area: share of the image's area, (0, 1].
        attention: share of the density, that is of the expected fixations, [0, 1].
        lift: attention / area; 1 is what an equal spread over the image would give.
        first_look: share of the density of the first time window; None without time windows.
        by_window: share of the density of each time window; None without time windows.
    """

    region: Region
    area: float
    attention: float
    lift: float
    first_look: float | None
    by_window: tuple[float, ...] | None


def score_region(region: Region, density: np.ndarray, by_window: np.ndarray | None = None) -> RegionScore:
    """Score one region.

    Args:
        region: in pixels of the density.
        density: (H, W), sums to 1.
        by_window: (T, H, W), the densities of the time windows, the first of which begins when the image appears.

    Raises:
        ValueError: the region lies outside the image.
    """
    size = (density.shape[-2], density.shape[-1])
    rows, columns = region.coverage(size)
    area = float(rows.sum() * columns.sum()) / (size[0] * size[1])
    attention = _share(rows, density, columns)
    windows = None if by_window is None else tuple(_share(rows, one, columns) for one in by_window)
    return RegionScore(region, area, attention, attention / area, windows[0] if windows else None, windows)


def _share(rows: np.ndarray, density: np.ndarray, columns: np.ndarray) -> float:
    return min(1.0, max(0.0, float(rows @ density.astype(np.float64) @ columns)))


def regions_from(source: Mapping[str, Any] | Sequence[Region]) -> list[Region]:
    """Regions of a mapping name → [x, y, width, height], or image file → such a mapping.

    Raises:
        ValueError: a box that is none, or a name that comes twice for one image.
    """
    if not isinstance(source, Mapping):
        found = list(source)
    else:
        found = []
        for name, value in source.items():
            if isinstance(value, Mapping):
                found += [Region.of(inner, box, str(name)) for inner, box in value.items()]
            else:
                found.append(Region.of(str(name), value))
    for (name, image), count in Counter((r.name, r.image) for r in found).items():
        if count > 1:
            raise ValueError(f"there are {count} regions called {name}{f' of {image}' if image else ''}")
    return found


def read_regions(path: str | Path) -> list[Region]:
    """Regions from a ``.json`` or ``.csv`` file.

    JSON: ``{"logo": [x, y, width, height]}``, or ``{"a.png": {"logo": [...]}}`` for boxes of single images.
    CSV: a header line with name, x, y, width and height, and image for boxes of single images.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is something else; the message names the line.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no file with regions at {path}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from error
    try:
        if path.suffix.lower() == ".json":
            content = json.loads(text)
            if not isinstance(content, dict):
                raise ValueError('expected {"name": [x, y, width, height], ...}')
            return regions_from(content)
        if path.suffix.lower() == ".csv":
            return regions_from(_from_csv(text))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    raise ValueError(f"{path} must end in .json or .csv")


def _from_csv(text: str) -> list[Region]:
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    columns = [c.strip() for c in reader.fieldnames or []]
    if missing := [c for c in COLUMNS if c not in columns]:
        raise ValueError(f"no column {missing[0]}; the first line must name {', '.join(COLUMNS)} (and may name image)")
    reader.fieldnames = columns
    found = []
    for row in reader:
        try:
            found.append(Region.of(row["name"], [row[c] for c in COLUMNS[1:]], row.get("image") or None))
        except ValueError as error:
            raise ValueError(f"line {reader.line_num}: {error}") from error
    return found


def regions_of(regions: Sequence[Region], image: str | Path) -> list[Region]:
    """Those of every image, and those of this one, known by its path or its file name."""
    names = {str(image), Path(image).name, Path(image).as_posix()}
    mine = [r for r in regions if r.image is None or r.image in names]
    own = {r.name for r in mine if r.image is not None}
    return [r for r in mine if r.image is not None or r.name not in own]
