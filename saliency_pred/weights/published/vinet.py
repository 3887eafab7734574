"""ViNet of 2021 (github.com/samyak0210/ViNet, MIT): the state_dict of ``model.py``'s visual network."""

from __future__ import annotations

from torch import Tensor

from saliency_pred.weights.published import s3d
from saliency_pred.weights.published.rename import substitute

CONFIG = {
    "encoder": "s3d",
    "decoder": "vinet",
    "settings": [
        "loader.size=[224,384]",
        "loader.resize=stretch",
        "loader.clips.frames=32",
        "loader.clips.start=reverse",
    ],
}

DECODER = [
    (r"^decoder\.convtsp1\.0\.", "decoder.steps.0."),
    (r"^decoder\.convtsp2\.0\.", "decoder.steps.1."),
    (r"^decoder\.convtsp3\.0\.", "decoder.steps.2."),
    (r"^decoder\.convtsp4\.0\.", "decoder.steps.3."),
    (r"^decoder\.convtsp4\.3\.", "decoder.halve."),
    (r"^decoder\.convtsp4\.6\.", "decoder.close."),
    (r"^decoder\.convtsp4\.8\.", "decoder.head."),
]


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The official state_dict -> a SaliencyModel's."""
    return substitute(s3d.convert({n.removeprefix("backbone."): v for n, v in state.items()}), DECODER)
