"""Every published video network equals its official implementation, given the same weights.

Tolerances: rounding moves the official networks' logits by 1.5e-7 to 3e-7, the smallest deliberate mistake (another
epsilon of the batch norms) by 2e-4; the limits lie between. TASED-Net puts values where the encoder's features are
largest, so the place of a few near-equal maxima changes with rounding; its test is the share and the size of the
differences instead. (UNISAL is with the image networks.)
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from reference.golden import config, manifest, outputs, parameters, published, stand_in
from reference.standin import input_for
from torch import Tensor

from saliency_pred.cli.compose import compose
from saliency_pred.encoders.torchvision_video import TorchvisionVideoEncoder
from saliency_pred.instantiate import instantiate
from saliency_pred.model import SaliencyModel
from saliency_pred.weights.checkpoint import build_decoder, build_model
from saliency_pred.weights.published.load import convert, fill


def official(name: str) -> SaliencyModel:
    return published(name, stand_in(manifest(name)["entries"]))


def assert_equal(actual: Tensor, expected: Tensor, atol: float) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


def assert_map(logits: Tensor, expected: dict[str, Tensor], atol: float) -> None:
    """Every fourth pixel, and the corners whole."""
    assert_equal(logits[..., ::4, ::4], expected["logits"], atol)
    assert_equal(logits[..., :48, :64], expected["logits_top_left"], atol)
    assert_equal(logits[..., -48:, -64:], expected["logits_bottom_right"], atol)


@torch.no_grad()
def test_vinet_s_equals_the_official_network() -> None:
    model = official("vinet_s")
    assert parameters(model) == manifest("vinet_s")["parameters"] == 9_500_737
    assert (parameters(model.encoder), parameters(model.decoder)) == (7_910_048, 1_590_689)
    features = model.encoder(input_for((1, 3, 32, 224, 384)))
    logits = model.decoder.sigmoid_logits(features)
    expected = outputs("vinet_s")
    assert_map(logits[:, 0], expected, 1e-5)
    assert_equal(model.decoder(features), torch.nn.functional.logsigmoid(logits), 0)
    model.decoder.align_corners = True  # as its training script enlarges
    assert_equal(model.decoder.sigmoid_logits(features)[:, 0, ::4, ::4], expected["logits_align_corners"], 1e-5)


@pytest.mark.slow  # 7 s
@torch.no_grad()
def test_vinet_equals_the_official_network() -> None:
    model = official("vinet")
    assert parameters(model) == manifest("vinet")["parameters"] == 31_099_585
    logits = model.decoder.sigmoid_logits(model.encoder(input_for((1, 3, 32, 224, 384))))
    assert_map(logits[:, 0], outputs("vinet"), 1e-5)


@pytest.mark.slow  # 15 s
@torch.no_grad()
def test_vinet_a_equals_the_official_network() -> None:
    model = official("vinet_a")
    case = manifest("vinet_a")
    assert parameters(model) == case["parameters"] == 38_693_241
    assert parameters(model.encoder) == case["parameters_by_part"]["backbone"] == 33_557_288
    logits = model.decoder.sigmoid_logits(model.encoder(input_for((1, 3, 32, 256, 456))))
    assert_map(logits[:, 0], outputs("vinet_a"), 1e-5)


@pytest.mark.slow  # 10 s
@torch.no_grad()
def test_tased_equals_the_official_network() -> None:
    """Rounding alone gives a median of 3e-8, 0.19 of the pixels and 2e-3 (official, between machines' modes)."""
    model = official("tased")
    assert parameters(model) == manifest("tased")["parameters"] == 21_260_693
    logits = model.decoder.sigmoid_logits(model.encoder(input_for((1, 3, 32, 224, 384))))[:, 0]
    expected = outputs("tased")
    pairs = (
        (logits[..., ::4, ::4], "logits"),
        (logits[..., :48, :64], "logits_top_left"),
        (logits[..., -48:, -64:], "logits_bottom_right"),
    )
    apart = torch.cat([(actual - expected[key]).abs().flatten() for actual, key in pairs])
    assert apart.median() < 1e-6
    assert (apart > 1e-5).float().mean() < 0.4
    assert apart.max() < 0.02


@pytest.mark.slow  # 8 s
@torch.no_grad()
def test_salema_equals_the_official_network() -> None:
    """Frames of the official range (60 x the stand-in input), where the average over time matters most."""
    model = official("salema")
    assert parameters(model) == manifest("salema")["parameters"] == 31_787_010
    clip = (60 * input_for((4, 3, 192, 256))).flip(1).transpose(0, 1)[None]  # the official input is BGR
    features = model.encoder(clip)
    logits, state = model.decoder.run(features)
    expected = outputs("salema")
    assert_equal(logits[0, :, None, ::4, ::4], expected["logits_x60"], 5e-6)
    assert_equal(logits[0, -1:, :48, :64], expected["logits_x60_last_top_left"][:, 0], 5e-6)
    assert_equal(logits[0, -1:, -48:, -64:], expected["logits_x60_last_bottom_right"][:, 0], 5e-6)
    assert_equal(state[:, ::8], expected["state_x60"], 5e-5)
    assert_equal(model.decoder(features), torch.nn.functional.logsigmoid(logits), 0)


@pytest.mark.slow  # 5 s
@torch.no_grad()
def test_vinet_e_is_the_mean_of_both_maps(tmp_path: Path) -> None:
    """Imported from the two files; the members' own models see the frames that the published scripts give them."""
    files = []
    for name in ("vinet_s", "vinet_a"):
        files.append(tmp_path / f"{name}.pt")
        torch.save(stand_in(manifest(name)["entries"]), files[-1])
    arguments = config("encoder", "vinet_e")
    for member in arguments.encoders.values():
        member.size = [64, 96]  # smaller than published, as the members' own inputs below
        member.encoder.weights = "none"
    encoder = instantiate(arguments)
    model = SaliencyModel(encoder, build_decoder(config("decoder", "vinet_e"), encoder)).eval()
    fill(model, convert("vinet_e", files), "both files")
    assert parameters(model) == 9_500_737 + 38_693_241
    clip = 0.5 + 0.2 * input_for((1, 3, 64, 64, 96))
    members = (official("vinet_s"), clip[:, :, 1:33]), (official("vinet_a"), clip[:, :, 1::2])
    maps = [member(seen).exp() for member, seen in members]
    assert_equal(model(clip), ((maps[0] + maps[1]) / 2).log(), 1e-6)
    with pytest.raises(ValueError, match="made of two files"):
        convert("vinet_e", files[:1])


def test_clips_that_do_not_fit_the_decoder_are_refused() -> None:
    def build(*overrides: str) -> None:
        choices = ["encoder=s3d", "decoder=vinet_s", "prior=none", "encoder.weights=none"]
        build_model(compose("train", [*choices, *overrides]))

    build("loader.clips.frames=32")
    with pytest.raises(ValueError, match=r"set loader\.clips\.frames=32"):
        build()
    with pytest.raises(ValueError, match=r"set loader\.clips\.position=last"):
        build("loader.clips.frames=32", "loader.clips.position=centre")


@torch.no_grad()
def test_salema_carries_its_state_from_clip_to_clip() -> None:
    encoder = SimpleNamespace(channels=[8], strides=[16])
    decoder = build_decoder(config("decoder", "salema"), encoder, widths=[[8], [4]])
    deep = torch.randn(2, 8, 5, 3, 4)
    whole, last = decoder.stream([deep])
    first, state = decoder.stream([deep[:, :, :2]])
    second, carried = decoder.stream([deep[:, :, 2:]], state=state)
    assert_equal(torch.cat([first, second], dim=1), whole, 1e-5)
    assert_equal(carried, last, 1e-5)
    assert (decoder([deep[:, :, 1]]) - whole[:, 1:2]).abs().max() > 1e-4  # an image has no past


def test_salema_normalises_as_caffe() -> None:
    model_encoder = config("encoder", "vgg16_salema").encoder
    image = torch.rand(3)
    normalised = (image - torch.tensor(list(model_encoder.mean))) / torch.tensor(list(model_encoder.std))
    expected = 255 * image - torch.tensor([123.68, 116.779, 103.939])
    assert_equal(normalised, expected, 1e-3)


@torch.no_grad()
def test_the_published_decoders_take_clips_of_other_lengths() -> None:
    """Their strides in time follow from the number of frames, and a clip of another length is refused."""
    s3d = SimpleNamespace(channels=[192, 480, 832, 1024], strides=[4, 8, 16, 32], time_strides=[2, 2, 4, 8])
    for name in ("vinet_s", "vinet", "tased"):
        for frames in (8, 16, 24, 48):
            decoder = build_decoder(config("decoder", name), s3d, frames=frames).eval()
            sizes = zip(s3d.channels, s3d.time_strides, ((16, 24), (8, 12), (4, 6), (2, 3)), strict=True)
            features = [torch.randn(1, c, frames // t, *size) for c, t, size in sizes]
            assert decoder(features).shape == (1, 1, 64, 96)
            with pytest.raises(ValueError, match=f"clips of {frames} frames"):
                decoder([f.repeat(1, 1, 2, 1, 1) for f in features])
        with pytest.raises(ValueError, match="multiple of"):
            build_decoder(config("decoder", name), s3d, frames=20)


def test_decoders_of_clips_refuse_encoders_of_still_images() -> None:
    with pytest.raises(ValueError, match="decodes clips, and SimpleNamespace encodes still images"):
        build_decoder(config("decoder", "vinet_s"), SimpleNamespace(channels=[8], strides=[4]))
    pyramid = SimpleNamespace(channels=[8, 8], strides=[4, 8], time_strides=[1, 1])
    with pytest.raises(ValueError, match="encoder=slowfast"):
        build_decoder(config("decoder", "vinet_a"), pyramid)


def test_video_encoders_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="no network 's3dd'"):
        TorchvisionVideoEncoder("s3dd", ["features.3"], weights="none")
    with pytest.raises(ValueError, match="s3d has no layer layer9"):
        TorchvisionVideoEncoder("s3d", ["layer9"], weights="none")
    with pytest.raises(ValueError, match="encodes clips"):
        TorchvisionVideoEncoder("s3d", ["features.3"], weights="none")(torch.rand(1, 3, 64, 64))
