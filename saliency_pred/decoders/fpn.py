"""A feature pyramid in front of the small read-out: what coarse features say is refined by the finer ones.

The top-down path of Lin et al., "Feature pyramid networks for object detection", CVPR 2017, with one map at its end.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency_pred.decoders.readout import Readout, resized


class FPN(Readout):
    """A read-out whose taps are merged from coarse to fine, with a 3x3 layer at every stride.

    Args:
        channels, strides: of the features; taps of the same stride are summed.
        num_windows: T.
        width: channels of the pyramid.
        hidden: channels of the last layer but one.
        stride: of the finest level; finer taps are averaged.
        sigma, dropout, domains: as :class:`~saliency_pred.decoders.readout.Readout`; the input of every level's layer
            is dropped alike.
    """

    def __init__(
        self,
        channels: list[int],
        strides: list[int],
        num_windows: int = 1,
        width: int = 32,
        hidden: int = 16,
        stride: int = 8,
        sigma: float = 1.5,
        dropout: float = 0.1,
        domains: Sequence[int] = (),
    ) -> None:
        super().__init__(channels, strides, num_windows, width, hidden, 1, stride, sigma, dropout, domains)
        self.level = [max(s, stride) for s in strides]
        self.levels = sorted(set(self.level), reverse=True)
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for _ in self.levels)
        self.layers = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate") for _ in self.levels
        )

    def merged(self, features: list[Tensor]) -> Tensor:
        """The finest level of the pyramid: (B, width, h, w)."""
        x: Tensor | None = None
        size = self.grid(features)
        for level, norm, layer in zip(self.levels, self.norms, self.layers, strict=True):
            taps = [i for i, own in enumerate(self.level) if own == level]
            height, width = features[taps[0]].shape[-2:]
            shape = size if level == self.stride else (height, width)
            projected = [self.project[i](self.standardise[i](features[i])) for i in taps]
            lateral = torch.stack([resized(p, shape) for p in projected]).sum(0)
            if x is not None:
                lateral = lateral + resized(x, shape)
            x = lateral + layer(self.dropout(F.softplus(norm(lateral))))
        assert x is not None
        return resized(x, size)
