"""Whatever moves the image moves its fixations and its maps to the same place."""

from __future__ import annotations

import albumentations as A
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_pred.data.placement import Placement, ResizeRule, resize_image
from saliency_pred.data.transforms import Augmentation
from saliency_pred.fixations import Fixations

POINTS = [(12.0, 9.5), (47.25, 20.0), (30.5, 40.75)]


def scene(height: int, width: int) -> tuple[np.ndarray, Fixations, torch.Tensor]:
    """A dark picture with a white disc of radius 4 around each point, the points, and a map of small bumps there."""
    x, y = np.array(POINTS).T
    yy, xx = np.mgrid[:height, :width] + 0.5
    squared = (yy[..., None] - y) ** 2 + (xx[..., None] - x) ** 2
    image = np.repeat(np.where(squared.min(-1) <= 16, 255, 0).astype(np.uint8)[..., None], 3, -1)
    density = np.exp(-squared / 8).sum(-1)
    return image, Fixations.of(x, y, (height, width)), torch.from_numpy(density / density.sum())[None].float()


def check(image: np.ndarray, fixations: Fixations, density: torch.Tensor, scale: float = 1.0) -> None:
    row, column = fixations.pixels()
    assert (image[row, column, 0] > 150).all(), "a fixation has left its disc"
    assert density.shape[-2:] == image.shape[:2]
    for r, c in zip(row.tolist(), column.tolist(), strict=True):  # the nearest bump peaks within a pixel or so of it
        reach = max(2, round(3 * scale))
        top, left = max(0, r - reach), max(0, c - reach)
        near = density[0, top : r + reach + 1, left : c + reach + 1]
        peak_row, peak_column = divmod(int(near.argmax()), near.shape[1])
        assert abs(top + peak_row - r) <= max(1, scale)
        assert abs(left + peak_column - c) <= max(1, scale)


@pytest.mark.parametrize("rule", ["pad", "stretch"])
@pytest.mark.parametrize("original", [(51, 61), (50, 64)])
@pytest.mark.parametrize("grid", [(51, 61), (33, 64), (101, 97), (64, 40), (25, 30)])
def test_placing(rule: ResizeRule, original: tuple[int, int], grid: tuple[int, int]) -> None:
    image, fixations, density = scene(*original)
    place = Placement.of(original, grid, rule)
    placed = place.image(image)
    assert placed.shape == (*grid, 3)
    moved, maps = place.fixations(fixations), place.density(density)
    assert len(moved) == 3
    assert place.valid()[moved.pixels()].all()
    assert maps.sum().item() == pytest.approx(1, abs=1e-5)
    assert (maps[0][~place.valid()] == 0).all()
    check(placed, moved, maps, scale=max(a / b for a, b in zip(place.size, original, strict=True)))


@pytest.mark.parametrize(
    "transform",
    [
        A.HorizontalFlip(p=1.0),
        A.VerticalFlip(p=1.0),
        A.Crop(x_min=5, y_min=3, x_max=58, y_max=50, p=1.0),
        A.Affine(translate_px={"x": 3, "y": -4}, p=1.0),
        A.Rotate(limit=(90, 90), p=1.0),
        A.Affine(rotate=(13, 13), p=1.0),
    ],
    ids=lambda t: type(t).__name__,
)
@pytest.mark.parametrize("size", [(51, 61), (52, 64)])
def test_augmenting(transform: A.BasicTransform, size: tuple[int, int]) -> None:
    image, fixations, density = Augmentation([transform])(*scene(*size), (0, 0))
    assert fixations is not None
    assert density is not None
    assert len(fixations) >= 2
    check(image, fixations, density)


@given(
    st.lists(st.tuples(st.integers(0, 36), st.integers(0, 22), st.sampled_from([0.0, 0.25, 0.5])), min_size=1),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_mirroring_loses_no_fixation(points: list[tuple[int, int, float]], on_the_edge: bool) -> None:
    """Off the pixels' edges each is in the mirrored pixel; on the image's left edge it stays in the image."""
    inner = [(x + 0.25 + f, y + 0.25 + f) for x, y, f in points] + [(0.0, 11.5)] * on_the_edge
    fixations = Fixations.of([x for x, _ in inner], [y for _, y in inner], (23, 37))
    _, mirrored, _ = Augmentation([A.HorizontalFlip(p=1.0)])(np.zeros((23, 37, 3), np.uint8), fixations, None, (0, 0))
    assert mirrored is not None
    assert torch.equal(mirrored.rasterise(), fixations.rasterise().flip(-1))


def test_augmentations_differ_between_images_epochs_and_seeds_and_repeat_exactly() -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    crop = A.RandomCropFromBorders(crop_left=0.4, crop_right=0.4, crop_top=0.4, crop_bottom=0.4, p=1.0)

    def sizes(seed: int, order: list[tuple[int, int]]) -> dict[tuple[int, int], tuple[int, ...]]:
        augmentation = Augmentation([crop], seed)
        return {key: augmentation(image, None, None, key)[0].shape for key in order}

    keys = [(epoch, index) for epoch in range(4) for index in range(4)]
    once = sizes(0, keys)
    assert sizes(0, keys[::-1]) == once, "whatever came before"
    assert len(set(once.values())) > 10
    assert sizes(1, keys) != once


def test_fixations_that_leave_the_image_are_dropped_not_moved_to_its_border() -> None:
    crop = Augmentation([A.Crop(x_min=10, y_min=0, x_max=30, y_max=20, p=1.0)])
    fixations = Fixations.of([9.99, 10.01, 29.99, 30.01], [5.0] * 4, (20, 40))
    _, kept, _ = crop(np.zeros((20, 40, 3), np.uint8), fixations, None, (0, 0))
    assert kept is not None
    assert kept.x.tolist() == pytest.approx([0.01, 19.99], abs=1e-4)


def test_sizes_by_hand() -> None:
    place = Placement.of((480, 640), (288, 384), "pad")
    assert (place.size, place.top, place.left) == ((288, 384), 0, 0)
    place = Placement.of((100, 300), (288, 384), "pad")
    assert (place.size, place.top, place.left) == ((128, 384), 80, 0)
    with pytest.raises(ValueError, match="'crop' is none of"):
        Placement.of((10, 10), (5, 5), "crop")  # type: ignore[arg-type]


def test_shrinking_averages_over_the_area() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[0, 0], image[0, 1] = 200, 100
    assert resize_image(image, (2, 2))[..., 0].tolist() == [[75, 0], [0, 0]]


def test_clips_are_placed_frame_by_frame() -> None:
    clip = np.random.default_rng(0).integers(0, 255, (3, 20, 30, 3), dtype=np.uint8)
    place = Placement.of((20, 30), (30, 30), "pad")
    placed = place.image(clip)
    assert placed.shape == (3, 30, 30, 3)
    assert all(np.array_equal(placed[i], place.image(clip[i])) for i in range(3))


def test_a_map_without_mass_stays_empty() -> None:
    maps = Placement.of((20, 30), (30, 30), "pad").density(torch.zeros(2, 20, 30))
    assert maps.abs().max() == 0
