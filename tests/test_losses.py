"""Loss terms against plain NumPy, padding and images without fixations included."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np
import pytest
import torch

from saliency_pred.batch import Batch
from saliency_pred.density import fixation_density, log_normalise
from saliency_pred.fixations import Fixations
from saliency_pred.losses import TERMS, WeightedLoss

H, W = 12, 16


def make_batch(counts: tuple[int, ...] = (9, 5)) -> Batch:
    generator = torch.Generator().manual_seed(0)
    valid = torch.ones(len(counts), H, W, dtype=torch.bool)
    valid[:, :, 13:] = False
    fixations = Fixations.cat(
        [
            Fixations.of(torch.rand(n, generator=generator) * 13, torch.rand(n, generator=generator) * H, (H, W))
            for n in counts
        ]
    )
    b = len(counts)
    return Batch(
        image=torch.zeros(b, 3, H, W),
        valid=valid,
        windows=torch.tensor([[[-math.inf, math.inf]]]).expand(b, 1, 2),
        image_id=[str(i) for i in range(b)],
        dataset=["test"] * b,
        original_size=torch.tensor([[H, 13]] * b),
        domain=torch.zeros(b, dtype=torch.int64),
        pixel_per_dva=torch.full((b,), math.nan),
        blur_sigma=torch.full((b,), 1.5),
        fixations=fixations,
    ).check()


def by_hand(logits: torch.Tensor, batch: Batch, i: int) -> dict[str, float]:
    """Every term of image i, on its valid pixels alone."""
    assert batch.fixations is not None
    cut = logits[i, 0, :, :13].double().numpy()
    p = np.exp(cut - cut.max())
    p /= p.sum()
    g = fixation_density(batch.fixations.of_sample(i), 1.5, dtype=torch.float64)[0, 0, :, :13].numpy()
    g = g / g.sum()
    mine = batch.fixations.of_sample(i)
    at = [(int(y), int(x)) for x, y in zip(mine.x.tolist(), mine.y.tolist(), strict=True)]
    z = (p - p.mean()) / p.std()
    stretched = [(m - m.min()) / (m - m.min()).sum() for m in (p, g)]
    a, b = p / p.max(), g / g.max()
    c = a.clip(1e-7, 1 - 1e-7)
    return {
        "log_likelihood": float(np.mean([math.log(p[k]) for k in at])),
        "kld": float(sum(gi * math.log(gi / pi) for gi, pi in zip(g.ravel(), p.ravel(), strict=True) if gi > 0)),
        "cc": float(np.corrcoef(p.ravel(), g.ravel())[0, 1]),
        "sim": float(np.minimum(p, g).sum()),
        "sim_minmax": float(np.minimum(*stretched).sum()),
        "nss": float(np.mean([z[k] for k in at])),
        "mse": float(np.mean((a - b) ** 2)),
        "bce": float(np.mean(-b * np.log(c) - (1 - b) * np.log(1 - c))),
    }


@pytest.mark.parametrize("term", ["log_likelihood", "kld", "cc", "sim", "sim_minmax", "nss", "mse", "bce"])
def test_term_equals_a_plain_calculation(term: str) -> None:
    batch = make_batch()
    logits = torch.randn(2, 1, H, W, generator=torch.Generator().manual_seed(1)).requires_grad_()
    values = WeightedLoss({term: -2.0})(logits, batch)
    expected = np.mean([by_hand(logits.detach(), batch, i)[term] for i in range(2)])
    # float32 over 156 pixels; 1 - p next to p = 1 has few digits in float32, and bce takes its logarithm
    close = 1e-3 if term == "bce" else 2e-5
    assert values[term].item() == pytest.approx(expected, rel=close)
    assert values["loss"].item() == pytest.approx(-2 * expected, rel=close)
    values["loss"].backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[:, :, :, 13:].abs().max() == 0, "padding must not be trained on"


def test_images_without_fixations_are_left_out() -> None:
    logits = torch.randn(2, 1, H, W, generator=torch.Generator().manual_seed(1))
    both, alone = make_batch((9, 0)), make_batch((9,))
    for weights in ({"log_likelihood": -1.0}, {"kld": 1.0}, {"nss": -1.0, "cc": -1.0}):
        loss = WeightedLoss(weights)
        torch.testing.assert_close(loss(logits, both)["loss"], loss(logits[:1], alone)["loss"])


def test_logits_as_maps_and_half_precision() -> None:
    batch = make_batch()
    logits = -torch.rand(2, 1, H, W, generator=torch.Generator().manual_seed(1))
    value = WeightedLoss({"mse": 1.0}, map="logits")(logits, batch)["mse"].item()
    squared = []
    for i in range(2):
        assert batch.fixations is not None
        g = fixation_density(batch.fixations.of_sample(i), 1.5)[0, 0, :, :13].numpy()
        squared.append(np.mean((np.exp(logits[i, 0, :, :13].numpy()) - g / g.max()) ** 2))
    assert value == pytest.approx(np.mean(squared), rel=1e-5)
    half = WeightedLoss({"kld": 1.0})(logits.bfloat16(), batch)["kld"]
    assert half.dtype == torch.float32


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ValueError, match=r"\['klld'\].*choose from log_likelihood, kld"):
        WeightedLoss({"klld": 1.0})
    batch = make_batch()
    maps_only = dataclasses.replace(batch, fixations=None, density=torch.rand(2, 1, H, W))
    with pytest.raises(ValueError, match="ships only maps"):
        WeightedLoss({"nss": 1.0})(torch.zeros(2, 1, H, W), maps_only)
    unknown_blur = dataclasses.replace(batch, blur_sigma=torch.full((2,), math.nan))
    with pytest.raises(ValueError, match=r"loader\.blur_sigma"):
        WeightedLoss({"kld": 1.0})(torch.zeros(2, 1, H, W), unknown_blur)
    with pytest.raises(ValueError, match="predicts 3 time windows, the data have 1"):
        WeightedLoss({"kld": 1.0})(torch.zeros(2, 3, H, W), batch)


@pytest.mark.parametrize("kind", ["max", "logits"])
@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("constant", [0.0, 200.0])  # exp(200) overflows
def test_a_flat_prediction_has_finite_gradients(term: str, kind: Literal["max", "logits"], constant: float) -> None:
    """What a last layer of zeros or dead ReLUs predicts: its standard deviation is exactly 0."""
    batch = make_batch()
    batch.valid[:] = True  # 192 pixels, where the mean of equal densities is exact for once
    logits = torch.full((2, 1, H, 16), constant, requires_grad=True)
    values = WeightedLoss({term: 1.0}, map=kind)(logits, batch)
    assert torch.isfinite(values["loss"])
    values["loss"].backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_a_loss_is_the_weighted_sum_of_its_terms() -> None:
    batch = make_batch()
    logits = torch.randn(2, 1, H, W, generator=torch.Generator().manual_seed(1))
    weights = {"kld": 10.0, "cc": -2.0, "sim": -1.0, "nss": -1.0}
    values = WeightedLoss(weights)(logits, batch)
    assert values["loss"].item() == pytest.approx(sum(w * values[t].item() for t, w in weights.items()), rel=1e-6)
    assert values.keys() == {"loss", *weights}


def test_shipped_maps_or_fixations_are_the_target_as_asked() -> None:
    shipped = torch.zeros(2, 1, H, W)
    shipped[:, :, 3, 4] = 1.0
    batch = dataclasses.replace(make_batch(), density=shipped)
    logits = torch.randn(2, 1, H, W, generator=torch.Generator().manual_seed(1))
    log_density = log_normalise(logits, batch.valid)
    for target in ("auto", "shipped"):
        value = WeightedLoss({"kld": 1.0}, target=target)(logits, batch)["kld"].item()  # type: ignore[arg-type]
        assert value == pytest.approx(-log_density[:, 0, 3, 4].mean().item(), rel=1e-5)
    own = WeightedLoss({"kld": 1.0}, target="fixations")(logits, batch)["kld"].item()
    assert own == pytest.approx(np.mean([by_hand(logits, batch, i)["kld"] for i in range(2)]), rel=2e-5)
    with pytest.raises(ValueError, match="ships no density maps"):
        WeightedLoss({"kld": 1.0}, target="shipped")(logits, make_batch())
