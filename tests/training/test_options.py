"""Choices of a training run that change what it does: averaging, precision, loggers, early stopping."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from fixtures import fiwi

from saliency_pred.cli import main
from saliency_pred.cli.train import latest_run
from saliency_pred.training.callbacks import read_history
from saliency_pred.training.optimizer import OptimizerFactory, Schedule
from saliency_pred.weights.checkpoint import load_checkpoint

TINY = (
    "data.count=10",
    "data.size=[48,64]",
    "data.viewers=3",
    "data.split=6/4",
    "encoder=resnet18",
    "encoder.weights=none",
    "loader.size=[48,64]",
    "loader.workers=0",
    "loader.batch_size=2",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "trainer.max_epochs=2",
    "report=false",
)


def train(monkeypatch: pytest.MonkeyPatch, out: Path, *settings: str) -> Path:
    arguments = ["train", *TINY, *settings, f"out={out}"]
    monkeypatch.setattr(sys, "argv", ["saliency", *arguments])
    assert main(arguments) == 0
    return out


def test_averaged_weights_are_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = train(monkeypatch, tmp_path, "callbacks=ema", "callbacks.averaging.decay=0.9")
    content = torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)
    name = "model.decoder.layer1.weight"
    averaged, current = content["state_dict"][name], content["current_model_state"][name]
    assert not torch.equal(averaged, current)
    kept = load_checkpoint(out / "checkpoints" / "last.ckpt").model.state_dict()[name.removeprefix("model.")]
    assert torch.equal(kept, averaged)


def test_half_precision_trains_and_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = read_history(train(monkeypatch, tmp_path, "trainer.precision=bf16-mixed") / "history.csv")
    assert all(abs(float(row["train/loss"])) < 20 for row in history)
    assert all(float(row["val/auc"]) > 0 for row in history)


@pytest.mark.parametrize(("logger", "trace"), [("tensorboard", "tensorboard/events*"), ("wandb", "wandb/offline-run*")])
def test_loggers_are_opt_in(logger: str, trace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    settings = ["logger=wandb", "logger.offline=true"] if logger == "wandb" else [f"logger={logger}"]
    out = train(monkeypatch, tmp_path, *settings)
    assert list(out.glob(trace))
    assert sorted(p.name for p in (out / "pictures").iterdir()) == ["epoch_000.jpg", "epoch_001.jpg"]


def test_early_stopping_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ["callbacks=early_stopping", "callbacks.early_stopping.patience=1", "trainer.max_epochs=9"]
    history = read_history(train(monkeypatch, tmp_path, *settings, "optimizer.lr=0") / "history.csv")
    assert len(history) < 9


def test_rates_differ_by_part_and_level() -> None:
    from saliency_pred.decoders.readout import Readout
    from saliency_pred.encoders.timm import TimmEncoder
    from saliency_pred.model import SaliencyModel

    encoder = TimmEncoder("resnet18", weights="none")
    model = SaliencyModel(encoder, Readout(encoder.channels, encoder.strides))
    factory = OptimizerFactory(torch.optim.AdamW, lr=1.0, weight_decay=0.1, encoder_lr_scale=0.5, layer_decay=0.1)
    rates = {id(p): (g["lr"], g["weight_decay"]) for g in factory(model).param_groups for p in g["params"]}
    assert len(rates) == len(list(model.parameters()))
    network = encoder.network
    assert rates[id(network.layer4[0].conv1.weight)] == pytest.approx((0.5, 0.1))  # type: ignore[index,union-attr]
    assert rates[id(network.layer2[0].conv1.weight)] == pytest.approx((0.5e-2, 0.1))  # type: ignore[index,union-attr]
    assert rates[id(network.layer4[0].bn1.bias)] == pytest.approx((0.5, 0.0))  # type: ignore[index,union-attr]
    assert rates[id(model.decoder.layer1.weight)] == pytest.approx((1.0, 0.1))  # type: ignore[union-attr]


def test_schedules_by_hand() -> None:
    cosine = Schedule("cosine", warmup=0.1)
    assert [round(cosine.factor(s, 100, 10), 4) for s in (0, 9, 10, 55, 100)] == [0.0909, 0.9091, 1.0, 0.5, 0.0]
    steps = Schedule("step", gamma=0.1, every=4)
    assert [steps.factor(s, 100, 10) for s in (0, 39, 40, 80)] == pytest.approx([1, 1, 0.1, 0.01])
    assert Schedule("exponential", gamma=0.8).factor(25, 100, 10) == pytest.approx(0.64)
    with pytest.raises(ValueError, match="none of constant, cosine"):
        Schedule("polynomial")  # type: ignore[arg-type]


def test_a_set_that_ships_only_maps_trains_and_is_scored_by_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fiwi.write(tmp_path / "fiwi")
    settings = [s for s in TINY if not s.startswith(("data.", "report"))]
    settings += ["data=fiwi", f"data.root={root}", "data.split=all", "loss=kld", "trainer.max_epochs=1"]
    arguments = ["train", *settings, f"out={tmp_path / 'refused'}"]
    monkeypatch.setattr(sys, "argv", ["saliency", *arguments])
    assert main(arguments) == 2
    assert "choose prior=none" in capsys.readouterr().err

    arguments = ["train", *settings, "prior=none", "callbacks.checkpoint.monitor=val/cc", f"out={tmp_path / 'run'}"]
    monkeypatch.setattr(sys, "argv", ["saliency", *arguments])
    assert main(arguments) == 0
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert {"cc", "kld", "sim"} == scores["scores"].keys()
    assert {"ig", "auc", "nss"} <= set(scores["unavailable"])
    assert {"uniform", "spectral_residual"} == scores["baselines"].keys()


def test_resume_auto_continues_the_newest_run_of_the_same_settings_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = [*TINY, "name=mine"]
    train(monkeypatch, tmp_path / "runs" / "mine" / "first", *settings)
    train(monkeypatch, tmp_path / "runs" / "mine" / "second", *settings, "optimizer.lr=1e-4")
    folder = Path("runs/mine")
    assert latest_run([*settings, "resume=auto"], folder) == tmp_path / "runs" / "mine" / "first"
    assert latest_run([*settings, "optimizer.lr=1e-4"], folder) == tmp_path / "runs" / "mine" / "second"
    assert latest_run([*settings, "seed=7"], folder) is None
