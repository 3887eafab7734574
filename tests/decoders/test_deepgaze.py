"""DeepGaze I, and the read-outs of IIE and III, equal the official ones; MSDB keeps its promises.

Tolerance: log densities near -10 with float32 noise of 2e-6; the limit is ten times that.
"""

from __future__ import annotations

import math

import pytest
import torch
from reference.golden import manifest, outputs, parameters, published, stand_in, windowed
from reference.standin import input_for

from saliency_pred.decoders.deepgaze import DeepGaze, replicate_blur
from saliency_pred.decoders.deepgaze_msdb import DeepGazeMSDB
from saliency_pred.density import CentreBias
from saliency_pred.weights.published.deepgaze_readout import convert_readout


def assert_equal(actual: torch.Tensor, expected: torch.Tensor, atol: float = 2e-5) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


def centre_bias(size: tuple[int, int]) -> torch.Tensor:
    c = input_for((1, *size), 7)
    return (c - c.logsumexp((-2, -1), keepdim=True))[None]


@torch.no_grad()
def test_deepgaze1_equals_the_official_network() -> None:
    entries = {n: s for n, s in manifest("deepgaze1")["entries"].items() if "classifier" not in n}
    state = stand_in(entries) | {"finalizer.gauss.sigma": torch.tensor(8.0)}
    model = published("deepgaze1", state)
    image = (127.5 + 50 * input_for((1, 3, 240, 317))) / 255
    density = model.decoder.log_density(model.features(image), (240, 317), centre_bias((240, 317)))
    expected = outputs("deepgaze1")
    assert_equal(density[:, 0, ::4, ::4], expected["log_density_s4"])
    assert_equal(windowed(density[:, 0], 88, 126), expected["log_density_win"])
    classifier = 9216 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    assert parameters(model) + classifier == manifest("deepgaze1")["parameters"] == 61_101_098


def readout(name: str, channels: list[int], backbones: list[int], components: int, **options: int) -> DeepGaze:
    decoder = DeepGaze(channels, [8] * len(channels), backbones, components, **options)
    sigma = "models.{}.finalizers.{}.gauss.sigma" if len(backbones) > 1 else "finalizers.{1}.gauss.sigma"
    sigmas = {
        sigma.format(backbone, component): torch.tensor(8.0)
        for backbone in range(len(backbones))
        for component in range(components)
    }
    state = convert_readout(stand_in(manifest(name)["entries"]) | sigmas)
    state["centre_bias"] = decoder.centre_bias
    decoder.load_state_dict(state)
    assert parameters(decoder) == manifest(name)["parameters"]
    return decoder


@torch.no_grad()
def test_deepgaze2e_readout_equals_the_official_one() -> None:
    decoder = readout("deepgaze2e_readout", [1024, 512, 512, 1000, 1048], [3, 2], 3)
    shapes = [(1024, 10, 13), (512, 5, 7), (512, 5, 7), (1000, 9, 12), (1048, 4, 6)]
    features = [input_for((1, *s), seed) for s, seed in zip(shapes, (100, 101, 102, 200, 201), strict=True)]
    density = decoder.log_density(features, (150, 203), centre_bias((150, 203)))
    assert_equal(density, outputs("deepgaze2e_readout")["log_density"])


@torch.no_grad()
def test_deepgaze3_readout_equals_the_official_one() -> None:
    decoder = readout("deepgaze3_readout", [1888, 128, 32], [3], 2, history=4, readout_stride=8, map_factor=4)
    features = [input_for((1, c, 12, 15), seed) for c, seed in ((1888, 300), (128, 301), (32, 302))]
    # Officially a pixel's centre is its index; here it is half a pixel further.
    x = torch.tensor([[101.5, 20.0, 180.0, 60.25]]) + 0.5
    y = torch.tensor([[75.0, 130.5, 10.0, 99.0]]) + 0.5
    expected = outputs("deepgaze3_readout")
    prior = centre_bias((150, 203))
    assert_equal(decoder.log_density(features, (150, 203), prior, (x, y)), expected["log_density"])
    x[:, 2:], y[:, 2:] = math.nan, math.nan
    two = decoder.log_density(features, (150, 203), prior, (x, y))
    assert_equal(two, expected["log_density_two_fixations"])
    with pytest.raises(ValueError, match="conditioned on 4 past fixations, got 2"):
        decoder.log_density(features, (150, 203), prior, (x[:, :2], y[:, :2]))


def test_backbones_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="are 3 features, the encoder has 2"):
        DeepGaze([4, 4], [8, 8], backbones=[1, 2])


def test_blur_keeps_a_constant_and_learns_its_width() -> None:
    sigma = torch.tensor(2.0, requires_grad=True)
    assert_equal(replicate_blur(torch.full((1, 1, 20, 30), 3.0), sigma), torch.full((1, 1, 20, 30), 3.0))
    point = torch.zeros(1, 1, 41, 41)
    point[..., 20, 20] = 1
    peak = replicate_blur(point, sigma)[0, 0, 20, 20]
    peak.backward()
    # The peak of a Gaussian is 1 / (2 pi sigma^2), to the kernel's cut: it falls with a wider blur.
    assert peak.item() == pytest.approx(1 / (2 * math.pi * 4), rel=0.01)
    assert sigma.grad is not None
    assert sigma.grad.item() == pytest.approx(-2 / (2 * math.pi * 8), rel=0.05)


@pytest.fixture
def msdb() -> DeepGazeMSDB:
    torch.manual_seed(0)
    decoder = DeepGazeMSDB([6, 4, 6, 4], [8, 16, 16, 32], scales=2, domains=3)
    with torch.no_grad():
        decoder.scale_weights.copy_(torch.tensor([[9.0, -9.0], [-9.0, 9.0], [0.0, 0.0]]))
        decoder.sigma.copy_(torch.tensor([1.0, 2.0, 6.0]))
        decoder.centre_bias_weight.copy_(torch.tensor([0.0, 1.0, 2.0]))
        decoder.log_priority_scaling.copy_(torch.tensor([0.5, 1.0, 1.5]))
    return decoder


def msdb_features(batch: int) -> list[torch.Tensor]:
    shapes = [(6, 12, 16), (4, 6, 8), (6, 6, 8), (4, 3, 4)]
    return [input_for((batch, *shape), seed) for seed, shape in enumerate(shapes)]


@torch.no_grad()
def test_msdb_weighs_scales_by_domain(msdb: DeepGazeMSDB) -> None:
    features = msdb_features(1)
    changed = [*features[:2], *(f.flip(-1) for f in features[2:])]
    first, second = torch.tensor([0]), torch.tensor([1])
    assert_equal(msdb(features, first), msdb(changed, first), 1e-4)  # its weight there is exp(-18)
    assert (msdb(features, second) - msdb(changed, second)).abs().max() > 1e-3


@torch.no_grad()
def test_msdb_mixed_batch_and_unknown_domains(msdb: DeepGazeMSDB) -> None:
    features = msdb_features(3)
    mixed = msdb(features, torch.tensor([2, -1, 0]))
    for index, domain in enumerate((torch.tensor([2]), None, torch.tensor([0]))):
        alone = msdb([f[index : index + 1] for f in features], domain)
        assert_equal(mixed[index : index + 1], alone)
    same = DeepGazeMSDB([6, 4, 6, 4], [8, 16, 16, 32], scales=2, domains=1)
    state = {n: v for n, v in msdb.state_dict().items() if n.startswith(("readout", "centre_bias"))}
    state = {n: v for n, v in state.items() if n != "centre_bias_weight"}
    state |= {n: getattr(msdb, n).mean(0, keepdim=True) for n in ("scale_weights", "sigma", "centre_bias_weight")}
    same.load_state_dict(state | {"log_priority_scaling": torch.zeros(1)})
    assert_equal(msdb(features, None), same(features, torch.zeros(3, dtype=torch.long)))


@torch.no_grad()
def test_fitted_centre_bias_enters_by_its_weight(msdb: DeepGazeMSDB) -> None:
    features = msdb_features(1)
    before = {d: msdb(features, torch.tensor([d])) for d in (0, 1)}
    density = torch.zeros(1, 8, 8, dtype=torch.float64) + 0.5 / 63
    density[0, 3, 3] = 0.5
    msdb.fit_centre_bias(CentreBias(density))
    assert_equal(msdb(features, torch.tensor([0])), before[0])  # weight 0
    gained = msdb(features, torch.tensor([1])) - before[1]
    row, column = divmod(int(gained.flatten().argmax()), gained.shape[-1])
    assert (row // 12, column // 16) == (3, 3)
