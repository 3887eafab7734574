"""Scores of many images: gathered from any number of processes, averaged as a preset says.

Nothing is summed before all rows are together: a mean is the exactly rounded sum (``math.fsum``) of the images'
values, ordered by name, so that it is the same for one process and for a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch.distributed as dist

from saliency_pred.metrics.bootstrap import confidence_interval
from saliency_pred.metrics.presets import NEEDS, Aggregation

Row = dict[str, Any]
"""image_id, dataset, fixations (their number), and a value per metric (NaN where it is undefined). With several
time windows ``metric`` is the mean over them and ``metric@1`` ... are the windows' own."""

DESCRIBING = ("image_id", "dataset", "fixations")
"""Keys of a row that are no metric."""


class ScoreTable:
    """Rows of many images."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.rows = list(rows)

    def extend(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        self.rows.extend(rows)

    def gathered(self) -> ScoreTable:
        """The rows of all processes, ordered by data set and image.

        An image that several processes scored, as samplers that fill up the last batch make them do, counts once.
        """
        rows = self.rows
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            parts: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(parts, rows)
            rows = [row for part in parts for row in part]
        once: dict[tuple[str, str], Row] = {}
        for row in rows:
            once.setdefault((row["dataset"], row["image_id"]), row)
        return ScoreTable(once[key] for key in sorted(once))

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
        """Mean of every metric over the images on which it is defined, every image counting once."""
        return {metric: mean(self.column(metric)) for metric in self.metrics}

    def unscorable(self) -> dict[str, list[str]]:
        """For every metric with undefined values: the images concerned."""
        found = {}
        for metric in self.metrics:
            named = [r["image_id"] for r, v in zip(self.rows, self.column(metric), strict=True) if math.isnan(v)]
            if named:
                found[metric] = named
        return found

    def by_video(self) -> ScoreTable:
        """One row a video: the mean over its frames, which are the images of one folder.

        A row with time windows is a video already.
        """
        folders: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            own = any("@" in key for key in row)
            video = row["image_id"] if own else row["image_id"].rpartition("/")[0]
            folders.setdefault((row["dataset"], video), []).append(row)
        return ScoreTable(
            {"image_id": video, "dataset": dataset, "fixations": sum(r["fixations"] for r in rows)}
            | ScoreTable(rows).means()
            for (dataset, video), rows in folders.items()
        )

    def summary(self, aggregation: Aggregation = "image") -> dict[str, dict[str, float]]:
        """metric → ``mean``, ``low`` and ``high`` of its 95 % bootstrap interval, number of ``images``.

        Args:
            aggregation: over images; over fixations (metrics of fixations only: an image counts as often as it has
                fixations); or over the frames of each video, then over ``images`` = videos.
        """
        if aggregation == "video":
            return self.by_video().summary("image")
        counts = [float(row["fixations"]) for row in self.rows]
        result = {}
        for metric in self.metrics:
            column = self.column(metric)
            known = [v for v in column if not math.isnan(v)]
            weight = None
            if aggregation == "fixation" and "fixations" in NEEDS.get(metric, ()):
                weight = [n for n, v in zip(counts, column, strict=True) if not math.isnan(v)]
            average = mean(known, weight)
            finite = len(known) > 1 and all(map(math.isfinite, known))
            low, high = confidence_interval(known, weights=weight) if finite else (math.nan, math.nan)
            result[metric] = {"mean": average, "low": low, "high": high, "images": len(known)}
        return result


def mean(values: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """Mean of those that are numbers (``ScoreTable.unscorable`` lists the others); NaN if none is.

    Args:
        weights: of each value; None: all alike.
    """
    weights = [1.0] * len(values) if weights is None else weights
    known = [(v, w) for v, w in zip(values, weights, strict=True) if not math.isnan(v)]
    total = math.fsum(w for _, w in known)
    return math.fsum(v * w for v, w in known) / total if total else math.nan
