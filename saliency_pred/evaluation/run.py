"""Scoring a model and the baselines on one part of a data set, and writing what came out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.evaluation.baselines import applicable, make_baseline
from saliency_pred.evaluation.scoring import Scorer, ScoreTable
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
    """

    table: ScoreTable
    baselines: dict[str, ScoreTable]
    data: SaliencyDataModule
    part: str
    scorer: Scorer
    about: dict[str, Any] = field(default_factory=dict)


def evaluate(
    checkpoint: Checkpoint, data: SaliencyDataModule, part: str, scorer: Scorer, about: dict[str, Any]
) -> Evaluation:
    """Score a checkpoint and the baselines.

    Args:
        checkpoint: the model.
        data, part: which images.
        scorer: how.
        about: further facts for scores.json.
    """
    model = checkpoint.model.to(best_device())
    table = score_model(model, data, part, scorer)
    baselines = score_baselines(data, part, scorer)
    facts = {"checkpoint": str(checkpoint.path), "checkpoint_sha256": sha256(checkpoint.path)}
    return Evaluation(table, baselines, data, part, scorer, about | facts)


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
    baseline = make_baseline(name, data, scorer)
    indices = tqdm(data.indices(part), desc=f"scoring {name}", unit="image", disable=None, leave=False)
    return ScoreTable(baseline(i) for i in indices).gathered()


def score_baselines(data: SaliencyDataModule, part: str, scorer: Scorer) -> dict[str, ScoreTable]:
    """Rows of every baseline that these data allow."""
    return {name: score_baseline(name, data, part, scorer) for name in applicable(data)}


def sha256(path: Path) -> str:
    """Of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
