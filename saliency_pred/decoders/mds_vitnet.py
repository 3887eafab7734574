"""MDS-ViTNet: two TranSalNet decoders, on coarser and on finer taps, and a CNN that merges their maps.

Source: Polezhaev, Goncharenko, Iurina: MDS-ViTNet: Improving saliency prediction for eye-tracking with vision
transformer, arXiv 2405.19501; github.com/IgnatPolezhaev/MDS-ViTNet, ``model/``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency_pred.decoders.transalnet import TranSalNet


class MergeCNN(nn.Module):
    """Two maps in [0, 1] -> the logits of one: two strided and two plain convolutions, and back up."""

    def __init__(self) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
            convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
            return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())

        self.down = nn.Sequential(block(2, 32, 2), block(32, 64), block(64, 128, 2), block(128, 128))
        self.middle = block(128, 64)
        self.fine = block(64, 32)
        self.head = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, 2, h, w) maps -> (B, 1, h, w) logits."""
        h, w = maps.shape[-2:]
        x = self.down(maps)
        x = self.middle(F.interpolate(x, size=(-(-h // 2), -(-w // 2)), mode="nearest"))
        x = self.fine(F.interpolate(x, size=(h, w), mode="nearest"))
        return self.head(x)


class MDSViTNet(nn.Module):
    """Two decoders and their merge on any encoder.

    Decoder 1 takes the first feature at each of the three coarsest strides (8, 16, 32), decoder 2 the last
    feature at each stride one step finer (4, 8, 16). With Swin tapped before and after its patch merging
    (``configs/encoder/swin_t_merged.yaml``) these are the merged and the unmerged maps, as published.

    Args:
        channels: of the encoder's features, shallow to deep.
        strides: image pixels per cell of each.
        input_size: (height, width) of the image that the position maps are learned for.
        widths: of the transformers on the deepest, second and third deepest feature; multiples of 64.
        stage: ``"decoders"`` returns the two decoders' maps as two windows, so that a loss over all windows
            trains both (first stage); ``"merge"`` returns the merged map (second stage and inference).
        freeze_decoders: in the merge stage, train the merge network alone, as published; False trains all.

    Raises:
        ValueError: fewer than four different strides, or an unknown stage.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        input_size: tuple[int, int] = (288, 384),
        widths: Sequence[int] = (768, 768, 512),
        stage: Literal["decoders", "merge"] = "merge",
        freeze_decoders: bool = False,
    ) -> None:
        super().__init__()
        if stage not in ("decoders", "merge"):
            raise ValueError(f"stage must be 'decoders' or 'merge', got {stage!r}")
        levels = sorted(set(strides))
        if len(levels) < 4:
            raise ValueError(
                f"MDS-ViTNet needs features at four different strides, this encoder has {levels}; "
                f"add a finer feature or use decoder=transalnet"
            )
        self.stage = stage
        self.num_windows = 2 if stage == "decoders" else 1
        order = list(strides)
        self.coarse = [order.index(s) for s in levels[-3:]]
        self.fine = [len(order) - 1 - order[::-1].index(s) for s in levels[-4:-1]]
        self.decoder_1, self.decoder_2 = (
            TranSalNet([channels[i] for i in taps], [strides[i] for i in taps], input_size, widths)
            for taps in (self.coarse, self.fine)
        )
        self.merge = MergeCNN()
        self.freeze_decoders = freeze_decoders
        if freeze_decoders:
            self.decoder_1.requires_grad_(False)
            self.decoder_2.requires_grad_(False)
            self.train()  # into evaluation mode: a trainer keeps the modes that it finds

    def train(self, mode: bool = True) -> MDSViTNet:
        """As nn.Module.train, except that frozen decoders stay in evaluation mode."""
        super().train(mode)
        if self.freeze_decoders:
            self.decoder_1.eval()
            self.decoder_2.eval()
        return self

    def decoder_logits(self, features: list[Tensor]) -> Tensor:
        """Both decoders' maps before their sigmoids, (B, 2, h, w) at the finer one's resolution."""
        first = self.decoder_1.sigmoid_logits([features[i] for i in self.coarse])
        second = self.decoder_2.sigmoid_logits([features[i] for i in self.fine])
        if first.shape != second.shape:  # odd sizes round differently on the two ways up
            first = F.interpolate(first, size=second.shape[-2:], mode="bilinear", align_corners=False)
        return torch.cat([first, second], dim=1)

    def sigmoid_logits(self, features: list[Tensor]) -> Tensor:
        """The merged map before its sigmoid, (B, 1, h, w)."""
        return self.merge(self.decoder_logits(features).sigmoid())

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> log of the merged map (B, 1, h, w), or of the decoders' two maps (B, 2, h, w)."""
        logits = self.decoder_logits(features) if self.stage == "decoders" else self.sigmoid_logits(features)
        return F.logsigmoid(logits)
