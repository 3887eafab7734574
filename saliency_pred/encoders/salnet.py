"""SalNet's first three layers, of VGG-CNN-M's shape.

Source: Pan, Sayrol, Giro-i-Nieto, McGuinness, O'Connor: Shallow and deep convolutional networks for saliency
prediction, CVPR 2016; github.com/imatge-upc/saliency-2016-cvpr, ``deploy.prototxt``.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
CAFFE_STD = (1 / 255, 1 / 255, 1 / 255)


class SalNetEncoder(nn.Module):
    """Convolutions 7x7, 5x5, 3x3; local response normalisation after the first; two overlapping poolings.

    Pools round up, as Caffe's do.

    Args:
        mean: subtracted from an image in [0, 1].
        std: what it is then divided by. The defaults give values of about -128 to 128, as Caffe networks use.
    """

    def __init__(self, mean: Sequence[float] = CAFFE_MEAN, std: Sequence[float] = CAFFE_STD) -> None:
        super().__init__()
        self.channels = [512]
        self.strides = [4]
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 96, 7, padding=3),
            nn.ReLU(),
            nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            nn.Conv2d(96, 256, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            nn.Conv2d(256, 512, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised image -> one (B, 512, ~H/4, ~W/4)."""
        return [self.layers(image)]
