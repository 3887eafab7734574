"""TempSAL (github.com/IVRL/Tempsal): ``PNASBoostedModelMultiLevel``'s state_dict.

Licence: the repository's file says MIT, its page CC BY-SA 4.0.
"""

from __future__ import annotations

from torch import Tensor

from saliency_pred.weights.published.rename import substitute, without
from saliency_pred.weights.published.simplenet import DECODER, PNASNET

CONFIG = {
    "encoder": "pnasnet_pair",
    "decoder": "tempsal",
    "settings": ["loader.size=[256,256]", "loader.resize=stretch"],
}

MIXING = [
    (r"^deconv_layer1\.0\.", "decoder.mixing.0."),
    (r"^deconv_layer2\.0\.", "decoder.mixing.1."),
    (r"^deconv_layer3\.0\.", "decoder.mixing.2."),
    (r"^deconv_layer4\.0\.", "decoder.mixing.3."),
    (r"^deconv_mix\.", "decoder.head."),
]


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The full model's state_dict -> a SaliencyModel's. Two unused classifiers (8.65 M) are left out."""
    state = without(state, r"pnas_(sal|vol)\.(module\.)*pnas\.classifier\.")
    rules = [
        *MIXING,
        (r"^pnas_sal\.(module\.)*pnas\.", "encoder.encoders.image.network."),
        (r"^pnas_vol\.(module\.)*pnas\.", "encoder.encoders.temporal.network."),
        (r"^pnas_sal\.(module\.)*", "decoder.image."),
        (r"^pnas_vol\.(module\.)*", "decoder.temporal."),
        *DECODER,
        *PNASNET,
    ]
    return substitute(state, rules)
