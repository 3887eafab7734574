"""A small read-out of several feature maps: what frozen encoders need and little more.

The idea of DeepGaze's read-out (Kümmerer et al., 2017) on any encoder: pixel-wise layers, then a learned
blur. Its centre bias is the model's prior.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency_pred.density import gaussian_blur
from saliency_pred.per_domain import PerDomain


class Readout(nn.Module):
    """Read-out of several taps, blurred.

    Args:
        channels, strides: of the features.
        num_windows: T.
        width: channels that each tap is projected to.
        hidden: channels of the second layer.
        kernel: of the second layer; 1: every cell is read by itself.
        stride: of the grid on which the taps are summed; finer taps are averaged, coarser ones enlarged.
        sigma: of the learned blur to begin with, in cells of a grid twice as fine; 0: no blur.
        dropout: share of the summed channels that is dropped in training.
        domains: kinds of images that have a blur of their own, see :class:`~saliency_pred.per_domain.PerDomain`.
    """

    def __init__(
        self,
        channels: list[int],
        strides: list[int],
        num_windows: int = 1,
        width: int = 32,
        hidden: int = 16,
        kernel: int = 1,
        stride: int = 8,
        sigma: float = 1.5,
        dropout: float = 0.1,
        domains: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.num_windows = num_windows
        self.strides = list(strides)
        self.stride = stride
        self.standardise = nn.ModuleList(Standardise(c) for c in channels)
        self.project = nn.ModuleList(nn.Conv2d(c, width, 1, bias=i == 0) for i, c in enumerate(channels))
        self.norm1 = nn.GroupNorm(1, width)
        self.layer1 = nn.Conv2d(width, hidden, kernel, padding="same", padding_mode="replicate")
        self.norm2 = nn.GroupNorm(1, hidden)
        self.layer2 = nn.Conv2d(hidden, num_windows, 1, bias=False)  # a constant is lost in the softmax
        self.dropout = nn.Dropout2d(dropout)
        self.log_sigma = PerDomain(math.log(sigma), domains) if sigma > 0 else None

    @torch.no_grad()
    def fit_statistics(self, batches: Iterable[list[Tensor]]) -> None:
        """Set mean and standard deviation of every channel from the features of training images."""
        for features in batches:
            for layer, feature in zip(self.standardise, features, strict=True):
                layer.observe(feature)  # type: ignore[operator]

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features → logits (B, T, h, w) at half the read-out stride."""
        x = self.dropout(F.softplus(self.norm1(self.merged(features))))
        x = self.layer2(F.softplus(self.norm2(self.layer1(x))))
        x = F.interpolate(x.float(), scale_factor=2, mode="bilinear")
        if self.log_sigma is None:
            return x
        sigma = self.log_sigma(domain, len(x)).exp()
        if domain is None or not self.log_sigma.domains:
            return gaussian_blur(x, sigma[0], "nearest")
        return torch.stack([gaussian_blur(one, own, "nearest") for one, own in zip(x, sigma, strict=True)])

    def merged(self, features: list[Tensor]) -> Tensor:
        """The taps, each projected, summed on the read-out's grid: (B, width, h, w)."""
        size = self.grid(features)
        total = torch.zeros((), device=features[0].device)
        for standardise, project, feature in zip(self.standardise, self.project, features, strict=True):
            total = total + resized(project(standardise(feature)), size)
        return total

    def grid(self, features: list[Tensor]) -> tuple[int, int]:
        """(height, width) of the map that the taps are merged into."""
        nearest = min(range(len(features)), key=lambda i: abs(self.strides[i] - self.stride))
        height, width = features[nearest].shape[-2:]
        if self.strides[nearest] == self.stride:
            return height, width
        scale = self.strides[nearest] / self.stride
        return max(1, round(height * scale)), max(1, round(width * scale))


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarged bilinearly, or reduced without aliasing."""
    if tuple(x.shape[-2:]) == size:
        return x
    return F.interpolate(x.float(), size=size, mode="bilinear", antialias=x.shape[-1] > size[1])


class Standardise(nn.Module):
    """Zero mean and unit variance per channel, by the statistics of observed features."""

    mean: Tensor
    square: Tensor
    count: Tensor

    def __init__(self, channels: int, eps: float = 1e-3) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("square", torch.ones(channels))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def observe(self, feature: Tensor) -> None:
        """Take (B, C, h, w) features into the running statistics; every cell counts the same."""
        cells = feature.numel() / feature.shape[1]
        share = cells / (self.count + cells)
        for buffer, value in ((self.mean, feature), (self.square, feature.float() ** 2)):
            buffer.lerp_(value.float().mean((0, 2, 3)).to(buffer.dtype), float(share))
        self.count += cells

    def forward(self, feature: Tensor) -> Tensor:
        deviation = (self.square - self.mean**2).clamp(min=0).sqrt() + self.eps
        return (feature - self.mean[:, None, None]) / deviation[:, None, None]
