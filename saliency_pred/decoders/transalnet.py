"""TranSalNet: transformer encoders on three CNN taps, fused by products.

Source: Lou, Lin, Marshall, Saupe, Liu: TranSalNet: Towards perceptually relevant visual saliency prediction,
Neurocomputing 494 (2022); github.com/LJOVO/TranSalNet, ``TranSalNet_Res.py``, ``TranSalNet_Dense.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import Parameter


class FeatureTransformer(nn.Module):
    """One feature map through a 1x1 convolution and a pre-norm transformer encoder over its cells.

    The position map is learned at one size, as published, and interpolated (bicubic) to any other.

    Args:
        channels: channels of the feature map.
        width: channels inside and of the result; heads are 64 wide.
        position_size: (height, width) of the learned position map, in cells.
        layers: transformer layers.
    """

    def __init__(self, channels: int, width: int, position_size: tuple[int, int], layers: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Conv2d(channels, width, 1)
        self.position = Parameter(self.embedding.weight.new_zeros(1, width, *position_size))
        layer = nn.TransformerEncoderLayer(
            width,
            nhead=width // 64,
            dim_feedforward=4 * width,
            dropout=0.0,
            activation="gelu",
            layer_norm_eps=1e-6,
            batch_first=True,
            norm_first=True,
        )
        self.transformer = nn.TransformerEncoder(
            layer, layers, norm=nn.LayerNorm(width, eps=1e-6), enable_nested_tensor=False
        )

    def forward(self, feature: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, width, h, w)."""
        position: Tensor = self.position
        if position.shape[-2:] != feature.shape[-2:]:
            position = F.interpolate(position, size=feature.shape[-2:], mode="bicubic", align_corners=False)
        x = self.embedding(feature) + position
        tokens = self.transformer(x.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).unflatten(2, feature.shape[-2:])


class TranSalNet(nn.Module):
    """TranSalNet's decoder on the three deepest features of any encoder.

    Each tap passes a :class:`FeatureTransformer`; then, from deep to shallow, convolution, batch norm, ReLU,
    nearest enlargement to the next tap's size, product with that tap, ReLU. Three more convolutions bring
    the map to the image's resolution where the shallowest tap has stride 8 or less.

    Args:
        channels: of the encoder's features, shallow to deep.
        strides: image pixels per cell of each.
        input_size: (height, width) of the image that the position maps are learned for.
        widths: of the transformers on the deepest, the second and the third deepest feature; multiples of 64.

    Raises:
        ValueError: fewer than three features.
    """

    num_windows = 1

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        input_size: tuple[int, int] = (288, 384),
        widths: Sequence[int] = (768, 768, 512),
    ) -> None:
        super().__init__()
        if len(channels) < 3:
            raise ValueError(f"TranSalNet fuses three features, this encoder has {len(channels)}")
        deep_first = list(zip(channels, strides, strict=True))[:-4:-1]
        self.transformers = nn.ModuleList(
            FeatureTransformer(c, width, (math.ceil(input_size[0] / s), math.ceil(input_size[1] / s)))
            for (c, s), width in zip(deep_first, widths, strict=True)
        )
        outputs = [*widths[1:], widths[2] // 2, widths[2] // 4, widths[2] // 8, widths[2] // 16]
        inputs = [widths[0], *outputs[:-1]]
        self.convolutions = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU())
            for i, o in zip(inputs, outputs, strict=True)
        )
        self.head = nn.Conv2d(outputs[-1], 1, 3, padding=1)
        # Doublings behind the shallowest tap: after convolutions 3, 4 and 5 from stride 8, after 3 and 5 from
        # stride 4 (as in MDS-ViTNet's second decoder).
        doublings = min(3, round(math.log2(deep_first[-1][1])))
        self.doubled = set((2, 4, 3)[:doublings])

    def sigmoid_logits(self, features: list[Tensor]) -> Tensor:
        """The map before its sigmoid, (B, 1, h, w)."""
        taps = [t(f) for t, f in zip(self.transformers, features[:-4:-1], strict=True)]
        x = taps[0]
        for number, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if number < 2:
                size = taps[number + 1].shape[-2:]
                x = F.relu(F.interpolate(x, size=size, mode="nearest") * taps[number + 1])
            elif number in self.doubled:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.head(x)

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> log of the saliency map in (0, 1), (B, 1, h, w)."""
        return F.logsigmoid(self.sigmoid_logits(features))
