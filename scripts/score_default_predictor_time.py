"""Does a density for each second say more than one for the whole viewing? On images held out from both trainings.

python scripts/score_default_predictor_time.py STATIC SLICES [key=value ...]

STATIC     lite0, lite2, or a checkpoint of experiment=default_predictor
SLICES     lite0_time, lite2_time, or a checkpoint of experiment=default_predictor_time
key=value  of the training configuration, experiment=default_predictor_time

Information gain (bit/fixation) of both over the centre bias of each second, and their difference image by image, with
95 % bootstrap intervals over images. $SALIENCY_DATA has the training sets; rows of the same two predictors in
results/default_predictor_time.csv are replaced.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import torch
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parent))
from default_predictor_tables import TIME_TABLE, read

from saliency_pred.cli.compose import compose
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.metrics.accumulate import ScoreTable
from saliency_pred.metrics.bootstrap import confidence_interval
from saliency_pred.metrics.presets import Preset
from saliency_pred.training.run import build_data
from saliency_pred.weights.checkpoint import Checkpoint, load_checkpoint
from saliency_pred.weights.default import NAMES, load_default

VALUES = ("static", "slices", "difference")
COLUMNS = ("predictors", "dataset", "second", "images", *(f"{v}{end}" for v in VALUES for end in ("", "_low", "_high")))


def main(static: str, slices: str, overrides: list[str]) -> None:
    """Score both, write the table, print it."""
    data = build_data(compose("train", ["experiment=default_predictor_time", "loader.workers=0", *overrides]))
    scorer = Scorer(data.centre_bias(), "centre bias of each second", Preset("time", ("ig",)))
    loaded = {"static": load(static), "slices": load(slices)}
    tables = {name: ScoreTable() for name in loaded}
    for index in tqdm(data.indices("val"), unit="image", disable=None):
        batch = data.single(index)
        for name, checkpoint in loaded.items():
            predicted = checkpoint.model.log_density(batch.image, batch.valid, batch.domain, batch.original_size)
            tables[name].extend(scorer.rows([predicted[0].expand(data.windows.shape[0], -1, -1)], batch))
    sets = ["all", *dict.fromkeys(row["dataset"] for row in tables["static"].rows)]
    rows = [
        row_of(tables, dataset, second) | {"predictors": f"{static} {slices}"}
        for dataset in sets
        for second in range(1, 1 + data.windows.shape[0])
    ]
    kept = [r for r in read(TIME_TABLE) if r["predictors"] != f"{static} {slices}"]
    with TIME_TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])
    for row in rows:
        print("  ".join(f"{row[c]}" for c in COLUMNS[1:]))


def load(name: str) -> Checkpoint:
    """A shipped predictor by its name, or a checkpoint by its path."""
    base = name.removesuffix("_time")
    return load_default(base, time=base != name) if base in NAMES else load_checkpoint(name)


def row_of(tables: dict[str, ScoreTable], dataset: str, second: int) -> dict[str, str]:
    """Means and intervals of one second over the images with fixations in it."""
    pairs = [
        (float(a[f"ig@{second}"]), float(b[f"ig@{second}"]))
        for a, b in zip(tables["static"].rows, tables["slices"].rows, strict=True)
        if dataset in ("all", a["dataset"]) and not math.isnan(a[f"ig@{second}"])
    ]
    columns = {"static": [a for a, _ in pairs], "slices": [b for _, b in pairs]}
    columns["difference"] = [b - a for a, b in pairs]
    row = {"dataset": dataset, "second": str(second), "images": str(len(pairs))}
    for name, values in columns.items():
        low, high = confidence_interval(values)
        row |= {
            name: f"{math.fsum(values) / len(values):.4f}",
            f"{name}_low": f"{low:.4f}",
            f"{name}_high": f"{high:.4f}",
        }
    return row


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    torch.set_grad_enabled(False)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
