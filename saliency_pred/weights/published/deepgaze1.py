"""DeepGaze I (github.com/matthias-k/DeepGaze, no licence file): ``DeepGazeI``'s state_dict."""

from __future__ import annotations

from torch import Tensor

from saliency_pred.weights.published.rename import substitute, without

CONFIG = {
    "encoder": "alexnet_deepgaze1",
    "decoder": "deepgaze1",
    "settings": ["loader.size=[768,1024]", "loader.resize=pad"],
}


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The official state_dict -> a SaliencyModel's; AlexNet's unused classifier is left out.

    The centre bias is not part of the official weights; it stays uniform until one is set.
    """
    state = without(state, r"features\.features\.\d+\.classifier\.|features\.\w*(mean|std)$")
    rules = [
        (r"^features\.features\.\d+\.features\.", "encoder.encoder.network.features."),
        (r"^readout_network\.conv0\.", "decoder.readout."),
        (r"^finalizer\.gauss\.sigma$", "decoder.finalizer.sigma"),
        (r"^finalizer\.center_bias_weight$", "decoder.finalizer.centre_bias_weight"),
    ]
    return substitute(state, rules)
