"""SlowFast-R50 with a dilated last stage, as ViNet-A taps it.

Sources: Feichtenhofer, Fan, Malik, He: SlowFast networks for video recognition, ICCV 2019;
github.com/ViNet-Saliency/vinet_v2, ``ViNet_A/encoder.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = (3, 4, 6, 3)
STRIDES = (1, 2, 2, 1)
DILATIONS = (1, 1, 1, 2)
SLOW_WIDTHS = (64, 128, 256, 512)
SLOW_TEMPORAL = (1, 1, 3, 3)
EXPANSION = 4


class Bottleneck(nn.Module):
    """A residual block: temporal x 1 x 1, 1 x 3 x 3 with stride and dilation, 1 x 1 x 1, each with a norm."""

    def __init__(self, inputs: int, width: int, temporal: int, stride: int, dilation: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.conv1 = nn.Conv3d(inputs, width, (temporal, 1, 1), padding=(temporal // 2, 0, 0), bias=False)
        self.norm1 = nn.BatchNorm3d(width)
        spatial = (1, dilation, dilation)
        self.conv2 = nn.Conv3d(
            width, width, (1, 3, 3), (1, stride, stride), (0, dilation, dilation), dilation=spatial, bias=False
        )
        self.norm2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, outputs, 1, bias=False)
        self.norm3 = nn.BatchNorm3d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, (1, stride, stride), bias=False), nn.BatchNorm3d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, f, h, w) -> (B, 4 width, f, h / stride, w / stride)."""
        out = F.relu(self.norm1(self.conv1(x)))
        out = F.relu(self.norm2(self.conv2(out)))
        return F.relu(self.norm3(self.conv3(out)) + self.shortcut(x))


class Pathway(nn.Module):
    """One of the two ResNets: a stem and four stages, without the lateral connections.

    Args:
        widths: of the stages' bottlenecks.
        stem_frames: temporal kernel of the first convolution.
        temporal: temporal kernels of the stages.
        joined: channels that a lateral connection adds to the input of each stage.
    """

    def __init__(
        self, widths: Sequence[int], stem_frames: int, temporal: Sequence[int], joined: Sequence[int] = (0, 0, 0, 0)
    ) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, widths[0], (stem_frames, 7, 7), (1, 2, 2), (stem_frames // 2, 3, 3), bias=False)
        self.norm = nn.BatchNorm3d(widths[0])
        inputs = widths[0]
        self.stages = nn.ModuleList()
        for width, blocks, kernel, stride, dilation, more in zip(
            widths, BLOCKS, temporal, STRIDES, DILATIONS, joined, strict=True
        ):
            first = Bottleneck(inputs + more, width, kernel, stride, dilation)
            inputs = EXPANSION * width
            rest = (Bottleneck(inputs, width, kernel, 1, dilation) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(first, *rest))

    def stem(self, clip: Tensor) -> Tensor:
        """(B, 3, f, H, W) -> (B, width, f, H / 4, W / 4)."""
        x = F.relu(self.norm(self.conv(clip)))
        return F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))


class SlowFastEncoder(nn.Module):
    """A slow pathway on every ``alpha``-th frame and a thin fast one on all of them.

    After the stem and each of the first three stages, a temporal convolution of the fast pathway's feature is
    appended to the slow one's. The last stage is dilated in place of its stride, so that the deepest features have
    stride 16.

    Returns six features: the slow pathway's four inputs to its stages (with what was appended), its output, and the
    fast pathway's output.

    Args:
        weights: ``none`` (random) or a file of this class's ``state_dict``. torchvision has no SlowFast; the
            backbone of an imported ViNet-A is taken with ``init=[{ckpt: FILE, part: encoder}]``.
        alpha: frames per step of the slow pathway.
        frozen: train no parameter and keep batch norms in evaluation mode.
        mean: subtracted from frames in [0, 1].
        std: what they are then divided by.
    """

    def __init__(
        self,
        weights: Literal["none"] | str = "none",
        alpha: int = 4,
        frozen: bool = False,
        mean: Sequence[float] = (0.45, 0.45, 0.45),
        std: Sequence[float] = (0.225, 0.225, 0.225),
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.frozen = frozen
        self.mean = tuple(mean)
        self.std = tuple(std)
        fast_widths = [width // 8 for width in SLOW_WIDTHS]
        fast = [fast_widths[0], *(EXPANSION * width for width in fast_widths)]
        slow = [SLOW_WIDTHS[0], *(EXPANSION * width for width in SLOW_WIDTHS)]
        joined = [2 * channels for channels in fast[:4]]
        self.slow = Pathway(SLOW_WIDTHS, 1, SLOW_TEMPORAL, joined)
        self.fast = Pathway(fast_widths, 5, (3, 3, 3, 3))
        self.lateral = nn.ModuleList(
            nn.Conv3d(i, o, (5, 1, 1), (alpha, 1, 1), (2, 0, 0), bias=False)
            for i, o in zip(fast[:4], joined, strict=True)
        )
        self.channels = [*(a + b for a, b in zip(slow, joined, strict=False)), slow[-1], fast[-1]]
        self.strides = [4, 4, 8, 16, 16, 16]
        self.time_strides = [alpha, alpha, alpha, alpha, alpha, 1]
        if weights != "none":
            path = Path(weights).expanduser()
            if not path.is_file():
                raise FileNotFoundError(f"encoder.weights={weights!r} is neither none nor a file")
            try:
                self.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
            except RuntimeError as error:
                raise ValueError(f"{path} does not hold the weights of a {type(self).__name__}: {error}") from error
        if frozen:
            self.requires_grad_(False)
            self.eval()

    def train(self, mode: bool = True) -> SlowFastEncoder:
        """As nn.Module.train, except that a frozen encoder stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, F, H, W) normalised clip -> six (B, C, f, h, w), see the class; sizes rounded up."""
        if image.ndim != 5:
            raise ValueError(
                f"{type(self).__name__} encodes clips (B, 3, F, H, W), got {tuple(image.shape)}; give it "
                "videos and set loader.clips.frames"
            )
        slow, fast = self.slow.stem(image[:, :, :: self.alpha]), self.fast.stem(image)
        features = []
        for number, lateral in enumerate(self.lateral):
            slow = torch.cat([slow, lateral(fast)], dim=1)
            features.append(slow)
            slow, fast = self.slow.stages[number](slow), self.fast.stages[number](fast)
        return [*features, slow, fast]
