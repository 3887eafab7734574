"""The default predictor's results as data, and the tables of its documentation from them.

python scripts/default_predictor_tables.py                    write the tables again
python scripts/default_predictor_tables.py OUT/scores.json... take these of scripts/score_default_predictor.py in first

Results are in results/default_predictor.csv (rows as in results/scores.csv), results/default_predictor_time.csv and
results/default_predictor_seeds.csv; the tables stand between marks in docs/default_predictor.md and in the model cards,
saliency_pred/weights/default/*.md.
"""

from __future__ import annotations

import csv
import json
import re
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from results import COLUMNS, REPOSITORY, markdown, rows_of

TABLE = REPOSITORY / "results" / "default_predictor.csv"
TIME_TABLE = REPOSITORY / "results" / "default_predictor_time.csv"
SEEDS_TABLE = REPOSITORY / "results" / "default_predictor_seeds.csv"
DOCUMENTS = (
    REPOSITORY / "docs" / "default_predictor.md",
    *sorted((REPOSITORY / "saliency_pred" / "weights" / "default").glob("*.md")),
)


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table; none where there is no file yet."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def seconds(rows: list[dict[str, str]], predictors: str) -> str:
    """The table over viewing time of one pair of predictors."""
    lines = ["| images | second | one density | a density for each second | difference |", "|---|---|---|---|---|"]
    for row in rows:
        if row["predictors"] == predictors:
            cells = [
                f"{float(row[v]):.3f} ({float(row[v + '_low']):.3f}–{float(row[v + '_high']):.3f})"
                for v in ("static", "slices", "difference")
            ]
            lines.append(f"| {row['dataset']} ({row['images']}) | {row['second']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def seeds(rows: list[dict[str, str]], predictor: str) -> str:
    """The scores of one predictor trained from several seeds, and their standard deviation."""
    mine = [row for row in rows if row["predictor"] == predictor]
    columns = ("ig", "nss", "auc", "held_out_ig")
    lines = [
        f"| seed | IG, {mine[0]['images']} of MIT1003 | NSS | AUC | IG, {mine[0]['held_out_images']} held-out images |",
        "|---|---|---|---|---|",
        *(f"| {row['seed']} | {' | '.join(row[c] for c in columns)} |" for row in mine),
    ]
    spread = [f"{statistics.stdev(float(row[c]) for row in mine):.4f}" for c in columns]
    return "\n".join([*lines, f"| standard deviation | {' | '.join(spread)} |"])


def with_tables(
    text: str, rows: list[dict[str, str]], over_time: list[dict[str, str]], by_seed: list[dict[str, str]]
) -> str:
    """A document with the table after each mark written anew.

    Raises:
        KeyError: a mark asks for results that are not there.
    """
    known = {
        "results": {row["experiment"] for row in rows},
        "seconds": {row["predictors"] for row in over_time},
        "seeds": {row["predictor"] for row in by_seed},
    }

    def again(found: re.Match[str]) -> str:
        kind, name = found[1], found[2]
        if name not in known[kind]:
            raise KeyError(f"no results of {name!r}")
        tables = {
            "results": lambda: markdown(rows, name),
            "seconds": lambda: seconds(over_time, name),
            "seeds": lambda: seeds(by_seed, name),
        }
        return f"<!-- {kind}: {name} -->\n{tables[kind]()}\n<!-- end -->"

    return re.sub(r"<!-- (results|seconds|seeds): (.+?) -->\n.*?<!-- end -->", again, text, flags=re.S)


def main(files: list[str]) -> None:
    """Take in new scores, write table and documents."""
    new = [row for name in files for row in rows_of(json.loads(Path(name).read_text()))]
    replaced = {row["experiment"] for row in new}
    rows = [row for row in read(TABLE) if row["experiment"] not in replaced] + new
    if new:
        with TABLE.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    for document in DOCUMENTS:
        document.write_text(with_tables(document.read_text(), rows, read(TIME_TABLE), read(SEEDS_TABLE)))


if __name__ == "__main__":
    main(sys.argv[1:])
