"""SalNet: large convolutions and one transposed convolution.

Source: Pan, Sayrol, Giro-i-Nieto, McGuinness, O'Connor: Shallow and deep convolutional networks for saliency
prediction, CVPR 2016; github.com/imatge-upc/saliency-2016-cvpr, ``deploy.prototxt``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def log_of_regression(regression: Tensor) -> Tensor:
    """The log of a map that was regressed without a bound, on a scale of 0 to 1.

    A density cannot be negative; a softplus that leaves values above 0.2 as they are (to 1 %) keeps the
    gradient of those below 0, where a cut would not.
    """
    return torch.log(F.softplus(regression.clamp_min(-4), beta=20))


class SalNet(nn.Module):
    """The deepest feature -> five convolutions with ReLU, a 13x13 one, and an enlargement by 4.

    Args:
        channels: of the encoder's features; the last is used (512 at stride 4 as published).
        strides: image pixels per cell of each.
    """

    num_windows = 1

    def __init__(self, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels[-1]
        for outputs, kernel in ((512, 5), (512, 5), (256, 7), (128, 11), (32, 11)):
            layers += [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU()]
            inputs = outputs
        layers += [nn.Conv2d(inputs, 1, 13, padding=6)]
        layers += [nn.ConvTranspose2d(1, 1, 8, stride=4, padding=2, bias=False)]
        self.layers = nn.Sequential(*layers)

    def regression(self, features: list[Tensor]) -> Tensor:
        """The map on a scale of 0 to 1, unbounded, (B, 1, 4h, 4w)."""
        return self.layers(features[-1])

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> log of the map, made positive, (B, 1, 4h, 4w)."""
        return log_of_regression(self.regression(features))
