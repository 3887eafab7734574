"""The map that is best for each metric, derived from one log density.

A density says what a model expects; no single map is best under all metrics, so a density that is scored as it is
loses to a worse model whose maps happen to suit the metric. Kümmerer, Wallis, Bethge, "Saliency benchmarking made
easy: separating models, maps and metrics" (ECCV 2018) derive the best map for each; the MIT/Tübingen benchmark
scores probabilistic models that way.

    auc, nss and variants   the density
    sauc                    the density over that of the other images' fixations, the metric's negatives (its logarithm)
    cc, kld, emd            the density blurred like the human density: the human density that is expected
    sim                     the map with the largest expected similarity to human densities of fixations drawn
                            from the density, see :func:`similarity_map`
    ig, log_likelihood      the log density
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from saliency_pred.density import blur_matrix, gaussian_blur, normalise
from saliency_pred.evaluation.other_images import OtherImages
from saliency_pred.metrics.presets import Kind

BY_METRIC = {
    "ig": "log density",
    "log_likelihood": "log density",
    "sauc": "density over that of the other images",
    "sauc_mit": "density over that of the other images",
    "cc": "blurred density",
    "kld": "blurred density",
    "emd": "blurred density",
    "sim": "expected similarity",
    "sim_mit": "expected similarity",
}
"""Metric → its map; all others are scored on the density."""


@dataclass(frozen=True)
class OptimalMaps:
    """Derives the maps.

    Attributes:
        fixations: how many an image has, in the densities that the similarity map is made for.
        others: of the images that are scored; None where shuffled AUC is not.
        samples: how many human densities are drawn for the similarity map.
        seed: of the draw.
    """

    fixations: int
    others: OtherImages | None = None
    samples: int = 200
    seed: int = 0

    def description(self) -> dict[str, Any]:
        """For the record."""
        return {
            "by_metric": BY_METRIC,
            "else": "density",
            "similarity_fixations": self.fixations,
            "similarity_samples": self.samples,
            "seed": self.seed,
        }

    def of(
        self, log_density: Tensor, metrics: Sequence[str], sigma: float, image_id: str, window: int = 0
    ) -> Iterator[tuple[tuple[str, ...], Tensor, Kind]]:
        """(metrics, their map (H, W), what its values are), for all of ``metrics``.

        Args:
            log_density: (H, W) float64.
            sigma: of the Gaussian that human densities are made with, in pixels; NaN where it is unknown (of maps
                that a data set ships): the density itself is then scored.
            image_id, window: which.
        """
        groups: dict[str, list[str]] = {}
        for metric in metrics:
            name = BY_METRIC.get(metric, "density")
            if name in ("blurred density", "expected similarity") and math.isnan(sigma):
                name = "density"
            if name == "density over that of the other images" and self.others is None:
                name = "density"
            groups.setdefault(name, []).append(metric)
        size = (int(log_density.shape[0]), int(log_density.shape[1]))
        for name, mine in groups.items():
            if name == "log density":
                yield tuple(mine), log_density, "log_density"
            elif name == "blurred density":
                yield tuple(mine), gaussian_blur(log_density.exp(), sigma), "map"
            elif name == "expected similarity":
                yield tuple(mine), similarity_map(log_density, sigma, self.fixations, self.samples, self.seed), "map"
            elif name == "density over that of the other images":
                assert self.others is not None
                nonfixated = self.others.log_density(image_id, size).to(log_density)
                ratio = log_density - nonfixated[min(window, len(nonfixated) - 1)]
                lowest = ratio[ratio.isfinite()].amin()
                yield tuple(mine), ratio.clamp(min=lowest - 1), "map"  # where the density is 0, less than anywhere
            else:
                yield tuple(mine), log_density.exp(), "map"


def similarity_map(log_density: Tensor, sigma: float, fixations: int, samples: int = 200, seed: int = 0) -> Tensor:
    """(H, W) density with the largest expected similarity to human densities that fixations drawn from it make.

    The expectation of sum(min(s, g)) over drawn g grows with s at a pixel as long as more than a share of the g
    exceed s there; that share is the same for all pixels where the sum of s is fixed. The best s for the drawn g is
    therefore, at each pixel, the same quantile of g, and the quantile is the one that makes s sum to 1: no
    gradient descent is needed. Human densities are smooth, so they are drawn on a grid of a third of sigma.

    Args:
        log_density: (H, W).
        sigma: of the Gaussian that human densities are made with, in pixels.
        fixations: how many a human density is made of.
        samples: how many are drawn.
        seed: of the draw.
    """
    drawn = sampled_densities(log_density, sigma, fixations, samples, seed)
    ordered = drawn.flatten(1).sort(0).values  # (samples, cells): the quantiles of every cell
    ordered = torch.cat([torch.zeros_like(ordered[:1]), ordered])
    masses = ordered.sum(1)  # ascending from 0 to at least 1
    upper = int((masses >= 1).nonzero()[0]) if bool((masses >= 1).any()) else len(masses) - 1
    low, high = masses[upper - 1], masses[upper]
    best = torch.lerp(ordered[upper - 1], ordered[upper], ((1 - low) / (high - low)).clamp(0, 1))
    grid = best.reshape(1, 1, *drawn.shape[1:])
    full = F.interpolate(grid, size=tuple(log_density.shape), mode="bilinear", align_corners=False)[0, 0]
    return normalise(full)


def sampled_densities(log_density: Tensor, sigma: float, fixations: int, samples: int, seed: int) -> Tensor:
    """(samples, h, w) float64 human densities of fixations drawn from a density, on a grid of sigma / 3."""
    height, width = log_density.shape
    coarse = [max(1, round(side / max(1.0, sigma / 3))) for side in (height, width)]
    generator = torch.Generator().manual_seed(seed)
    edges = log_density.double().exp().flatten().cumsum(0).cpu()
    draws = torch.rand(samples * fixations, generator=generator, dtype=torch.float64) * edges[-1]
    pixel = torch.searchsorted(edges, draws, right=True).clamp(max=len(edges) - 1)
    row = ((pixel // width + 0.5) * coarse[0] / height).long()
    column = ((pixel % width + 0.5) * coarse[1] / width).long()
    which = torch.arange(samples).repeat_interleave(fixations)
    cells = coarse[0] * coarse[1]
    flat = which * cells + row * coarse[1] + column
    counts = torch.bincount(flat, minlength=samples * cells).double().reshape(samples, *coarse)
    rows, columns = (
        blur_matrix(n, sigma * n / side, dtype=torch.float64) for n, side in zip(coarse, (height, width), strict=True)
    )
    return normalise(rows @ counts @ columns.mT).to(log_density.device)
