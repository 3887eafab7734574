"""Densities: what fixations become when they are blurred, pooled or averaged over viewers.

A density sums to 1 over the pixels of its map; a log density is its natural logarithm. Maps are
(..., H, W) tensors, float32 or float64, on any device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from saliency_pred.fixations import Fixations

Border = Literal["constant", "nearest", "reflect", "mirror"]
"""What lies outside the map, in SciPy's words: zeros (0 0 | a b c), the edge pixel (a a | a b c), the
mirror image with the edge pixel (b a | a b c), the mirror image without it (c b | a b c)."""


# ---------------------------------------------------------------------- blur


def blur_matrix(
    length: int,
    sigma: float | Tensor,
    border: Border = "constant",
    truncate: float = 4.0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """(length, length) matrix B with B @ column = the Gaussian-blurred column.

    A blur of an image is ``B_h @ image @ B_w.T``: exact for every border rule even where the kernel is
    longer than the map, differentiable in a tensor ``sigma``, and two matrix products on any device.

    Args:
        length: pixels along the axis.
        sigma: standard deviation in pixels, > 0; a scalar tensor is differentiated through.
        border: see :data:`Border`.
        truncate: the kernel ends at round(truncate * sigma) pixels and is normalised to sum 1
            (``scipy.ndimage.gaussian_filter1d`` does the same).
    """
    width = float(sigma.detach()) if isinstance(sigma, Tensor) else float(sigma)
    if not (width > 0 and math.isfinite(width)):
        raise ValueError(f"sigma must be a positive number of pixels, got {width}")
    radius = int(truncate * width + 0.5)
    offset = torch.arange(-radius, radius + 1, device=device)
    kernel = torch.exp(-0.5 * (offset.to(dtype) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    row = torch.arange(length, device=device)[:, None].expand(-1, len(offset))
    source = row + offset
    values = kernel.to(dtype).expand(length, -1)
    if border == "constant":
        inside = (source >= 0) & (source < length)
        source, row, values = source[inside], row[inside], values[inside]
    elif border == "nearest":
        source = source.clamp(0, length - 1)
    elif border == "reflect":
        source = source.remainder(2 * length)
        source = torch.minimum(source, 2 * length - 1 - source)
    elif border == "mirror":
        period = max(2 * length - 2, 1)
        source = source.remainder(period)
        source = torch.minimum(source, period - source)
    else:
        raise ValueError(f"border={border!r} is none of 'constant', 'nearest', 'reflect', 'mirror'")
    matrix = torch.zeros(length, length, dtype=dtype, device=device)
    return matrix.index_put((row.reshape(-1), source.reshape(-1)), values.reshape(-1), accumulate=True)


def gaussian_blur(
    maps: Tensor,
    sigma: float | Tensor,
    border: Border = "constant",
    *,
    truncate: float = 4.0,
    pixel_per_dva: float | None = None,
) -> Tensor:
    """Gaussian blur of (..., H, W) maps, as ``scipy.ndimage.gaussian_filter`` defines it.

    Args:
        maps: floating point, any leading shape.
        sigma: standard deviation in pixels, or in degrees of visual angle if ``pixel_per_dva`` is given.
        border: see :data:`Border`; ``constant`` loses mass at the border, ``reflect`` keeps the sum.
        truncate: where the kernel ends, in sigmas.
        pixel_per_dva: pixels per degree of visual angle.
    """
    if not maps.is_floating_point():
        raise TypeError(f"maps to blur must be floating point, got {maps.dtype}")
    if pixel_per_dva is not None:
        if not pixel_per_dva > 0:
            raise ValueError(f"pixel_per_dva must be positive, got {pixel_per_dva}")
        sigma = sigma * pixel_per_dva
    height, width = maps.shape[-2:]
    rows = blur_matrix(height, sigma, border, truncate, maps.dtype, maps.device)
    columns = rows if width == height else blur_matrix(width, sigma, border, truncate, maps.dtype, maps.device)
    return rows @ maps @ columns.mT


# ---------------------------------------------------------------------- views


def normalise(maps: Tensor) -> Tensor:
    """(..., H, W) non-negative maps divided by their sums; an all-zero map becomes uniform.

    Raises:
        ValueError: a value is negative or NaN.
    """
    if not bool((maps >= 0).all()):
        raise ValueError("a map with negative or NaN values is no density; shift it first or take its exponential")
    total = maps.sum((-2, -1), keepdim=True)
    uniform = torch.full_like(maps, 1.0 / (maps.shape[-2] * maps.shape[-1]))
    return torch.where(total > 0, maps / total.clamp(min=torch.finfo(maps.dtype).tiny), uniform)


def log_normalise(logits: Tensor, valid: Tensor | None = None) -> Tensor:
    """Log densities of (B, T, H, W) logits: log-softmax over H * W.

    Args:
        logits: any real numbers; half precision is raised to float32 first, since bfloat16 errs by
            tenths of a nat here.
        valid: bool (B, H, W); elsewhere the density is 0 and its logarithm -inf.
    """
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    if valid is not None:
        logits = logits.masked_fill(~valid[:, None], -torch.inf)
    flat = logits.flatten(-2)
    flat = flat - flat.amax(-1, keepdim=True).detach()
    # Summed in float64: log_softmax in float32 is off by thousandths on images of some megapixels.
    return (flat - flat.exp().sum(-1, keepdim=True, dtype=torch.float64).log().to(flat.dtype)).reshape(logits.shape)


def resize_log_density(log_density: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, T, H, W) log densities on another grid: bilinear in the logarithm, then normalised again."""
    if tuple(log_density.shape[-2:]) != tuple(size):
        log_density = F.interpolate(log_density, size=size, mode="bilinear", align_corners=False)
    return log_normalise(log_density)


def saliency_map(log_density: Tensor) -> Tensor:
    """(..., H, W) maps in [0, 1]: the density divided by its maximum."""
    return torch.exp(log_density - log_density.amax((-2, -1), keepdim=True))


def equalised_map(log_density: Tensor) -> Tensor:
    """(..., H, W) maps in [0, 1] with a uniform histogram: rank of each pixel, ties share their mean rank."""
    flat = log_density.flatten(-2)
    ordered = flat.sort(dim=-1).values
    below = torch.searchsorted(ordered, flat, side="left")
    upto = torch.searchsorted(ordered, flat, side="right")
    rank = 0.5 * (below + upto - 1).to(log_density.dtype)
    return (rank / max(flat.shape[-1] - 1, 1)).reshape(log_density.shape)


# ---------------------------------------------------------------------- from fixations


def fixation_density(
    fixations: Fixations,
    sigma: float,
    border: Border = "constant",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """(B, T, H, W) densities: fixations counted per pixel, blurred, divided by the sum.

    Equal to ``normalise(gaussian_blur(fixations.rasterise(), sigma, border))`` at a cost proportional to
    the number of fixations: a blurred pixel is the outer product of two columns of the blur matrices.

    Args:
        fixations: of images of one size, none outside.
        sigma: in pixels of these images.

    Returns:
        maps that sum to 1; all zero where a map has no fixations (there is no density to state).
    """
    if not isinstance(fixations, Fixations):
        raise TypeError(f"fixation_density needs Fixations, got {type(fixations).__name__}")
    if fixations.num_samples == 0:
        raise ValueError("no images")
    if bool((fixations.size != fixations.size[0]).any()):
        raise ValueError("images of different sizes cannot be stacked; take them one by one (of_sample)")
    height, width = (int(v) for v in fixations.size[0])
    row, column = fixations.pixels()
    rows = blur_matrix(height, sigma, border, dtype=dtype, device=fixations.device)
    columns = blur_matrix(width, sigma, border, dtype=dtype, device=fixations.device)
    maps = torch.zeros(fixations.num_maps, height, width, dtype=dtype, device=fixations.device)
    order = torch.argsort(fixations.map_index, stable=True)
    ends = fixations.counts.cumsum(0).tolist()
    for m, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if end > start:
            mine = order[start:end]
            one = rows[:, row[mine]] @ columns[:, column[mine]].mT
            maps[m] = one / one.sum()
    return maps.reshape(fixations.num_samples, fixations.num_windows, height, width)


@dataclass(frozen=True, eq=False)
class CentreBias:
    """Where people look in any image: a kernel density over relative positions.

    Attributes:
        density: (T, G, G) float64 on the unit square, each summing to 1.
    """

    density: Tensor

    @classmethod
    def fit(
        cls,
        fixations: Sequence[Fixations],
        grid: int = 256,
        sigma: float = 4.0 / 256,
        uniform: float = 0.001,
    ) -> CentreBias:
        """Pool the fixations of many images, every image with equal weight.

        Args:
            fixations: packs of one or more images, sorted into the same number of windows.
            grid: cells along each side of the unit square.
            sigma: of the Gaussian kernel, as a share of the image's sides (reflected at the borders).
            uniform: weight of a uniform density mixed in, so that nothing is impossible.

        Raises:
            ValueError: there is not one fixation.
        """
        windows = {f.num_windows for f in fixations}
        if len(windows) != 1:
            raise ValueError(f"a centre bias needs packs with one number of time windows, got {sorted(windows)}")
        num_windows = windows.pop()
        counts = torch.zeros(num_windows, grid * grid, dtype=torch.float64)
        for pack in fixations:
            inside = pack.select(pack.inside).to("cpu")
            if len(inside) == 0:
                continue
            height, width = inside.size[inside.sample].to(torch.float64).unbind(1)
            row = (inside.y / height * grid).long().clamp(max=grid - 1)
            column = (inside.x / width * grid).long().clamp(max=grid - 1)
            weight = 1.0 / inside.counts[inside.map_index].to(torch.float64)
            cell = inside.window * grid * grid + row * grid + column
            counts += torch.bincount(cell, weight, minlength=num_windows * grid * grid).reshape(counts.shape)
        if not bool((counts.sum(1) > 0).all()):
            raise ValueError("a centre bias needs at least one fixation in every time window")
        maps = gaussian_blur(counts.reshape(num_windows, grid, grid), sigma * grid, "reflect")
        return cls((1 - uniform) * normalise(maps) + uniform / grid**2)

    def log_density(self, size: tuple[int, int]) -> Tensor:
        """(T, H, W) float64 log density on an image of (height, width)."""
        return log_normalise(_resample(self.density[None], size).log())[0]


def _resample(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resampling of (B, T, H, W) densities, low-passed where the new grid is coarser."""
    return F.interpolate(maps, size=size, mode="bilinear", antialias=True, align_corners=False)


# ---------------------------------------------------------------------- gold standard


@dataclass(frozen=True)
class GoldStandard:
    """How well the other viewers predict one viewer: the ceiling that models are measured against.

    The density for a viewer is a mixture of a Gaussian kernel density of the other viewers' fixations on
    the same image, the centre bias, and a uniform density.

    Attributes:
        sigma: of the kernel, as a share of the image's long side.
        weights: of kernel density, centre bias and uniform density; they sum to 1.
    """

    sigma: float
    weights: tuple[float, float, float]

    @classmethod
    def fit(
        cls,
        fixations: Sequence[Fixations],
        centre_bias: CentreBias,
        sigmas: Sequence[float] = (0.01, 0.014, 0.018, 0.022, 0.026, 0.03, 0.035, 0.04, 0.05, 0.07),
    ) -> GoldStandard:
        """Choose bandwidth and weights by leave-one-viewer-out likelihood, every fixation counting once.

        Args:
            fixations: single-window packs with known viewers, at least two on some image.
            centre_bias: of the same kind of images.
            sigmas: candidates, as shares of the long side.
        """
        best: tuple[float, GoldStandard] | None = None
        singles = [pack.of_sample(i) for pack in fixations for i in range(pack.num_samples)]
        singles = [f for f in singles if len(f.viewers()) > 1]
        if not singles:
            raise ValueError("a gold standard needs images with the fixations of at least two known viewers")
        priors = [_prior_at_fixations(f, centre_bias) for f in singles]
        prior = torch.cat(priors)  # (n, 2): centre bias and uniform
        for sigma in sigmas:
            others = torch.cat([_others_at_fixations(f, sigma) for f in singles])
            values = torch.cat([others[:, None], prior], 1)
            weights = torch.full((3,), 1 / 3, dtype=torch.float64)
            for _ in range(100):  # expectation maximisation of the three weights: monotone, converges fast
                share = values * weights
                weights = (share / share.sum(1, keepdim=True)).mean(0)
            likelihood = float((values @ weights).log().mean())
            if best is None or likelihood > best[0]:
                kde, bias, uniform = weights.tolist()
                best = likelihood, cls(float(sigma), (kde, bias, uniform))
        assert best is not None
        return best[1]

    def log_density_at_fixations(self, fixations: Fixations, centre_bias: CentreBias) -> Tensor:
        """(n,) float64 log densities that the other viewers give each fixation of one image, one window.

        What :meth:`log_density` with ``leave_out`` has there, without making a map for each viewer.
        """
        if fixations.num_samples != 1 or fixations.num_windows != 1:
            raise ValueError(
                f"one image and one window at a time, got {fixations.num_samples} and {fixations.num_windows}"
            )
        others = _others_at_fixations(fixations, self.sigma)
        values = torch.cat([others[:, None], _prior_at_fixations(fixations, centre_bias)], 1)
        return (values @ torch.tensor(self.weights, dtype=torch.float64)).log()

    def log_density(self, fixations: Fixations, centre_bias: CentreBias, leave_out: int | None = None) -> Tensor:
        """(T, H, W) float64 log density of one image.

        Args:
            fixations: of that image.
            leave_out: the viewer whose fixations are not used; None: everybody's are.
        """
        if fixations.num_samples != 1:
            raise ValueError(f"one image at a time, got {fixations.num_samples}")
        height, width = (int(v) for v in fixations.size[0])
        kept = fixations if leave_out is None else fixations.select(fixations.viewer != leave_out)
        sigma = self.sigma * max(height, width)
        bias = centre_bias.log_density((height, width)).exp()
        weight_kde, weight_bias, weight_uniform = self.weights
        maps = []
        for window in range(fixations.num_windows):
            mine = kept.select(kept.window == window)
            other = bias[min(window, len(bias) - 1)] * weight_bias + weight_uniform / (height * width)
            if len(mine):
                rows = _axis_kernels(mine.y, height, sigma)
                columns = _axis_kernels(mine.x, width, sigma)
                maps.append(weight_kde * (rows.mT @ columns) / len(mine) + other)
            else:
                maps.append(other)
        return log_normalise(torch.stack(maps)[None].log())[0]


def _axis_kernels(position: Tensor, length: int, sigma: float) -> Tensor:
    """(n, length): for each position a Gaussian at the pixel centres, normalised to sum 1 on the axis."""
    centres = torch.arange(length, dtype=torch.float64, device=position.device) + 0.5
    return torch.softmax(-0.5 * ((centres - position[:, None]) / sigma) ** 2, dim=1)


def _others_at_fixations(fixations: Fixations, sigma: float) -> Tensor:
    """(n,) kernel density of the other viewers' fixations at each fixation's pixel."""
    height, width = (int(v) for v in fixations.size[0])
    row, column = fixations.pixels()
    scale = sigma * max(height, width)
    kernel = (
        _axis_kernels(fixations.y, height, scale)[:, row] * _axis_kernels(fixations.x, width, scale)[:, column]
    )  # (source, target)
    other = fixations.viewer[:, None] != fixations.viewer[None, :]
    count = other.sum(0)
    return torch.where(count > 0, (kernel * other).sum(0) / count.clamp(min=1), 0.0)


def _prior_at_fixations(fixations: Fixations, centre_bias: CentreBias) -> Tensor:
    """(n, 2) densities of the centre bias and of the uniform density at each fixation's pixel."""
    height, width = (int(v) for v in fixations.size[0])
    row, column = fixations.pixels()
    bias = centre_bias.log_density((height, width)).exp()
    window = fixations.window.clamp(max=len(bias) - 1)
    uniform = torch.full((len(fixations),), 1.0 / (height * width), dtype=torch.float64)
    return torch.stack([bias[window, row, column], uniform], 1)
