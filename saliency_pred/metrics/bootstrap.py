"""How certain a mean over images is, and whether two models differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def confidence_interval(
    values: Sequence[float], level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean, images drawn with replacement.

    Args:
        values: one an image, no NaN.
        level: of confidence.
        resamples: how many means are drawn.
        seed: of the draw.

    Raises:
        ValueError: no values, or NaN among them.
    """
    data = np.asarray(values, dtype=np.float64)
    if len(data) == 0 or not np.isfinite(data).all():
        raise ValueError(
            f"an interval needs finite values, got {len(data)} of which {int((~np.isfinite(data)).sum())} are not"
        )
    draws = np.random.default_rng(seed).integers(0, len(data), (resamples, len(data)))
    tail = (1 - level) / 2
    low, high = np.quantile(data[draws].mean(1), [tail, 1 - tail])
    return float(low), float(high)
