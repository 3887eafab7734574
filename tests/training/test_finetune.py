"""A trained model on other data: all of it, in folds, or the few numbers in which data sets differ."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saliency_pred.cli import main
from saliency_pred.data.synthetic import Synthetic
from saliency_pred.evaluation.compare import read_scored
from saliency_pred.training.callbacks import read_history
from saliency_pred.weights.checkpoint import load_checkpoint

SIZE = (48, 64)
COMMON = (
    "loader.workers=0",
    "loader.batch_size=10",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["saliency", "train", *arguments])
    assert main(["train", *arguments]) == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of scenes whose viewers look at the middle."""
    out = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        run(
            patch, *COMMON, "data.count=60", f"data.size=[{SIZE[0]},{SIZE[1]}]", "data.viewers=5", "data.split=50/10",
            "encoder=resnet18", "encoder.weights=none", "loader.size=[48,64]", "trainer.max_epochs=2", "report=false",
            f"out={out}",
        )  # fmt: skip
    return out / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="module")
def biased(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 70 other scenes of the same kind, whose viewers look to the left and twice as far from things."""
    root = tmp_path_factory.mktemp("biased")
    (root / "images").mkdir()
    lines = ["image,x,y"]
    scenes = Synthetic(count=70, size=SIZE, viewers=5, seed=7)
    rng = np.random.default_rng(0)
    for i in range(70):
        Image.fromarray(scenes.image(i)).save(root / "images" / f"{i:02d}.png")
        seen = scenes.fixations(i)
        x = seen.x.numpy() * 0.6 + rng.normal(0, 4, len(seen.x))
        y = seen.y.numpy() + rng.normal(0, 4, len(seen.x))
        inside = (x >= 0) & (x < SIZE[1]) & (y >= 0) & (y < SIZE[0])
        lines += [f"{i:02d},{a:.2f},{b:.2f}" for a, b in zip(x[inside], y[inside], strict=True)]
    (root / "fixations.csv").write_text("\n".join(lines) + "\n")
    return root


def test_adapting_a_few_numbers_to_50_images_helps(
    trained: Path, biased: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ["data=folder", f"data.root={biased}", "data.split=50/20"]
    assert main(["evaluate", f"ckpt={trained}", *data, "workers=0", f"out={tmp_path / 'before'}"]) == 0
    out = tmp_path / "adapted"
    run(monkeypatch, *COMMON, "experiment=adapt", f"init={trained}", *data, "trainer.max_epochs=6", f"out={out}")
    before, after = (json.loads((tmp_path / n / "scores.json").read_text())["scores"] for n in ("before", "adapted"))
    assert after["log_likelihood"]["mean"] > before["log_likelihood"]["mean"] + 0.1, "bit a fixation, on unseen images"
    assert after["ig"]["low"] > before["ig"]["mean"]

    old, new = load_checkpoint(trained).model.state_dict(), load_checkpoint(out / "checkpoints" / "best.ckpt").model
    changed = {
        name
        for name, value in new.state_dict().items()
        if (was := old.get(name.replace("decoder.decoder.", "decoder."))) is None or not torch.equal(was, value)
    }
    assert changed == {"decoder.log_sigma", "decoder.log_priority", "prior.weight.value", "prior.log_density"}


def test_fine_tuning_begins_from_the_checkpoint_with_rates_by_level(
    trained: Path, biased: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [*COMMON, "experiment=finetune", "data=folder", f"data.root={biased}", "trainer.max_epochs=1"]
    folds = "data.split=5-fold-0,5-fold-1"
    run(monkeypatch, "--multirun", *settings, f"init={trained}", folds, f"out={tmp_path}")
    runs = [json.loads((tmp_path / fold / "scores.json").read_text()) for fold in "01"]
    pooled = read_scored(tmp_path, "folds")
    assert [r["images"] for r in runs] == [14, 14]
    assert len(pooled.values["ig"]) == 28, "the folds have no image in common"
    state = torch.load(tmp_path / "0" / "checkpoints" / "last.ckpt", weights_only=True)
    rates = sorted({g["initial_lr"] for g in state["optimizer_states"][0]["param_groups"]})
    assert rates[-1] == pytest.approx(2e-4)
    assert rates[-2] == pytest.approx(2e-5), "the encoder's last level"
    assert rates[-3] == pytest.approx(1.5e-5), "the level before it"
    assert read_history(tmp_path / "0" / "history.csv")[0]["epoch"] == "0"

    monkeypatch.setattr(sys, "argv", ["saliency", "train"])
    assert main(["train", *settings, f"init={trained}", "encoder=resnet50", f"out={tmp_path / 'x'}"]) == 2
    assert "contradict each other" in capsys.readouterr().err


def test_frozen_parts_stay(trained: Path, biased: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(
        monkeypatch, *COMMON, "experiment=finetune", f"init={trained}", "data=folder", f"data.root={biased}",
        "trainable=[decoder.*,prior.*]", "trainer.max_epochs=1", "report=false", f"out={tmp_path}",
    )  # fmt: skip
    old, new = (load_checkpoint(p).model.state_dict() for p in (trained, tmp_path / "checkpoints" / "last.ckpt"))
    for name, value in new.items():
        if name.startswith("encoder."):
            assert torch.equal(value, old[name]), name
    assert not torch.equal(new["decoder.layer1.weight"], old["decoder.layer1.weight"])
