"""MSI-Net (github.com/alexanderkroner/saliency, MIT): TensorFlow variables.

TensorFlow 1 checkpoints hold variables ``conv1/conv1_1/kernel`` (height, width, in, out) and ``.../bias``.
Save them, under these names, to an ``.npz`` with ``numpy.savez``; optimiser slots (``.../Adam``) are ignored.
"""

from __future__ import annotations

import re

from torch import Tensor

CONFIG = {
    "encoder": "vgg16_msi_net",
    "decoder": "msi_net",
    "settings": ["loader.size=[240,320]", "loader.resize=pad"],
}

LAYERS = {
    "aspp/conv1_1": "decoder.point",
    "aspp/conv1_2": "decoder.dilated.0",
    "aspp/conv1_3": "decoder.dilated.1",
    "aspp/conv1_4": "decoder.dilated.2",
    "aspp/conv1_5": "decoder.context",
    "aspp/conv2": "decoder.project",
    "decoder/conv1": "decoder.decoder.0",
    "decoder/conv2": "decoder.decoder.1",
    "decoder/conv3": "decoder.decoder.2",
    "decoder/conv4": "decoder.head",
}


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Variables by their TensorFlow names (with or without ``:0``) -> a SaliencyModel's state_dict."""
    renamed = {}
    for name, value in state.items():
        layer, _, leaf = name.removesuffix(":0").rpartition("/")
        if "Adam" in name or re.search(r"(^|/)(beta\d_power|global_step)", name):
            continue
        vgg = re.fullmatch(r"conv(\d)/conv\1_(\d)", layer)
        target = f"encoder.blocks.{int(vgg[1]) - 1}.{int(vgg[2]) - 1}" if vgg else LAYERS.get(layer, layer)
        if leaf == "kernel":
            renamed[f"{target}.weight"] = value.permute(3, 2, 0, 1).contiguous()
        else:
            renamed[f"{target}.{leaf}"] = value
    return renamed
