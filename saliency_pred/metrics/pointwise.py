"""Metrics of a map's values at the fixations.

Conventions as in :mod:`saliency_pred.metrics.functional`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from torch import Tensor

from saliency_pred.fixations import Fixations
from saliency_pred.metrics.arguments import against_fixations, check_log_density, check_maps, joined, places_on
from saliency_pred.metrics.stack import Numbers, Places, Stack, host, stacks

MIT_EPS = 2.2204e-16
"""Regularises KLD in the Python code of the MIT/Tübingen benchmark: MATLAB's eps to five digits."""

MATLAB_EPS = 2.220446049250313e-16
"""MATLAB's eps, 2^-52: regularises KLD and IG in the MATLAB code of the MIT benchmark."""

AIM_EPS = 1e-7
"""Added to the standard deviation by the scorers of AIM 2024 and NTIRE 2026."""


def nss(maps: Tensor, fixations: Fixations, ddof: int = 0) -> Tensor:
    """(M,) normalised scanpath saliency: mean over fixations of the standardised map; 0 for a constant map.

    Peters et al., "Components of bottom-up gaze allocation in natural images" (2005). In standard
    deviations, unbounded.

    Args:
        maps: (M, H, W), any scale.
        fixations: of these maps; each counts, also where several fall on one pixel.
        ddof: 0 divides by the number of pixels N (Tübingen, AIM), 1 by N - 1 (MATLAB).
    """
    return against_fixations(maps, fixations, lambda stack, places: standardised(stack, places, ddof))


def nss_aim(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) what the scorers of AIM 2024 and NTIRE 2026 compute: :func:`nss` with 1e-7 added to the deviation.

    The scorers stretch maps to [0, 1] first (the preset does); the value of others depends on their scale.

    Args:
        maps, fixations: as in :func:`nss`.
    """
    return against_fixations(maps, fixations, lambda stack, places: standardised(stack, places, 0, AIM_EPS))


def standardised(stack: Stack, places: Places, ddof: int, eps: float = 0.0) -> Numbers:
    """(C,) :func:`nss`; ``eps`` is added to the standard deviation."""
    centred = stack.centred
    mean = places.means(stack, centred.maps) - centred.sums / stack.pixels
    std = np.sqrt(centred.squares / (stack.pixels - ddof)) + eps / centred.scale
    return np.where(stack.constant, 0 * mean, mean / np.where(stack.constant, 1.0, std))


def log_likelihood(log_density: Tensor, fixations: Fixations) -> Tensor:
    """(M,) mean log density at the fixations minus that of the uniform density, in bit per fixation.

    -inf where the density is 0 at a fixation.

    Args:
        log_density: (M, H, W), natural logarithms of densities that sum to 1.
        fixations: of these maps; each counts.

    Raises:
        ValueError: a density does not sum to 1 (see ``LOG_TOLERANCE``).
    """
    log_density = check_maps(log_density)
    places = places_on(log_density, fixations)
    return joined(list(_bits(log_density, places, "log_density")), log_density)


def bits_per_fixation(stack: Stack, places: Places) -> Numbers:
    """(C,) :func:`log_likelihood`."""
    return (places.means(stack, stack.maps) + math.log(stack.pixels)) / math.log(2)


def _bits(log_density: Tensor, places: Places, name: str) -> Iterator[Numbers]:
    for stack in stacks(log_density, places.most, infinite=True, name=f"{name}: map {{}}"):
        check_log_density(stack)
        yield bits_per_fixation(stack, places)


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
    log_density, baseline = check_maps(log_density), check_maps(baseline_log_density)
    places = places_on(log_density, fixations)
    places_on(baseline, fixations)
    reference = joined(list(_bits(baseline, places, "baseline_log_density")), baseline)
    impossible = (reference == -math.inf).nonzero()
    if len(impossible):
        raise ValueError(
            f"baseline_log_density is -inf at fixations of map {int(impossible[0])} (of {len(impossible)} in all): "
            "nothing can be measured against it; mix a small uniform density into the baseline"
        )
    return joined(list(_bits(log_density, places, "log_density")), log_density) - reference


def ig_mit(maps: Tensor, baseline: Tensor, fixations: Fixations, eps: float = MATLAB_EPS) -> Tensor:
    """(M,) what ``InfoGain.m`` of the MIT benchmark computes, in bit per fixated pixel.

    Maps and baselines are stretched to [0, 1], divided by their sums, and compared at the distinct fixated
    pixels as log2(eps + p) - log2(eps + b). Zero pixels cost 52 bit. A constant map or baseline is uniform.

    Args:
        maps, baseline: (M, H, W), any scale.
        fixations: of these maps; several on one pixel count once.
        eps: part of the result.
    """
    maps, baseline = check_maps(maps), check_maps(baseline)
    places = places_on(maps, fixations)
    places_on(baseline, fixations)
    pairs = zip(stacks(maps), stacks(baseline), strict=True)
    return joined([gain_in_bits(stack, other, places, eps) for stack, other in pairs], maps)


def gain_in_bits(stack: Stack, baseline: Stack, places: Places, eps: float) -> Numbers:
    """(C,) :func:`ig_mit`."""

    def bits(some: Stack) -> Tensor:
        return (places.distinct.values(some, some.stretched.density, 1.0).double() + eps).log2()

    # What rows are filled up with is the same in both and cancels
    with np.errstate(invalid="ignore"):
        return host((bits(stack) - bits(baseline)).sum(1)) / places.distinct.count(stack)
