"""DeepGaze I, IIE and III: read-outs of frozen features, trained for the likelihood of fixations.

Sources: Kümmerer, Theis, Bethge: Deep Gaze I, ICLR workshop 2015; Linardos, Kümmerer, Press, Bethge:
DeepGaze IIE, ICCV 2021; Kümmerer, Bethge, Wallis: DeepGaze III, Journal of Vision 22 (2022);
github.com/matthias-k/DeepGaze, ``deepgaze_pytorch/{deepgaze1,deepgaze2e,deepgaze3,modules,layers}.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency_pred.density import CentreBias

INITIAL_SIGMA = 8.0


def whole_norm(channels: int) -> nn.GroupNorm:
    """Normalisation over channels, rows and columns together, with a scale and shift for each channel."""
    return nn.GroupNorm(1, channels, eps=1e-12)


def readout_network(widths: Sequence[int]) -> nn.Sequential:
    """Norm, 1x1 convolution and softplus for each pair of neighbouring widths."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [whole_norm(inputs), nn.Conv2d(inputs, outputs, 1), nn.Softplus()]
    return nn.Sequential(*layers)


def replicate_blur(maps: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur whose width can be learned: borders repeated, kernel cut at ``ceil(3 sigma)``.

    Args:
        maps: (B, 1, h, w).
        sigma: scalar, in cells of ``maps``.

    Raises:
        ValueError: ``sigma`` is not positive, which no learned width should become.
    """
    width = float(sigma.detach())
    if not width > 0:
        raise ValueError(f"the blur's sigma must be positive, got {width}; lower the learning rate")
    radius = math.ceil(3 * width)
    offset = torch.arange(-radius, radius + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-0.5 * (offset / sigma) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, -1)
    x = F.pad(maps, (0, 0, radius, radius), mode="replicate")
    x = F.conv2d(x, kernel[..., None])
    x = F.pad(x, (radius, radius, 0, 0), mode="replicate")
    return F.conv2d(x, kernel[:, :, None])


def log_mean_exp(log_densities: Sequence[Tensor]) -> Tensor:
    """The log of the mean of normalised densities."""
    return torch.logsumexp(torch.stack(list(log_densities)), dim=0) - math.log(len(log_densities))


def on_grid(features: Sequence[Tensor], size: tuple[int, int], stride: int) -> Tensor:
    """Feature maps on a common grid of one cell per ``stride`` pixels (rounded up), nearest, concatenated."""
    grid = (math.ceil(size[0] / stride), math.ceil(size[1] / stride))
    return torch.cat([F.interpolate(f, size=grid, mode="nearest") for f in features], dim=1)


class Finalizer(nn.Module):
    """Priority map -> log density: blur, centre bias, full size, normalise.

    Args:
        factor: the blur and the centre bias live on a map this many times smaller than the image.
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.sigma = nn.Parameter(torch.tensor(INITIAL_SIGMA))
        self.centre_bias_weight = nn.Parameter(torch.ones(1))

    def forward(self, priority: Tensor, prior: Tensor) -> Tensor:
        """(B, 1, h, w) and a log centre bias at image size (B or 1, 1, H, W) -> (B, 1, H, W)."""
        prior_small = F.interpolate(prior, scale_factor=1 / self.factor, mode="nearest", recompute_scale_factor=False)
        x = F.interpolate(priority, size=prior_small.shape[-2:], mode="nearest")
        x = replicate_blur(x, self.sigma) + self.centre_bias_weight * prior_small
        x = F.interpolate(x, size=prior.shape[-2:], mode="nearest")
        return x - torch.logsumexp(x, dim=(-2, -1), keepdim=True)


class CentreBiasReadout(nn.Module):
    """What DeepGaze decoders share: a stored centre bias, and the image's size told from the features.

    Args:
        strides: image pixels per cell of each feature.
        grid: cells along each side of the stored centre bias.
    """

    num_windows = 1
    centre_bias: Tensor

    def __init__(self, strides: Sequence[int], grid: int = 64) -> None:
        super().__init__()
        self.strides = list(strides)
        self.finest = self.strides.index(min(self.strides))
        self.register_buffer("centre_bias", torch.zeros(1, 1, grid, grid))

    def fit_centre_bias(self, centre_bias: CentreBias) -> None:
        """Take over the centre bias of the training fixations; until then it is uniform."""
        grid = self.centre_bias.shape[-1]
        fitted = centre_bias.log_density((grid, grid)) + 2 * math.log(grid)  # 0: as likely as anywhere
        if len(fitted) != 1:
            raise ValueError(f"DeepGaze predicts one time window, the fitted centre bias has {len(fitted)}")
        self.centre_bias.copy_(fitted[None])

    def image_size(self, features: Sequence[Tensor]) -> tuple[int, int]:
        """The image's (height, width), up to the rounding of the finest feature."""
        height, width = features[self.finest].shape[-2:]
        return height * self.strides[self.finest], width * self.strides[self.finest]

    def stored_prior(self, size: tuple[int, int]) -> Tensor:
        """The stored centre bias at ``size``, (1, 1, H, W)."""
        return F.interpolate(self.centre_bias, size=size, mode="bilinear", align_corners=False)


class DeepGazeI(CentreBiasReadout):
    """One linear read-out of a feature map, for any encoder (AlexNet's fifth convolution as published).

    Args:
        channels: of the encoder's features.
        strides: image pixels per cell of each.
        readout_stride: image pixels per cell of the grid that features are brought to.
        map_factor: of the :class:`Finalizer`.
    """

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], readout_stride: int = 8, map_factor: int = 4
    ) -> None:
        super().__init__(strides)
        self.readout_stride = readout_stride
        self.readout = nn.Conv2d(sum(channels), 1, 1, bias=False)
        self.finalizer = Finalizer(map_factor)

    def log_density(self, features: list[Tensor], size: tuple[int, int], prior: Tensor) -> Tensor:
        """Log density (B, 1, H, W) on an image of ``size``, given the log centre bias there."""
        return self.finalizer(self.readout(on_grid(features, size, self.readout_stride)), prior)

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> log density (B, 1, H, W)."""
        size = self.image_size(features)
        return self.log_density(features, size, self.stored_prior(size))


class ScanpathNetwork(nn.Module):
    """The last fixations -> 16 maps of how they draw the next one.

    Args:
        fixations: how many; each has its own weights, the last fixation first.
    """

    def __init__(self, fixations: int) -> None:
        super().__init__()
        self.encoding = nn.ModuleList(nn.Conv2d(3, 128, 1) for _ in range(fixations))
        self.readout = nn.Sequential(nn.Softplus(), whole_norm(128), nn.Conv2d(128, 16, 1), nn.Softplus())

    def forward(self, x: Tensor, y: Tensor, size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
        """Positions (B, n) in pixels of the image, NaN for none -> (B, 16, *grid)."""
        rows = torch.arange(size[0], device=x.device, dtype=x.dtype).view(-1, 1) + 0.5
        columns = torch.arange(size[1], device=x.device, dtype=x.dtype) + 0.5
        total = x.new_zeros(len(x), 128, *grid)
        for number, encode in enumerate(self.encoding):
            dx = (columns - x[:, number, None, None]).expand(-1, *size)
            dy = (rows - y[:, number, None, None]).expand(-1, *size)
            known = ~(x[:, number].isnan() | y[:, number].isnan())
            offsets = torch.stack([dx, dy, torch.hypot(dx, dy)], dim=1)
            offsets = F.interpolate(offsets, size=grid, mode="nearest")
            # A missing fixation contributes nothing, not even the bias.
            total = total + encode(offsets.nan_to_num()) * known.view(-1, 1, 1, 1)
        return self.readout(total)


class Component(nn.Module):
    """One member of the mixture: saliency network, scanpath network, fixation selection, finalizer."""

    def __init__(self, channels: int, history: int, map_factor: int) -> None:
        super().__init__()
        self.saliency = readout_network((channels, 8, 16, 1))
        self.scanpath = ScanpathNetwork(history) if history else None
        self.select_saliency = nn.Sequential(whole_norm(1), nn.Conv2d(1, 128, 1))
        # Without a bias: that of the saliency part serves the sum.
        self.select_scanpath = nn.Sequential(whole_norm(16), nn.Conv2d(16, 128, 1, bias=False)) if history else None
        self.selection = nn.Sequential(
            nn.Softplus(),
            whole_norm(128),
            nn.Conv2d(128, 16, 1),
            nn.Softplus(),
            nn.Conv2d(16, 1, 1, bias=False),
        )
        self.finalizer = Finalizer(map_factor)

    def forward(self, x: Tensor, prior: Tensor, history: tuple[Tensor, Tensor] | None) -> Tensor:
        """Features on the grid -> log density (B, 1, H, W)."""
        size = (prior.shape[-2], prior.shape[-1])
        priority = self.select_saliency(self.saliency(x))
        if self.scanpath is not None and self.select_scanpath is not None and history is not None:
            grid = (x.shape[-2], x.shape[-1])
            priority = priority + self.select_scanpath(self.scanpath(*history, size, grid))
        return self.finalizer(self.selection(priority), prior)


class DeepGaze(CentreBiasReadout):
    """A mixture of read-outs over one or several backbones: DeepGaze IIE, and III with ``history``.

    Densities are averaged over the components of each backbone, then over the backbones.

    Args:
        channels: of the encoder's features.
        strides: image pixels per cell of each.
        backbones: how many of the features belong to each backbone, in order; None: all to one.
        components: read-outs for each backbone (10 as published).
        history: how many past fixations condition the prediction; 0 for none, 4 in DeepGaze III.
        readout_stride: image pixels per cell of the grid that features are brought to; 32 in IIE, 8 in III.
        map_factor: of the :class:`Finalizer`; 2 in IIE, 4 in III.

    Raises:
        ValueError: ``backbones`` does not add up to the number of features.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        backbones: Sequence[int] | None = None,
        components: int = 10,
        history: int = 0,
        readout_stride: int = 32,
        map_factor: int = 2,
    ) -> None:
        super().__init__(strides)
        self.backbones = [len(channels)] if backbones is None else list(backbones)
        if sum(self.backbones) != len(channels):
            raise ValueError(
                f"backbones={self.backbones} are {sum(self.backbones)} features, the encoder has {len(channels)}"
            )
        self.history = history
        self.readout_stride = readout_stride
        self.models = nn.ModuleList()
        first = 0
        for count in self.backbones:
            width = sum(channels[first : first + count])
            self.models.append(nn.ModuleList(Component(width, history, map_factor) for _ in range(components)))
            first += count

    def log_density(
        self,
        features: list[Tensor],
        size: tuple[int, int],
        prior: Tensor,
        history: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Log density of the next fixation.

        Args:
            features: of the encoder.
            size: (height, width) of the image.
            prior: log centre bias (B or 1, 1, H, W).
            history: x and y of the last fixations (B, n), latest first, in pixels of the image (pixel i
                covers [i, i + 1)); NaN where there are fewer.

        Returns:
            (B, 1, H, W).

        Raises:
            ValueError: a history without the scanpath network, or of another length.
        """
        if history is not None and history[0].shape[-1] != self.history:
            raise ValueError(
                f"this decoder is conditioned on {self.history} past fixations, got {history[0].shape[-1]}"
            )
        if history is None and self.history:
            nothing = torch.full((len(features[0]), self.history), math.nan, device=prior.device)
            history = (nothing, nothing)
        mixtures = []
        first = 0
        for count, model in zip(self.backbones, self.models, strict=True):
            x = on_grid(features[first : first + count], size, self.readout_stride)
            mixtures.append(log_mean_exp([component(x, prior, history) for component in cast(nn.ModuleList, model)]))
            first += count
        return log_mean_exp(mixtures)

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> log density (B, 1, H, W), not conditioned on past fixations."""
        size = self.image_size(features)
        return self.log_density(features, size, self.stored_prior(size))
