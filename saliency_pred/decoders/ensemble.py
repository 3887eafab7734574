"""Several decoders side by side, their predictions averaged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Ensemble(nn.Module):
    """Averages what its members predict from the features of their own encoders.

    Together with :class:`saliency_pred.encoders.parallel.ParallelEncoder`, whose features are handed out in order. The
    members' predictions are brought to the largest of their sizes.

    Args:
        channels, strides: of all encoders' features, one after the other.
        time_strides: of the same, for clips.
        members: by name, in the encoders' order: what makes a decoder when called with its share of the above (in a
            config: ``_partial_: true``).
        features: how many features each member takes.
        average: ``maps``: of the members' maps in [0, 1], for decoders whose logits are the logarithm of such a map
            (ViNet-E; enlarged bicubically as there). ``log_densities``: of their log densities.
        position: of the predicted frame in a clip, where the members see different frames of it.

    Raises:
        ValueError: the members predict different numbers of windows, or ``features`` do not add up.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        members: Mapping[str, Callable[..., nn.Module]],
        features: Sequence[int],
        time_strides: Sequence[int] | None = None,
        average: Literal["maps", "log_densities"] = "maps",
        position: Literal["last", "centre", "all"] = "last",
    ) -> None:
        super().__init__()
        if average not in ("maps", "log_densities"):
            raise ValueError(f"average must be 'maps' or 'log_densities', got {average!r}")
        if len(features) != len(members) or sum(features) != len(channels):
            raise ValueError(
                f"{len(members)} members take {list(features)} features, the encoders give {len(channels)} in all"
            )
        self.features = list(features)
        self.average = average
        self.position = position
        made = {}
        begin = 0
        for (name, member), count in zip(members.items(), features, strict=True):
            share = slice(begin, begin + count)
            arguments = {"channels": channels[share], "strides": strides[share]}
            if time_strides is not None:
                arguments["time_strides"] = time_strides[share]
            made[name] = member(**arguments)
            begin += count
        self.members = nn.ModuleDict(made)
        windows = {name: int(cast(int, member.num_windows)) for name, member in made.items()}
        if len(set(windows.values())) > 1:
            raise ValueError(f"the members predict different numbers of windows: {windows}")
        self.num_windows = next(iter(windows.values()))

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """The features of all encoders -> logits (B, T, h, w)."""
        shares = torch.tensor(self.features).cumsum(0).tolist()
        predicted = [
            member(features[end - count : end], domain)
            for member, end, count in zip(self.members.values(), shares, self.features, strict=True)
        ]
        size = max((tuple(p.shape[-2:]) for p in predicted), key=math.prod)
        if self.average == "log_densities":
            resized = [_resize(p, size, "bilinear").flatten(2).log_softmax(-1) for p in predicted]
            return torch.stack(resized).mean(0).unflatten(-1, size)
        maps = torch.stack([_resize(p.exp(), size, "bicubic") for p in predicted]).mean(0)
        return maps.clamp(min=torch.finfo(maps.dtype).tiny).log()  # bicubic steps below 0 beside a steep edge


def _resize(maps: Tensor, size: tuple[int, ...], mode: str) -> Tensor:
    if tuple(maps.shape[-2:]) == size:
        return maps
    return F.interpolate(maps, size=size, mode=mode, align_corners=False)
