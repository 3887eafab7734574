"""The truth of synthetic data is held against what is drawn from it, and its parts against independent sums."""

from __future__ import annotations

import hashlib
import math
import pickle
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from saliency_pred.data.scenes import REACTION_LAG, Items, Text, pop_out
from saliency_pred.data.synthetic import TICKS_PER_SECOND, Synthetic, SyntheticVideo, Viewers, _Simulated
from saliency_pred.fixations import Fixations

STILLS = {"count": 12, "size": (60, 80), "viewers": 6, "seed": 3}
CLIPS = {"count": 4, "frames": 8, "fps": 8.0, "size": (60, 80), "viewers": 6, "seed": 3}
SLICES = torch.tensor([[0.0, 0.5], [0.5, 1.0], [1.0, 2.0], [2.0, 3.0]])


def digest(data: _Simulated, index: int) -> str:
    fixations = data.fixations(index)
    parts = [data.image(index), *(getattr(fixations, n).numpy() for n in ("x", "y", "time", "duration", "viewer"))]
    return hashlib.sha256(b"".join(np.ascontiguousarray(p).tobytes() for p in parts)).hexdigest()


@cache
def trials(kind: type[_Simulated], index: int, count: int) -> Fixations:
    """``count`` independent trials of all viewers with one image, as one sample."""
    data = kind(**(STILLS if kind is Synthetic else CLIPS))
    rng = np.random.default_rng(0)
    parts = [data._trial(index, rng) for _ in range(count)]
    columns = {n: torch.cat([getattr(p, n) for p in parts]) for n in ("x", "y", "time", "duration", "viewer")}
    return Fixations.of(columns.pop("x"), columns.pop("y"), data.size(index), **columns)


def chi_square_p(counts: Tensor, density: Tensor, cell: int = 10) -> float:
    """Pearson's test of counts (T, H, W) against densities, over cells; cells of few expected are pooled."""
    pool = torch.nn.functional.avg_pool2d
    observed = pool(counts.double(), cell, divisor_override=1).flatten(1)
    expected = pool(density, cell, divisor_override=1).flatten(1) * observed.sum(1, keepdim=True)
    few = expected < 10
    statistic, freedom = 0.0, 0
    for o, e, f in zip(observed, expected, few, strict=True):
        o = torch.cat([o[~f], o[f].sum()[None]]) if f.any() else o
        e = torch.cat([e[~f], e[f].sum()[None]]) if f.any() else e
        statistic += float(((o - e) ** 2 / e).sum())
        freedom += len(o) - 1
    return float(stats.chi2.sf(statistic, freedom))


# ---------------------------------------------------------------------- repeatable


@pytest.mark.parametrize(("kind", "settings"), [(Synthetic, STILLS), (SyntheticVideo, CLIPS)])
def test_data_depend_on_seed_and_index_alone(kind: type[_Simulated], settings: dict) -> None:
    first = kind(**settings)
    forwards = [digest(first, i) for i in range(4)]
    other = pickle.loads(pickle.dumps(kind(**{**settings, "count": 7, "split": "all"})))
    assert [digest(other, i) for i in reversed(range(4))] == forwards[::-1]
    assert len(set(forwards)) == 4
    assert digest(kind(**{**settings, "seed": 4}), 0) not in forwards


def test_another_process_draws_the_same() -> None:
    code = f"""
from saliency_pred.data.synthetic import Synthetic
import hashlib, numpy as np
data = Synthetic(**{STILLS!r})
f = data.fixations(5)
parts = [data.image(5), *(getattr(f, n).numpy() for n in ("x", "y", "time", "duration", "viewer"))]
print(hashlib.sha256(b"".join(np.ascontiguousarray(p).tobytes() for p in parts)).hexdigest())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(Synthetic(**STILLS), 5)


# ---------------------------------------------------------------------- contract


def test_stills_keep_the_contract() -> None:
    data = Synthetic(**STILLS)
    sample = data.sample(0)
    assert sample.image.shape == (60, 80, 3)
    assert sample.image.dtype == np.uint8
    fixations = sample.fixations
    assert fixations is not None
    assert bool(fixations.inside.all())
    assert fixations.viewers() == list(range(6))
    assert float(fixations.time.min()) >= 0.12
    assert float(fixations.time.max()) < 3.0
    assert float((fixations.time + fixations.duration).max()) <= 3.0 + 1e-9
    assert float(fixations.duration.min()) > 0
    for viewer in range(6):  # one at a time, a saccade between
        mine = fixations.of_viewer(viewer)
        assert bool((mine.time[1:] - (mine.time + mine.duration)[:-1] > 0.039).all())
    assert {k: len(v) for k, v in data.parts().items()} == {"train": 10, "val": 2}


def test_clips_keep_the_contract() -> None:
    data = SyntheticVideo(**CLIPS)
    clip = data.image(0)
    assert clip.shape == (8, 60, 80, 3)
    assert clip.dtype == np.uint8
    assert (data.fps, data.viewing_time) == (8.0, 1.0)
    assert any((clip[f] != clip[0]).any() for f in range(1, 8))
    fixations = data.fixations(0).assign_windows(data.frame_windows())
    assert len(fixations) == len(data.fixations(0))  # every fixation belongs to exactly one frame
    assert data.true_log_density(0, data.frame_windows()).shape == (8, 60, 80)


@pytest.mark.parametrize("size", [(32, 200), (200, 32), (64, 64), (480, 640)])
def test_any_size_is_drawn_and_sums_to_one(size: tuple[int, int]) -> None:
    data = Synthetic(count=6, size=size, viewers=3)
    for i in range(6):
        assert data.image(i).shape == (*size, 3)
        total = data.true_log_density(i, SLICES).exp().sum((1, 2))
        torch.testing.assert_close(total, torch.ones(4, dtype=torch.float64), rtol=1e-12, atol=0)
        assert bool(data.fixations(i).inside.all())


def test_bad_arguments_say_what_is_expected() -> None:
    with pytest.raises(ValueError, match="viewers=0"):
        Synthetic(viewers=0)
    with pytest.raises(ValueError, match="seed=-1"):
        Synthetic(seed=-1)
    with pytest.raises(ValueError, match="viewing_time"):
        Synthetic(viewing_time=0.1)
    with pytest.raises(ValueError, match="fps"):
        SyntheticVideo(fps=0)
    data = Synthetic(**STILLS)
    with pytest.raises(ValueError, match="from 3 to 4 s; synthetic is looked at from 0 to 3 s"):
        data.true_log_density(0, torch.tensor([[0.0, 1.0], [3.0, 4.0]]))
    with pytest.raises(ValueError, match=r"\(T, 2\)"):
        data.true_log_density(0, torch.zeros(3))
    with pytest.raises(IndexError, match="0 to 11, not 12"):
        data.image(12)


# ---------------------------------------------------------------------- exact


@pytest.mark.parametrize("index", [0, 1, 2])
def test_fixations_follow_the_truth_in_every_window(index: int) -> None:
    data = Synthetic(**STILLS)
    counts = trials(Synthetic, index, 300).assign_windows(SLICES).rasterise()[0]
    truth = data.true_log_density(index, SLICES).exp()
    assert int(counts.sum()) > 10_000
    assert chi_square_p(counts, truth) > 1e-3
    # The test has the power to tell windows apart, and one scene from another.
    assert chi_square_p(counts, truth.roll(1, 0)) < 1e-9
    assert chi_square_p(counts, data.true_log_density(index + 3, SLICES).exp()) < 1e-9


@pytest.mark.parametrize("index", [0, 1])
def test_clip_fixations_follow_the_truth_in_every_frame(index: int) -> None:
    data = SyntheticVideo(**CLIPS)
    windows = data.frame_windows()
    counts = trials(SyntheticVideo, index, 600).assign_windows(windows).rasterise()[0]
    truth = data.true_log_density(index, windows).exp()
    assert chi_square_p(counts, truth, cell=5) > 1e-3
    assert chi_square_p(counts, truth.roll(3, 0), cell=5) < 1e-9


@pytest.mark.parametrize("windows", [None, SLICES])
def test_log_likelihood_is_the_negative_entropy(windows: Tensor | None) -> None:
    data = Synthetic(**STILLS)
    truth = data.true_log_density(1, windows)
    given = torch.tensor([[-math.inf, math.inf]]) if windows is None else windows
    fixations = trials(Synthetic, 1, 300).assign_windows(given)
    row, column = fixations.pixels()
    for t, log_density in enumerate(truth):
        mine = fixations.window == t
        likelihood = log_density[row[mine], column[mine]]
        error = float(likelihood.std() / mine.sum().sqrt())
        expected = float((log_density.exp() * log_density).sum())
        assert abs(float(likelihood.mean()) - expected) < 3.5 * error


def test_windows_add_up() -> None:
    data = Synthetic(**STILLS)
    tick = np.arange(1500) / TICKS_PER_SECOND
    expected = torch.tensor(
        [data._viewers.intensity[:, (tick >= a) & (tick < b)].sum() for a, b in SLICES.tolist()], dtype=torch.float64
    )
    parts = (data.true_log_density(4, SLICES).exp() * (expected / expected.sum())[:, None, None]).sum(0)
    torch.testing.assert_close(parts, data.true_log_density(4)[0].exp(), rtol=1e-10, atol=0)


def test_onsets_arrive_as_often_as_the_intensity_says() -> None:
    viewers = Viewers(5, seed=1, ticks=1500, steady=False)
    rng = np.random.default_rng(2)
    counts = np.zeros((5, 6))
    trials = 800
    squares = np.zeros_like(counts)
    for _ in range(trials):
        viewer, onset, _ = viewers.look(rng)
        one = np.zeros_like(counts)
        np.add.at(one, (viewer, onset // 250), 1)
        counts += one
        squares += one**2
    mean = counts / trials
    error = np.sqrt((squares / trials - mean**2) / trials)
    expected = viewers.intensity.reshape(5, 6, 250).sum(2)
    assert (np.abs(mean - expected) < 4 * error).all()  # 30 comparisons


def test_watching_clips_is_a_steady_state() -> None:
    viewers = Viewers(3, seed=1, ticks=2000, steady=True)
    mean_gap = (viewers.gap * np.arange(viewers.gap.shape[1])).sum(1, keepdims=True)
    np.testing.assert_allclose(viewers.intensity, np.broadcast_to(1 / mean_gap, (3, 2000)), rtol=1e-9)


def test_pixels_hold_the_integral_of_each_gaussian() -> None:
    from saliency_pred.data.synthetic import _pixel_mass, _truncated_normal

    mass = _pixel_mass(np.array([-3.0, 11.3]), np.array([5.0, math.inf]), 40)
    reference = stats.truncnorm((0 + 3) / 5, (40 + 3) / 5, loc=-3, scale=5)
    np.testing.assert_allclose(mass[0], np.diff(reference.cdf(np.arange(41))), atol=1e-14)
    np.testing.assert_allclose(mass[1], 1 / 40)
    uniform = np.array([0.0, 0.2, 0.9, 1 - 1e-16])
    value = _truncated_normal(uniform, np.full(4, -3.0), np.full(4, 5.0), 40)
    np.testing.assert_allclose(value[:3], reference.ppf(uniform[:3]), atol=1e-6)
    assert (value < 40).all(), "the last, a hair below 1, must not be rounded off the image"


# ---------------------------------------------------------------------- worth training on


def test_pop_out_is_the_mahalanobis_distance_from_the_others() -> None:
    features = np.random.default_rng(0).normal(size=(9, 3)) * 2
    for i, found in enumerate(pop_out(features)):
        others = np.delete(features, i, axis=0)
        apart = features[i] - others.mean(0)
        covariance = np.cov(others.T, bias=True) + np.eye(3)
        squared = float(apart @ np.linalg.inv(covariance) @ apart)
        assert found == pytest.approx(squared**4 / (squared**4 + 625))


def test_pop_out_depends_on_context() -> None:
    red, green = np.array([2.4, 0.0]), np.array([-2.4, 0.0])
    upright = np.array([1.6, 0.0])

    def item(*parts: np.ndarray) -> np.ndarray:
        return np.concatenate(parts)

    alone = np.stack([item(red, upright)] + [item(green, upright)] * 15)
    assert pop_out(alone)[0] > 0.95
    assert pop_out(alone)[1:].max() < 0.01
    assert pop_out(np.stack([item(red, upright)] * 16)).max() < 1e-6
    colourful = np.stack([item(2.4 * np.array([np.cos(a), np.sin(a)]), upright) for a in np.linspace(0, 6, 16)])
    assert pop_out(colourful).max() < 0.35


def test_centre_bias_fades() -> None:
    data = Synthetic(**STILLS)
    central = torch.stack([data.true_log_density(i, SLICES).exp()[:, 18:42, 24:56].sum((1, 2)) for i in range(12)])
    first, second, third, last = central.mean(0).tolist()
    assert first > second + 0.05 > third + 0.05
    assert last > 0.16 * 0.9  # what is left is about what an even distribution would put there


def test_text_is_looked_at_later_than_faces() -> None:
    data = Synthetic(count=60, size=(60, 80), viewers=6, seed=3)
    for i in range(60):
        texts = [t for t in data._scene(i).things if isinstance(t, Text) and not t.blackened]
        if texts:
            y, x = np.array([(y, x + w / 2) for t in texts for y, x, w, _ in t.words]).astype(int).T
            share = data.true_log_density(i, SLICES).exp()[:, y, x].sum(1)
            if i % 2:  # half of them are enough
                assert share[3] > share[1] > share[0]


def test_viewers_differ() -> None:
    fixations = trials(Synthetic, 1, 300)
    row, column = fixations.pixels()
    table = np.zeros((6, 48))
    np.add.at(table, (fixations.viewer.numpy(), (row // 10 * 8 + column // 10).numpy()), 1)
    assert stats.chi2_contingency(table[:, table.sum(0) > 50]).pvalue < 1e-9


def test_knowing_the_truth_is_worth_far_more_than_centre_bias() -> None:
    data = Synthetic(count=60, size=(60, 80), viewers=6)
    truth = torch.stack([data.true_log_density(i)[0] for i in range(60)])
    # The best centre bias for exactly these images: no density shared by all scores higher.
    shared = truth.exp().mean(0).log()
    gain = (truth.exp() * (truth - shared)).sum((1, 2)) / math.log(2)
    assert float(gain.mean()) > 1.0
    assert float(gain.min()) > 0.0


def test_motion_pop_out_shows_in_no_single_frame_and_the_truth_follows_it() -> None:
    data = SyntheticVideo(count=30, frames=24, fps=12.0, size=(120, 160), viewers=6)
    followed = 0
    for index in range(30):
        items = [t for t in data._scene(index).things if isinstance(t, Items)]
        if not items:
            continue
        array = items[0]
        everything = array.features()
        still = pop_out(everything[:, :-3])  # without the three columns of motion
        odd = int((pop_out(everything) - still).argmax())
        assert pop_out(everything)[odd] > 0.5
        assert still[odd] < 0.5
        truth = data.true_log_density(index, data.frame_windows()).exp()
        if array.swing[odd] == 0:
            continue
        y, x = array.at(np.maximum(np.arange(24) / 12 - REACTION_LAG, 0))
        for frame in range(18, 24):  # centre bias has faded
            top, left = max(0, int(array.y[odd]) - 12), max(0, int(array.x[odd]) - 12)
            around = truth[frame, top : top + 24, left : left + 24]
            peak = int(around.argmax())
            assert abs(top + peak // around.shape[1] + 0.5 - y[frame, odd]) < 2.5
            assert abs(left + peak % around.shape[1] + 0.5 - x[frame, odd]) < 2.5
        followed += 1
    assert followed >= 4
