"""TASED-Net: un-pooling by the places where the encoder's features were largest.

Source: Min, Corso: TASED-Net: Temporally-aggregating spatial encoder-decoder network for video saliency detection,
ICCV 2019; github.com/MichiganCOG/TASED-Net, ``model.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class TASED(nn.Module):
    """TASED-Net's decoder on the features of any clip encoder (S3D as published).

    The finer features give positions only: pooled over time to the steps of the deepest, then in space, they say
    where in each window the largest value was, and the decoder's values are put there. Where windows overlap and
    two values have one place, the later stays (on a GPU either may).

    Args:
        channels: of the encoder's features, shallow to deep.
        strides: image pixels per cell of each.
        time_strides: frames per step of each.
        frames: of a clip. 32 as published; another number has another shape in the last temporal step.
    """

    num_windows = 1
    position = "last"

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], time_strides: Sequence[int], frames: int = 32
    ) -> None:
        super().__init__()
        if len(channels) < 2:
            raise ValueError("TASED-Net un-pools by the features before the deepest, and the encoder has one feature")
        if frames % time_strides[-1]:
            raise ValueError(f"frames={frames} must be a multiple of the encoder's time stride {time_strides[-1]}")
        self.frames = frames
        self.steps_in_time = frames // time_strides[-1]
        self.time_pools = [time_strides[-1] // stride for stride in time_strides[-2::-1]]
        deep = channels[-1]
        self.entry = _unit(nn.Conv3d(deep, deep, 1, bias=False))
        self.steps = nn.ModuleList(
            _unit(nn.ConvTranspose3d(i, o, (1, 3, 3), padding=(0, 1, 1), bias=False))
            for i, o in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        halves = 2 if self.steps_in_time % 2 == 0 else 1
        rest = self.steps_in_time // halves
        last = 64
        self.closing = nn.Sequential(
            _unit(_double(channels[0], last)),
            _unit(nn.Conv3d(last, last, (halves, 1, 1), (halves, 1, 1), bias=False)),
            _unit(nn.ConvTranspose3d(last, 4, 1, bias=False)),
            _unit(nn.Conv3d(4, 4, (rest, 1, 1), (rest, 1, 1), bias=False)),
            _double(4, 4),
        )
        self.head = nn.Conv3d(4, 1, 1)

    def sigmoid_logits(self, features: list[Tensor]) -> Tensor:
        """The map before its sigmoid, (B, 1, h, w), four times as fine as the finest feature."""
        x = self.entry(features[-1])
        if x.shape[2] != self.steps_in_time:
            raise ValueError(
                f"this decoder is built for clips of {self.frames} frames ({self.steps_in_time} steps of the deepest "
                f"feature), the clip gave {x.shape[2]} steps; set decoder.frames to the frames of a clip"
            )
        for number, (step, skip) in enumerate(zip(self.steps, features[-2::-1], strict=True)):
            pool = self.time_pools[number]
            skip = F.max_pool3d(skip, (pool, 1, 1))
            # The deepest pool of S3D has disjoint windows, the others overlap.
            window, padding = ((1, 2, 2), (0, 0, 0)) if number == 0 else ((1, 3, 3), (0, 1, 1))
            pooled, places = F.max_pool3d(skip, window, (1, 2, 2), padding, return_indices=True)
            x = step(x)
            if x.shape != pooled.shape:  # another encoder's sizes
                x = F.interpolate(x, size=pooled.shape[2:], mode="nearest")
            x = F.max_unpool3d(x, places, window, (1, 2, 2), padding, output_size=skip.shape[2:])
        return self.head(self.closing(x))[:, :, 0]

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> log of the map (B, 1, h, w) of the clip's last frame."""
        return F.logsigmoid(self.sigmoid_logits(features))


def _unit(convolution: nn.Module) -> nn.Sequential:
    outputs = int(convolution.out_channels)  # type: ignore[arg-type]
    return nn.Sequential(convolution, nn.BatchNorm3d(outputs, eps=1e-3), nn.ReLU())


def _double(inputs: int, outputs: int) -> nn.ConvTranspose3d:
    """Twice the height and width."""
    return nn.ConvTranspose3d(inputs, outputs, (1, 4, 4), (1, 2, 2), (0, 1, 1), bias=False)
