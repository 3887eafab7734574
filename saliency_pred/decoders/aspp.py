"""Contextual decoder: atrous spatial pyramid pooling, then a plain upsampling path.

The idea of MSI-Net (Kroner et al., 2020) on any encoder; ``msi_net.py`` is the published network itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ASPP(nn.Module):
    """Features at several strides → one grid → parallel dilated convolutions → logits.

    Args:
        channels, strides: of the features.
        num_windows: T.
        stride: of the grid; taps at this stride or coarser are used, resized to it.
        width: channels of every branch.
        dilations: of the 3x3 branches, in cells.
        path: channels of the upsampling steps, each twice as fine as the one before.
    """

    def __init__(
        self,
        channels: list[int],
        strides: list[int],
        num_windows: int = 1,
        stride: int = 8,
        width: int = 128,
        dilations: Sequence[int] = (2, 4, 6),
        path: Sequence[int] = (64,),
    ) -> None:
        super().__init__()
        self.num_windows = num_windows
        self.stride = stride
        self.strides = list(strides)
        used = [i for i, s in enumerate(strides) if s >= stride] or [len(strides) - 1]
        self.used = used
        inside = sum(channels[i] for i in used)
        self.branches = nn.ModuleList([nn.Conv2d(inside, width, 1)])
        self.branches.extend(nn.Conv2d(inside, width, 3, padding=d, dilation=d) for d in dilations)
        self.context = nn.Conv2d(inside, width, 1)
        self.merge = nn.Conv2d(width * (2 + len(dilations)), width, 1)
        steps: list[nn.Module] = []
        previous = width
        for step in path:
            steps += [nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(previous, step, 3, padding=1), nn.ReLU()]
            previous = step
        self.path = nn.Sequential(*steps)
        self.head = nn.Conv2d(previous, num_windows, 3, padding=1)

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features → logits (B, T, h, w) at the grid's stride divided by 2 per upsampling step."""
        finest = min(self.used, key=lambda i: self.strides[i])
        scale = self.strides[finest] / self.stride
        size = tuple(max(1, round(n * scale)) for n in features[finest].shape[-2:])
        x = torch.cat([F.interpolate(features[i], size=size, mode="bilinear") for i in self.used], 1)
        context = F.relu(self.context(x.mean((-2, -1), keepdim=True))).expand(-1, -1, *size)
        x = torch.cat([F.relu(branch(x)) for branch in self.branches] + [context], 1)
        return self.head(self.path(F.relu(self.merge(x))))
