"""VGG-16 whose deep layers keep the resolution of the third pooling: MSI-Net's encoder.

Source: Kroner, Senden, Driessens, Goebel: Contextual encoder-decoder network for visual saliency prediction,
Neural Networks 129 (2020); github.com/alexanderkroner/saliency, ``model.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch.nn.functional as F
from torch import Tensor, nn

from saliency_pred.encoders.torchvision import IMAGENET_MEAN, IMAGENET_STD, build

LAYERS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGGEncoder(nn.Module):
    """VGG-16 with stride 8: pools 4 and 5 do not subsample, and the fifth block is dilated by 2.

    Returns the outputs of pools 3, 4 and 5, which have one size. Pools 1 to 3 drop an odd last row or
    column; pools 4 and 5 look one pixel right and down, as TensorFlow's "same" padding does.

    Args:
        weights: ``hub`` (torchvision's ImageNet weights), ``none`` or a file of torchvision's ``vgg16``.
        mean: subtracted from an image in [0, 1]. MSI-Net's own weights need (103.939, 116.779, 123.68) / 255:
            the official code subtracts Caffe's BGR mean from an RGB image, in this order.
        std: what it is then divided by; 1/255 for MSI-Net's own weights.
    """

    def __init__(
        self,
        weights: Literal["hub", "none"] | str = "hub",
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.channels = [256, 512, 512]
        self.strides = [8, 8, 8]
        self.blocks = nn.ModuleList()
        channels = 3
        for number, widths in enumerate(LAYERS, start=1):
            dilation = 2 if number == 5 else 1
            block = nn.ModuleList()
            for width in widths:
                block.append(nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation))
                channels = width
            self.blocks.append(block)
        convolutions = [m for m in self.modules() if isinstance(m, nn.Conv2d)]
        if weights == "none":
            for convolution in convolutions:
                nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(cast(Tensor, convolution.bias))
            return
        source = [m for m in cast(nn.Sequential, build("vgg16", weights).features) if isinstance(m, nn.Conv2d)]
        for ours, theirs in zip(convolutions, source, strict=True):
            ours.load_state_dict(theirs.state_dict())

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised image -> pools 3, 4, 5: (B, 256 | 512 | 512, H // 8, W // 8)."""
        x = image
        features = []
        for number, block in enumerate(self.blocks, start=1):
            for convolution in cast(nn.ModuleList, block):
                x = F.relu(convolution(x))
            if number <= 3:
                x = F.max_pool2d(x, 2)
            else:  # zeros never win here: the input has passed a ReLU
                x = F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 2, stride=1)
            if number >= 3:
                features.append(x)
        return features
