"""How much the default predictor's scores depend on the seed of its training.

python scripts/score_default_predictor_seeds.py NAME CHECKPOINT... [key=value ...]

NAME        lite0 or lite2: in the table, and whose checkpoints follow
CHECKPOINT  of scripts/make_default_predictor.py WORK NAME seed=N, one for each seed
key=value   of the training configuration, experiment=default_predictor unless said otherwise

Scores on MIT1003, the same 250 images drawn at random for each (IG over the centre bias of the training sets, NSS,
AUC), and the IG on the held-out tenths of the training sets. $SALIENCY_DATA has the data; rows of the same predictor
in results/default_predictor_seeds.csv are replaced.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from default_predictor_tables import SEEDS_TABLE, read
from score_default_predictor import score_model

from saliency_pred.cli.compose import compose
from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.instantiate import instantiate
from saliency_pred.metrics.accumulate import ScoreTable
from saliency_pred.metrics.presets import Preset
from saliency_pred.training.run import build_data
from saliency_pred.weights.checkpoint import load_checkpoint

COLUMNS = ("predictor", "seed", "images", "ig", "nss", "auc", "held_out_images", "held_out_ig")
IMAGES = 250


def main(name: str, checkpoints: list[str], overrides: list[str]) -> None:
    """Score every checkpoint, write its row, print it."""
    if not any(o.startswith("experiment=") for o in overrides):
        overrides = ["experiment=default_predictor", *overrides]
    training = compose("train", overrides)
    trained_on = build_data(training)
    bias = trained_on.centre_bias()
    new = instantiate(compose("evaluate", ["data=mit1003", "data.split=all"]).data)
    new_data = SaliencyDataModule(new, training.loader.size, training.loader.resize)
    drawn = np.random.default_rng(0).permutation(new.image_ids)[:IMAGES].tolist()
    scorer = Scorer(bias, "centre bias of the training sets", Preset("seeds", ("ig", "nss", "auc")))
    gain = Scorer(bias, "centre bias of the training sets", Preset("held out", ("ig",)))
    rows = []
    for path in checkpoints:
        checkpoint = load_checkpoint(path)
        scores = score_model(checkpoint, new_data, scorer, drawn).means()
        held_out = ScoreTable()
        for index in trained_on.indices("val"):
            batch = trained_on.single(index)
            predicted = checkpoint.model.log_density(batch.image, batch.valid, batch.domain, batch.original_size)
            held_out.extend(gain.rows(predicted, batch))
        row = {"predictor": name, "seed": str(checkpoint.config.seed), "images": str(IMAGES)}
        row |= {metric: f"{scores[metric]:.4f}" for metric in ("ig", "nss", "auc")}
        row |= {"held_out_images": str(len(held_out.rows)), "held_out_ig": f"{held_out.means()['ig']:.4f}"}
        print(row)
        rows.append(row)
    kept = [r for r in read(SEEDS_TABLE) if r["predictor"] != name]
    with SEEDS_TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    torch.set_grad_enabled(False)
    main(sys.argv[1], [a for a in sys.argv[2:] if "=" not in a], [a for a in sys.argv[2:] if "=" in a])
