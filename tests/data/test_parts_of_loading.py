"""Windows, onsets, splits, unions, MATLAB files, the fixation detector: each against a hand calculation."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures import cat2000, mat, osie, salicon, toronto, ueyes

from saliency_pred.data.cat2000 import CAT2000, content_box
from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError
from saliency_pred.data.eye_samples import RATE, detect_fixations
from saliency_pred.data.fixation_table import FixationTable
from saliency_pred.data.matlab import columns, entries, field, read_mat
from saliency_pred.data.osie import OSIE
from saliency_pred.data.saleci import spots
from saliency_pred.data.salicon import SALICON
from saliency_pred.data.splits import split_indices
from saliency_pred.data.toronto import Toronto
from saliency_pred.data.ueyes import UEyes
from saliency_pred.data.union import Union
from saliency_pred.data.windows import (
    TEMPSAL_EQUAL_COUNT,
    cumulative_onsets,
    equal_count_windows,
    equal_time_windows,
    matched_onsets,
    windows_from_bounds,
)
from saliency_pred.fixations import Fixations

# ---------------------------------------------------------------------- windows and onsets


def test_windows_of_equal_time() -> None:
    assert equal_time_windows(5.0, 5).tolist() == [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]]
    with pytest.raises(ValueError, match="above 0"):
        equal_time_windows(0.0, 5)
    with pytest.raises(ValueError, match="ascending"):
        windows_from_bounds([0, 2, 1])


def test_windows_of_equal_count() -> None:
    time = np.random.default_rng(0).exponential(1.0, 5000)
    windows = equal_count_windows(np.append(time, [np.nan, -1]), 5.0, 4)
    counts = [int(((time >= a) & (time < b)).sum()) for a, b in windows.tolist()]
    assert max(counts) - min(counts) <= 1
    assert windows[0, 0] == 0
    assert windows[-1, 1] == 5
    with pytest.raises(ValueError, match="cannot fill"):
        equal_count_windows([np.nan, 1.0], 5.0, 4)
    assert windows_from_bounds(TEMPSAL_EQUAL_COUNT).shape == (5, 2)


def test_matched_onsets_by_hand() -> None:
    """Two fixations, five samples; cost = pixels + 6 per second (0.006 per ms)."""
    location = np.array([[100.0, 100], [103, 104], [300, 300], [300, 310], [100, 100]])
    timestamp = np.array([0.2, 1.6, 3.0, 3.4, 4.9])
    fixations = np.array([[100.0, 100], [300, 306]])
    # Expected at 5/3 and 10/3 s. First: |0|+6*1.4667=8.8, 5+6*.0667=5.4, ..., 0+6*3.233=19.4 → 1.6 s.
    # Second: 6+6*.3333=8.0 at 3.0 s; 4+6*.0667=4.4 at 3.4 s → 3.4 s.
    np.testing.assert_allclose(matched_onsets(fixations, location, timestamp, 5.0), [1.6, 3.4])
    late = matched_onsets(fixations[:1], location[:1], np.array([7.3]), 5.0)
    assert 4.999 < late[0] < 5.0  # cut to the viewing time, inside the last window
    assert np.isnan(matched_onsets(fixations, location[:0], timestamp[:0], 5.0)).all()
    assert len(matched_onsets(fixations[:0], location, timestamp, 5.0)) == 0


def test_cumulative_onsets() -> None:
    np.testing.assert_allclose(cumulative_onsets([0.2, 0.3, 0.1], 0.05), [0, 0.25, 0.6])
    np.testing.assert_array_equal(np.isnan(cumulative_onsets([0.2, np.nan, 0.1], 0.0)), [False, False, True])
    assert len(cumulative_onsets([], 0.05)) == 0
    with pytest.raises(ValueError, match="0 or more"):
        cumulative_onsets([0.1], -1)


# ---------------------------------------------------------------------- coordinates


def test_columns_counted_from_one_go_there_and_back_exactly() -> None:
    column = np.arange(1, 4001, dtype=np.float64)
    ours = column - 0.5
    assert np.array_equal(ours + 0.5, column)
    fixations = Fixations.of(ours, np.full(4000, 0.5), (1, 4000))
    assert fixations.pixels()[1].tolist() == list(range(4000))  # column c is pixel c - 1
    fractions = np.random.default_rng(0).uniform(1, 4000, 4000)
    assert np.abs((fractions - 0.5) + 0.5 - fractions).max() < 1e-12


@pytest.mark.parametrize("which", ["osie", "toronto", "ueyes"])
def test_a_shift_by_one_pixel_or_swapped_axes_lower_the_likelihood(which: str, tmp_path: Path) -> None:
    """Under Gaussians of 2 pixels around what was written, in each of the four directions."""
    if which == "osie":
        dataset, truth = OSIE(osie.write(tmp_path), "all"), osie.truth()
    elif which == "toronto":
        dataset, truth = Toronto(toronto.write(tmp_path), "all"), toronto.truth()  # type: ignore[assignment]
    else:
        dataset = UEyes(ueyes.write(tmp_path), "all")  # type: ignore[assignment]
        truth = {Path(name).stem: looks for name, looks in ueyes.truth().items()}

    def likelihood(move: tuple[float, float], swap: bool = False) -> float:
        total = 0.0
        for i, name in enumerate(dataset.image_ids):
            written = np.concatenate(truth[name])
            fixations = dataset.fixations(i)
            assert fixations is not None
            x, y = fixations.x.numpy() + move[0], fixations.y.numpy() + move[1]
            x, y = (y, x) if swap else (x, y)
            squared = (x[:, None] - written[:, 0]) ** 2 + (y[:, None] - written[:, 1]) ** 2
            total += float(np.log(np.exp(-squared / 8).sum(axis=1) + 1e-9).sum())
        return total

    best = likelihood((0, 0))
    assert all(likelihood(move) < best for move in ((1, 0), (-1, 0), (0, 1), (0, -1)))
    assert likelihood((0, 0), swap=True) < best


# ---------------------------------------------------------------------- splits and unions


def test_published_splits() -> None:
    mit = [f"i{n}" for n in range(1003)]
    for split, sizes in (("803/200", (803, 200)), ("900/103", (900, 103)), ("904/99", (904, 99))):
        parts = split_indices(mit, split)
        assert (len(parts["train"]), len(parts["val"])) == sizes
    folds = [split_indices(mit, f"10-fold-{k}") for k in range(10)]
    assert sorted(i for f in folds for i in f["val"]) == list(range(1003))
    assert {len(f["val"]) for f in folds} == {100, 101}
    osie_parts = split_indices([str(n) for n in range(1001, 1701)], "500/200")
    assert (len(osie_parts["train"]), len(osie_parts["val"])) == (500, 200)


def test_cat2000_takes_twenty_images_of_each_category() -> None:
    names = [f"{category:02d}/{n:03d}" for category in range(20) for n in range(1, 101)]
    kinds = [n.split("/")[0] for n in names]
    parts = split_indices(names, CAT2000.split_names["1600/400"], categories=kinds)
    assert (len(parts["train"]), len(parts["val"])) == (1600, 400)
    assert set(parts["train"]).isdisjoint(parts["val"])
    assert all(sum(kinds[i] == f"{c:02d}" for i in parts["val"]) == 20 for c in range(20))
    held_out = [{int(names[i][-3:]) for i in parts["val"] if kinds[i] == k} for k in ("00", "01")]
    assert held_out[0] != held_out[1]  # each category is drawn on its own
    shuffled = np.random.default_rng(0).permutation(2000)
    again = split_indices([names[i] for i in shuffled], "per-category-0.8/0.2", categories=[kinds[i] for i in shuffled])
    assert {names[shuffled[i]] for i in again["val"]} == {names[i] for i in parts["val"]}


def test_splits_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="have no categories"):
        split_indices(["a", "b"], "per-category-0.5/0.5")
    with pytest.raises(ValueError, match="released without parts"):
        split_indices(["a", "b"], "official")
    with pytest.raises(ValueError, match="category x"):
        split_indices(["a", "b"], "per-category-0.5/0.5", categories=["x", "y"])


def test_union(tmp_path: Path) -> None:
    mouse = SALICON(salicon.write(tmp_path / "a"))
    eyes = OSIE(osie.write(tmp_path / "b"), "3/1")
    both = Union([mouse, eyes], weights=[3, 1])
    assert len(both) == len(mouse) + len(eyes)
    assert both.image_ids[0] == f"salicon/{mouse.image_ids[0]}"
    assert len(set(both.image_ids)) == len(both)
    for i in range(len(both)):
        one, at = both.source(i)
        assert both.image_ids[i] == f"{one.name}/{one.image_ids[at]}"
        assert one.domain == ("natural-mouse" if i < len(mouse) else "natural-eye")
        np.testing.assert_array_equal(both.image(i), one.image(at))
        assert both.size(i) == one.size(at)
        a, b = both.clean_fixations(i), one.clean_fixations(at)
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert torch.equal(a.x, b.x)
    parts = both.parts()
    assert len(parts["train"]) == 2 + 3
    assert len(parts["val"]) == 2 + 1
    assert parts["test"] == [i for i in range(len(mouse)) if mouse.official_part(i) == "test"]
    weight = both.sampling_weight
    assert weight is not None
    share = [sum(weight(i) for i in parts["train"] if (i < len(mouse)) == first) for first in (True, False)]
    assert share[0] == pytest.approx(3 * share[1])
    assert Union([mouse, eyes]).sampling_weight is None
    assert pickle.loads(pickle.dumps(both)).parts() == parts
    limited = Union([mouse, eyes, eyes], limits=[None, 1, 2], weights=[1, 1, 1])
    assert len(limited.parts()["train"]) == 2 + 1 + 2
    assert limited.image_ids[-1].startswith("osie-2/")
    assert [limited._weight(i) for i in limited.parts()["train"]] == [0.5, 0.5, 1.0, 0.5, 0.5]
    nested = Union([both, eyes])
    assert nested.source(len(mouse))[0] is eyes


def test_unions_that_cannot_be(tmp_path: Path) -> None:
    eyes = OSIE(osie.write(tmp_path), "3/1")
    for options, told in (
        ({"sets": []}, "at least one"),
        ({"sets": [eyes], "weights": [1, 2]}, "1 sets but 2 weights"),
        ({"sets": [eyes], "weights": [0]}, "positive"),
        ({"sets": [eyes], "limits": [0]}, "positive or null"),
    ):
        with pytest.raises(ValueError, match=told):
            Union(**options)  # type: ignore[arg-type]


def test_every_config_names_a_data_set_that_takes_its_options() -> None:
    import inspect

    import hydra.utils
    import yaml

    found = 0
    for path in sorted((Path(__file__).parents[2] / "configs" / "data").glob("*.yaml")):
        options = yaml.safe_load(path.read_text())
        target = hydra.utils.get_class(options.pop("_target_"))
        unknown = options.keys() - inspect.signature(target.__init__).parameters.keys()
        assert not unknown, f"{path.name}: {unknown}"
        found += 1
    assert found >= 20


# ---------------------------------------------------------------------- MATLAB files


def test_mat_files_of_both_versions_read_alike(tmp_path: Path) -> None:
    content = {
        "numbers": np.arange(6.0).reshape(2, 3),
        "flags": np.array([[True, False]]),
        "word": "köln",
        "nothing": np.zeros((0, 0)),
        "cells": mat.cell([np.ones((1, 2)), "x", np.zeros((0, 0)), mat.cell(["deep"])], (2, 2)),
        "one": {"a": np.array([[1.0]]), "b": {"c": "inner"}},
        "many": mat.structs([{"a": np.array([[float(k)]]), "b": f"s{k}"} for k in range(3)]),
    }
    five = read_mat(mat.save(tmp_path / "five.mat", **content))
    seven = read_mat(mat.save_v73(tmp_path / "seven.mat", **content))
    for got in (five, seven):
        np.testing.assert_array_equal(got["numbers"], content["numbers"])
        assert got["flags"].astype(bool).tolist() == [[True, False]]
        assert got["word"] == "köln"
        assert got["nothing"].size == 0
        assert got["cells"].shape == (2, 2)
        assert got["cells"][0, 1] == "x"
        assert got["cells"][1, 1][0, 0] == "deep"
        assert [e if isinstance(e, str) else e.size for e in entries(got["cells"])] == [2, 0, "x", 1]  # by column
        assert field(field(got["one"], "b", ""), "c", "") == "inner"
        assert [field(s, "b", "") for s in entries(got["many"])] == ["s0", "s1", "s2"]
        assert [s["a"][0, 0] for s in entries(got["many"])] == [0, 1, 2]
    with pytest.raises(DatasetLayoutError, match="no variable 'gaze' but"):
        read_mat(tmp_path / "seven.mat", "gaze")
    with pytest.raises(DatasetLayoutError, match=r"here: expected a struct with the field 'z', found \['a', 'b'\]"):
        field(five["one"], "z", "here")
    with pytest.raises(DatasetLayoutError, match="here: expected 4 columns"):
        columns(five["numbers"], 4, "here")
    assert columns(five["nothing"], 4, "").shape == (0, 4)
    with pytest.raises(BrokenFileError, match="does not exist"):
        read_mat(tmp_path / "none.mat")
    cut = (tmp_path / "seven.mat").read_bytes()[:3000]
    (tmp_path / "cut.mat").write_bytes(cut)
    with pytest.raises(BrokenFileError, match=r"cut\.mat"):
        read_mat(tmp_path / "cut.mat")


# ---------------------------------------------------------------------- detector, spots, margins, table


def jump(a: float, b: float, samples: int) -> np.ndarray:
    share = np.linspace(0, 1, samples + 2)[1:-1]
    return a + (b - a) * share**3 * (10 - 15 * share + 6 * share**2)


def test_detector_finds_rests_between_flights() -> None:
    x = np.concatenate([np.full(80, 100.0), jump(100, 500, 9), np.full(70, 500.0), jump(500, 150, 9), np.full(90, 150)])
    found = detect_fixations(np.stack([x, np.full_like(x, 200)], axis=1))
    np.testing.assert_allclose(found.x, [100, 500, 150])
    np.testing.assert_allclose(found.y, 200)
    assert found.start[0] == 0
    assert found.end[-1] == len(x)
    # A saccade begins up to 5 samples early (the windows look ahead) and ends as much late (smoothing).
    assert abs(found.end[0] - 80) <= 6
    assert abs(found.start[1] - 89) <= 6
    assert bool((found.end[:-1] < found.start[1:]).all())
    assert RATE == 240


def test_detector_on_a_still_eye_lost_samples_and_short_rests() -> None:
    still = np.full((100, 2), 50.0) + np.random.default_rng(0).normal(0, 0.2, (100, 2))
    found = detect_fixations(still)
    assert (found.start.tolist(), found.end.tolist()) == ([0], [100])
    still[40:50] = np.nan  # a blink, the eye not having moved
    again = detect_fixations(still)
    assert (again.start.tolist(), again.end.tolist()) == ([0], [100])
    assert math.isfinite(again.x[0])
    lost = detect_fixations(np.full((50, 2), np.nan))
    assert np.isnan(lost.x).all()
    assert len(detect_fixations(np.zeros((0, 2))).x) == 0
    counts = []
    for rest in range(4, 44, 2):  # a rest between two flights, of growing length
        x = np.concatenate(
            [np.full(80, 100.0), jump(100, 400, 9), np.full(rest, 400.0), jump(400, 800, 9), np.full(80, 800)]
        )
        found = detect_fixations(np.stack([x, np.full_like(x, 5)], axis=1))
        inner = (found.end - found.start)[1:-1]
        assert (inner >= 12).all()  # 50 ms; a shorter rest is part of one long saccade
        counts.append(len(inner))
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 1)


def test_spots_of_smeared_points() -> None:
    levels = np.zeros((20, 30))
    levels[4:7, 4:7] = 140
    levels[5, 5] = 250
    levels[10, 20] = 200
    levels[15, 3] = 100  # below half white
    row, column = spots(levels)
    assert list(zip(row.tolist(), column.tolist(), strict=True)) == [(5, 5), (10, 20)]
    assert [len(a) for a in spots(np.zeros((5, 5)))] == [0, 0]


def test_content_box() -> None:
    picture = np.full((40, 60, 3), 126, np.uint8)
    assert content_box(picture) == (0, 0, 40, 60)  # grey all over: nothing to cut by
    picture[5:35, 10:50] = 30
    picture[5:35, 9] = 131  # smeared by JPEG, within tolerance
    assert content_box(picture) == (5, 10, 30, 40)


def test_fixation_table() -> None:
    one = (np.array([1.0, np.nan, 3]), np.array([4.0, 5, 6]), None, np.array([0.1, 0.2, 0.3]), np.array([7, 8, 9]))
    two = (np.zeros(0), np.zeros(0), None, None, None)
    table = FixationTable([one, two, one])
    assert table.counts.tolist() == [2, 0, 2]
    assert table.not_finite.tolist() == [1, 0, 1]
    assert table.of(0, (10, 10)).viewer.tolist() == [7, 9]
    chosen = table.select([2, 1])
    assert chosen.counts.tolist() == [2, 0]
    assert chosen.of(0, (10, 10)).duration.tolist() == [0.1, 0.3]
    again = FixationTable.from_arrays(table.arrays())
    assert torch.equal(again.of(2, (10, 10)).x, table.of(2, (10, 10)).x)
    with pytest.raises(ValueError, match="different lengths"):
        FixationTable([(np.zeros(2), np.zeros(3), None, None, None)])


def test_cat2000_names(tmp_path: Path) -> None:
    """The 20-per-category split is spelled as the papers count it."""
    dataset = CAT2000(cat2000.write(tmp_path), "1600/400")
    with pytest.raises(ValueError, match="category Action"):
        dataset.parts()  # two pictures cannot be divided 4 to 1
