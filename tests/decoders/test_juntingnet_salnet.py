"""JuntingNet and SalNet have the published layers: parameters and sizes counted by hand.

Their official weights are a pickle of nolearn objects and a Caffe file, so no output was frozen.
"""

from __future__ import annotations

import pytest
import torch
from reference.golden import build, parameters

from saliency_pred.decoders.salnet import log_of_regression


def test_juntingnet() -> None:
    model = build("juntingnet", "juntingnet")
    convolutions = (32 * 3 * 25 + 32) + (64 * 32 * 9 + 64) + (64 * 64 * 9 + 64)
    dense = (64 * 10 * 10 * 4608 + 4608) + (2304 * 2304 + 2304)
    assert parameters(model) == convolutions + dense == 34_864_384
    features = model.features(torch.rand(2, 3, 96, 96))
    assert features[0].shape == (2, 64, 10, 10)  # 96 -> 92 -> 46 -> 44 -> 22 -> 20 -> 10
    assert model.decoder(features).shape == (2, 1, 48, 48)


@torch.no_grad()
def test_juntingnet_maxout_takes_the_larger_of_neighbouring_units() -> None:
    decoder = build("juntingnet", "juntingnet").decoder
    decoder.hidden.weight.zero_()
    decoder.hidden.bias.copy_(torch.arange(4608.0))
    decoder.output.weight.copy_(torch.eye(2304))
    decoder.output.bias.zero_()
    regression = decoder.regression([torch.zeros(1, 64, 10, 10)])
    assert torch.equal(regression.flatten(), torch.arange(1.0, 4608.0, 2.0))


@torch.no_grad()
def test_salnet() -> None:
    """25.8 M parameters, as the paper states; a quarter of the size inside, the whole at the end."""
    model = build("salnet", "salnet")
    layers = [(3, 96, 7), (96, 256, 5), (256, 512, 3), (512, 512, 5), (512, 512, 5), (512, 256, 7)]
    layers += [(256, 128, 11), (128, 32, 11), (32, 1, 13)]
    counted = sum(i * o * k * k + o for i, o, k in layers) + 8 * 8
    assert parameters(model) == counted == 25_806_209
    features = model.features(torch.rand(1, 3, 120, 160))
    assert features[0].shape == (1, 512, 30, 40)
    assert model.decoder(features).shape == (1, 1, 120, 160)


def test_regressions_become_positive_without_losing_their_gradient() -> None:
    x = torch.tensor([-100.0, -1.0, 0.0, 0.2, 0.5, 1.0], requires_grad=True)
    y = log_of_regression(x)
    assert y.isfinite().all()
    assert y[3:].exp().tolist() == pytest.approx([0.2, 0.5, 1.0], rel=0.01)
    y[1].backward()
    assert x.grad is not None
    assert x.grad[1].item() == pytest.approx(20, rel=0.01)
