"""A prediction, and the views of it that people want."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from saliency_pred.density import equalised_map, saliency_map
from saliency_pred.inference import overlay


@dataclass(frozen=True, eq=False)
class Prediction:
    """Where people look in one image.

    Attributes:
        log_density: float32 (T, H, W), at the image's own size; natural logarithm, exp sums to 1.
        image: uint8 (H, W, 3) RGB that it is for.
    """

    log_density: Tensor
    image: np.ndarray

    @property
    def density(self) -> np.ndarray:
        """float32 (H, W), or (T, H, W) for several time windows; each sums to 1."""
        density = torch.exp(self.log_density.double())
        density = density / density.sum((-2, -1), keepdim=True)
        return _squeezed(density.float())

    @property
    def map(self) -> np.ndarray:
        """float32 in [0, 1], the density divided by its maximum; shaped as :attr:`density`."""
        return _squeezed(saliency_map(self.log_density))

    @property
    def equalised(self) -> np.ndarray:
        """float32 in [0, 1] with a uniform histogram; shaped as :attr:`density`."""
        return _squeezed(equalised_map(self.log_density))

    def heatmap(self, window: int = 0) -> np.ndarray:
        """uint8 (H, W, 3) RGB colours of the map of one time window."""
        return overlay.heat_map(saliency_map(self.log_density[window]).numpy())

    def overlay(self, window: int = 0) -> np.ndarray:
        """uint8 (H, W, 3) RGB: the map of one time window laid over the image."""
        return overlay.overlay(self.image, saliency_map(self.log_density[window]).numpy())


def _squeezed(maps: Tensor) -> np.ndarray:
    return (maps[0] if len(maps) == 1 else maps).numpy()
