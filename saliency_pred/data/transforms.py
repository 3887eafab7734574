"""Augmenting images, fixations and maps together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import albumentations as A
import cv2
import numpy as np
import torch
from torch import Tensor

from saliency_pred.fixations import Fixations


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
        """Augment one image, or all frames of a clip alike; fixations that leave it are dropped.

        Args:
            image: uint8 (H, W, 3) or (F, H, W, 3).
            fixations, density: of this image, as in :class:`saliency_pred.data.dataset.Sample`.
            key: (epoch, index).
        """
        self.transform.set_random_seed(int(np.random.SeedSequence([self.seed, *key]).generate_state(1)[0]))
        name = "image" if image.ndim == 3 else "images"
        inputs: dict[str, Any] = {name: image}
        if fixations is not None:
            # Albumentations counts pixels by their centres, fixations are measured from the image's edge.
            inputs["keypoints"] = np.stack([fixations.x.numpy(), fixations.y.numpy()], 1) - 0.5
        else:
            inputs["keypoints"] = np.zeros((0, 2))
        if density is not None:
            inputs["masks"] = density.numpy()
        outputs = self.transform(**inputs)
        image = outputs[name]
        if fixations is not None:
            moved = torch.as_tensor(np.asarray(outputs["keypoints"], np.float64).reshape(-1, 2)) + 0.5
            size = (int(image.shape[-3]), int(image.shape[-2]))
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
