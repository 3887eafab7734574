"""MDS-ViTNet (github.com/IgnatPolezhaev/MDS-ViTNet, Apache-2.0).

The official release has two files: the two decoders with their encoder, and the merge network. Give
either, or both in one dictionary; names of the merge network stand alone (``conv1.weight``).
"""

from __future__ import annotations

import re

from torch import Tensor

from saliency_pred.weights.published.rename import merge_attention, substitute, without
from saliency_pred.weights.published.transalnet_res import FUSION, TRANSFORMER, position_maps

CONFIG = {
    "encoder": "swin_t_merged",
    "decoder": "mds_vitnet",
    "settings": ["loader.size=[288,384]", "loader.resize=stretch"],
}

TAPS = {"decoder_1": (6, 4, 2), "decoder_2": (5, 3, 1)}
"""Which of Swin's children each decoder's transformers work on, deep to shallow."""

SIZES = {6: (9, 12), 5: (18, 24), 4: (18, 24), 3: (36, 48), 2: (36, 48), 1: (72, 96)}

MERGE = [
    *((rf"^conv{number}\.", f"decoder.merge.down.{number - 1}.0.") for number in (1, 2, 3, 4)),
    *((rf"^batchnorm{number}\.", f"decoder.merge.down.{number - 1}.1.") for number in (1, 2, 3, 4)),
    (r"^conv5\.", "decoder.merge.middle.0."),
    (r"^batchnorm5\.", "decoder.merge.middle.1."),
    (r"^conv6\.", "decoder.merge.fine.0."),
    (r"^batchnorm6\.", "decoder.merge.fine.1."),
    (r"^conv7\.", "decoder.merge.head."),
]


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The official state_dict(s) -> a SaliencyModel's."""
    sizes = {
        f"{decoder}.TransEncoder{tap}.position_embeddings": SIZES[tap] for decoder, taps in TAPS.items() for tap in taps
    }
    state = merge_attention(position_maps(state, sizes))
    encoder = {n: v for n, v in state.items() if n.startswith("encoder.")}
    decoders = {n: v for n, v in state.items() if re.match(r"decoder_[12]\.", n)}
    merge = without(without(state, r"encoder\."), r"decoder_[12]\.")
    transformers = [
        (rf"^{decoder}\.TransEncoder{tap}\.", f"{decoder}.transformers.{index}.")
        for decoder, taps in TAPS.items()
        for index, tap in enumerate(taps)
    ]
    return (
        substitute(encoder, [(r"^encoder\.encoder\.", "encoder.network.features.")])
        | substitute(decoders, [*FUSION, *transformers, *TRANSFORMER, (r"^decoder_", "decoder.decoder_")])
        | substitute(merge, MERGE)
    )
