"""ViNet-E (github.com/ViNet-Saliency/vinet_v2, CC BY-NC-SA 4.0): ViNet-S's file, then ViNet-A's."""

from __future__ import annotations

from torch import Tensor

from saliency_pred.weights.published import vinet_a, vinet_s

CONFIG = {
    "encoder": "vinet_e",
    "decoder": "vinet_e",
    "settings": [
        "loader.size=[256,456]",
        "loader.resize=stretch",
        "loader.clips.frames=64",
        "loader.clips.position=centre",
    ],
}


def convert_files(*states: dict[str, Tensor]) -> dict[str, Tensor]:
    """The official state_dicts of ViNet-S and ViNet-A, in this order -> a SaliencyModel's.

    Raises:
        ValueError: not two files.
    """
    if len(states) != 2:
        raise ValueError(f"ViNet-E is made of two files, ViNet-S's and ViNet-A's in this order; got {len(states)}")
    converted = {}
    for member, importer, state in zip("sa", (vinet_s, vinet_a), states, strict=True):
        for name, value in importer.convert(state).items():
            part, _, rest = name.partition(".")
            into = f"encoder.encoders.{member}.encoder" if part == "encoder" else f"decoder.members.{member}"
            converted[f"{into}.{rest}"] = value
    return converted
