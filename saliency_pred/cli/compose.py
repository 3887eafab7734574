"""Composing a command's configuration, with errors a person can act on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import entry_points
from importlib.resources import files

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

CONFIGS = "saliency_pred.configs"


def compose(command: str, overrides: list[str]) -> DictConfig:
    """Compose ``configs/COMMAND.yaml`` with overrides.

    Raises:
        ValueError: an override that does not parse, a choice or key that does not exist; the message
            suggests the nearest one.
    """
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_module(CONFIGS, version_base="1.3"):
            cfg = hydra.compose(command, overrides + search_path(overrides))
            OmegaConf.resolve(cfg)  # a missing interpolation is found here, not in the middle of the work
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(explain(command, str(error), overrides)) from error
    return cfg


def search_path(overrides: list[str]) -> list[str]:
    """The override that makes config groups of other installed packages known, if there are any."""
    if any(o.startswith("hydra.searchpath=") for o in overrides):
        return []
    packages = sorted(f"pkg://{e.value}" for e in entry_points(group=CONFIGS))
    return [f"hydra.searchpath=[{','.join(packages)}]"] if packages else []


def show(cfg: DictConfig) -> str:
    """The configuration as YAML."""
    return OmegaConf.to_yaml(cfg)


def explain(command: str, message: str, overrides: Sequence[str] = ()) -> str:
    """Hydra's message, cut to its point, with a suggestion."""
    spoken = command.replace("_", " ")  # data_verify.yaml is of `saliency data verify`
    if match := re.search(
        r"Could not find '([^']+)'.*?Available options in '([^']+)':\s*(.*?)\n*(?:Config search|$)", message, re.S
    ):
        wanted, group, options = match[1], match[2], match[3].split()
        return f"{group}={wanted.rsplit('/', 1)[-1]} does not exist{_nearest(wanted.rsplit('/', 1)[-1], options)}"
    if match := re.search(r"Could not override '([^']+)'", message):
        key = match[1]
        near = _nearest(key, _keys(command, overrides))
        return f"there is no setting '{key}'{near} (saliency {spoken} --cfg job lists all)"
    if match := re.search(r"Missing mandatory value: (\S+)", message):
        return f"{match[1]} must be given: saliency {spoken} ... {match[1]}=VALUE"
    if "mismatched input" in message or "extraneous input" in message or "token recognition" in message:
        last = message.strip().splitlines()[-1]
        return f"cannot read a setting: {last}. Quote values with spaces or commas: 'key=\"a, b\"'"
    return " ".join(
        line.strip() for line in message.strip().splitlines() if line.strip() and "HYDRA_FULL_ERROR" not in line
    )


def _nearest(wanted: str, options: list[str]) -> str:
    near = get_close_matches(wanted, options, n=3, cutoff=0.5)
    if not near:  # the right leaf in another branch
        leaf = wanted.rsplit(".", 1)[-1]
        near = [o for o in options if o.rsplit(".", 1)[-1] == leaf][:3]
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; choose from {', '.join(options)}" if 0 < len(options) <= 30 else ""


def _keys(command: str, overrides: Sequence[str]) -> list[str]:
    """Every setting of the command with the groups that were chosen (``data=osie``), dotted."""
    groups = [o for o in overrides if (files(CONFIGS) / o.split("=", 1)[0]).is_dir()]
    with hydra.initialize_config_module(CONFIGS, version_base="1.3"):
        cfg = hydra.compose(command, groups)
    keys: list[str] = []

    def walk(node: object, prefix: str) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                keys.append(f"{prefix}{key}")
                walk(value, f"{prefix}{key}.")

    walk(OmegaConf.to_container(cfg, resolve=False), "")
    return keys
