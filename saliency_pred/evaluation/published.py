"""Published scores as data, and ours beside them.

``results/published.csv`` has one row a published result: data set, part, preset (whose rules made it), model, the
experiment here that is to reproduce it (or none), the scores, and where they stand.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("ig", "auc", "sauc", "nss", "cc", "kld", "sim")
"""What leaderboards show, in the order of the tables."""

SHOWN = {"ig": "IG", "auc": "AUC", "sauc": "sAUC", "nss": "NSS", "cc": "CC", "kld": "KLD", "sim": "SIM"}

COLUMN_OF = {
    "ig": "ig", "ig_mit": "ig",
    "auc": "auc", "auc_judd": "auc", "auc_judd_mit": "auc", "auc_judd_aim": "auc", "auc_borji": "auc",
    "sauc": "sauc", "sauc_mit": "sauc",
    "nss": "nss", "nss_aim": "nss",
    "cc": "cc", "kld": "kld",
    "sim": "sim", "sim_mit": "sim",
}  # fmt: skip
"""Metric → the column that a leaderboard shows it in; of several in one preset the first counts."""

PRESETS = {
    "mit300": "tuebingen", "mit1003": "tuebingen", "cat2000": "tuebingen", "coco_freeview": "tuebingen",
    "salicon": "salicon",
    "dhf1k": "dhf1k", "hollywood2": "dhf1k", "ucf_sports": "dhf1k",
    "avimos": "aim2024", "ntire2026": "ntire2026",
}  # fmt: skip
"""Data set → the rules that its leaderboard scores by; others go by ``default``."""

TABLE = Path(__file__).resolve().parents[2] / "results" / "published.csv"
"""In a checkout of the repository."""

_FACTS = ("dataset", "part", "preset", "model", "experiment", "source", "note")


@dataclass(frozen=True)
class Published:
    """One row.

    Attributes:
        scores: column → value, without those that are not known.
        cells: the same, with the digits that were published.
        source: where it stands.
    """

    dataset: str
    part: str
    preset: str
    model: str
    experiment: str
    scores: dict[str, float]
    cells: dict[str, str]
    source: str
    note: str


def read_published(path: Path) -> list[Published]:
    """The rows of a table of published scores.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a column is missing, a score is no number, or a row names no source.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; published=FILE names a table, published=null goes without")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = {*_FACTS, *COLUMNS} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path} lacks the columns {', '.join(sorted(missing))}")
        return [_row(path, number, values) for number, values in enumerate(reader, 2)]


def _row(path: Path, number: int, values: dict[str, str]) -> Published:
    try:
        cells = {column: values[column] for column in COLUMNS if values[column]}
        scores = {column: float(cell) for column, cell in cells.items()}
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}") from None
    if not values["source"] or not scores:
        raise ValueError(f"{path}, line {number}: a published row has scores and their source")
    return Published(**{fact: values[fact] for fact in _FACTS}, scores=scores, cells=cells)


def shown_scores(scores: dict[str, float]) -> dict[str, float]:
    """Metric → value becomes column → value."""
    found: dict[str, float] = {}
    for metric, value in scores.items():
        column = COLUMN_OF.get(metric)
        if column is not None and not math.isnan(value):
            found.setdefault(column, value)
    return found


def table(rows: Sequence[tuple[str, dict[str, str]]]) -> str:
    """Markdown: one line a name, one column a score that some row has.

    Args:
        rows: name → cells by column.
    """
    used = [column for column in COLUMNS if any(column in cells for _, cells in rows)]
    lines = ["| | " + " | ".join(SHOWN[c] for c in used) + " |", "|---|" + "---|" * len(used)]
    lines += [f"| {name} | " + " | ".join(cells.get(c, "–") for c in used) + " |" for name, cells in rows]
    return "\n".join(lines)


def published_table(published: Sequence[Published], dataset: str, preset: str) -> str:
    """All published rows of a board, the best NSS (else CC) first, and their sources."""
    mine = [row for row in published if (row.dataset, row.preset) == (dataset, preset)]
    mine.sort(key=lambda row: -row.scores.get("nss", row.scores.get("cc", -math.inf)))
    shared = {row.note for row in mine} if len({row.note for row in mine}) == 1 else set()
    named = [(row.model if row.note in {"", *shared} else f"{row.model} ({row.note})", row.cells) for row in mine]
    notes = [f"{note[0].upper()}{note[1:]}." for note in shared if note]
    sources = [f"Source: {source}." for source in dict.fromkeys(row.source for row in mine)]
    return "\n".join([table(named), "", *notes, *sources])
