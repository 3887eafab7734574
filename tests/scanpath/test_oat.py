"""OAT equals the official network, given the same weights and crops.

Tolerance: logits spread by .21 with float32 noise of 2.4e-6; the limit is about ten times that.
"""

from __future__ import annotations

import pytest
import torch
from reference.golden import manifest, outputs, stand_in
from reference.standin import input_for, tensor_for

from saliency_pred.scanpath.oat import OAT, CropEmbedding
from saliency_pred.weights.published.oat import convert_scanpath

SCANPATHS = torch.tensor([[86, 86], [44, 83], [47, 21], [64, 36], [67, 70], [67, 60], [9, 84], [17, 85], [84, 85]]).T
TARGETS = torch.tensor([17, 60])


@pytest.fixture(scope="module")
def oat() -> OAT:
    model = OAT().eval()
    places = tensor_for("pe", (14, 86)) * torch.tensor(86.0).sqrt()
    state = convert_scanpath(stand_in(manifest("oat")["entries"]), places)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert (missing, unexpected) == (["steps"], [])
    unused = (512 * 86 + 86) + (256 * 3 + 256)
    assert sum(p.numel() for p in model.parameters()) + unused == manifest("oat")["parameters"] == 18_300_985
    return model


@torch.no_grad()
def test_equals_the_official_network(oat: OAT) -> None:
    crops = input_for((2, 93, 3, 150, 93), 0)
    looked_at = SCANPATHS[:, :8]
    logits = oat(crops[:, :85], TARGETS, looked_at, crops[:, 85:])
    expected = outputs("oat")
    torch.testing.assert_close(logits.transpose(0, 1), expected["logits"], rtol=0, atol=2e-5)
    coordinates = oat.coordinates(looked_at, TARGETS)
    assert torch.equal(coordinates.transpose(0, 1).float(), expected["tgt3"])


@torch.no_grad()
def test_a_step_sees_no_later_one(oat: OAT) -> None:
    crops = input_for((1, 93, 3, 150, 93), 1)
    looked_at = SCANPATHS[:1, :8].clone()
    before = oat(crops[:, :85], TARGETS[:1], looked_at, crops[:, 85:])
    looked_at[:, 5:] = 3
    changed = crops.clone()
    changed[:, 90:] = 0
    after = oat(changed[:, :85], TARGETS[:1], looked_at, changed[:, 85:])
    torch.testing.assert_close(before[:, :5], after[:, :5], rtol=0, atol=2e-5)
    assert (before[:, 5:] - after[:, 5:]).abs().max() > 1e-3


def test_crops_that_vanish_are_refused() -> None:
    CropEmbedding((29, 29))
    with pytest.raises(ValueError, match=r"29 pixels a side or more, got \(28, 93\)"):
        CropEmbedding((28, 93))
