"""Train, evaluate and publish models of human fixations: images, viewing time, and video."""

from saliency_pred.version import __version__

__all__ = ["__version__"]
