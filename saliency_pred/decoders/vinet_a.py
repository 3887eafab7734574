"""ViNet-A: the map of a clip's centre, from a slow and a fast pathway.

Source: Girmaji, Jain et al.: Minimalistic video saliency prediction via efficient decoder & spatio temporal action
cues, ICASSP 2025; github.com/ViNet-Saliency/vinet_v2, ``ViNet_A/neck.py``, ``ViNet_A/decoder.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHUFFLED_FROM = 8
"""Fewer groups than these are not shuffled."""


class ViNetA(nn.Module):
    """ViNet-A's neck and decoder on the features of a two-pathway encoder (SlowFast as published).

    The neck joins the deepest slow and fast features and halves the channels of the others. Then grouped
    convolutions, each followed by enlarging, by appending the next finer feature and by a shuffle of the channels
    between the groups; the last three reduce time to one.

    Args:
        channels: of the encoder's features: the slow pathway's, shallow to deep, then the fast pathway's deepest.
        strides: image pixels per cell of each.
        time_strides: frames per step of each.
        frames: of a clip. 32 as published; another number has another shape in the third-last convolution.
        groups: of the first convolution; halved from step to step.
    """

    num_windows = 1
    position = "centre"

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        time_strides: Sequence[int],
        frames: int = 32,
        groups: int = 32,
    ) -> None:
        super().__init__()
        if len(channels) != 6 or time_strides[-1] * 4 != time_strides[-2]:
            raise ValueError(
                "ViNet-A decodes four skips, a slow and a four times as fast feature (encoder=slowfast); this encoder "
                f"has {len(channels)} features with time strides {list(time_strides)}"
            )
        self.frames = frames
        steps = frames // time_strides[-2]
        if frames % time_strides[-2] or steps % 4:
            raise ValueError(f"frames={frames} must be a multiple of {4 * time_strides[-2]}")
        self.steps_in_time = steps
        *skips, slow, fast = channels
        self.neck_slow = nn.Conv3d(slow, slow // 2, 1, bias=False)
        self.neck_skips = nn.ModuleList(nn.Conv3d(c, c // 2, 1, bias=False) for c in skips)
        halves = [c // 2 for c in skips]
        inputs = [slow // 2 + 2 * fast, 2 * halves[3], 2 * halves[2], 2 * halves[1]]
        self.groups = [groups, groups // 2, groups // 4, groups // 4]
        self.steps = nn.ModuleList(
            nn.Conv3d(i, o, 3, padding=1, groups=g, bias=False)
            for i, o, g in zip(inputs, halves[::-1], self.groups, strict=True)
        )
        self.close = nn.ModuleList(
            nn.Conv3d(i, o, (kernel, 3, 3), (kernel, 1, 1), (0, 1, 1), groups=g, bias=False)
            for i, o, kernel, g in (
                (2 * halves[0], 64, 2, groups // 8),
                (64, 32, 2, groups // 16),
                (32, 16, steps // 4, 1),
            )
        )
        self.point = nn.Conv3d(16, 16, 1, bias=False)
        self.head = nn.Conv3d(16, 1, 1)

    def neck(self, slow: Tensor, fast: Tensor) -> Tensor:
        """Join the deepest features of both pathways, (B, slow / 2 + 2 fast, f, h, w)."""
        slow = F.relu(self.neck_slow(slow))
        # Channel c at time t of T becomes channel 2 c + (2 t // T) at time t mod T / 2.
        fast = fast.contiguous().view(len(fast), 2 * fast.shape[1], fast.shape[2] // 2, *fast.shape[3:])
        return torch.cat([slow, F.adaptive_max_pool3d(fast, slow.shape[2:])], dim=1)

    def sigmoid_logits(self, features: list[Tensor]) -> Tensor:
        """The map before its sigmoid, (B, 1, h, w), four times as fine as the finest feature."""
        *skips, slow, fast = features
        if slow.shape[2] != self.steps_in_time or fast.shape[2] != 4 * self.steps_in_time:
            raise ValueError(
                f"this decoder is built for clips of {self.frames} frames, the clip gave {slow.shape[2]} slow and "
                f"{fast.shape[2]} fast steps; set decoder.frames to the frames of a clip"
            )
        x = self.neck(slow, fast)
        for number, step in enumerate(self.steps):
            skip = F.relu(self.neck_skips[-1 - number](skips[-1 - number]))
            x = torch.cat([_enlarge(F.relu(step(x)), skip.shape[-2:]), skip], dim=1)
            groups = self.groups[number]
            if number < len(self.steps) - 1 and groups >= SHUFFLED_FROM:
                x = x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)
        for number, step in enumerate(self.close):
            x = F.relu(step(x))
            if number < 2:
                x = _enlarge(x, (2 * x.shape[-2], 2 * x.shape[-1]))
        return self.head(F.relu(self.point(x)))[:, :, 0]

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> log of the map (B, 1, h, w) of the clip's centre."""
        return F.logsigmoid(self.sigmoid_logits(features))


def _enlarge(x: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=(x.shape[2], *size), mode="trilinear", align_corners=False)
