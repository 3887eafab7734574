"""Fixations from raw eye-tracker samples, as MIT1003's official detector finds them.

Facts of ``checkFixations.m`` of the MIT1003 release (B. Hidalgo-Sotelo): 240 Hz; the speed of the smoothed
trace in windows of 4 samples, differenced; a saccade begins where at least 3 successive differences exceed
6 deg/s at 34 pixels per degree and ends where they have come back from below minus that within 25 samples;
fixations between saccades last more than 12 samples (50 ms), shorter ones become part of the saccade.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RATE = 240.0
"""Samples per second."""

_WINDOW = 4
_CRITERION = 34 * 6.0  # pixels per degree times degrees per second
_SHORTEST = 12  # samples
_SEARCH = 25  # samples within which a saccade must decelerate


class DetectedFixations(NamedTuple):
    """n fixations of one recording: sample ranges [start, end), and median positions (NaN if all lost)."""

    start: np.ndarray
    end: np.ndarray
    x: np.ndarray
    y: np.ndarray


def detect_fixations(samples: np.ndarray) -> DetectedFixations:
    """Fixations, the first one (already there at the start) included.

    Args:
        samples: (m, 2 or more) x, y in pixels at 240 Hz; NaN where the eye was lost.
    """
    position = np.asarray(samples, dtype=np.float64)[:, :2]
    m = len(position)
    start, end = np.zeros(1, np.int64), np.array([m])
    if m == 0:
        return DetectedFixations(start[:0], end[:0], np.zeros(0), np.zeros(0))
    saccades = _saccades(_speed_change(position))
    if saccades:
        start = np.array([0, *(last + 1 for _, last in saccades)])
        end = np.array([*(first for first, _ in saccades), m])
        if saccades[-1][1] == m - 1:  # the recording ends within a saccade
            start, end = start[:-1], end[:-1]
    medians = np.array([_median(position[a:b]) for a, b in zip(start, end, strict=True)]).reshape(-1, 2)
    return DetectedFixations(start, end, medians[:, 0], medians[:, 1])


def _speed_change(position: np.ndarray) -> np.ndarray:
    """(m,) difference of the speeds in two windows that lie one sample apart, pixels per second."""
    step = np.concatenate([[0.0], np.hypot(*np.diff(position, axis=0).T)])
    padded = np.concatenate([np.zeros(_WINDOW - 1), step])
    smooth = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW).mean(axis=1)
    change = np.zeros(len(step))
    if len(step) >= _WINDOW + 3:
        speed = np.lib.stride_tricks.sliding_window_view(smooth, _WINDOW + 1).sum(axis=1) / (_WINDOW / RATE)
        # The official loop leaves the first sample and the last ones at 0.
        inner = np.arange(1, len(step) - _WINDOW - 1)
        change[inner] = speed[inner + 1] - speed[inner]
    return change


def _saccades(change: np.ndarray) -> list[tuple[int, int]]:
    """(first, last) sample of each saccade, inclusive."""
    m = len(change)
    above = np.flatnonzero(change > _CRITERION)
    runs = [r for r in np.split(above, np.flatnonzero(np.diff(above) > 1) + 1) if len(r) >= 3]
    below = change < -_CRITERION
    moving = np.flatnonzero(change != 0)
    found: list[tuple[int, int]] = []
    for run in runs:
        end = _deceleration(below, int(run[-1]), m)
        if end is None and len(runs) == 1 and run[-1] == moving[-1]:
            end = m - 1  # the only saccade, still accelerating when the recording ends
        if end is not None:
            found.append((int(run[0]), end))
    merged: list[tuple[int, int]] = []
    for k, (first, last) in enumerate(found):
        if k and first - found[k - 1][1] <= _SHORTEST:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    if merged and m - (merged[-1][1] + 1) <= _SHORTEST:  # too short a fixation at the end
        merged[-1] = (merged[-1][0], m - 1)
    return merged


def _deceleration(below: np.ndarray, accelerated: int, m: int) -> int | None:
    """The last sample that decelerates beyond the criterion, looked for after ``accelerated``."""
    for offset in range(_SEARCH):
        at = accelerated + 1 + offset
        if offset and at + 2 >= m:  # the official search gives up two samples before the end
            return None
        if at + 1 < m and below[at] and not below[at + 1]:
            return at
    return None


def _median(position: np.ndarray) -> tuple[float, float]:
    seen = [axis[~np.isnan(axis)] for axis in position.T]
    x, y = (float(np.median(axis)) if len(axis) else float("nan") for axis in seen)
    return x, y
