"""Whole training runs, started as a user starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from saliency_pred.training.callbacks import read_history

TINY = (
    "data.count=12",
    "data.size=[48,64]",
    "data.viewers=4",
    "data.split=8/4",
    "encoder=resnet18",
    "encoder.weights=none",
    "decoder=unet",
    "decoder.width=8",
    "loader.size=[48,64]",
    "loader.workers=0",
    "loader.batch_size=2",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
)


def command(*settings: str) -> list[str]:
    return [sys.executable, "-m", "saliency_pred", "train", *settings]


def run(*settings: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(*settings), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def weights(out: Path) -> dict[str, torch.Tensor]:
    return torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_killed_at_any_moment_and_resumed_ends_with_the_same_weights(tmp_path: Path) -> None:
    settings = (*TINY, "trainer.max_epochs=4", "report=false", "augment=flip_crop_colour", "decoder=readout")
    settings = tuple(s for s in settings if s not in ("decoder=unet", "decoder.width=8"))
    settings = (*settings, "callbacks.checkpoint.mode=min")  # so that the last epoch is not the "best"
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(*settings, f"out={whole}")
    assert torch.load(whole / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 3

    process = subprocess.Popen(command(*settings, f"out={killed}"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    last = killed / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 200
    while not last.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert last.exists()
    finished = len(read_history(killed / "history.csv"))
    assert finished < 4, "the run ended before it could be killed; the test shows nothing"

    run(*settings, f"out={killed}", "resume=auto")
    expected, resumed = weights(whole), weights(killed)
    assert expected.keys() == resumed.keys()
    for name, value in expected.items():
        assert torch.equal(value, resumed[name]), name
    assert read_history(killed / "history.csv") == read_history(whole / "history.csv")


def test_two_processes_score_exactly_as_one(tmp_path: Path) -> None:
    settings = [s for s in TINY if not s.startswith("decoder")]
    settings += ["encoder.frozen=true", "optimizer.lr=0", "trainer.max_epochs=1", "data.split=7/5", "report=false"]
    one, two = tmp_path / "one", tmp_path / "two"
    run(*settings, f"out={one}")
    both = [setting for setting in settings if setting != "report=false"]
    done = run(*both, f"out={two}", "trainer=ddp")
    assert done.stdout.count(f"report      {two / 'report.html'}") == 1
    assert len((two / "per_image.csv").read_text().splitlines()) == 1 + 5
    single, double = (read_history(folder / "history.csv")[0] for folder in (one, two))
    validated = [name for name in single if name.startswith("val/")]
    assert "val/ig" in validated
    for name in validated:  # five images over two processes: padding would score one of them twice
        assert single[name] == double[name], name


def test_sweep_under_ddp_runs_every_job_once(tmp_path: Path) -> None:
    settings = [s for s in TINY if not s.startswith("decoder")]
    settings += ["encoder.frozen=true", "trainer.max_epochs=1", "report=false", "trainer=ddp"]
    run("--multirun", *settings, "seed=0,1", f"out={tmp_path}")
    for job in "01":
        assert len(read_history(tmp_path / job / "history.csv")) == 1
    first, second = (weights(tmp_path / job) for job in "01")
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_a_run_leaves_checkpoint_scores_report_and_says_where(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run(*TINY, "trainer.max_epochs=2", f"out={out}")
    for name in ("config.yaml", "split.csv", "history.csv", "scores.json", "per_image.csv", "report.html"):
        assert (out / name).is_file(), name
    assert str(out / "report.html") in done.stdout
    scores = json.loads((out / "scores.json").read_text())
    assert scores["images"] == 4
    assert {"uniform", "centre_bias", "spectral_residual", "gold_standard", "truth"} <= scores["baselines"].keys()
    assert scores["baselines"]["centre_bias"]["ig"]["mean"] == 0
    assert scores["baselines"]["uniform"]["log_likelihood"]["mean"] == pytest.approx(0, abs=1e-9)
    assert scores["baselines"]["truth"]["ig"]["mean"] > scores["scores"]["ig"]["mean"]
    assert set(scores["share_of_explainable_ig"]) == {"gold_standard", "truth"}
    report = (out / "report.html").read_text()
    assert report.count("data:image/jpeg;base64,") == 3 * 4
    assert "http" not in report.replace("http-equiv", ""), "the report must need nothing from elsewhere"

    again = subprocess.run(command(*TINY, f"out={out}"), capture_output=True, text=True, timeout=300)
    assert again.returncode == 2
    assert "resume=auto" in again.stderr

    ckpt = out / "checkpoints" / "best.ckpt"
    evaluated = subprocess.run(
        [sys.executable, "-m", "saliency_pred", "evaluate", f"ckpt={ckpt}", f"out={tmp_path / 'again'}", "workers=0"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert evaluated.returncode == 0, evaluated.stderr[-3000:]
    repeated = json.loads((tmp_path / "again" / "scores.json").read_text())
    assert repeated["scores"] == scores["scores"], "the checkpoint alone gives the same scores again"


@pytest.mark.slow
def test_a_wheel_installed_elsewhere_trains(tmp_path: Path) -> None:
    repository = Path(__file__).parents[2]
    pip = [sys.executable, "-m", "pip"]
    site = tmp_path / "site"
    quiet = ["--quiet", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", *quiet, "-w", str(tmp_path), str(repository)], check=True, timeout=300)
    wheel = next(tmp_path.glob("saliency_pred-*.whl"))
    subprocess.run([*pip, "install", *quiet, "--target", str(site), str(wheel)], check=True, timeout=300)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    where = subprocess.run(
        [sys.executable, "-c", "import saliency_pred; print(saliency_pred.__file__)"],
        capture_output=True, text=True, env=environment, cwd=tmp_path, check=True,
    )  # fmt: skip
    assert str(site) in where.stdout
    done = subprocess.run(
        command(*TINY, "trainer.max_epochs=1", "report=false", f"out={tmp_path / 'run'}"),
        capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()
