"""SimpleNet with PNASNet-5-Large (github.com/samyak0210/saliency, no licence file): ``PNASModel``.

TempSAL's image branch (``PNASModel`` of github.com/IVRL/Tempsal) has the same names.
"""

from __future__ import annotations

from torch import Tensor

from saliency_pred.weights.published.rename import substitute, without

CONFIG = {
    "encoder": "pnasnet",
    "decoder": "simplenet",
    "settings": ["loader.size=[256,256]", "loader.resize=stretch"],
}

PNASNET = [
    (r"\bconv0\.", "conv_0.conv."),
    (r"\bconv0_bn\.", "conv_0.bn."),
    (r"\bstem1\.", "cell_stem_0."),
    (r"\bstem2\.", "cell_stem_1."),
    (r"\bcells\.(\d+)\.", r"cell_\1."),
    (r"\bpreprocess1\.op\.1\.", "conv_1x1.conv."),
    (r"\bpreprocess1\.op\.2\.", "conv_1x1.bn."),
    (r"\bpreprocess0\.op\.1\.", "conv_prev_1x1.conv."),
    (r"\bpreprocess0\.op\.2\.", "conv_prev_1x1.bn."),
    (r"\bpreprocess0\.conv_(\d)\.", r"conv_prev_1x1.path_\1.conv."),
    (r"\bpreprocess0\.bn\.", "conv_prev_1x1.final_path_bn."),
    (r"\b_ops\.1\.1\.", "_ops.1.conv."),  # a pooling that is followed by a convolution
    (r"\b_ops\.1\.2\.", "_ops.1.bn."),
    (r"\b_ops\.9\.op\.1\.", "_ops.9.conv."),  # a strided skip connection
    (r"\b_ops\.9\.op\.2\.", "_ops.9.bn."),
    (r"\b_ops\.(\d)\.op\.1\.", r"_ops.\1.separable_1.depthwise_conv2d."),
    (r"\b_ops\.(\d)\.op\.2\.", r"_ops.\1.separable_1.pointwise_conv2d."),
    (r"\b_ops\.(\d)\.op\.3\.", r"_ops.\1.bn_sep_1."),
    (r"\b_ops\.(\d)\.op\.5\.", r"_ops.\1.separable_2.depthwise_conv2d."),
    (r"\b_ops\.(\d)\.op\.6\.", r"_ops.\1.separable_2.pointwise_conv2d."),
    (r"\b_ops\.(\d)\.op\.7\.", r"_ops.\1.bn_sep_2."),
    *(  # ten operations, to be summed in pairs
        (rf"\b_ops\.{number}\.", f"comb_iter_{number // 2}_{'right' if number % 2 else 'left'}.")
        for number in range(10)
    ),
]
"""The official PNASNet port's names -> timm's."""

DECODER = [
    (r"\bdeconv_layer([0-4])\.0\.", r"trunk.convolutions.\1."),
    (r"\bdeconv_layer5\.", "head."),
]
"""Of one branch: the five steps and the head."""


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """``PNASModel``'s state_dict -> a SaliencyModel's. The unused classifier (4.33 M) is left out."""
    state = without(state, r"pnas\.classifier\.")
    network = {n: v for n, v in state.items() if n.startswith("pnas.")}
    decoder = {n: v for n, v in state.items() if not n.startswith("pnas.")}
    return substitute(network, [(r"^pnas\.", "encoder.network."), *PNASNET]) | substitute(
        decoder, [*DECODER, (r"^(trunk|head)\.", r"decoder.\1.")]
    )
