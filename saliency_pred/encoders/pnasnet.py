"""PNASNet-5-Large as SimpleNet and TempSAL use it: symmetric padding, taps before the ReLU.

timm's own ``pnasnet5large`` pads as TensorFlow does and taps after the ReLU; at 256 x 256 that shifts the
deep features by one cell. Source: github.com/IVRL/Tempsal, ``src/PNAS`` and ``src/model.py``;
github.com/samyak0210/saliency, ``SimpleNet/model.py``.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from timm.models.pnasnet import PNASNet5Large
from torch import Tensor, nn

from saliency_pred.encoders.timm import TimmEncoder


class PNASNetEncoder(nn.Module):
    """Five taps of PNASNet-5-Large (Liu et al., ECCV 2018), strides 2 to 32; 81.74 M parameters.

    Args:
        weights: ``hub`` (timm's ImageNet weights ``tf_in1k``), ``none`` or a file, as for a ``TimmEncoder``.
        frozen: train no parameter and keep batch norms in evaluation mode.
    """

    def __init__(self, weights: Literal["hub", "none"] | str = "hub", frozen: bool = False) -> None:
        super().__init__()
        self.channels = [96, 270, 1080, 2160, 4320]
        self.strides = [2, 4, 8, 16, 32]
        self.mean = (0.5, 0.5, 0.5)
        self.std = (0.5, 0.5, 0.5)
        self.network = PNASNet5Large(num_classes=0, pad_type="")
        if weights != "none":
            timm_network = TimmEncoder("pnasnet5large", weights, taps=["act"]).network
            self.network.load_state_dict(timm_network.state_dict())
        self.frozen = frozen
        if frozen:
            self.requires_grad_(False)
            self.eval()

    def train(self, mode: bool = True) -> PNASNetEncoder:
        """As nn.Module.train, except that a frozen encoder stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised image -> five maps at H/2 (96 channels) to H/32 (4320), rounded up."""
        network = self.network
        stem = network.conv_0(image)
        # The stem's convolution has no padding: one row and column short of half the image.
        taps = [F.pad(stem, (0, 1, 0, 1))]
        previous, current = stem, network.cell_stem_0(stem)
        taps.append(current)
        previous, current = current, network.cell_stem_1(previous, current)
        for number in range(12):
            previous, current = current, getattr(network, f"cell_{number}")(previous, current)
            if number in (3, 7, 11):
                taps.append(current)
        return taps
