"""Any torchvision video classifier as an encoder of clips, tapped at any of its layers.

S3D (Xie et al., ECCV 2018) is the trunk of ViNet, ViNet-S and TASED-Net: their own code and torchvision's give
identical values from the same weights. Video Swin (Liu et al., CVPR 2022), R(2+1)D and the like are configs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from saliency_pred.encoders.torchvision import IMAGENET_MEAN, IMAGENET_STD, build, tapped


class TorchvisionVideoEncoder(nn.Module):
    """The outputs of named layers of a torchvision video network; what lies behind the last of them is cut off.

    Args:
        name: a torchvision video classifier that takes clips of any size, e.g. ``"s3d"``, ``"swin3d_t"``.
        layers: names of layers (as in ``named_modules()``) whose outputs are returned, shallow to deep.
        weights: ``hub`` (torchvision's Kinetics-400 weights, downloaded once), ``none`` (random), or the path of
            a ``state_dict`` file in torchvision's names.
        frozen: train no parameter and keep normalisation layers in evaluation mode.
        channels_last: the layers give (B, f, h, w, C), as Swin's do; they are turned to (B, C, f, h, w).
        mean: subtracted from frames in [0, 1].
        std: what they are then divided by.

    Attributes:
        channels: channels of each returned feature map.
        strides: image pixels per feature cell.
        time_strides: frames per feature step.

    Raises:
        ValueError: no such network, or no such layer.
    """

    def __init__(
        self,
        name: str,
        layers: Sequence[str],
        weights: Literal["hub", "none"] | str = "hub",
        frozen: bool = False,
        channels_last: bool = False,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.frozen = frozen
        self.channels_last = channels_last
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.network = tapped(name, build(name, weights, "KINETICS400_V1"), layers)
        frames, side = 16, 64
        with torch.no_grad():
            self.network.eval()
            features = self(torch.zeros(1, 3, frames, side, side))
            self.network.train()
        self.channels = [f.shape[1] for f in features]
        self.strides = [side // f.shape[-1] for f in features]
        self.time_strides = [frames // f.shape[2] for f in features]
        if frozen:
            self.requires_grad_(False)
            self.eval()

    def train(self, mode: bool = True) -> TorchvisionVideoEncoder:
        """As nn.Module.train, except that a frozen encoder stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, F, H, W) normalised clip -> one (B, channels[i], ~F / time_strides[i], ~H / strides[i], ~W / ...)
        a layer."""
        if image.ndim != 5:
            raise ValueError(
                f"{type(self).__name__} encodes clips (B, 3, F, H, W), got {tuple(image.shape)}; give it "
                "videos and set loader.clips.frames"
            )
        features = list(self.network(image).values())
        if self.channels_last:
            features = [f.permute(0, 4, 1, 2, 3) for f in features]
        return features
