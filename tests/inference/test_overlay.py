"""Pictures of predictions: right places, right order of colours, nothing else changed."""

from __future__ import annotations

import numpy as np

from saliency_pred.fixations import Fixations
from saliency_pred.inference.overlay import draw_fixations, draw_regions, heat_map, overlay, side_by_side
from saliency_pred.inference.prediction_sheet import Panel, prediction_sheet
from saliency_pred.inference.regions import Region, score_region


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
    assert (picture[:, :15] == picture[0, 0]).all()
    grey = image[0, 0] @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(cold, 0.2 * image[0, 0] + 0.6 * grey, atol=1.5)  # dimmed and greyed, no colour
    assert warm[0] > 200
    assert warm[0] > warm[2] + 80, "yellow"
    middling = overlay(image, np.full((20, 30), 0.25))[0, 0].astype(int)
    assert cold[0] < middling[0] < warm[0]


def test_pictures_side_by_side_have_one_height() -> None:
    row = side_by_side([np.zeros((50, 100, 3), np.uint8), np.full((20, 10, 3), 9, np.uint8)], height=40, gap=4)
    assert row.shape == (40, 80 + 4 + 20, 3)
    assert (row[:, 80:84] == 255).all()


def test_boxes_are_where_the_regions_are() -> None:
    size = (200, 300)
    density = np.full(size, 1 / (200 * 300))
    score = score_region(Region("logo", 100, 60, 80, 40), density)
    picture = np.full((*size, 3), 120, np.uint8)
    drawn = draw_regions(picture, {"logo": score})
    assert (picture == 120).all()
    white = (drawn[60:100, 100:180] == 255).all(-1)
    assert white[[1, 38]].sum() > 120, "upper and lower side"
    assert white[:, [1, 78]].sum() > 60, "left and right side"
    assert (drawn[70:90, 110:170] == 120).all(), "nothing inside"
    assert (drawn[104:] == 120).all(), "nothing below"
    for outside in (Region("corner", -50, -50, 60, 60), Region("all", 0, 0, 300, 200), Region("dot", 299.5, 0, 5, 0.2)):
        assert draw_regions(picture, {outside.name: score_region(outside, density)}).shape == picture.shape


def test_a_sheet_holds_every_picture() -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    sizes = [(40, 60), (500, 20), (900, 1600)]
    panels = [
        Panel([np.full((*size, 3), colour, np.uint8)] * 2, "a" * (10 * i + 1), "1 bit")
        for i, (size, colour) in enumerate(zip(sizes, colours, strict=True))
    ]
    page = prediction_sheet(panels)
    shares = [size[0] / size[1] for size in sizes]
    for share, colour in zip(shares, colours, strict=True):
        rows, columns = (page == colour).all(-1).nonzero()
        height, width = len(np.unique(rows)), len(np.unique(columns)) / 2
        assert abs(height / width / share - 1) < 0.1, "the aspect is kept"
