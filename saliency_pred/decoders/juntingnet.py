"""JuntingNet: a map from two fully connected layers.

Source: Pan, Sayrol, Giro-i-Nieto, McGuinness, O'Connor: Shallow and deep convolutional networks for saliency
prediction, CVPR 2016; github.com/imatge-upc/saliency-2016-cvpr, ``shallow/train.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from saliency_pred.decoders.salnet import log_of_regression


class JuntingNet(nn.Module):
    """The deepest feature -> dense, ReLU, maxout of pairs -> dense -> a small map.

    Dense layers need one size: features of another grid than ``grid`` are pooled or spread to it.

    Args:
        channels: of the encoder's features; the last is used.
        strides: image pixels per cell of each.
        grid: (height, width) of the feature; 10 x 10 for 96 x 96 images and JuntingNet's encoder.
        output_size: (height, width) of the map.
    """

    num_windows = 1

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        grid: tuple[int, int] = (10, 10),
        output_size: tuple[int, int] = (48, 48),
    ) -> None:
        super().__init__()
        self.grid = (grid[0], grid[1])
        self.output_size = (output_size[0], output_size[1])
        cells = output_size[0] * output_size[1]
        self.hidden = nn.Linear(channels[-1] * grid[0] * grid[1], 2 * cells)
        self.output = nn.Linear(cells, cells)

    def regression(self, features: list[Tensor]) -> Tensor:
        """The map on the scale that the published network is trained to: -1 none, 1 most salient."""
        x = features[-1]
        if x.shape[-2:] != self.grid:
            x = F.adaptive_avg_pool2d(x, self.grid)
        x = F.relu(self.hidden(x.flatten(1))).unflatten(1, (-1, 2)).amax(dim=2)
        return self.output(x).unflatten(1, (1, *self.output_size))

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> log of the map, made positive, (B, 1, *output_size)."""
        return log_of_regression((self.regression(features) + 1) / 2)
