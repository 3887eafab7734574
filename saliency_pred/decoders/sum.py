"""SUM's decoder: state space blocks that are told what kind of image they look at (C-VSS).

Source: Hosseini, Kazerouni, Akhavan, Brudno, Taati: SUM: Saliency unification through Mamba for visual
attention modeling, WACV 2025; github.com/Arhosseini77/SUM, ``net/models/vmamba.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn

from saliency_pred.encoders.ss2d import SS2D

MODULATIONS = 5


class ConditionedBlock(nn.Module):
    """x + SS2D(norm(x)), the SS2D modulated by five numbers that an MLP makes of the condition's token.

    Args:
        channels: of the maps (B, H, W, C).
        states: N of the scan.
        conditions: kinds of images.
        token: width of a condition's token.
        drop_path: probability of leaving the branch out for an image, in training.
    """

    def __init__(self, channels: int, states: int, conditions: int, token: int, drop_path: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.op = SS2D(channels, states)
        self.condition = nn.Parameter(torch.randn(conditions, token))
        self.mlp = nn.Sequential(
            nn.Linear(token, token),
            nn.GELU(),
            nn.Linear(token, token // 2),
            nn.GELU(),
            nn.Linear(token // 2, MODULATIONS),
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, H, W, C), conditions (B,) → (B, H, W, C)."""
        modulation = self.mlp(self.condition)[condition]
        return x + self.drop_path(self.op(self.norm(x), modulation))


class PatchExpand(nn.Module):
    """Enlarge maps: (B, H, W, C) → (B, factor·H, factor·W, ``outputs``).

    A linear layer makes ``factor``² times ``outputs`` channels, which become the cells of a square: the row
    varies slowest, the channel fastest (not the order of ``nn.PixelShuffle``). A layer norm follows.
    """

    def __init__(self, inputs: int, outputs: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.expand = nn.Linear(inputs, factor**2 * outputs, bias=False)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge."""
        x = self.expand(x).unflatten(-1, (self.factor, self.factor, -1))
        x = x.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)
        return self.norm(x)


class Level(nn.Module):
    """Blocks at one stride, after an enlargement by 2 (None at the deepest)."""

    def __init__(self, upsample: PatchExpand | None, blocks: Sequence[ConditionedBlock]) -> None:
        super().__init__()
        self.upsample = upsample
        self.blocks = nn.ModuleList(blocks)


class SUM(nn.Module):
    """C-VSS blocks from the deepest feature up to the shallowest, skips added before each enlargement.

    The output is the log of the published map, logsigmoid of its logits.

    Args:
        channels: of the encoder's features.
        strides: of the features, each twice the one before. The last may repeat the one before it; then that
            one is the deepest skip, as published (``configs/encoder/vmamba_v0_small_sum.yaml``). Otherwise
            the deepest feature is its own skip. The shallowest feature gives only its size.
        depths: blocks on each level, deep to shallow.
        states: N of the scans.
        conditions: kinds of images that are told apart. The published four: natural images with mouse
            tracking (SALICON), natural images with eye tracking, e-commerce, user interfaces.
        condition_map: the condition for each of ``saliency_pred.data.dataset.DOMAINS``.
        default_condition: where no domain is given.
        drop_path: of the first block; falls linearly to 0 at the last.

    Raises:
        ValueError: strides that do not double, or another number of levels than ``depths`` has; a condition
            that does not exist.
    """

    num_windows = 1

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        depths: Sequence[int] = (2, 2, 2, 1),
        states: int = 16,
        conditions: int = 4,
        condition_map: Sequence[int] = (0, 1, 2, 3, 3, 1, 1),
        default_condition: int = 1,
        token: int = 128,
        drop_path: float = 0.3,
    ) -> None:
        super().__init__()
        channels, strides = list(channels), list(strides)
        self.own_bottleneck = len(strides) > 1 and strides[-1] == strides[-2]
        if self.own_bottleneck:
            if channels[-1] != channels[-2]:
                raise ValueError(f"the two deepest features must have equal channels, got {channels[-2:]}")
            channels, strides = channels[:-1], strides[:-1]
        if len(strides) > len(depths):
            # Finer features than the decoder has levels for, e.g. a CNN's at stride 2, stay unused.
            channels, strides = channels[-len(depths) :], strides[-len(depths) :]
        if len(strides) < len(depths) or any(b != 2 * a for a, b in pairwise(strides)):
            raise ValueError(
                f"SUM's decoder has {len(depths)} levels (depths={list(depths)}) and needs as many features "
                f"with doubling strides, e.g. 4, 8, 16, 32; the encoder's last are {strides}"
            )
        if max(*condition_map, default_condition) >= conditions or min(*condition_map, default_condition) < 0:
            raise ValueError(f"condition_map and default_condition must name conditions 0 to {conditions - 1}")
        self.condition_map = list(condition_map)
        self.default_condition = default_condition
        drops = iter([drop_path * (1 - i / max(1, sum(depths) - 1)) for i in range(sum(depths))])
        self.levels = nn.ModuleList()
        deep = channels[::-1]
        for i, (width, depth) in enumerate(zip(deep, depths, strict=True)):
            upsample = PatchExpand(deep[i - 1], width, 2) if i > 0 else None
            blocks = [ConditionedBlock(width, states, conditions, token, next(drops)) for _ in range(depth)]
            self.levels.append(Level(upsample, blocks))
        head = max(1, channels[0] // 4)
        self.final_up = PatchExpand(channels[0], head, strides[0])
        self.final_conv = nn.Conv2d(head, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def conditions(self, domain: Tensor | None, batch: int, device: torch.device) -> Tensor:
        """Domains (B,) → conditions (B,)."""
        if domain is None:
            return torch.full((batch,), self.default_condition, device=device)
        return torch.tensor(self.condition_map, device=device)[domain.to(device)]

    def sigmoid_logits(self, features: list[Tensor], condition: Tensor) -> Tensor:
        """The published logits, before the sigmoid, for conditions (B,): (B, 1, h, w)."""
        maps = [f.permute(0, 2, 3, 1) for f in features]
        x = maps[-1]
        skips = maps[:-1] if self.own_bottleneck else maps
        for i, level in enumerate(self.levels):
            if level.upsample is not None:
                x = level.upsample(x + skips[-i])  # type: ignore[operator]
                x = x[:, : skips[-i - 1].shape[1], : skips[-i - 1].shape[2]]  # sizes that are no multiples
            for block in level.blocks:  # type: ignore[union-attr]
                x = block(x, condition)
        return self.final_conv(self.final_up(x).permute(0, 3, 1, 2))

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features, domains (B,) → (B, 1, h, w), log of the map in [0, 1]."""
        condition = self.conditions(domain, len(features[0]), features[0].device)
        return F.logsigmoid(self.sigmoid_logits(features, condition))
