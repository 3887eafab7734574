"""Densities against SciPy, hand calculation and simulation."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from saliency_pred.density import (
    Border,
    CentreBias,
    GoldStandard,
    equalised_map,
    fixation_density,
    gaussian_blur,
    log_normalise,
    normalise,
    resize_log_density,
    saliency_map,
)
from saliency_pred.fixations import Fixations


@pytest.mark.parametrize("border", ["constant", "nearest", "reflect", "mirror"])
@pytest.mark.parametrize("sigma", [0.6, 3.0, 11.0])  # the longest kernel is far longer than the map
def test_blur_is_that_of_scipy(border: Border, sigma: float) -> None:
    maps = torch.rand(2, 13, 17, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = np.stack([scipy.ndimage.gaussian_filter(one.numpy(), sigma, mode=border) for one in maps])
    np.testing.assert_allclose(gaussian_blur(maps, sigma, border).numpy(), expected, rtol=0, atol=1e-12)
    in_degrees = gaussian_blur(maps, sigma / 35, border, pixel_per_dva=35)
    np.testing.assert_allclose(in_degrees.numpy(), expected, rtol=0, atol=1e-12)


def test_blur_is_differentiable_in_sigma() -> None:
    maps = torch.rand(6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: gaussian_blur(maps, s, "nearest"), (sigma,))


def test_density_of_fixations_is_the_blur_of_their_counts() -> None:
    generator = torch.Generator().manual_seed(1)
    parts = [
        Fixations.of(torch.rand(n, generator=generator) * 31, torch.rand(n, generator=generator) * 23, (23, 31))
        for n in (40, 0, 3)
    ]
    pack = Fixations.cat(parts)
    fast = fixation_density(pack, 2.5, dtype=torch.float64)
    slow = normalise(gaussian_blur(pack.rasterise().double(), 2.5))
    torch.testing.assert_close(fast[[0, 2]], slow[[0, 2]], rtol=0, atol=1e-14)
    assert fast[1].abs().max() == 0, "no fixations, no density"
    with pytest.raises(TypeError, match="needs Fixations"):
        fixation_density(slow, 2.5)  # type: ignore[arg-type]


def test_log_normalise_masks_padding_and_raises_half_precision() -> None:
    logits = torch.randn(1, 1, 240, 320, generator=torch.Generator().manual_seed(0)).bfloat16()
    valid = torch.ones(1, 240, 320, dtype=torch.bool)
    valid[:, :, 300:] = False
    log_density = log_normalise(logits, valid)
    assert log_density.dtype == torch.float32
    assert torch.isneginf(log_density[~valid[:, None]]).all()
    assert log_density.double().exp().sum() == pytest.approx(1, abs=1e-5)


def test_equalised_map_shares_ranks_of_ties() -> None:
    assert equalised_map(torch.tensor([[[1.0, 5.0], [1.0, 3.0]]])).flatten().tolist() == pytest.approx(
        [0.5 / 3, 1, 0.5 / 3, 2 / 3]
    )


def test_centre_bias_gives_every_image_the_same_weight() -> None:
    left = Fixations.of([10.0], [50.0], (100, 100))
    right = Fixations.of([180.0] * 50, [100.0] * 50, (200, 200))
    bias = CentreBias.fit([left, right]).log_density((64, 64)).exp()[0]
    assert bias.sum() == pytest.approx(1)
    assert bias[:, :32].sum() == pytest.approx(0.5, abs=1e-3)


def test_gold_standard_finds_the_bandwidth_and_never_sees_the_viewer_left_out() -> None:
    generator = np.random.default_rng(0)
    packs = []
    for _ in range(30):  # viewers agree on a place up to a spread of 3 % of the long side: the kernel needed
        centre = generator.uniform(30, 70, 2)
        points = generator.normal(centre, 3.0, (60, 2)).clip(0.5, 99.5)
        packs.append(Fixations.of(points[:, 0], points[:, 1], (100, 100), viewer=np.arange(60) % 6))
    bias = CentreBias.fit(packs)
    standard = GoldStandard.fit(packs, bias)
    assert 0.01 <= standard.sigma <= 0.022, "narrower than the spread itself: fifty others sample it"
    assert sum(standard.weights) == pytest.approx(1)

    without = standard.log_density(packs[0], bias, leave_out=2)
    moved = Fixations.of(
        torch.where(packs[0].viewer == 2, 5.0, packs[0].x), packs[0].y, (100, 100), viewer=packs[0].viewer
    )
    torch.testing.assert_close(standard.log_density(moved, bias, leave_out=2), without, rtol=0, atol=0)

    others = packs[0].select(packs[0].viewer != 2)  # the same by a plain loop over fixations
    y, x = np.mgrid[:100, :100] + 0.5
    kernel = np.zeros((100, 100))
    for fx, fy in zip(others.x.tolist(), others.y.tolist(), strict=True):
        one = np.exp(-((x - fx) ** 2 + (y - fy) ** 2) / 2 / (100 * standard.sigma) ** 2)
        kernel += one / one.sum() / len(others)
    kde, centre_weight, uniform = standard.weights
    expected = kde * kernel + centre_weight * bias.log_density((100, 100))[0].exp().numpy() + uniform / 1e4
    np.testing.assert_allclose(without[0].exp().numpy(), expected, rtol=1e-9)

    mine = packs[0].viewer == 2
    row, column = packs[0].pixels()
    at_fixations = standard.log_density_at_fixations(packs[0], bias)[mine]
    torch.testing.assert_close(at_fixations, without[0, row[mine], column[mine]], rtol=1e-9, atol=1e-12)


def test_centre_bias_recovers_a_known_density() -> None:
    """Samples of a Gaussian, on images of many shapes: kernel and sampling leave little of the divergence."""
    generator = np.random.default_rng(0)
    packs = []
    for _ in range(400):
        height, width = generator.integers(50, 500, 2)
        u = generator.normal(0.5, 0.15, (200, 2))
        u = u[((u > 0) & (u < 1)).all(1)]
        packs.append(Fixations.of(u[:, 0] * width, u[:, 1] * height, (int(height), int(width))))
    fitted = CentreBias.fit(packs).log_density((90, 120))[0]
    assert fitted.exp().sum() == pytest.approx(1, abs=1e-12)
    y, x = np.mgrid[:90, :120] + 0.5
    truth = np.exp(-((x / 120 - 0.5) ** 2 + (y / 90 - 0.5) ** 2) / 2 / 0.15**2)
    truth /= truth.sum()
    divergence = float((truth * (np.log(truth) - fitted.numpy())).sum())
    uniform = float((truth * (np.log(truth) + np.log(truth.size))).sum())
    assert 0 <= divergence < 0.01 < uniform


def test_centre_bias_needs_fixations_in_every_window() -> None:
    windowed = Fixations.of([1.0], [1.0], (4, 4), time=[0.5]).assign_windows(torch.tensor([[0.0, 1.0], [1.0, 2.0]]))
    with pytest.raises(ValueError, match="at least one fixation in every time window"):
        CentreBias.fit([windowed])
    with pytest.raises(ValueError, match=r"one number of time windows, got \[1, 2\]"):
        CentreBias.fit([windowed, Fixations.of([1.0], [1.0], (4, 4))])


def test_a_map_that_is_no_density_is_refused_and_an_empty_one_is_uniform() -> None:
    assert normalise(torch.zeros(2, 4)).tolist() == [[0.125] * 4] * 2
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="negative or NaN"):
            normalise(torch.tensor([[wrong, 1.0]]))


def test_saliency_map_is_the_density_over_its_maximum_and_never_underflows() -> None:
    log_density = log_normalise(torch.tensor([[[[0.0, -800.0], [-1.0, -2.0]]]]))
    expected = [1.0, 0.0, np.exp(-1), np.exp(-2)]
    assert saliency_map(log_density).flatten().tolist() == pytest.approx(expected, abs=1e-6)
    far_below = saliency_map(log_density - 1000)  # exp of this would be 0 everywhere
    torch.testing.assert_close(far_below, saliency_map(log_density), atol=1e-3, rtol=0)


def test_resizing_a_log_density_keeps_it_one_and_its_peak() -> None:
    y, x = torch.meshgrid(torch.arange(30.0), torch.arange(40.0), indexing="ij")
    log_density = log_normalise(-((x - 30) ** 2 + (y - 9) ** 2)[None, None] / 50)
    for size in ((60, 80), (15, 20), (31, 77)):
        resized = resize_log_density(log_density, size)
        assert resized.exp().sum().item() == pytest.approx(1, abs=1e-5)
        row, column = divmod(int(resized.argmax()), size[1])
        assert abs((row + 0.5) / size[0] - 9.5 / 30) < 1 / size[0]
        assert abs((column + 0.5) / size[1] - 30.5 / 40) < 1 / size[1]


def test_bad_settings_of_the_blur_are_named() -> None:
    for sigma in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="sigma must be a positive number"):
            gaussian_blur(torch.ones(3, 3), sigma)
    with pytest.raises(ValueError, match="'wrap' is none of"):
        gaussian_blur(torch.ones(3, 3), 1.0, "wrap")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="floating point"):
        gaussian_blur(torch.ones(3, 3, dtype=torch.int64), 1.0)
    with pytest.raises(ValueError, match="pixel_per_dva must be positive"):
        gaussian_blur(torch.ones(3, 3), 1.0, pixel_per_dva=float("nan"))


def test_log_densities_of_large_images_sum_to_one() -> None:
    logits = 3 * torch.randn(1, 1, 72, 96, generator=torch.Generator().manual_seed(0))
    density = resize_log_density(logits, (3000, 4000))
    assert density.dtype == torch.float32
    assert float(density.double().exp().sum()) == pytest.approx(1, abs=1e-5), "a plain log_softmax errs by .0035"


def test_normalising_has_the_gradient_of_log_softmax_and_leaves_padding_out() -> None:
    logits = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    logits[0, 0] = 2.0  # all alike: every one is the maximum
    logits.requires_grad_(True)
    weight = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (mine,) = torch.autograd.grad((log_normalise(logits) * weight).sum(), logits)
    (expected,) = torch.autograd.grad((logits.flatten(2).log_softmax(-1).reshape(2, 3, 5, 7) * weight).sum(), logits)
    torch.testing.assert_close(mine, expected)
    valid = torch.ones(2, 5, 7, dtype=torch.bool)
    valid[1, :2] = False
    padded = log_normalise(logits, valid)
    assert bool((padded[1, :, :2] == -torch.inf).all())
    (gradient,) = torch.autograd.grad(padded[1, :, 2:].sum(), logits)
    assert bool(torch.isfinite(gradient).all())
    torch.testing.assert_close(padded[1, :, 2:].exp().sum((1, 2)), torch.ones(3, dtype=torch.float64))
