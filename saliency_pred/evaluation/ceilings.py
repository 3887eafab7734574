"""How well people predict people: what no model is expected to exceed, measured on the same images.

``gold_standard``
    Each viewer under a density of all the others: a Gaussian kernel density mixed with the centre bias and a uniform
    density, bandwidth and weights fitted by likelihood. The ceiling of information gain, and what scores are shares
    of.
``other_viewers``
    Each viewer under the map of all the others, blurred with one Gaussian for all data sets (:data:`BLUR`): the
    "humans" row of older papers. It is no density (far from all fixations it is 0) and has no information gain.
``split_half``
    One half of the viewers against the other, both made into maps with the data set's Gaussian: the only ceiling of
    the metrics that compare with a map, CC, KLD and SIM. Halves have half the viewers, so it is below what all
    viewers would reach; :func:`spearman_brown` extrapolates CC, nothing does so for the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.density import CentreBias, GoldStandard, fixation_density
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.fixations import Fixations
from saliency_pred.metrics.accumulate import DESCRIBING, Row, ScoreTable, mean
from saliency_pred.metrics.presets import Kind

BLUR = 0.03
"""Sigma of ``other_viewers`` as a share of the image's long side: OSIE's 24 of 800 pixels."""

SPLITS = 4
"""How many times the viewers of an image are halved; each half predicts the other."""

CHANCE = {"auc": 0.5, "auc_judd": 0.5, "auc_judd_mit": 0.5, "auc_judd_aim": 0.5, "auc_borji": 0.5, "sauc": 0.5} | {
    "sauc_mit": 0.5,
    "nss": 0.0,
    "nss_aim": 0.0,
    "ig": 0.0,
    "log_likelihood": 0.0,
    "cc": 0.0,
}
"""Metric → value of a map that says nothing. A metric without such a value (KLD, SIM, EMD) has no shares."""

MAP_METRICS = ("cc", "kld", "sim", "sim_mit", "emd")


@dataclass(frozen=True)
class LeaveOneViewerOut:
    """Each viewer is scored under what the others predict; a row is the mean, every fixation counting once.

    Metrics that compare with a map are left out: it would be made by the same viewers.

    Attributes:
        data, scorer: what is scored and how.
        predict: (index, fixations of the others) → (T, h, w).
        kind: what it returns.
    """

    data: SaliencyDataModule
    scorer: Scorer
    predict: Callable[[int, Fixations], Tensor]
    kind: Kind

    def by_viewer(self, index: int) -> list[Row]:
        """A row for each viewer of an image, with the key ``viewer``; none where there are fewer than two."""
        dataset, _ = self.data.dataset.source(index)
        name = self.data.dataset.image_ids[index]
        fixations = self.data.window_fixations(index)
        rows: list[Row] = []
        if fixations is None or len(fixations.viewers()) < 2:
            return rows
        for viewer in fixations.viewers():
            predicted = self.predict(index, fixations.select(fixations.viewer != viewer))
            mine = fixations.of_viewer(viewer)
            row = {"image_id": name, "dataset": dataset.name, "viewer": viewer}
            rows.append(row | self.scorer.score(predicted, mine, None, math.nan, name, kind=self.kind))
        return rows

    def __call__(self, index: int) -> Row:
        return self.pooled(index, self.by_viewer(index))

    def pooled(self, index: int, viewers: Sequence[Row]) -> Row:
        """The row of an image from those of its viewers."""
        dataset, _ = self.data.dataset.source(index)
        fixations = self.data.window_fixations(index)
        described = {"image_id": self.data.dataset.image_ids[index], "dataset": dataset.name}
        return described | {"fixations": 0 if fixations is None else len(fixations)} | _weighted(viewers)


@dataclass(frozen=True)
class SplitHalf:
    """Half of the viewers of an image predicts the other half; a row is the mean over several halvings.

    Attributes:
        data, scorer: what is scored and how.
        splits: how many halvings, drawn by the data module's seed and the image's name alone.
    """

    data: SaliencyDataModule
    scorer: Scorer
    splits: int = SPLITS

    def __call__(self, index: int) -> Row:
        dataset, _ = self.data.dataset.source(index)
        name, sigma = self.data.dataset.image_ids[index], gaussian_of(self.data, self.scorer, index)
        fixations = self.data.window_fixations(index)
        row: Row = {"image_id": name, "dataset": dataset.name, "fixations": 0 if fixations is None else len(fixations)}
        viewers = [] if fixations is None else fixations.viewers()
        if fixations is None or len(viewers) < 2:
            return row
        generator = torch.Generator().manual_seed(self.data.seed * 1_000_003 + index)
        scored = []
        for _ in range(self.splits):
            order = torch.randperm(len(viewers), generator=generator)
            first = torch.isin(fixations.viewer, torch.tensor(viewers)[order[: len(viewers) // 2]])
            second = ~first & (fixations.viewer >= 0)
            for here, there in ((first, second), (second, first)):
                predicted = fixation_density(fixations.select(here), sigma, dtype=torch.float64)[0]
                judged = fixations.select(there)
                scored.append(self.scorer.score(predicted, judged, None, sigma, name, dataset.name, kind="map"))
        for metric in dict.fromkeys(key for one in scored for key in one if key not in DESCRIBING):
            row[metric] = mean([one.get(metric, math.nan) for one in scored])
        return row


def gold_standard(
    data: SaliencyDataModule, scorer: Scorer, standard: GoldStandard, bias: CentreBias
) -> LeaveOneViewerOut:
    """The fitted ceiling."""
    kept = _KeptBias(bias.density)
    return LeaveOneViewerOut(data, scorer, lambda _, others: standard.log_density(others, kept), "log_density")


class _KeptBias(CentreBias):
    """A centre bias that keeps the density of the last size: all viewers of an image need the same."""

    @lru_cache(maxsize=1)  # noqa: B019 - one density, for as long as the ceiling is measured
    def log_density(self, size: tuple[int, int]) -> Tensor:
        """(T, H, W) float64 log density on an image of (height, width)."""
        return super().log_density(size)


def other_viewers(data: SaliencyDataModule, scorer: Scorer) -> LeaveOneViewerOut:
    """The ceiling of a fixed blur."""

    def predict(index: int, others: Fixations) -> Tensor:
        return fixation_density(others, BLUR * max(data.dataset.size(index)), dtype=torch.float64)[0]

    return LeaveOneViewerOut(data, scorer, predict, "map")


def gaussian_of(data: SaliencyDataModule, scorer: Scorer, index: int) -> float:
    """Pixels of the Gaussian that makes an image's human density: the preset's, else the data set's; NaN if unknown."""
    dataset, _ = data.dataset.source(index)
    return scorer.preset.sigma.get(dataset.name, data.sigma_of(dataset))


def consistency(viewers: Sequence[Row]) -> list[Row]:
    """How well each viewer is predicted by the others, over all images: one row a viewer and data set.

    Args:
        viewers: of :meth:`LeaveOneViewerOut.by_viewer`, of many images.

    Returns:
        ``dataset``, ``viewer``, ``images``, ``fixations`` and the mean of each metric, every fixation counting once;
        the best predicted first (by the first metric).
    """
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in viewers:
        groups.setdefault((row["dataset"], row["viewer"]), []).append(row)
    found = [
        {"dataset": dataset, "viewer": viewer, "images": len(rows), "fixations": sum(r["fixations"] for r in rows)}
        | _weighted(rows)
        for (dataset, viewer), rows in groups.items()
    ]
    metric = next((m for m in ("ig", "nss", "auc") if any(m in row for row in found)), "fixations")
    return sorted(found, key=lambda row: -row.get(metric, -math.inf))


def spearman_brown(correlation: float) -> float:
    """Correlation expected of two groups twice as large, from that of two halves: 2 r / (1 + r).

    Spearman (1910), Brown (1910). NaN below 0, where halves that share nothing leave nothing to extrapolate.
    """
    return 2 * correlation / (1 + correlation) if correlation >= 0 else math.nan


def shares(scores: ScoreTable, ceiling: ScoreTable) -> dict[str, float]:
    """metric → how much of the way from chance to the ceiling was gone, over the images that both can score.

    (mean score - chance) / (mean ceiling - chance), chance as in :data:`CHANCE`: for information gain, NSS and CC
    the plain ratio, for AUC the ratio above one half. Metrics whose ceiling is not above chance are left out.
    """
    best = {(r["dataset"], r["image_id"]): r for r in ceiling.rows}
    found = {}
    for metric, chance in CHANCE.items():
        pairs = [
            (row[metric], other[metric])
            for row in scores.rows
            if metric in row
            and metric in (other := best.get((row["dataset"], row["image_id"]), {}))
            and not math.isnan(row[metric])
            and not math.isnan(other[metric])
        ]
        reach = math.fsum(b - chance for _, b in pairs)
        if reach > 0:
            found[metric] = math.fsum(v - chance for v, _ in pairs) / reach
    return found


def _weighted(rows: Sequence[Row]) -> dict[str, float]:
    """Means of the metrics over rows, weighted by their numbers of fixations."""
    found = {}
    for metric in dict.fromkeys(key for row in rows for key in row if key not in (*DESCRIBING, "viewer")):
        if metric not in MAP_METRICS:
            weights = [float(row["fixations"]) for row in rows]
            found[metric] = mean([row.get(metric, math.nan) for row in rows], weights)
    return found
