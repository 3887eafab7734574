"""A trained decoder and the biases of another data set: how focused its viewers look, and how precisely.

The idea of Kümmerer, Khanuja, Bethge: Modeling saliency dataset bias, ICCV 2025 (arXiv 2505.10169): most of what
a model loses on another data set is explained by a few numbers. With the centre bias as the model's prior they are
learned from some dozen images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from saliency_pred.density import gaussian_blur


class Adapted(nn.Module):
    """Any decoder, its logits blurred and scaled by learned numbers.

    Args:
        channels, strides: of the features.
        decoder: called with both; the decoder whose logits are adapted.
        sigma: of the blur to begin with, in cells of the logits; small: none.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        decoder: Callable[..., nn.Module],
        sigma: float = 0.3,
    ) -> None:
        super().__init__()
        self.decoder = decoder(channels=list(channels), strides=list(strides))
        self.num_windows = int(self.decoder.num_windows)  # type: ignore[arg-type]
        self.log_sigma = nn.Parameter(torch.tensor(float(sigma)).log())
        self.log_priority = nn.Parameter(torch.tensor(0.0))

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features → logits (B, T, h, w)."""
        logits = self.decoder(features, domain).float()
        return self.log_priority.exp() * gaussian_blur(logits, self.log_sigma.exp(), "nearest")
