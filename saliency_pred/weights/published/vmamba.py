"""VMamba's ImageNet checkpoints (github.com/MzeroMiko/VMamba, MIT): the encoder, without the classifier.

The repository has changed its names over time; checkpoints of all its releases are understood.
"""

from __future__ import annotations

from torch import Tensor

from saliency_pred.weights.published.rename import substitute, without

DIRECTIONS = 4

NAMES = [
    (r"^patch_embed\.proj\.", "patch_embed.0."),
    (r"^patch_embed\.norm\.", "patch_embed.2."),
    (r"\.ln_1\.", ".norm."),
    (r"\.self_attention\.", ".op."),
    (r"\.downsample\.norm\.", ".downsample.1."),
    (r"\.downsample\.reduction\.", ".downsample.2."),
    (r"\.x_proj\.weight$", ".x_proj_weight"),
    (r"\.dt_projs\.weight$", ".dt_projs_weight"),
]
"""Names of the first release, and of v2's flat projections -> this package's."""

CLASSIFIER = r"(classifier|norm|head)\."


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """An official state_dict -> a ``VMambaEncoder``'s (without the prefix ``encoder.``).

    Projections that are stored flat, (4 X, Y), become (4, X, Y).
    """
    converted = substitute(without(state, CLASSIFIER), NAMES)
    for name, value in converted.items():
        if name.endswith((".x_proj_weight", ".dt_projs_weight")) and value.ndim == 2:
            if len(value) % DIRECTIONS:
                raise ValueError(f"{name} has shape {tuple(value.shape)}, expected a multiple of 4 rows")
            converted[name] = value.unflatten(0, (DIRECTIONS, -1))
    return converted
