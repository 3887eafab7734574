"""A result is data: scores.json and per_image.csv, with everything that made the numbers."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from saliency_pred.evaluation.run import Evaluation
from saliency_pred.evaluation.scoring import DESCRIBING, ScoreTable
from saliency_pred.metrics.bootstrap import confidence_interval
from saliency_pred.version import __version__

SCHEMA = 1
"""Of scores.json; raised when a key changes its meaning."""


def write_results(evaluation: Evaluation, out: Path) -> dict[str, Any]:
    """Write scores.json and per_image.csv below ``out``; returns what scores.json holds."""
    scores = describe(evaluation)
    _write(evaluation.table, scores, out)
    return scores


def write_map_scores(table: ScoreTable, scores: dict[str, Any], out: Path) -> None:
    """Write per_image.csv and scores.json of maps that any program wrote."""
    _write(table, {"schema": SCHEMA} | scores | {"about": environment()}, out)


def _write(table: ScoreTable, scores: dict[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "per_image.csv", per_image_csv(table))
    write_atomically(out / "scores.json", json.dumps(_plain(scores), indent=2, allow_nan=False) + "\n")


def describe(evaluation: Evaluation) -> dict[str, Any]:
    """Everything of scores.json."""
    dataset = evaluation.data.dataset
    return {
        "schema": SCHEMA,
        "scores": summary(evaluation.table),
        "baselines": {name: summary(table) for name, table in evaluation.baselines.items()},
        "share_of_explainable_ig": explained(evaluation),
        "images": len(evaluation.table.rows),
        "unscorable": evaluation.table.unscorable(),
        "unavailable": [m for m in evaluation.scorer.preset.metrics if m not in evaluation.table.metrics],
        "data": {
            "dataset": dataset.name,
            "root": str(dataset.root),
            "split": dataset.split,
            "part": evaluation.part,
            "seed": evaluation.data.seed,
            "windows": evaluation.data.windows.tolist(),
            "issues": {issue: len(where) for issue, where in dataset.issues.items()},
        },
        "options": evaluation.scorer.options(),
        "about": evaluation.about | environment(),
    }


def summary(table: ScoreTable, weights: dict[str, list[float]] | None = None) -> dict[str, dict[str, float]]:
    """metric → mean, bounds of the 95 % bootstrap interval over images, number of images.

    Args:
        weights: metric → weight of each row in its mean; metrics that are not named are averaged plainly.
    """
    result = {}
    for metric, mean in table.means().items():
        column = table.column(metric)
        known = [v for v in column if not math.isnan(v)]
        weight = None
        if weights and metric in weights:
            weight = [w for w, v in zip(weights[metric], column, strict=True) if not math.isnan(v)]
            total = math.fsum(weight)
            mean = math.fsum(w * v for w, v in zip(weight, known, strict=True)) / total if total else math.nan
        finite = len(known) > 1 and all(map(math.isfinite, known))
        low, high = confidence_interval(known, weights=weight) if finite else (math.nan, math.nan)
        result[metric] = {"mean": mean, "low": low, "high": high, "images": len(known)}
    return result


def explained(evaluation: Evaluation) -> dict[str, float]:
    """Ceiling → the model's information gain as a share of it, over the images that both can score."""
    shares: dict[str, float] = {}
    for ceiling in ("gold_standard", "truth"):
        if ceiling in evaluation.baselines:
            best = dict(zip(*_by_image(evaluation.baselines[ceiling], "ig"), strict=True))
            pairs = [
                (value, best[name])
                for name, value in zip(*_by_image(evaluation.table, "ig"), strict=True)
                if not math.isnan(value) and not math.isnan(best.get(name, math.nan))
            ]
            total = math.fsum(b for _, b in pairs)
            if total > 0:
                shares[ceiling] = math.fsum(v for v, _ in pairs) / total
    return shares


def _by_image(table: ScoreTable, metric: str) -> tuple[list[tuple[str, str]], list[float]]:
    return [(r["dataset"], r["image_id"]) for r in table.rows], table.column(metric)


def per_image_csv(table: ScoreTable) -> str:
    """One line an image; undefined values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*DESCRIBING, *table.metrics])
    for row in table.rows:
        values = [row.get(metric, math.nan) for metric in table.metrics]
        writer.writerow([*(row[k] for k in DESCRIBING), *("" if math.isnan(v) else repr(v) for v in values)])
    return text.getvalue()


def text_table(evaluation: Evaluation) -> str:
    """Scores of the model and of the baselines, for the terminal."""
    tables = {"model": evaluation.table, **evaluation.baselines}
    metrics = [m for m in evaluation.table.metrics if "@" not in m]
    lines = [" " * 18 + "".join(f"{m[:10]:>11}" for m in metrics)]
    for name, table in tables.items():
        means = table.means()
        cells = (f"{means[m]:>11.3f}" if not math.isnan(means.get(m, math.nan)) else f"{'-':>11}" for m in metrics)
        lines.append(f"{name:<18}" + "".join(cells))
    for ceiling, share in explained(evaluation).items():
        lines.append(f"{100 * share:.0f} % of the information gain of {ceiling.replace('_', ' ')}")
    unscorable = evaluation.table.unscorable()
    for metric, images in unscorable.items():
        if "@" not in metric:
            first = ", ".join(images[:3]) + (", ..." if len(images) > 3 else "")
            lines.append(f"{metric}: {len(images)} images unscorable ({first})")
    return "\n".join(lines)


def environment() -> dict[str, Any]:
    """Versions, hardware and commit."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    return {
        "saliency_pred": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device,
        "commit": _commit(),
    }


def _commit() -> str | None:
    """Of the package's own repository, if it is run from one."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        run = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()


def write_atomically(path: Path, text: str) -> None:
    """Write beside, then rename: readers see the old file or the new one, never half of one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_text(text)
    os.replace(temporary, path)


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: NaN becomes null, infinities become strings."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
