"""The timm adapter: every yaml that uses it, and its weights without a hub."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml

from saliency_pred.encoders.timm import TimmEncoder
from saliency_pred.weights.published import efficientnet_lite

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "encoder"
HEAVY = {"maxvit", "vit_small_dinov2", "vit_small_dinov3", "dinov2_msdb", "deepgaze2e", "convnext_tiny", "swin_t"}


def settings(path: Path) -> dict[str, Any] | None:
    config = yaml.safe_load(path.read_text())
    return config if config.get("_target_") == "saliency_pred.encoders.timm.TimmEncoder" else None


FILES = [
    pytest.param(path, marks=[pytest.mark.slow] if path.stem in HEAVY else [], id=path.stem)
    for path in sorted(CONFIGS.glob("*.yaml"))
    if settings(path)
]


@pytest.mark.parametrize("path", FILES)
def test_features_are_as_declared_at_an_odd_size(path: Path) -> None:
    config = settings(path)
    assert config is not None
    del config["_target_"]
    encoder = TimmEncoder(**(config | {"weights": "none", "frozen": 1})).train()
    image = torch.rand(1, 3, 197, 301)
    features = encoder(image)
    assert [f.shape[1] for f in features] == encoder.channels
    for feature, stride in zip(features, encoder.strides, strict=True):
        assert feature.shape[-2] in (197 // stride, -(-197 // stride))
        assert feature.shape[-1] in (301 // stride, -(-301 // stride))
    levels = encoder.parameter_levels()
    assert levels.keys() == dict(encoder.named_parameters()).keys()
    sum(f.float().mean() for f in features).backward()  # type: ignore[union-attr]
    for name, parameter in encoder.named_parameters():
        assert (parameter.grad is None) or levels[name] >= 1, name
        assert parameter.requires_grad == (levels[name] >= 1), name


def test_frozen_statistics_do_not_move() -> None:
    encoder = TimmEncoder("resnet18", weights="none", frozen=True).train()
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    encoder(torch.rand(2, 3, 64, 64))
    assert all(torch.equal(before[k], v) for k, v in encoder.state_dict().items())


@pytest.mark.parametrize("number", [0, 2])
def test_package_weights_fill_the_whole_network_and_see(number: int) -> None:
    name = f"tf_efficientnet_lite{number}"
    try:
        path = efficientnet_lite.package_file(name)
    except OSError as error:
        pytest.skip(str(error))
    network = timm.create_model(name)
    network.load_state_dict(efficientnet_lite.convert(torch.load(path, weights_only=True)), strict=True)
    encoder = TimmEncoder(name, weights="package", taps=["blocks.6"])
    assert torch.equal(encoder.network.state_dict()["conv_stem.weight"], network.state_dict()["conv_stem.weight"])
    assert encoder.mean == (0.5, 0.5, 0.5)
    # A network with its weights in the right places is sure of something; shuffled ones are not.
    y, x = torch.meshgrid(torch.linspace(-1, 1, 224), torch.linspace(-1, 1, 224), indexing="ij")
    orange = torch.where(x**2 + y**2 < 0.5, 1.0, -1.0) * torch.tensor([1.0, 0.2, -0.8])[:, None, None]
    with torch.no_grad():
        top = network.eval()(orange[None]).softmax(1).max()
    assert top > 0.1


def test_no_hub_names_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: Any, **kwargs: Any) -> None:
        raise OSError("we are offline")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(OSError, match=r"encoder\.weights=none.*encoder\.weights=FILE.*encoder=efficientnet_lite0"):
        TimmEncoder("resnet18")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "resnet19"}, "timm has no network 'resnet19'; near: "),
        ({"name": "resnet18", "weights": "none", "taps": ["layer9"]}, "resnet18 has no module 'layer9' to tap"),
        ({"name": "resnet18", "weights": "package"}, "no package ships weights of resnet18"),
    ],
)
def test_mistakes_are_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TimmEncoder(**arguments)
    with pytest.raises(FileNotFoundError, match="none of hub, package, none"):
        TimmEncoder("resnet18", weights="nothing.pth")


@pytest.mark.parametrize("taps", [None, ["blocks.1", "blocks.3"]])
@torch.no_grad()
def test_copies_are_independent_and_encoders_can_be_pickled(taps: list[str] | None) -> None:
    """Averaged weights are kept in a copy; spawned processes get pickled networks."""
    encoder = TimmEncoder("test_efficientnet", weights="none", taps=taps).eval()
    image = torch.rand(1, 3, 64, 64)
    expected = encoder(image)
    for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        for parameter in encoder.parameters():
            parameter.add_(1.0)
        assert all(torch.equal(a, b) for a, b in zip(other(image), expected, strict=True))
        encoder.load_state_dict(other.state_dict())
