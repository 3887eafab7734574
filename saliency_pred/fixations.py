"""Fixations: where, when, for how long and by whom something was looked at.

The truth that every map, slice and score of this package is computed from.

Conventions
    x to the right, y down, in pixels of the image as shown; pixel i covers [i, i + 1).
    A 1-based column c of a file becomes c - 0.5, a 0-based pixel index i becomes i + 0.5.
    Times in seconds from stimulus onset, durations in seconds, sizes as (height, width).
    Only rasterising floors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

OutsidePolicy = Literal["drop", "clip", "error"]

_FLOATS = ("x", "y", "time", "duration")
_INTEGERS = ("viewer", "sample", "window")
_PER_FIXATION = _FLOATS + _INTEGERS


@dataclass(frozen=True, eq=False)
class Fixations:
    """The fixations of one or many images, packed one after another.

    Attributes:
        x, y: (n,) float64, pixels.
        time: (n,) float64, onset in seconds after stimulus onset; NaN where unknown.
        duration: (n,) float64, seconds; NaN where unknown.
        viewer: (n,) int64, who looked; -1 where unknown.
        sample: (n,) int64, which image of the pack, 0 .. B - 1.
        window: (n,) int64, which time window of that image, 0 .. num_windows - 1.
        size: (B, 2) int64, height and width of each image.
        num_windows: T, how many time windows each image has.
    """

    x: Tensor
    y: Tensor
    time: Tensor
    duration: Tensor
    viewer: Tensor
    sample: Tensor
    window: Tensor
    size: Tensor
    num_windows: int = 1

    def __post_init__(self) -> None:
        n = self.x.shape
        if len(n) != 1:
            raise ValueError(f"fixations are packed one-dimensional; x has shape {tuple(n)}")
        for name in _PER_FIXATION:
            value = getattr(self, name)
            wanted = torch.float64 if name in _FLOATS else torch.int64
            if value.shape != n or value.dtype != wanted:
                raise ValueError(
                    f"fixations.{name} must be {wanted} of shape {tuple(n)}, got {value.dtype} of shape "
                    f"{tuple(value.shape)}; Fixations.of(...) builds them from lists and arrays"
                )
        if self.size.ndim != 2 or self.size.shape[1] != 2 or self.size.dtype != torch.int64:
            raise ValueError(f"fixations.size must be int64 (B, 2) of (height, width), got {tuple(self.size.shape)}")

    # ------------------------------------------------------------------ making

    @classmethod
    def of(
        cls,
        x: object,
        y: object,
        size: tuple[int, int],
        *,
        time: object | None = None,
        duration: object | None = None,
        viewer: object | None = None,
    ) -> Fixations:
        """Fixations of a single image from lists, arrays or tensors.

        Args:
            x, y: n pixel coordinates (see the module's conventions).
            size: (height, width) of the image.
            time, duration: n values in seconds, or None where unknown.
            viewer: n integers, or None where unknown.

        Raises:
            ValueError: lengths differ, or a coordinate is NaN or infinite.
        """
        px = torch.as_tensor(x, dtype=torch.float64).reshape(-1)
        py = torch.as_tensor(y, dtype=torch.float64).reshape(-1)
        n = len(px)

        def column(name: str, value: object | None, default: float, dtype: torch.dtype) -> Tensor:
            if value is None:
                return torch.full((n,), default, dtype=dtype)
            return torch.as_tensor(value, dtype=dtype).reshape(-1)

        columns = {
            "y": py,
            "time": column("time", time, float("nan"), torch.float64),
            "duration": column("duration", duration, float("nan"), torch.float64),
            "viewer": column("viewer", viewer, -1, torch.int64),
        }
        for name, value in columns.items():
            if len(value) != n:
                raise ValueError(f"{n} x coordinates but {len(value)} values of {name}; they belong together in pairs")
        bad = int((~(torch.isfinite(px) & torch.isfinite(py))).sum())
        if bad:
            raise ValueError(f"{bad} of {n} fixations have a NaN or infinite coordinate; remove them before packing")
        zeros = torch.zeros(n, dtype=torch.int64)
        shape = torch.tensor([[int(size[0]), int(size[1])]], dtype=torch.int64)
        return cls(px, py, columns["time"], columns["duration"], columns["viewer"], zeros, zeros.clone(), shape)

    @classmethod
    def empty(cls, size: tuple[int, int]) -> Fixations:
        """No fixations, of one image of this (height, width)."""
        return cls.of([], [], size)

    @classmethod
    def cat(cls, parts: Sequence[Fixations]) -> Fixations:
        """Pack the images of several packs into one; images keep their order."""
        if not parts:
            raise ValueError("nothing to pack: an empty list of Fixations")
        windows = {p.num_windows for p in parts}
        if len(windows) > 1:
            raise ValueError(f"cannot pack images with different numbers of time windows: {sorted(windows)}")
        columns = {name: torch.cat([getattr(p, name) for p in parts]) for name in _PER_FIXATION if name != "sample"}
        first, samples = 0, []
        for p in parts:
            samples.append(p.sample + first)
            first += p.num_samples
        return cls(
            sample=torch.cat(samples),
            size=torch.cat([p.size for p in parts]),
            num_windows=windows.pop(),
            **columns,
        )

    # ------------------------------------------------------------------ asking

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"Fixations(n={len(self)}, samples={self.num_samples}, windows={self.num_windows})"

    @property
    def num_samples(self) -> int:
        """B, how many images are packed."""
        return len(self.size)

    @property
    def num_maps(self) -> int:
        """M = B * T, how many (image, window) pairs there are: the maps that a prediction stacks."""
        return self.num_samples * self.num_windows

    @property
    def map_index(self) -> Tensor:
        """(n,) int64: the map that each fixation belongs to, sample * T + window."""
        return self.sample * self.num_windows + self.window

    @property
    def device(self) -> torch.device:
        return self.x.device

    @property
    def counts(self) -> Tensor:
        """(M,) int64: how many fixations each map has."""
        return torch.bincount(self.map_index, minlength=self.num_maps)

    @property
    def inside(self) -> Tensor:
        """(n,) bool: whether the fixation lies on its image."""
        # Of a single image two numbers do, which is several times as fast
        height, width = self.size[0].tolist() if self.num_samples == 1 else self.size[self.sample].unbind(-1)
        return (self.x >= 0) & (self.x < width) & (self.y >= 0) & (self.y < height)

    def viewers(self) -> list[int]:
        """The distinct viewers, ascending; unknown ones (-1) are left out."""
        return cast(list[int], self.viewer[self.viewer >= 0].unique().tolist())

    def pixels(self) -> tuple[Tensor, Tensor]:
        """(row, column) of each fixation, int64, by floor.

        Raises:
            ValueError: a fixation lies outside its image (see ``clean``).
        """
        inside = self.inside
        if not bool(inside.all()):
            outside = int((~inside).sum())
            raise ValueError(
                f"{outside} of {len(self)} fixations lie outside their image; "
                "decide what becomes of them with fixations.clean('drop' | 'clip')"
            )
        return self.y.long(), self.x.long()  # of what is not negative the floor

    # ------------------------------------------------------------------ choosing

    def select(self, keep: Tensor) -> Fixations:
        """The fixations where ``keep`` (a bool mask or indices) says so; the images stay."""
        return self._replace(**{name: getattr(self, name)[keep] for name in _PER_FIXATION})

    def of_viewer(self, viewer: int) -> Fixations:
        """Only this viewer's fixations."""
        return self.select(self.viewer == viewer)

    def of_sample(self, sample: int) -> Fixations:
        """The fixations of one image, as a pack of that single image."""
        mine = self.select(self.sample == sample)
        return mine._replace(sample=torch.zeros_like(mine.sample), size=self.size[sample : sample + 1])

    def of_window(self, window: int) -> Fixations:
        """The fixations of one time window, as packs of a single window."""
        mine = self.select(self.window == window)
        return mine._replace(window=torch.zeros_like(mine.window), num_windows=1)

    def clean(self, outside: OutsidePolicy = "drop") -> tuple[Fixations, int]:
        """Deal with fixations outside their image.

        Args:
            outside: ``drop`` them, ``clip`` them to the nearest pixel's centre, or ``error``.

        Returns:
            the fixations, and how many lay outside.
        """
        inside = self.inside
        if bool(inside.all()):
            return self, 0
        count = int((~inside).sum())
        if outside == "drop":
            return self.select(inside), count
        if outside == "clip":
            height, width = self.size[self.sample].to(torch.float64).unbind(1)
            x = torch.where(inside, self.x, self.x.clamp(min=0.5).minimum(width - 0.5))
            y = torch.where(inside, self.y, self.y.clamp(min=0.5).minimum(height - 0.5))
            return self._replace(x=x, y=y), count
        if outside == "error":
            raise ValueError(f"{count} of {len(self)} fixations lie outside their image")
        raise ValueError(f"outside={outside!r} is none of 'drop', 'clip', 'error'")

    def in_windows(self, window: Tensor, num_windows: int) -> Fixations:
        """The same fixations in other time windows.

        Args:
            window: (n,) int64, the window of each fixation.
            num_windows: T, how many there are.

        Raises:
            ValueError: a window is none of 0 .. T - 1.
        """
        if len(window) and not 0 <= int(window.min()) <= int(window.max()) < num_windows:
            raise ValueError(f"windows must be 0 to {num_windows - 1}, got {int(window.min())} to {int(window.max())}")
        return self._replace(window=window, num_windows=num_windows)

    def assign_windows(self, windows: Tensor) -> Fixations:
        """Sort the fixations into time windows by their onset.

        A fixation is repeated for every window [start, end) that holds its onset and left out if none
        does. A window from -inf to inf holds every fixation, those of unknown time too.

        Args:
            windows: (B, T, 2) or (T, 2, the same for all images), seconds.

        Raises:
            ValueError: a bounded window is asked of fixations whose time is unknown.
        """
        windows = windows.to(device=self.device, dtype=torch.float64)
        if windows.ndim == 2:
            windows = windows.expand(self.num_samples, *windows.shape)
        if windows.ndim != 3 or windows.shape[0] != self.num_samples or windows.shape[2] != 2:
            raise ValueError(
                f"windows must be (B, T, 2) with B = {self.num_samples}, or (T, 2); got {tuple(windows.shape)}"
            )
        mine = windows[self.sample]  # (n, T, 2)
        always = torch.isneginf(mine[..., 0]) & torch.isposinf(mine[..., 1])
        unknown = torch.isnan(self.time)
        if bool((unknown[:, None] & ~always).any()):
            raise ValueError(
                f"{int(unknown.sum())} of {len(self)} fixations have no onset time, so they cannot be sorted "
                "into time windows; use a data set with onsets, or one window from -inf to inf"
            )
        time = self.time[:, None]
        holds = always | ((time >= mine[..., 0]) & (time < mine[..., 1]))
        which, window = holds.nonzero(as_tuple=True)
        return self.select(which)._replace(window=window, num_windows=windows.shape[1])

    # ------------------------------------------------------------------ moving

    def rescale(self, size: Tensor) -> Fixations:
        """The same fixations on images resized to ``size`` (B, 2): coordinates times the size ratio."""
        size = size.to(device=self.device, dtype=torch.int64)
        ratio = (size.to(torch.float64) / self.size.to(torch.float64))[self.sample]
        height, width = size[self.sample].to(torch.float64).unbind(1)
        x = _kept_below(width, self.x * ratio[:, 1], self.inside)
        y = _kept_below(height, self.y * ratio[:, 0], self.inside)
        return self._replace(x=x, y=y, size=size)

    def shift(self, dy: float, dx: float, size: tuple[int, int]) -> Fixations:
        """Moved by (dy, dx) pixels, on images of a new (height, width): what padding and cropping do."""
        shape = torch.tensor(size, dtype=torch.int64, device=self.device).expand(self.num_samples, 2)
        height, width = self.size[self.sample].to(torch.float64).unbind(1)
        x = _kept_below(width + dx, self.x + dx, self.inside)
        y = _kept_below(height + dy, self.y + dy, self.inside)
        return self._replace(x=x, y=y, size=shape.clone())

    def flip(self) -> Fixations:
        """Mirrored left to right; every fixation stays within the mirror image of its own pixel.

        On a pixel's left edge, or so near that rounding puts it there, the plain mirror image would be in the
        next pixel; there the largest number below that pixel is taken.
        """
        width = self.size[self.sample, 1].to(torch.float64)
        end = width - self.x.floor()  # of the mirrored pixel, which does not hold it
        below = torch.nextafter(end, torch.full_like(end, -torch.inf))
        return self._replace(x=torch.minimum(width - self.x, below))

    def rasterise(self) -> Tensor:
        """(B, T, H, W) float32 counts of fixations per pixel; every image must have the same size.

        Raises:
            ValueError: sizes differ, or a fixation lies outside.
        """
        if self.num_samples and bool((self.size != self.size[0]).any()):
            raise ValueError("images of different sizes cannot be stacked; rasterise them one by one (of_sample)")
        height, width = (int(v) for v in self.size[0]) if self.num_samples else (0, 0)
        row, column = self.pixels()
        flat = (self.map_index * height + row) * width + column
        counts = torch.bincount(flat, minlength=self.num_maps * height * width)
        return counts.to(torch.float32).reshape(self.num_samples, self.num_windows, height, width)

    # ------------------------------------------------------------------ tensors

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Fixations:
        """The same fixations on another device."""
        return self._apply(lambda t: t.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Fixations:
        """The same fixations in page-locked memory (called by the data loader)."""
        return self._apply(Tensor.pin_memory)

    def _apply(self, function: Callable[[Tensor], Tensor]) -> Fixations:
        return self._replace(**{name: function(getattr(self, name)) for name in (*_PER_FIXATION, "size")})

    def _replace(self, **changes: Tensor | int) -> Fixations:
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def _kept_below(edge: Tensor, position: Tensor, inside: Tensor) -> Tensor:
    """Positions, cut to the largest number below the image's edge where rounding alone carried them onto it."""
    below = torch.nextafter(edge, torch.full_like(edge, -torch.inf))
    return torch.where(inside, torch.minimum(position, below), position)
