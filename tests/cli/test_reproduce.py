"""saliency reproduce: from an experiment's name to a row beside the published ones."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import h5py
import pytest
from fixtures import osie

import saliency_pred
from saliency_pred.cli import main
from saliency_pred.evaluation.published import COLUMNS

SETTINGS = [
    "experiment=quickstart", "data=synthetic", "data.count=10", "data.size=[48,64]", "data.split=0.6/0.4",
    "encoder=resnet18", "encoder.weights=none", "loader.size=[48,64]", "loader.workers=0", "trainer.max_epochs=1",
]  # fmt: skip

PACKAGE = Path(saliency_pred.__file__).parent

PUBLISHED = """dataset,part,preset,model,experiment,ig,auc,sauc,nss,cc,kld,sim,source,note
synthetic,test,default,Quick Start,quickstart,0.5,0.75,,1.25,,,,a paper,
synthetic,test,default,Other,,0.25,,,2.5,,,,another paper,
salicon,test,salicon,Elsewhere,,0.25,,,2.5,,,,a third paper,
"""


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of a tiny experiment, with results in a file of their own."""
    folder = tmp_path_factory.mktemp("reproduce")
    (folder / "published.csv").write_text(PUBLISHED)
    assert main(["reproduce", *SETTINGS, *where(folder)]) == 0
    return folder


def where(folder: Path, seeds: str = "[0,3]") -> list[str]:
    """Settings that name the folder."""
    names = (("out", "runs"), ("results", "results.csv"), ("published", "published.csv"))
    return [f"seeds={seeds}", *(f"{key}={folder / name}" for key, name in names)]


def rows(folder: Path) -> list[dict[str, str]]:
    """Of the table of results."""
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_seed_has_a_row_with_its_stored_predictions(reproduced: Path) -> None:
    found = rows(reproduced)
    assert [row["seed"] for row in found] == ["0", "3"]
    for row in found:
        assert (row["experiment"], row["dataset"], row["part"], row["preset"]) == (
            "quickstart", "synthetic", "val", "default",
        )  # fmt: skip
        assert all(row[column] for column in COLUMNS)
        own = json.loads((reproduced / f"runs/seed_{row['seed']}/scores.json").read_text())
        assert row["checkpoint_sha256"] == own["about"]["checkpoint_sha256"]
        for metric in ("nss", "auc", "cc", "kld", "sim"):  # what training reports of the same checkpoint and images
            assert float(row[metric]) == pytest.approx(own["scores"][metric]["mean"], abs=1e-5), metric
        with h5py.File(reproduced / f"runs/seed_{row['seed']}/predictions_val.h5") as file:
            assert len(file) == int(row["images"]) == 4
            assert all(stored.shape == (48, 64) for stored in file.values())


def test_the_table_shows_seeds_mean_published_rows_and_the_gap(reproduced: Path) -> None:
    text = (reproduced / "results.md").read_text()
    first, second = (float(row["nss"]) for row in rows(reproduced))
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    assert list(lines)[1:] == [
        "quickstart, seed 0",
        "quickstart, seed 3",
        "mean of 2 seeds",
        "standard deviation",
        "gap to Quick Start, published on test",
        "Other, published on test",
        "Quick Start, published on test",
    ]
    nss = {name: line.split("|")[5].strip() for name, line in lines.items()}
    assert nss["mean of 2 seeds"] == f"{(first + second) / 2:.4f}"
    assert nss["standard deviation"] == f"{abs(first - second) / 2**0.5:.4f}"
    assert nss["gap to Quick Start, published on test"] == f"{(first + second) / 2 - 1.25:+.4f}"
    assert "The gap is between different images: ours of val, published ones of test." in text
    assert "Source: a paper." in text
    assert "a third paper" not in text


def test_what_is_done_is_not_done_again(reproduced: Path, capfd: pytest.CaptureFixture[str]) -> None:
    checkpoints = {p: p.stat().st_mtime_ns for p in (reproduced / "runs").rglob("*.ckpt")}
    before = (reproduced / "results.csv").read_text()
    assert checkpoints
    assert main(["reproduce", *SETTINGS, *where(reproduced)]) == 0
    assert "training" not in capfd.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in (reproduced / "runs").rglob("*.ckpt")} == checkpoints
    assert (reproduced / "results.csv").read_text() == before, "rows are replaced, not repeated"


def test_check_recomputes_the_table_and_finds_what_was_changed(
    reproduced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["reproduce", *SETTINGS, *where(reproduced), "check=true"]
    assert main(arguments) == 0
    assert "quickstart, seed 3: as in the table, 4 images" in capsys.readouterr().out

    table = reproduced / "results.csv"
    before, nss = table.read_text(), rows(reproduced)[1]["nss"]
    try:
        table.write_text(before.replace(nss, "9.000000"))
        assert main(arguments) == 2
        told = capsys.readouterr()
        assert f"quickstart, seed 3: nss is {nss}, the table says 9.000000" in told.err
        assert "quickstart, seed 0: as in the table" in told.out
    finally:
        table.write_text(before)

    stored = reproduced / "runs/seed_0/predictions_val.h5"
    content = stored.read_bytes()
    try:
        with h5py.File(stored, "r+") as file:
            name = next(iter(file))
            file[name][...] = file[name][()][::-1]
        assert main(arguments) == 2
        assert "seed 0: predictions_sha256 is" in capsys.readouterr().err
        with h5py.File(stored, "r+") as file:
            del file[name]
        assert main(arguments) == 2
        assert "1 images cannot be scored" in capsys.readouterr().err
    finally:
        stored.write_bytes(content)
    assert main(["reproduce", *SETTINGS, *where(reproduced, "[7]"), "check=true"]) == 2
    assert "has no row of quickstart, seed 7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["experiment=msi_net", "seed=3"], "seeds=[0,1,2] names the seeds"),
        (["experiment=quickstrat"], "did you mean quickstart"),
        (["experiment=quickstart", "seeds=[1,1]"], "must be one or more different numbers"),
        (["quickstart"], "experiment=quickstart?"),
        (
            ["data=synthetic", f"results={Path(saliency_pred.__file__).parent / 'r.csv'}"],
            "within the installed package",
        ),
        (["data=synthetic", "published=nowhere.csv"], "nowhere.csv does not exist"),
    ],
)
def test_bad_input_is_explained(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_damaged_data_stop_it_before_anything_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = osie.write(tmp_path / "OSIE")
    assert main(["reproduce", "data=osie", f"data.root={root}", f"out={tmp_path}/runs"]) == 2
    assert "osie is not as released" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
