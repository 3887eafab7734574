"""Beginning a training from the weights of earlier ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from saliency_pred.model import SaliencyModel
from saliency_pred.weights.checkpoint import load_checkpoint


def start_from(model: SaliencyModel, source: str | Path | Sequence[Mapping[str, str]]) -> None:
    """Load weights into a model, or into parts of it.

    Args:
        model: receives the weights.
        source: a checkpoint of the same network; or a list of mappings with ``ckpt``, ``part`` (a module of
            that checkpoint's model, e.g. ``encoder``; default: all) and ``into`` (the module of ``model``
            that receives it; default: the same as ``part``).

    Raises:
        FileNotFoundError: a checkpoint does not exist.
        ValueError: a part does not exist, or does not fit.
    """
    pieces: Sequence[Mapping[str, str]] = [{"ckpt": str(source)}] if isinstance(source, str | Path) else source
    for piece in pieces:
        extra = set(piece) - {"ckpt", "part", "into"}
        if extra or "ckpt" not in piece:
            raise ValueError(f"init takes ckpt, part and into, and ckpt always; got {dict(piece)}")
        part = piece.get("part", "")
        into = piece.get("into", part)
        loaded = load_checkpoint(piece["ckpt"])
        given = _part(loaded.model, part, piece["ckpt"])
        receiver = _part(model, into, "the model to be trained")
        try:
            receiver.load_state_dict(given.state_dict())
        except RuntimeError as error:
            raise ValueError(
                f"{part or 'the model'} of {piece['ckpt']} does not fit {into or 'this model'}: {error}"
            ) from error


def _part(model: SaliencyModel, name: str, owner: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        parts = ", ".join(n for n, _ in model.named_modules() if n and n.count(".") < 2)
        raise ValueError(f"{owner} has no part {name!r}; it has {parts}") from error
