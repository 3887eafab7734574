"""What changes with the number of processes, and models that are large for their GPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saliency_pred.decoders.readout import Readout
from saliency_pred.encoders.timm import TimmEncoder
from saliency_pred.model import SaliencyModel
from saliency_pred.training.optimizer import OptimizerFactory
from saliency_pred.training.run import train_only
from saliency_pred.training.scaling import Scaling
from saliency_pred.training.sharding import checkpoint_activations


def test_rules_by_hand() -> None:
    assert Scaling("none").factor(4096) == 1
    assert Scaling("linear", 256).factor(1024) == 4
    assert Scaling("sqrt", 256).factor(1024) == 2
    assert Scaling("linear", 256).batch_size(8, processes=16, accumulated=2) == 8
    assert Scaling("same_batch", 24).batch_size(8, processes=3, accumulated=2) == 4
    assert Scaling("same_batch", 24).factor(24) == 1
    with pytest.raises(ValueError, match="choose a multiple of 5"):
        Scaling("same_batch", 24).batch_size(8, processes=5, accumulated=1)
    with pytest.raises(ValueError, match=r"needs scaling\.reference"):
        Scaling("linear")
    with pytest.raises(ValueError, match="none of none, linear"):
        Scaling("square", 8)  # type: ignore[arg-type]


def test_every_rate_is_scaled() -> None:
    encoder = TimmEncoder("resnet18", weights="none")
    model = SaliencyModel(encoder, Readout(encoder.channels, encoder.strides))
    factory = OptimizerFactory(torch.optim.AdamW, lr=1.0, encoder_lr_scale=0.5)
    rates = [sorted({g["lr"] for g in factory(model, scale).param_groups}) for scale in (1.0, 3.0)]
    assert rates == [[0.5, 1.0], [1.5, 3.0]]


def test_only_what_is_named_is_trained_and_the_rest_rests() -> None:
    encoder = TimmEncoder("resnet18", weights="none")
    model = SaliencyModel(encoder, Readout(encoder.channels, encoder.strides)).train()
    train_only(model, ["decoder.layer?.*", "decoder.log_sigma.*"])
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {
        "decoder.layer1.weight",
        "decoder.layer1.bias",
        "decoder.layer2.weight",
        "decoder.log_sigma.value",
    }
    assert not any(m.training for m in model.encoder.modules()), "batch statistics must not move"
    assert model.decoder.training
    with pytest.raises(ValueError, match=r"'decoder.layer9' matches no parameter"):
        train_only(model, ["decoder.layer9"])


def test_recomputed_activations_give_the_same_gradients_with_less_memory() -> None:
    torch.manual_seed(0)
    encoder = TimmEncoder("convnext_atto", weights="none")
    image = torch.rand(2, 3, 64, 64)
    names = list(encoder.state_dict())

    def gradients() -> tuple[dict[str, torch.Tensor], int]:
        kept = 0

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal kept
            kept += tensor.numel() * (not isinstance(tensor, nn.Parameter))
            return tensor

        encoder.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = sum(f.square().mean() for f in encoder(image))
        loss.backward()
        return {n: p.grad.clone() for n, p in encoder.named_parameters() if p.grad is not None}, kept

    expected, before = gradients()
    assert checkpoint_activations(encoder) > 4
    found, after = gradients()
    assert list(encoder.state_dict()) == names, "checkpoints must not know of it"
    assert after < before / 2
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)  # the same operations once more
    with pytest.raises(ValueError, match="no trainable block without batch normalisation"):
        checkpoint_activations(TimmEncoder("resnet18", weights="none"))
