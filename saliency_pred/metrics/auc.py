"""Areas under the ROC curve: one positive set, five negative sets, none of them sampled.

Conventions as in :mod:`saliency_pred.metrics.functional`. Counts are integers and are summed exactly, so
a value does not depend on device, order or number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from saliency_pred.fixations import Fixations
from saliency_pred.metrics.arguments import by_map, check_fixations, check_maps, min_max

_BUCKETS = 16384
"""Into which pixels are sorted by value: some 10 times the number of fixations that an image has, and their
counts stay in the processor's first cache."""


def auc(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) area under the ROC curve, every pixel a negative ("AUC uniform", Tübingen).

    Mann-Whitney: the probability that a fixated pixel's value exceeds that of any pixel, ties counting half.
    Every fixation is a positive, also where several fall on one pixel.
    """

    def one(pixels: Tensor, where: Tensor) -> float:
        return _mann_whitney(pixels[where], pixels)

    return _each(check_maps(maps, fixations), fixations, one)


def auc_judd(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) area under the ROC curve, unfixated pixels as negatives, exact where the original jitters.

    Judd et al., "Learning to predict where humans look" (2009), with ties counting half. NaN where every
    pixel is fixated.
    """

    def one(pixels: Tensor, where: Tensor) -> float:
        fixated = where.unique()
        negatives = pixels.numel() - len(fixated)
        if negatives == 0:
            return math.nan
        positives = pixels[where]
        lower = _twice_lower(positives, pixels) - _twice_lower(positives, pixels[fixated])
        return lower / (2 * len(where) * negatives)

    return _each(check_maps(maps, fixations), fixations, one)


def auc_judd_mit(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) what ``AUC_Judd.m`` of the MIT benchmark computes without its jitter.

    A threshold at each of the n fixated pixels (several fixations of one pixel count once), in descending
    order: true positives i / n, false positives (number of pixels at or above - i) / (N - n), a trapezoid
    from (0, 0) to (1, 1). The trapezoid's first step is free, so few fixations score too high: +.02 for 20
    of them. .5 for a constant map; NaN where every pixel is fixated.
    """

    def one(pixels: Tensor, where: Tensor) -> float:
        fixated = where.unique()
        return _judd_trapezoid(pixels, fixated, pixels.numel() - len(fixated))

    return _each(check_maps(maps, fixations), fixations, one)


def auc_judd_aim(maps: Tensor, fixations: Fixations) -> Tensor:
    """(M,) what the scorers of the AIM 2024 and NTIRE 2026 challenges compute as "AUC-J".

    As :func:`auc_judd_mit`, with two differences: every fixation is a
    threshold, also where several fall on one pixel, and false positives are divided by N - 2.
    """

    def one(pixels: Tensor, where: Tensor) -> float:
        return _judd_trapezoid(pixels, where, pixels.numel() - 2)

    return _each(check_maps(maps, fixations), fixations, one)


def auc_borji(maps: Tensor, fixations: Fixations, step: float = 0.1) -> Tensor:
    """(M,) the mean of ``AUC_Borji.m`` over all its random draws, exactly.

    The original draws as many pixels as there are fixated ones, with replacement, 100 times. The area is
    linear in the share of drawn pixels above a threshold, so that share's expectation, taken over all
    pixels, gives the expected area; 100 draws scatter around it by some .004.

    Args:
        step: between the thresholds 0, step, 2 * step ... 1 on the map stretched to [0, 1].
    """

    def one(pixels: Tensor, where: Tensor) -> float:
        return _stepped(pixels[where.unique()], pixels, step)

    return _each(min_max(check_maps(maps, fixations)), fixations, one)


def sauc(maps: Tensor, fixations: Fixations, negatives: Fixations) -> Tensor:
    """(M,) shuffled area under the ROC curve: as :func:`auc`, the fixations of other images as negatives.

    Args:
        negatives: fixations of other images, rescaled to the size of these, of the same M maps; each counts
            (Tübingen takes all of all other images). Which they are is part of the result. NaN where a map
            has none.
    """
    maps = check_maps(maps, fixations)
    check_fixations(maps, negatives, "negatives")
    parts = iter(by_map(maps, negatives))

    def one(pixels: Tensor, where: Tensor) -> float:
        _, other = next(parts)
        if len(where) == 0 or len(other) == 0:
            return math.nan
        return _mann_whitney(pixels[where], pixels[other])

    return _each(maps, fixations, one, empty=True)


def sauc_mit(maps: Tensor, fixations: Fixations, negatives: Fixations, step: float = 0.1) -> Tensor:
    """(M,) the mean of ``AUC_shuffled.m`` of the MIT benchmark over all its random draws, exactly.

    As :func:`auc_borji`, the distinct pixels fixated in other images in place of all pixels.

    Args:
        negatives: as in :func:`sauc`; several on one pixel count once.
        step: as in :func:`auc_borji`.
    """
    stretched = min_max(check_maps(maps, fixations))
    check_fixations(maps, negatives, "negatives")
    parts = iter(by_map(stretched, negatives))

    def one(pixels: Tensor, where: Tensor) -> float:
        _, other = next(parts)
        if len(where) == 0 or len(other) == 0:
            return math.nan
        return _stepped(pixels[where.unique()], pixels[other.unique()], step)

    return _each(stretched, fixations, one, empty=True)


def _each(maps: Tensor, fixations: Fixations, one: Callable[[Tensor, Tensor], float], empty: bool = False) -> Tensor:
    """(M,) ``one`` of every map; NaN where it has no fixations, unless ``empty`` leaves that to ``one``."""
    maps = check_maps(maps, fixations)
    values = [one(pixels, where) if empty or len(where) else math.nan for pixels, where in by_map(maps, fixations)]
    return torch.tensor(values, dtype=torch.float64, device=maps.device)


def _mann_whitney(positives: Tensor, negatives: Tensor) -> float:
    """Probability that a positive exceeds a negative, ties counting half."""
    return _twice_lower(positives, negatives) / (2 * len(positives) * len(negatives))


def _twice_lower(positives: Tensor, negatives: Tensor) -> int:
    """Twice the number of (positive, negative) pairs in which the negative is lower, plus once that of ties."""
    below, upto = _ranks(positives.sort().values, negatives)
    return int(below.sum()) + int(upto.sum())


def _ranks(thresholds: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """How many pixels are below, and at or below, each of n ascending thresholds: (n,) int64 each.

    Neither sorts the pixels nor searches most of them: they fall into buckets by value, and only those that
    share a bucket with a threshold are searched. Rounding keeps the order of values, so a lower bucket holds
    lower values and the counts are exact.
    """
    below = pixels.new_zeros((), dtype=torch.int64)
    if pixels.numel() > _BUCKETS:
        low, high = pixels.aminmax()
        spread = float(high) - float(low)
        scale = _BUCKETS / spread if spread > 0 else math.inf
        limit = torch.finfo(pixels.dtype).max
        if spread < limit and scale < limit:  # neither constant nor at the ends of the type's range
            bucket = ((pixels - low) * scale).to(torch.int32)
            size = torch.bincount(bucket)
            place = ((thresholds.clamp(low, high) - low) * scale).to(torch.int64)
            shared = torch.zeros(len(size), dtype=torch.bool, device=pixels.device)
            shared[place] = True
            below = size.masked_fill(shared, 0).cumsum(0)[place]
            pixels = pixels[shared.index_select(0, bucket)]
    n = len(thresholds)
    reached = torch.searchsorted(thresholds, pixels, side="right")  # how many thresholds are at or below
    passed = torch.searchsorted(thresholds, pixels, side="left")  # how many are below
    return tuple(below + torch.bincount(k, minlength=n + 1).cumsum(0)[:-1] for k in (reached, passed))  # type: ignore[return-value]


def _judd_trapezoid(pixels: Tensor, fixated: Tensor, negatives: int) -> float:
    """Area over one threshold a fixated pixel, descending, in the arithmetic of ``AUC_Judd.m``."""
    if negatives <= 0:
        return math.nan
    if bool(pixels.amin() == pixels.amax()):
        return 0.5
    n, total = len(fixated), pixels.numel()
    at_or_above = total - _ranks(pixels[fixated].sort().values, pixels)[0]
    i = torch.arange(1, n + 1, device=pixels.device)
    return _trapezoid((at_or_above.flip(0) - i).double() / negatives, i.double() / n)


def _stepped(positives: Tensor, negatives: Tensor, step: float) -> float:
    """Area over thresholds 1, 1 - step, ... 0, of shares at or above."""
    # MATLAB's 0:step:1, which counts multiples of the step
    steps = torch.arange(int(1 / step + 1e-9) + 1, dtype=torch.float64, device=positives.device) * step
    shares = [1 - _ranks(steps, values)[0].flip(0).double() / len(values) for values in (negatives, positives)]
    return _trapezoid(*shares)


def _trapezoid(x: Tensor, y: Tensor) -> float:
    """Area under the line from (0, 0) through the points (x, y) to (1, 1)."""
    zero, one = x.new_zeros(1), x.new_ones(1)
    return float(torch.trapezoid(torch.cat([zero, y, one]), torch.cat([zero, x, one])))
