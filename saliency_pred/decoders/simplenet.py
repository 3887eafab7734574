"""SimpleNet, which is also TempSAL's image branch and, with five maps, its temporal branch.

Sources: Reddy, Jain, Yarlagadda, Gandhi: Tidying deep saliency prediction architectures, IROS 2020;
github.com/samyak0210/saliency, ``SimpleNet/model.py``. Aydemir, Hoffstetter, Zhang, Salzmann, Süsstrunk:
TempSAL, CVPR 2023; github.com/IVRL/Tempsal, ``src/model.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UpsamplingTrunk(nn.Module):
    """A U-Net decoder without normalisation: 3x3 convolution, ReLU, bilinear enlargement, concatenate.

    Enlargement aligns corners and goes to the size of the next skip; after the last skip the size doubles.

    Args:
        channels: of the encoder's features, shallow to deep.
        widths: of the steps, deep to shallow; the first ``len(channels)`` are used.

    Attributes:
        width: channels of the last step's output.
    """

    def __init__(self, channels: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        if len(channels) > len(widths):
            raise ValueError(
                f"the encoder has {len(channels)} features and the decoder {len(widths)} widths: "
                f"give one width per feature, deep to shallow"
            )
        widths = widths[: len(channels)]
        skips = list(channels[:-1])[::-1]
        inputs = [channels[-1], *(w + s for w, s in zip(widths[:-1], skips, strict=True))]
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in zip(inputs, widths, strict=True))
        self.width = widths[-1]

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Features, shallow to deep -> the enlarged output of every step, deep to shallow."""
        x = features[-1]
        skips = [*features[-2::-1], None]
        outputs = []
        for convolution, skip in zip(self.convolutions, skips, strict=True):
            size = skip.shape[-2:] if skip is not None else (2 * x.shape[-2], 2 * x.shape[-1])
            x = F.interpolate(F.relu(convolution(x)), size=size, mode="bilinear", align_corners=True)
            outputs.append(x)
            if skip is not None:
                x = torch.cat([x, skip], dim=1)
        return outputs


def convolution_head(channels: int, widths: Sequence[int], outputs: int) -> nn.Sequential:
    """3x3 convolutions with ReLU between them, ``channels`` -> ``widths`` -> ``outputs``."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.Conv2d(channels, outputs, 3, padding=1))


class SimpleNet(nn.Module):
    """SimpleNet's decoder on any encoder: no normalisation layers, concatenated skips.

    Args:
        channels: of the encoder's features, shallow to deep.
        strides: image pixels per cell of each.
        num_windows: maps to predict; 1, or 5 for TempSAL's one-second slices.
        widths: of the steps, deep to shallow; the first ``len(channels)`` are used.
        head_widths: of the convolutions before the last; (128,) for one map, (64, 32) in TempSAL's
            temporal branch.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        num_windows: int = 1,
        widths: Sequence[int] = (512, 256, 270, 96, 128),
        head_widths: Sequence[int] = (128,),
    ) -> None:
        super().__init__()
        self.num_windows = num_windows
        self.trunk = UpsamplingTrunk(channels, widths)
        self.head = convolution_head(self.trunk.width, head_widths, num_windows)

    def sigmoid_logits(self, features: list[Tensor]) -> Tensor:
        """The maps before their sigmoid, (B, T, 2h, 2w) for a shallowest feature of h x w."""
        return self.head(self.trunk(features)[-1])

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> log of the saliency maps in (0, 1), (B, T, 2h, 2w)."""
        return F.logsigmoid(self.sigmoid_logits(features))
