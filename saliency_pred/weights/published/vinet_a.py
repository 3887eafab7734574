"""ViNet-A (github.com/ViNet-Saliency/vinet_v2, CC BY-NC-SA 4.0): the state_dict of ``ViNet_A_model.py``."""

from __future__ import annotations

from torch import Tensor

from saliency_pred.weights.published.rename import substitute

CONFIG = {
    "encoder": "slowfast",
    "decoder": "vinet_a",
    "settings": [
        "loader.size=[256,456]",
        "loader.resize=stretch",
        "loader.clips.frames=32",
        "loader.clips.position=centre",
        "loader.clips.step=2",
    ],
}

BACKBONE = [
    rule
    for path in ("slow", "fast")
    for rule in (
        (rf"^backbone\.{path}_conv1\.", f"encoder.{path}.conv."),
        (rf"^backbone\.{path}_bn1\.", f"encoder.{path}.norm."),
        *((rf"^backbone\.{path}_res{n}\.", f"encoder.{path}.stages.{n - 1}.") for n in (1, 2, 3, 4)),
    )
] + [
    *((rf"^backbone\.Tconv{n}\.", f"encoder.lateral.{n - 1}.") for n in (1, 2, 3, 4)),
    (r"\.bn([123])\.", r".norm\1."),
    (r"\.downsample_bn\.", ".shortcut.1."),
    (r"\.downsample\.0\.", ".shortcut.0."),
]

DECODER = [
    (r"^neck\.conv_slow\.0\.", "decoder.neck_slow."),
    *((rf"^neck\.conv_skip{n}\.0\.", f"decoder.neck_skips.{n - 1}.") for n in (1, 2, 3, 4)),
    *((rf"^decoder\.convtsp{n}\.0\.", f"decoder.steps.{n - 1}.") for n in (1, 2, 3, 4)),
    (r"^decoder\.convtsp5\.0\.", "decoder.close.0."),
    (r"^decoder\.convtsp6\.0\.", "decoder.close.1."),
    (r"^decoder\.convtsp6\.3\.", "decoder.close.2."),
    (r"^decoder\.convtsp6\.5\.", "decoder.point."),
    (r"^decoder\.convtsp6\.7\.", "decoder.head."),
]


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The official state_dict -> a SaliencyModel's."""
    return substitute(state, [*BACKBONE, *DECODER])
