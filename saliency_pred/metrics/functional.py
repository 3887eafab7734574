"""Fixation-saliency metrics: exact, tie-aware, deterministic; one value per map.

Every function takes a stack of maps (M, H, W), float32 or float64 on any device, and returns float64 (M,).
Fixations come as :class:`~saliency_pred.fixations.Fixations` that pack M maps of the same (H, W);
``fixations.map_index`` tells which map each belongs to. A random procedure of an original scorer (jitter,
sampled negatives) is replaced by its exact expectation. ``docs/metrics.md`` compares the conventions.

What holds for all of them
    * Passing a map where fixations belong, or the other way round, is a TypeError; so are half-precision
      and integer maps. A NaN or infinite pixel is a ValueError that says which map and how many.
    * A map without fixations scores NaN in a metric of fixations. A constant map scores AUC 0.5, NSS 0,
      CC 0, and as the uniform density in KLD, SIM and IG. An all-zero ground truth is a ValueError.
    * A map with negative values is shifted to minimum 0 where it has to become a density, an all-zero map
      becomes uniform.
    * Duplicate fixations count as often as they occur, unless the function says that it merges them.
    * Fixations outside the image are a ValueError: decide with ``fixations.clean``.
    * Ranks and counts are integers and one division, so AUCs agree to the last bit on every device; the
      others accumulate in float64. Memory beyond the arguments is a few maps, whatever M is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import scipy.optimize
import scipy.sparse
import torch
from torch import Tensor

from saliency_pred.fixations import Fixations

MATLAB_EPS = 2.220446049250313e-16
"""``eps`` of MATLAB and of float64: what the MIT code regularises KLD and IG with."""

NORMALISATION_TOLERANCE = 1e-3
"""|logsumexp| that a log density may have, as the MIT/Tuebingen benchmark allows."""

_CHUNK_PIXELS = {"cpu": 1 << 19, "cuda": 1 << 25}
"""Pixels handled at once: on a CPU what stays in cache, on a GPU what fills it."""


# ---------------------------------------------------------------------- ranks


def auc(maps: Tensor, fixations: Fixations) -> Tensor:
    """Area under the ROC curve against all pixels ("AUC uniform" of pysaliency and MIT/Tuebingen).

    P(map at a fixation > map at a random pixel) + 1/2 P(equal): positives are all fixations, negatives
    all H * W pixels.
    """
    maps = _check_maps(maps)

    def one(pixels: Tensor, at: Tensor) -> Tensor:
        ordered = _sort(pixels)
        return _wins(pixels[at], ordered).to(torch.float64) / (2 * len(at) * len(ordered))

    return _per_map(maps, fixations, one)


def auc_judd(maps: Tensor, fixations: Fixations) -> Tensor:
    """Area under the ROC curve against the pixels without a fixation, exact.

    Positives are all fixations, negatives the unfixated pixels; ties count 1/2. What the jittered AUC of
    Judd et al. (ICCV 2009) estimates. NaN where every pixel is fixated.
    """
    maps = _check_maps(maps)

    def one(pixels: Tensor, at: Tensor) -> Tensor:
        positive, fixated = pixels[at], pixels[at.unique()]
        wins = _wins(positive, _sort(pixels)) - _wins(positive, _sort(fixated))
        return wins.to(torch.float64) / (2 * len(at) * (len(pixels) - len(fixated)))

    return _per_map(maps, fixations, one)


def auc_judd_mit(maps: Tensor, fixations: Fixations, merge_duplicates: bool = True) -> Tensor:
    """``AUC_Judd`` of the MIT Saliency Benchmark's MATLAB code: an ROC curve with few thresholds.

    Thresholds are the values at fixations; true positives are fixations, false positives unfixated pixels
    at or above; the trapezoid rule from (0, 0) to (1, 1). Fixations of equal value share one threshold, so
    no jitter is needed. With few fixations it lies above :func:`auc_judd` (.007 at n = 60, .02 at n = 20):
    never compare the two. NaN where every pixel is fixated.

    Args:
        merge_duplicates: several fixations of a pixel count as one, as in the MATLAB code's binary maps;
            False counts each, as pysaliency's ``AUC_Judd`` does.
    """
    maps = _check_maps(maps)

    def one(pixels: Tensor, at: Tensor) -> Tensor:
        fixated = at.unique()
        ordered, fixated_values = _sort(pixels), _sort(pixels[fixated])
        positive = fixated_values if merge_duplicates else _sort(pixels[at])
        thresholds = positive.unique().flip(0)
        true = _at_or_above(positive, thresholds).to(torch.float64) / len(positive)
        false_count = _at_or_above(ordered, thresholds) - _at_or_above(fixated_values, thresholds)
        return _trapezoid(false_count.to(torch.float64) / (len(ordered) - len(fixated)), true)

    return _per_map(maps, fixations, one)


def auc_judd_aim(maps: Tensor, fixations: Fixations) -> Tensor:
    """AUC-J of the AIM 2024 and NTIRE 2026 video saliency challenges.

    As the MATLAB ``AUC_Judd`` with every fixation a threshold of its own, in descending order of value:
    the i-th has i / n true positives and (pixels at or above - i) / (H * W - 2) false positives. (The
    challenge code means the number of unfixated pixels, but counts two.) Ties are therefore scored as
    misses: a constant map gets about 0 in the official code; here it gets 0.5 like in every AUC.
    """
    maps = _check_maps(maps)

    def one(pixels: Tensor, at: Tensor) -> Tensor:
        ordered = _sort(pixels)
        if bool(ordered[0] == ordered[-1]):
            return torch.tensor(0.5, dtype=torch.float64, device=pixels.device)
        thresholds = _sort(pixels[at]).flip(0)
        rank = torch.arange(1, len(at) + 1, device=pixels.device)
        false = (_at_or_above(ordered, thresholds) - rank).to(torch.float64) / (len(ordered) - 2)
        return _trapezoid(false, rank.to(torch.float64) / len(at))

    return _per_map(maps, fixations, one)


def auc_borji(maps: Tensor, fixations: Fixations, step: float = 0.1) -> Tensor:
    """``AUC_Borji`` of the MIT Saliency Benchmark's MATLAB code, in exact expectation over its random splits.

    Thresholds 0, step, 2 step ... 1 on the min-max normalised map. True positives are the fixated pixels
    (duplicates merged); the false positives of uniformly sampled pixels have the share of all pixels as
    their expectation, and the area is linear in them.

    Args:
        step: between thresholds; 0.1 in the MATLAB code.
    """
    return _stepped_auc(maps, fixations, None, step)


def sauc(maps: Tensor, fixations: Fixations, negatives: Fixations) -> Tensor:
    """Shuffled AUC of MIT/Tuebingen: negatives are fixations of other images, each counting as often as it occurs.

    Args:
        negatives: for each map the fixations of the other images, on this map's grid
            (``metrics.negatives.NegativePool`` makes them). NaN where a map has none.
    """
    maps = _check_maps(maps)
    others = _by_map(maps, negatives, "negatives")

    def one(pixels: Tensor, at: Tensor, other: Tensor) -> Tensor:
        ordered = _sort(pixels[other])
        return _wins(pixels[at], ordered).to(torch.float64) / (2 * len(at) * len(ordered))

    return _per_map(maps, fixations, one, others)


def sauc_mit(maps: Tensor, fixations: Fixations, negatives: Fixations, step: float = 0.1) -> Tensor:
    """``AUC_shuffled`` of the MIT Saliency Benchmark's MATLAB code, in exact expectation over its random splits.

    As :func:`auc_borji`, with the distinct locations of the negatives in place of all pixels.

    Args:
        negatives: as in :func:`sauc`; the MATLAB code takes ten other images.
        step: between thresholds; 0.1 in the MATLAB code.
    """
    return _stepped_auc(maps, fixations, negatives, step)


# ---------------------------------------------------------------------- values at fixations


def nss(maps: Tensor, fixations: Fixations, ddof: int = 0, eps: float = 0.0) -> Tensor:
    """Normalised scanpath saliency: mean over fixations of (map - mean) / standard deviation.

    Args:
        ddof: 0 for the population's standard deviation (pysaliency, MIT/Tuebingen, AIM), 1 for the sample's
            (MATLAB's and torch's ``std``).
        eps: added to the standard deviation (AIM: 1e-7).
    """
    maps = _check_maps(maps)
    by_map = _by_map(maps, fixations, "fixations")
    result = _nan(maps)
    for start, chunk in _chunks(maps):
        mean, norm = _centre(chunk)[1:]
        deviation = norm / math.sqrt(chunk[0].numel() - ddof) + eps
        constant = _is_constant(chunk)
        for i in range(len(chunk)):
            at = by_map[start + i]
            if len(at):
                value = (chunk[i].flatten()[at].to(torch.float64).mean() - mean[i]) / deviation[i]
                result[start + i] = torch.where(constant[i], 0.0, value)
    return result


def log_likelihood(log_density: Tensor, fixations: Fixations) -> Tensor:
    """Mean over fixations of log2 p(fixation) + log2(H * W): bit per fixation, 0 for the uniform density.

    Args:
        log_density: natural logarithms of densities that sum to 1 (see :data:`NORMALISATION_TOLERANCE`);
            -inf where the density is 0, which makes the value -inf if somebody looked there.

    Raises:
        ValueError: a density is not normalised.
    """
    log_density = _check_log_density(log_density, "log_density")
    shift = math.log2(log_density.shape[-2] * log_density.shape[-1])
    return _mean_at(log_density, fixations) / math.log(2) + shift


def ig(log_density: Tensor, baseline_log_density: Tensor, fixations: Fixations) -> Tensor:
    """Information gain over a baseline: mean over fixations of log2 p - log2 b, bit per fixation.

    Kuemmerer, Wallis, Bethge (PNAS 2015). The baseline (uniform, centre bias, gold standard) is part of
    the result and has to be reported with it.

    Args:
        log_density: (M, H, W) as in :func:`log_likelihood`.
        baseline_log_density: (M, H, W), or (H, W) or (1, H, W) for all maps.

    Raises:
        ValueError: a density is not normalised, or the baseline gives a fixation density 0.
    """
    log_density = _check_log_density(log_density, "log_density")
    baseline = _like(baseline_log_density, log_density, "baseline_log_density")
    baseline = _check_log_density(baseline, "baseline_log_density").expand(log_density.shape)
    of_baseline = _mean_at(baseline, fixations)
    impossible = torch.isneginf(of_baseline).nonzero().flatten().tolist()
    if impossible:
        raise ValueError(
            f"the baseline gives density 0 to a fixation of map {impossible[0]} "
            f"({len(impossible)} maps in all); mix a small uniform density into it"
        )
    return (_mean_at(log_density, fixations) - of_baseline) / math.log(2)


def ig_mit(maps: Tensor, baseline: Tensor, fixations: Fixations, eps: float = MATLAB_EPS) -> Tensor:
    """``InfoGain`` of the MIT Saliency Benchmark's MATLAB code, on maps in place of densities.

    Map and baseline are min-max normalised and divided by their sums; mean over fixated pixels (duplicates
    merged) of log2(eps + p) - log2(eps + b). Where the map's minimum was looked at, eps decides the value.

    Args:
        baseline: (M, H, W), or (H, W) or (1, H, W) for all maps; any scale.
    """
    maps = _check_maps(maps)
    baseline = _check_maps(_like(baseline, maps, "baseline"), "baseline")
    by_map = _by_map(maps, fixations, "fixations")
    result = _nan(maps)
    for m, at in enumerate(by_map):
        if len(at):
            fixated = at.unique()
            p, b = (
                _density(_min_max(stack[min(m, len(stack) - 1)][None].to(torch.float64))).flatten()[fixated]
                for stack in (maps, baseline)
            )
            result[m] = ((eps + p).log2() - (eps + b).log2()).mean()
    return result


# ---------------------------------------------------------------------- map against density


def cc(maps: Tensor, density: Tensor) -> Tensor:
    """Pearson's correlation of map and ground-truth density over pixels.

    0 for a constant map, NaN for a constant density (nothing to correlate with).

    Args:
        density: (M, H, W) non-negative, any scale.
    """
    maps = _check_maps(maps)
    density = _check_density(density, maps)
    result = _nan(maps)
    for start, chunk in _chunks(maps):
        truth = density[start : start + len(chunk)]
        s, _, norm_s = _centre(chunk)
        g, _, norm_g = _centre(truth)
        value = (s * g).sum((1, 2)) / (norm_s * norm_g)
        value = torch.where(_is_constant(chunk), 0.0, value)
        result[start : start + len(chunk)] = torch.where(_is_constant(truth), torch.nan, value)
    return result


def kld(maps: Tensor, density: Tensor, eps: float = MATLAB_EPS) -> Tensor:
    """Kullback-Leibler divergence of the map from the ground truth: sum g log(eps + g / (s + eps)), in nat.

    s and g are map and density divided by their sums. The value depends on eps far more than on anything
    else where the map has near-zero pixels: report it with the result.

    Args:
        density: (M, H, W) non-negative, any scale.
        eps: 2.2204e-16 in the MIT code and MIT/Tuebingen, 1e-7 in MSI-Net, 1e-6 in EML-Net.
    """
    maps = _check_maps(maps)
    density = _check_density(density, maps)
    result = _nan(maps)
    for start, chunk in _chunks(maps):
        g = _density(density[start : start + len(chunk)])
        ratio = torch.div(g, _density(chunk).add_(eps)).add_(eps).log_()
        result[start : start + len(chunk)] = ratio.mul_(g).sum((1, 2), dtype=torch.float64)
    return result


def sim(maps: Tensor, density: Tensor, eps: float = 0.0) -> Tensor:
    """Similarity (histogram intersection): sum min(s, g) of map and density divided by their sums.

    Args:
        density: (M, H, W) non-negative, any scale.
        eps: added to both sums (AIM: 1e-7).
    """
    maps = _check_maps(maps)
    density = _check_density(density, maps)
    result = _nan(maps)
    for start, chunk in _chunks(maps):
        s, g = _density(chunk, eps), _density(density[start : start + len(chunk)], eps)
        result[start : start + len(chunk)] = torch.minimum(s, g).sum((1, 2), dtype=torch.float64)
    return result


def sim_mit(maps: Tensor, density: Tensor) -> Tensor:
    """``similarity`` of the MIT Saliency Benchmark's MATLAB code: both are min-max normalised, then :func:`sim`."""
    maps = _check_maps(maps)
    density = _check_density(density, maps)
    result = _nan(maps)
    for start, chunk in _chunks(maps):
        s = _density(_min_max(chunk))
        g = _density(_min_max(density[start : start + len(chunk)]))
        result[start : start + len(chunk)] = torch.minimum(s, g).sum((1, 2), dtype=torch.float64)
    return result


def emd(maps: Tensor, density: Tensor, downscale: int = 32) -> Tensor:
    """Earth mover's distance between map and density, exact, in pixels of the original.

    Both are averaged over the cells of a grid of ceil(H / downscale) x ceil(W / downscale), divided by
    their sums, and the cheapest transport between the cells is solved as a linear programme. A cell counts
    as ``downscale`` pixels wide. The MIT code uses 32 and reports the distance in cells.

    Args:
        density: (M, H, W) non-negative, any scale.
        downscale: cell size; time grows steeply with the number of cells (about 300 cells: seconds).
    """
    maps = _check_maps(maps)
    density = _check_density(density, maps)
    rows = _area_matrix(maps.shape[1], downscale)
    columns = _area_matrix(maps.shape[2], downscale)
    result = _nan(maps)
    for m in range(len(maps)):
        s, g = (_density((rows @ stack[m].to("cpu", torch.float64) @ columns.T)[None])[0] for stack in (maps, density))
        result[m] = _transport(s, g) * downscale
    return result


# ---------------------------------------------------------------------- arguments


def merge_duplicates(fixations: Fixations) -> Fixations:
    """One fixation per fixated pixel of each map, as binary fixation maps hold them (the first one stays)."""
    _check_fixations(fixations, "fixations")
    row, column = fixations.pixels()
    place = torch.stack([fixations.map_index, row, column], 1)
    _, group = place.unique(dim=0, return_inverse=True)
    first = torch.full((int(group.max()) + 1 if len(group) else 0,), len(group), device=group.device)
    first = first.scatter_reduce(0, group, torch.arange(len(group), device=group.device), "amin")
    return fixations.select(first.sort().values)


def _check_fixations(fixations: Fixations, name: str) -> None:
    if not isinstance(fixations, Fixations):
        raise TypeError(
            f"{name} must be Fixations, got {type(fixations).__name__}; a density or a map is not a set of "
            "fixations and is never thresholded into one (Fixations.of(x, y, size) builds them)"
        )


def _check_maps(maps: Tensor, name: str = "maps") -> Tensor:
    """The maps, if they are finite, floating point and (M, H, W)."""
    if not isinstance(maps, Tensor):
        hint = "; it takes a map, these are fixations" if isinstance(maps, Fixations) else ""
        raise TypeError(f"{name} must be a tensor, got {type(maps).__name__}{hint}")
    if maps.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"{name} must be float32 or float64, got {maps.dtype}; half precision cannot hold a density and an "
            "integer or binary map is no density: convert before normalising, or pass Fixations"
        )
    if maps.ndim != 3 or maps[0:1].numel() == 0 and len(maps) > 0:
        raise ValueError(f"{name} must be (M, H, W) with H, W > 0, got {tuple(maps.shape)}")
    maps = maps.detach()
    # The sum is finite exactly where no pixel is NaN or infinite (or the sum overflows, so look again), and
    # costs a fraction of isfinite.
    for start, chunk in _chunks(maps):
        suspicious = (~torch.isfinite(chunk.sum((1, 2), dtype=torch.float64))).nonzero().flatten().tolist()
        for i in suspicious:
            bad = int((~torch.isfinite(chunk[i])).sum())
            if bad:
                raise ValueError(
                    f"{name}: map {start + i} has {bad} NaN or infinite pixels of {chunk[i].numel()}; "
                    "there is no score for it"
                )
    return maps


def _check_density(density: Tensor, maps: Tensor) -> Tensor:
    """The ground truth, if it is non-negative, not all zero and of the maps' shape."""
    density = _check_maps(density, "density")
    if density.shape != maps.shape:
        raise ValueError(
            f"density {tuple(density.shape)} and maps {tuple(maps.shape)} must have one shape; "
            "resize the map by a rule that is reported with the score"
        )
    if density.device != maps.device:
        raise ValueError(f"density is on {density.device}, maps are on {maps.device}")
    if len(density):
        low, high = (density.flatten(1).amin(1), density.flatten(1).amax(1))
        for m in ((low < 0) | (high == 0)).nonzero().flatten().tolist():
            what = "is all zero" if float(high[m]) == 0 and float(low[m]) == 0 else "has negative values"
            raise ValueError(f"the ground-truth density of map {m} {what}; there is nothing to compare with")
    return density


def _check_log_density(log_density: Tensor, name: str) -> Tensor:
    """Log densities, if each sums to 1 within the tolerance. -inf is a density of 0."""
    if not isinstance(log_density, Tensor) or log_density.dtype not in (torch.float32, torch.float64):
        kind = getattr(log_density, "dtype", type(log_density).__name__)
        raise TypeError(f"{name} must be a float32 or float64 tensor, got {kind}")
    if log_density.ndim != 3:
        raise ValueError(f"{name} must be (M, H, W), got {tuple(log_density.shape)}")
    log_density = log_density.detach()
    for start, chunk in _chunks(log_density):
        total = chunk.exp().sum((1, 2), dtype=torch.float64).log()
        wrong = (~(total.abs() < NORMALISATION_TOLERANCE)).nonzero().flatten().tolist()  # NaN is wrong too
        for i in wrong:
            bad = int((torch.isnan(chunk[i]) | torch.isposinf(chunk[i])).sum())
            if bad:
                raise ValueError(f"{name}: map {start + i} has {bad} NaN or infinite pixels of {chunk[i].numel()}")
            raise ValueError(
                f"{name}: map {start + i} is not the logarithm of a density: logsumexp is {float(total[i]):.4g}, "
                "must be 0; apply density.log_normalise to logits, or fit a density to a map"
            )
    return log_density


def _like(stack: Tensor, maps: Tensor, name: str) -> Tensor:
    """(M, H, W) or (1, H, W) on the maps' device."""
    if not isinstance(stack, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(stack).__name__}")
    if stack.ndim == 2:
        stack = stack[None]
    if stack.ndim != 3 or stack.shape[1:] != maps.shape[1:] or len(stack) not in (1, len(maps)):
        raise ValueError(f"{name} {tuple(stack.shape)} does not fit maps {tuple(maps.shape)}")
    return stack.to(maps.device)


def _by_map(maps: Tensor, fixations: Fixations, name: str) -> list[Tensor]:
    """For each map the flat pixel indices of its fixations, in their order."""
    _check_fixations(fixations, name)
    if fixations.num_maps != len(maps):
        raise ValueError(f"{name} pack {fixations.num_maps} maps (images x windows), but {len(maps)} maps are given")
    height, width = maps.shape[1:]
    other = (fixations.size != fixations.size.new_tensor([height, width])).any(1).nonzero().flatten().tolist()
    if other:
        raise ValueError(
            f"{name} of image {other[0]} are on a grid of {tuple(fixations.size[other[0]].tolist())}, the maps are "
            f"{(height, width)}; rescale the fixations (fixations.rescale) or resize the map"
        )
    row, column = fixations.pixels()
    order = torch.argsort(fixations.map_index, stable=True)
    flat = (row * width + column)[order].to(maps.device)
    return list(flat.split(fixations.counts.tolist()))


def _per_map(
    maps: Tensor, fixations: Fixations, function: Callable[..., Tensor], negatives: list[Tensor] | None = None
) -> Tensor:
    """function(flat map, fixated indices[, negative indices]) of each map that has them, else NaN."""
    result = _nan(maps)
    for m, at in enumerate(_by_map(maps, fixations, "fixations")):
        others = [] if negatives is None else [negatives[m]]
        if len(at) and all(len(other) for other in others):
            result[m] = function(maps[m].flatten(), at, *others)
    return result


def _nan(maps: Tensor) -> Tensor:
    return torch.full((len(maps),), torch.nan, dtype=torch.float64, device=maps.device)


def _chunks(maps: Tensor) -> Iterator[tuple[int, Tensor]]:
    """(first index, maps) of as many maps at a time as suit the device."""
    count = max(1, _CHUNK_PIXELS.get(maps.device.type, 1 << 19) // max(1, maps[0:1].numel()))
    for start in range(0, len(maps), count):
        yield start, maps[start : start + count]


# ---------------------------------------------------------------------- arithmetic


def _sort(values: Tensor) -> Tensor:
    # numpy's vectorised sort is ten times faster than torch's on a CPU (2 ms against 26 ms for 480 x 640).
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy()))
    return values.sort().values


def _at_or_above(ordered: Tensor, thresholds: Tensor) -> Tensor:
    """int64: how many of the ascending values reach each threshold."""
    return len(ordered) - torch.searchsorted(ordered, thresholds)


def _wins(positive: Tensor, ordered: Tensor) -> Tensor:
    """int64 scalar: over all pairs, 2 where the positive is above the negative, 1 where they are equal."""
    below = torch.searchsorted(ordered, positive)
    upto = torch.searchsorted(ordered, positive, right=True)
    return (below + upto).sum()


def _trapezoid(false: Tensor, true: Tensor) -> Tensor:
    """Area under the ROC points, ascending, with (0, 0) before and (1, 1) after."""
    zero, one = false.new_zeros(1), false.new_ones(1)
    return torch.trapezoid(torch.cat([zero, true, one]), torch.cat([zero, false, one]))


def _stepped_auc(maps: Tensor, fixations: Fixations, negatives: Fixations | None, step: float) -> Tensor:
    if not 0 < step <= 1:
        raise ValueError(f"step must lie in (0, 1], got {step}")
    maps = _check_maps(maps)
    others = None if negatives is None else _by_map(maps, negatives, "negatives")
    # k * step in binary floating point, as the colon operator of the original makes them: 153/255 misses
    # the seventh threshold, 6 * 0.1 > 0.6.
    grid = [k * step for k in range(math.floor(1 / step + 1e-9), -1, -1)]
    thresholds = torch.tensor(grid, dtype=torch.float64, device=maps.device)

    def one(pixels: Tensor, at: Tensor, *other: Tensor) -> Tensor:
        scaled = _min_max(pixels.to(torch.float64)[None, None])[0, 0]
        positive = _sort(scaled[at.unique()])
        negative = _sort(scaled[other[0].unique()] if other else scaled)
        true = _at_or_above(positive, thresholds).to(torch.float64) / len(positive)
        false = _at_or_above(negative, thresholds).to(torch.float64) / len(negative)
        return _trapezoid(false, true)

    return _per_map(maps, fixations, one, others)


def _is_constant(maps: Tensor) -> Tensor:
    """(m,) bool. The variance cannot tell: that of a constant 0.1 is not exactly 0."""
    flat = maps.flatten(1)
    return flat.amin(1) == flat.amax(1)


def _centre(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Map minus mean (m, H, W), mean (m,), and norm of the difference (m,), float64."""
    double = maps.to(torch.float64)
    mean = double.mean((1, 2))
    centred = double - mean[:, None, None]
    flat = centred.flatten(1)
    return centred, mean, torch.linalg.vector_norm(flat, dim=1)


def _density(maps: Tensor, eps: float = 0.0) -> Tensor:
    """Maps, shifted to minimum 0 if they have negative values, over their sums plus eps; all-zero: uniform."""
    low = maps.amin((1, 2), keepdim=True).clamp(max=0)
    shifted = maps - low if bool((low < 0).any()) else maps
    total = shifted.sum((1, 2), keepdim=True, dtype=torch.float64)
    empty = total == 0
    result = shifted * (1.0 / torch.where(empty, 1.0, total + eps)).to(maps.dtype)
    if bool(empty.any()):
        result = torch.where(empty, 1.0 / maps[0].numel(), result)
    return result


def _min_max(maps: Tensor) -> Tensor:
    """Maps scaled to [0, 1]; a constant map becomes 0."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / torch.where(high > low, high - low, 1.0)


def _mean_at(maps: Tensor, fixations: Fixations) -> Tensor:
    """Mean of each map over its fixations, float64; NaN without any."""
    result = _nan(maps)
    for m, at in enumerate(_by_map(maps, fixations, "fixations")):
        if len(at):
            result[m] = maps[m].flatten()[at].to(torch.float64).mean()
    return result


def _area_matrix(length: int, downscale: int) -> Tensor:
    """(cells, length) float64: the share of each pixel in the mean over each cell."""
    if downscale < 1:
        raise ValueError(f"downscale must be at least 1, got {downscale}")
    cells = math.ceil(length / downscale)
    edge = torch.arange(cells + 1, dtype=torch.float64) * length / cells
    pixel = torch.arange(length, dtype=torch.float64)
    overlap = torch.minimum(edge[1:, None], pixel + 1) - torch.maximum(edge[:-1, None], pixel)
    return overlap.clamp(min=0) * cells / length


def _transport(s: Tensor, g: Tensor) -> float:
    """Cost of the cheapest transport from s to g, (h, w) densities, with Euclidean distances in cells.

    Mass that both have in a cell stays there (the triangle inequality makes moving it useless), so only
    surplus cells send and only deficit cells receive.
    """
    difference = (s - g).numpy()
    source, sink = np.argwhere(difference > 0), np.argwhere(difference < 0)
    if len(source) == 0 or len(sink) == 0:
        return 0.0
    supply, demand = difference[difference > 0], -difference[difference < 0]
    total = 0.5 * (supply.sum() + demand.sum())
    supply, demand = supply / supply.sum(), demand / demand.sum()
    distance = np.sqrt(((source[:, None] - sink[None]) ** 2).sum(-1))
    rows, columns = distance.shape
    sends = scipy.sparse.kron(scipy.sparse.eye(rows), np.ones((1, columns)))
    receives = scipy.sparse.kron(np.ones((1, rows)), scipy.sparse.eye(columns))
    # The last receiver's constraint follows from the others; the masses are scaled to about 1 so that the
    # solver's absolute tolerances are small against them.
    scale = float(max(rows, columns))
    solution = scipy.optimize.linprog(
        distance.ravel(),
        A_eq=scipy.sparse.vstack([sends, receives.tocsr()[:-1]], format="csr"),
        b_eq=np.concatenate([supply, demand[:-1]]) * scale,
        method="highs",
    )
    if solution.status != 0:
        raise RuntimeError(f"the transport problem was not solved: {solution.message}")
    return float(solution.fun / scale * total)
