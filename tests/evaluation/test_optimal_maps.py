"""The best map for each metric: better than any other view of the same density, on average over drawn fixations."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as nnf
from torch import Tensor

from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.synthetic import Synthetic
from saliency_pred.density import fixation_density, gaussian_blur, normalise
from saliency_pred.evaluation.optimal_maps import OptimalMaps, sampled_densities, similarity_map
from saliency_pred.evaluation.run import make_scorer, score_baseline
from saliency_pred.fixations import Fixations
from saliency_pred.metrics import functional as F
from saliency_pred.metrics.presets import Preset

SIZE = (48, 64)
SIGMA = 5.0


@pytest.fixture(scope="module")
def density() -> Tensor:
    """Two narrow peaks and a pedestal: what a confident model says."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    peaks = torch.exp(-((y - 15) ** 2 + (x - 20) ** 2) / 8) + 0.6 * torch.exp(-((y - 35) ** 2 + (x - 45) ** 2) / 18)
    return normalise((peaks + 0.02).double())


def drawn(density: Tensor, number: int, count: int) -> list[Fixations]:
    """Fixations of ``count`` images, drawn without the code under test."""
    generator = torch.Generator().manual_seed(11)
    flat = torch.multinomial(density.flatten(), number * count, replacement=True, generator=generator)
    row, column = flat // 64, flat % 64
    return [
        Fixations.of(c + 0.5, r + 0.5, SIZE)
        for r, c in zip(row.reshape(count, number), column.reshape(count, number), strict=True)
    ]


def test_each_metric_gains_from_its_own_map(density: Tensor) -> None:
    fixations = drawn(density, 20, 60)
    human = torch.stack([fixation_density(f, SIGMA, dtype=torch.float64)[0, 0] for f in fixations])
    maps = {
        metric: map_
        for metrics, map_, _ in OptimalMaps(20).of(density.log(), ("nss", "cc", "kld", "sim"), SIGMA, "x")
        for metric in metrics
    }
    assert torch.allclose(maps["nss"], density)

    def score(metric: str, map_: Tensor) -> float:
        stack = map_.expand(60, *SIZE)
        if metric == "nss":
            return float(F.nss(stack, Fixations.cat(fixations)).mean())
        value = float(getattr(F, metric)(stack, human).mean())
        return -value if metric == "kld" else value

    for metric in ("nss", "cc", "kld", "sim"):
        own = score(metric, maps[metric])
        for other, map_ in maps.items():
            if not torch.equal(map_, maps[metric]):
                assert own > score(metric, map_), f"{metric} is better on the map of {other}"


def test_the_similarity_map_is_what_gradient_ascent_finds(density: Tensor) -> None:
    """On the same draws: the closed form is as good as 400 steps of a descent, and better than where that starts."""
    drawn_ = sampled_densities(density.log(), SIGMA, 20, 200, 0)
    found = similarity_map(density.log(), SIGMA, 20)
    assert float(found.sum()) == pytest.approx(1)
    grid = normalise(
        nnf.interpolate(found[None, None], size=tuple(drawn_.shape[1:]), mode="bilinear", antialias=True)[0, 0]
    )
    closed = float(torch.minimum(grid, drawn_).sum((1, 2)).mean())
    logits = normalise(drawn_.mean(0)).clamp(min=1e-9).log().requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.02)
    for _ in range(400):
        optimizer.zero_grad()
        value = torch.minimum(logits.flatten().softmax(0).reshape(logits.shape), drawn_).sum((1, 2)).mean()
        (-value).backward()
        optimizer.step()
    assert closed == pytest.approx(value.item(), abs=0.003)
    start = float(torch.minimum(normalise(drawn_.mean(0)), drawn_).sum((1, 2)).mean())
    assert closed > start + 0.002


def test_drawn_human_densities_average_to_the_blurred_density(density: Tensor) -> None:
    drawn_ = sampled_densities(density.log(), SIGMA, 15, 4000, 1)
    expected = normalise(gaussian_blur(density, SIGMA))
    grid = normalise(
        nnf.interpolate(expected[None, None], size=tuple(drawn_.shape[1:]), mode="bilinear", antialias=True)[0, 0]
    )
    assert float((drawn_.mean(0) - grid).abs().sum()) < 0.03  # of 2 at most
    assert drawn_.sum((1, 2)).tolist() == pytest.approx([1.0] * 4000)


def test_a_density_that_is_zero_somewhere(density: Tensor) -> None:
    holes = density.clone()
    holes[:10] = 0
    data = SaliencyDataModule(Synthetic(count=6, size=SIZE, viewers=3), SIZE)
    scorer = make_scorer(data, "all", Preset("p", ("auc", "sauc", "cc", "sim")), optimal_maps=True)
    assert scorer.optimal is not None
    name = data.dataset.image_ids[0]
    for _, map_, _ in scorer.optimal.of(normalise(holes).log(), ("auc", "sauc", "cc", "sim"), SIGMA, name):
        assert bool(map_.isfinite().all())


def test_where_the_gaussian_is_unknown_the_density_is_scored(density: Tensor) -> None:
    maps = list(OptimalMaps(20).of(density.log(), ("cc", "sim", "auc"), math.nan, "x"))
    assert len(maps) == 1
    metrics, map_, kind = maps[0]
    assert (set(metrics), kind) == ({"cc", "sim", "auc"}, "map")
    assert torch.allclose(map_, density)


def test_a_model_that_knows_the_truth_gains_by_its_own_maps() -> None:
    """On generated scenes: every metric of the truth is at least as good, and most are better."""
    data = SaliencyDataModule(Synthetic(count=16, size=SIZE, viewers=4), SIZE)
    rules = Preset("mine", ("ig", "auc", "sauc", "nss", "cc", "kld", "sim"), sigma={"synthetic": SIGMA})
    plain = score_baseline("truth", data, "all", make_scorer(data, "all", rules)).means()
    scorer = make_scorer(data, "all", rules, optimal_maps=True)
    best = score_baseline("truth", data, "all", scorer).means()
    for metric in ("ig", "auc", "nss"):
        assert best[metric] == pytest.approx(plain[metric], rel=1e-12)
    assert best["cc"] > plain["cc"] + 0.02
    assert best["kld"] < plain["kld"] - 0.05
    assert best["sim"] > plain["sim"] + 0.02
    assert best["sauc"] > plain["sauc"]
    options = scorer.options()["optimal_maps"]
    fixations = [len(data.window_fixations(i)) for i in range(16)]  # type: ignore[arg-type]
    assert options["similarity_fixations"] == round(sum(fixations) / 16)
