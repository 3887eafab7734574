"""Metrics of a map against a human density.

Conventions as in :mod:`saliency_pred.metrics.functional`. Pixels are treated in the maps' own type and one map
at a time, so that they stay in the processor's cache; sums are float64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from saliency_pred.metrics.arguments import as_density, check_pair, check_truth, total
from saliency_pred.metrics.pointwise import MIT_EPS

_TINY = torch.finfo(torch.float64).tiny


def cc(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) Pearson correlation of map and density; 0 if either is constant."""
    return _each(maps, density, _correlation)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    if bool(a.amax() == a.amin()) or bool(b.amax() == b.amin()):
        return a.new_zeros((), dtype=torch.float64)
    a, b = _deviation(a), _deviation(b)
    n = a.numel()
    # What rounding of the mean leaves over is taken off again
    rest_a, rest_b = total(a), total(b)
    square_a, square_b = total(a * a) - rest_a**2 / n, total(b * b) - rest_b**2 / n
    return (total(a.mul_(b)) - rest_a * rest_b / n) / (square_a * square_b).sqrt().clamp(min=_TINY)


def _deviation(values: Tensor) -> Tensor:
    """From the mean, as a share of the largest: squares of densities of 1e-200 do not become 0."""
    deviation = values - total(values) / values.numel()
    low, high = deviation.aminmax()
    return deviation.div_(torch.maximum(-low, high))


def kld(maps: Tensor, density: Tensor, eps: float = MIT_EPS) -> Tensor:
    """(M,) Kullback-Leibler divergence of the map from the density, in nats: sum of g log(eps + g / (s + eps)).

    Args:
        maps: s, divided by their sums (an all-zero map is uniform, negative ones are shifted).
        density: g, divided by their sums.
        eps: changes the value a great deal on peaked maps; part of the result.
    """

    def one(a: Tensor, b: Tensor) -> Tensor:
        s, g = as_density(a), as_density(b)
        ratio = g / s.add_(eps)
        return total(ratio.add_(eps).log_().mul_(g))

    return _each(maps, density, one)


def sim(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) similarity: sum of the pixel-wise minimum of both, divided by their sums (Tübingen, AIM)."""
    return _each(maps, density, lambda a, b: total(torch.minimum(as_density(a), as_density(b))))


def sim_mit(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) what ``similarity.m`` of the MIT benchmark computes: both stretched to [0, 1] before :func:`sim`.

    A constant map is uniform. Of the stretching only the shift of the lowest value to 0 is left after the
    division by the sum.
    """
    return _each(maps, density, lambda a, b: total(torch.minimum(as_density(a - a.amin()), as_density(b - b.amin()))))


def _each(maps: Tensor, density: Tensor, one: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """(M,) float64 of every pair."""
    maps, density = check_pair(maps, density)
    check_truth(density)
    dtype = torch.promote_types(maps.dtype, density.dtype)
    values = [one(a, b) for a, b in zip(maps.to(dtype), density.to(dtype), strict=True)]
    return torch.stack(values).double() if values else maps.new_zeros(0, dtype=torch.float64)
