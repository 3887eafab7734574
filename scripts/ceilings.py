"""How well people predict people on data sets: results/ceilings.csv, from the sets below a folder.

python scripts/ceilings.py DATA [NAME...]    rows of the named sets (of all, if none is named) are made again
python scripts/ceilings.py                   write the table of docs/metrics.md from the rows

DATA holds the folders OSIE, MIT1003, SUN500_Scene and FIWI_bubbleview; an image's centre bias is that of all others.
The figures published for the whole sets stand beside: they were computed with a fixed blur of unstated width.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import torch

from saliency_pred.data.bubbleview import FIWIBubbleView
from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.data.mit1003 import MIT1003
from saliency_pred.data.osie import OSIE
from saliency_pred.data.sun500 import SUN500
from saliency_pred.evaluation.run import make_scorer, score_baseline
from saliency_pred.metrics.presets import Preset
from saliency_pred.version import __version__

REPOSITORY = Path(__file__).resolve().parents[1]
TABLE = REPOSITORY / "results" / "ceilings.csv"
PAGE = REPOSITORY / "docs" / "metrics.md"
SETS: dict[str, tuple[str, type[SaliencyDataset], int]] = {
    "osie": ("OSIE", OSIE, 700),
    "mit1003": ("MIT1003", MIT1003, 1003),
    "sun500": ("SUN500_Scene", SUN500, 500),
    "fiwi_bubbleview": ("FIWI_bubbleview", FIWIBubbleView, 51),
}
"""Name → folder, data set, images of the whole set."""
MOST = 60
"""So many images of a set at most, drawn with seed 0."""
PUBLISHED = {
    ("osie", "other_viewers"): 3.60,
    ("osie", "other_images"): 0.91,
    ("mit1003", "other_viewers"): 2.80,
    ("mit1003", "other_images"): 1.17,
    ("sun500", "other_viewers"): 2.23,
    ("sun500", "other_images"): 1.21,
    ("fiwi_bubbleview", "other_viewers"): 1.87,
    ("fiwi_bubbleview", "other_images"): 0.59,
}
"""(set, row) → NSS of the whole set."""
METRICS = {
    "other_images": ("nss", "auc", "log_likelihood"),
    "other_viewers": ("nss", "auc"),
    "gold_standard": ("nss", "auc", "log_likelihood", "ig"),
    "split_half": ("cc", "kld", "sim"),
}
COLUMNS = ("dataset", "images", "of", "row", "metric", "mean", "low", "high", "published", "saliency_pred")


def rows_of(name: str, folder: Path) -> list[dict[str, str]]:
    """Every row and metric of one set."""
    where, kind, whole = SETS[name]
    dataset = kind(folder / where, "all")
    if len(dataset) > MOST:
        dataset = kind(folder / where, f"{MOST}/{len(dataset) - MOST}")
    data = SaliencyDataModule(dataset, (288, 384))
    rows = []
    for row, metrics in METRICS.items():
        scorer = make_scorer(
            data, "train", Preset("ceilings", metrics), "other_images" if "ig" in metrics else "uniform"
        )
        summary = score_baseline(row, data, "train", scorer).summary()
        for metric in metrics:
            score = summary[metric]
            published = PUBLISHED.get((name, row)) if metric == "nss" else None
            rows.append(
                {
                    "dataset": name,
                    "images": str(score["images"]),
                    "of": str(whole),
                    "row": row,
                    "metric": metric,
                    **{key: f"{score[key]:.4f}" for key in ("mean", "low", "high")},
                    "published": "" if published is None else f"{published:.2f}",
                    "saliency_pred": __version__,
                }
            )
            print(*rows[-1].values(), flush=True)
    return rows


def read_table() -> list[dict[str, str]]:
    """The rows of results/ceilings.csv."""
    if not TABLE.is_file():
        return []
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file))


def markdown(rows: list[dict[str, str]]) -> str:
    """NSS of the rows beside the published figures, one line a set; CC of the halves."""
    lines = [
        "| data set | images | other viewers | published | other images | published | gold standard | halves, CC |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["dataset"] for row in rows):
        mine = {(row["row"], row["metric"]): row for row in rows if row["dataset"] == name}

        def cell(of: str, metric: str = "nss", mine: dict[tuple[str, str], dict[str, str]] = mine) -> str:
            row = mine[of, metric]
            return f"{float(row['mean']):.2f} ({float(row['low']):.2f}–{float(row['high']):.2f})"

        first = mine["other_viewers", "nss"]
        cells = [name, f"{first['images']} of {first['of']}"]
        for of in ("other_viewers", "other_images"):
            cells += [cell(of), mine[of, "nss"]["published"]]
        lines.append("| " + " | ".join([*cells, cell("gold_standard"), cell("split_half", "cc")]) + " |")
    return "\n".join(lines)


def with_table(text: str, rows: list[dict[str, str]]) -> str:
    """The page with its table written anew."""
    begin, end = "<!-- ceilings -->", "<!-- end -->"
    head, rest = text.split(begin, 1)
    return f"{head}{begin}\n{markdown(rows)}\n{end}{rest.split(end, 1)[1]}"


def main(folder: Path, names: list[str]) -> None:
    """Make the named rows again, keep the others."""
    for name in names or SETS:
        rows = [row for row in read_table() if row["dataset"] != name] + rows_of(name, folder)
        order = list(SETS)
        rows.sort(key=lambda row: order.index(row["dataset"]))
        with TABLE.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]), sys.argv[2:])
    PAGE.write_text(with_table(PAGE.read_text(), read_table()))
