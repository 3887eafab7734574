"""SUM against the official network (Arhosseini77/SUM@2671626f), and on other encoders."""

from __future__ import annotations

import pytest
import torch
from reference.golden import manifest, outputs, parameters, published, stand_in, windowed
from reference.standin import input_for
from torch import Tensor

from saliency_pred.decoders.sum import SUM
from saliency_pred.model import SaliencyModel


@pytest.fixture(scope="module")
def official() -> SaliencyModel:
    """The published pair, with stand-in weights."""
    return published("sum", stand_in(manifest("sum")["entries"]))


def small(**options: object) -> SUM:
    torch.manual_seed(0)
    return SUM([16, 24, 32, 40], [4, 8, 16, 32], depths=(1, 1, 1, 1), states=2, token=8, **options).eval()  # type: ignore[arg-type]


def maps(height: int = 64, width: int = 96, batch: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(batch, c, -(-height // s), -(-width // s), generator=generator)
        for c, s in ((16, 4), (24, 8), (32, 16), (40, 32))
    ]


@torch.no_grad()
def test_equal_to_the_official_network(official: SaliencyModel) -> None:
    assert parameters(official) == manifest("sum")["parameters"] == 57_501_196
    frozen = outputs("sum")
    features = official.encoder(input_for((1, 3, 64, 64)))
    for condition in range(4):
        logits = official.decoder.sigmoid_logits(features, torch.tensor([condition]))
        # The official network itself differs by 2.5e-5 between float32 and float64; conditions by 0.8.
        torch.testing.assert_close(logits, frozen[f"logits64_cond{condition}"], rtol=0, atol=2e-4)
        given = official.decoder(features, torch.tensor([condition]))
        torch.testing.assert_close(given, logits.sigmoid().log())


@pytest.mark.slow
@torch.no_grad()
def test_equal_to_the_official_network_at_256(official: SaliencyModel) -> None:
    frozen = outputs("sum")
    features = official.encoder(input_for((1, 3, 256, 256)))
    for condition in range(4):
        logits = official.decoder.sigmoid_logits(features, torch.tensor([condition]))
        torch.testing.assert_close(logits[..., ::4, ::4], frozen[f"logits256_cond{condition}_s4"], rtol=0, atol=2e-4)
        window = windowed(logits, 96, 96)
        torch.testing.assert_close(window, frozen[f"logits256_cond{condition}_win"], rtol=0, atol=2e-4)


@torch.no_grad()
def test_each_image_has_its_own_condition() -> None:
    decoder = small()
    for level in decoder.levels:
        level.blocks[0].mlp[-1].weight.normal_()  # at its initial size, the condition is hardly felt
    features = maps()
    both = decoder(features, torch.tensor([0, 3]))
    for i, domain in enumerate((0, 3)):
        alone = decoder([f[i : i + 1] for f in features], torch.tensor([domain]))
        torch.testing.assert_close(both[i : i + 1], alone, rtol=0, atol=1e-5)
    assert (both[1] - decoder(features, torch.tensor([0, 0]))[1]).abs().max() > 1e-4


@torch.no_grad()
def test_unknown_and_unpublished_kinds_of_images() -> None:
    decoder = small()
    features = maps()
    assert torch.equal(decoder(features), decoder(features, torch.tensor([1, 1])))  # natural, eye tracking
    assert torch.equal(decoder(features, torch.tensor([4, 4])), decoder(features, torch.tensor([3, 3])))
    assert torch.equal(decoder(features, torch.tensor([5, 6])), decoder(features, torch.tensor([1, 1])))


@torch.no_grad()
def test_sizes_that_are_no_multiples() -> None:
    logits = small()(maps(197, 301, batch=1))
    assert logits.shape == (1, 1, 200, 304)
    assert logits.isfinite().all()


def test_every_parameter_learns() -> None:
    decoder = small(drop_path=0.1).train()
    logits = decoder(maps(batch=4), torch.tensor([0, 1, 2, 3]))
    (logits * torch.randn_like(logits)).sum().backward()
    idle = [n for n, p in decoder.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert idle == []


def test_drop_path_falls_from_deep_to_shallow() -> None:
    rates = [block.drop_path.drop_prob for level in small().levels for block in level.blocks]
    assert rates == pytest.approx([0.3, 0.2, 0.1, 0.0])


def test_finer_features_than_needed_are_left_alone() -> None:
    torch.manual_seed(0)
    decoder = SUM([8, 16, 24, 32, 40], [2, 4, 8, 16, 32], depths=(1, 1, 1, 1), states=2).eval()
    assert decoder([torch.zeros(1, 8, 32, 48), *maps(batch=1)]).shape == (1, 1, 64, 96)


@pytest.mark.parametrize(
    ("channels", "strides", "options", "message"),
    [
        ([8, 8], [8, 16], {}, "4 levels .* the encoder's last are \\[8, 16\\]"),
        ([8, 8, 8, 8], [4, 8, 16, 64], {}, "doubling strides"),
        ([8, 8, 8, 8, 16], [4, 8, 16, 32, 32], {}, "two deepest features must have equal channels"),
        ([8, 8, 8, 8], [4, 8, 16, 32], {"conditions": 2}, "must name conditions 0 to 1"),
    ],
)
def test_what_it_cannot_decode(channels: list[int], strides: list[int], options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SUM(channels, strides, **options)
