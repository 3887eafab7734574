"""TranSalNet with ResNet-50 (github.com/LJOVO/TranSalNet, MIT): ``TranSalNet_Res.py``'s state_dict."""

from __future__ import annotations

from torch import Tensor

from saliency_pred.weights.published.rename import merge_attention, substitute

CONFIG = {
    "encoder": "resnet50_transalnet",
    "decoder": "transalnet",
    "settings": ["loader.size=[288,384]", "loader.resize=pad"],
}

RESNET = [
    (r"^encoder\.encoder\.0\.", "encoder.network.conv1."),
    (r"^encoder\.encoder\.1\.", "encoder.network.bn1."),
    *((rf"^encoder\.encoder\.{layer + 3}\.", f"encoder.network.layer{layer}.") for layer in (1, 2, 3, 4)),
]

TRANSFORMER = [
    (r"\bpatch_embeddings\.", "embedding."),
    (r"\bposition_embeddings$", "position"),
    (r"\btransformer_encoder\.encoder_norm\.", "transformer.norm."),
    (r"\btransformer_encoder\.layer\.(\d+)\.attn\.in_proj_", r"transformer.layers.\1.self_attn.in_proj_"),
    (r"\btransformer_encoder\.layer\.(\d+)\.attn\.out\.", r"transformer.layers.\1.self_attn.out_proj."),
    (r"\btransformer_encoder\.layer\.(\d+)\.attention_norm\.", r"transformer.layers.\1.norm1."),
    (r"\btransformer_encoder\.layer\.(\d+)\.ffn_norm\.", r"transformer.layers.\1.norm2."),
    (r"\btransformer_encoder\.layer\.(\d+)\.ffn\.fc([12])\.", r"transformer.layers.\1.linear\2."),
]
"""Within one TransEncoder, after :func:`merge_attention`."""

FUSION = [
    *((rf"\bconv{number}\.", f"convolutions.{number - 1}.0.") for number in range(1, 7)),
    *((rf"\bbatchnorm{number}\.", f"convolutions.{number - 1}.1.") for number in range(1, 7)),
    (r"\bconv7\.", "head."),
]

DECODER = [
    *FUSION,
    *((rf"\bTransEncoder{number}\.", f"transformers.{number - 1}.") for number in (1, 2, 3)),
    *TRANSFORMER,
]


def position_maps(state: dict[str, Tensor], sizes: dict[str, tuple[int, int]]) -> dict[str, Tensor]:
    """Position embeddings (1, h*w, C) -> maps (1, C, h, w), for the names and sizes (h, w) given.

    Raises:
        ValueError: a position embedding has another number of cells.
    """
    maps = dict(state)
    for name, (height, width) in sizes.items():
        value = state.get(name)
        if value is None:
            continue  # listed as missing when the weights are loaded
        if value.ndim != 3 or value.shape[1] != height * width:
            raise ValueError(f"{name} has shape {tuple(value.shape)}, expected (1, {height * width}, C)")
        maps[name] = value.transpose(1, 2).unflatten(2, (height, width))
    return maps


def convert_decoder(state: dict[str, Tensor], encoder: list[tuple[str, str]]) -> dict[str, Tensor]:
    """A TranSalNet's state_dict, with the rules for its encoder, -> a SaliencyModel's."""
    sizes = {
        f"decoder.TransEncoder{number}.position_embeddings": size
        for number, size in enumerate(((9, 12), (18, 24), (36, 48)), start=1)
    }
    state = merge_attention(position_maps(state, sizes))
    network = {n: v for n, v in state.items() if n.startswith("encoder.")}
    decoder = {n: v for n, v in state.items() if not n.startswith("encoder.")}
    return substitute(network, encoder) | substitute(decoder, DECODER)


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The official state_dict -> a SaliencyModel's."""
    return convert_decoder(state, RESNET)
