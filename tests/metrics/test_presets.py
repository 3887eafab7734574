"""Presets: each leaderboard's figures from its config, and what is done to maps before they are scored."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from PIL import Image
from reference.metric_inputs import Case, cases

from saliency_pred.density import fixation_density
from saliency_pred.fixations import Fixations
from saliency_pred.instantiate import instantiate
from saliency_pred.metrics import functional as F
from saliency_pred.metrics.presets import NEEDS, Preset, resized

NAMES = sorted(p.stem for p in (Path(__file__).parents[2] / "configs" / "preset").glob("*.yaml"))
ROWS = list(csv.DictReader((Path(__file__).parents[1] / "reference" / "metrics.csv").open()))


def preset(name: str, **changes: object) -> Preset:
    with initialize_config_module("saliency_pred.configs", version_base="1.3"):
        return dataclasses.replace(instantiate(compose(f"preset/{name}").preset), **changes)


def golden(case: str, metric: str, source: str) -> float:
    return next(float(r["value"]) for r in ROWS if (r["case"], r["metric"], r["source"]) == (case, metric, source))


@pytest.fixture(scope="module")
def scenes() -> dict[str, Case]:
    return cases()


def parts(case: Case) -> tuple[torch.Tensor, Fixations, torch.Tensor, torch.Tensor, Fixations]:
    size = case.prediction.shape
    here, others = (Fixations.of(p[:, 1] + 0.5, p[:, 0] + 0.5, size) for p in (case.fixations, case.others))
    baseline = torch.from_numpy(np.log(case.baseline / case.baseline.sum()))
    return torch.from_numpy(case.prediction), here, torch.from_numpy(case.density), baseline, others


@pytest.mark.parametrize("name", NAMES)
def test_every_config_scores_and_describes_itself(name: str, scenes: dict[str, Case]) -> None:
    rule = preset(name)
    assert rule.name == name
    prediction, *rest = parts(scenes["t48"])
    scores = rule.score(prediction, *rest, kind="density")
    assert set(scores) == set(rule.metrics)
    assert all(math.isfinite(v) for v in scores.values())
    described = json.loads(json.dumps(rule.description()))
    assert set(described) >= {f.name for f in dataclasses.fields(Preset)}


def test_mit_is_the_matlab_code(scenes: dict[str, Case]) -> None:
    """On duplicates too, which binary fixation maps merge."""
    scores = preset("mit").score(*parts(scenes["e_dup"]))
    expected = {
        "auc_judd_mit": "auc_judd_mit",
        "nss": "nss distinct ddof 1",
        "cc": "cc",
        "sim_mit": "sim_mit",
        "kld": "kld",
    }
    expected |= {"ig_mit": "ig_mit"}
    for metric, row in expected.items():
        assert scores[metric] == pytest.approx(golden("e_dup", row, "octave"), rel=1e-6), metric
    assert scores["auc_borji"] == pytest.approx(golden("e_dup", "auc_borji mean 3", "octave"), abs=0.01)
    assert scores["sauc_mit"] == pytest.approx(golden("e_dup", "sauc_mit mean 3", "octave"), abs=0.01)


def test_tuebingen_is_pysaliency(scenes: dict[str, Case]) -> None:
    scores = preset("tuebingen").score(*parts(scenes["e_dup"]), kind="density")
    for metric in ("auc", "sauc", "nss", "cc", "sim", "ig"):
        assert scores[metric] == pytest.approx(golden("e_dup", metric, "pysaliency"), abs=1e-9), metric
    assert scores["kld"] == pytest.approx(golden("e_dup", "kld 2.2204e-16", "pysaliency"), abs=1e-9)


def test_aim_is_the_challenge_scorer(scenes: dict[str, Case]) -> None:
    """Also of values at another scale, which it stretches first."""
    prediction, *rest = parts(scenes["e_dup"])
    for scale in (1.0, 1e-6):
        scores = preset("aim2024").score(prediction * scale, *rest)
        for metric in ("auc_judd_aim", "cc", "sim", "nss_aim"):
            assert scores[metric] == pytest.approx(golden("e_dup", metric, "aim"), abs=1e-8), metric


def test_kinds_of_predictions_agree(scenes: dict[str, Case]) -> None:
    prediction, *rest = parts(scenes["t37"])
    prediction = prediction + 0.01
    density = prediction / prediction.sum()
    rule = preset("default")
    of_density = rule.score(density, *rest, kind="density")
    assert of_density == pytest.approx(rule.score(7 * prediction, *rest, kind="density"), abs=1e-9)
    assert of_density == pytest.approx(rule.score(density.log(), *rest, kind="log_density"), abs=1e-9)
    of_map = rule.score(prediction, *rest, kind="map")
    assert set(of_density) - set(of_map) == {"ig", "log_likelihood"}
    assert of_map == pytest.approx({m: of_density[m] for m in of_map}, abs=1e-9)


def test_what_is_missing_is_named() -> None:
    rule = preset("default")
    assert rule.unavailable("density", {"fixations", "negatives", "baseline", "density"}) == {}
    assert rule.unavailable("map", {"fixations", "baseline", "density"}) == {
        "ig": "log density",
        "log_likelihood": "log density",
        "sauc": "negatives",
    }
    assert set(rule.unavailable("density", {"density"})) == {"ig", "log_likelihood", "auc", "sauc", "nss"}


def test_every_metric_is_in_some_preset_or_can_be() -> None:
    assert set(NEEDS) == set(F.__all__) - {"MIT_EPS"}
    every = Preset("every", tuple(NEEDS))
    case = cases()["t37"]
    assert set(every.score(*parts(case), kind="density")) == set(NEEDS)


@pytest.mark.parametrize("size", [(37, 53), (24, 31), (90, 100)])
def test_resize_rules(size: tuple[int, int]) -> None:
    """Against OpenCV, and against Pillow's bicubic with low-pass, which is MATLAB's kernel (a = -.5)."""
    values = np.random.default_rng(0).uniform(size=(48, 64))
    maps = torch.from_numpy(values)[None]
    expected = cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(resized(maps, size, "bilinear")[0], expected, atol=1e-12)
    pillow = Image.fromarray(values.astype(np.float32)).resize(size[::-1], Image.Resampling.BICUBIC)
    np.testing.assert_allclose(resized(maps, size, "bicubic_antialias")[0], np.asarray(pillow), atol=2e-6)


def test_maps_of_another_size(scenes: dict[str, Case]) -> None:
    prediction, *rest = parts(scenes["t48"])
    small = resized(prediction[None], (24, 32), "bicubic_antialias")[0]
    with pytest.raises(ValueError, match=r"sun: the map is \(24, 32\), the image \(48, 64\); preset tuebingen"):
        preset("tuebingen").score(small, *rest, name="sun")
    whole, shrunk = (preset("default").score(p, *rest) for p in (prediction, small))
    assert whole != shrunk
    assert shrunk == pytest.approx(whole, abs=0.1)
    density = small.clamp(min=0) + 1e-3
    scores = preset("default").score(density, *rest, kind="density")
    logs = preset("default").score((density / density.sum()).log(), *rest, kind="log_density")
    assert scores["ig"] == pytest.approx(logs["ig"], abs=0.05)


def test_maps_that_are_not_what_they_are_said_to_be(scenes: dict[str, Case]) -> None:
    prediction, *rest = parts(scenes["t48"])
    rule = preset("default")
    with pytest.raises(ValueError, match="sun: no log density, the logarithm of its sum"):
        rule.score(prediction, *rest, kind="log_density", name="sun")
    with pytest.raises(ValueError, match="sun: no density, 1 pixels are negative"):
        rule.score(
            prediction.clone().index_put((torch.tensor(0), torch.tensor(0)), torch.tensor(-1.0).double()),
            *rest,
            kind="density",
            name="sun",
        )
    broken = prediction.clone()
    broken[3, 4] = math.nan
    broken[4, 4] = math.inf
    for kind in ("map", "density", "log_density"):
        with pytest.raises(ValueError, match="sun: 2 pixels are NaN or infinite"):
            rule.score(broken, *rest, kind=kind, name="sun")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="human density of sun is zero everywhere"):
        rule.score(prediction, rest[0], torch.zeros_like(prediction), name="sun")
    with pytest.raises(TypeError, match="must be Fixations"):
        rule.score(prediction, rest[1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="neither fixations nor a human density"):
        rule.score(prediction, None)


def test_zeros_of_a_log_density_are_allowed() -> None:
    density = torch.full((4, 5), 1 / 10, dtype=torch.float64)
    density[:2] = 0
    density[:, :] = density / density.sum()
    here = Fixations.of([2.5], [3.5], (4, 5))
    scores = preset("default").score(density.log(), here, kind="log_density")
    assert scores["log_likelihood"] == pytest.approx(1)


def test_fixations_outside_follow_the_rule(scenes: dict[str, Case]) -> None:
    prediction, here, *_ = parts(scenes["t48"])
    more = Fixations.of([*here.x.tolist(), -5, 70], [*here.y.tolist(), 3, 3], (48, 64))
    assert preset("default").score(prediction, more)["nss"] == preset("default").score(prediction, here)["nss"]
    clipped = preset("default", outside="clip").score(prediction, more)["nss"]
    assert clipped != preset("default").score(prediction, here)["nss"]
    with pytest.raises(ValueError, match="2 of 22 fixations"):
        preset("default", outside="error").score(prediction, more)


def test_eight_bits_cost_what_they_cost() -> None:
    """A peaky density loses its tail: KLD and information gain know, AUC hardly, and rounding is an option."""
    size = (96, 128)
    peak = Fixations.of([30.5, 90.5], [40.5, 50.5], size)
    density = fixation_density(peak, 4.0, "reflect", dtype=torch.float64)[0, 0] + 1e-7
    wide = fixation_density(peak, 12.0, "reflect", dtype=torch.float64)[0, 0]
    plain, rounded = (preset("default", quantise=q).score(density, peak, wide) for q in (False, True))
    assert rounded["kld"] > 1.5 * plain["kld"]
    assert rounded["nss"] == pytest.approx(plain["nss"], rel=0.01)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"metrics": ["auc", "acu"]}, "acu"),
        ({"metrics": []}, "none of auc"),
        ({"resize": "nearest"}, "resize='nearest'"),
        ({"ddof": 2}, "ddof=2"),
        ({"outside": "wrap"}, "outside='wrap'"),
        ({"aggregation": "pixel"}, "aggregation='pixel'"),
    ],
)
def test_unknown_options(change: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Preset(**{"name": "mine", "metrics": ("auc",)} | change)
