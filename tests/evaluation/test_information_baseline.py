"""What information gain is measured against: each baseline against its definition written out."""

from __future__ import annotations

import math

import pytest
import torch

from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.synthetic import Synthetic
from saliency_pred.density import CentreBias, GoldStandard
from saliency_pred.evaluation.baselines import fitted_gold_standard
from saliency_pred.evaluation.information_baseline import OtherViewers
from saliency_pred.evaluation.other_images import OtherFixations, OtherImages
from saliency_pred.evaluation.run import make_scorer, prepared, score_baseline
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.fixations import Fixations
from saliency_pred.metrics import functional as F
from saliency_pred.metrics.presets import Preset

IG = Preset("ig", ("ig", "log_likelihood", "sauc"))


@pytest.fixture(scope="module")
def data() -> SaliencyDataModule:
    return SaliencyDataModule(Synthetic(count=10, size=(48, 64), viewers=4), (48, 64))


def test_the_other_images_are_all_but_the_one(data: SaliencyDataModule) -> None:
    packs = {name: data.window_fixations(i) for i, name in enumerate(data.dataset.image_ids)}
    others = OtherImages(packs)
    for left_out in data.dataset.image_ids[:3]:
        fitted = CentreBias.fit([pack for name, pack in packs.items() if name != left_out and pack is not None])
        torch.testing.assert_close(
            others.log_density(left_out, (48, 64)), fitted.log_density((48, 64)), rtol=0, atol=1e-9
        )
    everybody = CentreBias.fit([pack for pack in packs.values() if pack is not None])
    torch.testing.assert_close(others.log_density("stranger", (48, 64)), everybody.log_density((48, 64)))


def test_other_images_in_windows_where_some_have_no_fixation() -> None:
    windows = torch.tensor([[0.0, 1.0], [1.0, 2.0]])
    times = {"a": [0.5, 1.5], "b": [0.2, 0.7], "c": [1.1, 1.9], "d": [0.1, 1.2]}
    packs: dict[str, Fixations | None] = {
        name: Fixations.of([3.0 * i + 1, 3.0 * i + 2], [5.0, 6.0], (12, 16), time=time).assign_windows(windows)
        for i, (name, time) in enumerate(times.items())
    }
    packs |= {"e": Fixations.empty((12, 16)).assign_windows(windows), "f": None}
    others = OtherImages(packs)
    for name in packs:
        rest = [p for n, p in packs.items() if n != name and p is not None]
        torch.testing.assert_close(
            others.log_density(name, (12, 16)), CentreBias.fit(rest).log_density((12, 16)), rtol=0, atol=1e-9
        )
    with pytest.raises(ValueError, match="fixations on two images in every time window"):
        OtherImages({"a": packs["a"], "b": packs["b"]})


def test_gain_over_the_other_viewers(data: SaliencyDataModule) -> None:
    """Mean over fixations of log2 of the model's density over what the viewer's others predict there."""
    bias = data.centre_bias()
    assert bias is not None
    standard = GoldStandard(0.06, (0.7, 0.2, 0.1))
    pack = data.window_fixations(0)
    assert pack is not None
    name = data.dataset.image_ids[0]
    truth = data.dataset.true_log_density(0)  # type: ignore[attr-defined]
    expected = 0.0
    for viewer in pack.viewers():
        mine = pack.of_viewer(viewer)
        expected += len(mine) * float(F.ig(truth, standard.log_density(pack, bias, leave_out=viewer), mine)[0])
    against = OtherViewers({name: pack}, standard, bias)
    scorer = Scorer(bias, preset=IG, reference=against)
    row = scorer.score(truth, pack, None, math.nan, name)
    assert row["ig"] == pytest.approx(expected / len(pack), rel=1e-9)
    assert scorer.options()["ig_baseline"].startswith("gold standard")


def test_nobody_else_looked(data: SaliencyDataModule) -> None:
    """Without another viewer, or with unknown ones, the gain over the others is undefined, not large."""
    bias = data.centre_bias()
    assert bias is not None
    pack = data.window_fixations(0)
    assert pack is not None
    unknown = Fixations.of(pack.x, pack.y, (48, 64))
    packs = {"alone": pack.of_viewer(1), "unknown": unknown, "none": None}
    against = OtherViewers(packs, GoldStandard(0.06, (0.7, 0.2, 0.1)), bias)
    assert [against.log_density(name, (48, 64)) for name in packs] == [None, None, None]


@pytest.mark.parametrize("name", ["centre_bias", "other_images", "uniform", "gold_standard"])
def test_a_baseline_gains_nothing_over_itself(name: str, data: SaliencyDataModule) -> None:
    scorer = make_scorer(data, "all", IG, name)  # type: ignore[arg-type]
    means = score_baseline(name, data, "all", scorer).means()
    assert means["ig"] == pytest.approx(0, abs=1e-9)
    assert scorer.options()["ig_baseline"]


def test_gains_differ_by_what_the_baselines_differ() -> None:
    many = SaliencyDataModule(Synthetic(count=80, size=(48, 64), viewers=10, split="60/20"), (48, 64))
    gains = {
        name: score_baseline("truth", many, "val", make_scorer(many, "val", IG, name)).means()  # type: ignore[arg-type]
        for name in ("uniform", "centre_bias", "gold_standard")
    }
    assert gains["uniform"]["ig"] == pytest.approx(gains["uniform"]["log_likelihood"])
    assert gains["uniform"]["ig"] > gains["centre_bias"]["ig"] > gains["gold_standard"]["ig"] > 0
    plain = score_baseline("centre_bias", many, "val", make_scorer(many, "val", IG, "uniform")).means()
    assert gains["uniform"]["ig"] - gains["centre_bias"]["ig"] == pytest.approx(plain["ig"])


def test_what_cannot_be(data: SaliencyDataModule) -> None:
    scorer = Scorer(data.centre_bias(), preset=Preset("mit", ("ig_mit",)))
    with pytest.raises(ValueError, match="ig_mit compares maps"):
        prepared(scorer, data, "val", "gold_standard")
    with pytest.raises(ValueError, match="ig_baseline='mine' is none of"):
        prepared(scorer, data, "val", "mine")  # type: ignore[arg-type]


def test_negatives_of_shuffled_auc(data: SaliencyDataModule) -> None:
    """In evaluate as in the definition: all fixations of the other images of the part."""
    scorer = make_scorer(data, "all", IG)
    rows = score_baseline("truth", data, "all", scorer).rows
    packs = [data.window_fixations(i) for i in range(10)]
    others = [p for i, p in enumerate(packs) if i != 4 and p is not None]
    negatives = Fixations.of(torch.cat([p.x for p in others]), torch.cat([p.y for p in others]), (48, 64))
    truth = data.dataset.true_log_density(4)  # type: ignore[attr-defined]
    assert packs[4] is not None
    expected = float(F.sauc(truth, packs[4], negatives)[0])
    assert rows[4]["image_id"] == data.dataset.image_ids[4]
    assert rows[4]["sauc"] == pytest.approx(expected, abs=1e-12)
    assert scorer.options()["sauc_negatives"] == "fixations on all others of the all part"
    assert OtherFixations({"a": None}).of("a", (4, 4)).counts.tolist() == [0]


def test_a_gold_standard_of_generated_viewers(data: SaliencyDataModule) -> None:
    bias = data.centre_bias()
    assert bias is not None
    standard = fitted_gold_standard(data, bias)
    assert sum(standard.weights) == pytest.approx(1)
    assert standard.weights[0] > 0.02  # the others do predict something
