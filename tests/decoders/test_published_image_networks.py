"""Every published image network equals its official implementation, given the same weights.

Tolerances: the official networks' own differences between float32 and float64, and between one thread and
two, are 5e-7 (TranSalNet, MDS-ViTNet; their logits spread by .025) to 3.5e-6 (TempSAL; spread .1 to .3); the
limits are about ten times that. They are far below what any mistake moves: a wrong epsilon of TempSAL's
batch norm 8e-4, position maps left out of TranSalNet 1e-3, another corner rule .17.
"""

from __future__ import annotations

import pytest
import torch
from reference.golden import manifest, outputs, parameters, published, stand_in, windowed
from reference.standin import input_for, tensor_for

from saliency_pred.model import SaliencyModel


def assert_equal(actual: torch.Tensor, expected: torch.Tensor, atol: float) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("transalnet_res", 72_510_977),
        pytest.param("transalnet_dense", 76_560_065, marks=pytest.mark.slow),  # 10 s
    ],
)
@torch.no_grad()
def test_transalnet_equals_the_official_network(name: str, count: int) -> None:
    model = published(name, stand_in(manifest(name)["entries"]))
    assert parameters(model) == manifest(name)["parameters"] == count
    features = model.features(input_for((1, 3, 288, 384)))
    logits = model.decoder.sigmoid_logits(features)
    expected = outputs(name)
    assert_equal(logits[..., ::4, ::4], expected["logits_s4"], 5e-6)
    assert_equal(windowed(logits, 112, 160), expected["logits_win"], 5e-6)
    assert_equal(model.decoder(features), torch.nn.functional.logsigmoid(logits), 0)


@pytest.mark.slow  # 81.7 M parameters, 20 s
@pytest.mark.parametrize(
    ("golden", "importer", "count"),
    [("tempsal_image", "simplenet", 116_209_060), ("tempsal_temporal", "tempsal_temporal", 116_154_024)],
)
@torch.no_grad()
def test_tempsal_branches_equal_the_official_networks(golden: str, importer: str, count: int) -> None:
    model = published(importer, stand_in(manifest(golden)["entries"]))
    unused_classifier = 4320 * 1001 + 1001
    assert parameters(model) + unused_classifier == manifest(golden)["parameters"] == count
    features = model.encoder(input_for((1, 3, 256, 256)))  # the case's input is already normalised
    logits = model.decoder.sigmoid_logits(features)
    expected = outputs(golden)
    step = 4 if "logits_s4" in expected else 8
    assert_equal(logits[..., ::step, ::step], expected[f"logits_s{step}"], 2e-5)
    assert_equal(windowed(logits, 96, 96), expected["logits_win"], 2e-5)


@pytest.mark.slow  # 234 M parameters, 60 s, 3 GB
@torch.no_grad()
def test_tempsal_equals_the_official_network() -> None:
    entries = dict(manifest("tempsal_full")["entries"])
    for branch, prefix in (("tempsal_image", "pnas_sal"), ("tempsal_temporal", "pnas_vol")):
        of_branch = manifest(branch)["entries"]
        entries |= {f"{prefix}.module.module.{name}": shape for name, shape in of_branch.items()}
    model = published("tempsal", stand_in(entries), return_slices=True)
    unused_classifiers = 2 * (4320 * 1001 + 1001)
    assert parameters(model) + unused_classifiers == manifest("tempsal_full")["parameters"] == 242_519_087
    image = input_for((1, 3, 256, 256))
    features = [f for encoder in model.encoder.encoders.values() for f in encoder(image)]
    logits = model.decoder.sigmoid_logits(features)
    expected = outputs("tempsal_full")
    assert_equal(logits[:, :1, ::4, ::4], expected["logits_s4"], 2e-5)
    assert_equal(windowed(logits[:, :1], 96, 96), expected["logits_win"], 2e-5)
    slices = logits[:, 1:].sigmoid()
    assert_equal((slices / slices.amax())[..., ::8, ::8], expected["slices_s8"], 2e-5)


@pytest.mark.slow  # attention over 6912 cells, 40 s, 4 GB
@torch.no_grad()
def test_mds_vitnet_equals_the_official_network() -> None:
    case = manifest("mds_vitnet")
    state = stand_in(case["entries"]) | stand_in(case["entries_merge"])
    model = published("mds_vitnet", state)
    assert parameters(model.decoder.merge) == case["parameters_merge"] == 333_985
    assert parameters(model) - 333_985 == case["parameters"] == 111_469_900
    features = model.encoder(input_for((1, 3, 288, 384)))
    decoders = model.decoder.decoder_logits(features)
    merged = model.decoder.merge(decoders.sigmoid())
    two_maps = [input_for((1, 1, 288, 384), seed).double().sigmoid().float() for seed in (2, 3)]
    merge_only = model.decoder.merge(torch.cat(two_maps, dim=1))
    expected = outputs("mds_vitnet")
    for logits, name in (
        (decoders[:, :1], "logits_decoder_1"),
        (decoders[:, 1:], "logits_decoder_2"),
        (merged, "logits_merged"),
        (merge_only, "merge_only_logits"),
    ):
        assert_equal(logits[..., ::4, ::4], expected[f"{name}_s4"], 5e-6)
        assert_equal(windowed(logits, 112, 160), expected[f"{name}_win"], 5e-6)


@torch.no_grad()
def test_msi_net_equals_tensorflow() -> None:
    """The official code needs TensorFlow 1; its layer list was run with TensorFlow 2's operations.

    The image, of odd size, is 127.5 + 50 x the stand-in input, in 0..255 and beyond. Linear outputs spread by
    0.2; float32 noise of the deepest network is about 1e-5 of the input's scale.
    """
    case = manifest("msi_net")
    state = {}
    for name, shape in case["entries"].items():
        if name.endswith("kernel"):
            height, width, inputs, outs = shape
            state[name] = tensor_for(name, (outs, inputs, height, width)).permute(2, 3, 1, 0)
        else:
            state[name] = tensor_for(name, shape)
    model = published("msi_net", state)
    assert parameters(model) == case["parameters"]
    image = (127.5 + 50 * input_for((1, 3, 197, 150))) / 255
    features = model.features(image)
    linear = model.decoder.linear_output(features)
    saliency = model.decoder(features).exp() - 1e-7
    expected = outputs("msi_net")
    tolerance = 1e-4 * expected["linear_s4"].std().item()
    assert_equal(linear[..., ::4, ::4], expected["linear_s4"], tolerance)
    assert_equal(windowed(linear, 64, 64), expected["linear_win"], tolerance)
    assert_equal(saliency[..., ::4, ::4], expected["map_s4"], 1e-5)
    assert_equal(saliency[..., -32:, -32:], expected["map_corner"], 1e-5)


UNISAL_CASES = {  # copy of the domain parameters, frames, size
    "dhf1k": (0, 6, (224, 384)),
    "hollywood": (1, 6, (224, 416)),
    "ucfsports": (2, 6, (256, 384)),
    "salicon": (3, 1, (288, 384)),
    "dhf1k_still": (0, 1, (224, 384)),
}


@pytest.fixture(scope="module")
def unisal() -> SaliencyModel:
    return published("unisal", stand_in(manifest("unisal")["entries"]))


@pytest.mark.parametrize("case", UNISAL_CASES)
@torch.no_grad()
def test_unisal_equals_the_official_network(case: str, unisal: SaliencyModel) -> None:
    """Log densities near -11.4 spread by .02; one float32 step there is 1e-6, the limit the official 1e-5."""
    assert parameters(unisal) == manifest("unisal")["parameters"] == 3_714_872
    copy, frames, size = UNISAL_CASES[case]
    image = input_for((1, frames, 3, *size))
    image = image.transpose(1, 2) if frames > 1 else image[:, 0]
    features = unisal.encoder(image)
    logits, state = unisal.decoder.run(features, torch.tensor([copy]))
    density = logits.flatten(2).log_softmax(-1).unflatten(-1, size)
    expected = outputs("unisal")
    key, step = next((k, s) for k, s in ((f"{case}_s8", 8), (case, 8), (case, 4)) if matches(expected, k, s, size))
    assert_equal(density[..., ::step, ::step], expected[key][:, :, 0], 1e-5)
    if f"{case}_top_left" in expected:
        assert_equal(density[..., :48, :64], expected[f"{case}_top_left"][:, :, 0], 1e-5)
        assert_equal(density[..., -48:, -64:], expected[f"{case}_bottom_right"][:, :, 0], 1e-5)
    if case == "dhf1k":
        assert state is not None
        assert_equal(state[:, ::8], expected["dhf1k_hidden"], 1e-5)
        assert_equal(density[:, -1:, :48, :64], expected["dhf1k_last_top_left"][:, :, 0], 1e-5)
        assert_equal(density[:, -1:, -48:, -64:], expected["dhf1k_last_bottom_right"][:, :, 0], 1e-5)
        larger = torch.nn.functional.interpolate(logits[:, -1:], (360, 640), mode="bilinear")
        larger = larger.flatten(2).log_softmax(-1).unflatten(-1, (360, 640))
        assert_equal(larger[..., ::8, ::8], expected["dhf1k_target"][:, :, 0], 1e-5)
        first, carried = unisal.decoder.run([f[:, :, :3] for f in features], torch.tensor([copy]))
        second, _ = unisal.decoder.run([f[:, :, 3:] for f in features], torch.tensor([copy]), carried)
        assert_equal(torch.cat([first, second], dim=1), logits, 1e-4)


def matches(expected: dict[str, torch.Tensor], key: str, step: int, size: tuple[int, int]) -> bool:
    return key in expected and expected[key].shape[-2:] == (-(-size[0] // step), -(-size[1] // step))


@torch.no_grad()
def test_unisal_keeps_the_domains_of_a_mixed_batch_apart(unisal: SaliencyModel) -> None:
    features = unisal.encoder(input_for((4, 3, 96, 128)))
    mixed, _ = unisal.decoder.run(features, torch.tensor([2, 0, 3, 2]))
    for index, copy in enumerate((2, 0, 3, 2)):
        alone, _ = unisal.decoder.run([f[index : index + 1] for f in features], torch.tensor([copy]))
        assert_equal(mixed[index : index + 1], alone, 1e-4)
