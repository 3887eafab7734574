"""The loss: a weighted sum of the field's metrics and likelihoods, computed from one log density.

Most published systems share this family and differ in its weights (TranSalNet 10 KLD - 2 CC - SIM - NSS,
TempSAL KLD - CC, UNISAL KLD - 0.1 CC - 0.1 NSS, DeepGaze the log likelihood alone), so the weights carry
the sign: positive ones are minimised, negative ones maximised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from saliency_pred.batch import Batch
from saliency_pred.density import Border, fixation_density, log_normalise, normalise


@dataclass(frozen=True, eq=False)
class Terms:
    """What the terms are computed from; maps are (M, N): M = B * T maps of N = H * W pixels.

    Attributes:
        log_density: predicted; -inf on padding.
        map: predicted map in [0, 1], 0 on padding.
        density: target, sums to 1; 0 on padding.
        valid: bool, False on padding.
        pixel: (n,) flat pixel index of each fixation; None where only maps are shipped.
        map_index: (n,) the map of each fixation.
        counts: (M,) fixations of each map.
    """

    log_density: Tensor
    map: Tensor
    density: Tensor
    valid: Tensor
    pixel: Tensor | None
    map_index: Tensor | None
    counts: Tensor | None

    def per_fixation_mean(self, maps: Tensor) -> Tensor:
        """(M,) means of (M, N) maps over each map's fixations."""
        if self.pixel is None or self.map_index is None or self.counts is None:
            raise ValueError(
                "the loss terms log_likelihood and nss need fixations, and this data set ships only maps; "
                "use kld, cc, sim, mse or bce"
            )
        values = maps[self.map_index, self.pixel]
        total = torch.zeros(len(maps), dtype=maps.dtype, device=maps.device)
        return total.index_add(0, self.map_index, values) / self.counts.clamp(min=1)

    def mean_pixel(self, values: Tensor) -> Tensor:
        """(M,) means over the valid pixels."""
        return (values * self.valid).sum(1) / self.valid.sum(1)


def log_likelihood(t: Terms) -> Tensor:
    """Mean log density at the fixations, in nats."""
    return t.per_fixation_mean(t.log_density)


def kld(t: Terms) -> Tensor:
    """Kullback-Leibler divergence of the prediction from the target density, in nats.

    Exact on log densities, so no epsilon is needed: the sum of g (log g - log p) where g > 0.
    """
    log_density = t.log_density.masked_fill(~t.valid, 0.0)
    return (torch.xlogy(t.density, t.density) - t.density * log_density).sum(1)


def cc(t: Terms) -> Tensor:
    """Pearson correlation of the densities over the valid pixels."""
    predicted = _standardise(t.log_density.exp(), t)
    target = _standardise(t.density, t)
    return t.mean_pixel(predicted * target)


def sim(t: Terms) -> Tensor:
    """Histogram intersection of the densities."""
    return torch.minimum(t.log_density.exp(), t.density).sum(1)


def sim_minmax(t: Terms) -> Tensor:
    """Histogram intersection of the maps stretched to [0, 1] first, as SUM and the MATLAB scorer do."""
    maps = []
    for value in (t.log_density.exp(), t.density):
        low = value.masked_fill(~t.valid, torch.inf).amin(1, keepdim=True)
        stretched = (value - low).masked_fill(~t.valid, 0.0)
        # A flat map stays flat; a smaller bound would have its gradient overflow.
        maps.append(stretched / stretched.sum(1, keepdim=True).clamp(min=1e-6))
    return torch.minimum(*maps).sum(1)


def nss(t: Terms) -> Tensor:
    """Mean of the standardised density at the fixations."""
    return t.per_fixation_mean(_standardise(t.log_density.exp(), t))


def mse(t: Terms) -> Tensor:
    """Mean squared difference of the maps in [0, 1]."""
    return t.mean_pixel((t.map - _unit(t.density)) ** 2)


def bce(t: Terms) -> Tensor:
    """Mean binary cross-entropy of the maps in [0, 1]."""
    predicted = t.map.clamp(1e-7, 1 - 1e-7)
    target = _unit(t.density)
    return t.mean_pixel(-target * predicted.log() - (1 - target) * (1 - predicted).log())


TERMS: dict[str, Callable[[Terms], Tensor]] = {
    f.__name__: f for f in (log_likelihood, kld, cc, sim, sim_minmax, nss, mse, bce)
}


def _standardise(density: Tensor, t: Terms) -> Tensor:
    """Zero mean and unit variance over the valid pixels; scaled up first, as densities are tiny in float32."""
    scaled = density * t.valid.sum(1, keepdim=True)
    centred = scaled - t.mean_pixel(scaled)[:, None]
    deviation = t.mean_pixel(centred**2).clamp(min=1e-12).sqrt()  # the root's slope at 0 would make NaN gradients
    return centred / deviation[:, None]


def _unit(density: Tensor) -> Tensor:
    return density / density.amax(1, keepdim=True).clamp(min=torch.finfo(density.dtype).tiny)


class WeightedLoss(nn.Module):
    """Weighted sum of loss terms, averaged over the maps that have something to be compared with.

    Args:
        weights: term → weight; the terms are the functions of this module (log_likelihood, kld, cc, sim,
            sim_minmax, nss, mse, bce). Negative weights maximise.
        map: what mse and bce compare: ``max``, the density divided by its maximum, or ``logits``, the
            exponential of the logits, for decoders whose logits are the logarithm of a map in [0, 1].
        target: the density that predictions are compared with: ``shipped`` maps of the data set,
            ``fixations`` blurred by the batch's ``blur_sigma``, or ``auto``: shipped where there are any.
        border: of the blur.

    Raises:
        ValueError: an unknown term, or no term.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        map: Literal["max", "logits"] = "max",
        target: Literal["auto", "shipped", "fixations"] = "auto",
        border: Border = "constant",
    ) -> None:
        super().__init__()
        unknown = sorted(set(weights) - set(TERMS))
        if unknown or not weights:
            raise ValueError(f"loss terms {unknown or 'missing'}: choose from {', '.join(TERMS)}")
        self.weights = dict(weights)
        self.map = map
        self.target = target
        self.border = border

    def forward(self, logits: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Logits (B, T, H, W) → ``loss`` and the mean of every term, as scalars."""
        terms, scored = self.terms(logits, batch)
        values = {}
        total = logits.new_zeros(())
        for name, weight in self.weights.items():
            value = TERMS[name](terms)
            values[name] = torch.where(scored, value, 0.0).sum() / scored.sum().clamp(min=1)
            total = total + weight * values[name]
        return {"loss": total, **values}

    def terms(self, logits: Tensor, batch: Batch) -> tuple[Terms, Tensor]:
        """The prepared inputs, and a bool (M,): which maps have fixations or a shipped density."""
        if logits.shape[1] != batch.num_windows:
            raise ValueError(
                f"the model predicts {logits.shape[1]} time windows, the data have {batch.num_windows}; "
                "set decoder.num_windows and loader.windows to match"
            )
        logits = logits.float()
        log_density = log_normalise(logits, batch.valid).flatten(2).flatten(0, 1)
        valid = batch.valid[:, None].expand(-1, logits.shape[1], -1, -1).flatten(2).flatten(0, 1)
        if self.map == "logits":
            predicted = logits.clamp(max=0.0).exp().flatten(2).flatten(0, 1)
        else:
            predicted = (log_density - log_density.amax(1, keepdim=True)).exp()
        predicted = predicted.masked_fill(~valid, 0.0)
        density = self._density(batch)
        density = density.flatten(2).flatten(0, 1)
        pixel = map_index = counts = None
        scored = density.sum(1) > 0
        if batch.fixations is not None:
            row, column = batch.fixations.pixels()
            pixel = row * logits.shape[-1] + column
            map_index, counts = batch.fixations.map_index, batch.fixations.counts
            if "log_likelihood" in self.weights or "nss" in self.weights:
                scored = counts > 0
        return Terms(log_density, predicted, density, valid, pixel, map_index, counts), scored

    def _density(self, batch: Batch) -> Tensor:
        """(B, T, H, W) target densities, zero on padding and where there is nothing to compare with."""
        if not set(self.weights) - {"log_likelihood", "nss"}:
            return torch.zeros(len(batch), batch.num_windows, *batch.size, device=batch.image.device)
        if batch.density is not None and self.target != "fixations":
            return batch.density
        if batch.fixations is None or self.target == "shipped":
            raise ValueError(
                f"loss.target={self.target} but this data set ships no "
                + ("fixations" if batch.fixations is None else "density maps")
            )
        if bool(torch.isnan(batch.blur_sigma).any()):
            raise ValueError(
                "the blur that makes density maps from fixations is unknown for this data set; "
                "set loader.blur_sigma to pixels of the original image (about one degree of visual angle)"
            )
        maps = torch.stack(
            [
                fixation_density(batch.fixations.of_sample(i), float(batch.blur_sigma[i]), self.border)[0]
                for i in range(len(batch))
            ]
        )
        maps = maps * batch.valid[:, None]
        has_mass = maps.sum((-2, -1), keepdim=True) > 0
        return torch.where(has_mass, normalise(maps), 0.0)
