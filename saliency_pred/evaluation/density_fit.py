"""From maps of any scale to densities: what a model that only ranks pixels says about where fixations fall.

A map in [0, 1] has no likelihood. As in Kümmerer, Wallis, Bethge, "Information-theoretic model comparison unifies
saliency metrics" (PNAS 2015), its values are read through a blur and a monotone function, a centre bias is
multiplied in, and all of that is fitted by likelihood to images that are not scored:

    log p(x) = f(blurred map at x) + w log(centre bias at x) - log of the sum

with f piecewise linear and rising, w any number. For a given blur the likelihood is concave in f and w, so that the
fit has one optimum; the blur is the best of some candidates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from saliency_pred.density import CentreBias, gaussian_blur, log_normalise
from saliency_pred.fixations import Fixations

BLURS = (0.0, 0.005, 0.01, 0.02, 0.035, 0.05)
"""Candidates for the blur's sigma, as shares of the image's long side."""

KNOTS = 20
"""Of the monotone function: half at quantiles of all pixels, half at quantiles of fixated pixels."""

GRID = 112
"""Cells along the long side of the maps that are fitted to, at most."""


@dataclass(frozen=True, eq=False)
class DensityFit:
    """A fitted reading of a model's maps.

    Attributes:
        low, high: of the maps that were fitted to; they become 0 and 1.
        sigma: of the blur, as a share of the long side; 0: none.
        knots: (K,) float64, values of the blurred map, ascending.
        heights: (K,) float64, f there, in nats, ascending; constant beyond the ends.
        weight: of the centre bias.
        bias: of the images that were fitted to.
        images: how many.
        likelihood: mean log density of their fixations over the uniform density, bit per fixation.
    """

    low: float
    high: float
    sigma: float
    knots: Tensor
    heights: Tensor
    weight: float
    bias: CentreBias
    images: int
    likelihood: float

    @classmethod
    def fit(
        cls, maps: Sequence[Tensor], fixations: Sequence[Fixations], bias: CentreBias, blurs: Sequence[float] = BLURS
    ) -> DensityFit:
        """Fit to images that are not scored, every fixation counting once.

        Args:
            maps: (T, h, w) of each image, any real numbers.
            fixations: of each image, sorted into T windows, none outside.
            bias: the centre bias.
            blurs: candidates, as shares of the long side.

        Raises:
            ValueError: numbers of maps and fixations differ, or there is not one fixation.
        """
        if len(maps) != len(fixations) or not sum(map(len, fixations)):
            raise ValueError(f"{len(maps)} maps and {sum(map(len, fixations))} fixations to fit a density to")
        low = min(float(m.amin()) for m in maps)
        high = max(float(m.amax()) for m in maps)
        groups = _grouped(maps, fixations, bias, low, high)
        best: tuple[float, float, Tensor, Tensor, float] | None = None
        for sigma in blurs:
            found = _best_function([g.blurred(sigma) for g in groups])
            if best is None or found[0] > best[0]:
                best = (found[0], sigma, *found[1:])
        assert best is not None
        likelihood, sigma, knots, heights, weight = best
        return cls(low, high, float(sigma), knots, heights, weight, bias, len(maps), likelihood / math.log(2))

    def log_density(self, values: Tensor, size: tuple[int, int]) -> Tensor:
        """(T, H, W) float64 log density of (T, h, w) maps on an image of (height, width)."""
        shown = _scaled(values.double(), self.low, self.high)
        if tuple(shown.shape[-2:]) != tuple(size):
            shown = F.interpolate(shown[None], size=size, mode="bilinear", align_corners=False)[0]
        if self.sigma:
            shown = gaussian_blur(shown, self.sigma * max(size), "reflect")
        bias = self.bias.log_density(size)
        read = _interpolated(shown, self.knots, self.heights)
        return log_normalise((read + self.weight * bias[[min(t, len(bias) - 1) for t in range(len(read))]])[None])[0]

    def description(self) -> dict[str, Any]:
        """For the record."""
        return {
            "images": self.images,
            "log_likelihood": self.likelihood,
            "scale": [self.low, self.high],
            "blur_sigma": self.sigma,
            "knots": self.knots.tolist(),
            "heights": self.heights.tolist(),
            "centre_bias_weight": self.weight,
        }


@dataclass(frozen=True)
class _Group:
    """Maps of one shape: (N, h, w) values, (N, h, w) counts of fixations, (N, h, w) log centre bias."""

    values: Tensor
    counts: Tensor
    bias: Tensor

    def blurred(self, sigma: float) -> _Group:
        if not sigma:
            return self
        side = max(self.values.shape[-2:])
        return _Group(gaussian_blur(self.values, sigma * side, "reflect"), self.counts, self.bias)


def _grouped(
    maps: Sequence[Tensor], fixations: Sequence[Fixations], bias: CentreBias, low: float, high: float
) -> list[_Group]:
    """On grids of the images' aspect, so that blur and centre bias mean the same on all of them."""
    members: dict[tuple[int, int], list[tuple[Tensor, Tensor, Tensor]]] = {}
    for values, pack in zip(maps, fixations, strict=True):
        height, width = (int(v) for v in pack.size[0])
        zoom = min(1.0, GRID / max(height, width))
        grid = (max(1, round(zoom * height)), max(1, round(zoom * width)))
        small = F.interpolate(_scaled(values.double(), low, high)[None], size=grid, mode="bilinear", antialias=True)[0]
        counts = pack.rescale(torch.tensor([grid])).rasterise()[0].double()
        prior = bias.log_density(grid)
        for t in range(len(small)):
            members.setdefault(grid, []).append((small[t], counts[t], prior[min(t, len(prior) - 1)]))
    return [_Group(*(torch.stack(parts) for parts in zip(*mine, strict=True))) for mine in members.values()]


def _best_function(groups: Sequence[_Group]) -> tuple[float, Tensor, Tensor, float]:
    """Log likelihood over the uniform density (nats per fixation), knots, heights, weight of the centre bias."""
    pixels = torch.cat([g.values.flatten() for g in groups])
    fixated = torch.cat([g.values[g.counts > 0] for g in groups])
    shares = torch.linspace(0, 1, KNOTS // 2, dtype=torch.float64)
    knots = torch.cat([_quantiles(pixels, shares), _quantiles(fixated, shares)]).unique()
    total = sum(float(g.counts.sum()) for g in groups)
    rises = torch.full((len(knots) - 1,), 0.3, dtype=torch.float64).expm1().log().requires_grad_()
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [rises, weight], max_iter=100, tolerance_change=1e-6, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
    )  # nats per fixation: far below what data can tell
    places = [_between(g.values, knots) for g in groups]

    def heights() -> Tensor:
        return torch.cat([rises.new_zeros(1), F.softplus(rises).cumsum(0)])

    def likelihood() -> Tensor:
        shown = heights()
        value = shown.new_zeros(())
        for g, (upper, share) in zip(groups, places, strict=True):
            logits = torch.lerp(shown[upper - 1], shown[upper], share) + weight * g.bias
            uniform = math.log(logits[0].numel())
            value = value + ((log_normalise(logits[None])[0] + uniform) * g.counts).sum()
        return value / total

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = -likelihood()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        return float(likelihood()), knots, heights(), float(weight)


def _scaled(values: Tensor, low: float, high: float) -> Tensor:
    return ((values - low) / (high - low)).clamp(0, 1) if high > low else torch.zeros_like(values)


def _quantiles(values: Tensor, shares: Tensor) -> Tensor:
    """Of any number of values (``torch.quantile`` takes 16 million at most)."""
    ordered = values.sort().values
    return ordered[(shares * (len(ordered) - 1)).round().long()]


def _between(values: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
    """Which knot is above each value, and how much of the way to it from the knot below is gone."""
    if len(knots) == 1:
        return torch.zeros_like(values, dtype=torch.int64), torch.zeros_like(values)
    shown = values.clamp(knots[0], knots[-1])
    upper = torch.searchsorted(knots, shown).clamp(1, len(knots) - 1)
    return upper, (shown - knots[upper - 1]) / (knots[upper] - knots[upper - 1])


def _interpolated(values: Tensor, knots: Tensor, heights: Tensor) -> Tensor:
    """Piecewise linear through (knots, heights), constant beyond them."""
    upper, share = _between(values, knots)
    return torch.lerp(heights[upper - 1], heights[upper], share)
