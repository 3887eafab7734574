"""TempSAL's branches, windows and scaling on small features."""

from __future__ import annotations

import pytest
import torch

from saliency_pred.decoders.tempsal import TempSAL


def features(count: int, batch: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = [(8, 12), (4, 6), (2, 3)]
    return [torch.randn(batch, 5, *sizes[i % 3], generator=generator) for i in range(count)]


def decoder(strides: list[int], **options: object) -> TempSAL:
    torch.manual_seed(0)
    return TempSAL([5] * len(strides), strides, widths=(8, 8, 8), **options).eval()


@torch.no_grad()
def test_two_encoders_are_told_from_one_by_repeated_strides() -> None:
    assert decoder([2, 4, 8]).two_encoders is False
    assert decoder([14, 14]).two_encoders is False
    assert TempSAL([5] * 4, [14] * 4).two_encoders is False
    pair = decoder([2, 4, 8, 2, 4, 8], return_slices=True)
    assert pair.two_encoders
    own = features(6)
    changed = [f + 1 for f in own[:3]] + own[3:]
    before, after = pair(own), pair(changed)
    assert torch.equal(before[:, 1:], after[:, 1:])  # slices come from the second encoder
    assert not torch.allclose(before[:, :1], after[:, :1])


@torch.no_grad()
def test_windows_are_the_whole_then_the_slices() -> None:
    network = decoder([2, 4, 8], slices=3, return_slices=True)
    assert network.num_windows == 4
    logits = network(features(3))
    assert logits.shape == (2, 4, 16, 24)
    network.return_slices = False
    assert torch.equal(network(features(3)), logits[:, :1])


@torch.no_grad()
def test_scaling_by_the_batch_mixes_images_and_by_the_image_does_not() -> None:
    both = features(3)
    for rule, depends in (("image", False), ("batch", True)):
        network = decoder([2, 4, 8], slice_scaling=rule)
        network.temporal.head[-1].bias += 3 * torch.randn(5, generator=torch.Generator().manual_seed(1))
        together = network(both)
        alone = torch.cat([network([f[i : i + 1] for f in both]) for i in range(2)])
        assert (not torch.allclose(together, alone, atol=1e-6)) is depends
    with pytest.raises(ValueError, match="slice_scaling must be 'image' or 'batch'"):
        decoder([2, 4, 8], slice_scaling="map")


def test_frozen_branches_get_no_gradient() -> None:
    network = decoder([2, 4, 8], freeze_branches=True).train()
    inputs = [f.requires_grad_() for f in features(3)]
    network(inputs).sum().backward()
    trained = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    assert trained == {"mixing", "head"}
