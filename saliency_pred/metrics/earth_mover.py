"""The earth mover's distance of two maps, exactly."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array, vstack
from torch import Tensor

from saliency_pred.metrics.arguments import against_density
from saliency_pred.metrics.stack import Numbers, Stack

_ROUNDING = 1e-15
"""Mass below this is left over from dividing by sums and is not worth moving."""


def emd(maps: Tensor, density: Tensor, shrink: int = 32) -> Tensor:
    """(M,) least work that turns the map into the density, in pixels of the original per unit of mass; exact.

    Rubner et al., "The earth mover's distance as a metric for image retrieval" (2000). Both maps are divided by
    their sums and added up over ceil(H / shrink) by ceil(W / shrink) equal cells, pixels being shared by area;
    the ground distance is the Euclidean one between cells, each of which counts as ``shrink`` pixels wide and
    high. ``EMD.m`` of the MIT benchmark counts in cells of 32 and shrinks by a cubic filter, so its figures are
    about 1 / 32 of these.

    Args:
        maps, density: (M, H, W), any scale (an all-zero map is uniform, negative ones are shifted).
        shrink: 1 is exact on the original pixels but takes time with the square of their number; 32 leaves
            300 cells of a 480 x 640 map and takes a second. Part of the result.
    """
    if not isinstance(shrink, int) or shrink < 1:
        raise ValueError(f"shrink must be an integer of at least 1, got {shrink}")
    return against_density(maps, density, lambda stack, truth: least_work(stack, truth, shrink))


def least_work(stack: Stack, truth: Stack, shrink: int = 32) -> Numbers:
    """(C,) :func:`emd`."""
    size = stack.maps.shape[1:]
    down, across = (area_shares(length, -(-length // shrink)).to(stack.maps.device) for length in size)
    cells = [(down @ some.density.double() @ across.T).cpu().numpy() for some in (stack, truth)]
    return np.array([shrink * transport(*pair) for pair in zip(*cells, strict=True)])


def area_shares(length: int, cells: int) -> Tensor:
    """(cells, length) float64: which share of each pixel lies in each of equal cells; columns sum to 1."""
    edges = torch.arange(cells + 1, dtype=torch.float64) * (length / cells)
    pixel = torch.arange(length, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
    shares = overlap.clamp(min=0)
    return shares / shares.sum(0)


def transport(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Least work between two (h, w) maps of equal mass, in cells.

    The distance obeys the triangle inequality, so what both maps have in a cell stays there: only the
    differences are moved, which leaves a quarter of the unknowns.
    """
    difference = (a - b).ravel()
    sources, sinks = np.flatnonzero(difference > _ROUNDING), np.flatnonzero(difference < -_ROUNDING)
    if len(sources) == 0 or len(sinks) == 0:
        return 0.0
    centres = np.stack(np.unravel_index(np.arange(a.size), a.shape), axis=1).astype(np.float64)
    distance = np.linalg.norm(centres[sources, None] - centres[None, sinks], axis=2)
    supply, demand = difference[sources], -difference[sinks]
    total = supply.sum()
    supply, demand = supply / total, demand / demand.sum()
    m, n = distance.shape
    unknown = np.arange(m * n)
    leaves = coo_array((np.ones(m * n), (unknown // n, unknown)), shape=(m, m * n))
    arrives = coo_array((np.ones(m * n), (unknown % n, unknown)), shape=(n, m * n))
    # One equation follows from the others; without it rounding cannot make them contradict each other.
    found = linprog(
        distance.ravel(),
        A_eq=vstack([leaves, arrives]).tocsr()[:-1],
        b_eq=np.concatenate([supply, demand])[:-1],
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if not found.success:
        raise RuntimeError(f"the transport problem of {m} x {n} cells was not solved: {found.message}")
    return float(found.fun * total)
