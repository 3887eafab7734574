"""Metrics against plain loops over their definitions, and laws that hold on any input."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from saliency_pred.fixations import Fixations
from saliency_pred.metrics import auc as auc_module
from saliency_pred.metrics import functional as F
from saliency_pred.metrics import stack as stack_module


@st.composite
def scene(draw: st.DrawFn) -> dict[str, object]:
    """A map with many ties, a density, fixations (several on a pixel), others: 3 x 2 to 9 x 8 pixels."""
    height, width = draw(st.integers(3, 9)), draw(st.integers(2, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([2, 4, 1000]))
    values = rng.integers(0, levels, (height, width)).astype(float)
    values[0, 0], values[-1, -1] = 0, levels  # never constant

    def some(n: int) -> Fixations:
        return Fixations.of(rng.uniform(0, width, n), rng.uniform(0, height, n), (height, width))

    return {
        "map": torch.from_numpy(values)[None],
        "density": torch.from_numpy(rng.uniform(0.01, 1, (height, width)))[None],
        "fixations": some(draw(st.integers(1, 12))),
        "others": some(draw(st.integers(1, 12))),
    }


def at(values: np.ndarray, fixations: Fixations) -> list[float]:
    return [values[int(y), int(x)] for x, y in zip(fixations.x.tolist(), fixations.y.tolist(), strict=True)]


def pixels_of(fixations: Fixations) -> set[tuple[int, int]]:
    return {(int(y), int(x)) for x, y in zip(fixations.x.tolist(), fixations.y.tolist(), strict=True)}


def naive_mann_whitney(positives: list[float], negatives: list[float]) -> float:
    if not negatives:
        return math.nan
    return sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives) / len(positives) / len(negatives)


def naive_judd_mit(values: np.ndarray, fixated: set[tuple[int, int]]) -> float:
    n, total = len(fixated), values.size
    if n == total:
        return math.nan
    x, y = [0.0], [0.0]
    for threshold in sorted({values[p] for p in fixated}, reverse=True):
        i = sum(values[p] >= threshold for p in fixated)
        x.append((sum(v >= threshold for v in values.ravel()) - i) / (total - n))
        y.append(i / n)
    return area([*x, 1.0], [*y, 1.0])


def naive_judd_each(values: np.ndarray, here: list[float], fixated: set[tuple[int, int]]) -> float:
    unfixated = [values[p] for p in np.ndindex(values.shape) if p not in fixated]
    if not unfixated:
        return math.nan
    thresholds = sorted(set(here), reverse=True)
    x = [sum(v >= t for v in unfixated) / len(unfixated) for t in thresholds]
    y = [sum(v >= t for v in here) / len(here) for t in thresholds]
    return area([0.0, *x, 1.0], [0.0, *y, 1.0])


def naive_judd_aim(values: np.ndarray, here: list[float]) -> float:
    n, total = len(here), values.size
    x, y = [0.0], [0.0]
    for i, threshold in enumerate(sorted(here, reverse=True), start=1):
        x.append((sum(v >= threshold for v in values.ravel()) - i) / (total - 2))
        y.append(i / n)
    return area([*x, 1.0], [*y, 1.0])


def naive_stepped(values: np.ndarray, positives: list[float], negatives: list[float]) -> float:
    low, high = values.min(), values.max()
    x, y = [0.0], [0.0]
    for k in range(10, -1, -1):
        x.append(sum((v - low) / (high - low) >= k * 0.1 for v in negatives) / len(negatives))
        y.append(sum((v - low) / (high - low) >= k * 0.1 for v in positives) / len(positives))
    return area([*x, 1.0], [*y, 1.0])


def area(x: list[float], y: list[float]) -> float:
    return sum((x[i + 1] - x[i]) * (y[i + 1] + y[i]) / 2 for i in range(len(x) - 1))


@given(scene())
@settings(max_examples=60, deadline=None)
def test_plain_loops(s: dict) -> None:
    map_, fixations, others = s["map"], s["fixations"], s["others"]
    values, density = map_[0].numpy(), s["density"][0].numpy()
    fixated, elsewhere = pixels_of(fixations), pixels_of(others)
    every = values.ravel().tolist()
    unfixated = [values[p] for p in np.ndindex(values.shape) if p not in fixated]
    here = at(values, fixations)
    mean = math.fsum(every) / len(every)
    square = math.fsum((v - mean) ** 2 for v in every)
    p, q = values / values.sum(), density / density.sum()
    bits = [math.log2(a / b) if a else -math.inf for a, b in zip(at(p, fixations), at(q, fixations), strict=True)]
    stretched = [(m - m.min()) / (m - m.min()).sum() for m in (values, density)]
    log_map, log_density = map_.div(map_.sum()).log(), s["density"].div(s["density"].sum()).log()
    gd = density.ravel() - density.mean()
    expected = {
        "auc": (F.auc(map_, fixations), naive_mann_whitney(here, every)),
        "judd": (F.auc_judd(map_, fixations), naive_mann_whitney(here, unfixated)),
        "judd_mit": (F.auc_judd_mit(map_, fixations), naive_judd_mit(values, fixated)),
        "judd_each": (
            F.auc_judd_mit(map_, fixations, merge=False),
            naive_judd_each(values, here, fixated),
        ),
        "judd_aim": (F.auc_judd_aim(map_, fixations), naive_judd_aim(values, here)),
        "nss_aim": (
            F.nss_aim(map_, fixations),
            (sum(here) / len(here) - mean) / (math.sqrt(square / len(every)) + 1e-7),
        ),
        "borji": (F.auc_borji(map_, fixations), naive_stepped(values, [values[p] for p in fixated], every)),
        "sauc": (F.sauc(map_, fixations, others), naive_mann_whitney(here, at(values, others))),
        "sauc_mit": (
            F.sauc_mit(map_, fixations, others),
            naive_stepped(values, [values[p] for p in fixated], [values[p] for p in elsewhere]),
        ),
        "nss": (F.nss(map_, fixations), sum((v - mean) / math.sqrt(square / len(every)) for v in here) / len(here)),
        "nss1": (
            F.nss(map_, fixations, ddof=1),
            sum((v - mean) / math.sqrt(square / (len(every) - 1)) for v in here) / len(here),
        ),
        "ig": (F.ig(log_map, log_density, fixations), sum(bits) / len(bits)),
        "likelihood": (
            F.log_likelihood(log_density, fixations),
            sum(math.log2(v * len(every)) for v in at(q, fixations)) / len(bits),
        ),
        "ig_mit": (
            F.ig_mit(map_, s["density"], fixations),
            sum(math.log2(F.MATLAB_EPS + stretched[0][p]) - math.log2(F.MATLAB_EPS + stretched[1][p]) for p in fixated)
            / len(fixated),
        ),
        "cc": (
            F.cc(map_, s["density"]),
            sum((a - mean) * b for a, b in zip(every, gd, strict=True)) / math.sqrt(square * (gd**2).sum()),
        ),
        "kld": (
            F.kld(map_, s["density"]),
            sum(g * math.log(F.MIT_EPS + g / (v + F.MIT_EPS)) for g, v in zip(q.ravel(), p.ravel(), strict=True)),
        ),
        "sim": (F.sim(map_, s["density"]), sum(min(a, b) for a, b in zip(p.ravel(), q.ravel(), strict=True))),
        "sim_mit": (
            F.sim_mit(map_, s["density"]),
            sum(min(a, b) for a, b in zip(*(m.ravel() for m in stretched), strict=True)),
        ),
    }
    for name, (ours, plain) in expected.items():
        assert float(ours) == pytest.approx(plain, rel=1e-10, abs=1e-10, nan_ok=True), name


@given(scene())
@settings(max_examples=25, deadline=None)
def test_earth_mover_against_network_simplex(s: dict) -> None:
    a, b = (m[0].numpy() / m.sum().item() for m in (s["map"], s["density"]))
    centres = np.stack(np.unravel_index(np.arange(a.size), a.shape), axis=1).astype(float)
    distance = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    expected = ot.emd2(a.ravel(), b.ravel(), distance)
    assert float(F.emd(s["map"], s["density"], shrink=1)) == pytest.approx(expected, abs=1e-7)


AREAS: list[Callable[..., Tensor]] = [F.auc, F.auc_judd, F.sauc]


def area_of(metric: Callable[..., Tensor], maps: Tensor, s: dict) -> float:
    negatives = (s["others"],) if metric in (F.sauc, F.sauc_mit) else ()
    return float(metric(maps, s["fixations"], *negatives))


@given(scene(), st.sampled_from([torch.exp, lambda x: x**3 + x, lambda x: torch.atan(x / 50), lambda x: 5 * x - 7]))
@settings(max_examples=40, deadline=None)
def test_areas_depend_on_order_alone(s: dict, monotone: Callable[[Tensor], Tensor]) -> None:
    changed = monotone(s["map"] / 100)
    for metric in (*AREAS, F.auc_judd_mit):
        np.testing.assert_equal(area_of(metric, changed, s), area_of(metric, s["map"], s))


@given(scene())
@settings(max_examples=40, deadline=None)
def test_reversed_map_has_the_complementary_area(s: dict) -> None:
    for metric in AREAS:
        forwards = area_of(metric, s["map"], s)
        if not math.isnan(forwards):
            assert area_of(metric, -s["map"], s) == pytest.approx(1 - forwards, abs=1e-14)


@given(scene(), st.floats(0.01, 100), st.floats(-10, 10))
@settings(max_examples=40, deadline=None)
def test_positive_affine_maps(s: dict, scale: float, offset: float) -> None:
    changed = s["map"] * scale + offset
    for ddof in (0, 1):
        expected = float(F.nss(s["map"], s["fixations"], ddof))
        assert float(F.nss(changed, s["fixations"], ddof)) == pytest.approx(expected, abs=1e-9)
    assert float(F.cc(changed, s["density"])) == pytest.approx(float(F.cc(s["map"], s["density"])), abs=1e-9)
    assert float(F.sim_mit(changed, s["density"])) == pytest.approx(float(F.sim_mit(s["map"], s["density"])), abs=1e-9)


@given(scene())
@settings(max_examples=40, deadline=None)
def test_bounds_symmetry_and_identity(s: dict) -> None:
    map_, density = s["map"], s["density"]
    for metric in (*AREAS, F.auc_borji, F.sauc_mit):
        value = area_of(metric, map_, s)
        assert math.isnan(value) or 0 <= value <= 1
    assert abs(float(F.cc(map_, density))) <= 1 + 1e-12
    assert float(F.kld(map_, density)) >= -1e-12
    for symmetric in (F.cc, F.sim, F.sim_mit, lambda a, b: F.emd(a, b, shrink=1)):
        assert float(symmetric(map_, density)) == pytest.approx(float(symmetric(density, map_)), abs=1e-7)
    assert 0 <= float(F.sim(map_, density)) <= 1 + 1e-12
    assert float(F.sim(density, density)) == pytest.approx(1)
    assert float(F.cc(density, density)) == pytest.approx(1)
    assert float(F.kld(density, density)) == pytest.approx(0, abs=1e-10)
    assert float(F.emd(density, density, shrink=1)) == pytest.approx(0, abs=1e-12)


def scores(
    maps: Tensor, density: Tensor, fixations: Fixations, others: Fixations, shrink: int = 2
) -> dict[str, Tensor]:
    log_density = (density / density.sum((-2, -1), keepdim=True)).log()
    return {
        "auc": F.auc(maps, fixations),
        "auc_judd": F.auc_judd(maps, fixations),
        "auc_judd_mit": F.auc_judd_mit(maps, fixations),
        "auc_judd_each": F.auc_judd_mit(maps, fixations, merge=False),
        "auc_judd_aim": F.auc_judd_aim(maps, fixations),
        "auc_borji": F.auc_borji(maps, fixations),
        "sauc": F.sauc(maps, fixations, others),
        "sauc_mit": F.sauc_mit(maps, fixations, others),
        "nss": F.nss(maps, fixations),
        "nss_aim": F.nss_aim(maps, fixations),
        "ig": F.ig(log_density, log_density.flip(-1), fixations),
        "ig_mit": F.ig_mit(maps, density, fixations),
        "log_likelihood": F.log_likelihood(log_density, fixations),
        "cc": F.cc(maps, density),
        "kld": F.kld(maps, density),
        "sim": F.sim(maps, density),
        "sim_mit": F.sim_mit(maps, density),
        "emd": F.emd(maps, density, shrink=shrink),
    }


def flip_fixations(fixations: Fixations) -> Fixations:
    return fixations.flip()


@given(scene(), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_mirror_images_and_order_of_fixations(s: dict, seed: int) -> None:
    arguments = (s["map"], s["density"], s["fixations"], s["others"])
    original = scores(*arguments)
    mirrored = scores(*(a.flip(-1) if isinstance(a, Tensor) else flip_fixations(a) for a in arguments))
    order = torch.randperm(len(s["fixations"]), generator=torch.Generator().manual_seed(seed))
    shuffled = scores(s["map"], s["density"], s["fixations"].select(order), s["others"])
    for name, value in original.items():
        np.testing.assert_allclose(
            mirrored[name], value, rtol=1e-10, atol=1e-7 if name == "emd" else 1e-10, err_msg=name
        )
        np.testing.assert_allclose(shuffled[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


def test_batch_equals_singles() -> None:
    """Also where the fixations of several images and time windows are packed in any order."""
    rng = np.random.default_rng(0)
    size = (14, 11)
    fixations = Fixations.cat(
        [
            Fixations.of(rng.uniform(0, 11, n), rng.uniform(0, 14, n), size, time=rng.uniform(0, 2, n))
            for n in (5, 0, 17, 1)
        ]
    ).assign_windows(torch.tensor([[0.0, 1.0], [0.0, 2.0]]))
    fixations = fixations.select(torch.from_numpy(rng.permutation(len(fixations))))
    others = Fixations.cat([fixations.of_sample(i) for i in (2, 0, 3, 2)])
    maps = torch.from_numpy(rng.uniform(size=(8, *size)))
    density = torch.from_numpy(rng.uniform(0.1, 1, size=(8, *size)))
    together = scores(maps, density, fixations, others)
    for m in range(8):
        image, window = divmod(m, 2)

        def single(f: Fixations, image: int = image, window: int = window) -> Fixations:
            mine = f.of_sample(image)
            mine = mine.select(mine.window == window)
            return Fixations.of(mine.x, mine.y, size)

        alone = scores(maps[m : m + 1], density[m : m + 1], single(fixations), single(others))
        for name, value in alone.items():
            np.testing.assert_allclose(together[name][m], value[0], rtol=1e-12, err_msg=f"{name} of map {m}")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("power", [1, 8, 60])
def test_buckets_of_large_maps_change_nothing(dtype: torch.dtype, power: int) -> None:
    """Peaked maps crowd into few buckets; the count of pairs stays that of a sorted search."""
    rng = np.random.default_rng(power)
    map_ = torch.from_numpy(rng.uniform(size=(1, 90, 120)) ** power).to(dtype)
    rows, columns = rng.integers(0, 90, 70), rng.integers(0, 120, 70)
    fixations = Fixations.of(columns + 0.5, rows + 0.5, (90, 120))
    values = map_[0].numpy()
    here, ordered = values[rows, columns], np.sort(values.ravel())
    wins = (np.searchsorted(ordered, here, "left") + np.searchsorted(ordered, here, "right")).sum()
    assert float(F.auc(map_, fixations)) == pytest.approx(wins / 2 / 70 / values.size, abs=1e-15)


class Largest(TorchDispatchMode):
    """The most elements of any tensor made while it is active; views of the arguments are none."""

    def __init__(self, *arguments: Tensor) -> None:
        super().__init__()
        self.given = {a.untyped_storage().data_ptr() for a in arguments}
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(value, Tensor) and value.untyped_storage().data_ptr() not in self.given:
                self.elements = max(self.elements, value.numel())
        return result


def large_scene(dtype: torch.dtype, maps: int = 3, fixations: int = 400) -> tuple[Tensor, Tensor, Fixations, Fixations]:
    """Maps of 150 x 200 with many ties, densities, fixations and negatives."""
    rng = np.random.default_rng(5)
    size = (150, 200)
    values = np.round(rng.gamma(0.4, size=(maps, *size)) * 300) / 300
    density = rng.uniform(0.1, 1, (maps, *size))
    packs = [
        Fixations.cat(
            [Fixations.of(rng.uniform(0, 200, fixations), rng.uniform(0, 150, fixations), size) for _ in range(maps)]
        )
        for _ in range(2)
    ]
    return torch.from_numpy(values).to(dtype), torch.from_numpy(density).to(dtype), packs[0], packs[1]


@pytest.mark.parametrize(("maps", "fixations"), [(3, 400), (12, 20)])
def test_memory_is_bounded(maps: int, fixations: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the size fixations x pixels, and never more than two maps at a time, of which two are allowed."""
    map_, density, here, others = large_scene(torch.float64, maps, fixations)
    log_density = (density / density.sum((-2, -1), keepdim=True)).log()
    monkeypatch.setitem(stack_module._AT_ONCE, "cpu", 2 * map_[0].numel())
    with Largest(map_, density, log_density) as largest:
        for metric in (F.auc, F.auc_judd, F.auc_judd_mit, F.auc_judd_aim, F.auc_borji, F.nss, F.nss_aim):
            metric(map_, here)
        F.sauc(map_, here, others), F.sauc_mit(map_, here, others)
        F.log_likelihood(log_density, here), F.ig(log_density, log_density, here), F.ig_mit(map_, density, here)
        for density_metric in (F.cc, F.kld, F.sim, F.sim_mit):
            density_metric(map_, density)
    assert map_[0].numel() <= largest.elements <= 2 * map_[0].numel()


def test_memory_is_given_back_at_once() -> None:
    """No cycle of references keeps maps until Python looks for such: a run over a data set would grow by them."""
    gc.disable()
    try:
        for values in (torch.rand(1, 9, 9), torch.zeros(1, 9, 9), -torch.rand(1, 9, 9)):
            stack = stack_module.Stack(values)
            for needed in ("sums", "log_sums", "density", "nonnegative", "stretched", "centred"):
                getattr(stack, needed)
            kept = weakref.ref(stack)
            del stack
            assert kept() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ways_of_computing_agree(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets or a sort (as on a GPU), maps one by one or together, pixels in blocks or whole: the same."""
    arguments = large_scene(dtype)
    expected = scores(*arguments, shrink=50)
    for at_once, block, buckets in ((1, 1, 16384), (10**9, 10**9, 16384), (10**9, 777, 10**9), (1, 10**9, 7)):
        monkeypatch.setitem(stack_module._AT_ONCE, "cpu", at_once)
        monkeypatch.setattr(stack_module, "_BLOCK", block)
        monkeypatch.setattr(auc_module, "_BUCKETS", buckets)
        for name, value in scores(*arguments, shrink=50).items():
            if name.startswith(("auc", "sauc")):
                assert torch.equal(value, expected[name]), name
            else:
                tolerance = 1e-12 if dtype is torch.float64 and name != "emd" else 1e-6
                np.testing.assert_allclose(value, expected[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_fixation_on_the_highest_pixel_counts_exactly(dtype: torch.dtype) -> None:
    """Bounds of the buckets are rounded as the pixels are, so the last bucket is there for it."""
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        values = torch.randn(1, 150, 150, generator=generator, dtype=torch.float64) * 10.0 ** (seed % 9 - 6) + seed
        map_ = values.to(dtype)
        row, column = divmod(int(map_.argmax()), 150)
        here = Fixations.of(torch.tensor([column + 0.5]), torch.tensor([row + 0.5]), (150, 150))
        ties = int((map_ == map_.max()).sum())
        assert F.auc(map_, here).item() == pytest.approx(1 - ties / 2 / 150**2, abs=1e-12)
