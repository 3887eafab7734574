"""Every experiment of a published video network composes, says what it is, has the published size, and learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fixtures import dhf1k
from omegaconf import DictConfig
from reference.golden import parameters

from saliency_pred.batch import Batch
from saliency_pred.cli.compose import compose
from saliency_pred.instantiate import instantiate
from saliency_pred.model import SaliencyModel
from saliency_pred.training.run import build_data
from saliency_pred.weights.checkpoint import build_model, without_pretrained

EXPERIMENTS = Path(__file__).resolve().parents[1] / "configs" / "experiment"
PAPERS = {p.stem: p.read_text() for p in sorted(EXPERIMENTS.glob("*.yaml")) if "# Paper " in p.read_text()}
VIDEO = [name for name, text in PAPERS.items() if "clips:" in text]

PARAMETERS = {
    "salema": 31_787_010,
    "tased": 21_260_693,
    "unisal_dhf1k": 3_714_872,
    "vinet": 31_099_585,
    "vinet_a": 38_693_241,
    "vinet_e": 48_193_978,
    "vinet_s": 9_500_737,
}
SMALL = {"vinet_e": ["encoder.encoders.s.size=[64,96]", "encoder.encoders.a.size=[64,96]"]}
"""What keeps an experiment's own input size."""


@pytest.mark.parametrize("name", VIDEO)
def test_composes_and_says_what_it_is(name: str) -> None:
    for word in ("Paper ", "Command ", "Hardware ", "Expected ", "Differs "):
        assert f"# {word}" in PAPERS[name]
    assert f"experiment={name}" in PAPERS[name]
    cfg = compose("train", [f"experiment={name}"])
    assert cfg.name == name
    for part in (cfg.loss, cfg.scheduler, cfg.optimizer, cfg.loader.clips):
        instantiate(part)


def test_every_video_network_has_an_experiment() -> None:
    assert set(PARAMETERS) == set(VIDEO)


def losses(cfg: DictConfig, model: SaliencyModel, batch: Batch, steps: int) -> list[float]:
    """Of steps with an experiment's own loss and optimiser on one batch."""
    loss = instantiate(cfg.loss)
    optimizer = instantiate(cfg.optimizer)(model.train())
    values = []
    for _ in range(steps):
        torch.manual_seed(1)  # the same dropout at every step, so that losses can be compared
        value = loss(model(batch.image, batch.valid, batch.domain), batch)["loss"]
        optimizer.zero_grad()
        value.backward()
        if cfg.trainer.gradient_clip_val is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), cfg.trainer.gradient_clip_val)
        optimizer.step()
        values.append(value.item())
    return values


@pytest.mark.slow  # 96 M parameters one after another, some steps of each
@pytest.mark.parametrize("name", VIDEO)
def test_the_loss_falls_on_its_own_data(name: str, tmp_path: Path) -> None:
    """From random weights, with the experiment's own clips."""
    dhf1k.write(tmp_path)
    small = ["loader.size=[64,96]", "loader.batch_size=2", "loader.workers=0", f"data.root={tmp_path}"]
    cfg = compose("train", [f"experiment={name}", *small, *SMALL.get(name, [])])
    torch.manual_seed(0)
    data = build_data(cfg)
    model = build_model(without_pretrained(cfg))
    assert parameters(model) == PARAMETERS[name]
    batch = next(iter(data.train_dataloader()))
    assert batch.image.shape == (2, 3, cfg.loader.clips.frames, 64, 96)
    values = losses(cfg, model, batch, steps=4)
    assert values[-1] < values[0], values


def test_motion_trains_its_read_out_on_drawn_clips() -> None:
    cfg = compose("train", ["experiment=motion", "data.count=3", "loader.workers=0"])
    torch.manual_seed(0)
    data = build_data(cfg)
    model = build_model(without_pretrained(cfg))
    batch = next(iter(data.train_dataloader()))
    assert batch.image.shape == (2, 3, 8, 72, 96)
    assert batch.windows.shape == (2, 8, 2)
    frozen = {name: p.clone() for name, p in model.encoder.named_parameters()}
    values = losses(cfg, model, batch, steps=5)
    assert values[-1] < values[0], values
    assert all(torch.equal(frozen[name], p) for name, p in model.encoder.named_parameters())
