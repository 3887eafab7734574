"""Sweeps that are killed half-way: what is done stays done, what was begun is gone on with."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saliency_pred.cli import main
from saliency_pred.training.callbacks import read_history

TINY = (
    "data.count=10",
    "data.size=[48,64]",
    "data.viewers=3",
    "data.split=6/4",
    "encoder=resnet18",
    "encoder.weights=none",
    "loader.size=[48,64]",
    "loader.workers=0",
    "loader.batch_size=3",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "trainer.max_epochs=2",
    "report=false",
)
SEEDS = "seed=0,1,2,3,4,5"


def kill_when(begun: Path, *arguments: str) -> None:
    """Start a command in a process of its own and kill it once a file exists."""
    process = subprocess.Popen([sys.executable, "-m", "saliency_pred", *arguments], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 900
    while not begun.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed; the test shows nothing"
    assert begun.exists()


def states(folder: Path) -> dict[str, list[int]]:
    """Run → when its checkpoint and history were written last."""
    return {run.name: [f.stat().st_mtime_ns for f in sorted(run.rglob("*.ckpt"))] for run in sorted(folder.glob("?"))}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_killed_multirun_is_finished_without_double_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "--multirun", *TINY, SEEDS, f"out={tmp_path}"]
    kill_when(tmp_path / "2" / "checkpoints" / "last.ckpt", *arguments)
    before = states(tmp_path)
    assert "3" not in before

    again = [*arguments, "resume=auto"]
    monkeypatch.setattr(sys, "argv", ["saliency", *again])
    assert main(again) == 0
    said = capsys.readouterr().out
    after = states(tmp_path)
    assert len(after) == 6
    for run in "01":
        assert f"{tmp_path / run} is finished" in said
        assert after[run] == before[run], "a finished run must not be trained again"
    for run in after:
        assert [row["epoch"] for row in read_history(tmp_path / run / "history.csv")] == ["0", "1"]

    assert main([*again, "optimizer.lr=1"]) == 2
    assert "holds a run of other settings" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_killed_search_goes_on_with_its_trials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="saliency sweep needs Optuna (pip install 'saliency-pred[sweep]')")
    space = ["optimizer.lr=tag(log,interval(1e-5,1e-2))", "decoder.dropout=0.0,0.3"]
    arguments = ["sweep", *TINY, *space, "trials=6", "pruner=none", f"out={tmp_path}"]
    kill_when(tmp_path / "002" / "checkpoints" / "last.ckpt", *arguments)
    first = (tmp_path / "000" / "history.csv").stat().st_mtime_ns

    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "trial 0:" not in said
    assert "trial 2:" in said, "the trial that was killed is gone on with"
    with (tmp_path / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(int(r["trial"]) for r in rows) == [0, 1, 2, 3, 4, 5]
    assert {r["state"] for r in rows} == {"complete"}
    scores = [float(r["score"]) for r in rows]
    assert scores == sorted(scores, reverse=True)
    assert (tmp_path / "000" / "history.csv").stat().st_mtime_ns == first
    for row in rows:
        history = read_history(tmp_path / f"{int(row['trial']):03d}" / "history.csv")
        assert [r["epoch"] for r in history] == ["0", "1"]
        assert float(row["score"]) == max(float(r["val/ig"]) for r in history)
        assert 1e-5 <= float(row["optimizer.lr"]) <= 1e-2


@pytest.mark.slow
def test_a_trial_that_is_worse_than_the_others_is_cut_short(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="saliency sweep needs Optuna (pip install 'saliency-pred[sweep]')")
    settings = ["optimizer=sgd", "trainer.gradient_clip_val=null", "startup=1", f"out={tmp_path}"]
    assert main(["sweep", *TINY, *settings, "optimizer.lr=interval(0.001,0.002)", "trials=2", "pruner=none"]) == 0
    assert main(["sweep", *TINY, *settings, "optimizer.lr=interval(5.0,6.0)", "trials=3"]) == 0
    with (tmp_path / "sweep.csv").open(newline="") as file:
        rows = {r["trial"]: r for r in csv.DictReader(file)}
    assert [rows[t]["state"] for t in "012"] == ["complete", "complete", "pruned"]
    assert int(rows["2"]["epochs"]) < 2


def test_nothing_to_search_over_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="saliency sweep needs Optuna (pip install 'saliency-pred[sweep]')")
    assert main(["sweep", *TINY, f"out={tmp_path}"]) == 2
    assert "nothing to search over" in capsys.readouterr().err
    assert main(["sweep", "optimizer.lr=1e-3,1e-4", "sampler=best", f"out={tmp_path}"]) == 2
    assert "sampler=best is none of tpe" in capsys.readouterr().err
    assert main(["sweep", "optimizer.lrr=1e-3,1e-4", f"out={tmp_path}"]) == 2
    assert "did you mean optimizer.lr" in capsys.readouterr().err
    assert main(["sweep", "optimizer.lr=1e-3,1e-4", "trainer=ddp", f"out={tmp_path}"]) == 2
    assert "a trial trains in one process" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sweep_is_submitted_as_jobs_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="needs hydra-submitit-launcher (pip install 'saliency-pred[slurm]')")
    settings = [*TINY, "seed=0,1", "trainer.max_epochs=1", f"out={tmp_path}"]
    command = [sys.executable, "-m", "saliency_pred", "train", "--multirun", "hydra/launcher=submitit_local", *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-3000:]
    for job in "01":
        assert len(read_history(tmp_path / job / "history.csv")) == 1
        assert f"seed: {job}" in (tmp_path / job / "config.yaml").read_text().splitlines()
