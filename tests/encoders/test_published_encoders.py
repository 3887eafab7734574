"""Encoders of the published networks: what they tap, how large it is, what freezing means."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from reference.golden import config
from torchvision.models import alexnet, mobilenet_v2, swin_t
from torchvision.models.vgg import cfgs, make_layers

from saliency_pred.encoders.juntingnet import JuntingNetEncoder
from saliency_pred.encoders.mobilenet import MobileNetV2Encoder
from saliency_pred.encoders.multiscale import MultiScaleEncoder
from saliency_pred.encoders.parallel import ParallelEncoder
from saliency_pred.encoders.timm import TimmEncoder
from saliency_pred.encoders.torchvision import TorchvisionEncoder
from saliency_pred.encoders.vgg import VGGEncoder
from saliency_pred.instantiate import instantiate


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("vgg16_dilated", 14.71),
        ("vgg16_msi_net", 14.71),
        ("swin_t_merged", 13.33),
        ("mobilenetv2_unisal", 2.22),
        ("juntingnet", 0.06),
        ("alexnet_deepgaze1", 2.47),
        pytest.param("resnet50_transalnet", 23.51, marks=pytest.mark.slow),
        pytest.param("densenet161_transalnet", 26.47, marks=pytest.mark.slow),
        pytest.param("pnasnet", 81.74, marks=pytest.mark.slow),
        pytest.param("pnasnet_pair", 163.47, marks=pytest.mark.slow),
    ],
)
@torch.no_grad()
def test_channels_strides_and_parameters(name: str, millions: float) -> None:
    encoder = instantiate(config("encoder", name)).eval()
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(millions, abs=0.006)
    height, width = 197, 301
    features = encoder(torch.rand(1, 3, height, width))
    assert [f.shape[1] for f in features] == encoder.channels
    for feature, stride in zip(features, encoder.strides, strict=True):
        assert feature.is_contiguous() or feature.ndim == 4
        # Rounded down or up, and at most three cells less where convolutions are not padded (AlexNet).
        assert height / stride - 3 <= feature.shape[-2] <= height / stride + 1
        assert width / stride - 3 <= feature.shape[-1] <= width / stride + 1


def test_torchvision_layers_are_the_networks_own_outputs() -> None:
    """AlexNet's convolution is returned before its in-place ReLU; Swin's tokens as maps."""
    torch.manual_seed(0)
    image = torch.randn(1, 3, 96, 128)
    networks = ((alexnet, ["features.8", "features.10"], False), (swin_t, ["features.1"], True))
    for make, layers, channels_last in networks:
        encoder = TorchvisionEncoder(make.__name__, layers, weights="none", channels_last=channels_last).eval()
        network = make(weights=None).eval()
        network.load_state_dict(encoder.network.state_dict(), strict=False)
        taken: list[torch.Tensor] = []
        for layer in layers:
            hook = partial(lambda kept, module, inputs, output: kept.append(output.clone()), taken)
            network.get_submodule(layer).register_forward_hook(hook)
        network(image)
        for expected, feature in zip(taken, encoder(image), strict=True):
            torch.testing.assert_close(feature, expected.permute(0, 3, 1, 2) if channels_last else expected)


def test_torchvision_encoder_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no network 'resnet51'"):
        TorchvisionEncoder("resnet51", ["layer1"], weights="none")
    with pytest.raises(ValueError, match=r"resnet18 has no layer layer9; .* layer1"):
        TorchvisionEncoder("resnet18", ["layer1", "layer9"], weights="none")
    with pytest.raises(FileNotFoundError, match="neither hub nor none"):
        TorchvisionEncoder("resnet18", ["layer1"], weights=str(tmp_path / "absent.pth"))
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "wrong.pth")
    with pytest.raises(ValueError, match="does not hold the weights of torchvision's resnet18"):
        TorchvisionEncoder("resnet18", ["layer1"], weights=str(tmp_path / "wrong.pth"))


@torch.no_grad()
def test_vgg_takes_over_torchvisions_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the third pooling the network is torchvision's, given its weights."""
    network = torch.nn.Module()
    network.features = make_layers(cfgs["D"])  # without the classifier's 124 M parameters
    monkeypatch.setattr("saliency_pred.encoders.vgg.build", lambda name, weights: network)
    encoder = VGGEncoder(weights="hub")
    image = torch.randn(1, 3, 64, 96)
    pool3, pool4, pool5 = encoder(image)
    torch.testing.assert_close(pool3, network.features[:17](image))
    assert pool3.shape[-2:] == pool4.shape[-2:] == pool5.shape[-2:] == (8, 12)


@torch.no_grad()
def test_mobilenet_is_torchvisions_and_takes_clips_frame_by_frame() -> None:
    encoder = MobileNetV2Encoder(weights="none").eval()
    network = mobilenet_v2(weights=None).eval()
    network.features.load_state_dict(encoder.blocks.state_dict())
    clip = torch.randn(2, 3, 4, 65, 97)
    features = encoder(clip)
    for frame in (0, 3):
        torch.testing.assert_close(features[2][:, :, frame], network.features(clip[:, :, frame]))
    assert features[0].shape == (2, 64, 4, 9, 13)


def test_mobilenet_norms_stay_in_evaluation_mode() -> None:
    for train_norms in (False, True):
        encoder = MobileNetV2Encoder(weights="none", train_norms=train_norms)
        before = encoder.blocks[0][1].running_mean.clone()
        encoder(torch.randn(2, 3, 64, 64))
        assert torch.equal(before, encoder.blocks[0][1].running_mean) is not train_norms


def test_frozen_encoders_do_not_learn_and_keep_their_statistics() -> None:
    encoder = TorchvisionEncoder("resnet18", ["layer1"], weights="none", frozen=True)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    for _ in range(2):  # as built, and after a trainer has switched to training
        encoder(torch.randn(2, 3, 64, 64))
        encoder.train()
    assert not any(p.requires_grad for p in encoder.parameters())
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


class Channels(torch.nn.Module):
    """Returns the normalised image itself."""

    channels = (3,)
    strides = (1,)

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.mean, self.std = (mean,) * 3, (std,) * 3
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) -> the same."""
        return [image * self.scale]


def test_parallel_encoders_normalise_each_for_itself() -> None:
    pair = ParallelEncoder({"a": Channels(0.5, 0.5), "b": Channels(0.0, 0.1)})
    assert (pair.channels, pair.strides) == ([3, 3], [1, 1])
    assert (pair.mean, pair.std) == ((0.0,) * 3, (1.0,) * 3)
    first, second = pair(torch.full((1, 3, 2, 2), 0.75))
    torch.testing.assert_close(first, torch.full((1, 3, 2, 2), 0.5))
    torch.testing.assert_close(second, torch.full((1, 3, 2, 2), 7.5))
    with pytest.raises(ValueError, match="at least two"):
        ParallelEncoder({"a": JuntingNetEncoder()})


def test_multiscale_sizes_strides_and_gradients() -> None:
    image = torch.rand(2, 3, 60, 81)
    encoder = MultiScaleEncoder(Channels(0.0, 1.0), factors=[0.5], longest_sides=[27, 162], mode="bicubic")
    features = encoder(image)
    assert [tuple(f.shape[-2:]) for f in features] == [(30, 40), (20, 27), (120, 162)]
    assert encoder.channels == [3, 3, 3]
    assert encoder.strides == [2, 38, 6]
    assert not any(f.requires_grad for f in features)
    trained = MultiScaleEncoder(Channels(0.0, 1.0), factors=[0.5], mode="nearest", frozen=False)
    assert trained(image)[0].requires_grad
    torch.testing.assert_close(trained(image)[0], image[..., :60:2, :80:2])
    with pytest.raises(ValueError, match="at least one positive size"):
        MultiScaleEncoder(Channels(0.0, 1.0))


@pytest.mark.parametrize("frozen", [True, 3])
def test_frozen_timm_encoders_keep_their_statistics_from_the_start(frozen: bool | int) -> None:
    encoder = TimmEncoder("resnet18", weights="none", frozen=frozen)
    before = encoder.network.layer1[0].bn1.running_mean.clone()
    encoder(torch.randn(2, 3, 64, 64))
    assert torch.equal(before, encoder.network.layer1[0].bn1.running_mean)
