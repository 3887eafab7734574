"""Results as data: take scores.json files into results/scores.csv, and write the tables of the documentation.

python scripts/results.py                    write the tables of README.md and docs/ again
python scripts/results.py RUN/scores.json... take these in first; rows of the same experiment are replaced
"""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

from saliency_pred.evaluation.published import Published, published_table, read_published

REPOSITORY = Path(__file__).resolve().parents[1]
TABLE = REPOSITORY / "results" / "scores.csv"
README = REPOSITORY / "README.md"
PUBLISHED = REPOSITORY / "results" / "published.csv"
MODELS = REPOSITORY / "docs" / "models.md"
LEADERBOARDS = REPOSITORY / "docs" / "leaderboards.md"
METRICS = ("ig", "nss", "auc", "cc", "kld", "sim")
KEYS = ("experiment", "row", "dataset", "split", "part", "seed", "images")
ABOUT = (
    "share_of_gold_standard",
    "share_of_truth",
    "ig_baseline",
    "size",
    "checkpoint_sha256",
    "saliency_pred",
    "torch",
)
COLUMNS = (*KEYS, *METRICS, *(f"{m}_{side}" for m in METRICS for side in ("low", "high")), *ABOUT)
BESIDE = ("centre_bias", "gold_standard")
NAMES = {"ig": "IG", "nss": "NSS", "auc": "AUC", "cc": "CC", "kld": "KLD", "sim": "SIM"}


def rows_of(scores: dict[str, Any]) -> list[dict[str, str]]:
    """One row for the model and one for each baseline of a scores.json."""
    data, about, options = scores["data"], scores["about"], scores["options"]
    shares = scores["share_of_explainable_ig"]
    rows = []
    for name, values in {"model": scores["scores"], **scores["baselines"]}.items():
        row = dict.fromkeys(COLUMNS, "")
        row |= {"experiment": f"{about['name']} {data['dataset']}", "row": name, "images": str(scores["images"])}
        row |= {key: str(data[key]) for key in ("dataset", "split", "part", "seed")}
        row |= {"ig_baseline": options["ig_baseline"], "size": options["size"]}
        row |= {key: about[key] for key in ("saliency_pred", "torch")}
        for metric in METRICS:
            if metric in values and values[metric]["mean"] is not None:
                row[metric] = f"{values[metric]['mean']:.4f}"
                for side in ("low", "high"):
                    row[f"{metric}_{side}"] = f"{values[metric][side]:.4f}"
        if name == "model":
            row["checkpoint_sha256"] = about["checkpoint_sha256"]
            row |= {f"share_of_{ceiling}": f"{share:.4f}" for ceiling, share in shares.items()}
        rows.append(row)
    return rows


def read_table() -> list[dict[str, str]]:
    """The rows of results/scores.csv."""
    if not TABLE.is_file():
        return []
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file))


def markdown(rows: list[dict[str, str]], experiment: str) -> str:
    """The table of one experiment; intervals stand behind the model's means."""
    mine = [row for row in rows if row["experiment"] == experiment]
    lines = ["| | " + " | ".join(NAMES[m] for m in METRICS) + " |", "|---|" + "---|" * len(METRICS)]
    for row in mine:
        lines.append(f"| {row['row'].replace('_', ' ')} | " + " | ".join(_cell(row, m) for m in METRICS) + " |")
    shares = [
        f"{100 * float(mine[0][f'share_of_{ceiling}']):.0f} % of {words}"
        for ceiling, words in (("gold_standard", "what other viewers explain"), ("truth", "the known optimum"))
        if mine and mine[0][f"share_of_{ceiling}"]
    ]
    return "\n".join([*lines, "", f"{mine[0]['images']} held-out images; {', '.join(shares)}."])


def _cell(row: dict[str, str], metric: str) -> str:
    """A mean; of a model with its interval."""
    digits = 3 if metric in ("auc", "cc", "sim") else 2
    mean = f"{float(row[metric]):.{digits}f}" if row[metric] else "–"
    if row["row"] != "model" or not row[f"{metric}_low"]:
        return mean
    low, high = (float(row[f"{metric}_{side}"]) for side in ("low", "high"))
    return f"**{mean}** ({low:.{digits}f}–{high:.{digits}f})"


def models_table(rows: list[dict[str, str]], experiments: list[str]) -> str:
    """The models of several experiments on the same images, one a line, above the baselines of the first."""
    lines = ["| | " + " | ".join(NAMES[m] for m in METRICS) + " |", "|---|" + "---|" * len(METRICS)]
    models = [row for name in experiments for row in rows if (row["experiment"], row["row"]) == (name, "model")]
    baselines = [row for row in rows if row["experiment"] == experiments[0] and row["row"] in BESIDE]
    for row in models + baselines:
        name = row["experiment"].split()[0] if row["row"] == "model" else row["row"].replace("_", " ")
        lines.append(f"| {name} | " + " | ".join(_cell(row, metric) for metric in METRICS) + " |")
    return "\n".join(lines)


def with_tables(text: str, rows: list[dict[str, str]]) -> str:
    """A page with the table between each pair of markers written anew.

    ``<!-- results: EXPERIMENT -->``: one experiment beside its baselines; ``<!-- models: EXPERIMENT, ... -->``.
    """
    for experiment in dict.fromkeys(row["experiment"] for row in rows):
        begin, end = f"<!-- results: {experiment} -->", "<!-- end -->"
        if begin in text:
            head, rest = text.split(begin, 1)
            text = f"{head}{begin}\n{markdown(rows, experiment)}\n{end}{rest.split(end, 1)[1]}"

    def again(found: re.Match[str]) -> str:
        return f"{found[1]}\n{models_table(rows, found[2].split(', '))}\n<!-- end -->"

    return re.sub(r"(<!-- models: (.*?) -->)\n.*?<!-- end -->", again, text, flags=re.S)


def with_published(text: str, published: list[Published]) -> str:
    """A text with the table between each ``<!-- published: DATASET PRESET -->`` and the next end written anew."""

    def again(found: re.Match[str]) -> str:
        return f"{found[1]}\n{published_table(published, found[2], found[3])}\n<!-- end -->"

    return re.sub(r"(<!-- published: (\w+) (\w+) -->)\n.*?<!-- end -->", again, text, flags=re.S)


def main(files: list[str]) -> None:
    """Take in new scores, write both files."""
    new = [row for name in files for row in rows_of(json.loads(Path(name).read_text()))]
    replaced = {row["experiment"] for row in new}
    rows = [row for row in read_table() if row["experiment"] not in replaced] + new
    if new:
        TABLE.parent.mkdir(exist_ok=True)
        with TABLE.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    for page in (README, MODELS):
        page.write_text(with_tables(page.read_text(), rows))
    LEADERBOARDS.write_text(with_published(LEADERBOARDS.read_text(), read_published(PUBLISHED)))


if __name__ == "__main__":
    main(sys.argv[1:])
