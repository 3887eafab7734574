"""Viewing time: cutting it into windows, and estimating onsets where a release stores none."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

TEMPSAL_EQUAL_COUNT = (0.0, 1.205, 2.057, 2.974, 3.966, 5.0)
"""Seconds that cut SALICON's 5 s into five windows of about equally many fixations (TempSAL's page)."""


def windows_from_bounds(bounds: object) -> Tensor:
    """(T, 2) float64 windows [start, end) from T + 1 ascending bounds in seconds.

    Raises:
        ValueError: fewer than two bounds, or not ascending.
    """
    edges = torch.as_tensor(bounds, dtype=torch.float64).reshape(-1)
    if len(edges) < 2 or not bool((edges[1:] > edges[:-1]).all()):
        raise ValueError(f"windows need at least two ascending bounds in seconds, got {edges.tolist()}")
    return torch.stack([edges[:-1], edges[1:]], dim=1)


def equal_time_windows(viewing_time: float, count: int) -> Tensor:
    """(count, 2) float64: ``viewing_time`` seconds cut into windows of equal length."""
    if not viewing_time > 0 or count < 1:
        raise ValueError(f"need a viewing time above 0 and a count of at least 1, got {viewing_time} and {count}")
    return windows_from_bounds(np.linspace(0.0, viewing_time, count + 1))


def equal_count_windows(time: object, viewing_time: float, count: int) -> Tensor:
    """(count, 2) float64: windows that hold equally many of these onsets, from 0 to ``viewing_time``.

    Args:
        time: onsets in seconds, of many images; NaN and those outside [0, viewing_time) are passed over.
        viewing_time: seconds, the end of the last window.
        count: of windows.

    Raises:
        ValueError: too few different onsets to cut between.
    """
    onsets = np.asarray(time, dtype=np.float64).reshape(-1)
    onsets = onsets[(onsets >= 0) & (onsets < viewing_time)]
    if len(onsets) < count:
        raise ValueError(f"{len(onsets)} known onsets cannot fill {count} windows")
    inner = np.quantile(onsets, np.arange(1, count) / count)
    return windows_from_bounds([0.0, *inner, viewing_time])


def cumulative_onsets(duration: object, gap: float) -> np.ndarray:
    """(n,) onsets of one viewer's successive fixations: the durations before each, plus a gap per saccade.

    The first fixation starts at 0. An unknown (NaN) duration makes all later onsets unknown.

    Args:
        duration: (n,) seconds.
        gap: seconds between the end of a fixation and the start of the next.
    """
    if not gap >= 0:
        raise ValueError(f"the gap between fixations must be 0 or more seconds, got {gap}")
    lengths = np.asarray(duration, dtype=np.float64).reshape(-1)
    if len(lengths) == 0:
        return np.zeros(0)
    return np.concatenate([[0.0], np.cumsum(lengths[:-1] + gap)])


def matched_onsets(
    fixations: np.ndarray,
    location: np.ndarray,
    timestamp: np.ndarray,
    viewing_time: float,
    seconds_weight: float = 6.0,
) -> np.ndarray:
    """Onsets of one viewer's fixations from the raw samples that they were detected in, as TempSAL does.

    The i-th (from 0) of n fixations is expected at viewing_time * (i + 1) / (n + 1) and takes the time of
    the sample with the smallest (distance in pixels) + ``seconds_weight`` * |its time - expected time|, cut
    to just below ``viewing_time``.

    Args:
        fixations: (n, 2) x, y.
        location: (m, 2) x, y of the samples, in the same coordinates.
        timestamp: (m,) seconds.
        viewing_time: seconds.
        seconds_weight: pixels per second (TempSAL: 0.006 per millisecond).

    Returns:
        (n,) seconds; NaN where there are no samples.
    """
    n = len(fixations)
    if n == 0 or len(location) == 0:
        return np.full(n, np.nan)
    expected = viewing_time * np.arange(1, n + 1) / (n + 1)
    # In place and without np.hypot, which takes five times as long: this is most of what reading SALICON costs.
    across, cost = (np.subtract.outer(fixations[:, k], location[:, k]) for k in (0, 1))
    np.sqrt(across * across + cost * cost, out=cost)
    cost += seconds_weight * np.abs(np.subtract.outer(expected, timestamp))
    return np.clip(timestamp[cost.argmin(axis=1)], 0.0, np.nextafter(viewing_time, 0.0))
