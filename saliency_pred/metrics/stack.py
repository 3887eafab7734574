"""Some maps at a time, and what several metrics need of them.

Pixels stay on their device and in their type. What is one number a map is float64 on the host, so that it is
computed in the same way whatever the device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saliency_pred.fixations import Fixations

Numbers = NDArray[np.float64]
"""(C,), one a map."""

_AT_ONCE = {"cpu": 1 << 18, "cuda": 1 << 25}
"""Pixels treated together: on a processor what stays in its cache, on a GPU what fills it."""

_BLOCK = 1 << 17
"""Pixels of a map that are treated together on a processor."""

_RANGE = 1e-12, 1e12
"""float32 maps whose largest value is beyond are treated in float64: squares, sums and their ratios stay numbers."""


MAP = "map {}"
"""What maps are called in messages."""


class Stack:
    """Maps and what is computed of them, once, when it is first asked for.

    Args:
        maps: (C, H, W), float32 or float64.
        first: number of the first map, for messages.
        infinite: whether pixels of -inf are allowed, as in log densities.
        name: what a map is called in messages, {} being its number.

    Raises:
        ValueError: pixels that are NaN or infinite.
    """

    def __init__(self, maps: Tensor, first: int = 0, infinite: bool = False, name: str = MAP) -> None:
        self.first = first
        self.name = name
        self.maps = maps
        self.pixels = maps.shape[1] * maps.shape[2]
        flat = maps.flatten(1)
        # The whole tensor at once is many times as fast as along a dimension
        extremes = flat.aminmax() if len(self) == 1 else flat.aminmax(dim=1)
        self.low, self.high = (host(value.reshape(-1)) for value in extremes)
        largest = np.maximum(self.high, 0 if infinite else -self.low)
        if not np.isfinite(largest).all():
            self._refuse(infinite)
        self.largest = largest
        if maps.dtype == torch.float32 and not infinite:
            beyond = (largest > _RANGE[1]) | ((largest < _RANGE[0]) & (largest > 0))
            if beyond.any():
                self.maps = maps.double()

    def _refuse(self, infinite: bool) -> None:
        bad = torch.isnan(self.maps) | (self.maps == torch.inf) if infinite else ~torch.isfinite(self.maps)
        counts = host(bad.flatten(1).sum(1))
        m = int(np.flatnonzero(counts)[0])
        raise ValueError(f"{self.called(m)} has {int(counts[m])} pixels that are NaN or infinite")

    def __len__(self) -> int:
        return self.maps.shape[0]

    def called(self, m: int) -> str:
        """One of the maps, in messages."""
        return self.name.format(self.first + m)

    @property
    def constant(self) -> NDArray[np.bool_]:
        """(C,), whether all pixels are equal."""
        return self.low == self.high

    @cached_property
    def sums(self) -> Numbers:
        """Of the pixels."""
        return total(self.maps)

    @cached_property
    def log_sums(self) -> Numbers:
        """Logarithms of the sums of the pixels' exponentials; -inf of nothing."""
        with np.errstate(divide="ignore"):
            return np.log(summed(torch.exp(part, out=memory) for part, memory in blocks(self.maps)))

    @property
    def density(self) -> Tensor:
        """(C, H, W) maps that sum to 1, see :attr:`nonnegative`."""
        stack = self.nonnegative
        return stack.maps / stack.spread(stack.sums)

    @property
    def nonnegative(self) -> Stack:
        """Maps that become densities when they are divided by their sums: shifted to 0 if negative, 1 if all 0."""
        return self._shifted(np.minimum(self.low, 0))

    @property
    def stretched(self) -> Stack:
        """As :attr:`nonnegative`, shifted so that the lowest pixel is 0 also where it is positive."""
        return self._shifted(self.low)

    def _shifted(self, shift: Numbers) -> Stack:
        empty = self.high == shift
        if not shift.any() and not empty.any():
            return self
        maps = self.maps - self.spread(shift)
        maps[torch.from_numpy(empty).to(maps.device)] = 1
        return Stack(maps)

    @cached_property
    def centred(self) -> Centred:
        """What means, variances and correlations are computed from."""
        return Centred(self)

    def spread(self, numbers: Numbers) -> Tensor | float:
        """One number a map, to be combined with the pixels."""
        if len(numbers) == 1:
            return float(numbers[0])
        return torch.from_numpy(numbers).to(self.maps)[:, None, None]


def blocks(*maps: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """(C, rows, W) of each of some (C, H, W) maps, one after another, and memory of that shape, the same for all.

    A large tensor that is made anew costs more than what is computed in it, and one block stays in the cache. On a
    GPU a block is the whole.
    """
    count, height, width = maps[0].shape
    rows = height if maps[0].is_cuda else min(height, max(1, _BLOCK // (count * width)))
    memory = maps[0].new_empty(count, rows, width)
    for parts in zip(*(some.split(rows, 1) for some in maps), strict=True):
        yield *parts, memory[:, : parts[0].shape[1]]


class Centred:
    """Maps moved so that their sums of squares are numbers of their type, and lose nothing beside their squared sums.

    Attributes:
        maps: (C, H, W), divided by :attr:`scale`, less their means where these are large beside the deviations.
        sums: (C,) of the pixels of :attr:`maps`.
        scale: (C,) powers of 2; mostly 1.
        squares: (C,) sums of the squared deviations of :attr:`maps` from their means; exactly 0 for a constant map.
    """

    def __init__(self, stack: Stack) -> None:
        usual = ((stack.largest > 1e-9) & (stack.largest < 1e9)) | (stack.largest == 0)
        self.scale = np.ones_like(stack.largest)
        self.maps, self.sums = stack.maps, stack.sums
        if not usual.all():
            self.scale[~usual] = np.exp2(np.floor(np.log2(stack.largest[~usual])))
            self.maps = self.maps / stack.spread(self.scale)
            self.sums = total(self.maps)
        squares = self._squares()
        # Of float32 squares 1e-8 is lost; of their difference from the squared sums then at most five times that
        if (5 * self.sums**2 / stack.pixels > 4 * squares).any():
            self.maps = self.maps - stack.spread(self.sums / stack.pixels)
            self.sums = total(self.maps)
            squares = self._squares()
        self.squares = np.where(stack.constant, 0.0, squares - self.sums**2 / stack.pixels)

    def _squares(self) -> Numbers:
        return np.square(host(torch.linalg.vector_norm(self.maps, dim=-1))).sum(-1)


def stacks(maps: Tensor, widest: int = 0, infinite: bool = False, name: str = MAP) -> Iterator[Stack]:
    """As many maps at a time as suit the device; memory is bounded by them.

    Args:
        maps: (M, H, W).
        widest: values that are held for every map besides its pixels, such as negatives.
        infinite, name: see :class:`Stack`.
    """
    each = max(maps[:1].numel(), widest, 1)
    at_once = max(1, _AT_ONCE.get(maps.device.type, _AT_ONCE["cuda"]) // each)
    for start in range(0, len(maps), at_once):
        yield Stack(maps[start : start + at_once], start, infinite, name)


def host(values: Tensor) -> Numbers:
    """On the host, float64."""
    return values.cpu().numpy().astype(np.float64)


def total(maps: Tensor) -> Numbers:
    """Sums of (C, H, W): rows in their own type, which adds pairwise, then the rows in float64."""
    return host(maps.sum(-1)).sum(-1)


def min_max(stack: Stack) -> Tensor:
    """(C, H, W) float64 maps stretched to [0, 1]; a constant one becomes 0 everywhere."""
    width = np.where(stack.constant, 1.0, stack.high - stack.low)
    return (stack.maps.double() - stack.spread(stack.low)) / stack.spread(width)


def summed(parts: Iterable[Tensor]) -> Numbers:
    """Sums of (C, H, W) whose rows come in parts, as :func:`total`."""
    return host(torch.cat([part.sum(-1) for part in parts], 1)).sum(-1)


class Places:
    """The pixels of fixations, ordered by map.

    Args:
        pixel: (n,) int64, row * W + column.
        counts: (M,) int64, how many each map has.
        pixels: H * W.
    """

    def __init__(self, pixel: Tensor, counts: NDArray[np.int64], pixels: int) -> None:
        self.pixel = pixel
        self.counts = counts
        self.pixels = pixels
        self._ends = [0, *accumulate(counts.tolist())]

    @classmethod
    def of(cls, fixations: Fixations, size: tuple[int, int]) -> Places:
        """Of fixations on maps of this (height, width); they keep their order within a map.

        Raises:
            ValueError: a fixation lies outside.
        """
        row, column = fixations.pixels()
        pixel, pixels = row * size[1] + column, size[0] * size[1]
        if fixations.num_maps == 1:
            return cls(pixel, np.array([len(pixel)]), pixels)
        order = torch.argsort(fixations.map_index, stable=True)
        return cls(pixel[order], fixations.counts.cpu().numpy(), pixels)

    @property
    def most(self) -> int:
        """The largest number that a map has."""
        return int(self.counts.max(initial=0))

    @cached_property
    def distinct(self) -> Places:
        """Several fixations of one pixel as one."""
        number = torch.arange(len(self.counts)).repeat_interleave(torch.from_numpy(self.counts))
        key = (number.to(self.pixel.device) * self.pixels + self.pixel).unique()
        counts = torch.bincount(key.div(self.pixels, rounding_mode="floor"), minlength=len(self.counts))
        return Places(key % self.pixels, counts.cpu().numpy(), self.pixels)

    def count(self, stack: Stack) -> NDArray[np.int64]:
        """(C,), how many the maps of a stack have."""
        return self.counts[stack.first : stack.first + len(stack)]

    def values(self, stack: Stack, maps: Tensor, fill: float) -> Tensor:
        """(C, K) values of ``maps``, made of those in ``stack``; rows of fewer than K end in ``fill``."""
        first = stack.first
        pixel = self.pixel[self._ends[first] : self._ends[first + len(stack)]]
        if len(stack) == 1:
            return maps.flatten(1).index_select(1, pixel)
        counts = torch.from_numpy(self.count(stack)).to(maps.device)
        filled = torch.arange(int(self.count(stack).max()), device=maps.device) < counts[:, None]
        index = torch.zeros(filled.shape, dtype=torch.int64, device=maps.device)
        index[filled] = pixel
        return maps.flatten(1).gather(1, index).masked_fill_(~filled, fill)

    def means(self, stack: Stack, maps: Tensor) -> Numbers:
        """Of the values of ``maps``, NaN without any; added in a fixed order, the same every time."""
        sums = host(self.values(stack, maps, 0.0).double().sum(1))
        with np.errstate(invalid="ignore"):
            return sums / self.count(stack)
