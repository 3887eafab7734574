"""From a config to an object: the one place where ``_target_`` becomes code.

A config travels inside checkpoints, and a ``_target_`` can name any callable; only classes that this package,
the libraries it builds on, or packages that registered config groups define are built. What a module has
merely imported is not its own: ``saliency_pred.cli.os.system`` is refused as ``os.system`` is.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from inspect import Parameter, signature
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

ALLOWED = ("saliency_pred.", "torch.nn.", "torch.optim.", "pytorch_lightning.", "timm.", "albumentations.")


def instantiate(config: DictConfig | dict[str, Any], **overrides: Any) -> Any:
    """Build the object that ``config._target_`` names, with the other keys as its arguments.

    Args:
        config: with ``_target_``, possibly nested.
        **overrides: further arguments, winning over those of the config.

    Raises:
        ValueError: a ``_target_`` that is no class of the allowed packages or cannot be found, or an
            interpolation that cannot be resolved.
        Exception: whatever the object's constructor raises.
    """
    node = config if isinstance(config, DictConfig) else OmegaConf.create(config)
    # An interpolation can bring in a node from elsewhere in a file, so what is checked must be resolved, and
    # what was checked must not be resolved again.
    resolved = OmegaConf.to_container(node, resolve=True)
    for value in _values(resolved):
        if isinstance(value, str) and "${" in value:
            raise ValueError(f"{value!r} is refused: a value may not be an interpolation after it has been resolved")
    for target in _targets(resolved):
        _allowed(target)
    try:
        return hydra.utils.instantiate(resolved, _convert_="all", **overrides)
    except InstantiationException as wrapped:
        problem: BaseException = wrapped
        while isinstance(problem, InstantiationException) and problem.__cause__ is not None:
            problem = problem.__cause__
        if isinstance(problem, InstantiationException):  # Hydra's own: a _target_ that cannot be found, for instance
            raise ValueError(" ".join(str(problem).split())) from None
        raise problem from None  # what the component itself said


def parameter(config: DictConfig | dict[str, Any], name: str) -> Parameter | None:
    """An argument of the constructor that ``config._target_`` names; None if it has none of this name.

    Raises:
        ValueError: as :func:`instantiate`.
    """
    return signature(_allowed(str(config["_target_"]))).parameters.get(name)


def _allowed(target: str) -> type:
    """The class of this dotted name, if configs may build it."""
    allowed = ALLOWED + tuple(f"{e.value.split('.')[0]}." for e in entry_points(group="saliency_pred.configs"))
    if not target.startswith(allowed) or not f"{_class(target).__module__}.".startswith(allowed):
        raise ValueError(
            f"_target_: {target} is refused: a config may only build objects of classes from "
            f"{', '.join(ALLOWED)} and from installed packages with a 'saliency_pred.configs' entry point"
        )
    return _class(target)


def _class(target: str) -> type:
    """The class of this dotted name, which need not be defined where it is named."""
    module, _, name = target.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"_target_: {target} cannot be found ({error})") from error
    if not isinstance(found, type):
        raise ValueError(f"_target_: {target} is refused: it is no class but {type(found).__name__}")
    return found


def _targets(node: Any) -> list[str]:
    """Every ``_target_`` of a resolved config."""
    own = [str(node["_target_"])] if isinstance(node, dict) and "_target_" in node else []
    return own + [target for child in _children(node) for target in _targets(child)]


def _values(node: Any) -> list[Any]:
    """Every value of a resolved config that is no dict or list."""
    if isinstance(node, dict | list):
        return [value for child in _children(node) for value in _values(child)]
    return [node]


def _children(node: Any) -> list[Any]:
    return list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
