"""U-Net decoder: from the coarsest features to the finest, taking in one skip connection at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UNet(nn.Module):
    """Upsample, concatenate the next finer features, convolve; repeat.

    Args:
        channels, strides: of the features, fine to coarse.
        num_windows: T.
        width: channels after the finest step; each coarser step has twice as many, up to ``widest``.
        widest: largest number of channels of a step.
        groups: of the group normalisation (independent of the batch, unlike batch normalisation).
    """

    def __init__(
        self,
        channels: list[int],
        strides: list[int],
        num_windows: int = 1,
        width: int = 32,
        widest: int = 128,
        groups: int = 8,
    ) -> None:
        super().__init__()
        self.num_windows = num_windows
        steps = []
        previous = channels[-1]
        for depth, skip in enumerate(reversed(channels[:-1])):
            out = min(widest, width * 2 ** (len(channels) - 2 - depth))
            steps.append(
                nn.Sequential(
                    nn.Conv2d(previous + skip, out, 3, padding=1, bias=False),
                    nn.GroupNorm(groups, out),
                    nn.ReLU(),
                )
            )
            previous = out
        self.steps = nn.ModuleList(steps)
        self.head = nn.Conv2d(previous, num_windows, 3, padding=1)

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features → logits (B, T, h, w) at the finest stride."""
        x = features[-1]
        for step, skip in zip(self.steps, reversed(features[:-1]), strict=True):
            if x.shape[-2:] != skip.shape[-2:]:
                x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear")
            x = step(torch.cat([x, skip], 1))
        return self.head(x)
