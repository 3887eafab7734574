"""A result is data: scores.json and per_image.csv, with everything that made the numbers."""

from __future__ import annotations

import csv
import io
import json
import math
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from saliency_pred.atomic import write_text
from saliency_pred.evaluation.ceilings import consistency, shares, spearman_brown
from saliency_pred.evaluation.run import Evaluation
from saliency_pred.metrics.accumulate import DESCRIBING, Row, ScoreTable
from saliency_pred.version import __version__

SCHEMA = 1
"""Of scores.json; raised when a key changes its meaning."""


def write_results(evaluation: Evaluation, out: Path) -> dict[str, Any]:
    """Write scores.json and per_image.csv below ``out``; returns what scores.json holds.

    Of a ceiling that leaves each viewer out, viewers.csv says how well each viewer is predicted by the others.
    """
    scores = describe(evaluation)
    _write(evaluation.table, scores, out)
    if evaluation.viewers:
        write_text(out / "viewers.csv", viewers_csv(evaluation.viewers))
    return scores


def write_map_scores(table: ScoreTable, scores: dict[str, Any], out: Path) -> None:
    """Write per_image.csv and scores.json of maps that any program wrote."""
    _write(table, {"schema": SCHEMA} | scores | {"about": environment()}, out)


def _write(table: ScoreTable, scores: dict[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "per_image.csv", per_image_csv(table))
    write_text(out / "scores.json", json.dumps(_plain(scores), indent=2, allow_nan=False) + "\n")


def describe(evaluation: Evaluation) -> dict[str, Any]:
    """Everything of scores.json."""
    dataset = evaluation.data.dataset
    aggregation = evaluation.scorer.preset.aggregation
    return {
        "schema": SCHEMA,
        "scores": evaluation.table.summary(aggregation),
        "baselines": {name: table.summary(aggregation) for name, table in evaluation.baselines.items()},
        "share_of_explainable_ig": explained(evaluation),
        "share_of_ceiling": ceiling_shares(evaluation.table, evaluation.baselines),
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


def explained(evaluation: Evaluation) -> dict[str, float]:
    """Ceiling → the model's information gain as a share of it, over the images that both can score."""
    found: dict[str, float] = {}
    for ceiling in ("gold_standard", "truth"):
        if ceiling in evaluation.baselines and evaluation.scorer.over_centre_bias:
            share = shares(evaluation.table, evaluation.baselines[ceiling]).get("ig")
            if share is not None:
                found[ceiling] = share
    return found


def ceiling_shares(table: ScoreTable, baselines: dict[str, ScoreTable]) -> dict[str, dict[str, float]]:
    """Ceiling → metric → share of the way from chance to the ceiling, see ``ceilings.shares``.

    Metrics of fixations are shares of the gold standard. CC is a share of the largest correlation that any map can
    have with the map of all viewers: the square root of that map's reliability, which the halves tell by
    Spearman-Brown.
    """
    found: dict[str, dict[str, float]] = {}
    for ceiling in ("gold_standard", "truth"):
        if ceiling in baselines:
            found[ceiling] = shares(table, baselines[ceiling])
    if "split_half" in baselines:
        model, halves = table.means().get("cc", math.nan), baselines["split_half"].means().get("cc", math.nan)
        reach = math.sqrt(spearman_brown(halves))
        if reach > 0 and not math.isnan(model):
            found["split_half"] = {"cc": model / reach}
    return {ceiling: values for ceiling, values in found.items() if values}


def per_image_csv(table: ScoreTable) -> str:
    """One line an image; undefined values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*DESCRIBING, *table.metrics])
    for row in table.rows:
        values = [row.get(metric, math.nan) for metric in table.metrics]
        writer.writerow([*(row[k] for k in DESCRIBING), *("" if math.isnan(v) else repr(v) for v in values)])
    return text.getvalue()


def viewers_csv(viewers: list[Row]) -> str:
    """One line a viewer, the best predicted first; undefined values are empty."""
    rows = consistency(viewers)
    names = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = [row.get(name, math.nan) for name in names]
        writer.writerow("" if isinstance(v, float) and math.isnan(v) else v for v in values)
    return text.getvalue()


def text_table(evaluation: Evaluation) -> str:
    """Scores of the model and of the baselines, for the terminal."""
    own = evaluation.about.get("name") if not evaluation.about.get("checkpoint") else None
    tables = {own or "model": evaluation.table, **evaluation.baselines}
    aggregation = evaluation.scorer.preset.aggregation
    metrics = [m for m in evaluation.scorer.preset.metrics if any(m in table.metrics for table in tables.values())]
    widths = {m: max(9, len(m) + 2) for m in metrics}
    lines = [" " * 18 + "".join(f"{m:>{w}}" for m, w in widths.items())]
    for name, table in tables.items():
        means = {m: s["mean"] for m, s in table.summary(aggregation).items()}
        cells = (
            f"{means[m] + 0.0:>{w}.3f}" if not math.isnan(means.get(m, math.nan)) else f"{'-':>{w}}"
            for m, w in widths.items()
        )
        lines.append(f"{name:<18}" + "".join(cells).replace("-0.000", " 0.000"))
    told = ceiling_shares(evaluation.table, evaluation.baselines) if own is None else {}
    for ceiling, found in told.items():
        words = ", ".join(f"{100 * share:.0f} % of {metric}" for metric, share in found.items())
        lines.append(f"share of {ceiling.replace('_', ' ')}: {words}")
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


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: NaN becomes null, infinities become strings."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
