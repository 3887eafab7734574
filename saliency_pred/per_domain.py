"""Parameters that differ between kinds of images or data sets, and what an unknown one gets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PerDomain(nn.Module):
    """A number of its own for each of some domains; any other image gets their mean.

    What data sets differ in beside their images is little: how far the viewers' gaze spreads, how much they look at
    the centre (Kümmerer, Khanuja, Bethge, "Modeling saliency dataset bias", ICCV 2025). Kept apart, it can be fitted
    to a new data set while all else stays.

    Args:
        start: what all of them begin with.
        domains: indices of the domains with a number of their own (``Batch.domain``); empty: all share one.
    """

    def __init__(self, start: float, domains: Sequence[int] = ()) -> None:
        super().__init__()
        self.domains = list(domains)
        self.value = nn.Parameter(torch.full((max(1, len(self.domains)),), float(start)))

    def forward(self, domain: Tensor | None, batch: int) -> Tensor:
        """(B,) numbers for images of these domains, int64 (B,); None: unknown."""
        mean = self.value.mean()
        numbers = mean.expand(batch)
        if domain is not None:
            for k, known in enumerate(self.domains):
                numbers = torch.where(domain == known, self.value[k], numbers)
        return numbers
