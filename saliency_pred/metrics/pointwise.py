"""Metrics of a map's values at the fixations.

Conventions as in :mod:`saliency_pred.metrics.functional`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from saliency_pred.fixations import Fixations
from saliency_pred.metrics.arguments import as_density, by_map, check_maps, fixation_mean, total

MIT_EPS = 2.2204e-16
"""Regularises KLD and IG in the MIT and Tübingen code (MATLAB's eps to five digits)."""


def nss(maps: Tensor, fixations: Fixations, ddof: int = 0) -> Tensor:
    """(M,) normalised scanpath saliency: mean over fixations of the standardised map; 0 for a constant map.

    Peters et al., "Components of bottom-up gaze allocation in natural images" (2005).

    Args:
        ddof: 0 (Tübingen, AIM) or 1 (MATLAB).
    """
    maps = check_maps(maps, fixations)
    values = [_standardised(one, where, ddof) for one, (_, where) in zip(maps, by_map(maps, fixations), strict=True)]
    return torch.tensor(values, dtype=torch.float64, device=maps.device)


def _standardised(values: Tensor, where: Tensor, ddof: int) -> float:
    """Mean of (H, W) values at pixels, as a number of standard deviations above the mean of all."""
    if len(where) == 0:
        return math.nan
    low, high = values.aminmax()
    if bool(low == high):
        return 0.0
    n = values.numel()
    deviation = values - total(values) / n
    # Divided by the largest, so that squares of densities of 1e-200 do not become 0
    deviation.div_(torch.maximum(-deviation.amin(), deviation.amax()))
    at = deviation.flatten()[where].double().mean()
    rest = total(deviation) / n  # what rounding of the mean leaves over
    square = total(deviation.mul_(deviation)) - n * rest**2
    return float((at - rest) / (square / (n - ddof)).sqrt())


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
    gains = []
    for ours, theirs, (_, where) in zip(maps, baseline, by_map(maps, fixations), strict=True):
        # Of the stretching only the shift of the lowest value to 0 is left after the division by the sum
        p, b = (as_density(m - m.amin()).flatten()[where.unique()].double() for m in (ours, theirs))
        gains.append((torch.log2(eps + p) - torch.log2(eps + b)).mean())
    return torch.stack(gains) if gains else maps.new_zeros(0, dtype=torch.float64)
