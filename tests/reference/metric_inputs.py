"""Maps, densities and fixations of the golden cases, rebuilt from a few numbers.

A map is a sum of Gaussian bumps on the unit square, stretched to [0, 1] and rounded to multiples of 2^-24, so that
float32 holds it exactly. ``metric_inputs.npz`` has the bumps (weight, centre y, centre x, sigma y, sigma x) and the
fixated pixels (row, column) of nine scenes; the edge cases are changes of one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GRID = float(2**24)
SIZES = {
    "s480a": (480, 640),
    "s480b": (480, 640),
    "s479": (479, 641),
    "s333": (333, 250),
    "s720": (720, 1280),
    "t48": (48, 64),
    "t37": (37, 53),
    "e_base": (60, 80),
    "e_allfix": (12, 16),
}


@dataclass(frozen=True)
class Case:
    """A predicted map, a human density, a baseline (H, W); fixated pixels (n, 2) of it and of other images."""

    prediction: Array
    density: Array
    baseline: Array
    fixations: NDArray[np.int64]
    others: NDArray[np.int64]


def stretch(values: Array) -> Array:
    """To [0, 1] on the grid of 2^-24."""
    values = values - values.min()
    values = values / values.max()
    return np.rint(values * GRID) / GRID


def bumps(size: tuple[int, int], parameters: Array) -> Array:
    """Sum of Gaussians at the pixel centres of the unit square."""
    y, x = ((np.arange(length) + 0.5) / length for length in size)
    total = np.zeros(size)
    for weight, centre_y, centre_x, sigma_y, sigma_x in parameters:
        down = np.exp(-((y - centre_y) ** 2) / (2 * sigma_y * sigma_y))
        across = np.exp(-((x - centre_x) ** 2) / (2 * sigma_x * sigma_x))
        total += weight * np.outer(down, across)
    return total


def scenes() -> dict[str, Case]:
    """The nine scenes."""
    with np.load(Path(__file__).with_name("metric_inputs.npz")) as file:
        stored = dict(file)
    found = {}
    for name, size in SIZES.items():
        maps = [stretch(bumps(size, stored[f"{name}/{kind}"])) for kind in ("prediction", "density", "baseline")]
        found[name] = Case(
            *maps[:2],
            np.maximum(maps[2], 1 / GRID),
            stored[f"{name}/fixations"].astype(np.int64),
            stored[f"{name}/others"].astype(np.int64),
        )
    every = np.stack(np.unravel_index(np.arange(12 * 16), (12, 16)), axis=1)
    found["e_allfix"] = replace(found["e_allfix"], fixations=every)
    found["e_dup"] = replace(found["e_base"], fixations=stored["e_dup/fixations"].astype(np.int64))
    return found


def cases() -> dict[str, Case]:
    """The scenes and what was made of the scene ``e_base``."""
    found = scenes()
    base = found["e_base"]
    map_, fixated = base.prediction, base.fixations
    one = np.zeros_like(map_)
    one[tuple(fixated[3])] = 1
    height, width = map_.shape
    edge = [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1), (0, 5), (17, 0), (height - 1, 30)]
    predictions = {
        "e_const": np.full_like(map_, 0.5),
        "e_zero": np.zeros_like(map_),
        "e_equal": base.density,
        "e_anti": 1 - base.density,
        "e_u8": np.floor(map_ * 255),
        "e_u8few": np.floor(map_ * 7.999),
        "e_sparse": np.where(map_ > np.quantile(map_, 0.9), map_, 0.0),
        "e_onehot_hit": one,
        "e_neg": map_ - 0.5,
        "e_tiny": map_ * 2.0**-30,
        "e_big": map_ * 256,
        "e_offset": map_ + 4,
        "e_plateau": np.rint(np.clip(map_ * 3 - 1, 0, 1) * GRID) / GRID,
    }
    fixations = {
        "e_single": fixated[:1],
        "e_two": fixated[:2],
        "e_border": np.array([*edge, (40, width - 1)]),
        "e_dupall": np.repeat(fixated[:1], 10, axis=0),
        "e_nofix": np.zeros((0, 2), np.int64),
    }
    for name, bad in (("e_nan", np.nan), ("e_inf", np.inf)):
        predictions[name] = map_.copy()
        predictions[name][5, 7] = bad
    found |= {name: replace(base, prediction=value) for name, value in predictions.items()}
    found |= {name: replace(base, fixations=value) for name, value in fixations.items()}
    found["e_gtconst"] = replace(base, density=np.full_like(map_, 0.5))
    found["e_gtzero"] = replace(base, density=np.zeros_like(map_))
    found["e_allzero"] = replace(found["e_zero"], density=np.zeros_like(map_))
    return found
