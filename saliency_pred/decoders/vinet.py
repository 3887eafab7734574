"""ViNet and ViNet-S: the map of a clip's last frame, from features that are joined along time.

Sources: Jain et al.: ViNet: Pushing the limits of visual modality for audio-visual saliency prediction, IROS 2021;
github.com/samyak0210/ViNet, ``model.py``. Girmaji, Jain et al.: Minimalistic video saliency prediction via
efficient decoder & spatio temporal action cues, ICASSP 2025; github.com/ViNet-Saliency/vinet_v2, ``ViNet_S``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ViNet(nn.Module):
    """ViNet's decoder on the features of any clip encoder (S3D as published).

    At every step the enlarged feature gets the next finer one appended *along time*, and a convolution whose
    temporal kernel is its stride brings the sum back to the time steps of the deepest feature; two more bring
    these to one. No norms, and no bias but the last.

    Args:
        channels: of the encoder's features, shallow to deep.
        strides: image pixels per cell of each.
        time_strides: frames per step of each.
        frames: of a clip. 32 as published; another number has other shapes in the last two temporal steps.
        groups: of the convolutions, deep to shallow: one a feature, then that of the second-last step. ViNet has
            ones, ViNet-S halves them from step to step.
        widths: channels after the features are used up, and of the last steps.
        align_corners: how the feature is enlarged. ViNet-S was trained with True by its script's default and is run
            with False.
    """

    num_windows = 1
    position = "last"

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        time_strides: Sequence[int],
        frames: int = 32,
        groups: Sequence[int] = (32, 16, 8, 4, 2),
        widths: Sequence[int] = (64, 32),
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        if len(groups) != len(channels) + 1:
            raise ValueError(f"groups must have {len(channels) + 1} numbers for {len(channels)} features, got {groups}")
        if frames % time_strides[-1]:
            raise ValueError(f"frames={frames} must be a multiple of the encoder's time stride {time_strides[-1]}")
        self.frames = frames
        self.align_corners = align_corners
        outputs = [*channels[-2::-1], widths[0]]
        kernels = [1, *(1 + time_strides[-1] // stride for stride in time_strides[-2::-1])]
        self.steps = nn.ModuleList(
            _convolution(i, o, (kernel, 3, 3), g)
            for i, o, kernel, g in zip(channels[::-1], outputs, kernels, groups[:-1], strict=True)
        )
        self.steps_in_time = frames // time_strides[-1]
        halves = 2 if self.steps_in_time % 2 == 0 else 1
        self.halve = _convolution(widths[0], widths[1], (halves, 3, 3), groups[-1])
        self.close = _convolution(widths[1], widths[1], (self.steps_in_time // halves, 1, 1), 1)
        self.head = nn.Conv3d(widths[1], 1, 1)

    def sigmoid_logits(self, features: list[Tensor]) -> Tensor:
        """The map before its sigmoid, (B, 1, h, w), four times as fine as the finest feature."""
        x = features[-1]
        if x.shape[2] != self.steps_in_time:
            raise ValueError(
                f"this decoder is built for clips of {self.frames} frames ({self.steps_in_time} steps of the deepest "
                f"feature), the clip gave {x.shape[2]} steps; set decoder.frames to the frames of a clip"
            )
        skips = features[-2::-1]
        for step, skip in zip(self.steps, skips, strict=False):
            x = self._enlarge(F.relu(step(x)), (skip.shape[-2], skip.shape[-1]))
            x = torch.cat([x, skip], dim=2)
        for step in (self.steps[-1], self.halve):
            x = F.relu(step(x))
            x = self._enlarge(x, (2 * x.shape[-2], 2 * x.shape[-1]))
        return self.head(F.relu(self.close(x)))[:, :, 0]

    def _enlarge(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(
            x, size=(x.shape[2], *size), mode="trilinear", align_corners=self.align_corners
        )  # time stays, so this is bilinear

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> log of the map (B, 1, h, w) of the clip's last frame."""
        return F.logsigmoid(self.sigmoid_logits(features))


def _convolution(inputs: int, outputs: int, kernel: tuple[int, int, int], groups: int) -> nn.Conv3d:
    """Without bias; in time the kernel is the stride, in space the size is kept."""
    time, height, width = kernel
    padding = (0, height // 2, width // 2)
    return nn.Conv3d(inputs, outputs, kernel, (time, 1, 1), padding, groups=groups, bias=False)
