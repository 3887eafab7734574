"""How certain a mean over images is, and whether two models differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def confidence_interval(
    values: Sequence[float],
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    weights: Sequence[float] | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean, images drawn with replacement.

    Args:
        values: one an image, no NaN.
        level: of confidence.
        resamples: how many means are drawn.
        seed: of the draw.
        weights: of each value in the mean, > 0; None: all alike.

    Raises:
        ValueError: no values, NaN or an infinite one among them, or weights that are not positive.
    """
    data = np.asarray(values, dtype=np.float64)
    if len(data) == 0 or not np.isfinite(data).all():
        raise ValueError(
            f"an interval needs finite values, got {len(data)} of which {int((~np.isfinite(data)).sum())} are not"
        )
    draws = np.random.default_rng(seed).integers(0, len(data), (resamples, len(data)))
    tail = (1 - level) / 2
    if weights is None:
        means = data[draws].mean(1)
    else:
        weight = np.asarray(weights, dtype=np.float64)
        if weight.shape != data.shape or not (weight > 0).all():
            raise ValueError(f"an interval needs a positive weight for each of {len(data)} values")
        means = (weight * data)[draws].sum(1) / weight[draws].sum(1)
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


@dataclass(frozen=True)
class PairedTest:
    """How two models differ on the same images.

    Attributes:
        difference: mean of first minus second.
        low, high: bounds of its 95 % bootstrap interval.
        p: two-sided p-value of no difference.
        images: how many were compared.
    """

    difference: float
    low: float
    high: float
    p: float
    images: int


def paired_test(first: Sequence[float], second: Sequence[float], resamples: int = 10_000, seed: int = 0) -> PairedTest:
    """Sign-flip permutation test of the mean difference, exact up to 13 images.

    Without a difference each image's could as well have the other sign; p is the share of sign patterns whose
    mean is as far from 0 as the observed one. Beyond 13 images patterns are drawn, and the observed one is
    counted among them, so that p is never 0.

    Args:
        first, second: one value an image, in the same order; an image where either is NaN is left out.
        resamples: how many patterns, and how many means for the interval, are drawn.
        seed: of the draws.

    Raises:
        ValueError: different lengths, an infinite value, or no image scored by both.
    """
    a, b = (np.asarray(v, dtype=np.float64) for v in (first, second))
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"a paired test needs two values an image, got {a.shape} and {b.shape}")
    both = ~(np.isnan(a) | np.isnan(b))
    if not both.any() or np.isinf(a[both]).any() or np.isinf(b[both]).any():
        raise ValueError(f"a paired test needs finite values of both on some image; {int(both.sum())} images have two")
    difference = a[both] - b[both]
    n = len(difference)
    observed = abs(difference.mean())
    rng = np.random.default_rng(seed)
    if 2**n <= resamples:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        extra = 0
    else:
        signs = 1 - 2 * rng.integers(0, 2, (resamples, n), dtype=np.int8)
        extra = 1
    # Patterns that equal the observed one up to rounding are as extreme as it
    as_extreme = np.abs(signs @ difference) / n >= observed * (1 - 1e-12)
    p = (as_extreme.sum() + extra) / (len(signs) + extra)
    low, high = confidence_interval(difference.tolist(), resamples=resamples, seed=seed)
    return PairedTest(float(difference.mean()), low, high, float(p), n)
