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
from saliency_pred.metrics.presets import NEEDS, Preset, log_density_stack, resized

NAMES = sorted(p.stem for p in (Path(__file__).parents[2] / "configs" / "preset").glob("*.yaml"))
ROWS = list(csv.DictReader((Path(__file__).parents[1] / "reference" / "metrics.csv").open()))


def preset(name: str, **changes: object) -> Preset:
    with initialize_config_module("saliency_pred.configs", version_base="1.3"):
        return dataclasses.replace(instantiate(compose(f"preset/{name}").preset), **changes)


def golden(case: str, metric: str, who: str) -> float:
    return next(float(r["value"]) for r in ROWS if (r["case"], r["metric"], r["implementation"]) == (case, metric, who))


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
    expected = {"auc_judd_mit": "AUC_Judd_nojitter", "nss": "NSS", "cc": "CC", "sim_mit": "SIM", "kld": "KLD"}
    for metric, row in (expected | {"ig_mit": "IG"}).items():
        assert scores[metric] == pytest.approx(golden("e_dup", row, "octave-cvzoya"), abs=1e-11), metric
    assert scores["auc_borji"] == pytest.approx(golden("e_dup", "AUC_Borji_mean3", "octave-cvzoya"), abs=0.01)
    assert scores["sauc_mit"] == pytest.approx(golden("e_dup", "AUC_shuffled_mean3", "octave-cvzoya"), abs=0.01)


def test_tuebingen_is_pysaliency(scenes: dict[str, Case]) -> None:
    scores = preset("tuebingen").score(*parts(scenes["e_dup"]), kind="density")
    rows = {"nss": ("NSS", ""), "cc": ("CC", ""), "sim": ("SIM", ""), "ig": ("IG", ""), "kld": ("KLD", ".MIT_KLDiv")}
    rows |= {"auc": ("AUC_uniform", ".AUCs(uniform)=Tuebingen"), "sauc": ("sAUC_all", ".AUCs(shuffled)=Tuebingen")}
    assert set(rows) == set(scores)
    for metric, (row, function) in rows.items():
        assert scores[metric] == pytest.approx(golden("e_dup", row, f"pysaliency{function}"), abs=1e-11), metric


def test_aim_is_the_challenge_scorer(scenes: dict[str, Case]) -> None:
    """Also of values at another scale, which it stretches first."""
    prediction, *rest = parts(scenes["e_dup"])
    for scale in (1.0, 1e-6):
        scores = preset("aim2024").score(prediction * scale, *rest)
        rows = {"auc_judd_aim": "AUC_Judd_nojitter", "cc": "CC", "sim": "SIM", "nss_aim": "NSS"}
        for metric, row in rows.items():
            assert scores[metric] == pytest.approx(golden("e_dup", row, "AIM2024"), abs=1e-8), metric


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
    assert set(NEEDS) == set(F.__all__) - {"MIT_EPS", "MATLAB_EPS", "LOG_TOLERANCE"}
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
        with pytest.raises(ValueError, match="sun: the map has 2 pixels that are NaN or infinite"):
            rule.score(broken, *rest, kind=kind, name="sun")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sun: the human density is zero everywhere"):
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


@pytest.mark.parametrize("kind", ["density", "log_density"])
def test_impossible_fixations_are_refused(kind: str, scenes: dict[str, Case]) -> None:
    """Information gain would be -inf, and so would its mean over all images; as a map it can be scored."""
    prediction, here, *rest = parts(scenes["e_sparse"])
    density = prediction / prediction.sum()
    given = density if kind == "density" else density.log()
    zeros = int((prediction[here.pixels()] == 0).sum())
    assert zeros > 0
    for name in ("tuebingen", "default"):
        with pytest.raises(ValueError, match=rf"sun: the density is 0 at {zeros} of {len(here)} fixations, .* -inf"):
            preset(name).score(given, here, *rest, kind=kind, name="sun")  # type: ignore[arg-type]
        assert "auc" in preset(name).score(prediction, here, *rest, kind="map")
    mixed = 0.999 * density + 0.001 / density.numel()
    assert math.isfinite(preset("tuebingen").score(mixed, here, *rest, kind="density")["ig"])
    assert preset("salicon").score(given, here, *rest, kind=kind)["ig_mit"] < 0  # has an eps of its own


def test_baselines_that_are_none(scenes: dict[str, Case]) -> None:
    prediction, here, density, baseline, others = parts(scenes["t48"])
    with pytest.raises(ValueError, match="the map: the baseline of information gain is no log density"):
        preset("tuebingen").score(prediction, here, density, baseline + 0.1, others, kind="density")


def test_negative_human_density_names_the_image(scenes: dict[str, Case]) -> None:
    prediction, here, density, *rest = parts(scenes["t48"])
    broken = density.clone()
    broken[0, 0] = -1e-6
    with pytest.raises(ValueError, match="sun: the human density has 1 negative pixels"):
        preset("tuebingen").score(prediction, here, broken, *rest, name="sun")


@pytest.mark.parametrize("kind", ["map", "density", "log_density"])
def test_single_precision_is_kept_and_enough(kind: str, scenes: dict[str, Case]) -> None:
    prediction, *rest = parts(scenes["s333"])
    given = prediction + 1e-3
    given = given if kind == "map" else given / given.sum()
    given = given.log() if kind == "log_density" else given
    for name in ("tuebingen", "salicon", "aim2024"):
        rule = preset(name)
        assert rule.prepare(given.float(), given.shape, kind)[0].dtype == (  # type: ignore[arg-type]
            torch.float64 if rule.stretch else torch.float32
        )
        double, single = (rule.score(g, *rest, kind=kind) for g in (given, given.float()))  # type: ignore[arg-type]
        assert single == pytest.approx(double, abs=1e-5), name  # float32 rounds log densities of -12 by 1e-6


def test_baseline_of_many_images(scenes: dict[str, Case]) -> None:
    """Made once or for each image: the same, also in another precision than the maps'."""
    prediction, here, density, baseline, others = parts(scenes["t48"])
    rule = preset("tuebingen")
    each = rule.score(prediction, here, density, baseline, others, kind="density")
    once = log_density_stack(baseline)
    for _ in range(2):
        assert rule.score(prediction, here, density, once, others, kind="density") == each
    single = rule.score(prediction.float(), here, density, once, others, kind="density")
    assert single["ig"] == pytest.approx(each["ig"], abs=1e-5)


def test_other_sizes_are_refused(scenes: dict[str, Case]) -> None:
    prediction, here, density, baseline, others = parts(scenes["t48"])
    for truth, bias in ((density[1:], baseline), (density, baseline.T)):
        with pytest.raises(ValueError, match="sun: human densities and baselines must be"):
            preset("tuebingen").score(prediction, here, truth, bias, others, kind="density", name="sun")
