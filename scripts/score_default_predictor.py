"""Score the default predictor on a data set that it was not trained on, image by image, beside baselines.

python scripts/score_default_predictor.py PREDICTOR DATASET OUT [key=value ...]

PREDICTOR  lite0, lite2, or a checkpoint of `saliency train experiment=default_predictor...`; or `baselines`, which
           scores only these
DATASET    mit1003 or osie, below $SALIENCY_DATA (all of its images are scored)
OUT        a folder: rows of each scored table as they come, and scores.json once all are there. What is there is not
           scored again, so that a run can be interrupted.
key=value  of the training configuration, for the centre bias that information gain is over:
           experiment=default_predictor unless said otherwise

Humans are the gold standard: each viewer under the density of the others. Their information gain is computed for all
images; NSS and AUC, which need a map for each viewer, for 250 images drawn at random.

python scripts/results.py OUT/scores.json takes the scores into results/scores.csv.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch

from saliency_pred.cli.compose import compose
from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.density import CentreBias
from saliency_pred.evaluation.baselines import fitted_gold_standard
from saliency_pred.evaluation.results import text_table, write_results
from saliency_pred.evaluation.run import Evaluation, score_baselines, sha256
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.instantiate import instantiate
from saliency_pred.metrics.accumulate import ScoreTable
from saliency_pred.metrics.presets import Preset
from saliency_pred.training.run import build_data
from saliency_pred.weights.checkpoint import Checkpoint, load_checkpoint
from saliency_pred.weights.default import NAMES, load_default

METRICS = ("ig", "log_likelihood", "nss", "auc", "cc", "kld", "sim")
BASELINES = ("centre_bias", "spectral_residual", "gold_standard")
HUMAN_MAPS = 250
TOGETHER = 10
"""Images that are scored before their rows are written."""


def main(predictor: str, dataset: str, out: Path, overrides: list[str]) -> None:
    """Score what is not scored yet, then write scores.json and print the table."""
    if not any(o.startswith("experiment=") for o in overrides):
        overrides = ["experiment=default_predictor", *overrides]
    training = compose("train", overrides)
    bias = build_data(training).centre_bias()
    scorer = Scorer(bias, "centre bias of the training sets", Preset("default_predictor", METRICS))
    tested = instantiate(compose("evaluate", [f"data={dataset}", "data.split=all"]).data)
    data = SaliencyDataModule(tested, training.loader.size, training.loader.resize, seed=training.seed)
    names = np.random.default_rng(0).permutation(tested.image_ids).tolist()
    out.mkdir(parents=True, exist_ok=True)
    checkpoint: Checkpoint | None = None
    if predictor != "baselines":
        checkpoint = load_default(predictor) if predictor in NAMES else load_checkpoint(predictor)
    tables = {}
    for name in (*(("model",) if checkpoint else ()), *BASELINES):
        rows = Rows(out / f"{name}.jsonl")
        wanted = names[:HUMAN_MAPS] if name == "gold_standard" else names
        left = [image for image in wanted if image not in rows.scored]
        for k in range(0, len(left), TOGETHER):
            images = left[k : k + TOGETHER]
            if name == "model" and checkpoint is not None:
                rows.add(score_model(checkpoint, data, scorer, images))
            else:
                rows.add(score_baselines(data, "val", scorer, [name], set(images))[name])
            print(f"\r{name} {len(rows.scored)}/{len(wanted)}", end="", file=sys.stderr, flush=True)
        tables[name] = rows.table()
    if checkpoint is None:
        return
    tables["gold_standard"] = with_information(tables["gold_standard"], data, bias)
    about = {"name": training.name if predictor not in NAMES else f"default predictor {predictor}"}
    about |= {"seed": training.seed, "checkpoint": str(checkpoint.path), "checkpoint_sha256": sha256(checkpoint.path)}
    evaluation = Evaluation(tables.pop("model"), tables, data, "val", scorer, about)
    write_results(evaluation, out)
    print(f"\n{text_table(evaluation)}")


def score_model(checkpoint: Checkpoint, data: SaliencyDataModule, scorer: Scorer, images: list[str]) -> ScoreTable:
    """Rows of some images, each seen at the size that the predictor gives it."""
    table = ScoreTable()
    for image in images:
        batch = data.single(data.dataset.image_ids.index(image))
        # A data set that was not trained on is of an unknown domain.
        predicted = checkpoint.model.log_density(batch.image, batch.valid, None, batch.original_size)
        table.extend(scorer.rows(predicted, batch))
    return table


def with_information(humans: ScoreTable, data: SaliencyDataModule, bias: CentreBias) -> ScoreTable:
    """Rows of all images with the humans' information gain, beside what is there for some."""
    standard = fitted_gold_standard(data, bias)
    there = {row["image_id"]: row for row in humans.rows}
    rows = []
    for index in data.indices("val"):
        fixations = data.window_fixations(index)
        assert fixations is not None
        row, column = fixations.pixels()
        density = standard.log_density_at_fixations(fixations, bias)
        prior = bias.log_density(data.dataset.size(index))[0, row, column]
        gain = float((density - prior).mean()) / math.log(2)
        name = data.dataset.image_ids[index]
        described = {"image_id": name, "dataset": data.dataset.name, "fixations": len(fixations)}
        before = there.get(name, {})
        if abs(before.get("ig", gain) - gain) > 1e-3:
            raise AssertionError(f"{name}: {before['ig']} bit/fixation by maps, {gain} at the fixations")
        rows.append(before | described | {"ig": gain})
    return ScoreTable(rows)


class Rows:
    """Rows in a file, one a line, that grows.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.rows = [json.loads(line) for line in lines]

    @property
    def scored(self) -> set[str]:
        """Images that have a row."""
        return {row["image_id"] for row in self.rows}

    def add(self, table: ScoreTable) -> None:
        """Append the rows of a table."""
        with self.path.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in table.rows)
        self.rows += table.rows

    def table(self) -> ScoreTable:
        """All rows, by image."""
        return ScoreTable(self.rows).gathered()


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    torch.set_grad_enabled(False)
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
