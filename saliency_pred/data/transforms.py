"""Resizing and augmenting images, fixations and maps together.

Fixations are points throughout: a map of fixated pixels that is resized loses some of them. Maps of a
data set are resized as densities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import albumentations as A
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from saliency_pred.density import normalise
from saliency_pred.fixations import Fixations

ResizeRule = Literal["pad", "stretch"]


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
        """Place an image: ``pad`` keeps its aspect and centres it, ``stretch`` fills the grid."""
        if rule == "stretch":
            return cls(grid, grid, 0, 0)
        if rule != "pad":
            raise ValueError(f"resize={rule!r} is none of 'pad', 'stretch'")
        scale = min(grid[0] / original[0], grid[1] / original[1])
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


class Augmentation:
    """Albumentations transforms on an image with its fixations and maps.

    The random numbers of each image depend on the seed, the epoch and the image alone, so they are the
    same for any number of workers and processes, and when a run is resumed.

    Args:
        transforms: albumentations transforms, applied in this order before resizing.
        seed: of the random numbers.
    """

    def __init__(self, transforms: Sequence[A.BasicTransform | A.BaseCompose], seed: int = 0) -> None:
        self.transform = A.Compose(
            list(transforms),
            keypoint_params=A.KeypointParams(format="xy", remove_invisible=False),
            mask_interpolation=cv2.INTER_LINEAR,
        )
        self.seed = seed

    def __call__(
        self, image: np.ndarray, fixations: Fixations | None, density: Tensor | None, key: tuple[int, int]
    ) -> tuple[np.ndarray, Fixations | None, Tensor | None]:
        """Augment one image; fixations that leave it are dropped.

        Args:
            image: uint8 (H, W, 3).
            fixations, density: of this image, as in :class:`saliency_pred.data.dataset.Sample`.
            key: (epoch, index).
        """
        self.transform.set_random_seed(int(np.random.SeedSequence([self.seed, *key]).generate_state(1)[0]))
        inputs: dict[str, Any] = {"image": image}
        if fixations is not None:
            # Albumentations counts pixels by their centres, fixations are measured from the image's edge.
            inputs["keypoints"] = np.stack([fixations.x.numpy(), fixations.y.numpy()], 1) - 0.5
        else:
            inputs["keypoints"] = np.zeros((0, 2))
        if density is not None:
            inputs["masks"] = density.numpy()
        outputs = self.transform(**inputs)
        image = outputs["image"]
        if fixations is not None:
            moved = torch.as_tensor(np.asarray(outputs["keypoints"], np.float64).reshape(-1, 2)) + 0.5
            size = (int(image.shape[0]), int(image.shape[1]))
            fixations = Fixations.of(
                _off_the_edge(moved[:, 0], size[1]),
                _off_the_edge(moved[:, 1], size[0]),
                size,
                time=fixations.time,
                duration=fixations.duration,
                viewer=fixations.viewer,
            ).clean("drop")[0]
        if density is not None:
            density = torch.as_tensor(np.stack(outputs["masks"]))
        return image, fixations, density


def _off_the_edge(position: Tensor, length: int) -> Tensor:
    """Positions within a thousandth of a pixel of an image's edge, moved inside.

    The mirror image of a fixation on the left edge lies on the right edge, which is outside; and albumentations
    computes in float32, which rounds to some ten-thousandths of a pixel in large images.
    """
    last = np.nextafter(float(length), 0.0)
    near = (position > -1e-3) & (position < length + 1e-3)
    return torch.where(near, position.clamp(0.0, last), position)
