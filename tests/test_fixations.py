"""Fixations: packing, windows, moving, rasterising."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_pred.fixations import Fixations


def test_packs_keep_images_apart() -> None:
    pack = Fixations.cat(
        [Fixations.of([1.5], [0.5], (4, 6)), Fixations.empty((3, 3)), Fixations.of([0.5, 2], [1, 2], (3, 3))]
    )
    assert (len(pack), pack.num_samples) == (3, 3)
    assert pack.sample.tolist() == [0, 2, 2]
    assert pack.counts.tolist() == [1, 0, 2]
    assert pack.of_sample(2).x.tolist() == [0.5, 2.0]
    assert pack.of_sample(2).size.tolist() == [[3, 3]]


def test_outside_is_dropped_clipped_or_refused() -> None:
    fixations = Fixations.of([-0.1, 5.9, 6.0, 3.0], [1.0, 3.9, 1.0, -2.0], (4, 6))
    kept, count = fixations.clean("drop")
    assert (count, kept.x.tolist()) == (3, [5.9])
    clipped, count = fixations.clean("clip")
    assert (count, clipped.x.tolist(), clipped.y.tolist()) == (3, [0.5, 5.9, 5.5, 3.0], [1.0, 3.9, 1.0, 0.5])
    with pytest.raises(ValueError, match="3 of 4 fixations lie outside"):
        fixations.clean("error")
    with pytest.raises(ValueError, match=r"clean\('drop'"):
        fixations.rasterise()


def test_windows_are_half_open_and_may_overlap() -> None:
    fixations = Fixations.of([0, 1, 2], [0, 0, 0], (2, 3), time=[0.0, 1.0, 2.5])
    windowed = fixations.assign_windows(torch.tensor([[0.0, 1.0], [1.0, 2.0], [0.0, 3.0]]))
    pairs = sorted(zip(windowed.x.tolist(), windowed.window.tolist(), strict=True))
    assert pairs == [(0, 0), (0, 2), (1, 1), (1, 2), (2, 2)]
    assert windowed.num_maps == 3


def test_unknown_onsets_fit_the_whole_viewing_only() -> None:
    fixations = Fixations.of([0.5], [0.5], (2, 2))
    assert len(fixations.assign_windows(torch.tensor([[-math.inf, math.inf]]))) == 1
    with pytest.raises(ValueError, match="no onset time"):
        fixations.assign_windows(torch.tensor([[0.0, 1.0]]))


@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)), min_size=1, max_size=20),
    st.integers(1, 40),
    st.integers(1, 40),
)
@settings(max_examples=100, deadline=None)
def test_flip_puts_every_fixation_into_the_mirrored_pixel(points: list[tuple[float, float]], h: int, w: int) -> None:
    fixations = Fixations.of([x * w for x, _ in points], [y * h for _, y in points], (h, w)).clean("clip")[0]
    assert torch.equal(fixations.flip().rasterise(), fixations.rasterise().flip(-1))


def test_rescaling_moves_by_the_pixel_edge_rule_and_loses_nothing() -> None:
    fixations = Fixations.of([639.0, 638.9, 0.0], [479.0, 0.2, 0.0], (480, 640))
    halved = fixations.rescale(torch.tensor([[240, 320]]))
    assert halved.x.tolist() == pytest.approx([319.5, 319.45, 0.0])
    assert halved.rasterise().sum() == 3


def test_rasterising_floors_and_counts() -> None:
    fixations = Fixations.of([2.99, 2.01, 0.0], [1.0, 1.5, 0.0], (2, 4))
    counts = fixations.rasterise()
    assert counts.shape == (1, 1, 2, 4)
    assert counts[0, 0, 1, 2] == 2
    assert counts[0, 0, 0, 0] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1.0], [1.0, 2.0], (2, 2)), "1 x coordinates but 2 values of y"),
        (([math.nan], [1.0], (2, 2)), "1 of 1 fixations have a NaN"),
    ],
)
def test_bad_input_is_named(arguments: tuple, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Fixations.of(*arguments)
