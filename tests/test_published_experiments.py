"""Every experiment of a published network composes, says what it is, and its model can be built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from fixtures import cat2000, mit1003, osie, saleci, salicon, ueyes
from omegaconf import DictConfig, OmegaConf
from reference.golden import parameters

from saliency_pred.cli.compose import compose
from saliency_pred.decoders.deepgaze import CentreBiasReadout
from saliency_pred.instantiate import instantiate
from saliency_pred.training.run import build_data, fit_statistics
from saliency_pred.weights.checkpoint import build_model, without_pretrained

EXPERIMENTS = Path(__file__).resolve().parents[1] / "configs" / "experiment"
PAPERS = {p.stem: p.read_text() for p in sorted(EXPERIMENTS.glob("*.yaml")) if "# Paper " in p.read_text()}
PUBLISHED = [name for name, text in PAPERS.items() if "clips:" not in text]  # videos: test_video_experiments.py

MILLIONS = {  # encoder and decoder, as published; without unused classifiers and DeepGaze's backbones
    "msi_net": 24.934,
    "simplenet": 111.884,
    "tempsal_image": 111.884,
    "tempsal_temporal": 111.829,
    "tempsal": 233.868,
    "transalnet_res": 72.511,
    "transalnet_dense": 76.560,
    "mds_vitnet": 111.804,
    "juntingnet": 34.864,
    "salnet": 25.806,
    "unisal": 3.715,
    "sum": 57.501,
}


SETS = {
    "SALICON": salicon.write,
    "MIT1003": mit1003.write,
    "CAT2000": cat2000.write,
    "OSIE": osie.write,
    "UEyes": ueyes.write,
    "SalECI": saleci.write,
}


def data_set(name: str) -> str:
    """What an experiment trains on, by the name of its config; of those that leave it open: nothing."""
    return "".join(re.findall(r"override /data: (\w+)", (EXPERIMENTS / f"{name}.yaml").read_text()))


def composed(name: str, *overrides: str) -> DictConfig:
    """An experiment with names of checkpoints where it asks for them."""
    text = (EXPERIMENTS / f"{name}.yaml").read_text()
    asked = re.findall(r"^(\w+): \?\?\?", text, re.M)
    return compose("train", [f"experiment={name}", *(f"{key}=x.ckpt" for key in asked), *overrides])


@pytest.mark.parametrize("name", PUBLISHED)
def test_composes_and_says_what_it_is(name: str) -> None:
    text = (EXPERIMENTS / f"{name}.yaml").read_text()
    for word in ("Paper ", "Command ", "Hardware ", "Expected ", "Differs "):
        assert f"# {word}" in text
    assert f"experiment={name}" in text
    cfg = composed(name, "data=synthetic")
    assert cfg.name == name
    instantiate(cfg.loss)
    instantiate(cfg.scheduler)
    instantiate(cfg.optimizer)


@pytest.mark.slow  # builds 1.2 G parameters one after another
@pytest.mark.parametrize("name", sorted(MILLIONS))
def test_has_the_published_number_of_parameters(name: str) -> None:
    model = build_model(without_pretrained(composed(name, "data=synthetic")))
    assert parameters(model) / 1e6 == pytest.approx(MILLIONS[name], abs=0.001)


def test_every_published_network_has_an_experiment() -> None:
    assert set(MILLIONS) <= set(PUBLISHED)


@pytest.fixture(scope="module")
def folder_of_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny copies of the data sets in their original layouts."""
    root = tmp_path_factory.mktemp("sets")
    for name, write in SETS.items():
        write(root / name)
    return root


@pytest.mark.timeout(1800)
@pytest.mark.slow  # forward and backward passes of networks of up to 234 M parameters
@pytest.mark.parametrize("name", [name for name in PUBLISHED if data_set(name) in ("salicon", "mit1003", "union")])
def test_the_loss_falls_on_its_own_data(name: str, folder_of_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some steps with the experiment's own loss and optimiser, from random weights, on one batch of its data set."""
    monkeypatch.setenv("SALIENCY_DATA", str(folder_of_sets))
    overrides = ["loader.size=[96,128]", "loader.batch_size=2", "loader.workers=0"]
    if data_set(name) == "union":  # which finds its sets below $SALIENCY_DATA
        cfg = composed(name, *overrides)
        # Numbers of images are of the whole sets; SALICON's own split has test images without fixations
        given = OmegaConf.to_container(cfg.data.sets)
        sets = [one if one["_target_"].endswith("SALICON") else one | {"split": "0.5/0.5"} for one in given]
        cfg.data.sets = sets
    else:
        cfg = composed(name, *overrides, f"data.root={folder_of_sets / data_set(name).upper()}", "data.split=all")
    torch.manual_seed(0)
    data = build_data(cfg)
    model = build_model(without_pretrained(cfg))
    if isinstance(model.decoder, CentreBiasReadout):
        model.decoder.fit_centre_bias(data.centre_bias())
    fit_statistics(model, data)
    batch = next(iter(data.train_dataloader()))
    loss = instantiate(cfg.loss)
    optimizer = instantiate(cfg.optimizer)(model.train())
    values = []
    for _ in range(4):
        torch.manual_seed(1)  # the same dropout at every step, so that losses can be compared
        value = loss(model(batch.image, batch.valid, batch.domain), batch)["loss"]
        optimizer.zero_grad()
        value.backward()
        if cfg.trainer.gradient_clip_val is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), cfg.trainer.gradient_clip_val)
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0], values
