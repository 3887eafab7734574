"""Metrics of a map against a human density.

Conventions as in :mod:`saliency_pred.metrics.functional`. Pixels are treated in the maps' own type, sums are
float64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from saliency_pred.metrics.arguments import as_density, centred, check_pair, chunks, total
from saliency_pred.metrics.pointwise import MIT_EPS


def cc(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) Pearson correlation of map and density over the pixels, -1 to 1; 0 if either is constant.

    Le Meur et al., "Predicting visual fixations on video based on low-level visual features" (2007).

    Args:
        maps, density: (M, H, W), any scale; see :mod:`saliency_pred.metrics.functional`.
    """
    return _each(maps, density, _correlation)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    (a, square_a, _), (b, square_b, _) = centred(a), centred(b)
    defined = (square_a > 0) & (square_b > 0)
    norm = torch.where(defined, (square_a * square_b).sqrt(), 1.0)
    return torch.where(defined, total(a.mul_(b)) / norm, 0.0)


def kld(maps: Tensor, density: Tensor, eps: float = MIT_EPS) -> Tensor:
    """(M,) Kullback-Leibler divergence of the map from the density, in nats: sum of g log(eps + g / (s + eps)).

    0 for equal maps, no upper bound.

    Args:
        maps: (M, H, W), s after division by their sums (an all-zero map is uniform, negative ones are shifted).
        density: (M, H, W), g after division by their sums.
        eps: changes the value a great deal on peaked maps; part of the result. ``MIT_EPS`` in the
            MIT/Tübingen benchmark, ``MATLAB_EPS`` in ``KLdiv.m``.
    """

    def one(a: Tensor, b: Tensor) -> Tensor:
        s, g = as_density(a), as_density(b)
        ratio = g / s.add_(eps)
        return total(ratio.add_(eps).log_().mul_(g))

    return _each(maps, density, one)


def sim(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) similarity, 0 to 1: sum of the pixel-wise minimum of both, divided by their sums (Tübingen, AIM).

    Judd et al., "A benchmark of computational models of saliency to predict human fixations" (2012).

    Args:
        maps, density: (M, H, W), any scale.
    """
    return _each(maps, density, lambda a, b: total(torch.minimum(as_density(a), as_density(b))))


def sim_mit(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) what ``similarity.m`` of the MIT benchmark computes: both stretched to [0, 1] before :func:`sim`.

    A constant map is uniform. Of the stretching only the shift of the lowest value to 0 is left after the
    division by the sum.

    Args:
        maps, density: (M, H, W), any scale.
    """
    return _each(maps, density, lambda a, b: total(torch.minimum(as_density(a, True), as_density(b, True))))


def _each(maps: Tensor, density: Tensor, some: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """(M,) float64 of ``some`` maps and densities at a time."""
    maps, density = check_pair(maps, density)
    values = [some(part, density[start : start + len(part)]) for start, part in chunks(maps)]
    return torch.cat(values).double() if values else maps.new_zeros(0, dtype=torch.float64)
