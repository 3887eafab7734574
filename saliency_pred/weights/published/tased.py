"""TASED-Net (github.com/MichiganCOG/TASED-Net, MIT): the state_dict of ``TASED_v2``."""

from __future__ import annotations

from torch import Tensor

from saliency_pred.weights.published import s3d
from saliency_pred.weights.published.rename import substitute

CONFIG = {
    "encoder": "s3d_tased",
    "decoder": "tased",
    "settings": [
        "loader.size=[224,384]",
        "loader.resize=stretch",
        "loader.clips.frames=32",
        "loader.clips.start=reverse",
    ],
}

UNITS = {  # position of a convolution and its norm in the official decoder -> this package's unit
    "convtsp1.0": "entry",
    "convtsp1.3": "steps.0",
    "convtsp2.0": "steps.1",
    "convtsp3.0": "steps.2",
    "convtsp4.0": "closing.0",
    "convtsp4.3": "closing.1",
    "convtsp4.6": "closing.2",
    "convtsp4.9": "closing.3",
}


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The official state_dict -> a SaliencyModel's."""
    rules = [(r"^convtsp4\.12\.", "decoder.closing.4."), (r"^convtsp4\.13\.", "decoder.head.")]
    for official, ours in UNITS.items():
        part, position = official.split(".")
        rules.append((rf"^{part}\.{position}\.", f"decoder.{ours}.0."))
        rules.append((rf"^{part}\.{int(position) + 1}\.", f"decoder.{ours}.1."))
    return substitute(s3d.convert(state), rules)
