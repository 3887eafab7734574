"""Every encoder config with every general decoder config, both found by glob, at an odd size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from saliency_pred.cli.compose import compose
from saliency_pred.instantiate import instantiate
from saliency_pred.weights.checkpoint import without_pretrained

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
ALWAYS = ["readout", "fpn", "aspp", "unet", "deepgaze2e", "msi_net"]  # whatever the encoder returns
OF_SO_MANY_FEATURES = ["simplenet", "tempsal", "transalnet", "unisal"]  # refuse encoders with too few or too many
DEFAULT_SUITE = {"efficientnet_lite0", "juntingnet", "vit_small_dinov2"}  # pyramid, one feature, one stride


def encoders() -> list[object]:
    return [
        pytest.param(path.stem, marks=[] if path.stem in DEFAULT_SUITE else [pytest.mark.slow])
        for path in sorted((CONFIGS / "encoder").glob("*.yaml"))
    ]


@pytest.mark.timeout(1800)  # ten sizes of a ViT-B, in training
@pytest.mark.parametrize("name", encoders())
def test_every_general_decoder_learns_from_it(name: str) -> None:
    """Logits are finite and the gradient of one of them reaches decoder, features and encoder."""
    torch.manual_seed(0)
    config = without_pretrained(compose("train", [f"encoder={name}"]))
    encoder = instantiate(config.encoder)
    if name == "per_frame" or max(getattr(encoder, "time_strides", [1])) > 1:
        pytest.skip("takes clips only")
    features = encoder(torch.rand(2, 3, 101, 131))
    assert [f.shape[1] for f in features] == encoder.channels
    joined = [torch.zeros_like(f) for f in features]
    for which in ALWAYS + OF_SO_MANY_FEATURES:
        leaves = [f.detach().requires_grad_() for f in features]
        node = compose("train", [f"decoder={which}"]).decoder
        try:
            decoder = instantiate(node, channels=encoder.channels, strides=encoder.strides)
        except ValueError as refusal:
            if which in ALWAYS or "feature" not in str(refusal):
                raise
            continue
        logits = decoder(leaves, torch.tensor([1, 0]))
        assert logits.shape[:2] == (2, decoder.num_windows), which
        assert logits.isfinite().all(), which
        logits.flatten(2).log_softmax(-1)[..., 0].sum().backward()
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in decoder.parameters()), which
        reached = [leaf.grad for leaf in leaves if leaf.grad is not None]
        assert reached, which
        assert all(g.isfinite().all() for g in reached), which
        for total, leaf in zip(joined, leaves, strict=True):
            if leaf.grad is not None:
                total += leaf.grad
    trainable = [p for p in encoder.parameters() if p.requires_grad]
    if trainable:
        used = [(f, g) for f, g in zip(features, joined, strict=True) if f.requires_grad]
        torch.autograd.backward([f for f, _ in used], [g for _, g in used])
        gradients = [p.grad for p in trainable if p.grad is not None]
        assert gradients
        assert all(g.isfinite().all() for g in gradients)
