"""One encoder at several sizes of the same image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NOMINAL_SIDE = 1024
"""The longest side of an image for which strides at a fixed size are told."""


class MultiScaleEncoder(nn.Module):
    """Runs an encoder on resized copies of the image and returns all features, size after size.

    Args:
        encoder: the encoder.
        factors: sizes relative to the image. DeepGaze MSDB's 5, 10, 17.5, 24 and 30 pixels per degree are,
            for images of 35 pixels per degree, factors of 1/7, 2/7, 1/2, 24/35 and 6/7.
        longest_sides: sizes at which the longest side has so many pixels, after those of ``factors``.
        mode: how the image is resized; ``"nearest"`` is DeepGaze I to III's.
        frozen: train no parameter, keep evaluation mode, and record nothing for a gradient.

    Attributes:
        channels: the encoder's, once for each size.
        strides: pixels of the image per cell; those of ``longest_sides`` hold for an image of 1024 pixels.

    Raises:
        ValueError: no size at all, or one that is not positive.
    """

    def __init__(
        self,
        encoder: nn.Module,
        factors: Sequence[float] = (),
        longest_sides: Sequence[int] = (),
        mode: Literal["nearest", "bilinear", "bicubic"] = "bicubic",
        frozen: bool = True,
    ) -> None:
        super().__init__()
        nominal = [*factors, *(side / NOMINAL_SIDE for side in longest_sides)]
        if not nominal or min(nominal) <= 0:
            raise ValueError("give at least one positive size in factors or longest_sides")
        self.encoder = encoder
        self.factors = list(factors)
        self.longest_sides = list(longest_sides)
        self.mode = mode
        self.frozen = frozen
        self.mean, self.std = encoder.mean, encoder.std
        self.channels = [c for _ in nominal for c in cast(list[int], encoder.channels)]
        self.strides = [max(1, round(s / factor)) for factor in nominal for s in cast(list[int], encoder.strides)]
        if frozen:
            self.requires_grad_(False)
            self.eval()

    def train(self, mode: bool = True) -> MultiScaleEncoder:
        """As nn.Module.train, except that a frozen encoder stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised image -> the features at every size."""
        longest = max(image.shape[-2:])
        factors = [*self.factors, *(side / longest for side in self.longest_sides)]
        features = []
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            for factor in factors:
                smooth = {} if self.mode == "nearest" else {"align_corners": False, "antialias": factor < 1}
                resized = F.interpolate(
                    image, scale_factor=factor, mode=self.mode, recompute_scale_factor=False, **smooth
                )
                features.extend(self.encoder(resized))
        return features
