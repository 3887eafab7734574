"""A frozen encoder sees no image twice, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from saliency_pred.decoders.readout import Readout
from saliency_pred.features import FeatureCache
from saliency_pred.model import SaliencyModel


class Counting(nn.Module):
    """An encoder that says how many images it was shown."""

    mean = std = (0.5, 0.5, 0.5)

    def __init__(self, seed: int = 0, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.ModuleList([nn.Conv2d(3, 4, 8, 8), nn.Conv2d(3, 6, 16, 16)]).requires_grad_(False)
        self.channels, self.strides = [4, 6], [8, 16]
        self.scale = scale
        self.shown = 0

    def forward(self, image: Tensor) -> list[Tensor]:
        self.shown += len(image)
        return [layer(image) * self.scale for layer in self.layers]


def test_every_image_is_encoded_once_and_found_again_by_later_runs(tmp_path: Path) -> None:
    images = torch.rand(4, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    encoder = Counting()
    cache = FeatureCache(encoder, tmp_path)
    plain = [f.half().float() for f in Counting()(images)]
    by_image = [FeatureCache(Counting(), tmp_path / "alone")(image[None]) for image in images]
    alone = [torch.cat(tap) for tap in zip(*by_image, strict=True)]
    for order in ([0, 1], [1, 2], [3, 0, 1, 2], [2]):
        for found, one, whole in zip(cache(images[order]), alone, plain, strict=True):
            torch.testing.assert_close(found, whole[order], rtol=1e-3, atol=1e-6)  # one step of float16
            assert torch.equal(found, one[order]), "whatever else is in the batch"
    assert encoder.shown == 4
    cache(images.flip(-1))
    assert encoder.shown == 8, "a mirrored copy is another image"
    first, later = FeatureCache(Counting(), tmp_path), Counting()
    again = FeatureCache(later, tmp_path)
    for a, b, c in zip(first(images), again(images), cache(images), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
    assert later.shown == 0


def test_other_weights_and_damaged_files_are_computed_anew(tmp_path: Path) -> None:
    image = torch.rand(1, 3, 32, 48)
    before = FeatureCache(Counting(), tmp_path)(image)
    other = FeatureCache(Counting(seed=1), tmp_path)(image)
    assert not torch.allclose(before[0], other[0])
    for file in tmp_path.rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:20])
    assert torch.equal(FeatureCache(Counting(), tmp_path)(image)[0], before[0])


def test_what_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OverflowError, match="cache_features=null"):
        FeatureCache(Counting(scale=1e9), tmp_path)(torch.rand(1, 3, 32, 48))
    trained = Counting()
    trained.layers[0].weight.requires_grad_(True)
    with pytest.raises(ValueError, match=r"1 of its tensors are trained \(layers\.0\.weight"):
        FeatureCache(trained, tmp_path)


def test_a_model_predicts_and_learns_with_kept_features_as_without(tmp_path: Path) -> None:
    model = SaliencyModel(Counting(), Readout([4, 6], [8, 16], dropout=0.0))
    image = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(2))
    plain = model(image)
    model.feature_cache = FeatureCache(model.encoder, tmp_path)
    for _ in range(2):
        torch.testing.assert_close(model(image), plain, rtol=0, atol=5e-3)  # features have 11 bits
    model(image).square().mean().backward()
    assert model.decoder.layer1.weight.grad.abs().sum() > 0  # type: ignore[union-attr,operator]
    assert not [key for key in model.state_dict() if "cache" in key]
