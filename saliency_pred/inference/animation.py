"""Viewing time as an animation: the time windows of a prediction, one after the other."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from saliency_pred.data.placement import resize_image
from saliency_pred.inference.overlay import overlay
from saliency_pred.inference.prediction import Prediction

_FRAMES = 12
"""A second: smooth enough, and small enough to be sent."""
_LONGEST = 640
"""Pixels of the longer side."""


def animation(prediction: Prediction, kind: Literal["gif", "apng"] | str = "gif", speed: float = 1.0) -> bytes:
    """The windows of a prediction over its image as they pass, with a bar of the viewing time below.

    Between the middles of two windows the densities are mixed linearly. The colours have one scale throughout,
    so that a focused moment glows and a scattered one is pale.

    Args:
        prediction: with time windows.
        kind: ``gif`` (256 colours, shown everywhere) or ``apng`` (an animated PNG, all colours).
        speed: viewing seconds a second.

    Returns:
        the content of the file; it repeats for ever.

    Raises:
        ValueError: the prediction has no time windows, or an unknown kind.
    """
    if prediction.windows is None:
        raise ValueError("a prediction without time windows has nothing to animate; a model with time=True has")
    if kind not in ("gif", "apng"):
        raise ValueError(f"kind={kind!r} is none of 'gif', 'apng'")
    size = prediction.image.shape[:2]
    scale = min(1.0, _LONGEST / max(size))
    small = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    picture = resize_image(prediction.image, small)
    densities = np.stack([resize_image(d, small) for d in prediction.density.astype(np.float32)])
    middles = np.array([(start + end) / 2 for start, end in prediction.windows])
    first, last = prediction.windows[0][0], prediction.windows[-1][1]
    times = np.linspace(first, last, max(2, round((last - first) / speed * _FRAMES)))
    top = densities.max()
    frames = []
    for time in times:
        weights = [np.interp(time, middles, row) for row in np.eye(len(middles))]
        mixed = np.tensordot(np.array(weights, np.float32), densities, 1)
        frames.append(_with_bar(overlay(picture, mixed / top), (time - first) / (last - first), f"{time:.1f} s"))
    return _animated(frames, kind, 1000 / _FRAMES)


def _with_bar(picture: np.ndarray, share: float, label: str) -> Image.Image:
    height, width = picture.shape[:2]
    bar = 22
    frame = Image.new("RGB", (max(width, 120), height + bar), (24, 28, 36))
    frame.paste(Image.fromarray(picture), ((frame.width - width) // 2, 0))
    draw = ImageDraw.Draw(frame)
    font = ImageFont.load_default(13)
    room = frame.width - 58
    draw.rectangle((8, height + 9, 8 + room - 8, height + 12), (70, 78, 92))
    draw.rectangle((8, height + 9, 8 + round((room - 8) * share), height + 12), (255, 190, 60))
    draw.text((frame.width - 8, height + 11), label, (235, 238, 242), font, anchor="rm")
    return frame


def _animated(frames: list[Image.Image], kind: str, milliseconds: float) -> bytes:
    buffer = io.BytesIO()
    duration = [round(milliseconds)] * (len(frames) - 1) + [900]  # a rest at the end
    if kind == "gif":
        # One palette for all frames: with one of its own each, still parts would flicker. It is taken from several
        # frames by the range of colours, not by their number, or the few glowing pixels would get none.
        some = frames[:: max(1, len(frames) // 6)]
        sample = Image.new("RGB", (frames[0].width, frames[0].height * len(some)))
        for i, frame in enumerate(some):
            sample.paste(frame, (0, i * frame.height))
        palette = sample.quantize(256, Image.Quantize.MAXCOVERAGE)
        paletted = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
        paletted[0].save(buffer, "GIF", save_all=True, append_images=paletted[1:], duration=duration, loop=0)
    else:
        frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:], duration=duration, loop=0)
    return buffer.getvalue()
