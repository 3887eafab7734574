"""Features of a frozen encoder, kept so that no image passes the encoder twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from saliency_pred.atomic import replacing


class FeatureCache:
    """Stands in for a frozen encoder: what it makes of an image is computed once and kept in a folder.

    Images are known by their pixels, so that mirrored copies, other epochs and other runs find their own; with
    augmentations that never give the same image twice nothing is gained and the disk fills. Features are stored,
    and always handed out, in float16 precision: a run does not depend on what was in the folder before.

    Args:
        encoder: without trainable parameters.
        folder: is made; features of other encoders in it are left alone. EfficientNet-Lite0 takes .4 MB for an
            image of 288 x 384.

    Raises:
        ValueError: the encoder is being trained.
    """

    def __init__(self, encoder: nn.Module, folder: str | Path) -> None:
        trained = [name for name, p in encoder.named_parameters() if p.requires_grad]
        if trained:
            raise ValueError(
                f"only features of a frozen encoder can be kept, and {len(trained)} of its tensors are trained "
                f"({trained[0]} ...); set encoder.frozen=true, or cache_features=null"
            )
        self.encoder = encoder.to(memory_format=torch.channels_last)  # convolutions of one image take half the time
        self.folder = Path(folder).expanduser() / _fingerprint(encoder)
        self.folder.mkdir(parents=True, exist_ok=True)

    @torch.no_grad()
    def __call__(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W), normalised → what the encoder returns, float32, rounded to float16.

        Raises:
            OverflowError: a feature is too large for float16.
        """
        paths = [self.folder / f"{_digest(one)}.safetensors" for one in image]
        found = [_load(path) for path in paths]
        complete = [self._encode(image[i], paths[i]) if f is None else f for i, f in enumerate(found)]
        return [torch.stack(tap).to(image.device).float() for tap in zip(*complete, strict=True)]

    def _encode(self, image: Tensor, path: Path) -> list[Tensor]:
        """Images are encoded one by one: what is kept must not depend on what else was in the batch."""
        single = image[None].contiguous(memory_format=torch.channels_last)
        features = [f[0].half().cpu().contiguous() for f in self.encoder(single)]
        if not all(bool(torch.isfinite(f).all()) for f in features):
            raise OverflowError("the encoder's features exceed what float16 holds; set cache_features=null")
        _save(path, features)
        return features


def _fingerprint(encoder: nn.Module) -> str:
    """Of the kind of encoder, what it returns, and its weights."""
    digest = hashlib.blake2b(digest_size=8)
    described = (type(encoder).__name__, encoder.channels, encoder.strides, getattr(encoder, "taps", None))
    digest.update(repr(described).encode())
    for name, value in encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _digest(image: Tensor) -> str:
    pixels = image.detach().cpu().contiguous().numpy()
    return hashlib.blake2b(pixels.tobytes(), digest_size=16, key=repr(pixels.shape).encode()).hexdigest()


def _load(path: Path) -> list[Tensor] | None:
    """The features in a file; None where there is none, or a damaged one."""
    try:
        state = load_file(path)
    except (FileNotFoundError, SafetensorError):
        return None
    return [state[str(k)] for k in range(len(state))]


def _save(path: Path, features: list[Tensor]) -> None:
    with replacing(path) as temporary:  # other processes see whole files only
        save_file({str(k): f for k, f in enumerate(features)}, temporary)
