"""Any torchvision classifier as an encoder, tapped at any of its layers.

:class:`saliency_pred.encoders.timm.TimmEncoder` is the first choice: more networks, one line each. This one
is for published saliency networks that were built on torchvision and tap layers that timm does not
offer: Swin before *and* after patch merging (MDS-ViTNet), the raw dense blocks (TranSalNet), single
convolutions (DeepGaze I).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torchvision.models import get_model, list_models
from torchvision.models.feature_extraction import create_feature_extractor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def build(name: str, weights: Literal["hub", "none"] | str, release: str = "IMAGENET1K_V1") -> nn.Module:
    """A torchvision classifier, with weights.

    Args:
        name: e.g. ``"vgg16"``.
        weights: ``hub`` (torchvision's ``release``, downloaded once), ``none`` (random), or the path of a
            ``state_dict`` file in torchvision's names.
        release: torchvision's name of its weights.

    Raises:
        ValueError: no such network, or the file's weights are of another one.
        OSError: the weights could not be had; the message names the choices.
    """
    if name not in list_models():
        raise ValueError(f"torchvision has no network {name!r}; torchvision.models.list_models() names them")
    if weights == "none":
        return get_model(name, weights=None)
    if weights == "hub":
        try:
            return get_model(name, weights=release)
        except OSError as error:
            raise OSError(
                f"torchvision's weights of {name} could not be loaded ({type(error).__name__}: {error}). "
                f"Without a network: encoder.weights=none (random), encoder.weights=FILE"
            ) from error
    path = Path(weights).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"encoder.weights={weights!r} is neither hub nor none, nor a file")
    network = get_model(name, weights=None)
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except RuntimeError as error:
        raise ValueError(f"{path} does not hold the weights of torchvision's {name}: {error}") from error
    return network


def tapped(name: str, network: nn.Module, layers: Sequence[str]) -> nn.Module:
    """A torchvision network that returns the outputs of named layers, in their order, as a dictionary.

    Raises:
        ValueError: no such layer.
    """
    unknown = sorted(set(layers) - {n for n, _ in network.named_modules()})
    if unknown:
        raise ValueError(
            f"{name} has no layer {', '.join(unknown)}; its named_modules() are, e.g., "
            f"{', '.join(n for n, _ in network.named_children())}"
        )
    for module in network.modules():
        if hasattr(module, "inplace"):  # an in-place ReLU would change the tapped layer before it
            cast(Any, module).inplace = False
    return create_feature_extractor(network, {layer: str(i) for i, layer in enumerate(layers)})


class TorchvisionEncoder(nn.Module):
    """The outputs of named layers of a torchvision network; what lies behind the last of them is cut off.

    Args:
        name: a torchvision classifier, e.g. ``"resnet50"``, ``"swin_t"``.
        layers: names of layers (as in ``named_modules()``) whose outputs are returned, in this order.
        weights: ``hub``, ``none`` or a file, see :func:`build`.
        frozen: train no parameter and keep normalisation layers in evaluation mode.
        channels_last: the layers give (B, h, w, C), as Swin's do; they are turned to (B, C, h, w).
        mean: subtracted from an image in [0, 1].
        std: what it is then divided by.

    Attributes:
        channels: channels of each returned feature map.
        strides: image pixels per feature cell.

    Raises:
        ValueError: no such network, or no such layer.
    """

    def __init__(
        self,
        name: str,
        layers: Sequence[str],
        weights: Literal["hub", "none"] | str = "hub",
        frozen: bool = False,
        channels_last: bool = False,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.frozen = frozen
        self.channels_last = channels_last
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.network = tapped(name, build(name, weights), layers)
        with torch.no_grad():
            self.network.eval()
            small, large = (self(torch.zeros(1, 3, size, size)) for size in (128, 256))
            self.network.train()
        self.channels = [f.shape[1] for f in large]
        # A difference, because layers without padding (AlexNet's) lose a border as well.
        self.strides = [round(128 / (b.shape[-1] - a.shape[-1])) for a, b in zip(small, large, strict=True)]

        if frozen:
            self.requires_grad_(False)
            self.eval()

    def train(self, mode: bool = True) -> TorchvisionEncoder:
        """As nn.Module.train, except that a frozen encoder stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised image -> one (B, channels[i], ~H/strides[i], ~W/strides[i]) a layer."""
        features = list(self.network(image).values())
        if self.channels_last:
            features = [f.permute(0, 3, 1, 2) for f in features]
        return features
