"""Areas under the ROC curve: one positive set, five negative sets, none of them sampled.

Conventions as in :mod:`saliency_pred.metrics.functional`. Every area is a fraction of two integers, so a value
does not depend on device, order or number of threads.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from saliency_pred.fixations import Fixations
from saliency_pred.metrics.arguments import Places, bounds, check_fixations, check_maps, chunks, min_max

_BUCKETS = 16384
"""Into which pixels are sorted by value: some 10 times the number of fixations that an image has, and their
counts stay in the processor's first cache."""


def auc(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) area under the ROC curve, every pixel a negative ("AUC uniform", Tübingen).

    Mann-Whitney: the probability that a fixated pixel's value exceeds that of any pixel, ties counting half.
    0 to 1, chance .5.

    Args:
        maps: (M, H, W), any scale.
        fixations: of these maps; each is a positive, also where several fall on one pixel.
    """
    maps = check_maps(maps, fixations)
    places = Places.of(maps, fixations)
    values = []
    for start, part in chunks(maps, places.most):
        positives = places.values(start, part, -math.inf)
        counts = places.counts[start : start + len(part)]
        wins = _twice_lower(positives, part.flatten(1))
        values.append(wins.double() / (2 * counts * part[0].numel()))
    return _joined(values, maps)


def auc_judd(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) area under the ROC curve, unfixated pixels as negatives, exact where the original jitters.

    Judd et al., "Learning to predict where humans look" (2009), with ties counting half. 0 to 1, chance .5; NaN
    where every pixel is fixated.

    Args:
        maps, fixations: as in :func:`auc`.
    """
    maps = check_maps(maps, fixations)
    places = Places.of(maps, fixations)
    distinct = places.distinct(maps[:1].numel())
    values = []
    for start, part in chunks(maps, places.most):
        positives = places.values(start, part, -math.inf)
        fixated = distinct.values(start, part, math.inf)
        counts, merged = (p.counts[start : start + len(part)] for p in (places, distinct))
        wins = _twice_lower(positives, part.flatten(1)) - _twice_lower(positives, fixated)
        values.append(wins.double() / (2 * counts * (part[0].numel() - merged)))
    return _joined(values, maps)


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
    maps = check_maps(maps, fixations)
    distinct = Places.of(maps, fixations).distinct(maps[:1].numel())
    places = distinct if merge else Places.of(maps, fixations)
    values = []
    for start, part in chunks(maps, places.most):
        thresholds = places.values(start, part, math.inf).sort(1).values
        fixated = distinct.values(start, part, -math.inf)
        counts, merged = (p.counts[start : start + len(part), None] for p in (places, distinct))
        hits = thresholds.shape[1] - _ranks(thresholds, places.values(start, part, -math.inf))[0]
        above = part[0].numel() - _ranks(thresholds, part.flatten(1))[0]
        above = above - (fixated.shape[1] - _ranks(thresholds, fixated)[0])
        values.append(_trapezoid(above, hits, part[0].numel() - merged, counts))
    return _joined(values, maps)


def auc_judd_aim(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) what the scorers of the AIM 2024 and NTIRE 2026 challenges compute as "AUC-J".

    As :func:`auc_judd_mit` with three differences: every fixation is a threshold, also where several fall on one
    pixel or on equal values; with the i-th highest come i true positives, and (number of pixels at or above - i)
    false positives; these are divided by N - 2. .5 for a constant map, where the scorers give about 0.

    Args:
        maps, fixations: as in :func:`auc`.
    """
    maps = check_maps(maps, fixations)
    places = Places.of(maps, fixations)
    values = []
    for start, part in chunks(maps, places.most):
        thresholds = places.values(start, part, math.inf).sort(1).values
        pixels, counts = part[0].numel(), places.counts[start : start + len(part), None]
        hits = (counts - torch.arange(thresholds.shape[1], device=maps.device)).clamp(min=0)
        above = pixels - _ranks(thresholds, part.flatten(1))[0] - hits
        area = _trapezoid(above, hits, counts.new_full(counts.shape, max(pixels - 2, 0)), counts)
        low, high = bounds(part)
        values.append(torch.where((low == high) & ~torch.isnan(area), 0.5, area))
    return _joined(values, maps)


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
    maps = check_maps(maps, fixations)
    places = Places.of(maps, fixations).distinct(maps[:1].numel())
    values = []
    for start, part in chunks(maps, places.most):
        part = min_max(part)
        positives = places.values(start, part, -math.inf)
        counts = places.counts[start : start + len(part), None]
        values.append(_stepped(positives, part.flatten(1), step, counts, torch.full_like(counts, part[0].numel())))
    return _joined(values, maps)


def sauc(maps: Tensor, fixations: Fixations, negatives: Fixations) -> Tensor:
    """(M,) shuffled area under the ROC curve: as :func:`auc`, the fixations of other images as negatives.

    Args:
        maps, fixations: as in :func:`auc`.
        negatives: fixations of other images, rescaled to the size of these, of the same M maps; each counts
            (Tübingen takes all of all other images). Which they are is part of the result. NaN where a map
            has none.
    """
    maps = check_maps(maps, fixations)
    check_fixations(maps, negatives, "negatives")
    places, others = Places.of(maps, fixations), Places.of(maps, negatives)
    values = []
    for start, part in chunks(maps, max(places.most, others.most)):
        positives = places.values(start, part, -math.inf)
        counts, other = (p.counts[start : start + len(part)] for p in (places, others))
        wins = _twice_lower(positives, others.values(start, part, math.inf))
        values.append(wins.double() / (2 * counts * other))
    return _joined(values, maps)


def sauc_mit(maps: Tensor, fixations: Fixations, negatives: Fixations, step: float = 0.1) -> Tensor:
    """(M,) the mean of ``AUC_shuffled.m`` of the MIT benchmark over all its random draws, exactly.

    As :func:`auc_borji`, the distinct pixels fixated in other images in place of all pixels.

    Args:
        maps, fixations, step: as in :func:`auc_borji`.
        negatives: as in :func:`sauc`; several on one pixel count once.
    """
    maps = check_maps(maps, fixations)
    check_fixations(maps, negatives, "negatives")
    pixels = maps[:1].numel()
    places, others = (Places.of(maps, some).distinct(pixels) for some in (fixations, negatives))
    values = []
    for start, part in chunks(maps, max(places.most, others.most)):
        part = min_max(part)
        positives, negative = (p.values(start, part, -math.inf) for p in (places, others))
        counts, other = (p.counts[start : start + len(part), None] for p in (places, others))
        values.append(_stepped(positives, negative, step, counts, other))
    return _joined(values, maps)


def _joined(values: list[Tensor], maps: Tensor) -> Tensor:
    return torch.cat(values) if values else maps.new_zeros(0, dtype=torch.float64)


# ---------------------------------------------------------------------- curves


def _twice_lower(positives: Tensor, negatives: Tensor) -> Tensor:
    """(C,) twice the number of (positive, negative) pairs in which the negative is lower, plus once that of ties.

    Args:
        positives: (C, K), shorter rows filled up with -inf.
        negatives: (C, P), shorter rows filled up with inf.
    """
    below, upto = _ranks(positives.sort(1).values, negatives)
    return below.sum(1) + upto.sum(1)


def _stepped(positives: Tensor, negatives: Tensor, step: float, counts: Tensor, others: Tensor) -> Tensor:
    """(C,) area over the thresholds 0, step ... 1 of (C, K) and (C, P) values, filled up with -inf."""
    # MATLAB's 0:step:1, which counts multiples of the step
    steps = torch.arange(int(1 / step + 1e-9) + 1, dtype=torch.float64, device=positives.device) * step
    steps = steps.expand(len(positives), -1).contiguous()
    hits, false = (values.shape[1] - _ranks(steps, values)[0] for values in (positives, negatives))
    return _trapezoid(false, hits, others, counts)


def _trapezoid(x: Tensor, y: Tensor, all_x: Tensor, all_y: Tensor) -> Tensor:
    """(C,) share of the rectangle all_x by all_y that lies under the line from its far corner to (0, 0).

    Args:
        x, y: (C, K) int64, the line's points in descending order.
        all_x, all_y: (C, 1) int64.
    """
    x, y = (torch.cat([whole, values, torch.zeros_like(whole)], 1) for whole, values in ((all_x, x), (all_y, y)))
    twice = ((x[:, :-1] - x[:, 1:]) * (y[:, :-1] + y[:, 1:])).sum(1)
    return twice.double() / (2 * all_x * all_y)[:, 0]


# ---------------------------------------------------------------------- counting


def _ranks(thresholds: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """How many of (C, P) values are below, and at or below, each of (C, K) ascending thresholds: (C, K) int64 each."""
    if values.is_cuda:
        ordered = values.sort(1).values
    elif values.shape[1] <= _BUCKETS:
        ordered = torch.from_numpy(np.sort(values.contiguous().numpy(), axis=1))  # ten times as fast as torch's
    else:
        rows = [_bucketed(*pair) for pair in zip(thresholds, values, strict=True)]
        return torch.stack([below for below, _ in rows]), torch.stack([upto for _, upto in rows])
    return torch.searchsorted(ordered, thresholds), torch.searchsorted(ordered, thresholds, right=True)


def _bucketed(thresholds: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`_ranks` of (K,) and (P,), without sorting the values or searching most of them.

    They fall into buckets by value, and only those that share a bucket with a threshold are searched. Rounding
    keeps the order of values, so a lower bucket holds lower values and the counts are exact.
    """
    below = values.new_zeros((), dtype=torch.int64)
    low, high = values.aminmax()
    spread = float(high) - float(low)
    scale = _BUCKETS / spread if spread > 0 else math.inf
    limit = torch.finfo(values.dtype).max
    if spread < limit and scale < limit:  # neither constant nor at the ends of the type's range
        bucket = (values - low).mul_(scale).to(torch.int32)
        size = torch.bincount(bucket)
        place = ((thresholds.clamp(low, high) - low) * scale).to(torch.int64)
        shared = torch.zeros(len(size), dtype=torch.bool)
        shared[place] = True
        below = size.masked_fill(shared, 0).cumsum(0)[place]
        searched = shared.index_select(0, bucket)
        values = torch.from_numpy(values.numpy()[searched.numpy()])  # three times as fast as torch's
    n = len(thresholds)
    reached = torch.searchsorted(thresholds, values, right=True)  # how many thresholds are at or below
    passed = torch.searchsorted(thresholds, values)  # how many are below
    return tuple(below + torch.bincount(k, minlength=n + 1).cumsum(0)[:-1] for k in (reached, passed))  # type: ignore[return-value]
