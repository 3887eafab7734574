"""SalEMA (github.com/Linardos/SalEMA, no licence file): ``SalEMA``'s state_dict with a learned ``alpha``."""

from __future__ import annotations

from torch import Tensor

from saliency_pred.weights.published.rename import substitute

CONFIG = {
    "encoder": "vgg16_salema",
    "decoder": "salema",
    "settings": [
        "loader.size=[192,256]",
        "loader.resize=stretch",
        "decoder.num_windows=10",
        "loader.clips.frames=10",
        "loader.clips.position=all",
    ],
}

STEPS = ((32, 34), (37, 39, 41), (44, 46, 48), (51, 53), (56, 58))


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The official state_dict -> a SaliencyModel's. The first convolution takes RGB in place of BGR."""
    state = dict(state)
    if "salgan.0.weight" in state:
        state["salgan.0.weight"] = state["salgan.0.weight"].flip(1)
    rules = [
        (r"^alpha$", "decoder.alpha"),
        (r"^salgan\.30\.", "decoder.averaged."),
        (r"^salgan\.60\.", "decoder.head."),
    ]
    for number, layers in enumerate(STEPS):
        rules += [(rf"^salgan\.{layer}\.", f"decoder.steps.{number}.{i}.") for i, layer in enumerate(layers)]
    rules.append((r"^salgan\.(\d|1\d|2\d)\.", r"encoder.encoder.network.features.\1."))
    return substitute(state, rules)
