"""What every metric asks of its arguments: checked once, refused by name."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from saliency_pred.fixations import Fixations


def check_maps(maps: Tensor, fixations: Fixations | None = None, infinite: bool = False) -> Tensor:
    """Refuse maps that no metric can score.

    Args:
        maps: (M, H, W), float32 or float64.
        fixations: of M maps of this size, or None where the metric needs none.
        infinite: whether infinite pixels are allowed (log densities may be -inf).

    Raises:
        TypeError: maps or fixations of another kind or type.
        ValueError: pixels that are NaN or infinite, numbers or sizes that differ.
    """
    if not isinstance(maps, Tensor) or maps.ndim != 3 or not maps.is_floating_point():
        given = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise TypeError(f"maps must be a floating-point tensor (M, H, W), got {given}")
    if maps.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"metrics need float32 or float64 maps, got {maps.dtype}: convert with .float()")
    if not math.isfinite(maps.sum()):  # a fifth of the time of looking at every pixel
        bad = torch.isnan(maps) if infinite else ~torch.isfinite(maps)
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
        ValueError: of another number of maps or another size.
    """
    if not isinstance(fixations, Fixations):
        raise TypeError(
            f"{role} must be Fixations, got {type(fixations).__name__}; a density is not a set of fixations"
        )
    if fixations.num_maps != len(maps):
        raise ValueError(f"{len(maps)} maps but {role} of {fixations.num_maps}")
    if bool((fixations.size != torch.tensor(maps.shape[-2:], device=fixations.device)).any()):
        raise ValueError(f"maps are {tuple(maps.shape[-2:])}, the images of the {role} {fixations.size.tolist()[:3]}")


def check_pair(maps: Tensor, density: Tensor) -> tuple[Tensor, Tensor]:
    """Maps and densities of one shape.

    Raises:
        TypeError: fixations where a density is needed.
        ValueError: shapes differ.
    """
    if isinstance(density, Fixations):
        raise TypeError("a density map is needed, got Fixations; blur them first (density.fixation_density)")
    check_maps(maps), check_maps(density)
    if maps.shape != density.shape:
        raise ValueError(f"maps {tuple(maps.shape)} and densities {tuple(density.shape)} must have the same shape")
    return maps, density


def check_truth(density: Tensor) -> None:
    """Refuse human densities that are zero everywhere: nothing can be scored against them.

    Raises:
        ValueError: naming the first such map.
    """
    empty = (density.flatten(1).amax(1) <= 0).nonzero()[:, 0]
    if len(empty):
        raise ValueError(f"the human density of map {int(empty[0])} is zero everywhere")


def total(values: Tensor) -> Tensor:
    """Sum of (H, W) values, float64: rows in their own type, which adds pairwise, then the rows in float64."""
    return values.sum(-1).sum(dtype=torch.float64)


def as_density(values: Tensor) -> Tensor:
    """(H, W) values that sum to 1, of the same type: shifted to 0 if negative, uniform if zero everywhere.

    float32 values at the ends of their range come as float64.
    """
    low = values.amin()
    if low < 0:
        values = values - low
    mass = total(values)
    if mass == 0:
        return torch.full_like(values, 1 / values.numel())
    if values.dtype == torch.float32 and not 1e-30 < mass < 1e30:
        values = values.double()
        mass = total(values)
    return values / mass


def min_max(maps: Tensor) -> Tensor:
    """(M, H, W) float64 maps stretched to [0, 1]; a constant one becomes 0 everywhere."""
    maps = maps.double()
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    spread = high - low
    return torch.where(spread > 0, (maps - low) / torch.where(spread > 0, spread, 1.0), 0.0)


def by_map(maps: Tensor, fixations: Fixations) -> list[tuple[Tensor, Tensor]]:
    """For every map its pixels (H * W,) and where among them its fixations lie (n,) int64."""
    row, column = fixations.pixels()
    where = row * maps.shape[-1] + column
    if fixations.num_maps > 1:
        where = where[torch.argsort(fixations.map_index, stable=True)]
    parts = where.split(fixations.counts.tolist())
    return [(one.flatten(), mine) for one, mine in zip(maps, parts, strict=True)]


def fixation_mean(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) float64 mean over fixations; NaN without any. In a fixed order: the same on every device."""
    means = [
        pixels[where].double().sum() / len(where) if len(where) else maps.new_full((), math.nan, dtype=torch.float64)
        for pixels, where in by_map(maps, fixations)
    ]
    return torch.stack(means) if means else maps.new_zeros(0, dtype=torch.float64)
