"""``saliency score``: maps in every form, matched, scored, compared; and everything that can be wrong with them."""

from __future__ import annotations

import csv
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import torch
from fixtures import osie
from PIL import Image

from saliency_pred.cli import main
from saliency_pred.data.errors import BrokenFileError
from saliency_pred.data.osie import OSIE
from saliency_pred.density import fixation_density
from saliency_pred.evaluation.maps import MapFiles
from saliency_pred.evaluation.other_images import OtherFixations
from saliency_pred.fixations import Fixations
from saliency_pred.metrics import functional as F
from saliency_pred.metrics.accumulate import ScoreTable

IDS = osie.NAMES
SIZE = osie.SIZE


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return osie.write(tmp_path_factory.mktemp("osie"))


@pytest.fixture(scope="module")
def dataset(root: Path) -> OSIE:
    return OSIE(root, "all")


@pytest.fixture(scope="module")
def predicted() -> dict[str, np.ndarray]:
    """A density for each image: bumps on a small pedestal."""
    maps = {}
    for seed, name in enumerate(IDS):
        rng = np.random.default_rng(seed + 50)
        spots = Fixations.of(rng.uniform(100, 700, 6), rng.uniform(100, 500, 6), SIZE)
        density = fixation_density(spots, 60.0, "reflect", dtype=torch.float64)[0, 0].numpy() + 2e-7
        maps[name] = density / density.sum()
    return maps


def folder(path: Path, maps: dict[str, np.ndarray], write: Callable[[Path, np.ndarray], object] = np.save) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, values in maps.items():
        write(path / f"{name}.npy", values)
    return path


def score(*arguments: object, root: Path, part: str = "all") -> int:
    return main(["score", *map(str, arguments), "data=osie", f"data.root={root}", "data.split=all", f"part={part}"])


def results(out: Path) -> tuple[dict, dict[str, dict[str, float]]]:
    rows = csv.DictReader((out / "per_image.csv").open())
    return json.loads((out / "scores.json").read_text()), {r["image_id"]: r for r in rows}


def test_scores_are_those_of_the_functions(
    root: Path, dataset: OSIE, predicted: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, out = folder(tmp_path / "maps", predicted), tmp_path / "out"
    assert score(maps, "maps=density", f"out={out}", "ig_baseline=uniform", root=root) == 0
    scores, rows = results(out)
    assert list(rows) == IDS
    nss = []
    for i, name in enumerate(IDS):
        fixations = dataset.clean_fixations(i)
        map_ = torch.from_numpy(predicted[name])[None]
        density = fixation_density(fixations, 24.0, dtype=torch.float64)[0]
        others = [dataset.clean_fixations(j) for j in range(4) if j != i]
        negatives = Fixations.of(torch.cat([f.x for f in others]), torch.cat([f.y for f in others]), SIZE)
        expected = {
            "auc": F.auc(map_, fixations),
            "sauc": F.sauc(map_, fixations, negatives),
            "nss": F.nss(map_, fixations),
            "ig": F.log_likelihood(map_.log(), fixations),
            "log_likelihood": F.log_likelihood(map_.log(), fixations),
            "cc": F.cc(map_, density),
            "kld": F.kld(map_, density),
            "sim": F.sim(map_, density),
        }
        nss.append(float(expected["nss"]))
        assert {m: float(rows[name][m]) for m in expected} == pytest.approx({m: float(v) for m, v in expected.items()})
        assert int(rows[name]["fixations"]) == len(fixations)
    assert scores["scores"]["nss"]["mean"] == pytest.approx(np.mean(nss))
    assert scores["images"] == 4
    assert scores["options"]["name"] == "default"
    assert scores["options"]["eps"] == 2.2204e-16
    assert scores["options"]["ig_baseline"] == "uniform density"
    assert scores["warnings"] == scores["missing"] == scores["surplus"] == []
    assert scores["failed"] == scores["unavailable"] == {}
    printed = capsys.readouterr()
    assert f"{np.mean(nss):.4f}" in printed.out
    assert "warning" not in printed.err


def stored(kind: str, path: Path, maps: dict[str, np.ndarray]) -> Path:
    """The same densities, as far as the format holds them."""
    if kind == "zip":
        with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
            for file in folder(path, maps).iterdir():
                archive.write(file, f"results/{file.name}")
            archive.writestr("__MACOSX/results/._1001.npy", b"junk")
            archive.writestr("results/readme.txt", b"text")
        return path.with_suffix(".zip")
    if kind == "h5":
        with h5py.File(path.with_suffix(".h5"), "w") as file:
            for name, values in maps.items():
                file[f"maps/{name}"] = values
            file["version"] = 3
        return path.with_suffix(".h5")
    path.mkdir()
    for name, values in maps.items():
        scaled = values / values.max()
        if kind == "png16":
            cv2.imwrite(str(path / f"{name}.png"), (scaled * 65535).round().astype(np.uint16))
        elif kind == "png8":
            cv2.imwrite(str(path / f"{name}.png"), (scaled * 255).round().astype(np.uint8))
        elif kind == "colour":
            cv2.imwrite(str(path / f"{name}.png"), np.repeat((scaled * 255).round().astype(np.uint8)[..., None], 4, 2))
        elif kind == "jpeg":
            cv2.imwrite(str(path / f"{name}.JPG"), (scaled * 255).round().astype(np.uint8))
        elif kind == "tiff":
            Image.fromarray(values.astype(np.float32)).save(path / f"{name}.tiff")
        elif kind == "float32":
            np.save(path / f"{name}.npy", values.astype(np.float32)[None])
        elif kind == "nested":
            (path / "val" / name).mkdir(parents=True)
            np.save(path / "val" / name / f"{name}.npy", values)
    return path


@pytest.mark.parametrize(
    ("kind", "accuracy", "bits"),
    [
        ("zip", 1e-12, 64),
        ("h5", 1e-12, 64),
        ("nested", 1e-12, 64),
        ("float32", 1e-6, 32),
        ("tiff", 1e-6, 32),
        ("png16", 1e-5, 16),
        ("png8", 2.1e-3, 8),
        ("colour", 2.1e-3, 8),
        ("jpeg", 3e-2, 8),
    ],
)
def test_forms_of_maps(kind: str, accuracy: float, bits: int, predicted: dict[str, np.ndarray], tmp_path: Path) -> None:
    maps = MapFiles.open(stored(kind, tmp_path / "maps", predicted))
    found, missing, surplus = maps.match(IDS)
    assert (list(found), missing, surplus) == (IDS, [], [])
    for name, key in found.items():
        read = maps.read(key)
        assert read.bits == bits
        assert read.lossy == (kind == "jpeg")
        values = read.values.numpy()
        np.testing.assert_allclose(values / values.max(), predicted[name] / predicted[name].max(), atol=accuracy)


def test_coarse_and_lossy_maps_are_warned_of(
    root: Path, predicted: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, out = stored("jpeg", tmp_path / "maps", predicted), tmp_path / "out"
    assert score(maps, f"out={out}", root=root) == 0
    told = capsys.readouterr().err
    assert "4 maps are stored in 8 bits (1001, 1002, 1003, 1004)" in told
    assert "4 maps are JPEG" in told
    assert "ig is left out: no log density" in told
    scores, _ = results(out)
    assert scores["unavailable"] == {"ig": "log density", "log_likelihood": "log density"}
    assert len(scores["warnings"]) == 2
    assert score(stored("png16", tmp_path / "fine", predicted), f"out={out}", root=root) == 0
    assert "warning" not in capsys.readouterr().err


def test_missing_and_surplus_maps_are_named(
    root: Path, predicted: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = {name: predicted[name] for name in IDS[1:]} | {"1279": predicted["1001"]}
    out = tmp_path / "out"
    assert score(folder(tmp_path / "maps", some), f"out={out}", root=root) == 2  # the others are scored
    told = capsys.readouterr().err
    assert "error: maps: 1 of 4 images have no map and are left out: 1001" in told
    assert "1 maps belong to no image of part all: 1279" in told
    scores, rows = results(out)
    assert (scores["missing"], scores["surplus"], scores["images"]) == (["1001"], ["1279"], 3)
    assert list(rows) == IDS[1:]


def test_other_sizes_are_resized_by_a_named_rule_or_refused(
    root: Path, predicted: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {name: cv2.resize(values, (400, 300), interpolation=cv2.INTER_AREA) for name, values in predicted.items()}
    maps, out = folder(tmp_path / "maps", small), tmp_path / "out"
    assert score(maps, f"out={out}", root=root) == 0
    assert "4 maps were resized (bilinear): 1001 (300, 400) for (600, 800)" in capsys.readouterr().err
    assert score(maps, f"out={out}", "preset=mit", "preset.metrics=[nss]", root=root) == 0
    assert "resized (bicubic_antialias)" in capsys.readouterr().err
    assert score(maps, f"out={out}", "preset=tuebingen", root=root) == 2
    told = capsys.readouterr().err
    assert "1001: the map is (300, 400), the image (600, 800); preset tuebingen resizes none" in told


def test_maps_that_fail_are_told_and_the_others_scored(
    root: Path, predicted: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, out = folder(tmp_path / "maps", predicted), tmp_path / "out"
    (maps / "1002.npy").write_bytes((maps / "1002.npy").read_bytes()[:5000])
    broken = predicted["1003"].copy()
    broken[5, 7:9] = math.nan
    np.save(maps / "1003.npy", broken)
    assert score(maps, f"out={out}", root=root) == 2
    told = capsys.readouterr().err
    assert "error: 1003: the map has 2 pixels that are NaN or infinite" in told
    assert "1002.npy: no NumPy array" in told
    scores, rows = results(out)
    assert set(scores["failed"]) == {"1002", "1003"}
    assert list(rows) == ["1001", "1004"]


def test_log_densities(
    root: Path, predicted: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = folder(tmp_path / "logs", {name: np.log(values) for name, values in predicted.items()})
    assert score(logs, f"out={tmp_path / 'a'}", "maps=log_density", root=root) == 0
    assert score(folder(tmp_path / "maps", predicted), f"out={tmp_path / 'b'}", "maps=density", root=root) == 0
    a, b = (results(tmp_path / name)[0] for name in ("a", "b"))
    assert a["options"]["ig_baseline"] == "centre bias of the training images"
    for metric, value in b["scores"].items():
        # The logarithm and its exponential tie some neighbouring values
        assert a["scores"][metric]["mean"] == pytest.approx(value["mean"], abs=1e-6), metric
    capsys.readouterr()
    assert score(logs, f"out={tmp_path / 'c'}", root=root) == 0
    assert "4 maps look like log densities but are scored as maps" in capsys.readouterr().err
    assert (
        score(
            folder(tmp_path / "wrong", {n: 2 * np.log(v) for n, v in predicted.items()}),
            f"out={tmp_path / 'd'}",
            "maps=log_density",
            root=root,
        )
        == 2
    )
    assert "1001: no log density, the logarithm of its sum is" in capsys.readouterr().err


def test_comparison(
    root: Path, predicted: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = folder(tmp_path / "mine", predicted)
    flat = folder(tmp_path / "flat", {n: np.full(SIZE, 0.5) for n in IDS[:3]})
    out = tmp_path / "out"
    assert score(mine, flat, f"out={out}", root=root) == 2  # flat lacks an image
    _, rows = results(out / "mine")
    b, _ = results(out / "flat")
    assert b["scores"]["auc"]["mean"] == 0.5
    assert b["scores"]["nss"]["mean"] == 0
    found = json.loads((out / "comparison.json").read_text())
    assert (found["first"], found["second"]) == ("mine", "flat")
    nss = found["difference"]["nss"]
    assert nss["images"] == 3
    assert nss["difference"] == pytest.approx(np.mean([float(rows[n]["nss"]) for n in IDS[:3]]))
    assert 0.25 <= nss["p"] <= 1  # three images: no p below 2 / 8
    assert "difference" in capsys.readouterr().out


def test_mean_over_fixations(root: Path, predicted: dict[str, np.ndarray], tmp_path: Path) -> None:
    maps = folder(tmp_path / "maps", predicted)
    for mean in ("image", "fixation"):
        assert score(maps, f"out={tmp_path / mean}", f"preset.aggregation={mean}", root=root) == 0
    (plain, rows), (weighted, _) = results(tmp_path / "image"), results(tmp_path / "fixation")
    counts = [int(r["fixations"]) for r in rows.values()]
    nss = [float(r["nss"]) for r in rows.values()]
    assert len(set(counts)) > 1
    assert weighted["scores"]["nss"]["mean"] == pytest.approx(np.average(nss, weights=counts))
    assert weighted["scores"]["nss"]["mean"] != pytest.approx(plain["scores"]["nss"]["mean"], abs=1e-12)
    assert weighted["scores"]["cc"] == plain["scores"]["cc"]


def test_mean_over_frames_then_videos() -> None:
    """A long video counts no more than a short one; frames that cannot be scored are left out."""
    values = {"a/1": 1.0, "a/2": 2.0, "a/3": math.nan, "a/4": 3.0, "b/1": 10.0}
    rows = [{"image_id": k, "dataset": "x", "fixations": 5, "nss": v} for k, v in values.items()]
    assert ScoreTable(rows).summary("video")["nss"]["mean"] == 6
    assert ScoreTable(rows).summary("image")["nss"]["mean"] == 4


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ([], "give one set of maps"),
        (["a", "b", "c"], "give one set of maps"),
        (["{tmp}/nowhere"], "does not exist"),
        (["{tmp}/empty"], "no maps"),
        (["{tmp}/other"], "none of 1 maps (first: 77) is named like an image of osie"),
        (["{tmp}/text.txt"], "is no folder, .zip"),
        (["{tmp}/good", "maps=probability"], "maps=probability is none of"),
        (["{tmp}/good", "preset=tubingen"], "preset=tubingen does not exist; did you mean tuebingen"),
        (["{tmp}/good", "preset.metrics=[acu]"], "acu"),
        (["{tmp}/good", "ig_baseline=mine", "maps=density"], "ig_baseline='mine'"),
        (["{tmp}/twice"], "two maps for 1001"),
        (["{tmp}/several"], "several maps for 1001"),
    ],
)
def test_bad_input(
    arguments: list[str], match: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = np.ones((4, 4))
    folder(tmp_path / "good", {"1001": one})
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no map")
    folder(tmp_path / "other", {"77": one})
    cv2.imwrite(str(folder(tmp_path / "twice", {"1001": one}) / "1001.png"), one)
    folder(tmp_path / "several" / "a", {"1001": one})
    folder(tmp_path / "several" / "b", {"1001": one})
    filled = [a.format(tmp=tmp_path) for a in arguments]
    assert score(*filled, f"out={tmp_path / 'out'}", root=root) == 2
    told = capsys.readouterr().err
    assert match in told
    assert not (tmp_path / "out").exists()


def test_data_must_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(tmp_path)]) == 2
    assert "data=NAME" in capsys.readouterr().err
    assert main(["score", str(tmp_path), "data=osie", f"data.root={tmp_path}/none"]) == 2


def test_files_that_are_no_maps(tmp_path: Path) -> None:
    picture = np.zeros((4, 5, 3), np.uint8)
    picture[..., 0] = 200
    cv2.imwrite(str(tmp_path / "colour.png"), picture)
    np.save(tmp_path / "tesseract.npy", np.zeros((2, 3, 4, 5)))
    np.save(tmp_path / "words.npy", np.array([["a"]]))
    np.save(tmp_path / "objects.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    (tmp_path / "empty.png").write_bytes(b"")
    _, png = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    (tmp_path / "cut.png").write_bytes(png.tobytes()[:1000])
    maps = MapFiles.open(tmp_path)
    for key, error, match in (
        ("colour", ValueError, "in colour"),
        ("tesseract", ValueError, r"\(height, width\) or \(time windows, height, width\), got \(2, 3, 4, 5\)"),
        ("words", ValueError, "are no numbers"),
        ("objects", BrokenFileError, "no NumPy array"),
        ("empty", BrokenFileError, "0 bytes"),
        ("cut", BrokenFileError, "no picture"),
    ):
        with pytest.raises(error, match=match):
            maps.read(key)


def test_match_by_the_shortest_unique_path() -> None:
    """Categories with the same file names, as in CAT2000."""
    maps = MapFiles(Path("x"), {k: k for k in ("Action/001", "Art/001", "Art/002")}, "x")
    assert maps.match(["Action/001", "Art/001"])[0] == {"Action/001": "Action/001", "Art/001": "Art/001"}
    assert maps.match(["002"])[0] == {"002": "Art/002"}
    assert maps.match(["Stimuli/Art/002"])[0] == {"Stimuli/Art/002": "Art/002"}
    with pytest.raises(ValueError, match="several maps for 001"):
        maps.match(["001"])
    flat = MapFiles(Path("x"), {"001": "001.png"}, "x")
    with pytest.raises(ValueError, match=r"001\.png could be the map of Action/001 or of Art/001"):
        flat.match(["Action/001", "Art/001"])


def test_other_fixations() -> None:
    """Rescaled by relative position; never the image's own; a draw depends on seed and image alone."""
    packs = {
        "a": Fixations.of([10.0], [10.0], (100, 200)),
        "b": None,
        "c": Fixations.of([50.0, 99.999999], [25.0, 49.999999], (50, 100)),
        "d": Fixations.of([1.0], [1.0], (10, 10)),
    }
    found = OtherFixations(packs).of("a", (40, 80))
    assert found.x.tolist() == pytest.approx([40, 80, 8], abs=1e-4)
    assert found.y.tolist() == pytest.approx([20, 40, 4], abs=1e-4)
    assert bool(found.inside.all())
    assert len(OtherFixations(packs).of("c", (40, 80))) == 2
    drawn = OtherFixations(packs, number=1, seed=4)
    assert drawn.of("a", (40, 80)).x.tolist() == drawn.of("a", (40, 80)).x.tolist()
    assert len({tuple(OtherFixations(packs, 1, s).of("b", (40, 80)).x.tolist()) for s in range(30)}) == 3
    assert "1 others drawn with seed 4" in drawn.named


def test_other_fixations_are_of_the_same_window() -> None:
    windows = torch.tensor([[0.0, 1.0], [1.0, 2.0]])
    packs = {
        name: Fixations.of([x, x + 1], [5.0, 5.0], (10, 20), time=[0.5, 1.5]).assign_windows(windows)
        for name, x in (("a", 2.0), ("b", 8.0))
    }
    found = [OtherFixations(packs).of("a", (10, 20), t).x.tolist() for t in (0, 1)]
    assert found == [[8.0], [9.0]]


def test_real_maps(shared_data: Path, tmp_path: Path) -> None:
    """OSIE's own centre bias, scored on real fixations: chance for shuffled AUC, well above it for plain AUC."""
    real = shared_data / "OSIE"
    dataset = OSIE(real, "all")
    y, x = np.mgrid[:600, :800]
    centre = np.exp(-((y - 300) ** 2 / (2 * 130**2) + (x - 400) ** 2 / (2 * 180**2)))
    maps = folder(tmp_path / "maps", dict.fromkeys(dataset.image_ids[:12], centre.astype(np.float32)))
    assert score(maps, f"out={tmp_path / 'out'}", "maps=density", root=real) == 2  # 168 have no map
    scores = results(tmp_path / "out")[0]["scores"]
    assert scores["sauc"]["mean"] == pytest.approx(0.5, abs=0.05)
    assert scores["auc"]["mean"] > 0.68
    assert abs(scores["ig"]["mean"]) < 0.3  # against the centre bias: next to nothing
    assert scores["log_likelihood"]["mean"] > 0.3
