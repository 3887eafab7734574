"""``saliency data``: every sub-command on small data sets in their original layouts, and on real samples."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import torch
from fixtures import cat2000, fiwi, mit1003, osie, salicon, sun500
from fixtures import folder as own

from saliency_pred import cli
from saliency_pred.cli.compose import compose
from saliency_pred.data.cache import DiskCache
from saliency_pred.data.catalogue import CATALOGUE, WITHOUT_RELEASE, readable_size
from saliency_pred.data.convert import convert
from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.data.describe import describe
from saliency_pred.data.errors import BrokenFileError
from saliency_pred.data.fiwi import FIWI
from saliency_pred.data.folder import Folder
from saliency_pred.data.mit1003 import MIT1003
from saliency_pred.data.osie import OSIE
from saliency_pred.data.pysaliency import Pysaliency
from saliency_pred.data.sun500 import SUN500
from saliency_pred.data.synthetic import Synthetic
from saliency_pred.inference.contact_sheet import contact_sheet

CONFIGS = Path(cli.__file__).resolve().parents[2] / "configs"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Four pictures of OSIE in its layout."""
    return osie.write(tmp_path / "OSIE")


def run(*arguments: str) -> int:
    return cli.main(["data", *arguments])


# ---------------------------------------------------------------------------------------------- list, info


def test_every_set_is_in_the_catalogue_and_the_other_way_round() -> None:
    known = set(CATALOGUE) | set(WITHOUT_RELEASE)
    configs = {p.stem for p in (CONFIGS / "data").glob("*.yaml")}
    assert known == configs, f"only in the catalogue {known - configs}, only in configs/data {configs - known}"
    for name, about in CATALOGUE.items():
        assert Path(compose("data_verify", [f"data={name}"]).data.root).name == about.folder
        assert about.sources or about.steps


def test_list_fits_a_hundred_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 100
    assert all(f"\n{name} " in shown for name in CATALOGUE)


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_info_without_a_folder_says_how_to_get_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", name) == 0
    shown = capsys.readouterr().out
    about = CATALOGUE[name]
    assert about.page in shown
    assert all(line in shown for line in (*about.tree, *about.steps))
    assert (f"saliency data download {name} root=DIR" in shown) == bool(about.sources)


def test_info_measures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    root = mit1003.write(tmp_path / "MIT1003")
    assert run("info", "mit1003", str(root), "data.split=all") == 0
    shown = capsys.readouterr().out
    assert "gold standard" in shown
    assert "onsets" in shown
    assert "not stored" not in shown.split("onsets")[1].splitlines()[0]
    assert run("info", "osie", str(osie.write(tmp_path / "OSIE"))) == 0
    assert "not stored: no time windows" in capsys.readouterr().out


def test_description_is_of_the_fixations(small: Path) -> None:
    dataset = OSIE(small, split="all")
    truth = osie.truth()
    found = describe(dataset)
    # Counted from what the fixture wrote, not from what the loader read.
    per_viewer = [len(viewer) for viewers in truth.values() for viewer in viewers if len(viewer)]
    assert found.images == 4
    assert found.sizes == {(600, 800): 4}
    assert found.fixations + found.outside == sum(per_viewer)
    assert found.per_viewer is not None
    assert found.per_viewer.median == np.median(per_viewer)
    assert found.timed == 0
    assert found.scored == 2


def test_gold_standard_of_drawn_scenes_lies_between_centre_bias_and_truth() -> None:
    """The truth is known for generated scenes: nothing predicts viewers better on average."""
    dataset = Synthetic(count=24, size=(96, 128), viewers=16, split="all")
    found = describe(dataset)
    gold, centre = found.scores["gold standard"], found.scores["centre bias"]
    truth = []
    for i in range(1, 24, 2):
        log_density = dataset.true_log_density(i)[0]
        row, column = dataset.clean_fixations(i).pixels()  # type: ignore[union-attr]
        truth.append(float(log_density[row, column].mean() + np.log(96 * 128)) / np.log(2))
    assert centre["LL"] < gold["LL"] < np.mean(truth)
    assert gold["IG"] == pytest.approx(gold["LL"] - centre["LL"], abs=0.05)  # of the same images, viewer by viewer


# ---------------------------------------------------------------------------------------------- verify


def complete(monkeypatch: pytest.MonkeyPatch, name: str, **changes: object) -> None:
    """Make the catalogue expect what a fixture holds."""
    import dataclasses

    monkeypatch.setitem(CATALOGUE, name, dataclasses.replace(CATALOGUE[name], **changes))  # type: ignore[arg-type]


def test_verify_complete(small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    count = sum(len(viewer) for viewers in osie.truth().values() for viewer in viewers)
    complete(monkeypatch, "osie", images=4, fixations=count, sources=())
    assert run("verify", "osie", str(small)) == 0
    shown = capsys.readouterr()
    assert "complete" in shown.out
    assert shown.err == ""
    complete(monkeypatch, "osie", fixations=count + 1)
    assert run("verify", "osie", str(small)) == 2
    assert f"{count:,} fixations in place of {count + 1:,}" in capsys.readouterr().err


def test_verify_names_what_is_broken_and_missing(
    small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(monkeypatch, "osie", images=5, sources=())
    stimuli = small / "data" / "stimuli"
    (stimuli / "1002.jpg").write_bytes((stimuli / "1002.jpg").read_bytes()[:-2000])
    (stimuli / "1003.jpg").write_bytes(b"")
    assert run("verify", "osie", str(small)) == 2
    shown = capsys.readouterr()
    assert "1002.jpg is truncated" in shown.err
    assert "1003.jpg is empty" in shown.err
    assert "4 of 5 images" in shown.err
    assert "2 decoded" in shown.out


def test_verify_compares_contents(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The pictures of the fixture are not those of the release, though they bear their names."""
    assert run("verify", "osie", str(small)) == 2
    shown = capsys.readouterr()
    assert "0 of 701 files are bit for bit" in shown.out
    assert "data/stimuli/1001.jpg: its content is not that of the release" in shown.err


@pytest.mark.parametrize(
    ("name", "folder", "pictures", "listed"),
    [("osie", "OSIE", 180, 701), ("mit1003", "MIT1003", 46, 1004), ("sun500", "SUN500_Scene", 40, 502)],
)
def test_verify_real_samples(
    shared_data: Path, capsys: pytest.CaptureFixture[str], name: str, folder: str, pictures: int, listed: int
) -> None:
    """Every picture of the samples is whole and the release's own; the sample as such is incomplete."""
    assert run("verify", name, str(shared_data / folder)) == 2
    shown = capsys.readouterr()
    assert f"{pictures} decoded" in shown.out
    assert f"{pictures} of {listed:,} files are bit for bit" in shown.out
    assert "incomplete" in shown.err
    assert ".jpg: " not in shown.err


def test_verify_says_which_edition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("verify", "mit1003", str(mit1003.write(tmp_path / "a")))
    assert "the original release, with raw samples" in capsys.readouterr().out
    run("verify", "mit1003", str(mit1003.write_nusvip(tmp_path / "b")))
    assert "the packaging of NUS VIP" in capsys.readouterr().out
    run("verify", "salicon", str(salicon.write_json(tmp_path / "c")), 'data.edition="2015"')
    assert "edition 2015" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------- download


def test_download_of_a_gated_set_prints_the_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("download", "salicon", f"root={tmp_path}") == 2
    shown = capsys.readouterr()
    assert "https://drive.google.com" in shown.out
    assert "take the steps above" in shown.err
    assert list(tmp_path.iterdir()) == []


def test_download_unknown_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("download", "mit1003", "source=mars") == 2
    assert "nusvip or original" in capsys.readouterr().err


def test_download_does_the_others_when_one_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def install(source: object, folder: Path, downloads: Path, *progress: object) -> int:
        if folder.name == "EyeCrowd":
            raise OSError("the server is gone")
        shutil.copytree(osie.write(tmp_path / "served"), folder)
        return 6

    monkeypatch.setattr("saliency_pred.data.download.install", install)
    complete(monkeypatch, "osie", images=4)
    assert run("download", "eyecrowd", "osie", f"root={tmp_path / 'data'}") == 2
    shown = capsys.readouterr()
    assert "eyecrowd: the server is gone" in shown.err
    assert "osie: about 82 MB from github.com, licence: MIT" in shown.out
    assert "4 images; next: saliency data verify osie" in shown.out
    assert "osie" not in shown.err


# ---------------------------------------------------------------------------------------------- show


def test_show_writes_a_picture(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "sheet.png"
    assert run("show", "osie", str(small), f"out={out}", "count=3") == 0
    picture = cv2.imread(str(out))
    assert picture is not None
    assert min(picture.shape[:2]) > 400
    assert [p.name for p in out.parent.iterdir()] == ["sheet.png"]
    assert run("show", "osie", str(small), "out=sheet.bmp") == 2
    assert "must end in .jpg or .png" in capsys.readouterr().err


def test_sheet_shows_image_fixations_and_density(small: Path) -> None:
    """The first panel is the image itself; in the second only the surroundings of fixations differ from it."""
    dataset = OSIE(small)
    sheet = contact_sheet(dataset, count=1).astype(int)
    height, width = 250, 333  # 600 x 800 fitted into the panel
    top, left, gap = 76 + 30, 28, 8
    panels = [sheet[top : top + height, left + k * (width + gap) :][:, :width] for k in range(3)]
    changed = np.abs(panels[1] - panels[0]).max(-1) > 40
    assert 0 < changed.mean() < 0.3
    chosen = int(np.random.default_rng(0).choice(4, 1, replace=False)[0])
    fixations = dataset.clean_fixations(chosen).rescale(torch.tensor([[height, width]]))  # type: ignore[union-attr]
    near = np.zeros((height, width), np.uint8)
    for y, x in zip(fixations.y.tolist(), fixations.x.tolist(), strict=True):
        cv2.circle(near, (round(x - 0.5), round(y - 0.5)), 6, 1, -1)
    assert not (changed & (near == 0)).any()
    assert np.abs(panels[2] - panels[0]).max() > 40


def test_sheet_of_maps_alone_and_of_more_than_there_is(tmp_path: Path) -> None:
    sheet = contact_sheet(FIWI(fiwi.write(tmp_path), split="all"), count=99)
    assert sheet.dtype == np.uint8
    assert sheet.std() > 10


# ---------------------------------------------------------------------------------------------- convert


def assert_same(a: SaliencyDataset, b: SaliencyDataset) -> None:
    """Bit for bit the same images, names and fixations."""
    assert a.image_ids == b.image_ids
    for i in range(len(a)):
        np.testing.assert_array_equal(a.image(i), b.image(i))
        one, other = a.fixations(i), b.fixations(i)
        assert one is not None
        assert other is not None
        for name in ("x", "y", "time", "duration", "viewer", "size"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=f"{a.image_ids[i]} {name}")


def opened(name: str, root: Path) -> SaliencyDataset:
    if name == "osie":
        return OSIE(osie.write(root), split="all")
    if name == "mit1003":
        return MIT1003(mit1003.write(root), split="all")
    return SUN500(sun500.write(root), split="all")


@pytest.mark.parametrize("name", ["osie", "mit1003", "sun500"])
def test_convert_there_and_back_is_exact(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Original layout → pysaliency → folder (CSV) → pysaliency → folder (npz): nothing changes."""
    first = opened(name, tmp_path / "original")
    convert(first, tmp_path / "a", "pysaliency")
    second = Pysaliency(tmp_path / "a", split="all")
    assert_same(first, second)
    convert(second, tmp_path / "b", "folder")
    assert (tmp_path / "b" / "fixations.csv").is_file()
    third = Folder(tmp_path / "b", split="all")
    assert_same(first, third)
    monkeypatch.setattr("saliency_pred.data.convert.CSV_LIMIT", 10)
    convert(Pysaliency(tmp_path / "a", split="all"), tmp_path / "c", "folder")
    assert not (tmp_path / "c" / "fixations.csv").exists()
    assert_same(first, Folder(tmp_path / "c", split="all"))


def test_convert_real_samples(shared_data: Path, tmp_path: Path) -> None:
    first = MIT1003(shared_data / "MIT1003", split="all")  # fixations outside, viewers without fixations
    counts = convert(first, tmp_path / "a", "pysaliency")
    assert counts == {"images": 46, "fixations": sum(len(first.fixations(i)) for i in range(46)), "maps": 0}  # type: ignore[arg-type]
    assert_same(first, Pysaliency(tmp_path / "a", split="all"))


def test_convert_redraws_what_others_would_see_differently(tmp_path: Path) -> None:
    """A rotated photo is stored turned: a program that ignores EXIF sees it lying on its side."""
    from PIL import Image

    root = own.write(tmp_path / "own")
    path = next(p for p in sorted((root / "images").rglob("*")) if p.suffix == ".jpg")
    with Image.open(path) as picture:
        exif = picture.getexif()
        exif[0x0112] = 3  # upside down: the size does not tell
        picture.save(path, exif=exif, quality=95)
    first = Folder(root, split="all")
    convert(first, tmp_path / "out", "folder")
    assert_same(first, Folder(tmp_path / "out", split="all"))
    turned = tmp_path / "out" / path.relative_to(root).with_suffix(".png")
    assert turned.is_file()
    plain = cv2.imread(str(turned), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    np.testing.assert_array_equal(plain[..., ::-1], first.image(first.paths.index(path)))


def test_convert_unknown_viewers(tmp_path: Path) -> None:
    from saliency_pred.data.cat2000 import CAT2000

    first = CAT2000(cat2000.write(tmp_path / "CAT2000"), split="all")
    convert(first, tmp_path / "a", "pysaliency")
    assert_same(first, Pysaliency(tmp_path / "a", split="all"))
    with h5py.File(tmp_path / "a" / "fixations.hdf5") as file:
        assert file["train_xs"].shape[1] == 1  # nothing is known to follow anything
        assert set(file["train_subjects"][...]) == {-1}


def test_convert_takes_maps_along(tmp_path: Path) -> None:
    first = FIWI(fiwi.write(tmp_path / "FIWI"), split="all")
    assert convert(first, tmp_path / "a", "folder")["maps"] == len(first)
    second = Folder(tmp_path / "a", split="all")
    for i in range(len(first)):
        np.testing.assert_array_equal(first.density(i), second.density(i))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ships only maps"):
        convert(first, tmp_path / "b", "pysaliency")
    assert not (tmp_path / "b").exists()


def test_convert_command_and_its_refusals(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run("convert", "osie", str(small), f"out={out}", "to=pysaliency") == 0
    assert "use it: saliency train data=pysaliency" in capsys.readouterr().out
    assert run("convert", "pysaliency", str(out), f"out={tmp_path / 'back'}") == 0
    assert_same(OSIE(small), Folder(tmp_path / "back"))
    assert run("convert", "osie", str(small), f"out={out}") == 2
    assert "there already" in capsys.readouterr().err
    assert run("convert", "osie", str(small), f"out={tmp_path / 'new'}", "to=xml") == 2
    assert "none of 'folder', 'pysaliency'" in capsys.readouterr().err
    assert {p.name for p in tmp_path.iterdir()} == {"OSIE", "out", "back"}


def test_pysaliency_files_of_other_kinds(small: Path, tmp_path: Path) -> None:
    """The layouts that pysaliency 0.3 writes hold the same fixations."""
    convert(OSIE(small), tmp_path / "a", "pysaliency")
    want = Pysaliency(tmp_path / "a")
    with h5py.File(tmp_path / "a" / "fixations.hdf5") as file:
        xs, ys, ts, n, who = (file[f"train_{k}"][...] for k in ("xs", "ys", "ts", "ns", "subjects"))
        durations = file["scanpath_fixation_attributes/durations"][...]
    lengths = (~np.isnan(xs)).sum(1)
    with h5py.File(tmp_path / "a" / "fixations.hdf5", "w") as file:
        file.attrs["type"], file.attrs["version"] = np.bytes_("ScanpathFixations"), np.bytes_("1.0")
        group = file.create_group("scanpaths")
        for key, value in {"xs": xs, "ys": ys, "n": n, "length": lengths}.items():
            group.create_dataset(key, data=value)
        group.create_dataset("scanpath_attributes/subject", data=who)
        group.create_dataset("fixation_attributes/ts", data=ts)
        group.create_dataset("fixation_attributes/durations", data=durations)
    assert_same(want, Pysaliency(tmp_path / "a"))
    real = np.arange(xs.shape[1]) < lengths[:, None]
    with h5py.File(tmp_path / "a" / "fixations.hdf5", "w") as file:
        file.attrs["type"], file.attrs["version"] = np.bytes_("Fixations"), np.bytes_("1.0")
        columns = {"x": xs[real], "y": ys[real], "t": ts[real], "duration": durations[real]}
        for key, value in (columns | {"n": np.repeat(n, lengths), "subjects": np.repeat(who, lengths)}).items():
            file.create_dataset(key, data=value)
    assert_same(want, Pysaliency(tmp_path / "a"))


@pytest.mark.parametrize(
    ("files", "ids"),
    [
        (["images/Action/1.jpg", "images/Action/2.jpg"], ["Action/1", "Action/2"]),
        (["Stimuli/a.jpg", "Stimuli/b.png"], ["a", "b"]),
        (["../there/x/a.jpg", "../there/y/a.jpg"], ["x/a", "y/a"]),
        (["a.jpg", "a.png"], ["a.jpg", "a.png"]),
    ],
)
def test_pysaliency_images_are_named_by_their_files(files: list[str], ids: list[str]) -> None:
    from saliency_pred.data.pysaliency import _ids

    assert _ids(files) == ids


# ---------------------------------------------------------------------------------------------- cache


def test_cache_holds_what_the_loader_would_decode(small: Path, tmp_path: Path) -> None:
    """Batches from the cache equal those decoded afresh, in loader workers too."""
    plain = SaliencyDataModule(OSIE(small, split="3/1"), (60, 96), batch_size=2)
    cached = SaliencyDataModule(
        OSIE(small, split="3/1"), (60, 96), batch_size=2, cache=str(tmp_path / "cache"), workers=1
    )
    for a, b in zip(plain.evaluation_dataloader("train"), cached.evaluation_dataloader("train"), strict=True):
        assert a.image_id == b.image_id
        torch.testing.assert_close(a.image, b.image, rtol=0, atol=0)
        torch.testing.assert_close(a.fixations.x, b.fixations.x, rtol=0, atol=0)
        torch.testing.assert_close(a.original_fixations.x, b.original_fixations.x, rtol=0, atol=0)
        torch.testing.assert_close(a.blur_sigma, b.blur_sigma)


def test_cache_is_reused_and_follows_its_source(small: Path, tmp_path: Path) -> None:
    def open_it(split: str = "all") -> DiskCache:
        return DiskCache.open(OSIE(small, split=split), (60, 80), "pad", tmp_path / "cache")

    assert open_it().decoded == 4
    again = open_it("3/1")  # another split is no other picture
    assert again.decoded == 0
    path = small / "data" / "stimuli" / "1002.jpg"
    cv2.imwrite(str(path), np.full((600, 800, 3), 77, np.uint8))
    changed = open_it()
    assert changed.decoded == 1
    assert np.unique(changed.get(1)).tolist() == [77]
    np.testing.assert_array_equal(changed.get(2), again.get(2))
    assert len(list(changed.folder.glob("pixels-*"))) == 1  # what was outdated is gone
    assert DiskCache.open(OSIE(small), (30, 40), "pad", tmp_path / "cache").folder != changed.folder


def test_cache_in_a_relative_folder(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dataset = OSIE(small)
    assert DiskCache.open(dataset, (60, 80), "pad", "cache").decoded == len(dataset)
    assert DiskCache.open(dataset, (60, 80), "pad", "cache").decoded == 0


@pytest.mark.parametrize("damage", ["pixels cut", "pixels gone", "index cut"])
def test_damaged_cache_is_made_anew(small: Path, tmp_path: Path, damage: str) -> None:
    dataset = OSIE(small)
    made = DiskCache.open(dataset, (60, 80), "pad", tmp_path)
    want = made.get(3)
    pixels, index = next(made.folder.glob("pixels-*")), made.folder / "index.json"
    if damage == "pixels cut":
        pixels.write_bytes(pixels.read_bytes()[:-1])
    elif damage == "pixels gone":
        pixels.unlink()
    else:
        index.write_text(index.read_text()[:20])
    again = DiskCache.open(dataset, (60, 80), "pad", tmp_path)
    assert again.decoded == 4
    np.testing.assert_array_equal(again.get(3), want)


def test_cache_that_cannot_be_finished_leaves_nothing(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (small / "data" / "stimuli" / "1004.jpg").write_bytes(b"no picture")
    with pytest.raises(BrokenFileError, match=r"1004\.jpg"):
        DiskCache.open(OSIE(small), (60, 80), "pad", tmp_path / "cache")
    assert {p.name for p in (tmp_path / "cache").rglob("*") if p.is_file()} <= {"lock"}


def test_cached_image_may_be_changed_and_the_cache_pickled(small: Path, tmp_path: Path) -> None:
    cache = DiskCache.open(OSIE(small), (60, 80), "stretch", tmp_path)
    before = cache.get(0).copy()
    cache.get(0)[:] = 0
    np.testing.assert_array_equal(cache.get(0), before)
    sent = pickle.dumps(cache)
    assert len(sent) < 10_000
    np.testing.assert_array_equal(pickle.loads(sent).get(0), before)


def test_cache_command(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("cache", "osie", str(small), "size=[60,80]", f"out={tmp_path / 'cache'}")
    assert run(*arguments) == 0
    assert "4 images, 4 of them decoded now, 58 kB" in capsys.readouterr().out  # 4 x 60 x 80 x 3 bytes
    assert run(*arguments) == 0
    assert "4 images, 0 of them decoded now" in capsys.readouterr().out
    index = json.loads(next((tmp_path / "cache").rglob("index.json")).read_text())
    assert index["sizes"] == [[60, 80]] * 4
    assert run("cache", "synthetic", f"out={tmp_path / 'c'}") == 2
    assert "loader.cache=ram" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["verfy", "osie", "x"], "did you mean 'verify'?"),
        (["verify"], "saliency data verify NAME ROOT"),
        (["verify", "osie"], "saliency data verify osie ROOT"),
        (["verify", "osi", "x"], "did you mean osie?"),
        (["verify", "osie", "nowhere"], "does not exist"),
        (["verify", "osie", "a", "b"], "takes NAME and ROOT"),
        (["verify", "osie", ".", "data.splt=all"], "data.split"),
        (["show", "osie", ".", "too=x"], "saliency data show --cfg job"),
        (["convert", "osie", "."], "out must be given: saliency data convert osie . out=VALUE"),
        (["download"], "name what to download"),
        (["download", "OSIE-2"], "did you mean osie"),
        (["download", "synthetic"], "generated on demand"),
        (["info", "osie", "data.split=all"], "options need the data"),
    ],
)
def test_bad_input_says_what_to_type(
    arguments: list[str],
    answer: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    assert answer in capsys.readouterr().err


def test_roots_with_unusual_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = osie.write(tmp_path / "my data, ünï=$x 'a' \"b\"")
    assert run("show", "osie", str(root), f"out={tmp_path / 'sheet.jpg'}", "count=1") == 0
    assert (tmp_path / "sheet.jpg").is_file()


def test_sizes_as_a_person_reads_them() -> None:
    assert [readable_size(n) for n in (None, 0, 999, 1000, 1_540_000, 82_000_000, 999_600_000)] == [
        "?",
        "0 B",
        "999 B",
        "1.0 kB",
        "1.5 MB",
        "82 MB",
        "1.0 GB",
    ]
