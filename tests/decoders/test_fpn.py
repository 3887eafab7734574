"""The feature pyramid: how its levels are joined."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from saliency_pred.decoders.fpn import FPN
from saliency_pred.decoders.readout import Readout

CHANNELS, STRIDES = [3, 5, 6, 7], [4, 8, 16, 16]


def features() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, c, 96 // s, 128 // s, generator=generator) for c, s in zip(CHANNELS, STRIDES, strict=True)]


def test_without_its_own_layers_it_is_the_sum_of_the_taps() -> None:
    """Two levels, where enlarging step by step is enlarging at once: the read-out with the same weights."""
    torch.manual_seed(0)
    pyramid = FPN(CHANNELS, STRIDES).eval()
    for layer in pyramid.layers:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    flat = Readout(CHANNELS, STRIDES).eval()
    flat.load_state_dict({k: v for k, v in pyramid.state_dict().items() if not k.startswith(("layers.", "norms."))})
    torch.testing.assert_close(pyramid(features()), flat(features()), rtol=0, atol=1e-5)


def test_a_level_adds_its_layer_to_what_came_from_the_coarser_one() -> None:
    """Step by step as in the paper's figure 3, with a residual layer in place of its plain one."""
    torch.manual_seed(0)
    pyramid = FPN(CHANNELS, STRIDES).eval()
    # Not yet fitted, standardising divides by 1 + 1e-3.
    quarter, fine, one, two = (project(f / 1.001) for project, f in zip(pyramid.project, features(), strict=True))
    coarse = one + two
    coarse = coarse + pyramid.layers[0](F.softplus(pyramid.norms[0](coarse)))
    finest = fine + F.interpolate(coarse, scale_factor=2, mode="bilinear")
    finest = finest + F.interpolate(quarter, size=(12, 16), mode="bilinear", antialias=True)
    finest = finest + pyramid.layers[1](F.softplus(pyramid.norms[1](finest)))
    torch.testing.assert_close(pyramid.merged(features()), finest, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("strides", "levels"), [([4, 8, 16, 32], [32, 16, 8]), ([16, 32], [32, 16]), ([2, 4], [8])])
def test_levels_are_the_strides_from_the_finest_wanted_one_on(strides: list[int], levels: list[int]) -> None:
    pyramid = FPN([4] * len(strides), strides, stride=8).eval()
    assert pyramid.levels == levels
    logits = pyramid([torch.randn(1, 4, 96 // s, 128 // s) for s in strides])
    assert tuple(logits.shape) == (1, 1, 24, 32)  # half the stride, whatever the taps are


def test_an_even_picture_is_even_up_to_its_border() -> None:
    """Zeros around the map would be seen as an edge there."""
    torch.manual_seed(0)
    even = [torch.full_like(f, 0.1 * i) for i, f in enumerate(features())]
    logits = FPN(CHANNELS, STRIDES).eval()(even)
    torch.testing.assert_close(logits, logits[:, :, :1, :1].expand_as(logits), rtol=0, atol=1e-5)
