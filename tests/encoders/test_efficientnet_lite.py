"""EfficientNet-Lite against timm's network of the same weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch

from saliency_pred.encoders.efficientnet_lite import EfficientNetLite
from saliency_pred.encoders.timm import TimmEncoder
from saliency_pred.weights.published.efficientnet_lite import package_file

ALL = [f"blocks.{i}" for i in range(7)]


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("size", [(96, 128), (61, 83), (1, 7)])
def test_equal_to_timm(number: int, size: tuple[int, int], tmp_path: Path) -> None:
    """Random weights and statistics, so that every layer counts; odd sizes, where padding is lopsided."""
    torch.manual_seed(number)
    name = f"tf_efficientnet_lite{number}"
    reference = timm.create_model(name, num_classes=0).eval()
    for module in reference.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    ours = EfficientNetLite(name, weights=str(tmp_path / "weights.pth"), taps=ALL).eval()
    timms = TimmEncoder(name, weights="none", taps=ALL).eval()
    timms.network.load_state_dict(reference.state_dict())
    assert (ours.channels, ours.strides) == (timms.channels, timms.strides)
    image = torch.randn(2, 3, *size)
    with torch.no_grad():
        for mine, theirs in zip(ours(image), timms(image), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5 * float(theirs.std()))


@pytest.mark.parametrize("number", [0, 2])
def test_package_weights_are_those_that_timm_gets(number: int) -> None:
    name = f"tf_efficientnet_lite{number}"
    try:
        package_file(name)
    except OSError as error:
        pytest.skip(str(error))
    taps = ["blocks.2", "blocks.6"]
    ours = EfficientNetLite(name, taps=taps).eval()
    timms = TimmEncoder(name, weights="package", taps=taps).eval()
    assert (ours.mean, ours.std) == (timms.mean, timms.std)
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        for mine, theirs in zip(ours(image), timms(image), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5 * float(theirs.std()))


@pytest.mark.parametrize("frozen", [False, 1, 2, True])
def test_freezing_is_that_of_timm_encoders(frozen: bool | int) -> None:
    taps = ["blocks.1", "blocks.4"]
    ours = EfficientNetLite(weights="none", taps=taps, frozen=frozen)
    timms = TimmEncoder("tf_efficientnet_lite0", weights="none", taps=taps, frozen=frozen)
    theirs = {k.removeprefix("network."): v.requires_grad for k, v in timms.named_parameters()}
    mine = {k: v.requires_grad for k, v in ours.named_parameters()}
    assert mine == {k: theirs[k] for k in mine}
    levels = {k.removeprefix("network."): v for k, v in timms.parameter_levels().items()}
    assert ours.parameter_levels() == {k: levels[k] for k in mine}
    before = {k: v.clone() for k, v in ours.state_dict().items()}
    ours.train()(torch.randn(2, 3, 32, 32))
    changed = {k.rsplit(".", 1)[0] for k, v in ours.state_dict().items() if not torch.equal(before[k], v)}
    assert changed == {k.rsplit(".", 1)[0] for k, v in mine.items() if v and "bn" in k}, "statistics of trained norms"


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none of tf_efficientnet_lite0"):
        EfficientNetLite("efficientnet_lite0", weights="none")
    for taps in ([], ["blocks.7"], ["blocks.3", "blocks.2"], ["conv_head"]):
        with pytest.raises(ValueError, match=r"taps must be some of blocks\.0"):
            EfficientNetLite(weights="none", taps=taps)
    with pytest.raises(FileNotFoundError, match="none of package, none"):
        EfficientNetLite(weights="nothing.pth")
    torch.save(EfficientNetLite("tf_efficientnet_lite2", weights="none").state_dict(), tmp_path / "lite2.pth")
    with pytest.raises(ValueError, match="no weights of tf_efficientnet_lite0"):
        EfficientNetLite(weights=str(tmp_path / "lite2.pth"))


def test_neither_timm_nor_torchvision_is_imported() -> None:
    script = (
        "import sys\nfrom saliency_pred.encoders.efficientnet_lite import EfficientNetLite\n"
        "EfficientNetLite(weights='none')\nassert not {'timm', 'torchvision', 'torch._dynamo'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
