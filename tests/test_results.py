"""Results are data: tables are what the CSV files say, and published rows name their source."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from saliency_pred.evaluation.published import COLUMN_OF, TABLE, read_published, shown_scores
from saliency_pred.metrics.presets import NEEDS

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def results() -> ModuleType:
    """scripts/results.py."""
    spec = importlib.util.spec_from_file_location("results", REPOSITORY / "scripts" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_those_of_the_results_file(results: ModuleType) -> None:
    rows = results.read_table()
    texts = [(REPOSITORY / page).read_text() for page in ("README.md", "docs/models.md")]
    shown = {
        name
        for t in texts
        for found in re.findall("<!-- (?:results|models): (.*?) -->", t)
        for name in found.split(", ")
    }
    assert shown == {row["experiment"] for row in rows}
    for text in texts:
        assert results.with_tables(text, rows) == text, "run: python scripts/results.py"


def test_published_tables_are_those_of_their_file(results: ModuleType) -> None:
    published = read_published(TABLE)
    text = (REPOSITORY / "docs" / "leaderboards.md").read_text()
    boards = {(row.dataset, row.preset) for row in published}
    for dataset, preset in boards:
        assert f"<!-- published: {dataset} {preset} -->" in text
    assert results.with_published(text, published) == text, "run: python scripts/results.py"
    assert text.count("<!-- end -->") == len(boards)


def test_published_rows_are_whole() -> None:
    """Known rows, possible values, presets and experiments that exist."""
    published = read_published(TABLE)
    presets = {p.stem for p in (REPOSITORY / "configs" / "preset").glob("*.yaml")}
    experiments = {p.stem for p in (REPOSITORY / "configs" / "experiment").glob("*.yaml")}
    for row in published:
        assert row.preset in presets
        assert row.experiment in experiments | {""}, row
        assert row.source.startswith(("MIT/", "SALICON", "README", "final", "original", "METADATA", "Lou", "edition"))
        for column, value in row.scores.items():
            low, high = {"ig": (-1, 2), "nss": (0, 5), "kld": (0, 3)}.get(column, (0, 1))
            assert low <= value <= high, row
    names = [(row.dataset, row.preset, row.model, row.note) for row in published]
    assert len(names) == len(set(names)), "a row stands there twice"
    by_board = {(row.dataset, row.model): row.scores for row in published}
    # Figures that papers and READMEs repeat, so that a slipped column would show.
    assert by_board["mit300", "DeepGaze IIE"] == {
        "ig": 1.0715, "auc": 0.8829, "sauc": 0.7942, "nss": 2.5265, "cc": 0.8242, "kld": 0.3474, "sim": 0.6993,
    }  # fmt: skip
    assert by_board["dhf1k", "UNISAL"] == {"auc": 0.901, "sim": 0.390, "sauc": 0.691, "cc": 0.490, "nss": 2.776}
    assert by_board["ntire2026", "ViSAGE"] == {"cc": 0.828, "sim": 0.693, "auc": 0.892, "nss": 3.323}
    assert by_board["salicon", "GSGNet"]["kld"] == 0.190


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("1.0715", "high"), "line 4: could not convert"),
        (lambda text: text.replace("kld,sim", "kl,sim"), "lacks the columns kld"),
        (lambda text: text + "osie,test,default,Mine,,,,,,,,,,\n", "has scores and their source"),
    ],
)
def test_a_damaged_table_is_refused(change, words: str, tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text(change(TABLE.read_text()))
    with pytest.raises(ValueError, match=words):
        read_published(path)


def test_every_metric_of_the_boards_has_its_column() -> None:
    assert set(NEEDS) - set(COLUMN_OF) <= {"log_likelihood", "emd"}
    found = shown_scores({"sauc_mit": 0.7, "auc_judd_mit": 0.9, "auc_borji": 0.8, "emd": 3.0, "ig_mit": float("nan")})
    assert found == {"sauc": 0.7, "auc": 0.9}, "the first of several counts; what is undefined is left out"
