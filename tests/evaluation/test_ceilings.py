"""How well people predict people: by hand, by simulation, and on real viewers."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from saliency_pred.cli import main
from saliency_pred.data.bubbleview import FIWIBubbleView
from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.synthetic import Synthetic
from saliency_pred.density import GoldStandard, fixation_density
from saliency_pred.evaluation.ceilings import (
    BLUR,
    SPLITS,
    SplitHalf,
    consistency,
    gold_standard,
    other_viewers,
    shares,
    spearman_brown,
)
from saliency_pred.evaluation.run import make_scorer, score_baseline
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.metrics import functional as F
from saliency_pred.metrics.accumulate import ScoreTable
from saliency_pred.metrics.presets import Preset

RULES = Preset("mine", ("ig", "auc", "nss", "cc", "kld", "sim"), sigma={"synthetic": 4.0})


@pytest.fixture(scope="module")
def data() -> SaliencyDataModule:
    return SaliencyDataModule(Synthetic(count=12, size=(48, 64), viewers=5), (48, 64))


@pytest.fixture(scope="module")
def scorer(data: SaliencyDataModule) -> Scorer:
    return Scorer(data.centre_bias(), preset=RULES)


def test_each_viewer_is_scored_under_the_others(data: SaliencyDataModule, scorer: Scorer) -> None:
    pack = data.window_fixations(2)
    assert pack is not None
    bias = scorer.baseline
    assert bias is not None
    standard = GoldStandard(0.05, (0.7, 0.2, 0.1))
    total = {"gold": 0.0, "others": 0.0}
    for viewer in pack.viewers():
        mine = pack.of_viewer(viewer)
        rest = pack.select(pack.viewer != viewer)
        # The mixture written out: pixel sums of Gaussians at the others' fixations, centre bias, uniform
        y, x = torch.meshgrid(torch.arange(48.0) + 0.5, torch.arange(64.0) + 0.5, indexing="ij")
        kernels = torch.stack(
            [
                torch.exp(-((y - fy) ** 2 + (x - fx) ** 2) / (2 * (0.05 * 64) ** 2))
                for fx, fy in zip(rest.x, rest.y, strict=True)
            ]
        ).double()
        kde = (kernels / kernels.sum((1, 2), keepdim=True)).mean(0)
        mixture = 0.7 * kde + 0.2 * bias.log_density((48, 64))[0].exp() + 0.1 / (48 * 64)
        total["gold"] += len(mine) * float(F.nss(mixture[None], mine)[0])
        total["others"] += len(mine) * float(F.nss(fixation_density(rest, BLUR * 64)[0], mine)[0])
    row = gold_standard(data, scorer, standard, bias)(2)
    assert row["nss"] == pytest.approx(total["gold"] / len(pack), rel=1e-6)
    assert row["fixations"] == len(pack)
    assert not {"cc", "kld", "sim"} & set(row)
    fixed = other_viewers(data, scorer)(2)
    assert fixed["nss"] == pytest.approx(total["others"] / len(pack), rel=1e-6)
    assert "ig" not in fixed


def test_viewers_pool_to_their_image(data: SaliencyDataModule, scorer: Scorer) -> None:
    """Whoever fixates more counts more, in the row of an image and in the row of a viewer alike."""
    baseline = other_viewers(data, scorer)
    viewers = [row for index in (0, 1, 2) for row in baseline.by_viewer(index)]
    first = [row for row in viewers if row["image_id"] == data.dataset.image_ids[0]]
    weights = [row["fixations"] for row in first]
    assert len(set(weights)) > 1
    assert baseline(0)["auc"] == pytest.approx(np.average([row["auc"] for row in first], weights=weights))
    rows = consistency(viewers)
    assert sorted(row["viewer"] for row in rows) == [0, 1, 2, 3, 4]
    assert [row["nss"] for row in rows] == sorted((row["nss"] for row in rows), reverse=True)
    mine = [row for row in viewers if row["viewer"] == 3]
    of_three = next(row for row in rows if row["viewer"] == 3)
    assert of_three["nss"] == pytest.approx(
        np.average([row["nss"] for row in mine], weights=[row["fixations"] for row in mine])
    )
    assert (of_three["images"], of_three["fixations"]) == (3, sum(row["fixations"] for row in mine))


def test_halves_of_the_viewers(data: SaliencyDataModule, scorer: Scorer) -> None:
    """Against the same halves scored directly; both directions; the same halves again the next time."""
    index = 1
    pack = data.window_fixations(index)
    assert pack is not None
    generator = torch.Generator().manual_seed(index)
    expected = []
    for _ in range(SPLITS):
        drawn = torch.randperm(5, generator=generator)[:2].tolist()
        first = torch.tensor([int(v) in drawn for v in pack.viewer])
        a, b = (fixation_density(pack.select(m), 4.0, dtype=torch.float64)[0] for m in (first, ~first))
        expected += [float(F.kld(a, b)[0]), float(F.kld(b, a)[0])]
    row = SplitHalf(data, scorer)(index)
    assert row["kld"] == pytest.approx(np.mean(expected), rel=1e-9)
    assert SplitHalf(data, scorer)(index) == row
    assert "ig" not in row


def test_people_lie_between_the_centre_and_the_truth() -> None:
    """In generated scenes the density that fixations are drawn from is known: nobody predicts better on average."""
    many = SaliencyDataModule(Synthetic(count=80, size=(48, 64), viewers=10, split="60/20"), (48, 64))
    made = make_scorer(many, "val", RULES)
    means = {name: score_baseline(name, many, "val", made).means() for name in ("truth", "gold_standard")}
    assert 0 < means["gold_standard"]["ig"] < means["truth"]["ig"]
    assert 0 < means["gold_standard"]["nss"] < means["truth"]["nss"]


def test_spearman_brown_extrapolates_halves_to_the_whole() -> None:
    """Of simulated scores with noise: the correlation of means of 2 n from that of means of n."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200_000)

    def group(n: int) -> np.ndarray:
        return truth + rng.normal(size=truth.shape) * 2 / math.sqrt(n)

    small = np.corrcoef(group(5), group(5))[0, 1]
    large = np.corrcoef(group(10), group(10))[0, 1]
    assert spearman_brown(small) == pytest.approx(large, abs=0.01)
    # and the square root is the largest correlation that anything has with the noisy mean: that of the truth
    assert math.sqrt(spearman_brown(small)) == pytest.approx(np.corrcoef(truth, group(10))[0, 1], abs=0.01)
    assert spearman_brown(1.0) == 1
    assert math.isnan(spearman_brown(-0.1))


def test_shares_are_of_the_way_from_chance() -> None:
    """Over the images that both can score, by hand."""
    model = ScoreTable(
        [
            {"image_id": "a", "dataset": "d", "fixations": 1, "nss": 1.0, "auc": 0.8, "kld": 1.0},
            {"image_id": "b", "dataset": "d", "fixations": 1, "nss": 2.0, "auc": 0.7, "kld": 1.0},
            {"image_id": "c", "dataset": "d", "fixations": 1, "nss": 9.0, "auc": 0.9, "kld": 1.0},
        ]
    )
    ceiling = ScoreTable(
        [
            {"image_id": "a", "dataset": "d", "fixations": 1, "nss": 2.0, "auc": 0.9, "kld": 0.5},
            {"image_id": "b", "dataset": "d", "fixations": 1, "nss": 4.0, "auc": 0.9, "kld": 0.5},
            {"image_id": "c", "dataset": "d", "fixations": 1, "nss": math.nan},
        ]
    )
    found = shares(model, ceiling)
    assert found == {"nss": pytest.approx(3 / 6), "auc": pytest.approx((0.3 + 0.2) / 0.8)}
    assert shares(ceiling, ceiling)["nss"] == 1
    assert "kld" not in found


def test_one_command_tells_all_ceilings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["data=synthetic", "data.count=10", "data.size=[48,64]", "data.viewers=4", "+preset.sigma.synthetic=4"]
    assert main(["evaluate", "baseline=gold_standard", *settings, "part=all", f"out={tmp_path}"]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert {"uniform", "centre_bias", "other_images", "other_viewers", "split_half", "truth"} <= set(
        scores["baselines"]
    )
    assert scores["images"] == 10
    assert scores["baselines"]["split_half"]["cc"]["images"] == 10
    viewers = list(csv.DictReader((tmp_path / "viewers.csv").open()))
    assert sorted(row["viewer"] for row in viewers) == ["0", "1", "2", "3"]
    total = sum(float(v["ig"]) * int(v["fixations"]) for v in viewers) / sum(int(v["fixations"]) for v in viewers)
    images = list(csv.DictReader((tmp_path / "per_image.csv").open()))
    pooled = np.average([float(r["ig"]) for r in images], weights=[int(r["fixations"]) for r in images])
    assert total == pytest.approx(pooled)  # the same fixations, counted by viewer and by image
    printed = capsys.readouterr().out
    assert "split_half" in printed
    assert "viewers.csv" in printed


def test_halves_need_a_gaussian(capsys: pytest.CaptureFixture[str]) -> None:
    class Unblurred(Synthetic):
        name = "unblurred"

    data = SaliencyDataModule(Unblurred(count=4, size=(32, 40), viewers=3), (32, 40))
    object.__setattr__(data, "sigma_of", lambda dataset: math.nan)
    with pytest.raises(ValueError, match=r"no Gaussian is known for unblurred: give one as \+preset.sigma.unblurred="):
        score_baseline("split_half", data, "all", Scorer(data.centre_bias()))


def test_web_pages_and_their_viewers(shared_data: Path) -> None:
    """FIWI, 4 of 51 pages: published are 1.87 of the other viewers, with a fixed blur of unknown width."""
    data = SaliencyDataModule(FIWIBubbleView(shared_data / "FIWI_bubbleview", "8/4"), (288, 384))
    scorer = Scorer(None, preset=Preset("nss", ("nss",)))
    table = score_baseline("other_viewers", data, "val", scorer)
    assert len(table.rows) == 4
    assert table.means()["nss"] == pytest.approx(1.87, rel=0.15)


def test_the_page_shows_the_measured_ceilings() -> None:
    """docs/metrics.md from results/ceilings.csv; every figure within 15 % of the published, or its interval is."""
    path = Path(__file__).resolve().parents[2] / "scripts" / "ceilings.py"
    spec = importlib.util.spec_from_file_location("ceilings", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    rows = script.read_table()
    text = script.PAGE.read_text()
    assert script.with_table(text, rows) == text, "run: python scripts/ceilings.py"
    compared = [row for row in rows if row["published"]]
    assert len(compared) == 2 * len(script.SETS)
    for row in compared:
        near = float(row["mean"]) == pytest.approx(float(row["published"]), rel=0.15)
        assert near or float(row["low"]) <= float(row["published"]) <= float(row["high"]), row
