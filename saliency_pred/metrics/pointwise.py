"""Metrics of a map's values at the fixations.

Conventions as in :mod:`saliency_pred.metrics.functional`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from saliency_pred.fixations import Fixations
from saliency_pred.metrics.arguments import (
    Places,
    as_density,
    centred,
    check_log_density,
    check_maps,
    chunks,
    fixation_mean,
)

MIT_EPS = 2.2204e-16
"""Regularises KLD in the Python code of the MIT/Tübingen benchmark: MATLAB's eps to five digits."""

MATLAB_EPS = 2.220446049250313e-16
"""MATLAB's eps, 2^-52: regularises KLD and IG in the MATLAB code of the MIT benchmark."""


def nss(maps: Tensor, fixations: Fixations, ddof: int = 0) -> Tensor:
    """(M,) normalised scanpath saliency: mean over fixations of the standardised map; 0 for a constant map.

    Peters et al., "Components of bottom-up gaze allocation in natural images" (2005). In standard
    deviations, unbounded.

    Args:
        maps: (M, H, W), any scale.
        fixations: of these maps; each counts, also where several fall on one pixel.
        ddof: 0 divides by the number of pixels N (Tübingen, AIM), 1 by N - 1 (MATLAB).
    """
    return _standardised(maps, fixations, ddof, 0.0)


def nss_aim(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) what the scorers of AIM 2024 and NTIRE 2026 compute: :func:`nss` with 1e-7 added to the deviation.

    The scorers stretch maps to [0, 1] first (the preset does); the value of others depends on their scale.

    Args:
        maps, fixations: as in :func:`nss`.
    """
    return _standardised(maps, fixations, 0, 1e-7)


def _standardised(maps: Tensor, fixations: Fixations, ddof: int, eps: float) -> Tensor:
    maps = check_maps(maps, fixations)
    places = Places.of(maps, fixations)
    values = []
    for start, part in chunks(maps, places.most):
        deviation, square, scale = centred(part)
        counts = places.counts[start : start + len(part)]
        mean = places.values(start, deviation, 0.0).double().sum(1) / counts
        std = (square / (part[0].numel() - ddof)).sqrt() + eps / scale
        values.append(torch.where((square > 0) | (counts == 0), mean / std, 0.0))
    return torch.cat(values) if values else maps.new_zeros(0, dtype=torch.float64)


def log_likelihood(log_density: Tensor, fixations: Fixations) -> Tensor:
    """(M,) mean log density at the fixations minus that of the uniform density, in bit per fixation.

    -inf where the density is 0 at a fixation.

    Args:
        log_density: (M, H, W), natural logarithms of densities that sum to 1.
        fixations: of these maps; each counts.

    Raises:
        ValueError: a density does not sum to 1 (see ``LOG_TOLERANCE``).
    """
    log_density = check_log_density(log_density, fixations)
    uniform = math.log(log_density.shape[-2] * log_density.shape[-1])
    return (fixation_mean(log_density, Places.of(log_density, fixations)) + uniform) / math.log(2)


def ig(log_density: Tensor, baseline_log_density: Tensor, fixations: Fixations) -> Tensor:
    """(M,) information gain: mean log density at the fixations minus the baseline's, in bit per fixation.

    Kümmerer et al., "Information-theoretic model comparison unifies saliency metrics" (2015). -inf where the
    density is 0 at a fixation.

    Args:
        log_density: (M, H, W), natural logarithms of densities that sum to 1.
        baseline_log_density: (M, H, W), the same of the baseline (uniform, centre bias, gold standard), which is
            part of the result.
        fixations: of these maps; each counts.

    Raises:
        ValueError: a density does not sum to 1 (see ``LOG_TOLERANCE``); the baseline's is 0 at a fixation.
    """
    log_density = check_log_density(log_density, fixations)
    baseline = check_log_density(baseline_log_density, fixations, "baseline_log_density")
    places = Places.of(log_density, fixations)
    reference = fixation_mean(baseline, places)
    impossible = (reference == -math.inf).nonzero()
    if len(impossible):
        raise ValueError(
            f"baseline_log_density is -inf at fixations of map {int(impossible[0])} (of {len(impossible)} in all): "
            "nothing can be measured against it; mix a small uniform density into the baseline"
        )
    return (fixation_mean(log_density, places) - reference) / math.log(2)


def ig_mit(maps: Tensor, baseline: Tensor, fixations: Fixations, eps: float = MATLAB_EPS) -> Tensor:
    """(M,) what ``InfoGain.m`` of the MIT benchmark computes, in bit per fixated pixel.

    Maps and baselines are stretched to [0, 1], divided by their sums, and compared at the distinct fixated
    pixels as log2(eps + p) - log2(eps + b). Zero pixels cost 52 bit. A constant map or baseline is uniform.

    Args:
        maps, baseline: (M, H, W), any scale.
        fixations: of these maps; several on one pixel count once.
        eps: part of the result.
    """
    maps, baseline = check_maps(maps, fixations), check_maps(baseline, fixations)
    places = Places.of(maps, fixations).distinct(maps[:1].numel())

    def bits(stack: Tensor) -> Tensor:
        # Of the stretching only the shift of the lowest value to 0 is left after the division by the sum
        parts = ((start, as_density(part, shift=True)) for start, part in chunks(stack, places.most))
        sums = [(places.values(start, p, 1.0).double() + eps).log2().sum(1) for start, p in parts]
        return torch.cat(sums) if sums else stack.new_zeros(0, dtype=torch.float64)

    # What rows are filled up with is the same in both and cancels
    return (bits(maps) - bits(baseline)) / places.counts
