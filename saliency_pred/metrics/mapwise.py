"""Metrics of a map against a human density.

Conventions as in :mod:`saliency_pred.metrics.functional`. Pixels are treated in the maps' own type, sums are
float64.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from saliency_pred.metrics.arguments import against_density
from saliency_pred.metrics.pointwise import MIT_EPS
from saliency_pred.metrics.stack import Numbers, Stack, blocks, summed


def cc(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) Pearson correlation of map and density over the pixels, -1 to 1; 0 if either is constant.

    Le Meur et al., "Predicting visual fixations on video based on low-level visual features" (2007).

    Args:
        maps, density: (M, H, W), any scale; see :mod:`saliency_pred.metrics.functional`.
    """
    return against_density(maps, density, correlation)


def correlation(stack: Stack, truth: Stack) -> Numbers:
    """(C,) :func:`cc`."""
    a, b = stack.centred, truth.centred
    norm = np.sqrt(a.squares * b.squares)
    products = summed(torch.mul(x, y, out=memory) for x, y, memory in blocks(a.maps, b.maps))
    products -= a.sums * b.sums / stack.pixels
    return np.divide(products, norm, out=np.zeros_like(norm), where=norm > 0)


def kld(maps: Tensor, density: Tensor, eps: float = MIT_EPS) -> Tensor:
    """(M,) Kullback-Leibler divergence of the map from the density, in nats: sum of g log(eps + g / (s + eps)).

    0 for equal maps, no upper bound.

    Args:
        maps: (M, H, W), s after division by their sums (an all-zero map is uniform, negative ones are shifted).
        density: (M, H, W), g after division by their sums.
        eps: changes the value a great deal on peaked maps; part of the result. ``MIT_EPS`` in the
            MIT/Tübingen benchmark, ``MATLAB_EPS`` in ``KLdiv.m``.
    """
    return against_density(maps, density, lambda stack, truth: divergence(stack, truth, eps))


def divergence(stack: Stack, truth: Stack, eps: float) -> Numbers:
    """(C,) :func:`kld`."""
    stack, truth = stack.nonnegative, truth.nonnegative
    offset, share = stack.maps.new_tensor(eps), stack.spread(stack.sums * eps)
    ratio = stack.spread(truth.sums / stack.sums)

    def terms(s: Tensor, g: Tensor, memory: Tensor) -> Tensor:
        """g log(eps + g / (s + eps)), times the sum of the human map, which is not divided by its sum before."""
        torch.add(s, share, out=memory).mul_(ratio)
        return torch.addcdiv(offset, g, memory, out=memory).log_().mul_(g)

    return summed(terms(*parts) for parts in blocks(stack.maps, truth.maps)) / truth.sums


def sim(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) similarity, 0 to 1: sum of the pixel-wise minimum of both, divided by their sums (Tübingen, AIM).

    Judd et al., "A benchmark of computational models of saliency to predict human fixations" (2012).

    Args:
        maps, density: (M, H, W), any scale.
    """
    return against_density(maps, density, intersection)


def intersection(stack: Stack, truth: Stack) -> Numbers:
    """(C,) :func:`sim`."""
    return _shared(stack.nonnegative, truth.nonnegative)


def sim_mit(maps: Tensor, density: Tensor) -> Tensor:
    """(M,) what ``similarity.m`` of the MIT benchmark computes: both stretched to [0, 1] before :func:`sim`.

    A constant map is uniform. Of the stretching only the shift of the lowest value to 0 is left after the
    division by the sum.

    Args:
        maps, density: (M, H, W), any scale.
    """
    return against_density(maps, density, stretched_intersection)


def stretched_intersection(stack: Stack, truth: Stack) -> Numbers:
    """(C,) :func:`sim_mit`."""
    return _shared(stack.stretched, truth.stretched)


def _shared(stack: Stack, truth: Stack) -> Numbers:
    """(C,) what maps have in common, each divided by its sum."""
    ratio = stack.spread(truth.sums / stack.sums)
    minima = (
        torch.minimum(torch.mul(s, ratio, out=memory), g, out=memory) for s, g, memory in blocks(stack.maps, truth.maps)
    )
    return summed(minima) / truth.sums
