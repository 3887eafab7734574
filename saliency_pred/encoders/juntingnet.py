"""JuntingNet's three convolutions.

Source: Pan, Sayrol, Giro-i-Nieto, McGuinness, O'Connor: Shallow and deep convolutional networks for saliency
prediction, CVPR 2016; github.com/imatge-upc/saliency-2016-cvpr, ``shallow/train.py``.
"""

from __future__ import annotations

from torch import Tensor, nn


class JuntingNetEncoder(nn.Module):
    """Three unpadded convolutions with ReLU and 2x2 pooling, 64 channels at stride 8; image in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = [64]
        self.strides = [8]
        self.mean = (0.0, 0.0, 0.0)
        self.std = (1.0, 1.0, 1.0)
        layers: list[nn.Module] = []
        for inputs, outputs, kernel in ((3, 32, 5), (32, 64, 3), (64, 64, 3)):
            layers += [nn.Conv2d(inputs, outputs, kernel), nn.ReLU(), nn.MaxPool2d(2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> one (B, 64, h, w); 96 x 96 gives 10 x 10."""
        return [self.layers(image)]
