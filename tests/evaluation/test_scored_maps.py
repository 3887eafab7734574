"""Maps of time windows, of videos, and under a leaderboard's own Gaussian; what stands beside them in the table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from saliency_pred.cli import main
from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.synthetic import Synthetic
from saliency_pred.density import fixation_density
from saliency_pred.evaluation.maps import MapFiles
from saliency_pred.evaluation.run import make_scorer, score_baseline
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.metrics import functional as F
from saliency_pred.metrics.presets import Preset

SIZE = (48, 64)
WINDOWS = [[0.0, 1.0], [1.0, 3.0]]
DATA = ["data=synthetic", "data.count=10", "data.size=[48,64]", "data.viewers=4", "part=all"]


@pytest.fixture(scope="module")
def dataset() -> Synthetic:
    return Synthetic(count=10, size=SIZE, viewers=4)


def results(out: Path) -> tuple[dict, list[dict[str, str]]]:
    return json.loads((out / "scores.json").read_text()), list(csv.DictReader((out / "per_image.csv").open()))


def test_maps_of_time_windows(dataset: Synthetic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is scored against the fixations of its window, and the mean over windows is the image's score."""
    maps = tmp_path / "maps"
    maps.mkdir()
    windows = torch.tensor(WINDOWS, dtype=torch.float64)
    for i, name in enumerate(dataset.image_ids):
        np.save(maps / f"{name}.npy", dataset.true_log_density(i, windows).numpy())
    settings = [*DATA, "maps=log_density", "preset.metrics=[ig,nss]", "baselines=[truth]"]
    assert main(["score", str(maps), *settings, f"windows={WINDOWS}", f"out={tmp_path / 'out'}"]) == 0
    scores, rows = results(tmp_path / "out")
    pack = dataset.clean_fixations(3)
    assert pack is not None
    sorted_ = pack.assign_windows(windows)
    truth = dataset.true_log_density(3, windows)
    expected = [float(F.nss(truth[t : t + 1].exp(), sorted_.of_window(t))[0]) for t in (0, 1)]
    assert [float(rows[3][f"nss@{t}"]) for t in (1, 2)] == pytest.approx(expected)
    assert float(rows[3]["nss"]) == pytest.approx(np.mean(expected))
    assert scores["scores"]["ig"] == scores["baselines"]["truth"]["ig"]  # the truth from files is the truth
    assert scores["data"]["windows"] == WINDOWS
    capsys.readouterr()
    assert main(["score", str(maps), *settings, f"out={tmp_path / 'one'}"]) == 2
    assert "2 maps for 1 time windows; windows=[[0,1],[1,2],...] names more" in capsys.readouterr().err


def test_pages_of_a_tiff_are_windows(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).random((3, 5, 7)).astype(np.float32)
    first, *rest = (Image.fromarray(page) for page in pages)
    first.save(tmp_path / "a.tiff", save_all=True, append_images=rest)
    first.save(tmp_path / "uneven.tiff", save_all=True, append_images=[Image.fromarray(pages[1, :4])])
    maps = MapFiles.open(tmp_path)
    np.testing.assert_array_equal(maps.read("a").values.numpy(), pages)
    assert maps.read("a").bits == 32
    with pytest.raises(ValueError, match="2 pages of different sizes"):
        maps.read("uneven")


def test_a_leaderboard_makes_human_maps_with_its_own_gaussian(dataset: Synthetic) -> None:
    """The preset's sigma of a data set, in evaluate as in score, whatever the data set's own is."""
    data = SaliencyDataModule(dataset, SIZE)
    pack = data.window_fixations(0)
    assert pack is not None
    truth = dataset.true_log_density(0)
    for sigma in (3.0, 9.0):
        scorer = Scorer(None, preset=Preset("board", ("cc",), sigma={"synthetic": sigma}))
        expected = float(F.cc(truth.exp(), fixation_density(pack, sigma, dtype=torch.float64)[0])[0])
        assert score_baseline("truth", data, "all", scorer).rows[0]["cc"] == pytest.approx(expected)


def test_baselines_and_shares_beside_the_maps(
    dataset: Synthetic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the scored images only, by the rules of the maps."""
    maps = tmp_path / "maps"
    maps.mkdir()
    for i, name in enumerate(dataset.image_ids[:7]):
        np.save(maps / f"{name}.npy", dataset.true_log_density(i)[0].numpy())
    beside = "baselines=[uniform,centre_bias,gold_standard,split_half]"
    settings = [*DATA, "maps=log_density", beside, "+preset.sigma.synthetic=4", "ig_baseline=uniform"]
    assert main(["score", str(maps), *settings, f"out={tmp_path / 'out'}"]) == 2
    printed = capsys.readouterr()
    assert "3 of 10 images have no map and are left out" in printed.err
    assert "7 of 10 images of part all" in printed.out
    scores, rows = results(tmp_path / "out")
    assert len(rows) == 7
    assert {found["nss"]["images"] for found in scores["baselines"].values()} == {7}
    assert scores["options"]["ig_baseline"] == "uniform density"
    assert scores["options"]["sauc_negatives"] == "fixations on all others of the all part"
    share = scores["share_of_ceiling"]
    gold = scores["baselines"]["gold_standard"]
    assert share["gold_standard"]["nss"] == pytest.approx(
        scores["scores"]["nss"]["mean"] / gold["nss"]["mean"], rel=1e-9
    )
    halves = scores["baselines"]["split_half"]["cc"]["mean"]
    assert share["split_half"]["cc"] == pytest.approx(
        scores["scores"]["cc"]["mean"] / (2 * halves / (1 + halves)) ** 0.5
    )
    assert "gold standard: " in printed.out


def test_optimal_maps_of_files(dataset: Synthetic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    for i, name in enumerate(dataset.image_ids):
        np.save(maps / f"{name}.npy", dataset.true_log_density(i)[0].numpy())
    settings = [*DATA, "maps=log_density", "preset=tuebingen", "+preset.sigma.synthetic=5", "ig_baseline=other_images"]
    for optimal in (False, True):
        out = f"out={tmp_path / str(optimal)}"
        assert main(["score", str(maps), *settings, "baselines=[]", f"optimal_maps={optimal}", out]) == 0
    plain, best = (results(tmp_path / str(optimal))[0] for optimal in (False, True))
    rules = Preset("t", ("ig", "auc", "sauc", "nss", "cc", "kld", "sim"), sigma={"synthetic": 5.0}, resize="error")
    data = SaliencyDataModule(dataset, SIZE)
    made = score_baseline("truth", data, "all", make_scorer(data, "all", rules, "other_images", True)).means()
    for metric, mean in made.items():
        assert best["scores"][metric]["mean"] == pytest.approx(mean, rel=1e-9), metric
    assert best["scores"]["cc"]["mean"] > plain["scores"]["cc"]["mean"]
    assert best["options"]["optimal_maps"]["by_metric"]["cc"] == "blurred density"
    assert plain["options"]["optimal_maps"] is None
    capsys.readouterr()
    assert main(["score", str(maps), *DATA, "optimal_maps=true"]) == 2
    assert "derives maps from densities" in capsys.readouterr().err


def test_map_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command: frames, then videos; what is missing is named, what was scored is written."""
    root, maps = tmp_path / "data", tmp_path / "maps"
    maps.mkdir()
    rng = np.random.default_rng(0)
    lines = ["video,x,y,frame"]
    for video, count in (("a", 3), ("b", 5), ("c", 2)):
        (root / "videos" / video).mkdir(parents=True)
        for frame in range(count):
            picture = rng.integers(0, 255, (24, 32, 3), np.uint8)
            cv2.imwrite(str(root / "videos" / video / f"{frame:04d}.png"), picture)
            lines += [f"{video},{x:.2f},{y:.2f},{frame}" for x, y in rng.uniform(2, 22, (6, 2))]
        if video != "c":
            np.save(maps / f"{video}.npy", rng.random((count, 24, 32)))
    (root / "fixations.csv").write_text("\n".join(lines) + "\n")
    settings = ["data=video_folder", f"data.root={root}", "part=all", "preset=aim2024", "+preset.sigma.video_folder=3"]
    assert main(["score", str(maps), *settings, f"out={tmp_path / 'out'}"]) == 2
    printed = capsys.readouterr()
    assert "1 of 3 videos have no map and are left out: c" in printed.err
    assert "2 of 3 videos of part all (8 frames)" in printed.out
    scores, rows = results(tmp_path / "out")
    assert len(rows) == 8
    means = [np.mean([float(r["nss_aim"]) for r in rows if r["image_id"].startswith(v)]) for v in "ab"]
    assert scores["scores"]["nss_aim"]["mean"] == pytest.approx(np.mean(means))
    assert scores["scores"]["nss_aim"]["images"] == 2
    assert scores["missing"] == ["c"]
    assert main(["score", str(maps), *settings, "fit=train"]) == 2
    assert "fit, optimal_maps and windows are of images" in capsys.readouterr().err
