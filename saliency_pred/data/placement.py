"""Where an image lands on the input grid of a model, with its fixations and maps.

Fixations are points throughout: a map of fixated pixels that is resized loses some of them. Maps of a
data set are resized as densities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from saliency_pred.density import normalise
from saliency_pred.fixations import Fixations

ResizeRule = Literal["pad", "stretch", "fit"]

FIT_MULTIPLE = 32
"""Sides that ``fit`` makes are multiples of this, the coarsest stride of most encoders."""


@dataclass(frozen=True)
class Placement:
    """Where an image lands on the input grid.

    Attributes:
        grid: (height, width) of the input.
        size: (height, width) of the resized image.
        top, left: its corner on the grid.
    """

    grid: tuple[int, int]
    size: tuple[int, int]
    top: int
    left: int

    @classmethod
    def of(cls, original: tuple[int, int], grid: tuple[int, int], rule: ResizeRule) -> Placement:
        """Place an image.

        ``pad`` keeps its aspect and centres it, ``stretch`` fills the grid, ``fit`` makes the grid smaller: the
        largest that keeps the aspect within ``grid``, each side rounded to a multiple of 32 (at least 32).
        """
        if rule == "stretch":
            return cls(grid, grid, 0, 0)
        if rule not in ("pad", "fit"):
            raise ValueError(f"resize={rule!r} is none of 'pad', 'stretch', 'fit'")
        scale = min(grid[0] / original[0], grid[1] / original[1])
        if rule == "fit":
            if min(grid) < FIT_MULTIPLE:
                raise ValueError(f"resize=fit needs an input of {FIT_MULTIPLE} pixels or more, got {list(grid)}")
            whole = [n // FIT_MULTIPLE for n in grid]
            cells = [max(1, round(n * scale / FIT_MULTIPLE)) for n in original]
            height, width = (FIT_MULTIPLE * min(c, w) for c, w in zip(cells, whole, strict=True))
            return cls((height, width), (height, width), 0, 0)
        height = min(grid[0], max(1, round(original[0] * scale)))
        width = min(grid[1], max(1, round(original[1] * scale)))
        return cls(grid, (height, width), (grid[0] - height) // 2, (grid[1] - width) // 2)

    def image(self, image: np.ndarray) -> np.ndarray:
        """uint8 (h, w, 3) or (F, h, w, 3) → the grid's size; padding is mid grey (126, MSI-Net's value)."""
        if image.ndim == 4:
            return np.stack([self.image(frame) for frame in image])
        resized = resize_image(image, self.size)
        if self.size == self.grid:
            return resized
        placed = np.full((*self.grid, 3), 126, np.uint8)
        placed[self.top : self.top + self.size[0], self.left : self.left + self.size[1]] = resized
        return placed

    def valid(self) -> Tensor:
        """bool (H, W): False on padding."""
        mask = torch.zeros(self.grid, dtype=torch.bool)
        mask[self.top : self.top + self.size[0], self.left : self.left + self.size[1]] = True
        return mask

    def fixations(self, fixations: Fixations) -> Fixations:
        """Of the original image → on the grid."""
        return fixations.rescale(torch.tensor([self.size])).shift(self.top, self.left, self.grid)

    def density(self, density: Tensor) -> Tensor:
        """(T, h, w) → (T, H, W), low-passed before shrinking; sums to 1, zero on padding."""
        resized = F.interpolate(density[None], self.size, mode="bilinear", antialias=True, align_corners=False)[0]
        right = self.grid[1] - self.left - self.size[1]
        bottom = self.grid[0] - self.top - self.size[0]
        has_mass = resized.sum((-2, -1), keepdim=True) > 0
        kept = torch.where(has_mass, normalise(resized.clamp(min=0)), 0.0)
        return F.pad(kept, (self.left, right, self.top, bottom))


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 (h, w, 3) → (height, width): area averaging to shrink, bicubic to enlarge."""
    if image.shape[:2] == tuple(size):
        return image
    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
