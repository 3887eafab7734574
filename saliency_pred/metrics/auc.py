"""Areas under the ROC curve: one positive set, five negative sets, none of them sampled.

Conventions as in :mod:`saliency_pred.metrics.functional`. Every area is a fraction of two integers, so a value
does not depend on device, order or number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saliency_pred.fixations import Fixations
from saliency_pred.metrics.arguments import against_fixations, check_maps, joined, places_on
from saliency_pred.metrics.stack import Numbers, Places, Stack, min_max, stacks

Counts = NDArray[np.int64]

_BUCKETS = 16384
"""Into which pixels are sorted by value: some 10 times the number of fixations that an image has, and their
counts stay in the processor's first cache."""


_AT_ONCE = 1 << 16
"""Pixels that are put into buckets together: what is computed on the way stays in the cache."""


def auc(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) area under the ROC curve, every pixel a negative ("AUC uniform", Tübingen).

    Mann-Whitney: the probability that a fixated pixel's value exceeds that of any pixel, ties counting half.
    0 to 1, chance .5.

    Args:
        maps: (M, H, W), any scale.
        fixations: of these maps; each is a positive, also where several fall on one pixel.
    """
    return against_fixations(maps, fixations, uniform_area)


def uniform_area(stack: Stack, places: Places) -> Numbers:
    """(C,) :func:`auc`."""
    wins = _twice_lower(places.values(stack, stack.maps, -math.inf), _pixels(stack), stack)
    return _share(wins, 2 * places.count(stack) * stack.pixels)


def auc_judd(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) area under the ROC curve, unfixated pixels as negatives, exact where the original jitters.

    Judd et al., "Learning to predict where humans look" (2009), with ties counting half. 0 to 1, chance .5; NaN
    where every pixel is fixated.

    Args:
        maps, fixations: as in :func:`auc`.
    """
    return against_fixations(maps, fixations, judd_area)


def judd_area(stack: Stack, places: Places) -> Numbers:
    """(C,) :func:`auc_judd`."""
    positives = places.values(stack, stack.maps, -math.inf)
    wins = _twice_lower(positives, _pixels(stack), stack)
    wins = wins - _twice_lower(positives, places.distinct.values(stack, stack.maps, math.inf))
    return _share(wins, 2 * places.count(stack) * (stack.pixels - places.distinct.count(stack)))


def auc_judd_mit(maps: Tensor, fixations: Fixations, merge: bool = True) -> Tensor:
    """(M,) what ``AUC_Judd.m`` of the MIT benchmark computes, without its jitter.

    A threshold at the value of each of the n fixated pixels: true positives are the fixated pixels at or above
    it, divided by n, false positives the other pixels at or above, divided by N - n; a trapezoid from (0, 0) to
    (1, 1). Equal values are one threshold, where the original takes them in an order that its jitter decides.
    The curve has few points, so few fixations score too high: +.02 for 20 of them. 0 to 1; NaN where every
    pixel is fixated.

    Args:
        maps: (M, H, W), any scale.
        fixations: of these maps.
        merge: several fixations of one pixel count once, as in the binary maps that the MATLAB code reads; False:
            each is a positive (pysaliency's ``AUC_Judd``).
    """
    return against_fixations(maps, fixations, lambda stack, places: judd_mit_area(stack, places, merge))


def judd_mit_area(stack: Stack, places: Places, merge: bool = True) -> Numbers:
    """(C,) :func:`auc_judd_mit`."""
    counted = places.distinct if merge else places
    thresholds = counted.values(stack, stack.maps, math.inf).sort(1).values
    hits, merged = (
        _at_or_above(thresholds, p.values(stack, stack.maps, -math.inf)) for p in (counted, places.distinct)
    )
    above = _at_or_above(thresholds, _pixels(stack), stack) - merged
    return _trapezoid(above, hits, stack.pixels - places.distinct.count(stack), counted.count(stack))


def auc_judd_aim(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) what the scorers of the AIM 2024 and NTIRE 2026 challenges compute as "AUC-J".

    As :func:`auc_judd_mit` with three differences: every fixation is a threshold, also where several fall on one
    pixel or on equal values; with the i-th highest come i true positives, and (number of pixels at or above - i)
    false positives; these are divided by N - 2. .5 for a constant map, where the scorers give about 0.

    Args:
        maps, fixations: as in :func:`auc`.
    """
    return against_fixations(maps, fixations, judd_aim_area)


def judd_aim_area(stack: Stack, places: Places) -> Numbers:
    """(C,) :func:`auc_judd_aim`."""
    thresholds = places.values(stack, stack.maps, math.inf).sort(1).values
    counts = places.count(stack)
    hits = np.maximum(counts[:, None] - np.arange(thresholds.shape[1]), 0)
    above = _at_or_above(thresholds, _pixels(stack), stack) - hits
    area = _trapezoid(above, hits, np.full_like(counts, max(stack.pixels - 2, 0)), counts)
    return np.where(stack.constant & ~np.isnan(area), 0.5, area)


def auc_borji(maps: Tensor, fixations: Fixations, step: float = 0.1) -> Tensor:
    """(M,) the mean of ``AUC_Borji.m`` over all its random draws, exactly.

    Borji et al., "Quantitative analysis of human-model agreement in visual saliency modeling" (2013). The
    original draws as many pixels as there are fixated ones, with replacement, 100 times. The area is linear in
    the share of drawn pixels above a threshold, so that share's expectation, taken over all pixels, gives the
    expected area; 100 draws scatter around it by some .004. 0 to 1, chance .5.

    Args:
        maps: (M, H, W), any scale: stretched to [0, 1].
        fixations: of these maps; several on one pixel count once.
        step: between the thresholds 0, step, 2 * step ... 1.
    """
    return against_fixations(maps, fixations, lambda stack, places: borji_area(stack, places, step))


def borji_area(stack: Stack, places: Places, step: float = 0.1) -> Numbers:
    """(C,) :func:`auc_borji`."""
    maps = min_max(stack)
    positives = places.distinct.values(stack, maps, -math.inf)
    counts = places.distinct.count(stack)
    return _stepped(positives, maps.flatten(1), step, counts, np.full_like(counts, stack.pixels))


def sauc(maps: Tensor, fixations: Fixations, negatives: Fixations) -> Tensor:
    """(M,) shuffled area under the ROC curve: as :func:`auc`, the fixations of other images as negatives.

    Args:
        maps, fixations: as in :func:`auc`.
        negatives: fixations of other images, rescaled to the size of these, of the same M maps; each counts
            (Tübingen takes all of all other images). Which they are is part of the result. NaN where a map
            has none.
    """
    return _against_others(maps, fixations, negatives, shuffled_area)


def shuffled_area(stack: Stack, places: Places, others: Places) -> Numbers:
    """(C,) :func:`sauc`."""
    positives = places.values(stack, stack.maps, -math.inf)
    wins = _twice_lower(positives, others.values(stack, stack.maps, math.inf))
    return _share(wins, 2 * places.count(stack) * others.count(stack))


def sauc_mit(maps: Tensor, fixations: Fixations, negatives: Fixations, step: float = 0.1) -> Tensor:
    """(M,) the mean of ``AUC_shuffled.m`` of the MIT benchmark over all its random draws, exactly.

    As :func:`auc_borji`, the distinct pixels fixated in other images in place of all pixels.

    Args:
        maps, fixations, step: as in :func:`auc_borji`.
        negatives: as in :func:`sauc`; several on one pixel count once.
    """
    return _against_others(
        maps, fixations, negatives, lambda stack, places, others: shuffled_mit_area(stack, places, others, step)
    )


def shuffled_mit_area(stack: Stack, places: Places, others: Places, step: float = 0.1) -> Numbers:
    """(C,) :func:`sauc_mit`."""
    maps = min_max(stack)
    positives, negatives = (p.distinct.values(stack, maps, -math.inf) for p in (places, others))
    return _stepped(positives, negatives, step, places.distinct.count(stack), others.distinct.count(stack))


def _against_others(
    maps: Tensor, fixations: Fixations, negatives: Fixations, some: Callable[[Stack, Places, Places], Numbers]
) -> Tensor:
    maps = check_maps(maps)
    places, others = places_on(maps, fixations), places_on(maps, negatives, "negatives")
    return joined([some(stack, places, others) for stack in stacks(maps, max(places.most, others.most))], maps)


# ---------------------------------------------------------------------- curves


def _pixels(stack: Stack) -> Tensor:
    return stack.maps.flatten(1)


def _share(part: Counts, whole: Counts) -> Numbers:
    """NaN of nothing."""
    with np.errstate(invalid="ignore"):
        return part / whole


def _twice_lower(positives: Tensor, negatives: Tensor, stack: Stack | None = None) -> Counts:
    """(C,) twice the number of (positive, negative) pairs in which the negative is lower, plus once that of ties.

    Args:
        positives: (C, K), shorter rows filled up with -inf.
        negatives: (C, P), shorter rows filled up with inf.
        stack: whose pixels the negatives are.
    """
    below, upto = _ranks(positives, negatives, stack)
    return below.sum(1) + upto.sum(1)


def _at_or_above(thresholds: Tensor, values: Tensor, stack: Stack | None = None) -> Counts:
    """How many of (C, P) values, filled up with -inf, are at or above each of (C, K) ascending thresholds."""
    return values.shape[1] - _ranks(thresholds, values, stack)[0]


def _stepped(positives: Tensor, negatives: Tensor, step: float, counts: Counts, others: Counts) -> Numbers:
    """(C,) area over the thresholds 0, step ... 1 of (C, K) and (C, P) values, filled up with -inf."""
    if not 0 < step <= 1:
        raise ValueError(f"step must be above 0 and at most 1, got {step}")
    # MATLAB's 0:step:1, which counts multiples of the step
    steps = torch.arange(int(1 / step + 1e-9) + 1, dtype=torch.float64, device=positives.device) * step
    steps = steps.expand(len(positives), -1).contiguous()
    return _trapezoid(_at_or_above(steps, negatives), _at_or_above(steps, positives), others, counts)


def _trapezoid(x: Counts, y: Counts, all_x: Counts, all_y: Counts) -> Numbers:
    """(C,) share of the rectangle all_x by all_y that lies under the line from its far corner to (0, 0).

    Args:
        x, y: (C, K), the line's points in descending order.
        all_x, all_y: (C,).
    """
    zero = np.zeros_like(all_x)[:, None]
    x, y = (np.concatenate([whole[:, None], points, zero], 1) for whole, points in ((all_x, x), (all_y, y)))
    twice = ((x[:, :-1] - x[:, 1:]) * (y[:, :-1] + y[:, 1:])).sum(1)
    return _share(twice, 2 * all_x * all_y)


# ---------------------------------------------------------------------- counting


def _ranks(thresholds: Tensor, values: Tensor, stack: Stack | None = None) -> tuple[Counts, Counts]:
    """How many of (C, P) values are below, and at or below, each of (C, K) thresholds: (C, K) each.

    Args:
        stack: whose pixels the values are.
    """
    if values.is_cuda:
        ordered = values.sort(1).values
        found = [torch.searchsorted(ordered, thresholds, right=right) for right in (False, True)]
        return found[0].cpu().numpy(), found[1].cpu().numpy()
    pairs = zip(thresholds.numpy(), values.numpy(), strict=True)
    if stack is not None and values.shape[1] > _BUCKETS:
        counts = [_bucketed(*pair, *ends) for pair, *ends in zip(pairs, stack.low, stack.high, strict=True)]
    else:
        counts = [_sorted(*pair) for pair in pairs]
    return np.stack([below for below, _ in counts]), np.stack([upto for _, upto in counts])


def _sorted(thresholds: NDArray[Any], values: NDArray[Any]) -> tuple[Counts, Counts]:
    """:func:`_ranks` of (K,) and (P,)."""
    ordered = np.sort(values)  # ten times as fast as torch's
    return np.searchsorted(ordered, thresholds), np.searchsorted(ordered, thresholds, side="right")


def _bucketed(thresholds: NDArray[Any], values: NDArray[Any], low: float, high: float) -> tuple[Counts, Counts]:
    """:func:`_ranks` of (K,) and (P,) between two bounds, without sorting the values or searching most of them.

    They fall into buckets by value, and only those that share a bucket with a threshold are searched. Rounding
    keeps the order of values, so a lower bucket holds lower values and the counts are exact.
    """
    limits, spread = np.finfo(values.dtype), high - low
    if not limits.tiny * _BUCKETS < spread < limits.max:  # constant, or at the ends of the type's range
        return _sorted(thresholds, values)
    lowest, highest, scale = (values.dtype.type(number) for number in (low, high, _BUCKETS / spread))

    def buckets(some: NDArray[Any]) -> NDArray[np.int32]:
        offset = some - lowest
        offset *= scale
        return offset.astype(np.int32)

    place = buckets(thresholds.clip(lowest, highest))
    shared = np.zeros(_BUCKETS + 1, dtype=bool)
    shared[place] = True
    size, searched = np.zeros(_BUCKETS + 1, dtype=np.int64), []
    for start in range(0, len(values), _AT_ONCE):
        some = values[start : start + _AT_ONCE]
        bucket = torch.from_numpy(buckets(some))  # torch counts and looks up faster
        size += torch.bincount(bucket, minlength=len(size)).numpy()
        searched.append(some[torch.from_numpy(shared).index_select(0, bucket).numpy()])
    lower = np.where(shared, 0, size).cumsum()[place]
    below, upto = _sorted(thresholds, np.concatenate(searched))
    return lower + below, lower + upto
