"""Every experiment of a published network composes, says what it is, and its model can be built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from omegaconf import DictConfig
from reference.golden import parameters

from saliency_pred.cli.compose import compose
from saliency_pred.instantiate import instantiate
from saliency_pred.weights.checkpoint import build_model, without_pretrained

EXPERIMENTS = Path(__file__).resolve().parents[1] / "configs" / "experiment"
PUBLISHED = [p.stem for p in sorted(EXPERIMENTS.glob("*.yaml")) if "# Paper " in p.read_text()]

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


def composed(name: str) -> DictConfig:
    """An experiment on synthetic data, with names of checkpoints where it asks for them."""
    text = (EXPERIMENTS / f"{name}.yaml").read_text()
    asked = re.findall(r"^(\w+): \?\?\?", text, re.M)
    return compose("train", [f"experiment={name}", "data=synthetic", *(f"{key}=x.ckpt" for key in asked)])


@pytest.mark.parametrize("name", PUBLISHED)
def test_composes_and_says_what_it_is(name: str) -> None:
    text = (EXPERIMENTS / f"{name}.yaml").read_text()
    for word in ("Paper ", "Command ", "Hardware ", "Expected ", "Differs "):
        assert f"# {word}" in text
    assert f"experiment={name}" in text
    cfg = composed(name)
    assert cfg.name == name
    instantiate(cfg.loss)
    instantiate(cfg.scheduler)
    instantiate(cfg.optimizer)


@pytest.mark.slow  # builds 1.2 G parameters one after another
@pytest.mark.parametrize("name", sorted(MILLIONS))
def test_has_the_published_number_of_parameters(name: str) -> None:
    model = build_model(without_pretrained(composed(name)))
    assert parameters(model) / 1e6 == pytest.approx(MILLIONS[name], abs=0.001)


def test_every_published_network_has_an_experiment() -> None:
    assert set(MILLIONS) <= set(PUBLISHED)
