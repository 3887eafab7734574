"""Pictures of predictions: right places, right order of colours, nothing else changed."""

from __future__ import annotations

import numpy as np

from saliency_pred.fixations import Fixations
from saliency_pred.inference.overlay import draw_fixations, heat_map, overlay, side_by_side


def test_drawing_leaves_the_image_alone_and_hits_the_place() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    drawn = draw_fixations(image, Fixations.of([20.5, 70.5], [10.5, 50.5], (60, 80)))
    assert image.max() == 0
    row, column = drawn.max(-1).nonzero()  # OpenCV's small discs are off by .3; without the half pixel it were .8
    assert abs(row[column < 40].mean() - 10) < 0.4
    assert abs(column[column < 40].mean() - 20) < 0.4
    assert abs(row[column > 40].mean() - 50) < 0.4
    assert abs(column[column > 40].mean() - 70) < 0.4


def test_more_salient_is_brighter_even_in_grey() -> None:
    ramp = heat_map(np.linspace(0, 1, 256)[None])
    assert ramp.shape == (1, 256, 3)
    grey = ramp[0].astype(float) @ [0.299, 0.587, 0.114]
    assert (np.diff(grey) > -1.5).all()
    assert grey[-1] - grey[0] > 150


def test_an_overlay_colours_what_is_salient_only() -> None:
    image = np.full((20, 30, 3), (40, 90, 140), np.uint8)
    saliency = np.zeros((20, 30))
    saliency[:, 15:] = 1.0
    picture = overlay(image, saliency)
    assert picture.dtype == np.uint8
    cold, warm = picture[0, 0].astype(int), picture[0, 20].astype(int)
    assert abs(cold - image[0, 0]).max() < 30, "the image, a little greyer"
    assert warm[0] > 150
    assert warm[0] > warm[2], "red and yellow"


def test_pictures_side_by_side_have_one_height() -> None:
    row = side_by_side([np.zeros((50, 100, 3), np.uint8), np.full((20, 10, 3), 9, np.uint8)], height=40, gap=4)
    assert row.shape == (40, 80 + 4 + 20, 3)
    assert (row[:, 80:84] == 255).all()
