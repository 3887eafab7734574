"""Metrics of a map's values at the fixations.

Conventions as in :mod:`saliency_pred.metrics.functional`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from saliency_pred.fixations import Fixations
from saliency_pred.metrics.arguments import by_map, check_maps, fixation_mean, min_max

MIT_EPS = 2.2204e-16
"""Regularises KLD and IG in the MIT and Tübingen code (MATLAB's eps to five digits)."""

_TINY = torch.finfo(torch.float64).tiny


def nss(maps: Tensor, fixations: Fixations, ddof: int = 0) -> Tensor:
    """(M,) normalised scanpath saliency: mean over fixations of the standardised map; 0 for a constant map.

    Peters et al., "Components of bottom-up gaze allocation in natural images" (2005).

    Args:
        ddof: 0 (Tübingen, AIM) or 1 (MATLAB).
    """
    maps = check_maps(maps, fixations)
    flat = maps.flatten(1)
    mean = flat.sum(1, dtype=torch.float64) / flat.shape[1]
    constant = flat.amax(1) == flat.amin(1)
    values = []
    for m, (pixels, where) in enumerate(by_map(maps, fixations)):
        if len(where) == 0:
            values.append(pixels.new_full((), math.nan, dtype=torch.float64))
            continue
        deviation = pixels.double() - mean[m]
        # Divided by the largest, so that squares of densities of 1e-200 do not become 0
        largest = deviation.abs().amax().clamp(min=_TINY)
        deviation = deviation / largest
        std = (deviation.square().sum() / (len(pixels) - ddof)).sqrt()
        values.append(deviation[where].mean() / std.clamp(min=_TINY))
    result = torch.stack(values) if values else maps.new_zeros(0, dtype=torch.float64)
    return torch.where(constant & (fixations.counts > 0), 0.0, result)


def nss_aim(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) what the scorers of AIM 2024 and NTIRE 2026 compute: :func:`nss` with 1e-7 added to the deviation.

    The scorers stretch maps to [0, 1] first (the preset does); the value of others depends on their scale.
    """
    maps = check_maps(maps, fixations)
    flat = maps.flatten(1).double()
    mean, std = flat.mean(1), flat.std(1, correction=0)
    return (fixation_mean(maps, fixations) - mean) / (std + 1e-7)


def log_likelihood(log_density: Tensor, fixations: Fixations) -> Tensor:
    """(M,) mean log density at the fixations minus that of the uniform density, in bit per fixation.

    Args:
        log_density: natural logarithms of densities that sum to 1.
    """
    log_density = check_maps(log_density, fixations, infinite=True)
    uniform = math.log(log_density.shape[-2] * log_density.shape[-1])
    return (fixation_mean(log_density, fixations) + uniform) / math.log(2)


def ig(log_density: Tensor, baseline_log_density: Tensor, fixations: Fixations) -> Tensor:
    """(M,) information gain: mean log density at the fixations minus the baseline's, in bit per fixation.

    Kümmerer et al., "Information-theoretic model comparison unifies saliency metrics" (2015).

    Args:
        log_density, baseline_log_density: natural logarithms of densities that sum to 1.
    """
    log_density = check_maps(log_density, fixations, infinite=True)
    baseline = check_maps(baseline_log_density, fixations, infinite=True)
    return (fixation_mean(log_density, fixations) - fixation_mean(baseline, fixations)) / math.log(2)


def ig_mit(maps: Tensor, baseline: Tensor, fixations: Fixations, eps: float = MIT_EPS) -> Tensor:
    """(M,) what ``InfoGain.m`` of the MIT benchmark computes, in bit per fixated pixel.

    Maps and baselines, any real numbers, are stretched to [0, 1], divided by their sums, and compared at
    the distinct fixated pixels as log2(eps + p) - log2(eps + b). Zero pixels cost 52 bit.
    A constant map or baseline is uniform.
    """
    check_maps(maps, fixations)
    check_maps(baseline, fixations)
    ours, theirs = (min_max_density(m).flatten(1) for m in (maps, baseline))
    gains = []
    for m, (_, where) in enumerate(by_map(maps, fixations)):
        fixated = where.unique()
        gains.append((torch.log2(eps + ours[m, fixated]) - torch.log2(eps + theirs[m, fixated])).mean())
    return torch.stack(gains) if gains else maps.new_zeros(0, dtype=torch.float64)


def min_max_density(maps: Tensor) -> Tensor:
    """(M, H, W) float64 maps stretched to [0, 1], then divided by their sums; a constant one is uniform."""
    stretched = min_max(maps)
    total = stretched.sum((-2, -1), keepdim=True)
    uniform = 1.0 / (maps.shape[-2] * maps.shape[-1])
    return torch.where(total > 0, stretched / total.clamp(min=_TINY), uniform)
