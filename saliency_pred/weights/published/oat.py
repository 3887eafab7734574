"""OAT (github.com/HKUST-NISL/oat_eccv24, no licence file): ``Seq2SeqTransformer``'s state_dict.

A scanpath model, so it is loaded into :class:`saliency_pred.scanpath.oat.OAT`, not into a SaliencyModel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from saliency_pred.weights.published.rename import substitute, without

RULES = [
    (r"^transformer_(encoder|decoder)\.", r"\1."),
    (r"^cnn_embedding\.cnn1\.0\.", "crop.first."),
    (r"^cnn_embedding\.cnn2\.0\.", "crop.second."),
    (r"^cnn_embedding\.fc\.", "crop.linear."),
    (r"^cross_attentions\.(\d)\.encode_fc\.", r"pointers.\1.encode."),
    (r"^cross_attentions\.(\d)\.decode_fc\.", r"pointers.\1.decode."),
    (r"^readout\.", "mix."),
]


def convert_scanpath(state: dict[str, Tensor], places: Tensor) -> dict[str, Tensor]:
    """The official state_dict, and the position table from its ``.npy`` file -> an ``OAT``'s state_dict.

    Args:
        state: the two layers that the default settings do not use are left out, as is the sinusoid.
        places: (n, 86), without the four rows of zeros that the code appends.
    """
    state = without(state, r"generator\.|LinearEmbedding\.|onedpositional_encoding\.")
    return substitute(state, RULES) | {"places": F.pad(torch.as_tensor(places), (0, 0, 0, 4))}
