"""UNISAL (github.com/rdroste/unisal, Apache-2.0; weights in the repository): the full model's state_dict."""

from __future__ import annotations

import torch
from torch import Tensor

from saliency_pred.weights.published.rename import substitute, without

CONFIG = {
    "encoder": "mobilenetv2_unisal",
    "decoder": "unisal",
    "settings": ["loader.size=[288,384]", "loader.resize=stretch"],
}

DOMAINS = ("DHF1K", "Hollywood", "UCFSports", "SALICON")

MOBILENET = [
    (r"^cnn\.features\.1\.conv\.([01])\.", r"encoder.blocks.1.conv.0.\1."),  # the block without expansion
    (r"^cnn\.features\.1\.conv\.3\.", "encoder.blocks.1.conv.1."),
    (r"^cnn\.features\.1\.conv\.4\.", "encoder.blocks.1.conv.2."),
    (r"^cnn\.features\.(\d+)\.conv\.([01])\.", r"encoder.blocks.\1.conv.0.\2."),
    (r"^cnn\.features\.(\d+)\.conv\.3\.", r"encoder.blocks.\1.conv.1.0."),
    (r"^cnn\.features\.(\d+)\.conv\.4\.", r"encoder.blocks.\1.conv.1.1."),
    (r"^cnn\.features\.(\d+)\.conv\.6\.", r"encoder.blocks.\1.conv.2."),
    (r"^cnn\.features\.(\d+)\.conv\.7\.", r"encoder.blocks.\1.conv.3."),
    (r"^cnn\.features\.", "encoder.blocks."),
]

GATES = [
    rule
    for gate, transform, norm in (
        ("reset_gate", "_r", "r"),
        ("update_gate", "_z", "z"),
        ("candidate", "", "out"),
    )
    for source, letter, suffix in (("from_input", "w", "x"), ("from_state", "u", "h"))
    for rule in (
        (rf"^rnn\.cell_list\.0\.{letter}{transform}\.", f"decoder.gru.{source}.{gate}."),
        (rf"^rnn\.cell_list\.0\.norm_{norm}_{suffix}\.", f"decoder.gru.{source}.{gate}.norm."),
        (
            rf"^rnn\.cell_list\.0\.a_{'h' if norm == 'out' else norm}_{suffix}$",
            f"decoder.gru.{source}.{gate}.factor",
        ),
    )
] + [
    (r"^rnn\.cell_list\.0\.b_r$", "decoder.gru.bias.reset_gate"),
    (r"^rnn\.cell_list\.0\.b_z$", "decoder.gru.bias.update_gate"),
    (r"^rnn\.cell_list\.0\.b_h$", "decoder.gru.bias.candidate"),
    (r"\.conv_dw\.", ".depthwise."),
    (r"\.sep_bn\.", ".depthwise_norm."),
    (r"\.conv_sep\.", ".point."),
]

DECODER = [
    (r"^post_cnn\.inv_res\.conv\.0\.", "decoder.post_cnn.depthwise."),
    (r"^post_cnn\.inv_res\.conv\.1\.", "decoder.post_cnn.depthwise_norm.norms.0."),
    (r"^post_cnn\.inv_res\.conv\.3\.", "decoder.post_cnn.project."),
    (r"^post_cnn\.inv_res\.conv\.4\.", "decoder.post_cnn.project_norm.norms.0."),
    (r"^post_rnn\.0\.", "decoder.post_gru."),
    (r"^post_rnn\.1\.", "decoder.post_gru_norm."),
    (r"^skip_2x\.", "decoder.skip_middle."),
    (r"^skip_4x\.", "decoder.skip_fine."),
    (r"\.expansion\.0\.", ".expand."),
    (r"\.expansion\.1\.", ".expand_norm."),
    (r"\.reduction\.0\.", ".reduce."),
    (r"\.reduction\.1\.", ".reduce_norm."),
    (r"^upsampling_2\.", "decoder.middle."),
    (r"^post_upsampling_2\.", "decoder.fine."),
    (r"\.inv_res\.conv\.0\.", ".expand."),
    (r"\.inv_res\.conv\.1\.", ".expand_norm."),
    (r"\.inv_res\.conv\.3\.", ".depthwise."),
    (r"\.inv_res\.conv\.4\.", ".depthwise_norm."),
    (r"\.inv_res\.conv\.6\.", ".project."),
    (r"\.inv_res\.conv\.7\.", ".project_norm."),
    *((rf"\.bn_{domain}\.", f".norms.{number}.") for number, domain in enumerate(DOMAINS)),
]

PER_DOMAIN = {
    "coarse_gaussians_{}": "decoder.priors",
    "adaptation_{}.0.weight": "decoder.adaptation.weight",
    "adaptation_{}.0.bias": "decoder.adaptation.bias",
    "smoothing_{}.weight": "decoder.smoothing",
}
"""Tensors of which the official model has one a domain; here they are stacked."""


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The official state_dict -> a SaliencyModel's. The dropout mask, redrawn at every call, is left out.

    Raises:
        ValueError: a tensor of some but not all of the four domains.
    """
    state = without(state, r"rnn\.cell_list\.0\.drop_mask_")
    stacked = {}
    for official, ours in PER_DOMAIN.items():
        names = [official.format(domain.lower()) for domain in DOMAINS]
        absent = [name for name in names if name not in state]
        if len(absent) == len(names):
            continue  # listed as missing when the weights are loaded
        if absent:
            raise ValueError(f"the weights lack {', '.join(absent)}")
        parts = [state.pop(name) for name in names]
        if ours.startswith("decoder.adaptation"):
            stacked[ours] = torch.cat(parts)
        else:
            stacked[ours] = torch.stack([part.squeeze((0, 1)) if "smoothing" in ours else part for part in parts])
    return substitute(state, [*MOBILENET, *GATES, *DECODER]) | stacked
