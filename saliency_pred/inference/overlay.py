"""Pictures of predictions: heat maps, overlays, fixations drawn as dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from saliency_pred.data.placement import resize_image
from saliency_pred.fixations import Fixations
from saliency_pred.inference.regions import RegionScore


def heat_map(saliency: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1] → uint8 (H, W, 3) RGB, dark blue over green to yellow (viridis keeps its order in grey).

    The scale is the square root of the map, as for :func:`overlay`: densities are so peaked that a linear scale
    shows little but the peak.
    """
    levels = (np.sqrt(np.clip(saliency, 0, 1)) * 255).round().astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1])


def overlay(image: np.ndarray, saliency: np.ndarray, strength: float = 0.85) -> np.ndarray:
    """A map glowing over its image, which is dimmed and nearly grey so that no colour of its own competes.

    Args:
        image: uint8 (H, W, 3) RGB.
        saliency: (H, W) in [0, 1]; colour and opacity follow its square root, from 0 (the image alone) over red and
            orange to yellow at 1.
        strength: opacity where the map is 1.
    """
    level = np.sqrt(np.clip(saliency, 0, 1).astype(np.float32))
    warm = (90 + 145 * level).round().astype(np.uint8)  # of the scale the part from red to yellow, not dark, not pale
    colour = cv2.applyColorMap(warm, cv2.COLORMAP_INFERNO)[..., ::-1]
    opacity = strength * np.clip(1.15 * level - 0.08, 0, 1)[..., None]  # below half a percent of the peak: nothing
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    base = cv2.addWeighted(image, 0.2, grey, 0.6, 0)
    return (base + opacity * (colour.astype(np.float32) - base)).round().clip(0, 255).astype(np.uint8)


def draw_fixations(image: np.ndarray, fixations: Fixations) -> np.ndarray:
    """The image with a ringed dot at every fixation."""
    drawn = np.array(image, order="C")  # a copy: OpenCV draws in place
    radius = max(2, round(max(image.shape[:2]) / 200))
    for x, y in zip(fixations.x.tolist(), fixations.y.tolist(), strict=True):
        centre = (round((x - 0.5) * 16), round((y - 0.5) * 16))  # OpenCV: pixel centres, 4 binary digits
        cv2.circle(drawn, centre, radius * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
        cv2.circle(drawn, centre, radius * 16, (200, 30, 60), max(1, radius // 2), cv2.LINE_AA, 4)
    return drawn


def draw_regions(picture: np.ndarray, scores: Mapping[str, RegionScore], scale: float = 1.0) -> np.ndarray:
    """The picture with every region's box, its name, share of attention and lift.

    Args:
        picture: uint8 (H, W, 3) RGB.
        scores: of the regions, whose boxes are in pixels of the image.
        scale: pixels of the picture per pixel of the image.
    """
    drawn = Image.fromarray(picture)
    draw = ImageDraw.Draw(drawn)
    line = max(2, round(max(drawn.size) / 400))
    font = ImageFont.load_default(max(11, round(max(drawn.size) / 55)))
    for score in scores.values():
        x, y, width, height = (v * scale for v in score.region.box)
        box = (max(0, x), max(0, y), min(drawn.width - 1, x + width - 1), min(drawn.height - 1, y + height - 1))
        if box[2] < box[0] or box[3] < box[1]:  # less than a pixel of the picture
            continue
        draw.rectangle(box, outline=(16, 20, 28), width=line + 2)
        inner = (box[0] + 1, box[1] + 1, max(box[0] + 1, box[2] - 1), max(box[1] + 1, box[3] - 1))
        draw.rectangle(inner, outline=(255, 255, 255), width=line)
    for name, score in scores.items():  # above all boxes
        x, y, width, height = (v * scale for v in score.region.box)
        label = f"{name}  {score.attention:.0%}  {score.lift:.1f}x"
        left, top, right, bottom = draw.textbbox((0, 0), label, font)
        wide, high = right - left + 10, bottom - top + 8
        at_x = min(max(0, x), max(0, drawn.width - wide))
        at_y = y - high if y >= high else min(y, drawn.height - high)
        draw.rectangle((at_x, at_y, at_x + wide, at_y + high), (16, 20, 28))
        draw.text((at_x + 5 - left, at_y + 4 - top), label, (255, 255, 255), font)
    return np.asarray(drawn)


def side_by_side(pictures: Sequence[np.ndarray], height: int = 240, gap: int = 4) -> np.ndarray:
    """RGB pictures in a row, resized to one height, with white gaps."""
    resized = [resize_image(p, (height, max(1, round(p.shape[1] * height / p.shape[0])))) for p in pictures]
    spacer = np.full((height, gap, 3), 255, np.uint8)
    parts = [part for picture in resized for part in (picture, spacer)][:-1]
    return np.concatenate(parts, axis=1)
