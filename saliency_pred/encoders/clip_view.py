"""Some of a clip's frames, at a size of their own: what one member of an ensemble sees of a common clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn


class ClipViewEncoder(nn.Module):
    """Gives an encoder every ``step``-th frame from ``start`` to before ``stop``, resized.

    Args:
        encoder: of clips.
        start, stop, step: as in a slice; stop None: to the clip's end.
        size: (height, width) that frames are resized to (bilinear, antialiased); None: as they are.

    Attributes:
        strides: pixels of the resized frames per cell.
        time_strides: frames of the view per step.
    """

    def __init__(
        self,
        encoder: nn.Module,
        start: int = 0,
        stop: int | None = None,
        step: int = 1,
        size: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.frames = slice(start, stop, step)
        self.size = None if size is None else (int(size[0]), int(size[1]))
        self.channels = list(cast(list[int], encoder.channels))
        self.strides = list(cast(list[int], encoder.strides))
        self.time_strides = list(cast(list[int], encoder.time_strides))
        self.mean = encoder.mean
        self.std = encoder.std

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, F, H, W) normalised clip -> the encoder's maps of the view."""
        view = image[:, :, self.frames]
        if self.size is not None and tuple(view.shape[-2:]) != self.size:
            frames = view.transpose(1, 2).flatten(0, 1)
            resized = F.interpolate(frames, size=self.size, mode="bilinear", antialias=True)
            view = resized.unflatten(0, (len(view), -1)).transpose(1, 2)
        return self.encoder(view)
