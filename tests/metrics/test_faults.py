"""Faults that public scorers have or had, one test each: what the fault would give is not what is returned."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from saliency_pred.density import fixation_density
from saliency_pred.fixations import Fixations
from saliency_pred.metrics import functional as F


def fixate(pixels: list[tuple[int, int]], size: tuple[int, int]) -> Fixations:
    """At the centres of the pixels (row, column)."""
    return Fixations.of([c + 0.5 for _, c in pixels], [r + 0.5 for r, _ in pixels], size)


def ramp(height: int, width: int) -> torch.Tensor:
    """1, 2, 3 ... row by row."""
    return torch.arange(1, height * width + 1, dtype=torch.float64).reshape(1, height, width)


def test_false_positives_are_not_one_too_many() -> None:
    """The best pixel of 12 is fixated: no false positive at its threshold, so nothing is lost."""
    best = fixate([(2, 3)], (3, 4))
    assert float(F.auc_judd(ramp(3, 4), best)) == 1
    assert float(F.auc_judd_mit(ramp(3, 4), best)) == 1
    assert float(F.auc(ramp(3, 4), best)) == float(Fraction(23, 24))  # ties with itself


def test_values_are_not_rounded() -> None:
    """Rounding of rates to 4 decimals would show in the 5th."""
    map_ = ramp(7, 11)
    fixated = [(0, 5), (3, 3), (6, 9)]
    values = [int(map_[0, r, c]) for r, c in fixated]
    below = sum(v - 1 - sum(w < v for w in values) for v in values)
    assert float(F.auc_judd(map_, fixate(fixated, (7, 11)))) == pytest.approx(below / (3 * 74), abs=1e-15)


@pytest.mark.parametrize("size", [(4, 9), (9, 4)])
def test_shuffled_negatives_lie_where_they_were(size: tuple[int, int]) -> None:
    """Rows and columns mixed up, or counted from 1, show on maps that are not square."""
    map_ = ramp(*size)
    here, elsewhere = fixate([(3, 2)], size), fixate([(3, 1), (3, 3), (0, 0), (size[0] - 1, size[1] - 1)], size)
    below = 2  # (3, 1) and (0, 0) come before (3, 2) in reading order
    assert float(F.sauc(map_, here, elsewhere)) == below / 4


def test_shuffled_area_is_an_area() -> None:
    """Positives all below the negatives: 0, not less."""
    size = (5, 8)
    worst = F.sauc_mit(ramp(*size), fixate([(0, 0), (0, 1)], size), fixate([(4, 7), (4, 6), (4, 5)], size))
    assert float(worst) == 0


def test_shuffled_negatives_do_not_grow_from_call_to_call() -> None:
    size = (5, 8)
    map_, here = ramp(*size), fixate([(2, 3)], size)
    low, high = fixate([(0, 0)], size), fixate([(4, 7)], size)
    values = [(float(m(map_, here, low)), float(m(map_, here, high))) for _ in range(3) for m in (F.sauc, F.sauc_mit)]
    assert values == [(1.0, 0.0)] * 6


def test_shuffled_area_uses_the_other_images() -> None:
    """A disc or all pixels in their place would not notice that they changed."""
    size = (6, 6)
    map_, here = ramp(*size), fixate([(3, 3)], size)
    assert float(F.sauc(map_, here, fixate([(3, 2), (5, 5)], size))) == 0.5
    assert float(F.sauc(map_, here, fixate([(3, 2), (0, 5)], size))) == 1


def test_divergence_is_of_the_map_from_the_density() -> None:
    map_ = torch.tensor([[[0.5, 0.25, 0.25]]], dtype=torch.float64)
    density = torch.tensor([[[0.8, 0.1, 0.1]]], dtype=torch.float64)
    forwards = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.1 / 0.25)
    backwards = 0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.25 / 0.1)
    assert abs(forwards - backwards) > 0.03
    assert float(F.kld(map_, density)) == pytest.approx(forwards, abs=1e-12)


def test_arguments_are_left_as_they_were() -> None:
    """Jitter or normalisation in place would change what the caller still holds."""
    size = (9, 7)
    rng = np.random.default_rng(0)
    map_ = torch.from_numpy(rng.uniform(1, 2, (1, *size)))
    fixations, others = fixate([(1, 1), (5, 6)], size), fixate([(2, 2), (8, 0)], size)
    density = fixation_density(fixations, 2.0, dtype=torch.float64)[0]
    before = [t.clone() for t in (map_, density, fixations.x, fixations.y, others.x, others.y)]
    log_density = torch.log_softmax(map_.flatten(1), 1).reshape(map_.shape)
    before.append(log_density.clone())
    for metric in (F.auc, F.auc_judd, F.auc_judd_mit, F.auc_judd_aim, F.auc_borji, F.nss, F.nss_aim):
        metric(map_, fixations)
    F.sauc(map_, fixations, others), F.sauc_mit(map_, fixations, others)
    F.log_likelihood(log_density, fixations), F.ig(log_density, log_density, fixations)
    F.ig_mit(map_, density, fixations)
    for density_metric in (F.cc, F.kld, F.sim, F.sim_mit, F.emd):
        density_metric(map_, density)
    after = (map_, density, fixations.x, fixations.y, others.x, others.y, log_density)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_mean_and_deviation_are_not_exchanged() -> None:
    """Of 0, 2, 4, 10: mean 4, deviation sqrt(14) (or sqrt(56 / 3) with ddof 1)."""
    map_ = torch.tensor([[[0.0, 2.0], [4.0, 10.0]]], dtype=torch.float64)
    best = fixate([(1, 1)], (2, 2))
    assert float(F.nss(map_, best)) == pytest.approx(6 / math.sqrt(14), abs=1e-12)
    assert float(F.nss(map_, best, ddof=1)) == pytest.approx(6 / math.sqrt(56 / 3), abs=1e-12)


def test_fixations_are_points_and_not_rows_times_columns() -> None:
    """n fixations are n pixels, not the n * n where one's row crosses another's column."""
    size = (6, 6)
    fixations = fixate([(0, 5), (2, 1), (5, 0)], size)
    counts = fixations.rasterise()
    assert counts.sum() == 3
    assert counts[0, 0, 0, 5] == counts[0, 0, 2, 1] == counts[0, 0, 5, 0] == 1
    map_ = ramp(*size)
    expected = (map_[0, [0, 2, 5], [5, 1, 0]].mean() - map_.mean()) / map_.std(correction=0)
    assert float(F.nss(map_, fixations)) == pytest.approx(float(expected), abs=1e-12)


def test_values_beyond_one_are_not_squashed() -> None:
    """A sigmoid makes 40 and 50 equal in float32."""
    map_ = torch.tensor([[[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]]])
    fixations = fixate([(1, 0), (1, 2)], (2, 3))
    for metric in (F.auc, F.auc_judd, F.auc_judd_mit):
        assert float(metric(map_, fixations)) == float(metric(map_ / 100, fixations))
    assert float(F.auc_judd(map_, fixations)) == 7 / 8


def test_nss_is_not_taken_on_the_density() -> None:
    """Densities and fixations are different types, and no metric makes one of the other by a threshold."""
    density = fixation_density(fixate([(1, 1)], (4, 4)), 1.0)[0]
    with pytest.raises(TypeError, match="a density is not a set of fixations"):
        F.nss(density, density)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a density is not a set of fixations"):
        F.auc(density, density > 0.5 * density.max())  # type: ignore[arg-type]


def test_a_pixel_fixated_often_counts_often() -> None:
    """Reading fixations from a binary map merges them."""
    map_ = ramp(3, 3)
    once, often = fixate([(0, 0), (2, 2)], (3, 3)), fixate([(0, 0), (2, 2), (2, 2), (2, 2)], (3, 3))
    assert float(F.nss(map_, once)) == pytest.approx(0, abs=1e-15)
    assert float(F.nss(map_, often)) == pytest.approx(2 / math.sqrt(60 / 9), abs=1e-12)
    assert float(F.auc(map_, often)) == (1 / 2 + 3 * 17 / 2) / (4 * 9)


def test_tiny_values_are_not_swamped() -> None:
    """Densities of large images are 1e-6 and less: an added jitter of 1e-7 would decide the order."""
    map_ = ramp(40, 50)
    fixations = fixate([(0, 7), (13, 3), (39, 1)], (40, 50))
    for metric in (F.auc, F.auc_judd, F.auc_judd_mit, F.auc_borji, F.nss):
        assert float(metric(map_ * 2.0**-40, fixations)) == float(metric(map_, fixations))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_same_twice_and_on_every_device(device: str) -> None:
    """Areas are integer counts: floating-point sums in changing order would differ in the last digits."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    rng = np.random.default_rng(1)
    map_ = torch.from_numpy(rng.gamma(0.3, size=(1, 200, 300))).float()
    fixations = Fixations.of(rng.uniform(0, 300, 150), rng.uniform(0, 200, 150), (200, 300))
    for metric in (F.auc, F.auc_judd, F.auc_judd_mit):
        expected = float(metric(map_, fixations))
        threads = torch.get_num_threads()
        torch.set_num_threads(2)
        again = [float(metric(map_.to(device), fixations.to(device))) for _ in range(3)]
        torch.set_num_threads(threads)
        assert again == [expected] * 3
