"""Reading maps that any program made: one file an image, matched by name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from saliency_pred.data.errors import BrokenFileError
from saliency_pred.data.image import IMAGE_SUFFIXES, read_map
from saliency_pred.density import log_normalise, normalise

SUFFIXES = IMAGE_SUFFIXES | {".npy"}
LOSSY = frozenset({".jpg", ".jpeg", ".webp"})

Kind = Literal["map", "density", "log_density"]


def find_maps(folder: Path) -> dict[str, Path]:
    """The maps below a folder, by their path without ending, relative to the folder.

    Raises:
        FileNotFoundError: no folder, or no map in it.
        ValueError: two files of one name.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder of maps")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            name = str(path.relative_to(folder).with_suffix(""))
            if name in found:
                raise ValueError(f"{found[name]} and {path} are both maps of {name}; keep one of them")
            found[name] = path
    if not found:
        raise FileNotFoundError(f"{folder} holds no map ({', '.join(sorted(SUFFIXES))})")
    return found


def read_prediction(path: Path, kind: Kind, size: tuple[int, int], resize: str | None) -> Tensor:
    """(T, h, w) float64: a map as it is, or a log density.

    Args:
        path: of the file; an .npy may hold (h, w) or (T, h, w).
        kind: what the file holds; ``density`` becomes a log density.
        size: (height, width) of the image.
        resize: ``bilinear`` brings maps of another size to it; None: another size is an error.

    Raises:
        BrokenFileError: the file cannot be read.
        ValueError: another size, NaN, or not a density where one was promised.
    """
    if path.suffix.lower() == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise BrokenFileError(f"{path} is damaged or no .npy array: {error}") from error
    else:
        array = read_map(path)
    if array.ndim not in (2, 3):
        raise ValueError(f"{path} holds an array of shape {array.shape}, expected (h, w) or (T, h, w)")
    maps = torch.as_tensor(array.astype(np.float64)).reshape(-1, *array.shape[-2:])
    if not bool(torch.isfinite(maps).all()):
        raise ValueError(f"{path} has {int((~torch.isfinite(maps)).sum())} pixels that are NaN or infinite")
    if tuple(maps.shape[-2:]) != size:
        if resize != "bilinear":
            raise ValueError(
                f"{path} is {maps.shape[-2]} x {maps.shape[-1]} (height x width), its image {size[0]} x {size[1]}; "
                "make the maps at the size of the images, or give resize=bilinear"
            )
        shrinks = maps.shape[-2] > size[0] or maps.shape[-1] > size[1]
        maps = F.interpolate(maps[None], size=size, mode="bilinear", antialias=shrinks)[0]
        if kind == "log_density":
            maps = log_normalise(maps[None])[0]
    if kind == "map":
        return maps
    total = maps.exp().sum((-2, -1)) if kind == "log_density" else maps.sum((-2, -1))
    if resize is None and bool(((total - 1).abs() > 0.01).any()):
        raise ValueError(
            f"{path} is no {kind}: it sums to {float(total[0]):.4g}, not to 1; give maps=map if it is a map"
        )
    if kind == "log_density":
        return log_normalise(maps[None])[0]
    if bool((maps <= 0).any()):
        raise ValueError(
            f"{path} gives {int((maps <= 0).sum())} pixels the density 0, so a fixation there has no finite "
            "likelihood; score it with maps=map, or save log densities"
        )
    return normalise(maps).log()


def quantised(maps: Tensor) -> bool:
    """Whether a map has no more than 256 levels, all of them whole numbers: 8 bit."""
    return bool((maps == maps.round()).all()) and float(maps.amax()) <= 255
