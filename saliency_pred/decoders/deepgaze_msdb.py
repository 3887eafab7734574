"""DeepGaze MSDB: features at several image scales, with a dozen parameters for each data set.

Source: Kümmerer, Khanuja, Bethge: Modeling saliency dataset bias, ICCV 2025 (arXiv 2505.10169);
github.com/matthias-k/DeepGaze, ``deepgaze_pytorch/deepgazemsdb.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency_pred.decoders.deepgaze import INITIAL_SIGMA, CentreBiasReadout, readout_network, replicate_blur


class DeepGazeMSDB(CentreBiasReadout):
    """One read-out of a weighted sum over image scales, on any encoder.

    For each domain: a weight for each scale, the blur's width, the centre bias's weight and a factor on the
    priority map (normalised to a geometric mean of 1 over the domains). An image of unknown domain gets the
    mean of every parameter.

    Args:
        channels: of the encoder's features; with several scales (``MultiScaleEncoder``) the same features at
            every scale, scale after scale.
        strides: image pixels per cell of each.
        scales: how many image scales the features are of.
        domains: how many sets of parameters; images of other (or no) domain count as unknown.
        readout_stride: image pixels per cell of the grid that features are brought to.
        map_factor: the blur and the centre bias live on a map this many times smaller than the image.

    Raises:
        ValueError: the features cannot be divided among the scales.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        scales: int = 1,
        domains: int = 7,
        readout_stride: int = 8,
        map_factor: int = 4,
    ) -> None:
        super().__init__(strides)
        each = len(channels) // scales
        if list(channels) != list(channels[:each]) * scales:
            raise ValueError(f"the encoder's {len(channels)} features are not {scales} times the same ones")
        self.each = each
        self.readout_stride = readout_stride
        self.map_factor = map_factor
        self.readout = readout_network((sum(channels[:each]), 8, 16, 1, 128, 1))
        self.scale_weights = nn.Parameter(torch.zeros(domains, scales))
        self.sigma = nn.Parameter(torch.full((domains,), INITIAL_SIGMA))
        self.centre_bias_weight = nn.Parameter(torch.ones(domains))
        self.log_priority_scaling = nn.Parameter(torch.zeros(domains))

    def of_domain(self, parameter: Tensor, domain: Tensor | None, batch: int) -> Tensor:
        """A parameter for each image, (B, ...); the mean over all domains where the domain is unknown."""
        mean = parameter.mean(dim=0, keepdim=True)
        if domain is None:
            return mean.expand(batch, *parameter.shape[1:])
        known = (domain >= 0) & (domain < len(parameter))
        index = torch.where(known, domain, len(parameter))
        return torch.cat([parameter, mean])[index]

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> logits of the density (B, 1, H, W)."""
        batch = len(features[0])
        size = self.image_size(features)
        grid = [-(-n // self.readout_stride) for n in size]
        weights = self.of_domain(self.scale_weights, domain, batch).softmax(dim=1)
        scales = [features[i : i + self.each] for i in range(0, len(features), self.each)]
        total = torch.zeros((), device=weights.device)
        for number, taps in enumerate(scales):
            resized = [F.interpolate(f, size=grid, mode="bilinear", align_corners=False) for f in taps]
            total = total + weights[:, number].view(-1, 1, 1, 1) * torch.cat(resized, dim=1)

        scaling = self.log_priority_scaling - self.log_priority_scaling.mean()
        scaling = self.of_domain(scaling, domain, batch).exp()
        priority = self.readout(total) * scaling.view(-1, 1, 1, 1)
        small = [max(1, n // self.map_factor) for n in size]
        priority = F.interpolate(priority, size=small, mode="nearest")
        sigmas = self.of_domain(self.sigma, domain, batch)
        blurred = [replicate_blur(one[None], sigma) for one, sigma in zip(priority, sigmas, strict=True)]
        bias_weight = self.of_domain(self.centre_bias_weight, domain, batch).view(-1, 1, 1, 1)
        prior = F.interpolate(self.stored_prior(size), size=small, mode="nearest")
        return F.interpolate(torch.cat(blurred) + bias_weight * prior, size=size, mode="nearest")
