"""Parts of earlier checkpoints go where they belong, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from saliency_pred.model import SaliencyModel
from saliency_pred.weights.checkpoint import build_model, save_checkpoint
from saliency_pred.weights.start import start_from


def config(pair: bool) -> dict[str, object]:
    encoder = {"_target_": "saliency_pred.encoders.juntingnet.JuntingNetEncoder"}
    if pair:
        both = {"image": dict(encoder), "temporal": dict(encoder)}
        encoder = {"_target_": "saliency_pred.encoders.parallel.ParallelEncoder", "encoders": both}  # type: ignore
    return {"encoder": encoder, "decoder": {"_target_": "saliency_pred.decoders.readout.Readout"}}


def saved(path: Path) -> SaliencyModel:
    cfg = OmegaConf.create(config(pair=False))
    model = build_model(cfg)
    save_checkpoint(path, model, cfg)
    return model


def test_a_whole_checkpoint_and_parts_of_one(tmp_path: Path) -> None:
    source = saved(tmp_path / "one.safetensors")
    same = build_model(OmegaConf.create(config(pair=False)))
    start_from(same, tmp_path / "one.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(same.parameters(), source.parameters(), strict=True))

    pair = build_model(OmegaConf.create(config(pair=True)))
    image_before = pair.encoder.encoders["image"].layers[0].weight.clone()
    piece = {
        "ckpt": str(tmp_path / "one.safetensors"),
        "part": "encoder",
        "into": "encoder.encoders.temporal",
    }
    start_from(pair, [piece])
    assert torch.equal(pair.encoder.encoders["temporal"].layers[0].weight, source.encoder.layers[0].weight)
    assert torch.equal(pair.encoder.encoders["image"].layers[0].weight, image_before)


def test_wrong_parts_are_named(tmp_path: Path) -> None:
    path = str(tmp_path / "one.safetensors")
    saved(tmp_path / "one.safetensors")
    pair = build_model(OmegaConf.create(config(pair=True)))
    with pytest.raises(ValueError, match=r"has no part 'encode'; it has encoder"):
        start_from(pair, [{"ckpt": path, "part": "encode"}])
    with pytest.raises(ValueError, match="does not fit"):
        start_from(pair, [{"ckpt": path, "part": "encoder"}])
    with pytest.raises(ValueError, match="takes ckpt, part and into"):
        start_from(pair, [{"ckpt": path, "to": "encoder"}])
    with pytest.raises(FileNotFoundError):
        start_from(pair, tmp_path / "absent.ckpt")
