"""What a data set is like, measured: sizes, viewers, fixations, times, centre bias, how far viewers agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.density import CentreBias, GoldStandard
from saliency_pred.fixations import Fixations
from saliency_pred.metrics.functional import auc, ig, log_likelihood, nss


@dataclass
class Spread:
    """A quantity over a set: median, and the values that 5 % lie below and above."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray) -> Spread | None:
        """Of (n,) numbers, NaN passed over; None without any."""
        known = values[~np.isnan(values)]
        if len(known) == 0:
            return None
        low, median, high = np.percentile(known, [5, 50, 95])
        return cls(float(median), float(low), float(high))


@dataclass
class Description:
    """What was measured; of sets that ship only maps, all that needs fixations is None or 0.

    Attributes:
        images: how many.
        sizes: (height, width) → how many images.
        parts: images in each part of the split.
        fixations: on all images, those outside left out.
        outside: fixations outside their image.
        without: images without a fixation.
        per_image: fixations an image.
        per_viewer: fixations of one viewer on one image.
        viewers: viewers an image.
        duration, time: seconds, of fixations where known.
        timed: share of the fixations whose onset is known.
        centre: mean (y, x) of the fixations as shares of height and width, and their standard deviations.
        scores: row name → metric → mean over ``scored`` images of a part that the row was not fitted to.
        scored: images that were scored.
        sigma: bandwidth of the gold standard, as a share of the long side.
        bias: (T, G, G) the fitted centre bias, for drawing.
    """

    images: int
    sizes: Counter[tuple[int, int]]
    parts: dict[str, int]
    fixations: int = 0
    outside: int = 0
    without: int = 0
    per_image: Spread | None = None
    per_viewer: Spread | None = None
    viewers: Spread | None = None
    duration: Spread | None = None
    time: Spread | None = None
    timed: float = 0.0
    centre: tuple[float, float, float, float] | None = None
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    scored: int = 0
    sigma: float | None = None
    bias: CentreBias | None = None


def describe(
    dataset: SaliencyDataset, images: int = 100, seed: int = 0, step: Callable[[], object] = lambda: None
) -> Description:
    """Measure a data set.

    Args:
        dataset: opened.
        images: the centre bias and the gold standard are fitted to so many images and scored on so many
            others, spread evenly over the set; the counts are of all images.
        seed: of the split whose parts are counted.
        step: called once an image.
    """
    try:
        parts = {name: len(indices) for name, indices in dataset.parts(seed).items()}
    except ValueError:  # a subset is smaller than the published split
        parts = {}
    found = Description(len(dataset), Counter(), parts)
    packs: dict[int, Fixations] = {}
    counts, per_viewer, viewers = [], [], []
    columns: dict[str, list[np.ndarray]] = {k: [] for k in ("time", "duration", "y", "x")}
    for index in range(len(dataset)):
        stored = dataset.fixations(index)
        if stored is None:
            found.sizes[dataset.size(index)] += 1
        else:
            found.sizes[(int(stored.size[0, 0]), int(stored.size[0, 1]))] += 1
            pack, outside = stored.clean("drop")
            packs[index] = pack
            found.outside += outside
            counts.append(len(pack))
            known = pack.viewer[pack.viewer >= 0]
            if len(known):
                each = torch.unique(known, return_counts=True)[1]
                per_viewer.append(each.numpy())
                viewers.append(len(each))
            height, width = pack.size[0].tolist()
            for name, values in (
                ("time", pack.time),
                ("duration", pack.duration),
                ("y", pack.y / height),
                ("x", pack.x / width),
            ):
                columns[name].append(values.numpy())
        step()
    if not packs:
        return found
    found.fixations, found.without = sum(counts), counts.count(0)
    if found.fixations == 0:
        return found
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    found.per_image = Spread.of(np.asarray(counts, dtype=float))
    if per_viewer:
        found.per_viewer = Spread.of(np.concatenate(per_viewer).astype(float))
        found.viewers = Spread.of(np.asarray(viewers, dtype=float))
    found.duration, found.time = Spread.of(joined["duration"]), Spread.of(joined["time"])
    found.timed = float(np.mean(~np.isnan(joined["time"])))
    found.centre = (*(float(joined[k].mean()) for k in "yx"), *(float(joined[k].std()) for k in "yx"))  # type: ignore[assignment]
    _score(found, list(packs.values()), images)
    return found


def _score(found: Description, packs: list[Fixations], images: int) -> None:
    """Fit on every other image of an even selection, score on the rest."""
    some = [p for p in packs if len(p)]
    chosen = [some[int(i)] for i in np.unique(np.linspace(0, len(some) - 1, min(2 * images, len(some))).round())]
    fitted, scored = chosen[::2], chosen[1::2]
    if not scored:
        return
    bias = CentreBias.fit(fitted)
    found.bias, found.scored = bias, len(scored)
    prior = [bias.log_density(_size(p)) for p in scored]
    found.scores["centre bias"] = _means([_centre_scores(p, b) for p, b in zip(scored, prior, strict=True)])
    enough = [p for p in fitted if len(p.viewers()) > 1]
    judged = [(p, b) for p, b in zip(scored, prior, strict=True) if len(p.viewers()) > 1]
    if enough and judged:
        standard = GoldStandard.fit(enough, bias)
        found.sigma = standard.sigma
        found.scores["gold standard"] = _means([_gold_scores(p, b, standard, bias) for p, b in judged])


def _centre_scores(pack: Fixations, log_density: torch.Tensor) -> dict[str, float]:
    return {
        "LL": float(log_likelihood(log_density, pack)[0]),
        "IG": 0.0,
        "NSS": float(nss(log_density.exp(), pack)[0]),
        "AUC": float(auc(log_density, pack)[0]),
    }


def _gold_scores(pack: Fixations, prior: torch.Tensor, standard: GoldStandard, bias: CentreBias) -> dict[str, float]:
    """Each viewer under the density of the others; the mean counts every fixation once."""
    totals = dict.fromkeys(("LL", "IG", "NSS", "AUC"), 0.0)
    number = 0
    for viewer in pack.viewers():
        mine = pack.of_viewer(viewer)
        predicted = standard.log_density(pack, bias, leave_out=viewer)
        for metric, value in (
            ("LL", log_likelihood(predicted, mine)),
            ("IG", ig(predicted, prior, mine)),
            ("NSS", nss(predicted.exp(), mine)),
            ("AUC", auc(predicted, mine)),
        ):
            totals[metric] += float(value[0]) * len(mine)
        number += len(mine)
    return {metric: total / number for metric, total in totals.items()}


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {metric: math.fsum(row[metric] for row in rows) / len(rows) for metric in rows[0]}


def _size(pack: Fixations) -> tuple[int, int]:
    height, width = pack.size[0].tolist()
    return height, width
