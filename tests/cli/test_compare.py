"""Comparing runs: by hand where that is possible, and refusing what cannot be compared."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from saliency_pred.cli import main
from saliency_pred.evaluation.compare import compare, holm, markdown, read_scored


def write(folder: Path, scores: dict[str, dict[str, float]], **rules: object) -> Path:
    """A run: image → metric → score."""
    folder.mkdir(parents=True)
    metrics = list(next(iter(scores.values())))
    with (folder / "per_image.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "dataset", "fixations", *metrics])
        for image, values in scores.items():
            cells = ["" if math.isnan(values[m]) else repr(values[m]) for m in metrics]
            writer.writerow([image, "toy", 10, *cells])
    (folder / "scores.json").write_text(json.dumps({"options": {"preset": "default", **rules}}))
    return folder


def test_means_differences_and_p_values_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = {f"i{k}": {"ig": 1.0 + k, "kld": 0.5} for k in range(4)}
    second = {f"i{k}": {"ig": 2.0 + k, "kld": 0.4 if k else math.nan} for k in range(4)}
    runs = [write(tmp_path / "a" / "run", first), write(tmp_path / "b" / "run", second)]
    assert main(["compare", *map(str, runs), f"out={tmp_path / 'out'}"]) == 0
    printed = capsys.readouterr().out
    assert "| a/run | 2.500" in printed
    with (tmp_path / "out" / "comparison.csv").open(newline="") as file:
        rows = {(r["model"], r["metric"]): r for r in csv.DictReader(file)}
    ig = rows["b/run", "ig"]
    assert (float(ig["mean"]), float(ig["difference"]), ig["images"]) == (3.5, 1.0, "4")
    # four differences of the same sign and size: 2 of 16 sign patterns are as far from 0
    assert float(ig["p"]) == float(ig["p_holm"]) == 2 / 16
    assert rows["b/run", "kld"]["images"] == "3"
    assert float(rows["b/run", "kld"]["difference"]) == pytest.approx(-0.1)
    assert rows["a/run", "ig"]["p"] == ""
    facts = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert facts["runs"]["a/run"] == [str(runs[0])]
    table = (tmp_path / "out" / "comparison.md").read_text()
    assert "**3.500**" in table, "a higher ig is better"
    assert "**0.400**" in table, "a lower kld is better"


def test_seeds_are_averaged_and_folds_added(tmp_path: Path) -> None:
    for seed, ig in ((0, 1.0), (1, 3.0)):
        write(tmp_path / "seeds" / str(seed), {"x": {"ig": ig}, "y": {"ig": ig}})
    for fold, image in enumerate("xy"):
        write(tmp_path / "folds" / str(fold), {image: {"ig": 5.0 + fold}})
    seeds, folds = (read_scored(tmp_path / name, name) for name in ("seeds", "folds"))
    assert seeds.values["ig"] == {("toy", "x"): 2.0, ("toy", "y"): 2.0}
    assert seeds.spread["ig"] == pytest.approx(2**0.5)
    assert folds.values["ig"] == {("toy", "x"): 5.0, ("toy", "y"): 6.0}
    rows = compare([seeds, folds])
    assert [(r["mean"], r["runs"]) for r in rows] == [(2.0, 2), (5.5, 2)]


def test_a_clear_difference_is_marked_and_noise_is_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=60)
    models = {"base": base, "better": base + 0.5 + 0.1 * rng.normal(size=60), "same": base + 0.1 * rng.normal(size=60)}
    runs = [write(tmp_path / n, {f"{k}": {"ig": float(v)} for k, v in enumerate(x)}) for n, x in models.items()]
    rows = compare([read_scored(run, run.name) for run in runs])
    assert rows[1]["p_holm"] < 0.001 < 0.05 < rows[2]["p_holm"]
    assert rows[1]["difference_low"] < 0.5 < rows[1]["difference_high"]
    lines = markdown(rows).splitlines()
    assert "** (" in lines[3]
    assert "*" not in lines[4]


def test_holm_as_published() -> None:
    # Holm 1979: sorted p times 3, 2, 1, never smaller than the one before
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_what_cannot_be_compared_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "one", {"x": {"ig": 1.0}})
    other_rule = write(tmp_path / "rule", {"x": {"ig": 1.0}}, preset="mit")
    other_image = write(tmp_path / "image", {"z": {"ig": 1.0}})
    for arguments, words in (
        ([str(one)], "at least two runs"),
        ([str(one), str(other_rule)], "preset: 'default' and 'mit'"),
        ([str(one), str(other_image)], "no image in common"),
        ([str(one), str(tmp_path / "nothing")], "holds no scores"),
        ([str(one), str(one)], "named twice"),
        ([str(one), str(write(tmp_path / "two", {"x": {"ig": 1.0}})), "metrics=[nss]"], "all have ig"),
    ):
        assert main(["compare", *arguments]) == 2
        assert words in capsys.readouterr().err
