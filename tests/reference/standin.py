"""Stand-in weights and inputs: values that depend on a tensor's name and shape alone.

Frozen outputs of published networks were made with these values, so a network under test is compared without
any published weights: build it, fill every ``state_dict`` entry by its published name, run it on
`input_for`, compare with the numbers in this folder.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor


def tensor_for(name: str, shape: Iterable[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the stand-in value of the ``state_dict`` entry `name` with this `shape`.

    With n standard normal, drawn by NumPy's legacy generator seeded with crc32(name): 1 + 0.1 |n| for a
    ``running_var``; 0.1 n for a ``running_mean``, for every name whose last part ends in ``bias``, and for
    other entries with at most one axis; 1 + 0.1 n for a one-axis ``weight``; n / sqrt(fan in) where there are
    two axes or more, the fan in being the product of all axes but the first.
    """
    shape = tuple(shape)
    n = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    last = name.split(".")[-1]
    if last == "running_var":
        value = 1 + 0.1 * np.abs(n)
    elif last == "running_mean" or last.endswith("bias"):
        value = 0.1 * n
    elif last == "weight" and len(shape) == 1:
        value = 1 + 0.1 * n
    elif len(shape) > 1:
        value = n / math.sqrt(math.prod(shape[1:]))
    else:
        value = 0.1 * n
    # Rounded to float32 first: the frozen outputs, the float64 ones too, were made from float32 values.
    return torch.from_numpy(np.asarray(value, dtype=np.float32)).to(dtype)


def input_for(shape: Iterable[int], seed: int = 0) -> Tensor:
    """Return a float32 input: 0.7 x coarse noise in blocks of 8x8 (last two axes) + 0.3 x fine noise."""
    *lead, height, width = shape
    generator = np.random.RandomState(seed)
    coarse = generator.standard_normal((*lead, math.ceil(height / 8), math.ceil(width / 8)))
    fine = generator.standard_normal((*lead, height, width))
    blocks = np.repeat(np.repeat(coarse, 8, axis=-2), 8, axis=-1)[..., :height, :width]
    return torch.from_numpy((0.7 * blocks + 0.3 * fine).astype(np.float32))
