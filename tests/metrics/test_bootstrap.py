"""Intervals and paired tests against SciPy and against full enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from saliency_pred.metrics.bootstrap import confidence_interval, paired_test


def test_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).gamma(2, size=80)
    ours = confidence_interval(values.tolist(), resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    # Quantiles of 20000 means: a standard error of some 2 % of the interval's half width
    assert ours == pytest.approx(tuple(theirs), abs=0.05 * (theirs.high - theirs.low))


def test_interval_covers() -> None:
    """95 % intervals hold the true mean in about 95 of 100 experiments: 91 to 98 of 200 in 99 % of runs."""
    rng = np.random.default_rng(5)
    held = 0
    for seed in range(200):
        low, high = confidence_interval(rng.normal(3, 1, 60).tolist(), resamples=500, seed=seed)
        held += low <= 3 <= high
    assert 0.90 <= held / 200 <= 0.985


def test_weighted_interval() -> None:
    """Integer weights are repeated values as far as the mean goes; equal weights change nothing."""
    values = [1.0, 5.0, 2.0, 8.0]
    assert confidence_interval(values, weights=[2.0] * 4) == pytest.approx(confidence_interval(values))
    low, high = confidence_interval(values, weights=[1.0, 1.0, 1.0, 1e9])
    assert high == pytest.approx(8)
    assert low < 8
    with pytest.raises(ValueError, match="positive weight"):
        confidence_interval(values, weights=[1.0, 0.0, 1.0, 1.0])


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [math.inf]])
def test_interval_of_what_is_no_number(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="finite values"):
        confidence_interval(bad)


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_small_tests_enumerate(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.4, 1, n), rng.normal(0, 1, n)
    differences = a - b
    means = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=n)]
    expected = np.mean([m >= abs(differences.sum()) - 1e-12 for m in means])
    found = paired_test(a.tolist(), b.tolist())
    assert found.p == pytest.approx(expected)
    assert found.difference == pytest.approx(differences.mean())
    assert found.images == n


def test_large_test_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    a = rng.normal(0.25, 1, 60)
    b = rng.normal(0, 1, 60)
    theirs = scipy.stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", n_resamples=20_000, rng=1
    ).pvalue
    ours = paired_test(a.tolist(), b.tolist(), resamples=20_000)
    assert ours.p == pytest.approx(theirs, abs=4 * math.sqrt(2 * theirs * (1 - theirs) / 20_000))
    assert ours.low < ours.difference < ours.high


def test_no_difference_is_rarely_found() -> None:
    """p is below .05 in about 5 % of experiments without a difference (200: 1 to 10 % in 99.9 % of runs)."""
    rng = np.random.default_rng(11)
    found = [
        paired_test(rng.normal(size=30).tolist(), rng.normal(size=30).tolist(), resamples=500, seed=s).p < 0.05
        for s in range(200)
    ]
    assert 0.005 <= np.mean(found) <= 0.105


def test_images_that_one_cannot_score_are_left_out() -> None:
    found = paired_test([1.0, math.nan, 3.0, 4.0], [0.0, 5.0, math.nan, 1.0])
    assert found.images == 2
    assert found.difference == 2


def test_same_scores_do_not_differ() -> None:
    found = paired_test([1.0, 2.0] * 20, [1.0, 2.0] * 20)
    assert (found.difference, found.p) == (0, 1)


@pytest.mark.parametrize(
    ("a", "b"), [([1.0], [1.0, 2.0]), ([math.nan], [1.0]), ([math.inf, 1.0], [1.0, 1.0]), ([], [])]
)
def test_nothing_to_compare(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="a paired test needs"):
        paired_test(a, b)
