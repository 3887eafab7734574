"""A prediction, and the views of it that people want."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saliency_pred.density import CentreBias, equalised_map, saliency_map
from saliency_pred.inference import overlay
from saliency_pred.inference.regions import Region, RegionScore, read_regions, regions_from, score_region


@dataclass(frozen=True, eq=False)
class Prediction:
    """Where people look in one image.

    Attributes:
        log_density: float32 (T, H, W), at the image's own size; natural logarithm, exp sums to 1.
        image: uint8 (H, W, 3) RGB that it is for.
        windows: (start, end) of each of the T time windows, seconds after the image appears; None: not known, as
            for T = 1, where the density is of the whole viewing.
        centre_bias: of the images that the model was trained on; None: not known.
    """

    log_density: Tensor
    image: np.ndarray
    windows: tuple[tuple[float, float], ...] | None = None
    centre_bias: CentreBias | None = None

    @property
    def density(self) -> np.ndarray:
        """float32 (H, W), or (T, H, W) for several time windows; each sums to 1."""
        return _squeezed(self._densities().float())

    @property
    def map(self) -> np.ndarray:
        """float32 in [0, 1], the density divided by its maximum; shaped as :attr:`density`."""
        return _squeezed(saliency_map(self.log_density))

    @property
    def equalised(self) -> np.ndarray:
        """float32 in [0, 1] with a uniform histogram; shaped as :attr:`density`."""
        return _squeezed(equalised_map(self.log_density))

    @property
    def pooled(self) -> Prediction:
        """Over the whole viewing: the mean of the time windows, each weighted by how long it lasts."""
        if len(self.log_density) == 1:
            return self
        spans = [end - start for start, end in self.windows] if self.windows else [1.0] * len(self.log_density)
        weights = torch.tensor(spans, dtype=self.log_density.dtype, device=self.log_density.device)
        mixed = torch.logsumexp(self.log_density + (weights / weights.sum()).log()[:, None, None], 0, keepdim=True)
        bias = self.centre_bias
        if bias is not None and len(bias.density) == len(spans):
            shares = (weights / weights.sum()).to(bias.density)
            bias = CentreBias((bias.density * shares[:, None, None]).sum(0, keepdim=True))
        return Prediction(mixed, self.image, None, bias)

    def window(self, number: int) -> Prediction:
        """Of one time window alone, counted from 0."""
        span = None if self.windows is None else (self.windows[number],)
        bias = self.centre_bias
        if bias is not None and len(bias.density) > 1:
            bias = CentreBias(bias.density[number : number + 1])
        return Prediction(self.log_density[number : number + 1], self.image, span, bias)

    @property
    def entropy(self) -> float:
        """Bit, over the whole viewing: 0 if one pixel gets all, at most :attr:`max_entropy`; low is focused."""
        density = self.pooled._densities()[0]
        return max(0.0, float(torch.special.entr(density).sum()) / math.log(2))

    @property
    def max_entropy(self) -> float:
        """Bit: the entropy of a uniform density on an image of this size."""
        return math.log2(self.log_density.shape[-1] * self.log_density.shape[-2])

    @property
    def centre_bias_distance(self) -> float | None:
        """Bit, over the whole viewing: the Kullback-Leibler divergence from the centre bias to the density.

        What the image itself contributes: 0 if it changes nothing about where people look anyway. None if the
        model's centre bias is not known.
        """
        pooled = self.pooled
        if pooled.centre_bias is None:
            return None
        density = pooled._densities()[0]
        height, width = density.shape
        prior = pooled.centre_bias.log_density((height, width))[0].to(density)
        return max(0.0, float((torch.special.xlogy(density, density) - density * prior).sum()) / math.log(2))

    @property
    def peak(self) -> tuple[float, float]:
        """(x, y) of the centre of the pixel with the highest density over the whole viewing, pixels."""
        row, column = divmod(int(self.pooled.log_density.argmax()), self.log_density.shape[-1])
        return column + 0.5, row + 0.5

    def regions(self, regions: Mapping[str, Any] | Sequence[Region] | str | Path) -> dict[str, RegionScore]:
        """How much of the looking falls onto each region.

        Args:
            regions: name → [x, y, width, height] in pixels, a list of :class:`Region`, or a ``.json`` or ``.csv``
                file of them, see :func:`saliency_pred.inference.regions.read_regions`.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: no such boxes, or one that lies outside the image.
        """
        wanted = read_regions(regions) if isinstance(regions, str | Path) else regions_from(regions)
        by_window = self._densities().numpy() if self.windows is not None else None
        whole = self.pooled._densities()[0].numpy()
        return {region.name: score_region(region, whole, by_window) for region in wanted}

    def heatmap(self, window: int | None = None) -> np.ndarray:
        """uint8 (H, W, 3) RGB colours of the map of one time window; None: of the whole viewing."""
        return overlay.heat_map(self._shown(window))

    def overlay(self, window: int | None = None) -> np.ndarray:
        """uint8 (H, W, 3) RGB: the map of one time window laid over the image; None: of the whole viewing."""
        return overlay.overlay(self.image, self._shown(window))

    def _shown(self, window: int | None) -> np.ndarray:
        log_density = self.pooled.log_density[0] if window is None else self.log_density[window]
        return saliency_map(log_density).numpy()

    def _densities(self) -> Tensor:
        """float64 (T, H, W)."""
        density = torch.exp(self.log_density.double())
        return density / density.sum((-2, -1), keepdim=True)


def _squeezed(maps: Tensor) -> np.ndarray:
    return (maps[0] if len(maps) == 1 else maps).numpy()
