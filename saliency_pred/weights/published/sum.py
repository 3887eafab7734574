"""SUM (github.com/Arhosseini77/SUM, MIT): the state_dict of ``net/models/SUM.py``."""

from __future__ import annotations

from torch import Tensor

from saliency_pred.weights.published import vmamba
from saliency_pred.weights.published.rename import substitute

CONFIG = {
    "encoder": "vmamba_v0_small_sum",
    "decoder": "sum",
    "settings": ["loader.size=[256,256]", "loader.resize=stretch"],
}

DECODER = [
    (r"^layers_up\.", "decoder.levels."),
    (r"^final_", "decoder.final_"),
    (r"\.ln_1\.", ".norm."),
    (r"\.self_attention\.", ".op."),
]


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The official state_dict -> a SaliencyModel's."""
    state = {name.removeprefix("salu_mamba."): value for name, value in state.items()}
    decoder = {n: v for n, v in state.items() if n.startswith(("layers_up.", "final_"))}
    encoder = vmamba.convert({n: v for n, v in state.items() if n not in decoder})
    return {f"encoder.{n}": v for n, v in encoder.items()} | substitute(decoder, DECODER)
