"""Checkpoint files: exact there and back, and nothing but a clear refusal for every other file."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import save_file

from saliency_pred.density import CentreBias
from saliency_pred.fixations import Fixations
from saliency_pred.weights.checkpoint import CONFIG_KEY, build_model, load_checkpoint, save_checkpoint
from saliency_pred.weights.published.load import read

CONFIG = OmegaConf.create(
    {
        "encoder": {
            "_target_": "saliency_pred.encoders.timm.TimmEncoder",
            "name": "test_efficientnet",
            "weights": "none",
            "taps": ["blocks.1", "blocks.3"],
        },
        "decoder": {"_target_": "saliency_pred.decoders.readout.Readout", "num_windows": 2},
        "prior": {"_target_": "saliency_pred.model.CentreBiasPrior"},
        "loader": {"size": [32, 48], "resize": "pad"},
    }
)
NO_MODEL = "describes no model of this package"


def write_ckpt(path: Path, config: object, state: Any, **options: bool) -> Path:
    """As a training run lays its files out."""
    torch.save({"state_dict": state, CONFIG_KEY: config, "epoch": 3, "optimizer_states": [{}]}, path, **options)
    return path


@pytest.mark.parametrize("kind", ["safetensors", "ckpt"])
def test_every_tensor_comes_back_bit_for_bit(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build_model(CONFIG).train()
    model(torch.rand(2, 3, 32, 48))  # moves the running statistics, which must be kept too
    bias = CentreBias.fit([Fixations.of([3.0, 9.0], [2.0, 5.0], (10, 12))])
    path = tmp_path / f"model.{kind}"
    if kind == "safetensors":
        save_checkpoint(path, model, CONFIG, bias)
    else:
        state = {f"model.{k}": v for k, v in model.state_dict().items()} | {"centre_bias": bias.density.float()}
        write_ckpt(path, OmegaConf.to_yaml(CONFIG), state)
    loaded = load_checkpoint(path)
    assert not loaded.model.training
    mine, theirs = model.state_dict(), loaded.model.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[k], theirs[k]) for k in mine)
    assert loaded.config == CONFIG
    assert loaded.model.num_windows == 2
    assert loaded.centre_bias is not None
    assert torch.equal(loaded.centre_bias.density.float(), bias.density.float())
    assert loaded.centre_bias.density.dtype == torch.float64


def test_pretrained_weights_are_not_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(CONFIG)
    pretrained = OmegaConf.merge(CONFIG, {"encoder": {"weights": "hub"}})
    assert isinstance(pretrained, DictConfig)
    save_checkpoint(tmp_path / "model.safetensors", model, pretrained)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert load_checkpoint(tmp_path / "model.safetensors").config.encoder.weights == "hub", "kept as it was trained"


def test_a_config_in_a_file_runs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    evil = {"_target_": "pathlib.Path.touch", "_args_": [{"_target_": "pathlib.Path", "_args_": [str(mark)]}]}
    for node in ({"weights": "${evil}"}, {"name": evil}, {"_target_": "pathlib.Path", "_args_": ["x"]}):
        hostile = OmegaConf.merge(CONFIG, {"evil": evil, "encoder": node})
        write_ckpt(tmp_path / "hostile.ckpt", OmegaConf.to_yaml(hostile), {})
        with pytest.raises(ValueError, match="is refused"):
            load_checkpoint(tmp_path / "hostile.ckpt")
        assert not mark.exists()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("a: [1", NO_MODEL),
        ("just words", NO_MODEL),
        ("x: 1", "it has no encoder and decoder"),
        ("encoder: ${nope}\ndecoder: {a: 1}", "'nope' not found"),
        ("encoder: {name: resnet18}\ndecoder: {a: 1}", NO_MODEL),
        ("encoder: null\ndecoder: null", NO_MODEL),
        ("encoder: {_target_: saliency_pred.encoders.timm.TimmEncoder, nme: resnet18}\ndecoder: {}", "'name'"),
        (5, "carries no configuration"),
        (None, "carries no configuration"),
    ],
)
def test_configurations_that_describe_no_model(config: object, words: str, tmp_path: Path) -> None:
    path = write_ckpt(tmp_path / "odd.ckpt", config, {})
    with pytest.raises(ValueError, match=words) as caught:
        load_checkpoint(path)
    assert "odd.ckpt" in str(caught.value)


def test_other_peoples_files(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.ckpt")
    torch.save({"state_dict": [torch.zeros(2)], CONFIG_KEY: OmegaConf.to_yaml(CONFIG)}, tmp_path / "state.ckpt")
    save_file({"a": torch.zeros(2)}, tmp_path / "plain.safetensors")
    for name in ("list.ckpt", "state.ckpt", "plain.safetensors"):
        with pytest.raises(ValueError, match=f"{name} carries no configuration"):
            load_checkpoint(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("kind", ["ckpt", "legacy.ckpt", "safetensors"])
@pytest.mark.filterwarnings("ignore")  # a flipped bit may be an escape sequence that Python warns of
def test_damage_anywhere_is_a_value_error_that_names_the_file(kind: str, tmp_path: Path) -> None:
    """Files cut at any place, with bytes changed anywhere, or of random bytes altogether."""
    state = {"model.a": torch.rand(5, 5), "model.b": torch.rand(3)}
    path = tmp_path / f"whole.{kind}"
    if kind == "safetensors":
        save_file(state, path, {CONFIG_KEY: OmegaConf.to_yaml(CONFIG)})
    else:
        write_ckpt(path, OmegaConf.to_yaml(CONFIG), state, _use_new_zipfile_serialization=kind == "ckpt")
    whole = path.read_bytes()
    rng = random.Random(0)
    broken = tmp_path / f"broken.{kind}"
    for number in range(240):
        if number % 3 == 0:
            content = whole[: rng.randrange(len(whole))]
        elif number % 3 == 1:
            changed = bytearray(whole)
            for _ in range(rng.randrange(1, 20)):
                changed[rng.randrange(len(whole))] = rng.randrange(256)
            content = bytes(changed)
        else:
            content = rng.randbytes(rng.randrange(1, 300))
        broken.write_bytes(content)
        with pytest.raises(ValueError, match=r"broken\."):  # also the whole file's tensors fit no network
            load_checkpoint(broken)
        with contextlib.suppress(ValueError):  # changed bytes within a tensor cannot be told from others
            read(broken)  # for `saliency import`
