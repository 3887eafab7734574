"""From a config to an object: the one place where ``_target_`` becomes code.

A config travels inside checkpoints, and a ``_target_`` can name any callable; only those of this package,
of the libraries it builds on, and of packages that registered config groups are called.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException
from omegaconf import DictConfig, ListConfig, OmegaConf

ALLOWED = ("saliency_pred.", "torch.nn.", "torch.optim.", "pytorch_lightning.", "timm.", "albumentations.")


def instantiate(config: DictConfig | dict[str, Any], **overrides: Any) -> Any:
    """Build the object that ``config._target_`` names, with the other keys as its arguments.

    Args:
        config: with ``_target_``, possibly nested.
        **overrides: further arguments, winning over those of the config.

    Raises:
        ValueError: a ``_target_`` outside the allowed packages, or one that cannot be found.
        Exception: whatever the object's constructor raises.
    """
    node = config if isinstance(config, DictConfig) else OmegaConf.create(config)
    allowed = ALLOWED + tuple(f"{e.value.split('.')[0]}." for e in entry_points(group="saliency_pred.configs"))
    for target in _targets(OmegaConf.to_container(node, resolve=False)):
        if not target.startswith(allowed):
            raise ValueError(
                f"_target_: {target} is refused: a config may only build things from {', '.join(ALLOWED)} "
                "and from installed packages with a 'saliency_pred.configs' entry point"
            )
    try:
        return hydra.utils.instantiate(node, _convert_="all", **overrides)
    except InstantiationException as wrapped:
        problem: BaseException = wrapped
        while isinstance(problem, InstantiationException) and problem.__cause__ is not None:
            problem = problem.__cause__
        if isinstance(problem, InstantiationException):  # Hydra's own: a _target_ that cannot be found, for instance
            raise ValueError(" ".join(str(problem).split())) from None
        raise problem from None  # what the component itself said


def _targets(node: Any) -> list[str]:
    if isinstance(node, dict | DictConfig):
        own = [str(node["_target_"])] if "_target_" in node else []
        return own + [t for value in node.values() for t in _targets(value)]
    if isinstance(node, list | ListConfig):
        return [t for value in node for t in _targets(value)]
    return []
