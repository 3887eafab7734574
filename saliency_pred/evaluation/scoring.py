"""Scores of predictions, image by image, at the images' own size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from saliency_pred.batch import Batch
from saliency_pred.density import CentreBias, fixation_density
from saliency_pred.fixations import Fixations
from saliency_pred.metrics.presets import Kind, Preset

Row = dict[str, Any]
"""image_id, dataset, fixations (their number), and a value per metric (NaN where it is undefined)."""

METRICS = ("ig", "log_likelihood", "auc", "nss", "cc", "kld", "sim")
"""What is scored where no preset is named."""

HIGHER_IS_BETTER = {"kld": False, "emd": False}
"""Every other metric grows with agreement."""

DESCRIBING = ("image_id", "dataset", "fixations")


class Scorer:
    """Scores log densities against fixations, and against maps made from them.

    Args:
        baseline: what information gain is measured against, and where it comes from is said by ``named``;
            None where a data set ships only maps, which give no information gain.
        named: the baseline's name, recorded with the scores.
        preset: which metrics, and by which convention.
    """

    headline = ("ig", "nss", "auc")
    """Shown in the progress bar."""

    def __init__(
        self,
        baseline: CentreBias | None,
        named: str = "centre bias of the training images",
        preset: Preset | None = None,
    ) -> None:
        self.baseline = baseline
        self.named = named
        self.preset = preset or Preset("default", METRICS)

    def options(self) -> dict[str, Any]:
        """What made the numbers: goes into scores.json."""
        return {
            **self.preset.description(),
            "ig_baseline": None if self.baseline is None else self.named,
            "log_likelihood": "over the uniform density",
            "size": "original image",
        }

    def rows(self, log_densities: Sequence[Tensor], batch: Batch) -> list[Row]:
        """One row an image.

        Args:
            log_densities: B of (T, h, w) at the original size.
            batch: with ``original_fixations``, or ``original_density`` where only maps are shipped.
        """
        rows = []
        for i, log_density in enumerate(log_densities):
            fixations = None if batch.original_fixations is None else batch.original_fixations.of_sample(i)
            density = None if batch.original_density is None else batch.original_density[i]
            zoom = float(batch.original_size[i, 1]) / float(batch.valid[i].any(0).sum())
            sigma = float(batch.blur_sigma[i]) * zoom
            row = {"image_id": batch.image_id[i], "dataset": batch.dataset[i]}
            row |= self.score(log_density, fixations, density, sigma, batch.image_id[i])
            rows.append(row)
        return rows

    def score(
        self,
        prediction: Tensor,
        fixations: Fixations | None,
        density: Tensor | None,
        sigma: float,
        image_id: str,
        kind: Kind = "log_density",
    ) -> Row:
        """The metrics of one image.

        With several time windows each metric is the mean over them, and ``metric@1`` ... are added.

        Args:
            prediction: (T, h, w) at the image's own size.
            fixations: of the image, sorted into T windows; None where only maps are shipped.
            density: (T, h, w) shipped maps; None: made from the fixations.
            sigma: of the Gaussian that makes them, in pixels; NaN: no maps are made.
            image_id: for messages.
            kind: a ``map`` is no density, so it has no likelihood and no information gain.

        Raises:
            ValueError: pixels that are NaN or infinite, and what the preset refuses.
        """
        size = (int(prediction.shape[-2]), int(prediction.shape[-1]))
        if density is None and fixations is not None and math.isfinite(sigma):
            density = fixation_density(fixations, sigma, dtype=torch.float64)[0]
        baseline = None if self.baseline is None else self.baseline.log_density(size).to(prediction.device)
        windows: list[dict[str, float]] = []
        for t, one in enumerate(prediction):
            here = None if density is None else density[t]
            if here is not None and not bool(here.any()):
                here = None  # a window without fixations has nothing to be compared with
            mine = None if fixations is None else fixations.of_window(t)
            if mine is None and here is None:
                windows.append({})
                continue
            bias = None if baseline is None else baseline[min(t, len(baseline) - 1)]
            windows.append(self.preset.score(one, mine, here, bias, kind=kind, name=image_id))
        row: Row = {"fixations": 0 if fixations is None else len(fixations)}
        for name in self.preset.metrics:
            if any(name in values for values in windows):
                each = [values.get(name, math.nan) for values in windows]
                row[name] = _mean(each)
                if len(each) > 1:
                    row |= {f"{name}@{t + 1}": v for t, v in enumerate(each)}
        return row


class ScoreTable:
    """Rows of many images, gathered over processes; means do not depend on how many there are."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.rows = list(rows)

    def extend(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        self.rows.extend(rows)

    def gathered(self) -> ScoreTable:
        """The rows of all processes, ordered by data set and image."""
        rows = self.rows
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            parts: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(parts, rows)
            rows = [row for part in parts for row in part]
        return ScoreTable(sorted(rows, key=lambda r: (r["dataset"], r["image_id"])))

    @property
    def metrics(self) -> list[str]:
        """The metrics of any row, in the order of scoring."""
        names: dict[str, None] = {}
        for row in self.rows:
            names |= dict.fromkeys(k for k in row if k not in DESCRIBING)
        return list(names)

    def column(self, metric: str) -> list[float]:
        """One metric's value for every row; NaN where it is undefined."""
        return [float(row.get(metric, math.nan)) for row in self.rows]

    def means(self) -> dict[str, float]:
        """Mean of every metric over the images on which it is defined, in float64."""
        return {metric: _mean(self.column(metric)) for metric in self.metrics}

    def unscorable(self) -> dict[str, list[str]]:
        """For every metric with undefined values: the images concerned."""
        found = {}
        for metric in self.metrics:
            named = [r["image_id"] for r, v in zip(self.rows, self.column(metric), strict=True) if math.isnan(v)]
            if named:
                found[metric] = named
        return found


def _mean(values: Sequence[float]) -> float:
    """Mean of those that are numbers (counted by ``unscorable``); NaN if none is."""
    known = [v for v in values if not math.isnan(v)]
    return math.fsum(known) / len(known) if known else math.nan
