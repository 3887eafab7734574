"""Read-outs of DeepGaze IIE and III (github.com/matthias-k/DeepGaze, no licence file), without backbones.

The official backbones are other projects' networks under other projects' names; the read-outs, which are what
DeepGaze trains, are converted for a :class:`saliency_pred.decoders.deepgaze.DeepGaze` decoder.
"""

from __future__ import annotations

from torch import Tensor

from saliency_pred.weights.published.rename import substitute, without

COMPONENT = [
    (r"^models\.(\d+)\.(\w+)\.(\d+)\.", r"models.\1.\3.\2."),
    (r"^(\w+_networks|finalizers)\.(\d+)\.", r"models.0.\2.\1."),  # III: one backbone
    *(
        (rf"\bsaliency_networks\.{official}{number}\.", f"saliency.{3 * number + place}.")
        for number in (0, 1, 2)
        for official, place in (("layernorm", 0), ("conv", 1), ("bias", 1))
    ),
    (r"\bscanpath_networks\.encoding0\.convolutions\.", "scanpath.encoding."),
    (r"\bscanpath_networks\.layernorm1\.", "scanpath.readout.1."),
    (r"\bscanpath_networks\.(conv1|bias1)\.", "scanpath.readout.2."),
    (r"\bfixation_selection_networks\.layernorm0\.layernorm_part0\.", "select_saliency.0."),
    (r"\bfixation_selection_networks\.conv0\.conv_part0\.", "select_saliency.1."),
    (r"\bfixation_selection_networks\.bias0\.", "select_saliency.1."),
    (r"\bfixation_selection_networks\.layernorm0\.layernorm_part1\.", "select_scanpath.0."),
    (r"\bfixation_selection_networks\.conv0\.conv_part1\.", "select_scanpath.1."),
    (r"\bfixation_selection_networks\.layernorm1\.", "selection.1."),
    (r"\bfixation_selection_networks\.(conv1|bias1)\.", "selection.2."),
    (r"\bfixation_selection_networks\.conv2\.", "selection.4."),
    (r"\bfinalizers\.gauss\.sigma$", "finalizer.sigma"),
    (r"\bfinalizers\.center_bias_weight$", "finalizer.centre_bias_weight"),
]


def convert_readout(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """``DeepGazeIII``'s or a mixture of ``DeepGazeIIIMixture``'s state_dict -> a ``DeepGaze`` decoder's."""
    return substitute(without(state, r"(models\.\d+\.)?features\."), COMPONENT)
