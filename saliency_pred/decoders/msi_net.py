"""MSI-Net: atrous spatial pyramid pooling and three convolutions.

Source: Kroner, Senden, Driessens, Goebel: Contextual encoder-decoder network for visual saliency prediction,
Neural Networks 129 (2020); github.com/alexanderkroner/saliency, ``model.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-7


def double_size(x: Tensor) -> Tensor:
    """Twice the height and width on the grid of TensorFlow 1's ``resize_bilinear``.

    Even outputs copy a cell; odd ones are its mean with the next, or its copy at the right and lower border.
    """
    below = torch.cat([x[..., 1:, :], x[..., -1:, :]], dim=-2)
    x = torch.stack([x, (x + below) / 2], dim=-2).flatten(-3, -2)
    right = torch.cat([x[..., 1:], x[..., -1:]], dim=-1)
    x = torch.stack([x, (x + right) / 2], dim=-1).flatten(-2, -1)
    return x


class MSINet(nn.Module):
    """MSI-Net's decoder on the three deepest features of any encoder (VGG-16 at stride 8 as published).

    The features are brought to the size of the largest of the three and concatenated.

    Args:
        channels: of the encoder's features, shallow to deep.
        strides: image pixels per cell of each.
        width: channels of each pyramid branch.
        dilations: of the 3x3 branches.
    """

    num_windows = 1

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        width: int = 256,
        dilations: Sequence[int] = (4, 8, 12),
    ) -> None:
        super().__init__()
        inputs = sum(channels[-3:])
        self.point = nn.Conv2d(inputs, width, 1)
        self.dilated = nn.ModuleList(
            nn.Conv2d(inputs, width, 3, padding=dilation, dilation=dilation) for dilation in dilations
        )
        self.context = nn.Conv2d(inputs, width, 1)
        self.project = nn.Conv2d(width * (2 + len(dilations)), width, 1)
        widths = [width, width // 2, width // 4, width // 8]
        self.decoder = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in pairwise(widths))
        self.head = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def linear_output(self, features: list[Tensor]) -> Tensor:
        """The map before its scaling to [0, 1], (B, 1, 8h, 8w) for h x w features."""
        size = features[-3 if len(features) >= 3 else 0].shape[-2:]
        resized = [
            f if f.shape[-2:] == size else F.interpolate(f, size=size, mode="bilinear", align_corners=False)
            for f in features[-3:]
        ]
        x = torch.cat(resized, dim=1)
        branches = [F.relu(self.point(x)), *(F.relu(conv(x)) for conv in self.dilated)]
        context = F.relu(self.context(x.mean(dim=(-2, -1), keepdim=True)))
        branches.append(context.expand(-1, -1, *size))
        x = F.relu(self.project(torch.cat(branches, dim=1)))
        for convolution in self.decoder:
            x = F.relu(convolution(double_size(x)))
        return self.head(x)

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> log of the map scaled to [0, 1] per image, floored at 1e-7: (B, 1, 8h, 8w)."""
        x = self.linear_output(features)
        x = x - x.amin(dim=(-2, -1), keepdim=True)
        x = x / (x.amax(dim=(-2, -1), keepdim=True) + EPSILON)
        return torch.log(x + EPSILON)
