"""Fixation metrics as pure functions over stacks of maps.

Conventions of all functions
    ``maps`` are (M, H, W), float32 or float64, any device; ``fixations`` are packed, ``fixations.map_index``
    tells the map of each and ``fixations.num_maps`` is M; densities are (M, H, W) and non-negative.
    One float64 value per map is returned. A map without fixations is unscorable by the fixation metrics:
    NaN. NaN or infinite pixels are an error that names the map. Nothing is sampled and nothing is stepped:
    values are exact and tie-aware, and the same on every device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from saliency_pred.density import normalise
from saliency_pred.fixations import Fixations

MIT_EPS = 2.2204e-16
"""Regularises KLD and IG in the MIT and Tübingen code (MATLAB's eps to five digits)."""


def auc(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) area under the ROC curve, every pixel a negative ("AUC uniform", Tübingen).

    Mann-Whitney: the probability that a fixated pixel's value exceeds that of any pixel, ties counting half.
    """
    maps = _checked(maps, fixations)
    result = []
    for pixels, values in _by_map(maps, fixations):
        n = len(values)
        if n == 0:
            result.append(math.nan)
            continue
        ordered = values.sort().values
        # Of n fixated values, as many lie below (left) and not above (right) each pixel: integers, summed exactly.
        left = torch.searchsorted(ordered, pixels, side="left")
        at = ordered[left.clamp(max=n - 1)]
        tied = (at == pixels).nonzero()[:, 0]
        right_of_tied = torch.searchsorted(ordered, pixels[tied], side="right")
        both = 2 * int(left.sum()) + int((right_of_tied - left[tied]).sum())
        result.append(1 - both / (2 * n * pixels.numel()))
    return torch.tensor(result, dtype=torch.float64, device=maps.device)


def nss(maps: Tensor, fixations: Fixations, ddof: int = 0) -> Tensor:
    """(M,) normalised scanpath saliency: mean over fixations of the standardised map; 0 for a constant map.

    Args:
        ddof: 0 (Tübingen, AIM) or 1 (MATLAB).
    """
    maps = _checked(maps, fixations)
    flat = maps.flatten(1).double()
    mean, std = flat.mean(1), flat.std(1, correction=ddof)
    constant = flat.amax(1) == flat.amin(1)
    value = (_fixation_mean(maps, fixations) - mean) / std.clamp(min=torch.finfo(torch.float64).tiny)
    return torch.where(constant & (fixations.counts > 0), 0.0, value)


def log_likelihood(log_density: Tensor, fixations: Fixations) -> Tensor:
    """(M,) mean log density at the fixations minus that of the uniform density, in bit per fixation."""
    log_density = _checked(log_density, fixations, infinite=True)
    uniform = math.log(log_density.shape[-2] * log_density.shape[-1])
    return (_fixation_mean(log_density, fixations) + uniform) / math.log(2)


def ig(log_density: Tensor, baseline_log_density: Tensor, fixations: Fixations) -> Tensor:
    """(M,) information gain: mean log density at the fixations minus the baseline's, in bit per fixation.

    Args:
        log_density, baseline_log_density: natural logarithms of densities that sum to 1.
    """
    log_density = _checked(log_density, fixations, infinite=True)
    baseline = _checked(baseline_log_density, fixations, infinite=True)
    return (_fixation_mean(log_density, fixations) - _fixation_mean(baseline, fixations)) / math.log(2)


def cc(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) Pearson correlation of map and density; 0 if either is constant."""
    a, b = (x.flatten(1).double() for x in _pair(maps, density))
    constant = (a.amax(1) == a.amin(1)) | (b.amax(1) == b.amin(1))
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    scale = (a.square().sum(1) * b.square().sum(1)).sqrt().clamp(min=torch.finfo(torch.float64).tiny)
    return torch.where(constant, 0.0, (a * b).sum(1) / scale)


def kld(maps: Tensor, density: Tensor, eps: float = MIT_EPS) -> Tensor:
    """(M,) Kullback-Leibler divergence of the map from the density, in nats: sum of g log(eps + g / (s + eps)).

    Args:
        maps: non-negative; divided by their sums (an all-zero map is uniform, negative ones are shifted).
        eps: changes the value a great deal on peaked maps; part of the result.
    """
    s, g = _densities(maps, density)
    return (g * torch.log(eps + g / (s + eps))).sum((-2, -1))


def sim(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) similarity: sum of the pixel-wise minimum of both, divided by their sums."""
    return torch.minimum(*_densities(maps, density)).sum((-2, -1))


def _checked(maps: Tensor, fixations: Fixations | None = None, infinite: bool = False) -> Tensor:
    if not isinstance(maps, Tensor) or maps.ndim != 3 or not maps.is_floating_point():
        given = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise TypeError(f"maps must be a floating-point tensor (M, H, W), got {given}")
    if maps.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"metrics need float32 or float64 maps, got {maps.dtype}: convert with .float()")
    bad = torch.isnan(maps) if infinite else ~torch.isfinite(maps)
    if bool(bad.any()):
        counts = bad.flatten(1).sum(1)
        first = int(counts.argmax())
        raise ValueError(f"map {first} has {int(counts[first])} pixels that are NaN or infinite")
    if fixations is not None:
        if not isinstance(fixations, Fixations):
            raise TypeError(
                f"fixations must be Fixations, got {type(fixations).__name__}; a density is not a set of fixations"
            )
        if fixations.num_maps != len(maps):
            raise ValueError(f"{len(maps)} maps but fixations of {fixations.num_maps}")
        if bool((fixations.size != torch.tensor(maps.shape[-2:], device=fixations.device)).any()):
            raise ValueError(f"maps are {tuple(maps.shape[-2:])}, the fixated images {fixations.size.tolist()[:3]}")
    return maps


def _pair(maps: Tensor, density: Tensor) -> tuple[Tensor, Tensor]:
    if isinstance(density, Fixations):
        raise TypeError("a density map is needed, got Fixations; blur them first (density.fixation_density)")
    if maps.shape != density.shape:
        raise ValueError(f"maps {tuple(maps.shape)} and densities {tuple(density.shape)} must have the same shape")
    return _checked(maps), _checked(density)


def _densities(maps: Tensor, density: Tensor) -> tuple[Tensor, Tensor]:
    maps, density = _pair(maps, density)
    empty = (density.flatten(1).amax(1) <= 0).nonzero()[:, 0]
    if len(empty):
        raise ValueError(f"the human density of map {int(empty[0])} is zero everywhere")
    maps = maps.double()
    lowest = maps.amin((-2, -1), keepdim=True).clamp(max=0)
    return normalise(maps - lowest), normalise(density.double())


def _by_map(maps: Tensor, fixations: Fixations) -> list[tuple[Tensor, Tensor]]:
    """For every map its pixels and the values at its fixations."""
    row, column = fixations.pixels()
    order = torch.argsort(fixations.map_index, stable=True)
    values = maps[fixations.map_index, row, column][order]
    parts = values.split(fixations.counts.tolist())
    return [(one.flatten(), mine) for one, mine in zip(maps, parts, strict=True)]


def _fixation_mean(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) float64 mean over fixations; NaN without any. In a fixed order: the same on every device."""
    means = [v.double().sum() / len(v) if len(v) else v.new_full((), math.nan, dtype=torch.float64) for _, v in _by_map(maps, fixations)]
    return torch.stack(means) if means else maps.new_zeros(0, dtype=torch.float64)
