"""Reproducing an experiment: predictions are stored, scores are made from what is stored, rows are kept in a CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tqdm import tqdm

from saliency_pred.atomic import replacing, write_text
from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.evaluation.map_scores import MapScores, score_maps
from saliency_pred.evaluation.maps import MapFiles
from saliency_pred.evaluation.published import COLUMNS, Published, shown_scores, table
from saliency_pred.evaluation.results import environment
from saliency_pred.evaluation.run import make_scorer, sha256
from saliency_pred.metrics.presets import Preset
from saliency_pred.model import best_device
from saliency_pred.weights.checkpoint import Checkpoint

KEYS = ("experiment", "dataset", "split", "part", "preset", "seed")
"""What a row is told by: a new one takes the place of an old one with the same."""

FACTS = ("images", "checkpoint_sha256", "predictions_sha256", "saliency_pred", "torch", "device", "commit")

HEADER = (*KEYS, *COLUMNS, *FACTS)

DIGITS = 6
"""Of a score in the CSV."""

Result = dict[str, str]
"""A row of the CSV."""


def store_predictions(checkpoint: Checkpoint, data: SaliencyDataModule, part: str, path: Path) -> None:
    """Write the log densities of a part as HDF5: one data set an image, (H, W) or (T, H, W) float32.

    One batch is in memory at a time; the file appears when it is whole.
    """
    model = checkpoint.model.to(best_device()).eval()
    device = next(iter(model.buffers())).device
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        batches = tqdm(data.evaluation_dataloader(part), desc=f"predicting {part}", disable=None, leave=False)
        for batch in batches:
            here = batch.to(device)
            predicted = model.log_density(here.image, here.valid, here.domain, here.original_size)
            for image_id, log_density in zip(here.image_id, predicted, strict=True):
                values = log_density.float().cpu().numpy()
                values = values[0] if len(values) == 1 else values
                file.create_dataset(image_id, data=values, compression=4, shuffle=True)


def score_stored(path: Path, data: SaliencyDataModule, part: str, preset: Preset) -> MapScores:
    """Score stored predictions by the rules of a board.

    Raises:
        ValueError: an image of the part has no prediction there, or one that cannot be scored.
    """
    scores = score_maps(MapFiles.open(path), data, part, make_scorer(data, part, preset), "log_density")
    wrong = [*scores.missing, *scores.failed]
    if wrong:
        why = next(iter(scores.failed.values()), "no prediction of it is stored")
        raise ValueError(f"{path}: {len(wrong)} images cannot be scored, the first is {wrong[0]} ({why})")
    return scores


def result(
    experiment: str, seed: int, scores: MapScores, data: SaliencyDataModule, part: str, preset: Preset, checkpoint: str
) -> Result:
    """The row of one seed.

    Args:
        checkpoint: its SHA-256.
    """
    means = {metric: found["mean"] for metric, found in scores.table.summary(preset.aggregation).items()}
    row = dict.fromkeys(HEADER, "")
    row |= {"experiment": experiment, "dataset": data.dataset.name, "split": data.dataset.split, "part": part}
    row |= {"preset": preset.name, "seed": str(seed), "images": str(len(scores.table.rows))}
    row |= {column: f"{value:.{DIGITS}f}" for column, value in shown_scores(means).items()}
    row |= {"checkpoint_sha256": checkpoint, "predictions_sha256": sha256(scores.maps.path)}
    about = environment()
    return row | {key: str(about[key] or "") for key in ("saliency_pred", "torch", "device", "commit")}


def read_results(path: Path) -> list[Result]:
    """The rows of a CSV of results; none if it is not there.

    Raises:
        ValueError: it is another kind of table.
    """
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if set(reader.fieldnames or ()) != set(HEADER):
            raise ValueError(f"{path} is no table of reproduced results: its columns are {reader.fieldnames}")
        return list(reader)


def add_result(path: Path, row: Result) -> None:
    """Append a row, or put it in the place of the one with the same keys."""
    rows = [old for old in read_results(path) if any(old[key] != row[key] for key in KEYS)]
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER, lineterminator="\n")
    writer.writeheader()
    writer.writerows([*rows, row])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())


def scores_of(row: Result) -> dict[str, float]:
    """Column → value."""
    return {column: float(row[column]) for column in COLUMNS if row[column]}


def differences(stored: Result, again: Result) -> list[str]:
    """In words, where a recomputed row is not the stored one."""
    found = []
    for key in (*COLUMNS, "images", "predictions_sha256"):
        if stored[key] != again[key]:
            found.append(f"{key} is {again[key] or 'missing'}, the table says {stored[key] or 'nothing'}")
    return found


def comparison(rows: Sequence[Result], published: Sequence[Published]) -> str:
    """Markdown: the seeds of one experiment, their mean, published rows of the same board, and the gap.

    Args:
        rows: of one experiment, data set, part and preset.
        published: all that is known; those of the same data set and preset are shown, the best NSS first.
    """
    first = rows[0]
    lines = [(f"{first['experiment']}, seed {row['seed']}", _cells(scores_of(row))) for row in rows]
    mean, deviation = _mean(rows)
    if len(rows) > 1:
        lines += [(f"mean of {len(rows)} seeds", _cells(mean)), ("standard deviation", _cells(deviation))]
    beside = [p for p in published if (p.dataset, p.preset) == (first["dataset"], first["preset"])]
    beside.sort(key=lambda p: -p.scores.get("nss", p.scores.get("cc", -math.inf)))
    own = [p for p in beside if p.experiment == first["experiment"]]
    for row in own:
        name = f"gap to {row.model}, published on {row.part}" + (f" ({row.note})" if row.note else "")
        lines.append((name, _cells({c: mean[c] - v for c, v in row.scores.items() if c in mean}, "+")))
    lines += [(f"{p.model}, published on {p.part}", p.cells) for p in beside]
    what = f"{first['dataset']} {first['split']}, part {first['part']}"
    notes = [f"{what}, {first['images']} images, {first['preset']} rules."]
    if own and any(p.part != first["part"] for p in own):
        notes.append(f"The gap is between different images: ours of {first['part']}, published ones of {own[0].part}.")
    sources = dict.fromkeys(p.source for p in beside)
    return "\n".join([table(lines), "", *notes, *(f"Source: {s}." for s in sources)])


def _cells(scores: dict[str, float], sign: str = "") -> dict[str, str]:
    return {column: f"{value:{sign}.4f}" for column, value in scores.items()}


def _mean(rows: Sequence[Result]) -> tuple[dict[str, float], dict[str, float]]:
    """Column → mean and sample standard deviation over rows that all have it."""
    scores = [scores_of(row) for row in rows]
    shared = [column for column in COLUMNS if all(column in s for s in scores)]
    values = {column: np.array([s[column] for s in scores]) for column in shared}
    deviation = {c: float(v.std(ddof=1)) for c, v in values.items()} if len(rows) > 1 else {}
    return {c: float(v.mean()) for c, v in values.items()}, deviation


def report(rows: Sequence[Result], published: Sequence[Published]) -> str:
    """Markdown: :func:`comparison` of every experiment in a table of results."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in KEYS[:-1]), []).append(row)
    parts: list[Any] = []
    for key, mine in groups.items():
        ordered = sorted(mine, key=lambda row: int(row["seed"]))
        parts.append(f"## {key[0]} on {key[1]}\n\n{comparison(ordered, published)}\n")
    return "\n".join(parts)
