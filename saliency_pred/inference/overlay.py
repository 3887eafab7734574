"""Pictures of predictions: heat maps, overlays, fixations drawn as dots."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from saliency_pred.data.placement import resize_image
from saliency_pred.fixations import Fixations


def heat_map(saliency: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1] → uint8 (H, W, 3) RGB, dark blue over green to yellow (viridis keeps its order in grey)."""
    levels = (np.clip(saliency, 0, 1) * 255).round().astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1])


def overlay(image: np.ndarray, saliency: np.ndarray, strength: float = 0.75) -> np.ndarray:
    """A map laid over its image: the more salient, the more of the warm colour; elsewhere the image in grey.

    Args:
        image: uint8 (H, W, 3) RGB.
        saliency: (H, W) in [0, 1].
        strength: opacity where the map is 1.
    """
    level = np.clip(saliency, 0, 1).astype(np.float32)
    warm = (115 + 140 * level).round().astype(np.uint8)  # the upper half of the scale: red to yellow, never dark
    colour = cv2.applyColorMap(warm, cv2.COLORMAP_INFERNO)[..., ::-1]
    opacity = (strength * np.sqrt(level))[..., None]
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    base = 0.6 * image + 0.4 * grey
    return ((1 - opacity) * base + opacity * colour).round().clip(0, 255).astype(np.uint8)


def draw_fixations(image: np.ndarray, fixations: Fixations) -> np.ndarray:
    """The image with a ringed dot at every fixation."""
    drawn = np.array(image, order="C")  # a copy: OpenCV draws in place
    radius = max(2, round(max(image.shape[:2]) / 200))
    for x, y in zip(fixations.x.tolist(), fixations.y.tolist(), strict=True):
        centre = (round((x - 0.5) * 16), round((y - 0.5) * 16))  # OpenCV: pixel centres, 4 binary digits
        cv2.circle(drawn, centre, radius * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
        cv2.circle(drawn, centre, radius * 16, (200, 30, 60), max(1, radius // 2), cv2.LINE_AA, 4)
    return drawn


def side_by_side(pictures: Sequence[np.ndarray], height: int = 240, gap: int = 4) -> np.ndarray:
    """RGB pictures in a row, resized to one height, with white gaps."""
    resized = [resize_image(p, (height, max(1, round(p.shape[1] * height / p.shape[0])))) for p in pictures]
    spacer = np.full((height, gap, 3), 255, np.uint8)
    parts = [part for picture in resized for part in (picture, spacer)][:-1]
    return np.concatenate(parts, axis=1)
