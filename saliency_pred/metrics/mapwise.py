"""Metrics of a map against a human density.

Conventions as in :mod:`saliency_pred.metrics.functional`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saliency_pred.metrics.arguments import as_densities, check_pair, check_truth
from saliency_pred.metrics.pointwise import MIT_EPS, min_max_density

_TINY = torch.finfo(torch.float64).tiny


def cc(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) Pearson correlation of map and density; 0 if either is constant."""
    a, b = check_pair(maps, density)
    check_truth(b)
    values = [_correlation(x.flatten(), y.flatten()) for x, y in zip(a, b, strict=True)]
    return torch.stack(values) if values else maps.new_zeros(0, dtype=torch.float64)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """One map at a time: its float64 copies stay in the processor's cache."""
    if bool(a.amax() == a.amin()) or bool(b.amax() == b.amin()):
        return a.new_zeros((), dtype=torch.float64)
    a, b = (_deviation(x) for x in (a, b))
    return (a @ b) / ((a @ a) * (b @ b)).sqrt().clamp(min=_TINY)


def _deviation(values: Tensor) -> Tensor:
    """From the mean, as a share of the largest: squares of densities of 1e-200 do not become 0."""
    values = values.double()
    deviation = values - values.mean()
    return deviation / deviation.abs().amax().clamp(min=_TINY)


def kld(maps: Tensor, density: Tensor, eps: float = MIT_EPS) -> Tensor:
    """(M,) Kullback-Leibler divergence of the map from the density, in nats: sum of g log(eps + g / (s + eps)).

    Args:
        maps: s, divided by their sums (an all-zero map is uniform, negative ones are shifted).
        density: g, divided by their sums.
        eps: changes the value a great deal on peaked maps; part of the result.
    """
    s, g = _densities(maps, density)
    return (g * torch.log(eps + g / (s + eps))).sum((-2, -1))


def sim(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) similarity: sum of the pixel-wise minimum of both, divided by their sums (Tübingen, AIM)."""
    return torch.minimum(*_densities(maps, density)).sum((-2, -1))


def sim_mit(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) what ``similarity.m`` of the MIT benchmark computes: both stretched to [0, 1] before :func:`sim`.

    A constant map is uniform.
    """
    a, b = check_pair(maps, density)
    check_truth(b)
    return torch.minimum(min_max_density(a), min_max_density(b)).sum((-2, -1))


def _densities(maps: Tensor, density: Tensor) -> tuple[Tensor, Tensor]:
    maps, density = check_pair(maps, density)
    check_truth(density)
    return as_densities(maps), as_densities(density)
