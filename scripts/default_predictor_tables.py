"""The default predictor's results as data, and the tables of its documentation from them.

python scripts/default_predictor_tables.py                    write the tables again
python scripts/default_predictor_tables.py OUT/scores.json... take these of scripts/score_default_predictor.py in first

Results are in results/default_predictor.csv (rows as in results/scores.csv) and results/default_predictor_time.csv; the
tables stand between marks in docs/default_predictor.md and in the model cards, saliency_pred/weights/default/*.md.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from results import COLUMNS, REPOSITORY, markdown, rows_of

TABLE = REPOSITORY / "results" / "default_predictor.csv"
TIME_TABLE = REPOSITORY / "results" / "default_predictor_time.csv"
DOCUMENTS = (
    REPOSITORY / "docs" / "default_predictor.md",
    *sorted((REPOSITORY / "saliency_pred" / "weights" / "default").glob("*.md")),
)


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
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


def with_tables(text: str, rows: list[dict[str, str]], over_time: list[dict[str, str]]) -> str:
    """A document with the table after each mark written anew.

    Raises:
        KeyError: a mark asks for results that are not there.
    """
    known = {"results": {row["experiment"] for row in rows}, "seconds": {row["predictors"] for row in over_time}}

    def again(found: re.Match[str]) -> str:
        kind, name = found[1], found[2]
        if name not in known[kind]:
            raise KeyError(f"no results of {name!r}")
        table = markdown(rows, name) if kind == "results" else seconds(over_time, name)
        return f"<!-- {kind}: {name} -->\n{table}\n<!-- end -->"

    return re.sub(r"<!-- (results|seconds): (.+?) -->\n.*?<!-- end -->", again, text, flags=re.S)


def main(files: list[str]) -> None:
    """Take in new scores, write table and documents."""
    new = [row for name in files for row in rows_of(json.loads(Path(name).read_text()))]
    replaced = {row["experiment"] for row in new}
    rows = [row for row in (read(TABLE) if TABLE.is_file() else []) if row["experiment"] not in replaced] + new
    if new:
        with TABLE.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    for document in DOCUMENTS:
        document.write_text(with_tables(document.read_text(), rows, read(TIME_TABLE)))


if __name__ == "__main__":
    main(sys.argv[1:])
