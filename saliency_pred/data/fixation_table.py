"""The fixations of a whole data set as a few arrays: quick to pickle, with nothing left open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saliency_pred.fixations import Fixations

_FLOATS = ("x", "y", "time", "duration")

Row = tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray | None]
"""x, y, time, duration and viewer of one image's n fixations, (n,) each."""


class FixationTable:
    """Fixations of numbered images, in pixels (pixel i covers [i, i + 1)) and seconds.

    Args:
        rows: for each image the arrays ``x, y, time, duration, viewer`` (n,), any of the last three None.
            Rows with a NaN or infinite coordinate are left out and counted in ``not_finite``.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        parts: dict[str, list[np.ndarray]] = {name: [] for name in (*_FLOATS, "viewer")}
        counts, self.not_finite = [], np.zeros(len(rows), dtype=np.int64)
        for i, row in enumerate(rows):
            x = np.asarray(row[0], dtype=np.float64).reshape(-1)
            unknown = np.full(len(x), np.nan)
            arrays: list[np.ndarray] = [x]
            for value in row[1:4]:
                arrays.append(unknown if value is None else np.asarray(value, dtype=np.float64).reshape(-1))
            viewer = np.full(len(x), -1) if row[4] is None else np.asarray(row[4]).reshape(-1)
            arrays.append(viewer.astype(np.int64))
            if any(len(a) != len(x) for a in arrays):
                raise ValueError(f"image {i}: columns of different lengths {[len(a) for a in arrays]}")
            good = np.isfinite(x) & np.isfinite(arrays[1])
            self.not_finite[i] = int((~good).sum())
            counts.append(int(good.sum()))
            for name, array in zip(parts, arrays, strict=True):
                parts[name].append(array[good])
        self._start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._columns = {
            name: np.concatenate(arrays) if arrays else np.zeros(0, np.int64 if name == "viewer" else np.float64)
            for name, arrays in parts.items()
        }

    def __len__(self) -> int:
        return len(self._start) - 1

    @property
    def counts(self) -> np.ndarray:
        """(number of images,) int64: how many fixations each has."""
        return np.diff(self._start)

    def of(self, index: int, size: tuple[int, int]) -> Fixations:
        """The fixations of one image of this (height, width)."""
        where = slice(self._start[index], self._start[index + 1])
        column = {name: array[where] for name, array in self._columns.items()}
        return Fixations.of(size=size, **column)

    def select(self, indices: Sequence[int]) -> FixationTable:
        """Only these images, in this order."""
        chosen = object.__new__(FixationTable)
        pieces = [np.arange(self._start[i], self._start[i + 1]) for i in indices]
        rows = np.concatenate(pieces) if pieces else np.zeros(0, np.int64)
        chosen._start = np.concatenate([[0], np.cumsum([len(p) for p in pieces])]).astype(np.int64)
        chosen._columns = {name: array[rows] for name, array in self._columns.items()}
        chosen.not_finite = self.not_finite[list(indices)]
        return chosen

    def shifted(self, pixels: float) -> FixationTable:
        """The same fixations with ``pixels`` added to x and y."""
        return self._moved(self._columns["x"] + pixels, self._columns["y"] + pixels)

    def scaled(self, sizes: np.ndarray) -> FixationTable:
        """Shares of width and height → pixels of images of these (number of images, 2) heights and widths."""
        height, width = np.repeat(np.asarray(sizes).reshape(-1, 2), self.counts, axis=0).T
        return self._moved(self._columns["x"] * width, self._columns["y"] * height)

    def _moved(self, x: np.ndarray, y: np.ndarray) -> FixationTable:
        return FixationTable.from_arrays({**self.arrays(), "x": x, "y": y})

    def row(self, index: int) -> Row:
        """One image's arrays, as the constructor takes them."""
        where = slice(self._start[index], self._start[index + 1])
        x, y, time, duration, viewer = (self._columns[name][where] for name in (*_FLOATS, "viewer"))
        return x, y, time, duration, viewer

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything by name, for storing; :meth:`from_arrays` is the way back."""
        return {"start": self._start, "not_finite": self.not_finite, **self._columns}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> FixationTable:
        """The table that :meth:`arrays` came from."""
        table = object.__new__(cls)
        table._start, table.not_finite = arrays["start"], arrays["not_finite"]
        table._columns = {name: arrays[name] for name in (*_FLOATS, "viewer")}
        return table
