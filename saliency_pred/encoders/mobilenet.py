"""MobileNetV2 with UNISAL's taps.

Source: Droste, Jiao, Noble: Unified image and video saliency modeling, ECCV 2020; github.com/rdroste/unisal,
``unisal/models/MobileNetV2.py``.
"""

from __future__ import annotations

from typing import Literal, cast

from torch import Tensor, nn

from saliency_pred.encoders.torchvision import IMAGENET_MEAN, IMAGENET_STD, build


class MobileNetV2Encoder(nn.Module):
    """MobileNetV2, tapped where blocks change resolution *before* they do: 64 @ 1/8, 160 @ 1/16, 1280 @ 1/32.

    Blocks 2, 4, 7 and 14 run at the resolution of their input and are subsampled afterwards, which is the
    same as a stride in their depthwise convolution but leaves a finer map of blocks 7 and 14 to tap.
    Clips (B, 3, F, H, W) are encoded frame by frame.

    Args:
        weights: ``hub`` (torchvision's ImageNet weights), ``none`` or a file of its ``mobilenet_v2``.
        train_norms: False keeps batch norms in evaluation mode, as UNISAL's training does.
    """

    SUBSAMPLED = (2, 4, 7, 14)
    TAPPED = (7, 14)

    def __init__(self, weights: Literal["hub", "none"] | str = "hub", train_norms: bool = False) -> None:
        super().__init__()
        self.channels = [64, 160, 1280]
        self.strides = [8, 16, 32]
        self.time_strides = [1, 1, 1]
        self.mean = IMAGENET_MEAN
        self.std = IMAGENET_STD
        self.train_norms = train_norms
        self.blocks = cast(nn.Sequential, build("mobilenet_v2", weights).features)
        for number in self.SUBSAMPLED:
            for module in self.blocks[number].modules():
                if isinstance(module, nn.Conv2d):
                    module.stride = (1, 1)
        self.train()  # norms into evaluation mode: a trainer keeps the modes that it finds

    def train(self, mode: bool = True) -> MobileNetV2Encoder:
        """As nn.Module.train, except for the batch norms if ``train_norms`` is False."""
        super().train(mode)
        if not self.train_norms:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) or (B, 3, F, H, W) normalised -> three maps, NCHW or NCFHW, sizes rounded up."""
        if image.ndim == 5:
            frames = image.transpose(1, 2).flatten(0, 1)
            return [f.unflatten(0, (len(image), -1)).transpose(1, 2) for f in self(frames)]
        x = image
        taps = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.TAPPED:
                taps.append(x)
            if number in self.SUBSAMPLED:
                x = x[..., ::2, ::2]
        return [*taps, x]
