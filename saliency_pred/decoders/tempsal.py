"""TempSAL: a saliency map that knows how attention moves over time.

Source: Aydemir, Hoffstetter, Zhang, Salzmann, Süsstrunk: TempSAL: Uncovering temporal information for deep
saliency prediction, CVPR 2023; github.com/IVRL/Tempsal, ``src/model.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency_pred.decoders.simplenet import SimpleNet, convolution_head


class TempSAL(nn.Module):
    """Image branch, temporal branch and the spatio-temporal mixing module, on any encoder.

    Both branches are :class:`SimpleNet` decoders. The mixing module is a third decoder on the temporal
    branch's features to which the branches' 1 + ``slices`` maps, resized (bicubic), are concatenated at
    every step.

    Where ``strides`` is a growing list twice (``configs/encoder/pnasnet_pair.yaml``), the first half of the
    features serves the image branch and the second half the temporal one, as published;
    otherwise both branches share the features.

    Args:
        channels: of the encoder's features, shallow to deep.
        strides: image pixels per cell of each.
        slices: time slices of the temporal branch.
        return_slices: return 1 + ``slices`` windows (all viewing time, then the slices) in place of one.
        freeze_branches: the branches are taken as trained: no gradient reaches them or the encoder.
        slice_scaling: the slices enter the mixing module divided by their largest value in each image
            (``"image"``) or, as in the official code, in the whole batch (``"batch"``), which makes a
            prediction depend on its neighbours in the batch. Both are equal for one image.
        widths: of the steps, deep to shallow; the first ``len(channels)`` are used.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        slices: int = 5,
        return_slices: bool = False,
        freeze_branches: bool = False,
        slice_scaling: Literal["image", "batch"] = "image",
        widths: Sequence[int] = (512, 256, 270, 96, 128),
    ) -> None:
        super().__init__()
        if slice_scaling not in ("image", "batch"):
            raise ValueError(f"slice_scaling must be 'image' or 'batch', got {slice_scaling!r}")
        half = len(strides) // 2
        pyramid = sorted(set(strides[:half]))  # a plain transformer's taps are all of one stride
        self.two_encoders = half > 1 and pyramid == list(strides[:half]) == list(strides[half:])
        count = half if self.two_encoders else len(strides)
        if count < 2:
            raise ValueError("TempSAL's mixing module needs an encoder with at least two features")
        self.num_windows = 1 + slices if return_slices else 1
        self.return_slices = return_slices
        self.freeze_branches = freeze_branches
        self.slice_scaling = slice_scaling
        widths = list(widths)[:count]
        image_channels, temporal_channels = list(channels[:count]), list(channels[-count:])
        self.image = SimpleNet(image_channels, strides[:count], 1, widths)
        self.temporal = SimpleNet(temporal_channels, strides[-count:], slices, widths, head_widths=(64, 32))
        maps = 1 + slices
        skips = temporal_channels[-2::-1]
        self.mixing = nn.ModuleList(
            nn.Conv2d(previous + skip + maps, width, 3, padding=1)
            for previous, skip, width in zip(widths[:-1], skips, widths[1:], strict=True)
        )
        self.head = convolution_head(widths[-1] + maps, (16, 32), 1)
        if freeze_branches:
            self.image.requires_grad_(False)
            self.temporal.requires_grad_(False)

    def sigmoid_logits(self, features: list[Tensor]) -> Tensor:
        """All maps before their sigmoids: the mixed one, then the slices, (B, 1 + slices, h, w)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_branches):
            count = len(features) // 2 if self.two_encoders else len(features)
            temporal_features = features[-count:]
            image_logits = self.image.sigmoid_logits(features[:count])
            steps = self.temporal.trunk(temporal_features)
            slice_logits = self.temporal.head(steps[-1])
            slices = slice_logits.sigmoid()
            over = (1, 2, 3) if self.slice_scaling == "image" else (0, 1, 2, 3)
            peak = slices.amax(dim=over, keepdim=True)
            maps = torch.cat([image_logits.sigmoid(), slices / peak], dim=1)
        x = steps[0]
        skips = temporal_features[-2::-1]
        sizes = [*(skip.shape[-2:] for skip in skips[1:]), maps.shape[-2:]]  # each twice the one before it
        for convolution, skip, size in zip(self.mixing, skips, sizes, strict=True):
            small = F.interpolate(maps, size=skip.shape[-2:], mode="bicubic", align_corners=False)
            x = F.relu(convolution(torch.cat([x, skip, small], dim=1)))
            x = F.interpolate(x, size=size, mode="bilinear", align_corners=True)
        mixed = self.head(torch.cat([x, maps], dim=1))
        return torch.cat([mixed, slice_logits], dim=1)

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> log of the map for the whole viewing time (B, 1, h, w); with ``return_slices`` also of
        the slices (B, 1 + slices, h, w)."""
        logits = self.sigmoid_logits(features)
        return F.logsigmoid(logits if self.return_slices else logits[:, :1])
