"""Official checkpoints: from their files to a model of this package.

An importer is a file beside this one with ``CONFIG`` (names of the encoder and decoder configs, and settings
that go with them) and ``convert`` (official tensors, by their official names -> a SaliencyModel's), or
``convert_files`` where a network is made of files with the same names in them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import saliency_pred.weights.published as importers

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
"""Keys under which training scripts put a state_dict beside their optimiser's state."""

NOT_PUBLISHED = ("num_batches_tracked", "relative_position_index", "decoder.centre_bias")
"""Buffers that may be absent: counters that only training reads, Swin's constant, a fitted centre bias."""

SHOWN = 8


def names() -> list[str]:
    """The networks whose official checkpoints can be imported."""
    modules = [module.name for module in pkgutil.iter_modules(importers.__path__)]
    return [name for name in modules if hasattr(importlib.import_module(f"{importers.__name__}.{name}"), "CONFIG")]


def importer(name: str) -> ModuleType:
    """The module of one network.

    Raises:
        ValueError: there is none of this name.
    """
    known = names()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}"
        raise ValueError(f"no official checkpoint of {name!r} can be imported; {hint}")
    return importlib.import_module(f"{importers.__name__}.{name}")


def read(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name from a PyTorch file, a ``.safetensors`` or a ``.npz`` (TensorFlow variables).

    A state_dict inside a training script's dictionary is found, and leading ``module.`` (DataParallel)
    removed. Pickles are read as tensors only; nothing in them is run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no tensors, or more than tensors and plain data.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                content = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged file leads the unpickler anywhere: IndexError, struct.error, AssertionError
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"{path} is damaged or holds more than tensors ({reason}). A file that pickles a whole model can "
            f"run any code when it is opened; save its state_dict() where you trust it, and import that"
        ) from error
    state = _state_dict(content)
    if state is None:
        raise ValueError(f"{path} holds no named tensors (a state_dict), but {type(content).__name__}")
    while state and all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    return state


def _state_dict(content: Any) -> dict[str, Tensor] | None:
    if not isinstance(content, Mapping):
        return None
    for key in WRAPPERS:
        inner = _state_dict(content.get(key))
        if inner:
            return inner
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    return tensors or None


def fill(model: nn.Module, converted: Mapping[str, Tensor], source: str) -> None:
    """Load converted tensors into a model, all of them and nothing else.

    Args:
        model: receives the weights.
        converted: what an importer's ``convert`` gave.
        source: what to call the file in an error.

    Raises:
        ValueError: tensors are unknown, missing or of another shape; each kind is listed.
    """
    own = model.state_dict()
    unknown = sorted(set(converted) - set(own))
    missing = sorted(n for n in set(own) - set(converted) if not n.endswith(NOT_PUBLISHED))
    misshaped = [
        f"{name} {tuple(value.shape)}, expected {tuple(own[name].shape)}"
        for name, value in converted.items()
        if name in own and value.shape != own[name].shape
    ]
    complaints = [
        f"{len(found)} {kind}: {', '.join(found[:SHOWN])}{', ...' if len(found) > SHOWN else ''}"
        for kind, found in (("unknown", unknown), ("missing", missing), ("of another shape", misshaped))
        if found
    ]
    if complaints:
        raise ValueError(f"{source} is not a checkpoint of this network. Tensors " + "; ".join(complaints))
    model.load_state_dict(converted, strict=False)


def convert(name: str, paths: Sequence[str | Path]) -> dict[str, Tensor]:
    """Official files of one network -> a SaliencyModel's tensors.

    Args:
        name: of an importer.
        paths: its files; most networks have one.

    Raises:
        ValueError, FileNotFoundError: see :func:`importer` and :func:`read`.
    """
    module = importer(name)
    if hasattr(module, "convert_files"):
        return dict(module.convert_files(*map(read, paths)))
    state: dict[str, Tensor] = {}
    for path in paths:
        tensors = read(path)
        twice = sorted(set(state) & set(tensors))
        if twice:
            raise ValueError(f"{path} repeats tensors of the files before it: {', '.join(twice[:SHOWN])}")
        state |= tensors
    converted: dict[str, Tensor] = module.convert(state)
    return converted
