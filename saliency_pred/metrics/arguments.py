"""What the metrics share: arguments checked once and refused by name, sums, densities, where fixations lie."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from saliency_pred.fixations import Fixations

LOG_TOLERANCE = 1e-3
"""How far the logarithm of a density's sum may be from 0 (the MIT/Tübingen benchmark's rule)."""

_AT_ONCE = {"cpu": 1 << 18, "cuda": 1 << 24}
"""Pixels treated together: on a processor what stays in its cache, on a GPU what fills it."""


# ---------------------------------------------------------------------- checks


def check_maps(maps: Tensor, fixations: Fixations | None = None, infinite: bool = False) -> Tensor:
    """Refuse maps that no metric can score.

    Args:
        maps: (M, H, W), float32 or float64.
        fixations: of M maps of this size, or None where the metric needs none.
        infinite: whether pixels of -inf are allowed, as in log densities.

    Returns:
        the maps without their history of gradients.

    Raises:
        TypeError: maps or fixations of another kind or type.
        ValueError: pixels that are NaN or infinite, numbers or sizes that differ, no pixels.
    """
    if not isinstance(maps, Tensor) or maps.ndim != 3 or not maps.is_floating_point():
        given = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise TypeError(f"maps must be a floating-point tensor (M, H, W), got {given}")
    if maps.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"metrics need float32 or float64 maps, got {maps.dtype}: convert with .float()")
    if maps.shape[1] == 0 or maps.shape[2] == 0:
        raise ValueError(f"maps {tuple(maps.shape)} have no pixels")
    maps = maps.detach()
    if not math.isfinite(maps.sum()):  # a fifth of the time of looking at every pixel
        bad = torch.isnan(maps) | (maps == torch.inf) if infinite else ~torch.isfinite(maps)
        if bool(bad.any()):
            counts = bad.flatten(1).sum(1)
            first = int((counts > 0).nonzero()[0])
            raise ValueError(f"map {first} has {int(counts[first])} pixels that are NaN or infinite")
    if fixations is not None:
        check_fixations(maps, fixations)
    return maps


def check_fixations(maps: Tensor, fixations: Fixations, role: str = "fixations") -> None:
    """Refuse what are no fixations on these maps.

    Args:
        role: what the argument is called.

    Raises:
        TypeError: something else, such as a density.
        ValueError: of another number of maps or another size, on another device.
    """
    if not isinstance(fixations, Fixations):
        raise TypeError(
            f"{role} must be Fixations, got {type(fixations).__name__}; a density is not a set of fixations"
        )
    if fixations.num_maps != len(maps):
        raise ValueError(f"{len(maps)} maps but {role} of {fixations.num_maps}")
    if fixations.device != maps.device:
        raise ValueError(f"maps are on {maps.device}, {role} on {fixations.device}: {role}.to(maps.device)")
    if bool((fixations.size != torch.tensor(maps.shape[-2:], device=fixations.device)).any()):
        raise ValueError(f"maps are {tuple(maps.shape[-2:])}, the images of the {role} {fixations.size.tolist()[:3]}")


def check_pair(maps: Tensor, density: Tensor) -> tuple[Tensor, Tensor]:
    """Maps and human densities of one shape and type.

    Raises:
        TypeError: fixations where a density is needed.
        ValueError: shapes differ; a density has negative pixels or is zero everywhere.
    """
    if isinstance(density, Fixations):
        raise TypeError("a density map is needed, got Fixations; blur them first (density.fixation_density)")
    maps, density = check_maps(maps), check_maps(density)
    if maps.shape != density.shape:
        raise ValueError(f"maps {tuple(maps.shape)} and densities {tuple(density.shape)} must have the same shape")
    if len(density):
        low, high = bounds(density)
        wrong = ((low < 0) | (high == 0)).nonzero()
        if len(wrong):
            m = int(wrong[0, 0])
            if float(low[m]) < 0:
                number = int((density[m] < 0).sum())
                raise ValueError(f"the human density of map {m} has {number} negative pixels: it is no density")
            raise ValueError(f"the human density of map {m} is zero everywhere")
    dtype = torch.promote_types(maps.dtype, density.dtype)
    return maps.to(dtype), density.to(dtype)


def check_log_density(log_density: Tensor, fixations: Fixations, name: str = "log_density") -> Tensor:
    """Refuse what are no log densities: natural logarithms of maps that sum to 1; -inf where the density is 0.

    Args:
        name: what the argument is called.

    Raises:
        TypeError, ValueError: as :func:`check_maps`; a sum whose logarithm is off by ``LOG_TOLERANCE`` or more.
    """
    log_density = check_maps(log_density, fixations, infinite=True)
    for start, part in chunks(log_density):
        log_sum = total(part.exp()).log()
        wrong = (~(log_sum.abs() < LOG_TOLERANCE)).nonzero()
        if len(wrong):
            m = int(wrong[0, 0])
            raise ValueError(
                f"{name}: map {start + m} is no log density, the logarithm of its sum is {float(log_sum[m]):.4g} and "
                f"may be off by {LOG_TOLERANCE:g}; density.log_normalise makes one of logits, "
                "map.div(map.sum()).log() of a map"
            )
    return log_density


# ---------------------------------------------------------------------- arithmetic


def chunks(maps: Tensor, widest: int = 0) -> Iterator[tuple[int, Tensor]]:
    """(number of the first, maps) of as many maps at a time as suit the device; memory is bounded by them.

    Args:
        widest: values that are held for every map besides its pixels, such as negatives.
    """
    each = max(maps[:1].numel(), widest, 1)
    at_once = max(1, _AT_ONCE.get(maps.device.type, _AT_ONCE["cuda"]) // each)
    for start in range(0, len(maps), at_once):
        yield start, maps[start : start + at_once]


def total(values: Tensor) -> Tensor:
    """(C,) float64 sums of (C, H, W): rows in their own type, which adds pairwise, then the rows in float64."""
    return values.sum(-1).sum(-1, dtype=torch.float64)


def bounds(maps: Tensor) -> tuple[Tensor, Tensor]:
    """(C,) lowest and highest pixel of each map."""
    flat = maps.flatten(1)
    if len(flat) == 1:  # the whole tensor at once is twice as fast as along a dimension
        low, high = flat.aminmax()
        return low[None], high[None]
    return tuple(flat.aminmax(dim=1))  # type: ignore[return-value]


def as_density(maps: Tensor, shift: bool = False) -> Tensor:
    """(C, H, W) maps that sum to 1, of the same type: shifted to 0 if negative, uniform if zero everywhere.

    float32 values at the ends of their range come as float64.

    Args:
        shift: the lowest pixel becomes 0 also where it is positive.
    """
    low = bounds(maps)[0][:, None, None]
    if shift or bool((low < 0).any()):
        maps = maps - (low if shift else low.clamp(max=0))
    mass = total(maps)
    least, most = mass.aminmax()
    if maps.dtype == torch.float32 and not 1e-30 < least <= most < 1e30:
        maps = maps.double()
        mass = total(maps)
        least = mass.min()
    if least > 0:
        return maps / mass.to(maps.dtype)[:, None, None]
    empty = mass == 0
    maps = maps / torch.where(empty, 1.0, mass).to(maps.dtype)[:, None, None]
    return maps.masked_fill(empty[:, None, None], 1 / maps[0].numel())


def centred(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Deviations of (C, H, W) maps from their means.

    Returns:
        deviations (C, H, W) of the same type, divided by a power of 2 where their squares would leave the type's
        range; (C,) float64 sums of these squares, exactly 0 for a constant map; (C,) that power of 2.
    """
    low, high = bounds(maps)
    size = torch.maximum(-low, high).double()
    scale = torch.ones_like(size)
    if bool(((size < 1e-9) | (size > 1e9)).any()):
        scale = torch.where(size > 0, size, 1.0).log2().floor().exp2()
        maps = (maps / scale[:, None, None]).to(maps.dtype)
    n = maps[0].numel()
    # The mean in the maps' own type; what its rounding leaves over is taken off the second time
    deviation = maps - (total(maps) / n).to(maps.dtype)[:, None, None]
    deviation -= (total(deviation) / n).to(maps.dtype)[:, None, None]
    square = torch.linalg.vector_norm(deviation, dim=-1).double().square().sum(-1)
    return deviation, torch.where(low < high, square, 0.0), scale


def min_max(maps: Tensor) -> Tensor:
    """(C, H, W) float64 maps stretched to [0, 1]; a constant one becomes 0 everywhere."""
    low, high = (value.double()[:, None, None] for value in bounds(maps))
    spread = high - low
    return torch.where(spread > 0, (maps - low) / torch.where(spread > 0, spread, 1.0), 0.0)


# ---------------------------------------------------------------------- where fixations lie


@dataclass(frozen=True)
class Places:
    """The pixels of fixations, ordered by map.

    Attributes:
        pixel: (n,) int64, row * W + column.
        counts: (M,) int64, how many each map has.
    """

    pixel: Tensor
    counts: Tensor

    @classmethod
    def of(cls, maps: Tensor, fixations: Fixations) -> Places:
        """Of fixations that ``check_fixations`` has passed; they keep their order within a map."""
        row, column = fixations.pixels()
        pixel = row * maps.shape[-1] + column
        if fixations.num_maps > 1:
            pixel = pixel[torch.argsort(fixations.map_index, stable=True)]
        return cls(pixel, fixations.counts)

    @property
    def most(self) -> int:
        """The largest number that a map has."""
        return int(self.counts.max()) if len(self.counts) else 0

    def distinct(self, pixels: int) -> Places:
        """Several fixations of one pixel as one; a map has ``pixels`` pixels."""
        number = torch.arange(len(self.counts), device=self.pixel.device).repeat_interleave(self.counts)
        key = (number * pixels + self.pixel).unique()
        counts = torch.bincount(key.div(pixels, rounding_mode="floor"), minlength=len(self.counts))
        return Places(key % pixels, counts)

    def values(self, start: int, maps: Tensor, fill: float) -> Tensor:
        """(C, K) values of ``maps``, those from number ``start`` on; rows with fewer than K end in ``fill``."""
        counts = self.counts[start : start + len(maps)]
        before = int(self.counts[:start].sum())
        pixel = self.pixel[before : before + int(counts.sum())]
        if len(maps) == 1:
            return maps.flatten()[pixel][None]
        most = int(counts.max())
        filled = torch.arange(most, device=maps.device) < counts[:, None]
        index = torch.zeros(len(maps), most, dtype=torch.int64, device=maps.device)
        index[filled] = pixel
        return maps.flatten(1).gather(1, index).masked_fill_(~filled, fill)


def fixation_mean(maps: Tensor, places: Places) -> Tensor:
    """(M,) float64 mean over fixations; NaN without any. Added in a fixed order: the same every time."""
    sums = [places.values(start, part, 0.0).double().sum(1) for start, part in chunks(maps, places.most)]
    return torch.cat(sums) / places.counts if sums else maps.new_zeros(0, dtype=torch.float64)
