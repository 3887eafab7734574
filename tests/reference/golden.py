"""Frozen outputs of published networks: `networks/NAME.json` (names, shapes) and `NAME.npz` (outputs).

The numbers were made by running each official network (the json's ``source``), filled with the stand-in
weights of ``standin.py``, on the stand-in input of the case. ``_s4`` is every fourth row and column of an
output, ``_s8`` every eighth, ``_win`` a block in its middle.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from reference.standin import tensor_for
from torch import Tensor, nn

from saliency_pred.instantiate import instantiate
from saliency_pred.model import SaliencyModel
from saliency_pred.weights.checkpoint import build_decoder

NETWORKS = Path(__file__).parent / "networks"
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
RECOMPUTED = ("num_batches_tracked", "relative_position_index", "decoder.centre_bias")
"""Buffers that official weights lack: counters, Swin's table of window positions, a fitted centre bias."""


def manifest(name: str) -> dict[str, Any]:
    """Names and shapes of a published network's tensors, and its parameter count."""
    return json.loads((NETWORKS / f"{name}.json").read_text())


def outputs(name: str) -> dict[str, Tensor]:
    """What the published network gave."""
    with np.load(NETWORKS / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def stand_in(entries: dict[str, list[int]], prefix: str = "") -> dict[str, Tensor]:
    """Stand-in values by published names."""
    return {prefix + name: tensor_for(prefix + name, shape) for name, shape in entries.items()}


def config(group: str, name: str) -> Any:
    """A component's config, without pretrained weights."""
    loaded = OmegaConf.load(CONFIGS / group / f"{name}.yaml")
    if group == "encoder":
        parts = [loaded, *loaded.get("encoders", {}).values()]
        for part in parts + [part.encoder for part in parts if "encoder" in part]:
            if "weights" in part:
                part.weights = "none"
    return loaded


def build(encoder: str, decoder: str, **options: Any) -> SaliencyModel:
    """A model in evaluation mode from two config names, with random weights."""
    made = instantiate(config("encoder", encoder))
    head = build_decoder(config("decoder", decoder), made, **options)
    return SaliencyModel(made, head).eval()


def published(name: str, state: dict[str, Tensor], **options: Any) -> SaliencyModel:
    """The model of `saliency_pred.weights.published.NAME` with an official state_dict in it, strictly."""
    importer = importlib.import_module(f"saliency_pred.weights.published.{name}")
    model = build(importer.CONFIG["encoder"], importer.CONFIG["decoder"], **options)
    missing, unexpected = model.load_state_dict(importer.convert(state), strict=False)
    missing = [entry for entry in missing if not entry.endswith(RECOMPUTED)]
    assert (missing, unexpected) == ([], [])
    return model


def parameters(module: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(p.numel() for p in module.parameters())


def windowed(output: Tensor, row: int, column: int) -> Tensor:
    """The 64 x 64 block at (row, column)."""
    return output[..., row : row + 64, column : column + 64]
