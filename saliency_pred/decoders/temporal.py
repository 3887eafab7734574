"""A read-out of clips: what moves, and what moves unlike the rest, from features of single frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Position = Literal["last", "centre", "all"]


class CausalBlock(nn.Module):
    """Adds to a feature what a convolution over this and past frames, then one over space, make of it.

    Args:
        width: channels.
        kernel: frames that the temporal convolution sees; 1: no other frame.
        dilation: frames from one to the next of them.
        groups: of the normalisations, whose statistics are each frame's own.
    """

    def __init__(self, width: int, kernel: int, dilation: int, groups: int) -> None:
        super().__init__()
        self.taps = [i * dilation for i in range(kernel)]
        self.past = (kernel - 1) * dilation
        self.norm = nn.GroupNorm(groups, width)
        self.over_time = nn.Conv2d(kernel * width, width, 1, bias=False)  # on the frames' channels, oldest first
        if kernel > 1:  # half of the channels begin as differences of two frames, each with both signs
            quarter = width // 4
            with torch.no_grad():
                weight = self.over_time.weight.view(width, kernel, width)
                difference = 2 * weight[:quarter, -1]
                weight[: 2 * quarter] = 0
                weight[:quarter, -2:] = torch.stack([-difference, difference], dim=1)
                weight[quarter : 2 * quarter] = -weight[:quarter]
        self.norm_time = nn.GroupNorm(groups, width)
        self.over_space = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, C, F, h, w), and the last ``past`` normalised frames of the clip before -> the same of this one.

        Without a clip before, the first frame is taken to have stood for ever.
        """
        frames = x.shape[2]
        new = _unfold(self.norm(_fold(x)), frames)
        if state is None:
            state = new[:, :, :1].expand(-1, -1, self.past, -1, -1)
        known = torch.cat([state, new], dim=2)
        seen = torch.cat([known[:, :, tap : tap + frames] for tap in self.taps], dim=1)
        moved = F.relu(self.norm_time(self.over_time(_fold(seen))))
        return x + _unfold(self.over_space(moved), frames), known[:, :, frames:]


class TemporalReadout(nn.Module):
    """Reads a log density of each frame out of the features of any clip encoder, looking back only.

    The features are projected to one width and summed on one grid and the encoder's finest time scale. Blocks of
    causal temporal convolution with growing dilation follow, then two coarser scales and the mean of the frame,
    which set each place against its surroundings, and a 1x1 head. With an encoder that sees one frame at a time
    (``encoder=per_frame``) a video streams: :meth:`stream` carries what the blocks remember, and each frame is
    encoded once.

    Args:
        channels: of the encoder's features, shallow to deep.
        strides: image pixels per cell of each.
        time_strides: frames per step of each.
        num_windows: the number of frames predicted: those of a clip for position ``all``, else 1.
        position: which frames of a clip are predicted.
        width: channels.
        stride: of the grid on which the features are summed; finer ones are averaged, coarser ones enlarged.
        kernel: frames that each temporal convolution sees; 1 makes a model of single frames with the same layers.
        dilations: of the blocks. Together they look back (kernel - 1) x their sum frames.
        groups: of the group normalisations.
        dropout: share of the channels that is dropped before the head in training.

    Raises:
        ValueError: an unknown position, or one frame is predicted and ``num_windows`` is not 1.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        time_strides: Sequence[int],
        num_windows: int = 1,
        position: Position = "all",
        width: int = 32,
        stride: int = 4,
        kernel: int = 3,
        dilations: Sequence[int] = (1, 2, 4),
        groups: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if position not in ("last", "centre", "all"):
            raise ValueError(f"decoder.position must be last, centre or all, got {position!r}")
        if position != "all" and num_windows != 1:
            raise ValueError(f"decoder.position={position} predicts one frame, so decoder.num_windows is 1")
        self.num_windows = num_windows
        self.position = position
        self.stride = stride
        self.strides = list(strides)
        self.time_strides = list(time_strides)
        self.norms = nn.ModuleList(nn.GroupNorm(1, c, affine=False) for c in channels)
        self.project = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.blocks = nn.ModuleList(CausalBlock(width, kernel, dilation, groups) for dilation in dilations)
        self.scales = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(groups, width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))
            for _ in range(3)
        )
        self.whole = nn.Linear(width, width)
        self.dropout = nn.Dropout2d(dropout)
        self.norm = nn.GroupNorm(groups, width)
        self.head = nn.Conv2d(width, 1, 1, bias=False)  # a constant is lost in the softmax

    def stream(
        self, features: list[Tensor], domain: Tensor | None = None, state: list[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits of all frames (B, F, h, w), and what to give with the frames that follow.

        Args:
            features: (B, C, f, h, w) of a clip, or (B, C, h, w) of images, which are clips of one frame.
            domain: unused.
            state: what the call before returned, for a video in several clips; None: it begins.
        """
        x = self._summed(features)
        frames = x.shape[2]
        remembered = []
        for number, block in enumerate(self.blocks):
            x, past = block(x, None if state is None else state[number])
            remembered.append(past)
        x = _fold(x)
        size = (x.shape[-2], x.shape[-1])
        coarse = [x]
        for _ in range(len(self.scales) - 1):
            coarse.append(F.avg_pool2d(coarse[-1], 2, ceil_mode=True))
        total = self.whole(F.relu(x).mean((2, 3)))[:, :, None, None]
        for scale, level in zip(self.scales, coarse, strict=True):
            total = total + F.interpolate(scale(level), size=size, mode="bilinear")
        x = self.head(self.dropout(F.relu(self.norm(x + total))))
        return _unfold(x, frames)[:, 0], remembered

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> logits (B, T, h, w) of the frames that ``position`` names."""
        logits, _ = self.stream(features, domain)
        if self.position == "last":
            return logits[:, -1:]
        if self.position == "centre":
            middle = logits.shape[1] // 2
            return logits[:, middle : middle + 1]
        return logits

    def _summed(self, features: list[Tensor]) -> Tensor:
        """(B, width, F, h, w) on the grid of the read-out; F as many as the encoder's finest time scale has frames."""
        features = [f if f.ndim == 5 else f.unsqueeze(2) for f in features]
        finest = min(range(len(features)), key=lambda i: self.time_strides[i])
        frames = features[finest].shape[2] * self.time_strides[finest]
        nearest = min(range(len(features)), key=lambda i: abs(self.strides[i] - self.stride))
        scale = self.strides[nearest] / self.stride
        size = tuple(max(1, round(n * scale)) for n in features[nearest].shape[-2:])
        total = torch.zeros((), device=features[0].device)
        for norm, project, feature in zip(self.norms, self.project, features, strict=True):
            steps = feature.shape[2]
            x = norm(_fold(feature))
            if x.shape[-1] > size[1]:
                x = F.interpolate(x, size=size, mode="bilinear", antialias=True)
            x = project(x)
            if tuple(x.shape[-2:]) != size:
                x = F.interpolate(x, size=size, mode="bilinear")
            x = _unfold(x, steps)
            if steps != frames:
                x = F.interpolate(x, size=(frames, *size), mode="nearest")
            total = total + x
        return total


def _fold(x: Tensor) -> Tensor:
    """(B, C, F, h, w) -> (B F, C, h, w)."""
    return x.transpose(1, 2).flatten(0, 1)


def _unfold(x: Tensor, frames: int) -> Tensor:
    """(B F, C, h, w) -> (B, C, F, h, w)."""
    return x.unflatten(0, (-1, frames)).transpose(1, 2)
