"""A page of examples of a data set: each image, its fixations, and their density."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.data.placement import resize_image
from saliency_pred.density import fixation_density
from saliency_pred.fixations import Fixations
from saliency_pred.inference.overlay import draw_fixations, overlay

_PANEL = (250, 400)
"""Height and width that a picture is fitted into, pixels."""
_GAP, _MARGIN, _HEAD, _CAPTION, _BETWEEN = 8, 28, 76, 30, 36
_INK, _SOFT, _PAPER = (28, 36, 48), (91, 102, 117), (255, 255, 255)


def contact_sheet(dataset: SaliencyDataset, count: int = 8, seed: int = 0, columns: int = 2) -> np.ndarray:
    """uint8 (H, W, 3) RGB: examples with the image, its fixations and their density side by side.

    Of clips the middle frame is shown, with all fixations. Sets that ship only maps show the map.

    Args:
        dataset: opened.
        count: how many examples; drawn at random, shown in the order of the set.
        seed: of the draw.
        columns: examples beside each other.
    """
    count = min(count, len(dataset))
    if count < 1 or columns < 1:
        raise ValueError(f"count={count} and columns={columns} must be at least 1")
    chosen = np.sort(np.random.default_rng(seed).choice(len(dataset), count, replace=False))
    examples = [_example(dataset, int(i)) for i in chosen]
    panel = max(picture.shape[1] for panels, _, _ in examples for picture in panels)
    columns = min(columns, count)
    height, width = _PANEL[0] + _CAPTION, 3 * panel + 2 * _GAP
    rows = math.ceil(count / columns)
    size = (
        2 * _MARGIN + columns * (width + _BETWEEN) - _BETWEEN,
        _HEAD + rows * (height + _BETWEEN) - _BETWEEN + _MARGIN,
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, 18), dataset.name, _INK, _font(26))
    draw.text((_MARGIN + draw.textlength(dataset.name, _font(26)) + 18, 27), _about(dataset, count), _SOFT, _font(17))
    for k, (panels, name, caption) in enumerate(examples):
        row, column = divmod(k, columns)
        corner = (_MARGIN + column * (width + _BETWEEN), _HEAD + row * (height + _BETWEEN))
        sheet.paste(_row(panels, panel, name, caption), corner)
    return np.asarray(sheet)


def _about(dataset: SaliencyDataset, count: int) -> str:
    facts = [f"{count} of {len(dataset):,} images"]
    if not math.isnan(dataset.viewing_time):
        facts.append(f"shown for {dataset.viewing_time:g} s")
    if not math.isnan(dataset.blur_sigma):
        facts.append(f"density: sigma {dataset.blur_sigma:g} px")
    return ",  ".join(facts)


def _example(dataset: SaliencyDataset, index: int) -> tuple[list[np.ndarray], str, str]:
    """Three pictures of one size, the image's name, and what is to be said about it."""
    one, at = dataset.source(index)
    image = one.image(at)
    if image.ndim == 4:
        image = image[len(image) // 2]
    fixations = dataset.clean_fixations(index)
    shipped = one.density(at)
    size = (image.shape[0], image.shape[1])
    scale = min(_PANEL[0] / size[0], _PANEL[1] / size[1])
    small = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    picture = resize_image(image, small)
    panels = [picture]
    if fixations is None or len(fixations) == 0:
        caption = "maps only" if fixations is None else "no fixations"
        panels.append(np.full_like(picture, 238))
    else:
        fixations = fixations.rescale(torch.tensor([small]))
        viewers = len(fixations.viewers())
        caption = f"{len(fixations)} fixations" + (f" of {viewers} viewers" if viewers else "")
        panels.append(draw_fixations(resize_image(image, small).copy(), fixations))
    density = _density(dataset, fixations, shipped, small, scale)
    panels.append(np.full_like(picture, 238) if density is None else overlay(picture, density))
    return panels, dataset.image_ids[index], caption


def _density(
    dataset: SaliencyDataset,
    fixations: Fixations | None,
    shipped: torch.Tensor | None,
    size: tuple[int, int],
    scale: float,
) -> np.ndarray | None:
    """(h, w) in [0, 1]: of the fixations, or the shipped map where there are none."""
    if fixations is not None and len(fixations):
        sigma = dataset.blur_sigma * scale
        sigma = max(size) / 40 if math.isnan(sigma) else sigma  # about a degree on a usual screen
        values = fixation_density(fixations, max(sigma, 0.5))[0, 0].numpy()
    elif shipped is not None:
        values = _shrunk(shipped.mean(0).numpy(), size)
    else:
        return None
    return values / max(float(values.max()), 1e-12)


def _shrunk(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    levels = (values / max(float(values.max()), 1e-12) * 255).round().astype(np.uint8)
    return resize_image(np.repeat(levels[..., None], 3, -1), size)[..., 0].astype(np.float32)


def _row(panels: list[np.ndarray], width: int, name: str, caption: str) -> Image.Image:
    height = _PANEL[0]
    row = Image.new("RGB", (3 * width + 2 * _GAP, height + _CAPTION), _PAPER)
    draw = ImageDraw.Draw(row)
    shown = name if len(name) <= 60 else f"{name[:28]} ... {name[-28:]}"
    draw.text((0, 4), shown, _INK, _font(17))
    draw.text((row.width - draw.textlength(caption, _font(17)), 4), caption, _SOFT, _font(17))
    for k, panel in enumerate(panels):
        left = k * (width + _GAP) + (width - panel.shape[1]) // 2
        row.paste(Image.fromarray(panel), (left, _CAPTION + (height - panel.shape[0]) // 2))
    return row


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
