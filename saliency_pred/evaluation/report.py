"""The report: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from saliency_pred.atomic import write_text
from saliency_pred.data.placement import resize_image
from saliency_pred.density import fixation_density, saliency_map
from saliency_pred.evaluation.ceilings import consistency
from saliency_pred.evaluation.results import describe
from saliency_pred.evaluation.run import Evaluation
from saliency_pred.evaluation.scoring import HIGHER_IS_BETTER
from saliency_pred.inference.overlay import draw_fixations, overlay
from saliency_pred.metrics.accumulate import Row
from saliency_pred.model import SaliencyModel

NAMES = {
    "ig": "IG",
    "log_likelihood": "LL",
    "auc": "AUC",
    "sauc": "sAUC",
    "nss": "NSS",
    "cc": "CC",
    "kld": "KLD",
    "sim": "SIM",
}
EXPLAINED = {
    "ig": "information gain over the baseline, bit per fixation",
    "log_likelihood": "log likelihood over the uniform density, bit per fixation",
    "auc": "area under the ROC curve, all pixels as negatives",
    "sauc": "shuffled AUC, fixations of other images as negatives",
    "nss": "normalised scanpath saliency",
    "cc": "correlation with the human density",
    "kld": "Kullback-Leibler divergence from the human density, nats; lower is better",
    "sim": "overlap with the human density",
}
VIEWERS = 12
"""So many of the best and of the worst predicted viewers are shown."""
STYLE = """
:root { --ink: #1c2430; --soft: #5b6675; --line: #d9dee5; --best: #e8f1ea; --accent: #2f6f8f; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); margin: 2rem auto; max-width: 1080px; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
p, .note { color: var(--soft); } .lead { font-size: 1.05rem; color: var(--ink); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .35rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } tr.model td { background: var(--best); font-weight: 600; }
td small { display: block; color: var(--soft); font-weight: 400; font-size: .75rem; }
figure { margin: 0 0 1.2rem; } figure div { display: grid; grid-template-columns: repeat(3, 1fr); gap: 6px; }
figure img { width: 100%; display: block; } figcaption { color: var(--soft); font-size: .85rem; margin-top: .3rem; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 1rem; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); } .scroll { overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; font-size: .85rem; }
dt { color: var(--soft); } dd { margin: 0; word-break: break-all; }
"""


def write_report(
    evaluation: Evaluation,
    model: SaliencyModel | None,
    path: Path,
    history: Sequence[dict[str, str]] = (),
    pictures: int = 4,
) -> None:
    """Write the report of an evaluation.

    Args:
        evaluation: what was scored.
        model: to draw its predictions; None: no pictures.
        path: of the HTML file.
        history: rows of history.csv, for the training curves.
        pictures: how many of the best and of the worst images are shown.
    """
    facts = describe(evaluation)
    data = facts["data"]
    title = f"{evaluation.about.get('name', 'Evaluation')}: {data['dataset']}, {data['part']}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p class='lead'>{_headline(evaluation, facts)}</p>",
        "<h2>Scores</h2>",
        _score_table(evaluation, facts),
    ]
    if facts["share_of_ceiling"] and _own(evaluation):
        parts += ["<h2>Share of what can be explained</h2>", _share_table(facts)]
    if evaluation.viewers:
        parts += ["<h2>Viewers</h2>", _viewer_table(evaluation)]
    if len(evaluation.data.windows) > 1:
        parts += ["<h2>By time window</h2>", _window_table(facts, evaluation.data.windows.tolist())]
    if model is not None:
        parts += ["<h2>Best and worst images</h2>", _gallery(evaluation, model, pictures)]
    if history:
        parts += ["<h2>Training</h2>", _curves(history)]
    parts += ["<h2>How the numbers were made</h2>", _details(facts)]
    page = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )
    write_text(path, page)


def _own(evaluation: Evaluation) -> bool:
    """Whether a model was scored, and not a baseline in its place."""
    return "checkpoint" in evaluation.about


def _headline(evaluation: Evaluation, facts: dict[str, Any]) -> str:
    gain, against = facts["scores"].get("ig", {}).get("mean", math.nan), facts["options"]["ig_baseline"]
    own, part = _own(evaluation), facts["data"]["part"]
    which = "never trained on" if own and part not in ("train", "all") else f"of the {part} part"
    text = f"{facts['images']} images{' of all parts' if part == 'all' else f' {which}'}. "
    if not math.isnan(gain):
        subject = "The model" if own else evaluation.about["name"].replace("_", " ").capitalize()
        text += f"{subject} explains {gain:.2f} bit per fixation more than the {html.escape(str(against))}"
        shares = facts["share_of_explainable_ig"] if own else {}
        words = {"gold_standard": "what other viewers explain", "truth": "the known optimum"}
        text += "".join(f", {100 * share:.0f} % of {words[name]}" for name, share in shares.items()) + "."
    return text


def _score_table(evaluation: Evaluation, facts: dict[str, Any]) -> str:
    every = [facts["scores"], *facts["baselines"].values()]
    metrics = [m for m in evaluation.scorer.preset.metrics if any(m in scores for scores in every)]
    head = "".join(f"<th title='{EXPLAINED.get(m, '')}'>{NAMES.get(m, m)}{_arrow(m)}</th>" for m in metrics)
    rows = [("model", "this model" if _own(evaluation) else evaluation.about["name"], facts["scores"])]
    rows += [("", name, facts["baselines"][name]) for name in facts["baselines"]]
    body = ""
    for css, name, scores in rows:
        cells = "".join(f"<td>{_cell(scores.get(m))}</td>" for m in metrics)
        body += f"<tr class='{css}'><td>{html.escape(str(name).replace('_', ' '))}</td>{cells}</tr>"
    legend = "; ".join(f"{NAMES.get(m, m)}: {EXPLAINED.get(m, m)}" for m in metrics)
    note = f"<p class='note'>Small numbers: 95 % bootstrap interval over images. {legend}."
    note += f" Information gain is over the {html.escape(str(facts['options']['ig_baseline']))}.</p>"
    unscorable = {m: v for m, v in facts["unscorable"].items() if "@" not in m}
    for metric, images in unscorable.items():
        note += f"<p class='note'>{NAMES.get(metric, metric)}: undefined on {len(images)} images, left out.</p>"
    for issue, count in facts["data"]["issues"].items():
        note += f"<p class='note'>Data: {count} x {html.escape(issue)}.</p>"
    return f"<div class='scroll'><table><tr><th></th>{head}</tr>{body}</table></div>{note}"


def _share_table(facts: dict[str, Any]) -> str:
    """Where the score is on the way from chance to the ceilings."""
    shares = facts["share_of_ceiling"]
    metrics = list(dict.fromkeys(m for values in shares.values() for m in values))
    head = "".join(f"<th>{NAMES.get(m, m)}</th>" for m in metrics)
    body = ""
    for ceiling, values in shares.items():
        cells = "".join(f"<td>{100 * values[m]:.0f} %</td>" if m in values else "<td>–</td>" for m in metrics)
        body += f"<tr><td>{html.escape(ceiling.replace('_', ' '))}</td>{cells}</tr>"
    note = "<p class='note'>(score − chance) / (ceiling − chance) of the means over images.</p>"
    return f"<div class='scroll'><table><tr><th>ceiling</th>{head}</tr>{body}</table></div>{note}"


def _viewer_table(evaluation: Evaluation) -> str:
    """The best and the worst predicted viewers."""
    rows = consistency(evaluation.viewers)
    metrics = [m for m in evaluation.scorer.preset.metrics if any(m in row for row in rows)]
    shown = rows if len(rows) <= 2 * VIEWERS else [*rows[:VIEWERS], *rows[-VIEWERS:]]
    head = "<th>images</th><th>fixations</th>" + "".join(f"<th>{NAMES.get(m, m)}{_arrow(m)}</th>" for m in metrics)
    body = ""
    for row in shown:
        values = [f"{row.get(m, math.nan):.3f}".replace("nan", "–") for m in metrics]
        cells = "".join(f"<td>{value}</td>" for value in (row["images"], row["fixations"], *values))
        body += f"<tr><td>{html.escape(row['dataset'])} {row['viewer']}</td>{cells}</tr>"
    which = f"The {VIEWERS} best and the {VIEWERS} worst predicted of {len(rows)}" if len(shown) < len(rows) else "All"
    note = f"<p class='note'>{which}; each by the others, every fixation counting once.</p>"
    return f"<div class='scroll'><table><tr><th>viewer</th>{head}</tr>{body}</table></div>{note}"


def _arrow(metric: str) -> str:
    return " ↑" if HIGHER_IS_BETTER.get(metric, True) else " ↓"


def _cell(score: dict[str, float] | None) -> str:
    if score is None or math.isnan(score["mean"]):
        return "–"
    interval = "" if math.isnan(score["low"]) else f"<small>{score['low']:.3f} … {score['high']:.3f}</small>"
    return f"{score['mean']:.3f}{interval}"


def _window_table(facts: dict[str, Any], windows: list[list[float]]) -> str:
    names = ("ig", "auc", "nss", "cc", "kld", "sim")
    metrics = [m for m in names if f"{m}@1" in facts["scores"]]
    head = "".join(f"<th>{NAMES[m]}{_arrow(m)}</th>" for m in metrics)
    body = ""
    for t, (start, end) in enumerate(windows, 1):
        cells = "".join(f"<td>{_cell(facts['scores'].get(f'{m}@{t}'))}</td>" for m in metrics)
        body += f"<tr><td>{start:g} – {end:g} s</td>{cells}</tr>"
    return f"<div class='scroll'><table><tr><th>window</th>{head}</tr>{body}</table></div>"


def _gallery(evaluation: Evaluation, model: SaliencyModel, count: int) -> str:
    metric = "ig" if any(not math.isnan(v) for v in evaluation.table.column("ig")) else "cc"
    known = [r for r in evaluation.table.rows if not math.isnan(r.get(metric, math.nan))]
    ranked = sorted(known, key=lambda r: -r[metric])
    count = min(count, len(ranked) // 2)
    shown = [("best", r) for r in ranked[:count]] + [("worst", r) for r in ranked[len(ranked) - count :]]
    index = {name: i for i, name in enumerate(evaluation.data.dataset.image_ids)}
    text = "<p class='note'>Left: the image with all fixations. Middle: human density. Right: prediction.</p>"
    for kind, row in shown:
        text += _figure(evaluation, model, index[row["image_id"]], f"{kind}: {_caption(row)}")
    return text


def _caption(row: Row) -> str:
    scores = ", ".join(f"{NAMES.get(m, m)} {row[m]:.2f}" for m in ("ig", "nss", "auc", "cc") if m in row)
    return f"{row['image_id']} ({scores})"


def _figure(evaluation: Evaluation, model: SaliencyModel, index: int, caption: str) -> str:
    data = evaluation.data
    dataset, at = data.dataset.source(index)
    image = dataset.image(at)
    if image.ndim == 4:  # a clip is shown by its middle frame
        image = image[len(image) // 2]
    size = (int(image.shape[0]), int(image.shape[1]))
    batch = data.single(index)
    device = next(iter(model.buffers())).device
    predicted = model.log_density(
        batch.image.to(device), batch.valid.to(device), batch.domain.to(device), batch.original_size
    )[0]
    prediction = saliency_map(predicted.logsumexp(0)).cpu().numpy()
    fixations, human = dataset.clean_fixations(at), dataset.density(at)
    drawn = image if fixations is None else draw_fixations(image.copy(), fixations)
    if human is None and fixations is not None and len(fixations):
        sigma = data.sigma_of(dataset)
        human = fixation_density(fixations, sigma if math.isfinite(sigma) else 0.03 * max(size))[0]
    human_map = np.zeros(size, np.float32) if human is None else (human.mean(0) / human.mean(0).max()).numpy()
    panels = (drawn, overlay(image, human_map), overlay(image, prediction))
    images = "".join(f"<img alt='' src='{_data_uri(p)}'>" for p in panels)
    return f"<figure><div>{images}</div><figcaption>{html.escape(caption)}</figcaption></figure>"


def _data_uri(picture: np.ndarray, width: int = 480) -> str:
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    small = resize_image(picture, (height, width)) if picture.shape[1] > width else picture
    _, code = cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return "data:image/jpeg;base64," + base64.b64encode(code.tobytes()).decode()


def _curves(history: Sequence[dict[str, str]]) -> str:
    names = [n for n in ("train/loss", "val/ig", "val/nss", "val/auc") if any(r.get(n) for r in history)]
    plots = []
    for name in names:
        points = [(float(r["epoch"]), float(r[name])) for r in history if r.get(name)]
        points = [p for p in points if math.isfinite(p[1])]
        if points:
            plots.append(_plot(name, points))
    return f"<div class='curves'>{''.join(plots)}</div>"


def _plot(name: str, points: list[tuple[float, float]], width: int = 320, height: int = 170) -> str:
    """One curve as SVG, its axis labelled at the lowest and the highest value."""
    low, high = min(p[1] for p in points), max(p[1] for p in points)
    span = (high - low) or 1.0
    last = max(points[-1][0], 1.0)
    left, right, top, bottom = 52, 10, 22, 24

    def place(point: tuple[float, float]) -> str:
        x = left + point[0] / last * (width - left - right)
        y = top + (high - point[1]) / span * (height - top - bottom)
        return f"{x:.1f},{y:.1f}"

    line = " ".join(map(place, points))
    dots = "".join("<circle cx='{}' cy='{}' r='2.5' fill='#2f6f8f'/>".format(*place(p).split(",")) for p in points)
    base = height - bottom
    return (
        f"<svg viewBox='0 0 {width} {height}' role='img' aria-label='{name} by epoch'>"
        f"<text x='{left}' y='12'>{name}</text>"
        f"<line x1='{left}' y1='{base}' x2='{width - right}' y2='{base}' stroke='#d9dee5'/>"
        f"<text x='{left - 6}' y='{top + 4}' text-anchor='end'>{high:.3g}</text>"
        f"<text x='{left - 6}' y='{base}' text-anchor='end'>{low:.3g}</text>"
        f"<text x='{left}' y='{height - 8}'>epoch 0</text>"
        f"<text x='{width - right}' y='{height - 8}' text-anchor='end'>{last:g}</text>"
        f"<polyline points='{line}' fill='none' stroke='#2f6f8f' stroke-width='2'/>{dots}</svg>"
    )


def _details(facts: dict[str, Any]) -> str:
    rows: dict[str, Any] = {}
    for section in ("data", "options", "about"):
        rows |= {f"{section}: {key.replace('_', ' ')}": value for key, value in facts[section].items()}
    items = "".join(
        f"<dt>{html.escape(k)}</dt><dd>{html.escape(_words(v))}</dd>" for k, v in rows.items() if v not in (None, {})
    )
    return f"<dl>{items}</dl>"


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_words(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{k}: {_words(v)}" for k, v in value.items())
    return str(value)
