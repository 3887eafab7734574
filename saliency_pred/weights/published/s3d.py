"""S3D as ViNet, ViNet-S and TASED-Net name it -> torchvision's names."""

from __future__ import annotations

import re

from torch import Tensor

from saliency_pred.weights.published.rename import substitute

FIRST = {"1": 0, "2": 5, "3": 8, "4": 14}
"""Index in torchvision's ``features`` of the first module of each of the official ``base1`` to ``base4``."""

NAMES = [
    (r"\.branch0\.0\.", ".branch0."),
    (r"\.conv\.", ".0."),
    (r"\.bn\.", ".1."),
    (r"\.conv_s\.", ".0.0."),
    (r"\.bn_s\.", ".0.1."),
    (r"\.conv_t\.", ".1.0."),
    (r"\.bn_t\.", ".1.1."),
]


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """``base1.0.conv_s.weight`` ... -> ``encoder.network.features.0.0.0.weight`` ...; other names are kept."""
    renamed = {}
    for name, value in state.items():
        match = re.match(r"base([1-4])\.(\d+)(\..*)", name)
        if match:
            name = f"encoder.network.features.{FIRST[match[1]] + int(match[2])}{match[3]}"
        renamed[name] = value
    backbone = {n: v for n, v in renamed.items() if n.startswith("encoder.")}
    others = {n: v for n, v in renamed.items() if n not in backbone}
    return substitute(backbone, NAMES) | others
