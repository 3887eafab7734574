"""Runs in several processes, on the CPU with gloo: the same training, and an end that says what happened."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from saliency_pred.training.callbacks import read_history
from saliency_pred.weights.checkpoint import load_checkpoint

SMALL = (
    "data.count=17",
    "data.size=[48,64]",
    "data.viewers=3",
    "data.split=12/5",
    "encoder=resnet18",
    "encoder.name=convnext_atto",  # layer norm: batch norm would see another batch in each process
    "encoder.weights=none",
    "decoder.dropout=0",
    "optimizer=sgd",
    "loader.size=[48,64]",
    "loader.workers=0",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
)
TRAIN = [sys.executable, "-m", "saliency_pred", "train"]


def run(*settings: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*TRAIN, *SMALL, *settings], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run in one process that the others are compared with."""
    out = tmp_path_factory.mktemp("alone")
    run("trainer.max_epochs=2", "report=false", "scaling=same_batch", "scaling.reference=6", f"out={out}")
    return out


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("trainer", "processes"), [("ddp", 2), ("ddp", 3), ("fsdp", 2), ("fsdp", 3)], ids=lambda value: str(value)
)
def test_more_processes_train_the_same_weights(trainer: str, processes: int, alone: Path, tmp_path: Path) -> None:
    settings = ["trainer.max_epochs=2", "report=false", "scaling=same_batch", "scaling.reference=6"]
    run(*settings, f"trainer={trainer}", f"trainer.devices={processes}", f"out={tmp_path}")
    histories = [read_history(out / "history.csv") for out in (alone, tmp_path)]
    for epoch, (one, several) in enumerate(zip(*histories, strict=True)):
        assert one["lr"] == several["lr"]
        for name in ("train/loss", "val/ig", "val/auc", "val/nss", "val/cc"):
            # Gradients are added in another order; a step multiplies what float32 rounds, 6e-8, by little.
            assert float(one[name]) == pytest.approx(float(several[name]), rel=2e-4, abs=2e-5), (epoch, name)
    expected, model = (load_checkpoint(out / "checkpoints" / "last.ckpt").model for out in (alone, tmp_path))
    begun = load_checkpoint(alone / "checkpoints" / "last.ckpt")
    assert begun.config.scaling.reference == 6
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-4, atol=2e-6, msg=name)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("trainer", "processes"), [("ddp", 3), ("fsdp", 2)])
def test_the_same_weights_score_exactly_the_same_in_any_number_of_processes(
    trainer: str, processes: int, tmp_path: Path
) -> None:
    settings = ["optimizer.lr=0", "trainer.max_epochs=1", "report=false", "loader.batch_size=2"]
    run(*settings, f"out={tmp_path / 'one'}")
    run(*settings, f"trainer={trainer}", f"trainer.devices={processes}", f"out={tmp_path / 'several'}")
    one, several = (read_history(tmp_path / name / "history.csv")[0] for name in ("one", "several"))
    validated = [name for name in one if name.startswith("val/")]
    assert len(validated) >= 7
    for name in validated:  # five images over three processes
        assert one[name] == several[name], name


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("victim", [1, 0])
def test_a_killed_rank_ends_the_run_with_words_and_a_checkpoint(victim: int, tmp_path: Path) -> None:
    settings = ["trainer=ddp", "trainer.max_epochs=500", "loader.batch_size=1", "report=false", f"out={tmp_path}"]
    with (tmp_path / "stderr").open("w") as stderr:
        first = subprocess.Popen([*TRAIN, *SMALL, *settings], stderr=stderr, stdout=subprocess.DEVNULL)
        last = tmp_path / "checkpoints" / "last.ckpt"
        deadline = time.monotonic() + 900
        while not last.exists() and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert last.exists(), (tmp_path / "stderr").read_text()[-3000:]
        second = int(subprocess.run(["pgrep", "-P", str(first.pid)], capture_output=True, text=True).stdout.split()[0])
        os.kill((first.pid, second)[victim], signal.SIGKILL)
        killed = time.monotonic()
        while _runs(second) or first.poll() is None:
            assert time.monotonic() < killed + 60, "not all processes have ended after 60 s"
            time.sleep(0.1)
    said = (tmp_path / "stderr").read_text()
    if victim == 1:
        assert first.returncode == 1
        assert re.search(rf"error: rank 1 of 2 \(process {second} on .+\) was killed by SIGKILL", said), said[-2000:]
        assert f"resume=auto out={tmp_path} goes on from {last}" in said
    else:
        assert f"error: rank 0 (process {first.pid}) has ended" in said, said[-2000:]
    assert load_checkpoint(last).model.num_windows == 1


def _runs(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_torchrun_starts_a_failed_run_again_where_it_was(tmp_path: Path) -> None:
    settings = [*SMALL, "trainer=ddp", "trainer.max_epochs=3", "loader.batch_size=1", "report=false"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1"]
    torchrun += ["--standalone", "-m", "saliency_pred", "train", f"out={tmp_path / 'run'}"]
    with (tmp_path / "said").open("w") as said:
        fresh = {**os.environ, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # else gloo finds the addresses of the dead
        agent = subprocess.Popen([*torchrun, *settings], stderr=said, stdout=said, cwd=tmp_path, env=fresh)
        deadline = time.monotonic() + 900
        while not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
            assert agent.poll() is None, (tmp_path / "said").read_text()[-3000:]
            time.sleep(0.1)
        workers = subprocess.run(["pgrep", "-P", str(agent.pid)], capture_output=True, text=True).stdout.split()
        os.kill(int(workers[-1]), signal.SIGKILL)
        assert agent.wait(900) == 0, (tmp_path / "said").read_text()[-3000:]
    assert [row["epoch"] for row in read_history(tmp_path / "run" / "history.csv")] == ["0", "1", "2"]
    assert "exitcode: -9" in (tmp_path / "said").read_text(), "torchrun names the cause"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_processes_of_torchrun_share_a_directory(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    settings = [*SMALL, "trainer=ddp", "trainer.max_epochs=1", "report=false", "name=shared"]
    command = [*torchrun, "-m", "saliency_pred", "train", *settings]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    (out,) = (tmp_path / "runs" / "shared").iterdir()
    assert len(read_history(out / "history.csv")) == 1

    command[4:4] = ["--max-restarts=1"]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert "which has to find its folder: give out=DIR" in refused.stderr
