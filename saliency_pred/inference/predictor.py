"""From a checkpoint to predictions of single images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from saliency_pred.data.dataset import DOMAINS
from saliency_pred.data.image import read_image
from saliency_pred.data.placement import Placement, ResizeRule
from saliency_pred.inference.prediction import Prediction
from saliency_pred.model import SaliencyModel, best_device
from saliency_pred.weights.checkpoint import load_checkpoint


class Predictor:
    """Predicts where people look in images of any size.

    Args:
        model: in evaluation mode from here on.
        size: (height, width) of the input grid that the model was trained at.
        resize: how an image is brought onto the grid.
        domain: the kind of images, a key of ``saliency_pred.data.dataset.DOMAINS``.
        device: None: the best there is.
    """

    def __init__(
        self,
        model: SaliencyModel,
        size: Sequence[int],
        resize: ResizeRule = "pad",
        domain: str = "natural-eye",
        device: torch.device | str | None = None,
    ) -> None:
        if domain not in DOMAINS:
            raise ValueError(f"domain={domain!r} is none of {', '.join(DOMAINS)}")
        self.device = torch.device(device) if device is not None else best_device()
        self.model = model.to(self.device).eval()
        self.grid = (int(size[0]), int(size[1]))
        self.resize: ResizeRule = resize
        self.domain = domain

    @classmethod
    def load(cls, path: str | Path, domain: str = "natural-eye", device: torch.device | str | None = None) -> Predictor:
        """From a checkpoint, at the input size that it was trained at."""
        checkpoint = load_checkpoint(path)
        loader = checkpoint.config.loader
        return cls(checkpoint.model, loader.size, loader.resize, domain, device)

    def predict(self, image: str | Path | np.ndarray) -> Prediction:
        """Predict one image.

        Args:
            image: a file, or uint8 (H, W, 3) RGB.

        Raises:
            BrokenFileError: the file cannot be read.
            TypeError: an array of another type or shape.
        """
        pixels = image if isinstance(image, np.ndarray) else read_image(image)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise TypeError(f"an image must be uint8 (H, W, 3) RGB, got {pixels.dtype} {pixels.shape}")
        size = (int(pixels.shape[0]), int(pixels.shape[1]))
        place = Placement.of(size, self._grid_for(size), self.resize)
        placed = torch.from_numpy(place.image(pixels)).permute(2, 0, 1)[None].float() / 255
        predicted = self.model.log_density(
            placed.to(self.device),
            place.valid()[None].to(self.device),
            torch.tensor([DOMAINS[self.domain]], device=self.device),
            torch.tensor([size]),
        )[0]
        return Prediction(predicted.cpu(), pixels)

    def _grid_for(self, size: tuple[int, int]) -> tuple[int, int]:
        """The training grid, turned for an upright image, so that padding wastes less."""
        upright = size[0] > size[1] and self.grid[1] > self.grid[0] and self.resize == "pad"
        return (self.grid[1], self.grid[0]) if upright else self.grid
