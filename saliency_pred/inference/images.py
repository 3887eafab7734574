"""What can be predicted: files, arrays, Pillow images, tensors, and batches or lists of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from saliency_pred.data.image import read_image, to_rgb

ImageLike: TypeAlias = str | Path | np.ndarray | Image.Image | Tensor
"""One image: a file; an array (H, W), (H, W, 3) or (H, W, 4); a Pillow image; a tensor (1 or 3, H, W).

Colours are RGB, or RGBA that is laid on white. Numbers are uint8, uint16 or floating point in [0, 1].
"""

MAX_PIXELS = 64_000_000
"""A larger image is refused unless the limit is raised: it would need gigabytes. 8000 x 8000."""


def is_batch(images: ImageLike | Sequence[ImageLike]) -> bool:
    """Whether these are several images: a list or tuple, or an array or a tensor with four axes."""
    if isinstance(images, np.ndarray | Tensor):
        return images.ndim == 4
    return isinstance(images, list | tuple)


def rgb_image(image: ImageLike, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """uint8 (H, W, 3) RGB of one image.

    Raises:
        BrokenFileError: a file that cannot be read, or whose header states more than ``max_pixels``.
        TypeError: something else than an image, or numbers of another type.
        ValueError: another shape, no pixels, more than ``max_pixels``, or floating-point values outside [0, 1].
    """
    if isinstance(image, str | Path):
        return read_image(image, max_pixels=max_pixels)
    if isinstance(image, Image.Image):
        _check_size(image.height, image.width, max_pixels)
        return to_rgb(ImageOps.exif_transpose(image))
    if isinstance(image, Tensor):
        if image.ndim != 3 or image.shape[0] not in (1, 3):
            raise ValueError(
                f"a tensor must be (3, H, W) or (1, H, W), or (B, 3, H, W) for a batch, got {tuple(image.shape)}"
                f"{'; an array may be (H, W, 3)' if image.ndim == 3 and image.shape[-1] in (3, 4) else ''}"
            )
        values = image.detach().permute(1, 2, 0).cpu()
        return _from_array(values.float().numpy() if values.dtype == torch.bfloat16 else values.numpy(), max_pixels)
    if isinstance(image, np.ndarray):
        return _from_array(image, max_pixels)
    raise TypeError(
        f"an image must be a path, a NumPy array, a Pillow image or a tensor, got {type(image).__name__}; "
        "several go in as a list"
    )


def _from_array(values: np.ndarray, max_pixels: int) -> np.ndarray:
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4):
        chw = values.ndim == 3 and values.shape[0] in (1, 3, 4)
        raise ValueError(
            f"an array must be (H, W), (H, W, 3) or (H, W, 4), or (B, H, W, 3) for a batch, got {values.shape}"
            f"{'; channels come last: image.transpose(1, 2, 0), or as a tensor first' if chw else ''}"
        )
    _check_size(values.shape[0], values.shape[1], max_pixels)
    levels = _eight_bit(values)
    if levels.shape[2] == 4:
        return to_rgb(Image.fromarray(levels, "RGBA"))
    return np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3)))


def _eight_bit(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16:
        return (values >> 8).astype(np.uint8)
    if not np.issubdtype(values.dtype, np.floating):
        raise TypeError(f"an image must be uint8, uint16 or floating point in [0, 1], got {values.dtype}")
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # also where one of them is NaN
        raise ValueError(
            f"floating-point images must lie in [0, 1], got {low:g} to {high:g}; divide by 255, or undo a normalisation"
        )
    return (values * 255).round().astype(np.uint8)


def _check_size(height: int, width: int, max_pixels: int) -> None:
    if height * width == 0:
        raise ValueError(f"an image of {height} x {width} has no pixels")
    if height * width > max_pixels:
        raise ValueError(
            f"an image of {width} x {height} = {width * height:,} pixels is over the limit of {max_pixels:,}; "
            "make it smaller or raise max_pixels"
        )
