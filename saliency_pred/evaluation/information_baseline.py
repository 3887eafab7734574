"""What information gain is measured against, said by name with every score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from saliency_pred.density import CentreBias, GoldStandard, log_normalise
from saliency_pred.fixations import Fixations

BaselineName = Literal["centre_bias", "other_images", "uniform", "gold_standard"]
"""Centre bias of the train part; centre bias of all other scored images; nothing known; the other viewers."""


class InformationBaseline(Protocol):
    """A log density for each image."""

    named: str
    """In words, for the record."""

    def log_density(self, image_id: str, size: tuple[int, int]) -> Tensor | None:
        """(T, h, w) float64 log density on an image of (height, width); None where it is undefined."""
        ...


@dataclass(frozen=True)
class UniformBaseline:
    """All pixels alike: information gain is the log likelihood."""

    named: str = "uniform density"

    def log_density(self, image_id: str, size: tuple[int, int]) -> Tensor:
        """(1, h, w)."""
        return log_normalise(torch.zeros(1, 1, *size, dtype=torch.float64))[0]


@dataclass(frozen=True)
class OtherViewers:
    """The gold standard: each fixation is measured against the density of the other viewers of the same image.

    Information gain is then what is missing to (or, above 0, gained over) the other viewers.

    Attributes:
        packs: by the images' names, sorted into T windows.
        standard, bias: the gold standard and the centre bias it is mixed with.
    """

    packs: Mapping[str, Fixations | None]
    standard: GoldStandard
    bias: CentreBias
    named: str = "gold standard (the other viewers of the same image)"

    def log_density(self, image_id: str, size: tuple[int, int]) -> Tensor | None:
        """(T, h, w): at each fixated pixel the mean log density that its viewers' others give it.

        No density of all viewers exists that leaves each out; elsewhere the mass that is left is spread evenly and
        means nothing, so that only ``ig`` may be computed against this baseline. None where fewer than two viewers
        are known.
        """
        pack = self.packs[image_id]
        if pack is None or len(pack.viewers()) < 2 or bool((pack.viewer < 0).any()):
            return None
        total = torch.zeros(pack.num_windows, *size, dtype=torch.float64)
        count = torch.zeros_like(total)
        for viewer in pack.viewers():
            mine = pack.of_viewer(viewer)
            predicted = self.standard.log_density(pack, self.bias, leave_out=viewer)
            row, column = mine.pixels()
            where = (mine.window, row, column)
            total.index_put_(where, predicted[where], accumulate=True)
            count.index_put_(where, torch.ones(len(mine), dtype=torch.float64), accumulate=True)
        fixated = count > 0
        at_fixations = total / count.clamp(min=1)
        left = 1 - torch.where(fixated, at_fixations.exp(), 0.0).sum((1, 2), keepdim=True)
        rest = left.clamp(min=1e-12) / (~fixated).sum((1, 2), keepdim=True).clamp(min=1)
        return torch.where(fixated, at_fixations, rest.log())
