"""A page of predictions: each image beside its overlay, with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from saliency_pred.data.placement import resize_image

_PANEL = (240, 340)
"""Height and width that a picture is fitted into, pixels."""
_GAP, _MARGIN, _CAPTION, _BETWEEN = 6, 28, 30, 30
_INK, _SOFT, _PAPER = (28, 36, 48), (91, 102, 117), (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Panel:
    """One image on the page.

    Attributes:
        pictures: uint8 RGB, small or large; shown from left to right.
        name: to its upper left.
        caption: to its upper right.
    """

    pictures: Sequence[np.ndarray]
    name: str
    caption: str


def prediction_sheet(panels: Sequence[Panel], columns: int = 2) -> np.ndarray:
    """uint8 (H, W, 3) RGB page.

    Args:
        panels: at least one, all with the same number of pictures.
        columns: panels beside each other, at most.
    """
    if not panels or columns < 1:
        raise ValueError(f"a page needs at least one panel and one column, got {len(panels)} and {columns}")
    columns = min(columns, len(panels))
    fitted = [[_fitted(picture) for picture in panel.pictures] for panel in panels]
    wide = max(picture.shape[1] for pictures in fitted for picture in pictures)
    width = len(fitted[0]) * (wide + _GAP) - _GAP
    rows = [fitted[i : i + columns] for i in range(0, len(fitted), columns)]
    heights = [max(picture.shape[0] for pictures in row for picture in pictures) for row in rows]
    tops = np.cumsum([_MARGIN, *(height + _CAPTION + _BETWEEN for height in heights)]).tolist()
    size = (2 * _MARGIN + columns * (width + _BETWEEN) - _BETWEEN, tops[-1] - _BETWEEN + _MARGIN)
    page = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(16)
    for number, (panel, pictures) in enumerate(zip(panels, fitted, strict=True)):
        row, column = divmod(number, columns)
        left, top = _MARGIN + column * (width + _BETWEEN), tops[row]
        room = width - draw.textlength(panel.caption, font) - 20
        draw.text((left, top), _shortened(panel.name, room, draw, font), _INK, font)
        draw.text((left + width, top), panel.caption, _SOFT, font, anchor="ra")
        for place, picture in enumerate(pictures):
            x = left + place * (wide + _GAP) + (wide - picture.shape[1]) // 2
            page.paste(Image.fromarray(picture), (x, top + _CAPTION + (heights[row] - picture.shape[0]) // 2))
    return np.asarray(page)


def _fitted(picture: np.ndarray) -> np.ndarray:
    scale = min(_PANEL[0] / picture.shape[0], _PANEL[1] / picture.shape[1])
    return resize_image(picture, (max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))))


def _shortened(
    name: str, room: float, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> str:
    """The name, its middle left out as far as it must be."""
    kept = len(name)
    shown = name
    while draw.textlength(shown, font) > room and kept > 2:
        kept -= 1
        shown = f"{name[: kept // 2]}…{name[len(name) - (kept - kept // 2) :]}"
    return shown
