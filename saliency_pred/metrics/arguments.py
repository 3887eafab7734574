"""What every metric asks of its arguments: checked once, refused by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from saliency_pred.fixations import Fixations
from saliency_pred.metrics.stack import Numbers, Places, Stack, stacks

LOG_TOLERANCE = 1e-3
"""How far the logarithm of a density's sum may be from 0 (the MIT/Tübingen benchmark's rule)."""


def check_maps(maps: Tensor) -> Tensor:
    """Refuse what is no stack of maps; their pixels are looked at by :class:`~saliency_pred.metrics.stack.Stack`.

    Args:
        maps: (M, H, W), float32 or float64.

    Returns:
        the maps without their history of gradients.

    Raises:
        TypeError: of another kind or type.
        ValueError: without pixels.
    """
    if not isinstance(maps, Tensor) or maps.ndim != 3 or not maps.is_floating_point():
        given = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise TypeError(f"maps must be a floating-point tensor (M, H, W), got {given}")
    if maps.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"metrics need float32 or float64 maps, got {maps.dtype}: convert with .float()")
    if maps.shape[1] == 0 or maps.shape[2] == 0:
        raise ValueError(f"maps {tuple(maps.shape)} have no pixels")
    return maps.detach()


def places_on(maps: Tensor, fixations: Fixations, role: str = "fixations") -> Places:
    """Where fixations lie on maps, refused if they are none or of others.

    Args:
        role: what the argument is called.

    Raises:
        TypeError: something else, such as a density.
        ValueError: of another number of maps, another size or on another device; outside.
    """
    if not isinstance(fixations, Fixations):
        raise TypeError(
            f"{role} must be Fixations, got {type(fixations).__name__}; a density is not a set of fixations"
        )
    if fixations.num_maps != len(maps):
        raise ValueError(f"{len(maps)} maps but {role} of {fixations.num_maps}")
    if fixations.device != maps.device:
        raise ValueError(f"maps are on {maps.device}, {role} on {fixations.device}: {role}.to(maps.device)")
    height, width = maps.shape[1:]
    sizes = fixations.size.tolist()
    if any(size != [height, width] for size in sizes):
        raise ValueError(f"maps are {(height, width)}, the images of the {role} {sizes[:3]}")
    return Places.of(fixations, (height, width))


def check_truth(truth: Stack) -> None:
    """Refuse human densities that nothing can be scored against.

    Raises:
        ValueError: one has negative pixels or is zero everywhere.
    """
    wrong = np.flatnonzero((truth.low < 0) | (truth.high == 0))
    if len(wrong):
        m = int(wrong[0])
        if truth.low[m] < 0:
            number = int((truth.maps[m] < 0).sum())
            raise ValueError(f"{truth.called(m)} has {number} negative pixels: it is none")
        raise ValueError(f"{truth.called(m)} is zero everywhere")


def check_log_density(stack: Stack) -> None:
    """Refuse what are no log densities.

    Args:
        stack: natural logarithms.

    Raises:
        ValueError: the logarithm of a sum is off by ``LOG_TOLERANCE`` or more.
    """
    wrong = np.flatnonzero(~(np.abs(stack.log_sums) < LOG_TOLERANCE))
    if len(wrong):
        m = int(wrong[0])
        raise ValueError(
            f"{stack.called(m)} is no log density, the logarithm of its sum is {stack.log_sums[m]:.4g} and "
            f"may be off by {LOG_TOLERANCE:g}; density.log_normalise makes one of logits, map.div(map.sum()).log() "
            "of a map"
        )


def against_fixations(maps: Tensor, fixations: Fixations, some: Callable[[Stack, Places], Numbers]) -> Tensor:
    """(M,) float64 of ``some`` maps at a time and their fixations."""
    maps = check_maps(maps)
    places = places_on(maps, fixations)
    return joined([some(stack, places) for stack in stacks(maps, places.most)], maps)


def against_density(maps: Tensor, density: Tensor, some: Callable[[Stack, Stack], Numbers]) -> Tensor:
    """(M,) float64 of ``some`` maps at a time and their human densities.

    Raises:
        TypeError: fixations where a density is needed.
        ValueError: shapes differ; see :func:`check_truth`.
    """
    if isinstance(density, Fixations):
        raise TypeError("a density map is needed, got Fixations; blur them first (density.fixation_density)")
    maps, density = check_maps(maps), check_maps(density)
    if maps.shape != density.shape:
        raise ValueError(f"maps {tuple(maps.shape)} and densities {tuple(density.shape)} must have the same shape")
    values = []
    for stack, truth in zip(stacks(maps), stacks(density, name="the human density of map {}"), strict=True):
        check_truth(truth)
        values.append(some(stack, truth))
    return joined(values, maps)


def joined(values: list[Numbers], maps: Tensor) -> Tensor:
    """(M,) float64 on the maps' device."""
    together = np.concatenate(values) if values else np.zeros(0)
    return torch.from_numpy(together).to(maps.device)
