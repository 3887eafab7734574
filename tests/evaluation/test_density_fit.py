"""Maps of any scale become densities: known ones are found again, and held-out fixations are better explained."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from saliency_pred.cli import main
from saliency_pred.data.synthetic import Synthetic
from saliency_pred.density import CentreBias, gaussian_blur, log_normalise
from saliency_pred.evaluation.density_fit import DensityFit, _interpolated
from saliency_pred.fixations import Fixations
from saliency_pred.metrics import functional as F

SIZE = (32, 40)
N = 30


def smooth(seed: int) -> Tensor:
    """A random landscape in [0, 1], (1, H, W)."""
    noise = torch.rand(1, *SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    field = gaussian_blur(noise, 4.0, "reflect")
    return (field - field.amin()) / (field.amax() - field.amin())


@pytest.fixture(scope="module")
def bias() -> CentreBias:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64).double(), torch.linspace(-1, 1, 64).double(), indexing="ij")
    density = torch.exp(-3 * (x**2 + y**2))
    return CentreBias((density / density.sum())[None])


def draw(log_density: Tensor, number: int, seed: int) -> Fixations:
    generator = torch.Generator().manual_seed(seed)
    flat = torch.multinomial(log_density.exp().flatten(), number, replacement=True, generator=generator)
    return Fixations.of(flat % SIZE[1] + 0.5, flat // SIZE[1] + 0.5, SIZE)


def law(map_: Tensor, bias: CentreBias) -> Tensor:
    """The truth of these tests: p proportional to exp(6 sqrt(map)) times centre bias to the power .5."""
    return log_normalise((6 * map_.sqrt() + 0.5 * bias.log_density(SIZE))[None])[0]


@pytest.fixture(scope="module")
def fitted(bias: CentreBias) -> DensityFit:
    maps = [smooth(i) for i in range(N)]
    return DensityFit.fit(maps, [draw(law(m, bias), 400, i) for i, m in enumerate(maps)], bias, (0.0, 0.05))


def test_a_known_law_is_found_again(fitted: DensityFit, bias: CentreBias) -> None:
    """On images that were not fitted to, within what 12,000 fixations can tell."""
    assert fitted.sigma == 0
    assert fitted.weight == pytest.approx(0.5, abs=0.1)
    inner = torch.linspace(0.15, 0.85, 8, dtype=torch.float64)
    expected, found = 6 * inner.sqrt(), _interpolated(inner, fitted.knots, fitted.heights)
    torch.testing.assert_close(found - found.mean(), expected - expected.mean(), rtol=0, atol=0.25)
    map_ = smooth(1000)
    truth, read = law(map_, bias), fitted.log_density(map_, SIZE)
    assert float(read.exp().sum()) == pytest.approx(1)
    assert float((truth.exp() * (truth - read)).sum()) < 0.02  # nats; the law itself is worth over .5


def test_a_blur_is_found(bias: CentreBias) -> None:
    """Fixations follow a blurred version of the maps: the candidate nearest to it wins."""
    maps, packs = [], []
    for i in range(N):
        sharp = torch.rand(1, *SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) ** 8
        blurred = gaussian_blur(sharp, 0.035 * 40, "reflect")
        maps.append(sharp)
        packs.append(draw(log_normalise((20 * blurred)[None])[0], 600, i))
    found = DensityFit.fit(maps, packs, bias, blurs=(0.0, 0.035, 0.1))
    assert found.sigma == 0.035
    assert found.weight == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("change", [lambda m: 255 * m, lambda m: m**3 - 7, lambda m: torch.exp(5 * m)])
def test_monotone_changes_of_the_maps_change_little(change: object, fitted: DensityFit, bias: CentreBias) -> None:
    """The fit undoes them: only where knots fall differs."""
    maps = [smooth(i) for i in range(N)]
    packs = [draw(law(m, bias), 400, i) for i, m in enumerate(maps)]
    other = DensityFit.fit([change(m) for m in maps], packs, bias, blurs=(0.0,))  # type: ignore[operator]
    assert other.likelihood == pytest.approx(fitted.likelihood, abs=0.01)


def test_maps_that_say_nothing_become_the_centre_bias(bias: CentreBias) -> None:
    prior = bias.log_density(SIZE)
    packs = [draw(prior, 500, i) for i in range(20)]
    flat = DensityFit.fit([torch.full((1, *SIZE), 3.0)] * 20, packs, bias, (0.0,))
    torch.testing.assert_close(flat.log_density(torch.full((1, *SIZE), 9.0), SIZE), prior, rtol=0, atol=0.2)
    assert flat.weight == pytest.approx(1, abs=0.1)
    noise = [torch.rand(1, *SIZE, generator=torch.Generator().manual_seed(i)) for i in range(20)]
    random = DensityFit.fit(noise, packs, bias, (0.0, 0.05))
    assert random.likelihood == pytest.approx(flat.likelihood, abs=0.02)


def test_other_sizes_and_windows(fitted: DensityFit) -> None:
    map_ = smooth(5)
    two = fitted.log_density(torch.cat([map_, 1 - map_]), (64, 80))
    assert two.shape == (2, 64, 80)
    assert two.exp().sum((1, 2)).tolist() == pytest.approx([1, 1])
    torch.testing.assert_close(two[0], fitted.log_density(map_, (64, 80))[0])


def test_nothing_to_fit_to(bias: CentreBias) -> None:
    with pytest.raises(ValueError, match="2 maps and 0 fixations"):
        DensityFit.fit([smooth(0), smooth(1)], [Fixations.empty(SIZE)] * 2, bias)


def test_scores_of_fitted_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """8-bit maps of the truth, distorted: with fit=train their gain nears that of the truth, and is measured."""
    dataset = Synthetic(count=40, size=SIZE, viewers=6)
    maps = tmp_path / "maps"
    maps.mkdir()
    truth = []
    for index in range(40):
        log_density = dataset.true_log_density(index)[0]
        shown = torch.exp(0.3 * (log_density - log_density.amax()))
        np.save(maps / f"{dataset.image_ids[index]}.npy", (255 * shown).round().byte().numpy())
    for index in dataset.parts(0)["val"]:
        pack = dataset.clean_fixations(index)
        assert pack is not None
        truth.append(float(F.log_likelihood(dataset.true_log_density(index), pack)[0]))
    settings = ["data=synthetic", "data.count=40", f"data.size=[{SIZE[0]},{SIZE[1]}]", "data.viewers=6"]
    out = tmp_path / "out"
    assert main(["score", str(maps), *settings, "fit=train", f"out={out}"]) == 0
    scores = json.loads((out / "scores.json").read_text())
    likelihood = scores["scores"]["log_likelihood"]["mean"]
    assert likelihood > scores["baselines"]["centre_bias"]["log_likelihood"]["mean"] + 0.3
    assert likelihood == pytest.approx(np.mean(truth), abs=0.15)
    assert scores["unavailable"] == {}
    assert scores["maps"]["fit"]["images"] == 16  # the other half of the train part gave the centre bias
    heights = scores["maps"]["fit"]["heights"]
    assert heights == sorted(heights)
    assert math.isfinite(scores["maps"]["fit"]["centre_bias_weight"])
    assert main(["score", str(maps), *settings, "fit=train", "optimal_maps=true", f"out={tmp_path / 'best'}"]) == 0
    best = json.loads((tmp_path / "best" / "scores.json").read_text())["scores"]
    assert best["nss"]["mean"] == pytest.approx(scores["scores"]["nss"]["mean"])
    for name in dataset.parts(0)["train"]:
        (maps / f"{dataset.image_ids[name]}.npy").unlink()
    capsys.readouterr()
    assert main(["score", str(maps), *settings, "fit=train", f"out={out}"]) == 2
    assert "fit=train needs maps of the images of that part too" in capsys.readouterr().err
