"""Train, evaluate and publish models of human fixations: images, viewing time, and video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saliency_pred.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from saliency_pred.inference.predictor import Predictor

__all__ = ["__version__", "load"]


def load(name: str | Path = "default", *, time: bool = False, device: str | None = None) -> Predictor:
    """A model that predicts where people look: ``load().predict("photo.jpg").overlay()``.

    Args:
        name: ``default``, the weights that ship with the package (``lite2`` is the larger one of them), or a
            checkpoint, a ``.safetensors`` file or a folder of ``save_pretrained``.
        time: the shipped model with a density for each second of viewing.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; None: the best there is.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no model of this package.
        OSError: a package that the shipped weights need is not installed; the message names it.

    See :meth:`saliency_pred.inference.predictor.Predictor.load` for more settings.
    """
    from saliency_pred.inference.predictor import Predictor  # imports PyTorch: only when it is needed

    return Predictor.load(name, time=time, device=device)
