"""Every loader reads its fixture: the same pictures, fixations, viewers and times that were written."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from fixtures import (
    bubbleview,
    cat2000,
    coco_gaze,
    dut_omron,
    eyecrowd,
    figrim,
    fiwi,
    folder,
    mit300,
    mit1003,
    osie,
    pascal_s,
    saleci,
    salicon,
    sun500,
    toronto,
    ueyes,
)
from fixtures.once import once
from fixtures.pictures import Looks
from PIL import Image

from saliency_pred.data.bubbleview import FIWIBubbleView, SALICONBubbleView
from saliency_pred.data.cat2000 import CAT2000
from saliency_pred.data.coco_gaze import COCOFreeView, COCOSearch18
from saliency_pred.data.dataset import DOMAINS, SaliencyDataset
from saliency_pred.data.dut_omron import DUTOMRON
from saliency_pred.data.figrim import FIGRIM
from saliency_pred.data.fiwi import FIWI
from saliency_pred.data.folder import Folder
from saliency_pred.data.mit1003 import MIT300, MIT1003
from saliency_pred.data.osie import OSIE, EyeCrowd, OSIEMouse
from saliency_pred.data.pascal_s import PASCALS
from saliency_pred.data.saleci import SalECI
from saliency_pred.data.salicon import SALICON
from saliency_pred.data.sun500 import SUN500
from saliency_pred.data.toronto import Toronto
from saliency_pred.data.ueyes import UEyes


class Case(NamedTuple):
    """A fixture, how it is opened, what it must give, and which columns beyond x and y are stored."""

    write: Callable[[Path], Path]
    open: Callable[[Path], SaliencyDataset]
    truth: Callable[[], dict[str, Looks]]
    stored: tuple[str, ...]


def _folder(form: str, coordinates: str = "edge", shift: float = 0.0) -> Case:
    return Case(
        lambda root: folder.write(root, form, shift),
        lambda root: Folder(root, split="all", coordinates=coordinates),  # type: ignore[arg-type]
        folder.truth,
        ("time", "duration", "viewer"),
    )


def _mouse(kind: str) -> dict[str, Looks]:
    """Rows and columns from 1 → ours, by hand."""
    return {n: [np.stack([c[:, 1] - 0.5, c[:, 0] - 0.5], axis=1)] for n, c in osie.mouse(kind).items()}


CASES = {
    "osie": Case(once(osie.write), lambda r: OSIE(r, "all"), osie.truth, ("duration", "viewer")),
    "osie-inner": Case(lambda r: osie.write(r) / "data", lambda r: OSIE(r, "all"), osie.truth, ("duration", "viewer")),
    "osie-lab": Case(once(osie.write), lambda r: OSIEMouse(r, "all"), lambda: _mouse("lab"), ()),
    "osie-amt": Case(once(osie.write), lambda r: OSIEMouse(r, "all", mouse="amt"), lambda: _mouse("amt"), ()),
    "eyecrowd": Case(once(eyecrowd.write), lambda r: EyeCrowd(r, "all"), eyecrowd.truth, ("duration", "viewer")),
    "mit1003-nusvip": Case(
        once(mit1003.write_nusvip), lambda r: MIT1003(r, "all"), mit1003.nusvip_truth, ("duration", "viewer")
    ),
    "salicon": Case(once(salicon.write), SALICON, salicon.truth, ("time", "viewer")),
    "salicon-2015": Case(once(salicon.write), lambda r: SALICON(r, "2015"), salicon.truth, ("time", "viewer")),
    "salicon-binary": Case(once(salicon.write_binary), SALICON, salicon.truth, ()),
    "salicon-json": Case(once(salicon.write_json), lambda r: SALICON(r, "2015"), salicon.truth, ()),
    "cat2000": Case(once(cat2000.write), lambda r: CAT2000(r, "all"), cat2000.truth, ()),
    "sun500": Case(once(sun500.write), lambda r: SUN500(r, "all"), sun500.truth, ("time", "duration", "viewer")),
    "toronto": Case(once(toronto.write), lambda r: Toronto(r, "all"), toronto.truth, ()),
    "fiwi_bubbleview": Case(
        once(bubbleview.write), lambda r: FIWIBubbleView(r, "all"), bubbleview.truth, ("time", "viewer")
    ),
    "salicon_bubbleview": Case(
        once(bubbleview.write), lambda r: SALICONBubbleView(r, "all"), bubbleview.mouse, ("viewer",)
    ),
    "figrim": Case(once(figrim.write), lambda r: FIGRIM(r, "all"), figrim.truth, ("viewer",)),
    "figrim-rec": Case(
        once(figrim.write),
        lambda r: FIGRIM(r, "all", showings=["rec"]),
        lambda: figrim.truth("rec"),
        ("viewer",),
    ),
    "saleci": Case(once(saleci.write), lambda r: SalECI(r, "all"), saleci.truth, ()),
    "coco_freeview": Case(
        once(coco_gaze.write),
        COCOFreeView,
        lambda: {n: coco_gaze.truth("free")[n] for n in coco_gaze.NAMES[:3]},
        ("duration", "viewer"),
    ),
    "coco_search18": Case(
        once(coco_gaze.write),
        lambda r: COCOSearch18(r, "all", condition="present"),
        lambda: {n: coco_gaze.truth("bottle")[n] for n in coco_gaze.NAMES[:2]},
        ("duration", "viewer"),
    ),
    "pascal_s": Case(once(pascal_s.write), lambda r: PASCALS(r, "all"), pascal_s.truth, ("viewer",)),
    "dut_omron": Case(once(dut_omron.write), lambda r: DUTOMRON(r, "all"), dut_omron.truth, ("viewer",)),
    "folder-csv": _folder("csv"),
    "folder-json": _folder("json"),
    "folder-npz": _folder("npz"),
    "folder-from-0": _folder("csv", "zero", -0.5),
    "folder-from-1": _folder("json", "one", 0.5),
}


def rows(viewers: Looks, stored: tuple[str, ...]) -> np.ndarray:
    """Truth as sorted rows of x, y and the stored columns."""
    joined = []
    for k, v in enumerate(viewers):
        columns = [v[:, 0], v[:, 1]]
        columns += [np.full(len(v), k) if c == "viewer" else v[:, {"time": 2, "duration": 3}[c]] for c in stored]
        joined.append(np.stack(columns, axis=1))
    return _sorted(np.concatenate(joined))


def _sorted(array: np.ndarray) -> np.ndarray:
    return array[np.lexsort(array.round(6).T[::-1])]


@pytest.mark.parametrize("name", CASES)
def test_fixations_are_those_that_were_written(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    dataset = case.open(case.write(tmp_path / "set"))
    truth = case.truth()
    with_fixations = [i for i in range(len(dataset)) if dataset.fixations(i) is not None]
    assert sorted(dataset.image_ids[i] for i in with_fixations) == sorted(truth)
    numbers: dict[int, int] = {}
    for i in with_fixations:
        found = dataset.fixations(i)
        assert found is not None
        columns = {c: getattr(found, c).numpy().astype(float) for c in case.stored}
        if name == "coco_freeview" or name == "coco_search18":
            columns["viewer"] = columns["viewer"] - 1  # subjects count from 1
        got = _sorted(np.stack([found.x.numpy(), found.y.numpy(), *columns.values()], axis=1))
        want = rows(truth[dataset.image_ids[i]], case.stored)
        # Durations and times are stored as milliseconds (rounded in the fixtures), positions as doubles.
        np.testing.assert_allclose(got, want, atol=5.1e-4 if case.stored else 1e-9, rtol=0)
        np.testing.assert_allclose(got[:, :2], want[:, :2], atol=1e-9, rtol=0)
        if "time" not in case.stored:
            assert torch.isnan(found.time).all()
        if "duration" not in case.stored:
            assert torch.isnan(found.duration).all()
        numbers[i] = len(found)
    assert all(numbers.values())


@pytest.mark.parametrize("name", CASES)
def test_contract(name: str, tmp_path: Path) -> None:
    """Sizes without decoding, decoded pictures, ids, pickling, no open files."""
    case = CASES[name]
    dataset = case.open(case.write(tmp_path / "set"))
    assert len(set(dataset.image_ids)) == len(dataset) > 0
    assert dataset.domain in DOMAINS
    for i in range(len(dataset)):
        picture = dataset.image(i)
        assert picture.dtype == np.uint8
        assert picture.shape == (*dataset.size(i), 3)
        fixations = dataset.clean_fixations(i)
        assert fixations is None or bool(fixations.inside.all())
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.image_ids == dataset.image_ids
    assert copy.parts() == dataset.parts()
    again = case.open(dataset.root)
    assert again.image_ids == dataset.image_ids
    for a, b in ((dataset.fixations(0), copy.fixations(0)),):
        assert a is not None
        assert b is not None
        assert torch.equal(a.x, b.x)
    open_files = {p.resolve() for p in Path("/proc/self/fd").iterdir()} if Path("/proc/self/fd").exists() else set()
    assert not any(tmp_path in p.parents for p in open_files)


def test_mit1003_fixations_from_raw_samples(tmp_path: Path) -> None:
    """Rests and flights are found again, the first rest left out, times from the sample numbers."""
    dataset = MIT1003(mit1003.write(tmp_path), "all", maps=True)
    assert set(dataset.image_ids) == set(mit1003.names())
    assert dataset.viewers == mit1003.VIEWERS
    for i, name in enumerate(dataset.image_ids):
        found = dataset.fixations(i)
        for viewer, want in enumerate(mit1003.truth()[name]):
            mine = found.of_viewer(viewer)
            assert len(mine) == len(want) == 3
            # The median of a rest is the rest; a few samples of the flights at its ends do not move it.
            np.testing.assert_allclose(mine.x.numpy(), want[:, 0], atol=0.01)
            np.testing.assert_allclose(mine.y.numpy(), want[:, 1], atol=0.01)
            # Detected starts lie within a few samples of the drawn ones (smoothing alone takes 4).
            np.testing.assert_allclose(mine.time.numpy(), want[:, 2], atol=12 / 240)
        density = dataset.density(i)
        assert density is not None
        assert density.shape == (1, *dataset.size(i))
        assert float(density.sum()) == pytest.approx(1, abs=1e-4)
    with_first = MIT1003(tmp_path, "all", drop_first=False).fixations(0)
    assert len(with_first) == len(dataset.fixations(0)) + len(mit1003.VIEWERS)


def test_mit300_has_pictures_alone(tmp_path: Path) -> None:
    dataset = MIT300(mit300.write(tmp_path))
    assert dataset.image_ids == sorted(mit300.SIZES)
    assert dataset.fixations(0) is None
    assert dataset.parts() == {"test": [0, 1, 2]}


def test_salicon_parts_maps_and_slices(tmp_path: Path) -> None:
    salicon.write(tmp_path)
    dataset = SALICON(tmp_path)
    parts = {part: [dataset.image_ids[i] for i in indices] for part, indices in dataset.parts().items()}
    assert parts == {part: salicon.names(part) for part in ("train", "val", "test")}
    assert all(dataset.fixations(i) is None for i in dataset.parts()["test"])
    official = SALICON(tmp_path, maps="official")
    assert list(official.parts()) == ["train", "val"]
    for i in range(len(official)):
        with Image.open(tmp_path / "maps" / official.official_part(i) / f"{official.image_ids[i]}.png") as stored:
            levels = np.asarray(stored, dtype=float)
        density = official.density(i)
        assert density is not None
        np.testing.assert_allclose(density[0].numpy(), levels / levels.sum(), rtol=1e-5)
        assert torch.equal(official.fixations(i).x, dataset.fixations(dataset.image_ids.index(official.image_ids[i])).x)
    slices = SALICON(tmp_path, maps="slices")
    assert slices.image_ids == salicon.names("val")
    assert slices.density(0).shape == (5, 480, 640)
    assert slices.fixations(0) is not None
    assert len(slices.issues["image without map"]) == 2
    samples = SALICON(tmp_path, points="samples")
    assert len(samples.fixations(0)) == 2 * len(dataset.fixations(0))
    assert samples.fixations(0).time[1] == pytest.approx(samples.fixations(0).time[0] + 0.04)


def test_salicon_slices_are_rebuilt_from_the_samples(tmp_path: Path) -> None:
    """TempSAL's rule: matched times, slice = min(int(t * 5 / 5000), 4); the fixture's matches are known."""
    from saliency_pred.data.windows import equal_time_windows

    dataset = SALICON(salicon.write(tmp_path))
    for i, name in enumerate(dataset.image_ids):
        found = dataset.fixations(i)
        if found is None:
            continue
        slices = found.assign_windows(equal_time_windows(5.0, 5))
        truth = np.concatenate(salicon.truth()[name])
        want = {(x, y): min(int(1000 * t * 5 / 5000), 4) for x, y, t, _ in truth}
        got = dict(zip(zip(slices.x.tolist(), slices.y.tolist(), strict=True), slices.window.tolist(), strict=True))
        assert got == want


def test_cat2000_test_set_exif_categories_and_grey_margins(tmp_path: Path) -> None:
    cat2000.write(tmp_path)
    dataset = CAT2000(tmp_path)
    assert [dataset.category(i) for i in range(len(dataset))] == ["Action", "Action", "Pattern"]
    assert not any("output" in name.lower() for name in dataset.image_ids)
    with_maps = CAT2000(tmp_path, "all", maps=True)
    assert with_maps.image_ids == ["Action/001"]
    assert with_maps.density(0).shape == (1, 1080, 1920)

    test = CAT2000(tmp_path, "official", part="test")
    assert test.image_ids == [cat2000.TEST]
    assert test.fixations(0) is None
    assert test.size(0) == (1080, 1920)  # not turned, although the EXIF tag says so
    assert test.image(0).shape == (1080, 1920, 3)

    cropped = CAT2000(tmp_path, "all", padding="crop")
    at = cropped.image_ids.index("Pattern/001")
    picture, fixations = cropped.image(at), cropped.fixations(at)
    inner = 1920 - 2 * cat2000.MARGIN
    assert picture.shape == (1080, inner, 3)
    assert cropped.size(at) == (1080, inner)
    whole = dataset.fixations(dataset.image_ids.index("Pattern/001"))
    np.testing.assert_allclose(fixations.x.numpy(), whole.x.numpy() - cat2000.MARGIN)
    on_margin = (whole.x < cat2000.MARGIN) | (whole.x >= 1920 - cat2000.MARGIN)
    assert int(on_margin.sum()) >= 2
    assert len(cropped.clean_fixations(at)) == len(whole) - int(on_margin.sum())
    assert cropped.image(0).shape == (1080, 1920, 3)  # no margins, nothing cut


def test_fiwi_ships_maps_only(tmp_path: Path) -> None:
    dataset = FIWI(fiwi.write(tmp_path), "all")
    assert set(dataset.image_ids) == set(fiwi.SIZES)
    for i in range(3):
        assert dataset.fixations(i) is None
        density = dataset.density(i)
        assert density is not None
        assert density.shape == (1, *fiwi.SIZES[dataset.image_ids[i]])
        assert float(density.sum()) == pytest.approx(1, abs=1e-4)


def test_ueyes_logs_become_pixels(tmp_path: Path) -> None:
    dataset = UEyes(ueyes.write(tmp_path))
    assert {f"{n}{dataset.paths[i].suffix}" for i, n in enumerate(dataset.image_ids)} == set(ueyes.SIZES)
    test = dataset.image_ids.index("9efc81")
    assert dataset.parts()["test"] == [test]
    assert dataset.category(test) == "web"
    for i, path in enumerate(dataset.paths):
        found = dataset.fixations(i)
        for k, viewer in enumerate(ueyes.VIEWERS):
            mine, want = found.of_viewer(viewer), ueyes.truth()[path.name][k]
            # The log writes nine digits of a share of the screen.
            np.testing.assert_allclose(mine.x.numpy(), want[:, 0], atol=1e-5)
            np.testing.assert_allclose(mine.y.numpy(), want[:, 1], atol=1e-5)
            np.testing.assert_allclose(mine.time.numpy(), want[:, 2], atol=1e-5)
            np.testing.assert_allclose(mine.duration.numpy(), want[:, 3], atol=1e-5)
    best = UEyes(tmp_path, gaze="BPOG")
    for i, path in enumerate(best.paths):
        for k, viewer in enumerate(ueyes.VIEWERS):
            mine, want = best.fixations(i).of_viewer(viewer), ueyes.best_truth(path.name, k)
            np.testing.assert_allclose(mine.x.numpy(), want[:, 0], atol=1e-5)
            np.testing.assert_allclose(mine.time.numpy(), want[:, 2], atol=1e-5)


@pytest.mark.parametrize("seconds", [1, 3, 7])
def test_ueyes_durations(tmp_path: Path, seconds: int) -> None:
    dataset = UEyes(ueyes.write(tmp_path), "all", seconds=seconds)
    for i, name in enumerate(dataset.paths):
        want = np.concatenate(ueyes.truth()[name.name])
        assert len(dataset.fixations(i)) == int((want[:, 2] <= seconds).sum())
    if seconds == 3:
        with_maps = UEyes(tmp_path, "all", seconds=3, maps=True)
        assert len(with_maps) == 3
        assert with_maps.density(0).shape == (1, *with_maps.size(0))


def test_coco_search_conditions_and_parts(tmp_path: Path) -> None:
    coco_gaze.write(tmp_path)
    assert len(COCOSearch18(tmp_path)) == 4
    absent = COCOSearch18(tmp_path, condition="absent")
    assert absent.image_ids == coco_gaze.NAMES[2:]
    assert {p: [absent.image_ids[i] for i in v] for p, v in absent.parts().items()} == {
        "train": [coco_gaze.NAMES[3]],
        "val": [coco_gaze.NAMES[2]],
    }


@pytest.mark.parametrize("kind", ["osie", "coco_freeview"])
def test_onsets_from_durations_and_a_gap(kind: str, tmp_path: Path) -> None:
    """Onset of a viewer's k-th fixation = durations before it + k gaps, by hand."""
    if kind == "osie":
        dataset: SaliencyDataset = OSIE(osie.write(tmp_path), "all", saccade_gap=0.04)
        viewer, want = 1, osie.truth()["1002"][1][:, 3].round(3)
        found = dataset.fixations(dataset.image_ids.index("1002")).of_viewer(viewer)  # type: ignore[union-attr]
    else:
        dataset = COCOFreeView(coco_gaze.write(tmp_path), saccade_gap=0.04)
        want = coco_gaze.truth()[coco_gaze.NAMES[1]][0][:, 3].round(3)
        found = dataset.fixations(1).of_viewer(1)  # type: ignore[union-attr]
    onset = 0.0
    for k, length in enumerate(want):
        assert float(found.time[k]) == pytest.approx(onset, abs=1e-9)
        onset += length + 0.04


def test_folder_with_maps_alone_and_relative_coordinates(tmp_path: Path) -> None:
    maps = Folder(folder.write(tmp_path / "maps", "maps"), "all", domain="web")
    assert maps.domain == "web"
    assert Folder.domain == "natural-eye"  # the class is untouched
    assert maps.fixations(0) is None
    assert float(maps.density(0).sum()) == pytest.approx(1, abs=1e-4)
    root = folder.write(tmp_path / "shares", "none")
    (root / "fixations.csv").write_text("image,x,y\na,0.25,0.5\nb.png,0.5,1.0\ndeep/c,0,0\n")
    shares = Folder(root, "all", outside="clip", coordinates="relative", pixel_per_dva=30)
    assert shares.blur_sigma == 30
    assert (float(shares.fixations(0).x), float(shares.fixations(0).y)) == (20, 30)
    assert float(shares.clean_fixations(1).y) == 79.5  # 1.0 is the lower edge, outside by a hair


def test_opening_ten_thousand_pictures_is_fast(tmp_path: Path) -> None:
    """SALICON's train part: names only, under 2 s (measured: about 0.3 s)."""
    import os
    import time

    root = salicon.write(tmp_path)
    image, mat = next((root / "images" / "train").iterdir()), next((root / "fixations" / "train").iterdir())
    for number in range(1000, 11000):
        os.link(image, root / "images" / "train" / f"COCO_train2014_{number:012d}.jpg")
        os.link(mat, root / "fixations" / "train" / f"COCO_train2014_{number:012d}.mat")
    started = time.process_time()  # whatever else the machine does
    dataset = SALICON(root)
    assert len(dataset.parts()["train"]) == 10002
    assert time.process_time() - started < 2
    assert len(pickle.dumps(dataset)) < 10e6


def test_parsed_json_is_kept_and_remade_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import saliency_pred.data.salicon as module

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = salicon.write_json(tmp_path / "set")
    first = SALICON(root, "2015")
    kept = list((tmp_path / "cache").rglob("*.npz"))
    assert len(kept) == 2
    monkeypatch.setattr(module.json, "loads", lambda *_: pytest.fail("parsed again"))
    second = SALICON(root, "2015")
    assert torch.equal(first.fixations(0).x, second.fixations(0).x)
    assert torch.equal(first.fixations(0).viewer, second.fixations(0).viewer)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kept[0].write_bytes(b"damaged")
    kept[1].write_bytes(b"")
    assert torch.equal(SALICON(root, "2015").fixations(0).x, first.fixations(0).x)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")  # cannot be written
    assert torch.equal(SALICON(root, "2015").fixations(0).x, first.fixations(0).x)


def test_many_small_files_are_kept_parsed_and_read_again_when_one_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import saliency_pred.data.folder as module

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = folder.write(tmp_path / "set", form="npz")
    first = Folder(root)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_check_keys", lambda *_: pytest.fail("read again"))
        second = Folder(root)
    for name in ("x", "y", "time", "duration", "viewer"):
        assert torch.equal(getattr(first.fixations(2), name), getattr(second.fixations(2), name))
    changed = root / "fixations" / "deep" / "c.npz"
    np.savez(changed, x=[3.25], y=[4.5])
    assert Folder(root).fixations(2).x.tolist() == [3.25]
