"""Checkpoints: a model from a file alone, and back.

A ``.ckpt`` of a training run and a ``.safetensors`` file both carry the configuration as a YAML string, so
the file is all that prediction and scoring need. Nothing is unpickled that could run code.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import Any

import torch
import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from saliency_pred.atomic import write_bytes
from saliency_pred.density import CentreBias
from saliency_pred.instantiate import instantiate, parameter
from saliency_pred.model import SaliencyModel

CONFIG_KEY = "saliency_pred_config"
"""Under this key a file holds the resolved configuration."""


@dataclass(frozen=True)
class Checkpoint:
    """A model with what is known of its training.

    Attributes:
        model: in evaluation mode.
        config: resolved; its ``encoder``, ``decoder`` and ``prior`` describe the model, ``loader`` the
            input size.
        centre_bias: of the training images; None if the file has none.
        path: the file.
    """

    model: SaliencyModel
    config: DictConfig
    centre_bias: CentreBias | None
    path: Path


def build_model(config: DictConfig) -> SaliencyModel:
    """The model that ``encoder``, ``decoder`` and ``prior`` describe."""
    encoder = instantiate(config.encoder)
    decoder = build_decoder(config.decoder, encoder)
    _check_clips(decoder, config.get("loader", {}).get("clips"))
    prior = config.get("prior")
    if prior is None or prior.get("_target_") is None:
        return SaliencyModel(encoder, decoder)
    return SaliencyModel(encoder, decoder, instantiate(prior, num_windows=decoder.num_windows))


def build_decoder(config: DictConfig, encoder: Any, **options: Any) -> Any:
    """A decoder for the features of an encoder.

    Args:
        config: of the decoder.
        encoder: with ``channels``, ``strides``, and ``time_strides`` if it encodes clips.
        **options: further arguments of the decoder.

    Raises:
        ValueError: a decoder of clips, and an encoder of still images.
    """
    known = {"channels": encoder.channels, "strides": encoder.strides}
    time_strides = parameter(config, "time_strides")
    if time_strides is not None and hasattr(encoder, "time_strides"):
        known["time_strides"] = encoder.time_strides
    elif time_strides is not None and time_strides.default is Parameter.empty:
        raise ValueError(
            f"{config._target_} decodes clips, and {type(encoder).__name__} encodes still images; "
            "choose encoder=per_frame, encoder=s3d or another encoder of clips"
        )
    return instantiate(config, **known, **options)


def _check_clips(decoder: Any, clips: DictConfig | None) -> None:
    """Refuse clips other than those that a decoder is built for.

    Raises:
        ValueError: of another length, or with another frame to predict.
    """
    if clips is None or not hasattr(decoder, "position"):
        return
    frames = getattr(decoder, "frames", clips.frames)
    if frames != clips.frames:
        raise ValueError(
            f"the decoder is built for clips of {frames} frames and the loader makes clips of {clips.frames}; "
            f"set loader.clips.frames={frames}"
        )
    if clips.frames > 1 and decoder.position != clips.position:
        raise ValueError(
            f"of each clip the decoder predicts: {decoder.position}, and the loader gives the fixations of: "
            f"{clips.position}; set loader.clips.position={decoder.position}"
        )


def load_checkpoint(path: str | Path, config_file: Path | None = None) -> Checkpoint:
    """Rebuild a model from a ``.ckpt`` or ``.safetensors`` file.

    Args:
        path: of the file.
        config_file: a YAML or JSON file with the configuration; None: the file itself carries it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint of this package, is damaged, or does not fit its own configuration.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; `saliency train` prints where it writes them")
    state, text = _read(path)
    if config_file is not None:
        text = config_file.read_text(encoding="utf-8")
    if text is None:
        raise ValueError(
            f"{path} carries no configuration of this package; "
            "official checkpoints of published networks are converted with `saliency import NAME FILE`"
        )
    try:
        config = OmegaConf.create(text)
        if not isinstance(config, DictConfig) or not {"encoder", "decoder"} <= config.keys():
            raise ValueError("it has no encoder and decoder")
        model = build_model(without_pretrained(config))
    except (ValueError, TypeError, AttributeError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise ValueError(
            f"the configuration in {config_file or path} describes no model of this package: {error}"
        ) from error
    weights = {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"the weights in {path} do not fit the network that its configuration describes: {error}"
        ) from error
    bias = state.get("centre_bias")
    return Checkpoint(model.eval(), config, None if bias is None else CentreBias(bias.double()), path)


def save_checkpoint(
    path: str | Path, model: SaliencyModel, config: DictConfig, centre_bias: CentreBias | None = None
) -> None:
    """Write a ``.safetensors`` file that :func:`load_checkpoint` reads."""
    state = {f"model.{k}": v.contiguous() for k, v in model.state_dict().items()}
    if centre_bias is not None:
        state["centre_bias"] = centre_bias.density.float()
    content = save(state, {CONFIG_KEY: OmegaConf.to_yaml(config)})  # save_file's files are for their owner alone
    write_bytes(Path(path), content)


def _read(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """state_dict and configuration text of a file."""
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, "pt") as file:
                names = file.keys()
                return {k: file.get_tensor(k) for k in names}, (file.metadata() or {}).get(CONFIG_KEY)
        except SafetensorError as error:
            raise ValueError(f"{path} is damaged or no safetensors file: {error}") from error
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged file leads the unpickler anywhere: IndexError, struct.error, AssertionError
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} is damaged, no checkpoint, or holds more than tensors: {reason}") from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        return {}, None
    text = content.get(CONFIG_KEY)
    return content["state_dict"], text if isinstance(text, str) else None


def without_pretrained(config: DictConfig) -> DictConfig:
    """The same network without loading pretrained weights, which the checkpoint's replace anyway."""
    config = config.copy()

    def visit(node: DictConfig) -> None:
        for key in list(node):
            if key == "weights" and isinstance(node.get(key), str):
                node[key] = "none"
            elif isinstance(node.get(key), DictConfig):
                visit(node[key])

    visit(config.encoder)
    return config
