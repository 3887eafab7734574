"""TranSalNet with DenseNet-161 (github.com/LJOVO/TranSalNet, MIT): ``TranSalNet_Dense.py``'s state_dict."""

from __future__ import annotations

from torch import Tensor

from saliency_pred.weights.published.transalnet_res import convert_decoder

CONFIG = {
    "encoder": "densenet161_transalnet",
    "decoder": "transalnet",
    "settings": ["loader.size=[288,384]", "loader.resize=pad"],
}

DENSENET = [
    (rf"^encoder\.encoder\.{number}\.", f"encoder.network.features.{name}.")
    for number, name in (
        (0, "conv0"),
        (1, "norm0"),
        (4, "denseblock1"),
        (5, "transition1"),
        (6, "denseblock2"),
        (7, "transition2"),
        (8, "denseblock3"),
        (9, "transition3"),
        (10, "denseblock4"),
    )
]


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The official state_dict -> a SaliencyModel's."""
    return convert_decoder(state, DENSENET)
