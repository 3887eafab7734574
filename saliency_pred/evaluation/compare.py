"""Several models on the same images: a table with intervals, and paired tests against one of them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saliency_pred.atomic import write_text
from saliency_pred.evaluation.scoring import HIGHER_IS_BETTER
from saliency_pred.metrics.accumulate import DESCRIBING
from saliency_pred.metrics.bootstrap import PairedTest, confidence_interval, paired_test

Image = tuple[str, str]
"""dataset, image_id."""


@dataclass(frozen=True)
class Scored:
    """One model's scores of each image, from one run or from several.

    Attributes:
        name: of the folder.
        runs: the folders of the runs.
        values: metric → image → score; NaN where it is undefined. An image that several runs (seeds) scored has
            the mean of them; runs of other images (folds) add theirs.
        rules: what made the numbers.
        spread: metric → standard deviation of the runs' means; empty for one run.
    """

    name: str
    runs: tuple[Path, ...]
    values: dict[str, dict[Image, float]]
    rules: dict[str, Any]
    spread: dict[str, float]


def read_scored(folder: Path, name: str) -> Scored:
    """A run, or a folder of runs that count as one model.

    Raises:
        FileNotFoundError: there are no scores in it.
        ValueError: its runs were scored by different rules.
    """
    inside = sorted(file.parent for file in folder.glob("*/per_image.csv"))
    runs = [folder] if (folder / "per_image.csv").is_file() else inside
    if not runs:
        raise FileNotFoundError(f"{folder} holds no scores (scores.json, per_image.csv), nor do folders in it")
    rules = {run: _rules(run) for run in runs}
    for run in runs[1:]:
        _same_rules(f"{runs[0]}", rules[runs[0]], f"{run}", rules[run])
    collected: dict[str, dict[Image, list[float]]] = {}
    means: dict[str, list[float]] = {}
    for run in runs:
        for metric, column in _columns(run / "per_image.csv").items():
            known = [v for v in column.values() if not math.isnan(v)]
            means.setdefault(metric, []).append(math.fsum(known) / len(known) if known else math.nan)
            for image, value in column.items():
                collected.setdefault(metric, {}).setdefault(image, []).append(value)
    values = {m: {i: math.fsum(v) / len(v) for i, v in of.items()} for m, of in collected.items()}
    spread = {m: _deviation(v) for m, v in means.items() if len(v) > 1}
    return Scored(name, tuple(runs), values, rules[runs[0]], spread)


def _columns(path: Path) -> dict[str, dict[Image, float]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    metrics = [name for name in (rows[0] if rows else {}) if name not in DESCRIBING]
    return {m: {(r["dataset"], r["image_id"]): float(r[m] or "nan") for r in rows} for m in metrics}


def _rules(run: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((run / "scores.json").read_text())["options"])
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{run}/scores.json does not say by which rules per_image.csv was made ({error})") from error


def _same_rules(first: str, a: dict[str, Any], second: str, b: dict[str, Any]) -> None:
    different = sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))
    if different:
        said = "; ".join(f"{k}: {a.get(k)!r} and {b.get(k)!r}" for k in different)
        raise ValueError(f"{first} and {second} were scored by different rules ({said}); score both with one preset")


def _deviation(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def compare(models: Sequence[Scored], metrics: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """One row for every model and metric, over the images that all models have scored.

    Args:
        models: the first is what the others are tested against.
        metrics: which; None: those that all have, means over time windows only.

    Returns:
        rows with ``model, runs, metric, images, mean, low, high, spread`` and, but for the first model,
        ``difference, difference_low, difference_high, p, p_holm`` (paired permutation test; Holm's correction
        over the models within a metric).

    Raises:
        ValueError: less than two models, different rules, no common image or an unknown metric.
    """
    if len(models) < 2:
        raise ValueError(f"at least two models are needed to compare, got {len(models)}")
    for other in models[1:]:
        _same_rules(models[0].name, models[0].rules, other.name, other.rules)
    common = [m for m in models[0].values if all(m in other.values for other in models)]
    chosen = [m for m in common if "@" not in m] if metrics is None else list(metrics)
    if missing := [m for m in chosen if m not in common]:
        raise ValueError(f"metrics {missing} are not scored in all runs; all have {', '.join(common)}")
    rows = []
    for metric in chosen:
        images = [i for i in models[0].values[metric] if all(i in o.values[metric] for o in models)]
        if not images:
            raise ValueError(f"the runs have no image in common: {models[0].name} scored other ones than the rest")
        columns = {o.name: [o.values[metric][i] for i in images] for o in models}
        tests = {o.name: _test(columns[o.name], columns[models[0].name]) for o in models[1:]}
        adjusted = holm({name: test.p for name, test in tests.items() if test is not None})
        for model in models:
            known = [v for v in columns[model.name] if math.isfinite(v)]
            low, high = confidence_interval(known) if len(known) > 1 else (math.nan, math.nan)
            row: dict[str, Any] = {
                "model": model.name,
                "runs": len(model.runs),
                "metric": metric,
                "images": len(known),
                "mean": math.fsum(known) / len(known) if known else math.nan,
                "low": low,
                "high": high,
                "spread": model.spread.get(metric, math.nan),
            }
            if (test := tests.get(model.name)) is not None:
                row |= {"difference": test.difference, "difference_low": test.low, "difference_high": test.high}
                row |= {"p": test.p, "p_holm": adjusted[model.name]}
            rows.append(row)
    return rows


def _test(first: list[float], second: list[float]) -> PairedTest | None:
    """None where no image has both."""
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if math.isfinite(a) and math.isfinite(b)]
    return paired_test([a for a, _ in pairs], [b for _, b in pairs]) if pairs else None


def holm(p: dict[str, float]) -> dict[str, float]:
    """p-values corrected for their number (Holm 1979): the k-th smallest of n times n - k + 1, never decreasing."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for k, (name, value) in enumerate(sorted(p.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, value * (len(p) - k)))
        adjusted[name] = highest
    return adjusted


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A line for every model; the best mean is bold, * and ** mark p_holm < .05 and < .01 against the first."""
    metrics = list(dict.fromkeys(r["metric"] for r in rows))
    models = list(dict.fromkeys(r["model"] for r in rows))
    at = {(r["model"], r["metric"]): r for r in rows}
    best = {}
    for metric in metrics:
        known = {m: at[m, metric]["mean"] for m in models if not math.isnan(at[m, metric]["mean"])}
        sign = 1 if HIGHER_IS_BETTER.get(metric, True) else -1
        best[metric] = max(known, key=lambda m: sign * known[m]) if known else None
    lines = ["| | " + " | ".join(metrics) + " |", "|---|" + "---|" * len(metrics)]
    for model in models:
        cells = []
        for metric in metrics:
            row = at[model, metric]
            mean = f"**{row['mean']:.3f}**" if best[metric] == model else f"{row['mean']:.3f}"
            p = row.get("p_holm", 1.0)
            cells.append(f"{mean}{'**' if p < 0.01 else '*' if p < 0.05 else ''} ({row['low']:.3f}–{row['high']:.3f})")
        lines.append(f"| {model} | " + " | ".join(c.replace("***", "**") for c in cells) + " |")
    return "\n".join(lines)


COLUMNS = (
    "model", "runs", "metric", "images", "mean", "low", "high", "spread",
    "difference", "difference_low", "difference_high", "p", "p_holm",
)  # fmt: skip


def write_comparison(rows: Sequence[dict[str, Any]], models: Sequence[Scored], out: Path) -> list[Path]:
    """comparison.csv, .md and .json below ``out``; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if isinstance(v, float) and math.isnan(v) else v for k, v in r.items()} for r in rows)
    plain = [{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in r.items()} for r in rows]
    facts = {"rules": models[0].rules, "runs": {m.name: [str(r) for r in m.runs] for m in models}, "rows": plain}
    note = f"Against {models[0].name}: paired permutation test, Holm's correction; * p < .05, ** p < .01."
    contents = {
        "comparison.csv": text.getvalue(),
        "comparison.md": f"{markdown(rows)}\n\n{note}\n",
        "comparison.json": json.dumps(facts, indent=2, allow_nan=False) + "\n",
    }
    for name, content in contents.items():
        write_text(out / name, content)
    return [out / name for name in contents]
