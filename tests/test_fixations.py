"""Fixations: packing, windows, moving, rasterising."""

from __future__ import annotations

import dataclasses
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


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 500))
@settings(max_examples=300, deadline=None)
def test_rounding_carries_no_fixation_over_the_edge(old: int, new: int, moved: int) -> None:
    """The last number below the right edge, times the ratio or plus the shift, may round to the edge itself."""
    fixations = Fixations.of([math.nextafter(old, 0), 0.0], [0.0, math.nextafter(old, 0)], (old, old))
    rescaled = fixations.rescale(torch.tensor([[new, new]]))
    assert rescaled.inside.all()
    shifted = rescaled.shift(moved, moved, (new + moved, new + moved))
    assert shifted.inside.all()
    assert shifted.pixels()[1].tolist() == [new - 1 + moved, moved]


def test_what_lies_outside_stays_outside_when_moved() -> None:
    fixations = Fixations.of([-3.0, 12.0, 5.0], [5.0, 5.0, 10.0], (10, 10))
    assert not fixations.rescale(torch.tensor([[30, 20]])).inside.any()
    assert fixations.shift(0, -4, (10, 6)).x.tolist() == [-7.0, 8.0, 1.0]


def test_images_of_different_sizes_are_moved_each_by_its_own() -> None:
    pack = Fixations.cat([Fixations.of([10.0], [10.0], (20, 40)), Fixations.of([10.0], [10.0], (40, 20))])
    resized = pack.rescale(torch.tensor([[10, 10], [10, 10]]))
    assert (resized.x.tolist(), resized.y.tolist()) == ([2.5, 5.0], [5.0, 2.5])
    wide, tall = Fixations.of([10.5], [0.5], (20, 40)), Fixations.of([10.5], [0.5], (40, 20))
    assert Fixations.cat([wide, tall]).flip().x.tolist() == [29.5, 9.5]
    with pytest.raises(ValueError, match="different sizes"):
        pack.rasterise()


def test_windows_of_each_image_are_its_own() -> None:
    pack = Fixations.cat([Fixations.of([0.5], [0.5], (2, 2), time=[1.0]) for _ in range(2)])
    windowed = pack.assign_windows(torch.tensor([[[0.0, 2.0], [2.0, 3.0]], [[0.0, 1.0], [1.0, 2.0]]]))
    assert windowed.map_index.tolist() == [0, 3]
    assert windowed.of_window(1).sample.tolist() == [1]
    assert windowed.of_window(1).num_windows == 1
    with pytest.raises(ValueError, match=r"windows must be \(B, T, 2\) with B = 2"):
        pack.assign_windows(torch.zeros(3, 1, 2))
    with pytest.raises(ValueError, match="different numbers of time windows"):
        Fixations.cat([windowed, pack])


def test_viewers_are_chosen_and_unknown_ones_are_nobody() -> None:
    fixations = Fixations.of([0.5, 1.5, 2.5], [0.5] * 3, (1, 3), viewer=[7, -1, 4])
    assert fixations.viewers() == [4, 7]
    assert fixations.of_viewer(7).x.tolist() == [0.5]
    assert Fixations.of([0.5], [0.5], (1, 1)).viewers() == []


def test_moving_to_a_device_moves_every_column() -> None:
    moved = Fixations.of([0.5], [0.5], (1, 1)).to("meta")
    columns = [moved.x, moved.y, moved.time, moved.duration, moved.viewer, moved.sample, moved.window, moved.size]
    assert {column.device.type for column in columns} == {"meta"}


def test_columns_of_the_wrong_kind_are_named() -> None:
    good = Fixations.of([0.5], [0.5], (1, 1))
    with pytest.raises(ValueError, match=r"fixations\.viewer must be torch\.int64 of shape \(1,\)"):
        dataclasses.replace(good, viewer=torch.tensor([1.0]))
    with pytest.raises(ValueError, match=r"fixations\.size must be int64"):
        dataclasses.replace(good, size=torch.tensor([1, 1]))
    with pytest.raises(ValueError, match="nothing to pack"):
        Fixations.cat([])
    with pytest.raises(ValueError, match="'trim' is none of"):
        Fixations.of([5.0], [0.5], (1, 1)).clean("trim")  # type: ignore[arg-type]
