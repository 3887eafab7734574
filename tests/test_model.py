"""Encoder, decoder and prior together; checkpoints that carry them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from saliency_pred.decoders.aspp import ASPP
from saliency_pred.decoders.fpn import FPN
from saliency_pred.decoders.readout import Readout, Standardise
from saliency_pred.decoders.unet import UNet
from saliency_pred.density import CentreBias
from saliency_pred.fixations import Fixations
from saliency_pred.model import CentreBiasPrior, SaliencyModel
from saliency_pred.weights.checkpoint import build_model, load_checkpoint, save_checkpoint


class Plain(nn.Module):
    """An encoder whose feature is the image, a decoder that sums it: every pixel on its own."""

    channels, strides = [3], [1]
    mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    num_windows = 1

    def forward(self, image: Tensor | list[Tensor], domain: Tensor | None = None) -> Tensor | list[Tensor]:
        return image[0].sum(1, keepdim=True) if isinstance(image, list) else [image]


def bias() -> CentreBias:
    return CentreBias.fit([Fixations.of([30.0, 50.0, 60.0], [20.0, 25.0, 30.0], (60, 80))])


def test_prior_is_laid_over_the_image_not_over_the_padding() -> None:
    prior = CentreBiasPrior()
    prior.fit(bias())
    model = SaliencyModel(Plain(), Plain(), prior)
    image = torch.rand(1, 3, 30, 40, generator=torch.Generator().manual_seed(0))
    alone = model.log_density(image)[0]
    padded = torch.full((2, 3, 50, 50), 0.5)
    padded[:, :, 10:40, 4:44] = image
    padded[1, :, :10] = 1.0  # what the padding shows must not matter
    valid = torch.zeros(2, 50, 50, dtype=torch.bool)
    valid[:, 10:40, 4:44] = True
    for density in model.log_density(padded, valid):
        torch.testing.assert_close(density, alone, rtol=0, atol=2e-5)


def test_log_densities_sum_to_one_at_the_original_size() -> None:
    model = SaliencyModel(Plain(), Plain())
    sizes = torch.tensor([[61, 83], [7, 3]])
    for density, size in zip(model.log_density(torch.rand(2, 3, 16, 24), original_size=sizes), sizes, strict=True):
        assert density.shape == (1, *size.tolist())
        assert density.double().exp().sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", [Readout, FPN, ASPP, UNet])
@pytest.mark.parametrize("windows", [1, 3])
def test_general_decoders_take_odd_sizes_and_train_every_parameter(kind: type[nn.Module], windows: int) -> None:
    channels, strides = [8, 16, 24, 32], [4, 8, 16, 32]
    decoder = kind(channels, strides, num_windows=windows)
    features = [torch.rand(2, c, -(-197 // s), -(-301 // s)) for c, s in zip(channels, strides, strict=True)]
    logits = decoder(features)
    assert logits.shape[:2] == (2, windows)
    logits.square().mean().backward()
    unused = [n for n, p in decoder.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not unused


def test_standardising_sees_the_statistics_of_all_features() -> None:
    features = [torch.randn(2, 3, n, n, generator=torch.Generator().manual_seed(n)) * 4 + 7 for n in (5, 9, 12)]
    layer = Standardise(3)
    for feature in features:
        layer.observe(feature)
    cells = torch.cat([layer(f).flatten(2).transpose(0, 1).flatten(1) for f in features], 1)
    torch.testing.assert_close(cells.mean(1), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(cells.std(1, correction=0), torch.ones(3), atol=1e-3, rtol=0)


CONFIG = OmegaConf.create(
    {
        "encoder": {"_target_": "saliency_pred.encoders.timm.TimmEncoder", "name": "resnet18", "weights": "none"},
        "decoder": {"_target_": "saliency_pred.decoders.readout.Readout"},
        "prior": {"_target_": "saliency_pred.model.CentreBiasPrior"},
        "loader": {"size": [32, 48], "resize": "pad"},
    }
)


def test_a_checkpoint_alone_rebuilds_the_model_bit_for_bit(tmp_path: Path) -> None:
    model = build_model(CONFIG).eval()
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, model, CONFIG, bias())
    loaded = load_checkpoint(path)
    image = torch.rand(1, 3, 32, 48)
    assert torch.equal(loaded.model(image), model(image))
    assert loaded.centre_bias is not None
    torch.testing.assert_close(loaded.centre_bias.density, bias().density, rtol=0, atol=1e-8)
    assert loaded.config == CONFIG
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/saliency_pred_was_here",)


def test_files_that_are_no_checkpoint_are_refused_with_the_reason(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "saliency_pred_config": Evil()}, tmp_path / "evil.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    (tmp_path / "damaged.ckpt").write_bytes(b"PK\x03\x04 no zip")
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")
    hostile = OmegaConf.merge(CONFIG, {"encoder": {"_target_": "os.system", "command": "true"}})
    save_checkpoint(tmp_path / "hostile.safetensors", build_model(CONFIG), hostile)  # type: ignore[arg-type]
    wrong = OmegaConf.merge(CONFIG, {"decoder": {"width": 7}})
    save_checkpoint(tmp_path / "wrong.safetensors", build_model(CONFIG), wrong)  # type: ignore[arg-type]
    for name, words in {
        "evil.ckpt": "holds more than tensors",
        "foreign.ckpt": "saliency import",
        "damaged.ckpt": "is damaged",
        "damaged.safetensors": "no safetensors file",
        "hostile.safetensors": r"os\.system is refused",
        "wrong.safetensors": "do not fit",
    }.items():
        with pytest.raises(ValueError, match=words):
            load_checkpoint(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "absent.ckpt")
