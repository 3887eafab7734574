"""What is wrong on disk is said by name, with a remedy; what is safe to go on with is counted."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from fixtures import (
    bubbleview,
    cat2000,
    coco_gaze,
    dut_omron,
    figrim,
    fiwi,
    folder,
    mat,
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
from fixtures.pictures import picture

from saliency_pred.data.bubbleview import FIWIBubbleView, SALICONBubbleView
from saliency_pred.data.cat2000 import CAT2000
from saliency_pred.data.coco_gaze import COCOFreeView, COCOSearch18
from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.data.dut_omron import DUTOMRON
from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.figrim import FIGRIM
from saliency_pred.data.fiwi import FIWI
from saliency_pred.data.folder import Folder
from saliency_pred.data.mit1003 import MIT300, MIT1003
from saliency_pred.data.osie import OSIE, OSIEMouse
from saliency_pred.data.pascal_s import PASCALS
from saliency_pred.data.saleci import SalECI
from saliency_pred.data.salicon import SALICON
from saliency_pred.data.sun500 import SUN500
from saliency_pred.data.toronto import Toronto
from saliency_pred.data.ueyes import UEyes


class Set(NamedTuple):
    """A fixture and its loader; an image, the folder of images, and a file (or folder) of fixations in it."""

    write: Callable[[Path], Path]
    open: Callable[[Path], SaliencyDataset]
    image: str
    gaze: str
    gaze_folder: str = ""


SETS = {
    "osie": Set(once(osie.write), lambda r: OSIE(r, "all"), "data/stimuli/1002.jpg", "data/eye/fixations.mat"),
    "osie_mouse": Set(
        once(osie.write),
        lambda r: OSIEMouse(r, "all"),
        "data/stimuli/1002.jpg",
        "data/mouse_lab/1002.mat",
        "data/mouse_lab",
    ),
    "mit1003": Set(
        once(mit1003.write),
        lambda r: MIT1003(r, "all"),
        "ALLSTIMULI/i2288435981.jpeg",
        "DATA/ajs/i2288435981.mat",
        "DATA",
    ),
    "mit1003-nusvip": Set(
        once(mit1003.write_nusvip),
        lambda r: MIT1003(r, "all"),
        "data/mit/stimuli/i2288435981.jpg",
        "data/mit/eye/fixations.mat",
    ),
    "salicon": Set(
        once(salicon.write),
        SALICON,
        "images/train/COCO_train2014_000000000025.jpg",
        "fixations/train/COCO_train2014_000000000025.mat",
        "fixations",
    ),
    "salicon-json": Set(
        once(salicon.write_json),
        lambda r: SALICON(r, "2015"),
        "images/train/COCO_train2014_000000000025.jpg",
        "annotations/fixations_train2014.json",
    ),
    "cat2000": Set(
        once(cat2000.write),
        lambda r: CAT2000(r, "all"),
        "trainSet/Stimuli/Action/002.jpg",
        "trainSet/FIXATIONLOCS/Action/002.mat",
        "trainSet/FIXATIONLOCS",
    ),
    "sun500": Set(once(sun500.write), lambda r: SUN500(r, "all"), "data/stimuli/002.jpg", "data/tidy/fixations.mat"),
    "toronto": Set(
        once(toronto.write),
        lambda r: Toronto(r, "all"),
        "eyetrackingdata/fixdens/Original Image Set/2.jpg",
        "eyetrackingdata/fixdens/origfixdata.mat",
    ),
    "fiwi_bubbleview": Set(
        once(bubbleview.write),
        lambda r: FIWIBubbleView(r, "all"),
        "targets_fiwi/youtube.png",
        "fiwi_eyetrack.mat",
    ),
    "salicon_bubbleview": Set(
        once(bubbleview.write),
        lambda r: SALICONBubbleView(r, "all"),
        "targets_salicon/COCO_train2014_000000181176.jpg",
        "salicon_gt.mat",
    ),
    "figrim": Set(
        once(figrim.write), lambda r: FIGRIM(r, "all"), "Targets/airport/sun_a2.jpg", "allImages_release.mat"
    ),
    "fiwi": Set(once(fiwi.write), lambda r: FIWI(r, "all"), "stimuli/text_1.png", "all5/text_1.png", "all5"),
    "ueyes": Set(
        once(ueyes.write),
        lambda r: UEyes(r, "all"),
        "images/c27e4e.jpg",
        "eyetracker_logs/00_kh000_fixations.csv",
        "eyetracker_logs",
    ),
    "saleci": Set(
        once(saleci.write),
        lambda r: SalECI(r, "all"),
        "ALLSTIMULI/2.jpg",
        "ALLFIXATIONMAPS/2_fixPts.jpg",
        "ALLFIXATIONMAPS",
    ),
    "coco_freeview": Set(
        once(coco_gaze.write),
        COCOFreeView,
        "images/bottle/000000000002.jpg",
        "COCOFreeView_fixations_trainval.json",
    ),
    "coco_search18": Set(
        once(coco_gaze.write),
        lambda r: COCOSearch18(r, condition="present"),
        "images/bottle/000000000002.jpg",
        "coco_search18_fixations_TP_train_split1.json",
    ),
    "pascal_s": Set(
        once(pascal_s.write),
        lambda r: PASCALS(r, "all"),
        "datasets/imgs/pascal/2.jpg",
        "datasets/fixations/pascalFix.mat",
    ),
    "dut_omron": Set(
        once(dut_omron.write),
        lambda r: DUTOMRON(r, "all"),
        "DUT-OMRON-image/im005.jpg",
        "DUT-OMRON-eye-fixations/mat/im005.mat",
        "DUT-OMRON-eye-fixations",
    ),
    "folder": Set(once(folder.write), lambda r: Folder(r, "all"), "images/b.png", "fixations.csv"),
}
EVERY = {**SETS, "mit300": Set(once(mit300.write), MIT300, "BenchmarkIMAGES/i2.jpg", "")}
ONE_FILE = [name for name, s in SETS.items() if not s.gaze_folder]
FILE_PER_IMAGE = ["osie_mouse", "salicon", "cat2000", "fiwi", "saleci", "dut_omron"]
MATLAB = [name for name, s in SETS.items() if s.gaze.endswith(".mat")]


def use(dataset: SaliencyDataset) -> None:
    """Ask for everything that training asks for."""
    for i in range(len(dataset)):
        dataset.image(i)
        dataset.clean_fixations(i)
        dataset.density(i)


# ---------------------------------------------------------------------- folders


@pytest.mark.parametrize("name", EVERY)
def test_root_that_does_not_exist(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"does not exist.*data.root") as told:
        EVERY[name].open(tmp_path / "nowhere")
    assert "nowhere" in str(told.value)


@pytest.mark.parametrize("name", ["osie", "salicon", "folder"])
def test_root_that_is_a_file_or_a_circle_of_links(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetNotFoundError, match="is a file"):
        SETS[name].open(tmp_path / "file")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(DatasetNotFoundError, match="in a circle"):
        SETS[name].open(tmp_path / "circle")


@pytest.mark.parametrize("name", EVERY)
def test_missing_folder_of_images(name: str, tmp_path: Path) -> None:
    s = EVERY[name]
    root = s.write(tmp_path / "set")
    top = Path(s.image).parts[0]
    shutil.rmtree(root / top)
    if name == "coco_freeview":
        shutil.rmtree(root / "coco_search18_images_TA")
    if name == "coco_search18":
        shutil.rmtree(root / "coco_search18_images_TA")
    with pytest.raises((DatasetNotFoundError, DatasetLayoutError, BrokenFileError)) as told:
        s.open(root)
    assert str(root) in str(told.value)


@pytest.mark.parametrize("name", SETS)
def test_missing_fixations(name: str, tmp_path: Path) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    gaze = root / (s.gaze_folder or s.gaze)
    if gaze.is_dir():
        shutil.rmtree(gaze)
    elif name == "salicon-json":
        shutil.rmtree(gaze.parent)
    else:
        gaze.unlink()
    with pytest.raises((DatasetNotFoundError, BrokenFileError, DatasetLayoutError)) as told:
        s.open(root)
    assert str(root) in str(told.value)


@pytest.mark.parametrize("name", SETS)
def test_empty_folder_of_images(name: str, tmp_path: Path) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    for path in [p for p in root.rglob("*") if p.suffix in (".jpg", ".jpeg", ".png") and p.is_file()]:
        path.unlink()
    with pytest.raises((DatasetLayoutError, DatasetNotFoundError)) as told:
        s.open(root)
    assert str(root) in str(told.value)


# ---------------------------------------------------------------------- partners that lack


@pytest.mark.parametrize("name", [n for n in SETS if n != "sun500"])
def test_record_without_image_is_counted(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    whole = len(s.open(root))
    (root / s.image).unlink()
    with caplog.at_level(logging.WARNING):
        dataset = s.open(root)
    assert len(dataset) == whole - 1
    told = [Path(w).name for w in dataset.issues["record without image"]]
    assert Path(s.image).stem in told
    assert len(told) == 1 + (7 if name == "toronto" else 0)  # that fixture lacks seven of ten pictures
    assert f"{dataset.name}: {len(told)} x record without image" in caplog.text
    use(dataset)


@pytest.mark.parametrize("name", FILE_PER_IMAGE)
def test_image_without_fixations_is_left_out_and_counted(name: str, tmp_path: Path) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    whole = len(s.open(root))
    (root / s.gaze).unlink()
    dataset = s.open(root)
    assert len(dataset) == whole - 1
    assert dataset.issues["image without fixation record"] == [Path(s.image).name]
    use(dataset)


@pytest.mark.parametrize("name", ["osie", "sun500", "fiwi_bubbleview", "folder", "coco_freeview", "ueyes"])
def test_image_whose_record_is_empty_is_left_out_and_counted(name: str, tmp_path: Path) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    stem = Path(s.image).stem
    if name == "osie":
        truth = {k: ([np.zeros((0, 4))] if k == stem else v) for k, v in osie.truth().items()}
        mat.save(root / s.gaze, fixations=osie.records(truth))
    elif name == "sun500":
        cells = mat.read(root / s.gaze)["fixations"]
        cells[1] = [np.zeros((0, 0))] * 12
        for k in range(12):
            cells[1, k] = np.zeros((0, 0))
        mat.save(root / s.gaze, fixations=cells)
    elif name == "fiwi_bubbleview":
        content = mat.read(root / s.gaze)["bubble"]
        for one in content[0, 1]["userdata"].flat:
            one["fixations"][0, 0]["enc"] = np.zeros((0, 0))
        mat.save(root / s.gaze, bubble=content)
    elif name == "coco_freeview":
        items = json.loads((root / s.gaze).read_text())
        for item in items:
            if item["name"] == f"{stem}.jpg":
                item.update(X=[], Y=[], T=[], length=0)
        (root / s.gaze).write_text(json.dumps(items))
    else:
        for log in (root / s.gaze_folder).glob("*.csv") if s.gaze_folder else [root / s.gaze]:
            log.write_text("".join(line for line in log.open() if Path(s.image).name not in line))
    dataset = s.open(root)
    assert stem not in dataset.image_ids
    told = [w for k, where in dataset.issues.items() if k.startswith("image without fixation") for w in where]
    assert [Path(w).stem for w in told].count(stem) == 1
    use(dataset)


def test_sun500_is_matched_by_position_so_nothing_may_be_missing(tmp_path: Path) -> None:
    root = sun500.write(tmp_path)
    (root / "data/stimuli/002.jpg").unlink()
    with pytest.raises(DatasetLayoutError, match=r"2 images .* but 3 records .* by position"):
        SUN500(root)


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "link"])
def test_broken_image_names_the_file(name: str, kind: str, tmp_path: Path) -> None:
    """The set opens: the file is named when it is needed, so that the others can be worked with."""
    s = EVERY[name]
    root = s.write(tmp_path / "set")
    path = root / s.image
    whole = path.read_bytes()
    path.unlink()
    if kind == "truncated":
        path.write_bytes(whole[: len(whole) * 2 // 3])
    elif kind == "link":
        path.symlink_to(path)
    else:
        path.write_bytes(b"" if kind == "empty" else b"<html>404</html>")
    if name == "ueyes" and kind != "truncated":  # needs every picture's size at once
        with pytest.raises(BrokenFileError, match=path.name):
            s.open(root)
        return
    dataset = s.open(root)
    index = [p.name for p in dataset.paths].index(path.name)
    with pytest.raises(BrokenFileError) as told:
        dataset.image(index)
    assert str(path) in str(told.value)
    word = {
        "truncated": "truncated|damaged",
        "empty": "0 bytes",
        "text": "no picture",
        "link": "cannot be read",
    }
    assert re.search(word[kind], str(told.value))
    assert all(dataset.image(i).size for i in range(len(dataset)) if i != index)


@pytest.mark.parametrize("name", MATLAB)
@pytest.mark.parametrize("kind", ["empty", "truncated", "text", "link"])
def test_broken_mat_names_the_file(name: str, kind: str, tmp_path: Path) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    path = root / s.gaze
    whole = path.read_bytes()
    path.unlink()
    if kind == "link":
        path.symlink_to(path)
    else:
        path.write_bytes({"empty": b"", "truncated": whole[: len(whole) // 2], "text": b"x" * 300}[kind])
    with pytest.raises(BrokenFileError) as told:
        use(s.open(root))
    assert str(path) in str(told.value)
    if kind != "link":
        assert "download it again" in str(told.value)


@pytest.mark.parametrize("name", ["salicon-json", "coco_freeview", "coco_search18"])
def test_truncated_json_names_the_file(name: str, tmp_path: Path) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    path = root / s.gaze
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BrokenFileError, match=f"{path.name}.*download it again"):
        s.open(root)


@pytest.mark.parametrize("name", ["osie", "salicon", "cat2000", "toronto", "fiwi_bubbleview", "figrim", "sun500"])
def test_mat_of_version_73_simply_loads(name: str, tmp_path: Path) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    before = s.open(root)
    path = root / s.gaze
    content = mat.read(path)
    path.unlink()
    mat.save_v73(path, **content)
    after = s.open(root)
    assert after.image_ids == before.image_ids
    for i in range(len(before)):
        a, b = before.fixations(i), after.fixations(i)
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            for column in ("x", "y", "time", "duration", "viewer"):
                np.testing.assert_array_equal(getattr(a, column).numpy(), getattr(b, column).numpy())


@pytest.mark.parametrize("name", MATLAB)
def test_mat_of_another_set(name: str, tmp_path: Path) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    mat.save(root / s.gaze, something_else=np.ones((2, 2)))
    with pytest.raises(DatasetLayoutError) as told:
        use(s.open(root))
    assert str(root / s.gaze) in str(told.value)
    assert "something_else" in str(told.value)


def refuse(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """As if this file might not be read: the tests may run as root, who may read everything."""
    opened = Path.open

    def deny(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return opened(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", deny)
    monkeypatch.setattr(Path, "read_bytes", lambda self: deny(self, "rb").read())


@pytest.mark.parametrize("name", ["osie", "salicon", "cat2000", "dut_omron"])
def test_files_that_may_not_be_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    dataset = s.open(root)
    refuse(monkeypatch, root / s.image)
    index = [p.name for p in dataset.paths].index(Path(s.image).name)
    with pytest.raises(BrokenFileError, match=r"may not be read.*permissions"):
        dataset.image(index)
    monkeypatch.undo()
    refuse(monkeypatch, root / s.gaze)
    with pytest.raises(BrokenFileError, match=r"may not be read.*permissions"):
        use(s.open(root))


@pytest.mark.parametrize("name", ["osie", "salicon", "folder"])
def test_folder_that_may_not_be_listed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    scan = os.scandir
    hidden = (root / s.image).parent

    def deny(path: Any = ".") -> Any:
        if Path(path) == hidden:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(BrokenFileError, match="may not be listed"):
        s.open(root)


def test_folders_linked_in_a_circle_are_not_followed(tmp_path: Path) -> None:
    root = folder.write(tmp_path)
    (root / "images" / "again").symlink_to(root / "images", target_is_directory=True)
    assert len(Folder(root, "all")) == 3


# ---------------------------------------------------------------------- contents


@pytest.mark.parametrize("name", [n for n in SETS if n not in ("cat2000", "coco_freeview", "coco_search18")])
def test_two_images_of_one_name(name: str, tmp_path: Path) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    first = root / s.image
    second = first.with_suffix(".bmp")
    shutil.copy(first, second)
    with pytest.raises(DatasetLayoutError, match="same name") as told:
        s.open(root)
    assert first.name in str(told.value)
    assert second.name in str(told.value)


@pytest.mark.parametrize(
    "name",
    [
        "osie",
        "osie_mouse",
        "salicon",
        "salicon-json",
        "cat2000",
        "sun500",
        "toronto",
        "dut_omron",
        "coco_freeview",
    ],
)
def test_image_of_another_size(name: str, tmp_path: Path) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    picture(root / s.image, (50, 70))
    with pytest.raises(DatasetLayoutError, match=r"50 x 70|70 x 50") as told:
        use(s.open(root))
    assert Path(s.image).name in str(told.value)


@pytest.mark.parametrize("name", ["saleci", "fiwi"])
def test_map_of_another_size(name: str, tmp_path: Path) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    picture(root / s.gaze, (50, 70))
    with pytest.raises(DatasetLayoutError, match="50 x 70"):
        use(s.open(root))


def _broken_coordinates(root: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Rewrite a fixture's gaze with every (n, 2) array of x, y changed."""
    s = SETS[name]
    path = root / s.gaze
    if name in ("osie", "mit1003-nusvip"):
        content = mat.read(path)["fixations"]
        for record in content.flat:
            for one in record["subjects"][0, 0].flat:
                points = np.stack([one["fix_x"][0, 0], one["fix_y"][0, 0]], axis=-1)[0]
                points = change(points)
                one["fix_x"][0, 0], one["fix_y"][0, 0] = points[None, :, 0], points[None, :, 1]
        mat.save(path, fixations=content)
    elif name == "sun500":
        cells = mat.read(path)["fixations"]
        for value in cells.flat:
            if value.size:
                value[:, 1::-1] = change(value[:, 1::-1].copy())
        mat.save(path, fixations=cells)
    elif name == "salicon":
        for file in (root / "fixations").rglob("*.mat"):
            content = mat.read(file)
            for one in content["gaze"].flat:
                one["fixations"] = change(one["fixations"])
            mat.save(file, **content)
    elif name == "fiwi_bubbleview":
        content = mat.read(path)["bubble"]
        for record in content.flat:
            for one in record["userdata"].flat:
                shown = one["fixations"][0, 0]
                if shown["enc"].size:
                    shown["enc"] = change(shown["enc"])
        mat.save(path, bubble=content)
    elif name == "folder":
        lines = path.read_text().splitlines()
        rows = [line.split(",") for line in lines[1:]]
        points = change(np.array([[float(r[1]), float(r[2])] for r in rows]))
        moved = [",".join([r[0], str(x), str(y), *r[3:]]) for r, (x, y) in zip(rows, points, strict=True)]
        path.write_text("\n".join([lines[0], *moved]))


CHANGEABLE = ["osie", "mit1003-nusvip", "sun500", "salicon", "fiwi_bubbleview", "folder"]


@pytest.mark.parametrize("name", CHANGEABLE)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_coordinates_are_left_out_and_counted(name: str, value: float, tmp_path: Path) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")

    def first_is_nan(points: np.ndarray) -> np.ndarray:
        points = points.astype(float)
        points[:1, 0] = value
        return points

    def count(dataset: SaliencyDataset) -> int:
        return sum(len(f) for f in map(dataset.fixations, range(len(dataset))) if f is not None)

    before = count(s.open(root))
    _broken_coordinates(root, name, first_is_nan)
    dataset = s.open(root)
    after = count(dataset)
    assert after < before
    told = dataset.issues["NaN or infinite coordinates left out"]
    assert sum({w.split(" (")[0]: int(w.split("(")[-1][:-1]) for w in told}.values()) == before - after
    use(dataset)


@pytest.mark.parametrize("name", CHANGEABLE)
def test_all_fixations_outside(name: str, tmp_path: Path) -> None:
    s = SETS[name]
    root = s.write(tmp_path / "set")
    _broken_coordinates(root, name, lambda points: points + 5000.0)
    with pytest.raises(DatasetLayoutError, match=r"(\d+) of \1 fixations .* outside.*resized"):
        s.open(root)


def test_one_image_with_all_its_fixations_outside_is_counted(tmp_path: Path) -> None:
    root = folder.write(tmp_path)
    lines = (root / "fixations.csv").read_text().splitlines()
    moved = [
        ",".join(["b.png", "900", "900", *line.split(",")[3:]]) if line.startswith("b") else line for line in lines
    ]
    (root / "fixations.csv").write_text("\n".join(moved))
    dataset = Folder(root, "all")
    use(dataset)
    use(dataset)
    assert dataset.issues == {"image with all its fixations outside": ["b"]}
    with pytest.raises(ValueError, match="outside their image"):
        use(Folder(root, "all", outside="error"))
    assert len(Folder(root, "all", outside="clip").clean_fixations(1)) > 0  # type: ignore[arg-type]


# ---------------------------------------------------------------------- editions and options


def test_salicon_editions_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DatasetLayoutError, match=r"2015 edition; set data.edition=2015"):
        SALICON(salicon.write_json(tmp_path / "json"))
    with pytest.raises(ValueError, match="edition='2016' is none of"):
        SALICON(tmp_path / "json", edition="2016")  # type: ignore[arg-type]
    salicon.write_binary(tmp_path / "binary")
    with pytest.raises(DatasetLayoutError, match=r"data.points=fixations"):
        SALICON(tmp_path / "binary", points="samples")
    shutil.rmtree(tmp_path / "binary" / "fixations")
    with pytest.raises(DatasetNotFoundError, match=r"data.maps=official"):
        SALICON(tmp_path / "binary")


def test_cat2000_test_set_in_place_of_the_training_set(tmp_path: Path) -> None:
    cat2000.write(tmp_path)
    with pytest.raises(DatasetNotFoundError, match=r"set data.part=test"):
        CAT2000(tmp_path / "testSet")
    with pytest.raises(ValueError, match=r"data.maps=false"):
        CAT2000(tmp_path, padding="crop", maps=True)


def test_images_and_fixations_of_different_sets(tmp_path: Path) -> None:
    root = osie.write(tmp_path)
    for number, path in enumerate(sorted((root / "data/stimuli").glob("*.jpg"))):
        path.rename(path.with_name(f"other{number}.jpg"))
    with pytest.raises(DatasetLayoutError, match="different sets"):
        OSIE(root, "all")


def test_ueyes_goes_on_without_a_broken_log_or_info(tmp_path: Path) -> None:
    root = ueyes.write(tmp_path)
    log = root / "eyetracker_logs" / "00_kh000_fixations.csv"
    log.write_text(log.read_text()[:-30])
    (root / "info.csv").unlink()
    dataset = UEyes(root, "all")
    assert len(dataset) == 4
    assert "00_kh000_fixations.csv, line" in dataset.issues["log that cannot be read"][0]
    assert "no official split" in next(k for k in dataset.issues if "info.csv" in k)
    with pytest.raises(ValueError, match="released without parts"):
        UEyes(root, "official").parts()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("image,x\na,1\n", "y missing"),
        ("image,x,y,pupil\na,1,2,3\n", "unknown pupil"),
        ("image,x,y\na,1\n", "line 2: 2 values for 3 columns"),
        ("image,x,y\na,one,2\n", "line 2: x is 'one', no number"),
        ("", "first line must be"),
        ("image,x,y\na,1,2\na.jpg,3,4\n", "listed twice"),
    ],
)
def test_folder_csv_that_is_not_as_documented(text: str, told: str, tmp_path: Path) -> None:
    root = folder.write(tmp_path, "none")
    (root / "fixations.csv").write_text(text)
    with pytest.raises(DatasetLayoutError, match=told):
        Folder(root, "all")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('["a"]', "expected"),
        ('{"a": {"x": [1]}}', "expected x, y"),
        ('{"a": {"x": [1, 2], "y": [1]}}', "different lengths"),
        ('{"a": {"x": ["left"], "y": [1]}}', "must be numbers"),
    ],
)
def test_folder_json_that_is_not_as_documented(content: str, told: str, tmp_path: Path) -> None:
    root = folder.write(tmp_path, "none")
    (root / "fixations.json").write_text(content)
    with pytest.raises(DatasetLayoutError, match=told):
        Folder(root, "all")


def test_folder_with_nothing_to_learn_from_or_too_much(tmp_path: Path) -> None:
    root = folder.write(tmp_path, "none")
    with pytest.raises(DatasetNotFoundError, match=r"neither fixations .* nor maps"):
        Folder(root)
    folder.write(tmp_path / "two", "csv")
    folder.write(tmp_path / "two", "json")
    with pytest.raises(DatasetLayoutError, match="leave one of them"):
        Folder(tmp_path / "two")
    npz = folder.write(tmp_path / "npz", "npz") / "fixations" / "b.npz"
    npz.write_bytes(npz.read_bytes()[:50])
    with pytest.raises(BrokenFileError, match=r"b.npz"):
        Folder(tmp_path / "npz")


@pytest.mark.parametrize("name", EVERY)
def test_options_are_checked(name: str, tmp_path: Path) -> None:
    s = EVERY[name]
    dataset = s.open(s.write(tmp_path / "set"))
    with pytest.raises(ValueError, match="outside='away'"):
        type(dataset)(dataset.root, outside="away")  # type: ignore[arg-type]
