"""The files of a prediction; each appears whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from saliency_pred.atomic import write_bytes
from saliency_pred.data.placement import resize_image
from saliency_pred.inference.animation import animation
from saliency_pred.inference.overlay import draw_regions, heat_map, overlay
from saliency_pred.inference.prediction import Prediction
from saliency_pred.inference.regions import RegionScore

OUTPUTS = ("npy", "png16", "hdf5", "heat", "overlay", "regions", "gif", "apng")
"""Kinds of files: the density in three formats, pictures, and animations over viewing time."""

_LONGEST = 16_000
"""Pixels of a picture's side: a longer image is shown smaller. JPEG ends at 65,535, many viewers long before."""


def encode(
    prediction: Prediction, kinds: Sequence[str], scores: Mapping[str, RegionScore] | None = None
) -> dict[str, tuple[str, bytes]]:
    """Every file of a prediction.

    Args:
        prediction: of one image.
        kinds: some of :data:`OUTPUTS`; ``regions`` gives nothing without scores, animations nothing without windows.
        scores: of the regions.

    Returns:
        what it is, e.g. ``overlay`` or ``overlay_1`` (of the first time window) → suffix of the file's name, content.
    """
    made: dict[str, tuple[str, bytes]] = {}
    exact = [prediction.pooled.map]  # of the whole viewing, then of each time window
    if len(prediction.log_density) > 1:
        exact += list(prediction.map)
    picture = _shown(prediction.image)
    shown = [_shown(saliency) for saliency in exact]
    for number, saliency in enumerate(shown):
        mark = f"_{number}" if number else ""
        if "png16" in kinds:
            levels = (exact[number] * 65535).round().astype(np.uint16)
            made[f"png16{mark}"] = (f"{mark}_density.png", _encoded(".png", levels))
        if "heat" in kinds:
            made[f"heat{mark}"] = (f"{mark}_heat.png", _encoded(".png", heat_map(saliency)))
        if "overlay" in kinds:
            made[f"overlay{mark}"] = (f"{mark}_overlay.jpg", _encoded(".jpg", overlay(picture, saliency)))
    if "npy" in kinds:
        buffer = io.BytesIO()
        np.save(buffer, prediction.density)
        made["npy"] = (".npy", buffer.getvalue())
    if "hdf5" in kinds:
        made["hdf5"] = (".h5", _hdf5(prediction))
    if "regions" in kinds and scores:
        scale = picture.shape[1] / prediction.image.shape[1]
        made["regions"] = ("_regions.jpg", _encoded(".jpg", draw_regions(overlay(picture, shown[0]), scores, scale)))
    for kind, suffix in (("gif", "_time.gif"), ("apng", "_time.png")):
        if kind in kinds and prediction.windows is not None:
            made[kind] = (suffix, animation(prediction, kind))
    return made


def write(made: Mapping[str, tuple[str, bytes]], target: Path) -> dict[str, str]:
    """Write the files of :func:`encode`.

    Args:
        made: what it is → suffix, content.
        target: the folder and the beginning of the names.

    Returns:
        what it is → name of the file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    names = {}
    for kind, (suffix, content) in made.items():
        names[kind] = f"{target.name}{suffix}"
        write_bytes(target.parent / names[kind], content)
    return names


def jpeg(picture: np.ndarray) -> bytes:
    """An RGB picture as JPEG."""
    return _encoded(".jpg", picture)


def _shown(picture: np.ndarray) -> np.ndarray:
    """Not longer than a picture may be."""
    longest = max(picture.shape[:2])
    if longest <= _LONGEST:
        return picture
    height, width = (max(1, round(n * _LONGEST / longest)) for n in picture.shape[:2])
    return resize_image(picture, (height, width))


def _encoded(suffix: str, picture: np.ndarray) -> bytes:
    """PNG or JPEG of RGB or grey."""
    turned: Callable[[np.ndarray], np.ndarray] = (
        (lambda p: cv2.cvtColor(p, cv2.COLOR_RGB2BGR)) if picture.ndim == 3 else np.ascontiguousarray
    )
    done, code = cv2.imencode(suffix, turned(picture))
    if not done:
        raise OSError(f"OpenCV could not encode a {suffix} picture of {picture.shape}")
    return code.tobytes()


def _hdf5(prediction: Prediction) -> bytes:
    import h5py  # only here: it is slow to import

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        data = file.create_dataset("log_density", data=prediction.log_density.numpy(), compression="gzip", shuffle=True)
        data.attrs["axes"] = "window, y, x"
        data.attrs["unit"] = "natural logarithm of the density per pixel; exp sums to 1"
        if prediction.windows is not None:
            file.create_dataset("windows", data=np.array(prediction.windows)).attrs["unit"] = "seconds"
    return buffer.getvalue()
