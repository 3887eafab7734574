"""The README's tables are what results/scores.csv says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def test_readme_tables_are_those_of_the_results_file() -> None:
    spec = importlib.util.spec_from_file_location("results", REPOSITORY / "scripts" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    results = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(results)
    rows = results.read_table()
    text = (REPOSITORY / "README.md").read_text()
    assert text.count("<!-- results: ") == len({row["experiment"] for row in rows}) > 0
    assert results.with_tables(text, rows) == text, "run: python scripts/results.py"
