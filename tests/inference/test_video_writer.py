"""Videos of maps come back as they were: values, number of frames, time stamps."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="needs PyAV")

from saliency_pred.data.video import open_video
from saliency_pred.inference.video_writer import VideoWriter, join, time_stamps

CLOCK = Fraction(1, 30_000)


def maps(count: int, size: tuple[int, int]) -> list[np.ndarray]:
    """A blob that moves, its frame's largest value 1 and its smallest about 0."""
    y, x = np.mgrid[: size[0], : size[1]]
    return [np.exp(-((x - 5 - 2 * k) ** 2 + (y - size[0] / 2) ** 2) / 200) for k in range(count)]


def uneven(count: int) -> np.ndarray:
    """Time stamps of a variable rate, from 0."""
    ticks = np.random.default_rng(0).integers(500, 3000, count).cumsum()
    return ticks - ticks[0]


@pytest.mark.parametrize("size", [(64, 96), (63, 97)])
def test_maps_come_back(tmp_path: Path, size: tuple[int, int]) -> None:
    written, stamps = maps(30, size), uneven(30)
    with VideoWriter(tmp_path / "maps.mp4", size, CLOCK, "map") as writer:
        for saliency, pts in zip(written, stamps.tolist(), strict=True):
            writer.write(saliency, pts)
    video = open_video(tmp_path / "maps.mp4", pixels="grey")
    assert (len(video), video.size) == (30, size)
    np.testing.assert_allclose(video.times, stamps * float(CLOCK), rtol=0, atol=1e-9)
    for read, saliency in zip(video.frames(), written, strict=True):
        assert np.abs(read - saliency).max() < 0.05  # at a steep edge; the mean is far below
        assert np.abs(read - saliency).mean() < 0.004
        assert np.corrcoef(read.ravel(), saliency.ravel())[0, 1] > 0.999


def test_maps_have_more_levels_than_8_bits_hold(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 1, 1024), (64, 1))
    with VideoWriter(tmp_path / "ramp.mp4", (64, 1024), CLOCK, "map", crf=0) as writer:
        writer.write(ramp, 0)
    read = next(open_video(tmp_path / "ramp.mp4", pixels="grey").frames())
    assert len(np.unique(read)) > 800
    np.testing.assert_allclose(read, ramp, rtol=0, atol=1.5 / 876)  # a level beside half a step of rounding


def test_parts_that_are_joined_equal_the_whole(tmp_path: Path) -> None:
    size = (64, 96)
    written, stamps = maps(20, size), uneven(20)
    cuts = [0, 7, 8, 20]
    parts = []
    for first, end in itertools.pairwise(cuts):
        parts.append(tmp_path / f"{first}.mp4")
        with VideoWriter(parts[-1], size, CLOCK, "map") as writer:
            for k in range(first, end):
                writer.write(written[k], int(stamps[k] - stamps[first]))
    join(parts, [int(stamps[k]) for k in cuts[:-1]], CLOCK, tmp_path / "whole.mp4")
    whole = open_video(tmp_path / "whole.mp4", pixels="grey")
    np.testing.assert_allclose(whole.times, stamps * float(CLOCK), rtol=0, atol=1e-9)
    singly = [frame for part in parts for frame in open_video(part, pixels="grey").frames()]
    for together, alone in zip(whole.frames(), singly, strict=True):
        np.testing.assert_array_equal(together, alone)


def test_pictures_and_time_stamps(tmp_path: Path) -> None:
    pictures = [np.full((48, 64, 3), level, np.uint8) for level in (10, 120, 250)]
    with VideoWriter(tmp_path / "p.mp4", (48, 64), CLOCK, "picture") as writer:
        for pts, picture in zip((0, 1001, 5000), pictures, strict=True):
            writer.write(picture, pts)
        with pytest.raises(ValueError, match="frames of this picture video are"):
            writer.write(np.zeros((48, 64)), 6000)
    video = open_video(tmp_path / "p.mp4")
    for read, picture in zip(video.frames(), pictures, strict=True):
        assert np.abs(read.astype(int) - picture).max() <= 3
    stamps, clock = time_stamps(video)
    assert [stamp * clock for stamp in stamps.tolist()] == [0, 1001 * CLOCK, 5000 * CLOCK]
