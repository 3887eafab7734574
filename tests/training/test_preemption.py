"""A run that is told to stop goes on exactly where it was."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from saliency_pred.cli import main
from saliency_pred.training.callbacks import read_history
from saliency_pred.training.module import SaliencyTraining
from saliency_pred.training.preemption import EXIT_CODE

TINY = (
    "data.count=13",
    "data.size=[48,64]",
    "data.viewers=3",
    "data.split=9/4",
    "encoder=resnet18",
    "encoder.weights=none",
    "augment=flip_crop_colour",
    "loader.size=[48,64]",
    "loader.batch_size=2",
    "loader.workers=0",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "trainer.max_epochs=2",
    "report=false",
)


def run(monkeypatch: pytest.MonkeyPatch, out: Path, *settings: str) -> int:
    arguments = ["train", *TINY, *settings, f"out={out}"]
    monkeypatch.setattr(sys, "argv", ["saliency", *arguments])
    try:
        return main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


def signal_at(monkeypatch: pytest.MonkeyPatch, epoch: int, batch: int, number: int) -> None:
    """The process gets a signal while it works on a batch."""
    step = SaliencyTraining.training_step

    def interrupted(self: SaliencyTraining, images: object, batch_idx: int) -> torch.Tensor:
        if (self.current_epoch, batch_idx) == (epoch, batch):
            os.kill(os.getpid(), number)
        return step(self, images, batch_idx)  # type: ignore[arg-type]

    monkeypatch.setattr(SaliencyTraining, "training_step", interrupted)


@pytest.mark.parametrize(
    ("epoch", "batch", "number", "settings"),
    [
        (1, 1, signal.SIGUSR1, ()),
        pytest.param(0, 0, signal.SIGTERM, ("loader.workers=1", "callbacks=ema"), marks=pytest.mark.slow),
        pytest.param(
            1, 0, signal.SIGUSR1, ("trainer.accumulate_grad_batches=2", "loader.batch_size=1"), marks=pytest.mark.slow
        ),
        pytest.param(0, 4, signal.SIGUSR1, (), marks=pytest.mark.slow),  # an epoch's last: it stops in the next
    ],
)
def test_stopped_in_mid_epoch_and_resumed_ends_with_the_same_bits(
    epoch: int, batch: int, number: int, settings: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run(monkeypatch, whole, *settings) == 0
    with monkeypatch.context() as patch:
        signal_at(patch, epoch, batch, number)
        assert run(monkeypatch, stopped, *settings) == EXIT_CODE
    middle = torch.load(stopped / "checkpoints" / "last.ckpt", weights_only=True)
    done = middle["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["ready"]
    assert 0 < done < (9 if "loader.batch_size=1" in settings else 5), "it was not stopped in the middle of an epoch"
    assert signal.getsignal(number) == signal.SIG_DFL, "afterwards signals must end the process again"

    assert run(monkeypatch, stopped, *settings, "resume=auto") == 0
    ends = [torch.load(out / "checkpoints" / "last.ckpt", weights_only=True) for out in (whole, stopped)]
    for name, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][name]), name
    for index, state in ends[0]["optimizer_states"][0]["state"].items():
        for name, value in state.items():
            assert torch.equal(value, ends[1]["optimizer_states"][0]["state"][index][name]), name
    assert read_history(stopped / "history.csv") == read_history(whole / "history.csv")


def test_other_batches_cannot_go_on_in_mid_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        signal_at(patch, 0, 1, signal.SIGUSR1)
        assert run(monkeypatch, tmp_path) == EXIT_CODE
    assert "stopped by SIGUSR1: saved in epoch 0 after batch 1; resume=auto" in capsys.readouterr().err
    assert run(monkeypatch, tmp_path, "loader.batch_size=3", "resume=auto") == 2
    assert "batches of 2 in 1 processes, which cannot go on with batches of 3 in 1" in capsys.readouterr().err
