"""Scores of predictions, image by image, at the images' own size."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from saliency_pred.batch import Batch
from saliency_pred.density import CentreBias, fixation_density
from saliency_pred.evaluation.information_baseline import InformationBaseline
from saliency_pred.evaluation.optimal_maps import OptimalMaps
from saliency_pred.evaluation.other_images import OtherImages
from saliency_pred.fixations import Fixations
from saliency_pred.metrics.accumulate import Row, mean
from saliency_pred.metrics.presets import Kind, Preset, log_density_stack
from saliency_pred.metrics.stack import Stack

METRICS = ("ig", "log_likelihood", "auc", "nss", "cc", "kld", "sim")
"""What is scored where no preset is named."""

HIGHER_IS_BETTER = {"kld": False, "emd": False}
"""Every other metric grows with agreement."""


class Negatives(Protocol):
    """The fixations elsewhere that shuffled AUC compares with."""

    @property
    def named(self) -> str:
        """In words, for the record."""
        ...

    def of(self, name: str, size: tuple[int, int], window: int = 0) -> Fixations:
        """Those for a named image or frame, on an image of (height, width)."""
        ...


@dataclass(frozen=True)
class Scorer:
    """Scores log densities against fixations, and against maps made from them.

    Attributes:
        baseline: the centre bias that information gain is measured against unless ``reference`` says otherwise;
            None where a data set ships only maps, which give no information gain.
        named: where the baseline comes from, recorded with the scores.
        preset: which metrics, and by which convention.
        negatives: of shuffled AUC; None: it is left out.
        reference: what information gain is measured against in place of ``baseline``.
        optimal: each metric scores the map that is best for it under the predicted density; None: all metrics
            score the density itself.
    """

    baseline: CentreBias | None
    named: str = "centre bias of the training images"
    preset: Preset = field(default_factory=lambda: Preset("default", METRICS))
    negatives: Negatives | None = None
    reference: InformationBaseline | None = None
    optimal: OptimalMaps | None = None
    _last: dict[tuple[str, tuple[int, int], torch.device], list[Stack]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    headline: ClassVar[tuple[str, ...]] = ("ig", "nss", "auc")
    """Shown in the progress bar."""

    @property
    def over_centre_bias(self) -> bool:
        """Whether information gain is 0 for a centre bias, so that shares of it mean something."""
        return self.reference is None or isinstance(self.reference, OtherImages)

    def options(self) -> dict[str, Any]:
        """What made the numbers: goes into scores.json."""
        named = None if self.baseline is None else self.named
        return {
            **self.preset.description(),
            "ig_baseline": named if self.reference is None else self.reference.named,
            "sauc_negatives": None if self.negatives is None else self.negatives.named,
            "optimal_maps": None if self.optimal is None else self.optimal.description(),
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
            row |= self.score(log_density, fixations, density, sigma, batch.image_id[i], batch.dataset[i])
            rows.append(row)
        return rows

    def score(
        self,
        prediction: Tensor,
        fixations: Fixations | None,
        density: Tensor | None,
        sigma: float,
        image_id: str,
        dataset: str = "",
        kind: Kind = "log_density",
    ) -> Row:
        """The metrics of one image.

        With several time windows each metric is the mean over them, and ``metric@1`` ... are added.

        Args:
            prediction: (T, h, w), of any size that the preset allows.
            fixations: of the image, sorted into T windows; None where only maps are shipped.
            density: shipped maps (T, h, w), of which one window takes the mean; None: made from the fixations.
            sigma: of the Gaussian that makes them, in pixels; NaN: no maps are made.
            image_id: for messages, and to tell the other images from this one.
            dataset: its name: where the preset knows the Gaussian of a leaderboard's data set, maps are made
                with that one, shipped or not.
            kind: a ``map`` is no density, so it has no likelihood and no information gain.

        Raises:
            ValueError: pixels that are NaN or infinite, and what the preset refuses.
        """
        if dataset in self.preset.sigma and fixations is not None:
            density, sigma = None, self.preset.sigma[dataset]
        if fixations is not None:
            size = (int(fixations.size[0, 0]), int(fixations.size[0, 1]))
        elif density is not None:
            size = (int(density.shape[-2]), int(density.shape[-1]))
        else:
            size = (int(prediction.shape[-2]), int(prediction.shape[-1]))
        made = density is None
        if density is not None and len(density) != len(prediction):
            density = density.mean(0, keepdim=True) if len(prediction) == 1 else None
        if made and fixations is not None and math.isfinite(sigma):
            density = fixation_density(fixations, sigma, dtype=torch.float64)[0]
        baseline = self._baseline(image_id, size, prediction.device)
        windows: list[dict[str, float]] = []
        for t, one in enumerate(prediction):
            here = None if density is None else density[t]
            if here is not None and not bool(here.any()):
                here = None  # a window without fixations has nothing to be compared with
            mine = None if fixations is None else fixations.of_window(t)
            if mine is None and here is None:
                windows.append({})
                continue
            others = None
            if self.negatives is not None and mine is not None:
                others = self.negatives.of(image_id, size, t).to(one.device)
            bias = baseline[min(t, len(baseline) - 1)] if baseline else None
            if self.optimal is None or kind == "map":
                windows.append(self.preset.score(one, mine, here, bias, others, kind=kind, name=image_id))
                continue
            _, log_density = self.preset.prepare(one, size, kind, image_id)
            assert log_density is not None
            values: dict[str, float] = {}
            maps = self.optimal.of(log_density[0], self.preset.metrics, sigma if made else math.nan, image_id, t)
            for metrics, map_, map_kind in maps:
                rules = dataclasses.replace(self.preset, metrics=metrics)
                values |= rules.score(map_, mine, here, bias, others, kind=map_kind, name=image_id)
            windows.append(values)
        row: Row = {"fixations": 0 if fixations is None else len(fixations)}
        for name in self.preset.metrics:
            if any(name in values for values in windows):
                each = [values.get(name, math.nan) for values in windows]
                row[name] = mean(each)
                if len(each) > 1:
                    row |= {f"{name}@{t + 1}": v for t, v in enumerate(each)}
        return row

    def _baseline(self, image_id: str, size: tuple[int, int], device: torch.device) -> list[Stack]:
        """T log densities that information gain is measured against, or none; the last ones are kept."""
        key = ("" if self.reference is None else image_id, size, device)
        if key not in self._last:
            if self.reference is not None:
                found = self.reference.log_density(image_id, size)
            else:
                found = None if self.baseline is None else self.baseline.log_density(size)
            self._last.clear()
            self._last[key] = [] if found is None else [log_density_stack(one.to(device)) for one in found]
        return self._last[key]
