"""Scoring a model and the baselines on one part of a data set, and writing what came out."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.errors import MissingFixationsError
from saliency_pred.density import CentreBias
from saliency_pred.evaluation.baselines import CEILINGS, applicable, fitted_gold_standard, make_baseline
from saliency_pred.evaluation.ceilings import LeaveOneViewerOut
from saliency_pred.evaluation.information_baseline import BaselineName, OtherViewers, UniformBaseline
from saliency_pred.evaluation.optimal_maps import OptimalMaps
from saliency_pred.evaluation.other_images import OtherFixations, OtherImages
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.fixations import Fixations
from saliency_pred.metrics.accumulate import Row, ScoreTable
from saliency_pred.metrics.presets import NEEDS, Preset
from saliency_pred.model import SaliencyModel, best_device
from saliency_pred.weights.checkpoint import Checkpoint


@dataclass
class Evaluation:
    """Scores of one model beside those of the baselines, on the same images.

    Attributes:
        table: rows of the model, ordered by image.
        baselines: name → rows.
        data, part: which images.
        scorer: how they were scored.
        about: what else made the numbers (checkpoint, hash, seed, versions).
        viewers: rows of each viewer on each image, where the table is of a leave-one-viewer-out ceiling.
    """

    table: ScoreTable
    baselines: dict[str, ScoreTable]
    data: SaliencyDataModule
    part: str
    scorer: Scorer
    about: dict[str, Any] = field(default_factory=dict)
    viewers: list[Row] = field(default_factory=list)


def make_scorer(
    data: SaliencyDataModule,
    part: str,
    preset: Preset,
    ig_baseline: BaselineName = "centre_bias",
    optimal_maps: bool = False,
) -> Scorer:
    """A scorer for a part, with the centre bias of the train part, or of the scored images where there is none.

    Args:
        data, part: which images.
        preset: the rules.
        ig_baseline, optimal_maps: see :func:`prepared`.
    """
    if data.parts.get("train"):
        scorer = Scorer(data.centre_bias(), preset=preset)
    else:
        packs = [pack for pack in map(data.window_fixations, data.indices(part)) if pack is not None and len(pack)]
        scorer = Scorer(CentreBias.fit(packs) if packs else None, "centre bias of the scored images", preset)
    return prepared(scorer, data, part, ig_baseline, optimal_maps)


def prepared(
    scorer: Scorer,
    data: SaliencyDataModule,
    part: str,
    ig_baseline: BaselineName = "centre_bias",
    optimal_maps: bool = False,
) -> Scorer:
    """The scorer with all that it has to know of the scored images before the first of them is scored.

    Args:
        scorer: with the centre bias of the train part.
        data, part: which images.
        ig_baseline: what information gain is measured against.
        optimal_maps: whether each metric scores the map that is best for it, see
            :mod:`saliency_pred.evaluation.optimal_maps`.

    Raises:
        ValueError: an unknown baseline, or one that these data cannot give.
    """
    needed = {need for metric in scorer.preset.metrics for need in NEEDS[metric]}
    indices = data.indices(part)
    packs: dict[str, Fixations | None] = {}
    if "negatives" in needed or ig_baseline in ("other_images", "gold_standard"):
        packs = {data.dataset.image_ids[i]: data.window_fixations(i) for i in indices}
    known = any(pack is not None and len(pack) for pack in packs.values())
    images = f"the {part} part"
    changes: dict[str, Any] = {}
    if "negatives" in needed and known:
        changes["negatives"] = OtherFixations(packs, scorer.preset.negatives, data.seed, images)
    if ig_baseline == "uniform":
        changes["reference"] = UniformBaseline()
    elif ig_baseline == "other_images":
        changes["reference"] = OtherImages(packs, images=images)
    elif ig_baseline == "gold_standard":
        if "ig_mit" in scorer.preset.metrics:
            raise ValueError("ig_mit compares maps: the gold standard, which leaves each viewer out, has none")
        if scorer.baseline is None:
            raise MissingFixationsError(f"ig_baseline=gold_standard: {data.dataset.name} ships only maps")
        changes["reference"] = OtherViewers(packs, fitted_gold_standard(data, scorer.baseline), scorer.baseline)
    elif ig_baseline != "centre_bias":
        raise ValueError(
            f"ig_baseline={ig_baseline!r} is none of 'centre_bias', 'other_images', 'uniform', 'gold_standard'"
        )
    if optimal_maps:
        counts = [len(pack) for pack in map(data.window_fixations, indices) if pack is not None and len(pack)]
        number = max(1, round(sum(counts) / max(1, len(counts)) / len(data.windows)))
        others = OtherImages(packs, images=images) if "negatives" in changes else None
        changes["optimal"] = OptimalMaps(number, others, seed=data.seed)
    return dataclasses.replace(scorer, **changes)


def evaluate(
    checkpoint: Checkpoint,
    data: SaliencyDataModule,
    part: str,
    scorer: Scorer,
    about: dict[str, Any],
    baselines: Sequence[str] | None = None,
) -> Evaluation:
    """Score a checkpoint and the baselines.

    Args:
        checkpoint: the model.
        data, part: which images.
        scorer: how; see :func:`prepared`.
        about: further facts for scores.json.
        baselines: see :func:`score_baselines`.
    """
    model = checkpoint.model.to(best_device())
    table = score_model(model, data, part, scorer)
    others = score_baselines(data, part, scorer, baselines)
    facts = {"checkpoint": str(checkpoint.path), "checkpoint_sha256": sha256(checkpoint.path)}
    return Evaluation(table, others, data, part, scorer, about | facts)


def evaluate_baseline(
    name: str, data: SaliencyDataModule, part: str, scorer: Scorer, baselines: Sequence[str] | None = None
) -> Evaluation:
    """Score a baseline in the place of a model, beside the others.

    Args:
        name: of :data:`saliency_pred.evaluation.baselines.BASELINES`.
        data, part, scorer, baselines: as in :func:`evaluate`. Where ``name`` is one of the ceilings, all ceilings are
            among the others.
    """
    table, viewers = score_viewers(name, data, part, scorer)
    if baselines is None:
        baselines = applicable(data, scorer, ceilings=name in CEILINGS)
    others = score_baselines(data, part, scorer, [other for other in baselines if other != name])
    return Evaluation(table, others, data, part, scorer, {"name": name}, viewers)


def score_model(model: SaliencyModel, data: SaliencyDataModule, part: str, scorer: Scorer) -> ScoreTable:
    """Rows of every image of a part; with several processes each scores its share and all get all rows."""
    device = next(iter(model.buffers())).device
    table = ScoreTable()
    loader = data.evaluation_dataloader(part)
    model.eval()
    for batch in tqdm(loader, desc=f"scoring {part}", unit="batch", disable=None, leave=False):
        here = batch.to(device)
        predicted = model.log_density(here.image, here.valid, here.domain, here.original_size)
        table.extend(scorer.rows(predicted, here))
    return table.gathered()


def score_baseline(name: str, data: SaliencyDataModule, part: str, scorer: Scorer) -> ScoreTable:
    """Rows of a baseline."""
    return score_viewers(name, data, part, scorer)[0]


def score_viewers(
    name: str, data: SaliencyDataModule, part: str, scorer: Scorer, images: Container[str] | None = None
) -> tuple[ScoreTable, list[Row]]:
    """Rows of a baseline, and of each viewer on each image where the baseline leaves viewers out.

    Args:
        images: only those of the part with these names.
    """
    baseline = make_baseline(name, data, part, scorer)
    table, viewers = ScoreTable(), list[Row]()
    indices = [i for i in data.indices(part) if images is None or data.dataset.image_ids[i] in images]
    for i in tqdm(indices, desc=f"scoring {name}", unit="image", disable=None, leave=False):
        if isinstance(baseline, LeaveOneViewerOut):
            mine = baseline.by_viewer(i)
            viewers += mine
            table.extend([baseline.pooled(i, mine)])
        else:
            table.extend([baseline(i)])
    return table.gathered(), viewers


def score_baselines(
    data: SaliencyDataModule,
    part: str,
    scorer: Scorer,
    names: Sequence[str] | None = None,
    images: Container[str] | None = None,
) -> dict[str, ScoreTable]:
    """Rows of several baselines.

    Args:
        data, part, scorer: which images, and how.
        names: of baselines; None: every one that these data allow, see ``baselines.applicable``.
        images: only those of the part with these names.
    """
    chosen = applicable(data, scorer) if names is None else names
    return {name: score_viewers(name, data, part, scorer, images)[0] for name in chosen}


def sha256(path: Path) -> str:
    """Of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
