"""Several encoders that look at the same image side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn


class ParallelEncoder(nn.Module):
    """Runs encoders on the same image and returns their feature lists one after the other.

    For decoders whose branches have an encoder each (TempSAL). Each encoder gets the image normalised by
    its own mean and std.

    Args:
        encoders: at least two, by names of your choice.

    Attributes:
        channels, strides: those of the first encoder, then those of the second, and so on.
        time_strides: the same; only where every encoder is one of clips.
    """

    def __init__(self, encoders: Mapping[str, nn.Module]) -> None:
        super().__init__()
        if len(encoders) < 2:
            raise ValueError(f"a ParallelEncoder needs at least two encoders, got {len(encoders)}")
        self.encoders = nn.ModuleDict(encoders)
        self.channels = [c for e in self.encoders.values() for c in cast(list[int], e.channels)]
        self.strides = [s for e in self.encoders.values() for s in cast(list[int], e.strides)]
        if all(hasattr(e, "time_strides") for e in self.encoders.values()):
            self.time_strides = [s for e in self.encoders.values() for s in cast(list[int], e.time_strides)]
        self.mean = (0.0, 0.0, 0.0)  # each encoder normalises by itself
        self.std = (1.0, 1.0, 1.0)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) image or (B, 3, F, H, W) clip in [0, 1] -> the features of all encoders."""
        features = []
        shape = (-1, *[1] * (image.ndim - 2))
        for encoder in self.encoders.values():
            mean = torch.as_tensor(encoder.mean, dtype=image.dtype, device=image.device).view(shape)
            std = torch.as_tensor(encoder.std, dtype=image.dtype, device=image.device).view(shape)
            features.extend(encoder((image - mean) / std))
        return features
