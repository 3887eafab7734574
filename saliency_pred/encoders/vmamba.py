"""VMamba, v0 and v2: vision backbones of selective scans in linear time.

Source: Liu et al., "VMamba: Visual state space model" (NeurIPS 2024); github.com/MzeroMiko/VMamba (MIT),
``vmamba.py``: ``vanilla_vmamba_*`` (v0) and ``vmamba_*_s1l*``, ``vmamba_*_s2l*`` (v2).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from timm.layers import DropPath, Mlp
from torch import Tensor, nn

from saliency_pred.encoders.ss2d import SS2D
from saliency_pred.weights.published import vmamba as official
from saliency_pred.weights.published.load import fill, read

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ChannelsLast(nn.Module):
    """(B, C, H, W) → (B, H, W, C), a view."""

    def forward(self, x: Tensor) -> Tensor:
        """Permute."""
        return x.permute(0, 2, 3, 1)


class ChannelsFirst(nn.Module):
    """(B, H, W, C) → (B, C, H, W), a view."""

    def forward(self, x: Tensor) -> Tensor:
        """Permute."""
        return x.permute(0, 3, 1, 2)


class Neighbours(nn.Module):
    """Join 2x2 cells: (B, H, W, C) → (B, ⌈H/2⌉, ⌈W/2⌉, 4C), the lower left before the upper right."""

    def forward(self, x: Tensor) -> Tensor:
        """Join; an odd last row or column is joined with zeros."""
        if x.shape[1] % 2 or x.shape[2] % 2:
            x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        return torch.cat([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], dim=-1)


class VSSBlock(nn.Module):
    """x + SS2D(norm(x)), then, where there is an MLP, x + MLP(norm(x)); maps (B, H, W, C).

    Args:
        channels: C.
        states, expand, gate: of :class:`SS2D`.
        mlp_ratio: hidden width of the MLP relative to C; 0: no MLP.
        drop_path: probability of leaving a branch out for an image, in training.
    """

    def __init__(
        self, channels: int, states: int, expand: float, gate: bool, mlp_ratio: float, drop_path: float
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.op = SS2D(channels, states, expand, gate)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(channels) if mlp_ratio else None
        self.mlp = Mlp(channels, int(channels * mlp_ratio)) if mlp_ratio else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) → (B, H, W, C)."""
        x = x + self.drop_path(self.op(self.norm(x)))
        if self.norm2 is not None and self.mlp is not None:
            x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x


class Stage(nn.Module):
    """The blocks at one stride, then the way to the next stage (None after the last)."""

    def __init__(self, blocks: Sequence[VSSBlock], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, C) → what the blocks give, and what enters the next stage."""
        x = self.blocks(x)
        return x, x if self.downsample is None else self.downsample(x)


class VMambaEncoder(nn.Module):
    """VMamba without its classifier.

    Images of any size; where a size does not divide by a stride, the feature is rounded up.

    Args:
        version: ``v0``: 4x4 patches, gated scans, no MLP, 2x2 cells merged between stages. ``v2``:
            overlapping convolutions in place of patches and merging, no gate, an MLP after each scan.
        depths: blocks in each of the four stages.
        channels: of the first stage; doubled from stage to stage.
        states: N of the scans, 16 (v0) or 1 (v2).
        expand: width of the scans relative to the channels.
        drop_path: of the last block; grows linearly from 0 at the first.
        weights: ``none`` (random) or the path of an official checkpoint.
        taps: ``stages``: what the four stages' blocks give, each after a layer norm of its own (not in
            ImageNet checkpoints, so without scale and shift at first). ``entries``: what enters the four
            stages, then what leaves the last, without norms, as SUM's decoder has it: five features, two of
            them at stride 32.

    Attributes:
        channels, strides: of each returned map.
        mean, std: ImageNet's.

    Raises:
        FileNotFoundError: no file of that name.
        ValueError: unknown version or taps; a file that is no checkpoint of this variant, with a list of the
            unknown, missing and mis-shaped tensors.
    """

    def __init__(
        self,
        version: Literal["v0", "v2"],
        depths: Sequence[int],
        channels: int = 96,
        states: int = 16,
        expand: float = 2.0,
        drop_path: float = 0.2,
        weights: str = "none",
        taps: Literal["stages", "entries"] = "stages",
    ) -> None:
        super().__init__()
        if version not in ("v0", "v2"):
            raise ValueError(f"version must be 'v0' or 'v2', got {version!r}")
        if taps not in ("stages", "entries"):
            raise ValueError(f"taps must be 'stages' or 'entries', got {taps!r}")
        self.taps = taps
        widths = [channels * 2**i for i in range(len(depths))]
        self.patch_embed = _patches(widths[0]) if version == "v0" else _overlapping_patches(widths[0])
        self.cells = 4 if version == "v0" else 1  # what the image is padded to a multiple of
        drops = iter([drop_path * i / max(1, sum(depths) - 1) for i in range(sum(depths))])
        mlp_ratio = 0.0 if version == "v0" else 4.0
        self.layers = nn.ModuleList()
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = [VSSBlock(width, states, expand, version == "v0", mlp_ratio, next(drops)) for _ in range(depth)]
            last = i == len(widths) - 1
            merge = None if last else _merge(width) if version == "v0" else _overlapping_merge(width)
            self.layers.append(Stage(blocks, merge))
        strides = [4 * 2**i for i in range(len(widths))]
        if taps == "stages":
            self.channels, self.strides = widths, strides
            for i, width in enumerate(widths):
                self.add_module(f"outnorm{i}", nn.LayerNorm(width))
        else:
            self.channels, self.strides = [*widths, widths[-1]], [*strides, strides[-1]]
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        self.apply(_initialise)
        if weights != "none":
            self._load(weights)

    def _load(self, weights: str) -> None:
        path = Path(weights).expanduser()
        if not path.is_file():
            raise FileNotFoundError(
                f"encoder.weights={weights!r} is not 'none', and no file of that name exists; official "
                "checkpoints are on the release pages of github.com/MzeroMiko/VMamba"
            )
        own_norms = {k: v for k, v in self.state_dict().items() if k.startswith("outnorm")}
        fill(self, own_norms | official.convert(read(path)), str(path))

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W), normalised → a list of (B, channels[i], ⌈H / strides[i]⌉, ⌈W / strides[i]⌉)."""
        down, right = -image.shape[2] % self.cells, -image.shape[3] % self.cells
        if down or right:
            image = F.pad(image, (0, right, 0, down), mode="replicate")
        x = self.patch_embed(image)
        features = []
        for i, stage in enumerate(self.layers):
            if self.taps == "entries":
                features.append(x)
            x, entry = stage(x)
            if self.taps == "stages":
                features.append(self.get_submodule(f"outnorm{i}")(x))
            x = entry
        if self.taps == "entries":
            features.append(x)
        return [f.permute(0, 3, 1, 2).contiguous() for f in features]


# The children stand at the places that official state_dicts have them at.


def _patches(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, channels, 4, 4), ChannelsLast(), nn.LayerNorm(channels))


def _overlapping_patches(channels: int) -> nn.Sequential:
    half = channels // 2
    return nn.Sequential(
        nn.Conv2d(3, half, 3, 2, 1),
        ChannelsLast(),
        nn.LayerNorm(half),
        ChannelsFirst(),
        nn.GELU(),
        nn.Conv2d(half, channels, 3, 2, 1),
        ChannelsLast(),
        nn.LayerNorm(channels),
    )


def _merge(channels: int) -> nn.Sequential:
    return nn.Sequential(Neighbours(), nn.LayerNorm(4 * channels), nn.Linear(4 * channels, 2 * channels, bias=False))


def _overlapping_merge(channels: int) -> nn.Sequential:
    return nn.Sequential(
        ChannelsFirst(),
        nn.Conv2d(channels, 2 * channels, 3, 2, 1),
        ChannelsLast(),
        nn.LayerNorm(2 * channels),
    )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
