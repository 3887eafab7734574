"""What holds for every decoder config, found by glob, on a small encoder that it was not published with."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import hydra.utils
import pytest
import timm
import torch
from omegaconf import OmegaConf

from saliency_pred.instantiate import instantiate
from saliency_pred.model import SaliencyModel

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
BUILT_FOR_LARGE_MAPS = {"mds_vitnet", "sum"}  # many seconds on a CPU


class Small(torch.nn.Module):
    """timm's 0.5 M test network, five features at strides 2 to 32."""

    def __init__(self) -> None:
        super().__init__()
        self.network = timm.create_model("test_efficientnet", pretrained=False, features_only=True)
        self.channels = self.network.feature_info.channels()
        self.strides = self.network.feature_info.reduction()
        self.mean, self.std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) -> five maps."""
        return list(self.network(image))


def image_decoders() -> list[Any]:
    found = []
    for path in sorted((CONFIGS / "decoder").glob("*.yaml")):
        target = hydra.utils.get_class(OmegaConf.load(path)["_target_"])
        if "time_strides" in inspect.signature(target.__init__).parameters:
            continue  # decodes clips
        marks = [pytest.mark.slow] if path.stem in BUILT_FOR_LARGE_MAPS else []
        found.append(pytest.param(path.stem, marks=marks))
    return found


def model(decoder: str) -> SaliencyModel:
    torch.manual_seed(0)
    encoder = Small()
    config = OmegaConf.load(CONFIGS / "decoder" / f"{decoder}.yaml")
    return SaliencyModel(encoder, instantiate(config, channels=encoder.channels, strides=encoder.strides))


@pytest.mark.parametrize("name", image_decoders())
def test_forward_and_backward_at_an_odd_size(name: str) -> None:
    network = model(name)
    image = torch.rand(1, 3, 197, 301)
    logits = network(image, domain=torch.tensor([1]))
    assert logits.shape == (1, network.num_windows, 197, 301)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    logits.flatten(2).log_softmax(-1)[..., 5000].sum().backward()
    gradients = [p.grad for p in network.decoder.parameters() if p.grad is not None]
    assert gradients
    assert all(g.isfinite().all() for g in gradients)
    assert any(g.abs().max() > 0 for g in gradients)


@pytest.mark.parametrize("name", image_decoders())
@torch.no_grad()
def test_a_prediction_does_not_depend_on_its_neighbours_in_the_batch(name: str) -> None:
    network = model(name).eval()
    images = torch.rand(2, 3, 64, 96)
    together = network(images, domain=torch.tensor([0, 1]))
    alone = torch.cat([network(images[i : i + 1], domain=torch.tensor([i])) for i in range(2)])
    # Densities, as some decoders fix their logits only up to a constant; float32 sums in another order.
    torch.testing.assert_close(together.flatten(2).log_softmax(-1), alone.flatten(2).log_softmax(-1), rtol=0, atol=2e-3)


@pytest.mark.slow  # half a minute each
@pytest.mark.parametrize("name", ["juntingnet", "msi_net", "simplenet", "unisal"])
def test_overfits_four_images(name: str) -> None:
    """A network that learns can repeat four maps: CC above .95 (a random one gives about 0)."""
    network = model(name)
    images = torch.rand(4, 3, 48, 64)
    rows = torch.arange(48).view(-1, 1)
    columns = torch.arange(64)
    centres = [(10, 15), (35, 50), (15, 45), (30, 20)]
    target = torch.stack([torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 72) for y, x in centres])[:, None]
    target = target / target.sum((-2, -1), keepdim=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(150):
        log_density = network(images).flatten(2).log_softmax(-1)
        loss = -(target.flatten(2) * log_density).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    predicted = network(images).flatten(2).softmax(-1)
    pairs = zip(predicted[:, 0], target.flatten(1), strict=True)
    correlation = min(torch.corrcoef(torch.stack(pair))[0, 1].item() for pair in pairs)
    assert correlation > 0.95
