"""Renaming official tensors: what importers of PyTorch checkpoints share."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor


def substitute(state: dict[str, Tensor], rules: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Apply regular-expression substitutions, in order, to every name of a state_dict.

    Names that no rule fits stay as they are; loading the result into a model lists them as unknown.

    Raises:
        ValueError: two tensors end up with one name.
    """
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        target = name
        for pattern, replacement in compiled:
            target = pattern.sub(replacement, target)
        if target in renamed:
            raise ValueError(f"two tensors would be called {target}; one of them is {name}")
        renamed[target] = value
    return renamed


def without(state: dict[str, Tensor], pattern: str) -> dict[str, Tensor]:
    """The tensors whose names do not match ``pattern`` from their beginning."""
    return {name: value for name, value in state.items() if not re.match(pattern, name)}


def merge_attention(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Separate ``query``, ``key`` and ``value`` projections -> ``in_proj`` of ``nn.MultiheadAttention``.

    ``P.query.weight``, ``P.key.weight``, ``P.value.weight`` become ``P.in_proj_weight``; biases likewise.
    """
    merged = {}
    for name, value in state.items():
        match = re.fullmatch(r"(.*)\.(query|key|value)\.(weight|bias)", name)
        if match is None:
            merged[name] = value
        elif match[2] == "query":
            others = [f"{match[1]}.{part}.{match[3]}" for part in ("key", "value")]
            absent = [other for other in others if other not in state]
            if absent:
                raise ValueError(f"{name} is there, but not {' and '.join(absent)}")
            merged[f"{match[1]}.in_proj_{match[3]}"] = torch.cat([value, *(state[other] for other in others)])
    return merged
