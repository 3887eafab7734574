"""Any encoder of still images as an encoder of clips."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn


class PerFrameEncoder(nn.Module):
    """Runs an encoder of still images on every frame of a clip by itself; what moves is the decoder's to find out.

    Args:
        encoder: of still images.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.channels = list(cast(list[int], encoder.channels))
        self.strides = list(cast(list[int], encoder.strides))
        self.time_strides = [1] * len(self.channels)
        self.mean = encoder.mean
        self.std = encoder.std

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, F, H, W) normalised clip -> the encoder's maps as (B, C, F, h, w); of images as they are."""
        if image.ndim == 4:
            return list(self.encoder(image))
        features = self.encoder(image.transpose(1, 2).flatten(0, 1))
        return [f.unflatten(0, (len(image), -1)).transpose(1, 2) for f in features]
