"""SalEMA: SalGAN on every frame, with a moving average of one feature.

Source: Linardos, Mohedano, Nieto, O'Connor, Giro-i-Nieto, McGuinness: Simple vs complex temporal recurrences for video
saliency prediction, BMVC 2019; github.com/Linardos/SalEMA, ``src/model/SalEMA.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SalEMA(nn.Module):
    """SalGAN's decoder on the deepest feature of each frame (VGG-16 at stride 16 as published).

    The first convolution's output is averaged over time: ``s new + (1 - s) old`` with s = sigmoid(alpha), the first
    frame as it is.

    Args:
        channels: of the encoder's features, shallow to deep.
        strides: image pixels per cell of each.
        num_windows: the number of frames of a clip; 1 for images.
        alpha: to begin with; learned.
        widths: of the convolutions; between lists the map is enlarged by two.
    """

    position = "all"

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        num_windows: int = 1,
        alpha: float = 0.25,
        widths: Sequence[Sequence[int]] = ((512, 512, 512), (512, 512, 512), (256, 256, 256), (128, 128), (64, 64)),
    ) -> None:
        super().__init__()
        self.num_windows = num_windows
        self.alpha = nn.Parameter(torch.tensor([float(alpha)]))
        self.averaged = nn.Conv2d(channels[-1], widths[0][0], 3, padding=1)
        inputs = widths[0][0]
        self.steps = nn.ModuleList()
        for number, block in enumerate(widths):
            step = nn.ModuleList()
            for width in block[1:] if number == 0 else block:
                step.append(nn.Conv2d(inputs, width, 3, padding=1))
                inputs = width
            self.steps.append(step)
        self.head = nn.Conv2d(inputs, 1, 1)

    def run(self, features: list[Tensor], state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The maps before their sigmoids (B, F, h, w), and the state.

        Args:
            features: (B, C, F, h, w) of a clip, or (B, C, h, w) of images.
            state: what the call before returned, for a video in several clips.
        """
        deep = features[-1] if features[-1].ndim == 5 else features[-1].unsqueeze(2)
        share = torch.sigmoid(self.alpha)
        averages = []
        for frame in deep.unbind(2):
            new = self.averaged(frame)
            state = new if state is None else share * new + (1 - share) * state
            averages.append(state)
        x = F.relu(torch.stack(averages, dim=1).flatten(0, 1))
        for number, step in enumerate(self.steps):
            if number:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            for convolution in cast(nn.ModuleList, step):
                x = F.relu(convolution(x))
        return self.head(x).unflatten(0, (len(deep), -1)).squeeze(2), averages[-1]

    def stream(
        self, features: list[Tensor], domain: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`forward`, carrying the state from clip to clip of one video."""
        logits, state = self.run(features, state)
        return F.logsigmoid(logits), state

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> log of the map of every frame (B, F, h, w), 1 for images."""
        return self.stream(features)[0]
