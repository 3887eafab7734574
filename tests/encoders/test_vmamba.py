"""VMamba against the official networks, its size table, and in all the ways its checkpoints come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from reference.golden import config, manifest, outputs, parameters, stand_in
from reference.standin import input_for
from torch import Tensor

from saliency_pred.encoders.vmamba import VMambaEncoder
from saliency_pred.instantiate import instantiate
from saliency_pred.weights.published import vmamba as official

SMALL: dict[str, Any] = {"depths": (1, 2, 1, 1), "channels": 16, "states": 2}


def small(version: str, **options: Any) -> VMambaEncoder:
    torch.manual_seed(0)
    return VMambaEncoder(version, **SMALL | options).eval()  # type: ignore[arg-type]


def without_norms(encoder: VMambaEncoder) -> dict[str, Tensor]:
    """What an ImageNet checkpoint has of the encoder."""
    return {k: v for k, v in encoder.state_dict().items() if not k.startswith("outnorm")}


# The VMamba paper's table and repository; measured with the official code where it has five digits or more.
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("v0_tiny", 22_893_448),
        ("v0_small", 44.4e6),
        ("v0_base", 76.3e6),
        ("v2_tiny_s2l5", 30_705_832),
        ("v2_small_s2l15", 50.2e6),
        ("v2_base_s2l15", 88.6e6),
        ("v2_tiny_s1l8", 30_249_064),
        ("v2_small_s1l20", 49.0e6),
        ("v2_base_s1l20", 86.6e6),
    ],
)
def test_parameters_with_classifier(name: str, count: float) -> None:
    with torch.device("meta"):
        encoder = instantiate(config("encoder", f"vmamba_{name}"))
    deep = encoder.channels[-1]
    own = sum(p.numel() for n, p in encoder.named_parameters() if not n.startswith("outnorm"))
    classifier = 2 * deep + 1000 * deep + 1000  # norm, linear layer to ImageNet's classes
    if isinstance(count, int):
        assert own + classifier == count
    else:
        # The table's last digit is rounded, for s2l15 (50.148 M) from two digits.
        assert (own + classifier) / 1e6 == pytest.approx(count / 1e6, abs=0.055)


@pytest.mark.parametrize(
    "name",
    [
        "vmamba_v2_tiny_s2l5",
        pytest.param("vmamba_v2_tiny_s1l8", marks=pytest.mark.slow),
        pytest.param("vmamba_v0_tiny", marks=pytest.mark.slow),
    ],
)
@torch.no_grad()
def test_equal_to_the_official_network(name: str) -> None:
    frozen = outputs(name)
    state = stand_in(manifest(name)["entries"])
    encoder = instantiate(config("encoder", name)).eval()
    missing, unexpected = encoder.load_state_dict(official.convert(state), strict=False)
    assert unexpected == []
    assert {n.split(".")[0] for n in missing} == {f"outnorm{i}" for i in range(4)}
    stages: list[Tensor] = []
    for layer in encoder.layers:
        layer.blocks.register_forward_hook(lambda module, inputs, output: stages.append(output))
    features = encoder(input_for((1, 3, 224, 224)))
    for i, (stage, step) in enumerate(zip(stages, (8, 8, 4, 1), strict=True)):
        sample = stage.permute(0, 3, 1, 2)[:, ::8, ::step, ::step]
        # The official network's own float32 noise reaches 2e-5 of a standard deviation; stages are larger.
        torch.testing.assert_close(sample, frozen[f"stage{i}_sample"], rtol=0, atol=5e-4)
        normed = F.layer_norm(stage, stage.shape[-1:]).permute(0, 3, 1, 2)
        torch.testing.assert_close(features[i], normed)
    pooled = F.layer_norm(
        stages[-1], stages[-1].shape[-1:], state["classifier.norm.weight"], state["classifier.norm.bias"]
    ).mean((1, 2))
    logits = F.linear(pooled, state["classifier.head.weight"], state["classifier.head.bias"])
    torch.testing.assert_close(logits, frozen["logits"], rtol=0, atol=2e-4)


@pytest.mark.parametrize("version", ["v0", "v2"])
@pytest.mark.parametrize("taps", ["stages", "entries"])
@pytest.mark.parametrize("size", [(97, 141), (64, 64), (33, 1)])
@torch.no_grad()
def test_any_size(version: str, taps: str, size: tuple[int, int]) -> None:
    encoder = small(version, taps=taps)
    features = encoder(torch.randn(2, 3, *size))
    assert len(features) == len(encoder.channels) == len(encoder.strides)
    for feature, channels, stride in zip(features, encoder.channels, encoder.strides, strict=True):
        assert feature.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))
        assert feature.isfinite().all()


@torch.no_grad()
def test_incomplete_patches_repeat_the_edge() -> None:
    encoder = small("v0")
    image = torch.randn(1, 3, 61, 50)
    padded = F.pad(image, (0, 2, 0, 3), mode="replicate")
    for one, other in zip(encoder(image), encoder(padded), strict=True):
        assert torch.equal(one, other)


@torch.no_grad()
def test_entries_are_what_stages_begin_with() -> None:
    stages, entries = small("v2"), small("v2", taps="entries")
    entries.load_state_dict(without_norms(stages))
    image = torch.randn(1, 3, 64, 96)
    given = entries(image)
    x = stages.patch_embed(image)
    for i, stage in enumerate(stages.layers):
        torch.testing.assert_close(given[i], x.permute(0, 3, 1, 2))
        blocks, x = stage(x)
    torch.testing.assert_close(given[-1], blocks.permute(0, 3, 1, 2))


@pytest.mark.parametrize("version", ["v0", "v2"])
def test_every_parameter_learns(version: str) -> None:
    encoder = small(version).train()
    sum((f * torch.randn_like(f)).sum() for f in encoder(torch.randn(2, 3, 64, 64))).backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


def test_drop_path_grows_from_block_to_block() -> None:
    encoder = small("v0", drop_path=0.4)
    rates = [block.drop_path.drop_prob for stage in encoder.layers for block in stage.blocks]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


# ---------------------------------------------------------------------- checkpoints


def first_release(state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """v0 under the names of VMamba's first release."""
    pieces = [
        (".norm.", ".ln_1."),
        ("patch_embed.0.", "patch_embed.proj."),
        ("patch_embed.2.", "patch_embed.norm."),
        (".op.", ".self_attention."),
        (".downsample.1.", ".downsample.norm."),
        (".downsample.2.", ".downsample.reduction."),
    ]
    for name, value in state.items():
        for new, old in pieces:
            name = name.replace(new, old)
        yield name, value
    yield "norm.weight", torch.zeros(128)
    yield "head.weight", torch.zeros(1000, 128)


def flat(state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """v2 as it is released: projections flat."""
    for name, value in state.items():
        for kind in ("x_proj", "dt_projs"):
            if name.endswith(f"{kind}_weight"):
                name, value = name.replace(f"{kind}_weight", f"{kind}.weight"), value.flatten(0, 1)
        yield name, value
    yield "classifier.head.bias", torch.zeros(1000)


@pytest.mark.parametrize(("version", "release"), [("v0", first_release), ("v2", flat)])
@torch.no_grad()
def test_checkpoints_load(version: str, release: Any, tmp_path: Path) -> None:
    encoder = small(version)
    for parameter in encoder.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.1)
    published = {f"module.{k}": v.clone() for k, v in release(without_norms(encoder))}
    torch.save({"model": published, "epoch": 238, "max_accuracy": 83.5}, tmp_path / "vmamba.pth")
    loaded = small(version, weights=str(tmp_path / "vmamba.pth"))
    expected = without_norms(encoder)
    assert without_norms(loaded).keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in without_norms(loaded).items())


def test_wrong_checkpoints_are_refused_with_a_list(tmp_path: Path) -> None:
    state = without_norms(small("v0"))
    del state["layers.1.blocks.1.op.Ds"]
    state["layers.9.weight"] = torch.zeros(1)
    state["patch_embed.0.bias"] = torch.zeros(3)
    torch.save({"model": state}, tmp_path / "wrong.pth")
    with pytest.raises(ValueError, match="is not a checkpoint of this network") as caught:
        small("v0", weights=str(tmp_path / "wrong.pth"))
    message = str(caught.value)
    assert "1 unknown: layers.9.weight" in message
    assert "1 missing: layers.1.blocks.1.op.Ds" in message
    assert "1 of another shape: patch_embed.0.bias (3,), expected (16,)" in message


def test_missing_file_and_wrong_choices() -> None:
    with pytest.raises(FileNotFoundError, match=r"encoder\.weights='nowhere\.pth' is not 'none'"):
        small("v0", weights="nowhere.pth")
    with pytest.raises(ValueError, match="version must be 'v0' or 'v2'"):
        small("v1")
    with pytest.raises(ValueError, match="taps must be 'stages' or 'entries'"):
        small("v0", taps="all")


def test_sums_encoder_is_small_without_norms() -> None:
    with torch.device("meta"):
        encoder = instantiate(config("encoder", "vmamba_v0_small_sum"))
    assert encoder.strides == [4, 8, 16, 32, 32]
    assert parameters(encoder) == pytest.approx(43.65e6, abs=0.005e6)
