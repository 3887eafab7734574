"""Archives for the boards of still images: what is in them, and what is refused."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml
from fixtures.boards import Board, blob
from PIL import Image
from torch import Tensor

from saliency_pred.submission.stills import Picture, Predictions, compare, pictures

BOARDS = ("tuebingen", "salicon", "cat2000", "tuebingen_cat2000")

# ---------------------------------------------------------------------------------------------- building


@pytest.mark.parametrize("name", BOARDS)
def test_what_is_built_is_taken(name: str, boards: dict[str, Board], archives: dict[str, Path]) -> None:
    board, wanted = boards[name]
    check = board.check(archives[name], wanted)
    assert check.told() == []
    assert check.entries == len(wanted) > 0
    assert not list(archives[name].parent.glob(".*")), "the staging folder is left"


def test_hdf5_holds_normalised_float32_by_file_name(boards: dict[str, Board], archives: dict[str, Path]) -> None:
    for name, names in (
        ("tuebingen", ["i1.jpg", "i2.jpg", "i300.jpg"]),
        ("tuebingen_cat2000", ["Action/001.jpg", "Action/002.jpg"]),
    ):
        with h5py.File(archives[name]) as file:
            for picture, key in zip(boards[name][1], names, strict=True):
                stored = file[key]
                assert stored.dtype == np.float32
                assert stored.shape == picture.size
                values = np.asarray(stored, dtype=np.float64)
                assert abs(np.log(np.exp(values).sum())) < 1e-5  # float32 of 5e5 pixels
                expected = blob(picture).double()
                expected = expected - torch.logsumexp(expected.flatten(), 0)
                np.testing.assert_allclose(values, expected.numpy(), atol=2e-6)


def test_config_names_the_file_and_says_probabilistic(boards: dict[str, Board], archives: dict[str, Path]) -> None:
    board, _ = boards["tuebingen"]
    path = board.config(archives["tuebingen"], "mit300")  # type: ignore[attr-defined]
    assert yaml.safe_load(path.read_text()) == {
        "model": {"name": "blobs", "filename": "blobs.h5", "probabilistic": True, "loss": "IG"},
        "dataset": "MIT300",
    }
    with pytest.raises(ValueError, match="no data set 'osie'"):
        board.config(archives["tuebingen"], "osie")  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "folder", "ending"), [("salicon", "", ".png"), ("cat2000", "blobs/", ".jpg")])
def test_pictures_hold_the_rounded_map(
    name: str, folder: str, ending: str, boards: dict[str, Board], archives: dict[str, Path]
) -> None:
    with zipfile.ZipFile(archives[name]) as archive:
        assert sorted(archive.namelist()) == sorted(f"{folder}{p.stem}{ending}" for p in boards[name][1])
        for picture in boards[name][1]:
            with Image.open(io.BytesIO(archive.read(f"{folder}{picture.stem}{ending}"))) as opened:
                levels = np.asarray(opened, dtype=np.float64)
                assert opened.mode == "L"
            exact = np.exp(blob(picture).double().numpy())
            worst = np.abs(levels - 255 * exact / exact.max()).max()
            assert worst <= (0.5001 if ending == ".png" else 2), "rounding is half a level; JPEG adds its own"


def test_the_same_predictions_are_the_same_zip(
    boards: dict[str, Board], archives: dict[str, Path], tmp_path: Path
) -> None:
    board, wanted = boards["salicon"]
    board.build(wanted, blob, tmp_path / "blobs.zip", {})
    assert (tmp_path / "blobs.zip").read_bytes() == archives["salicon"].read_bytes()


@pytest.mark.parametrize("name", ["tuebingen", "salicon"])
def test_a_stopped_build_goes_on_and_other_maps_are_not_mixed_in(
    name: str, boards: dict[str, Board], archives: dict[str, Path], tmp_path: Path
) -> None:
    board, wanted = boards[name]
    out = tmp_path / f"blobs{board.suffixes[0]}"
    asked: list[str] = []

    def stops(picture: Picture) -> Tensor:
        asked.append(picture.file)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return blob(picture)

    with pytest.raises(KeyboardInterrupt):
        board.build(wanted, stops, out, {"checkpoint": "a"})
    assert not out.exists()
    (tmp_path / f".{out.name}.parts" / ".writing.half").write_bytes(b"half")  # as kill -9 leaves it
    asked.clear()

    def counts(picture: Picture) -> Tensor:
        asked.append(picture.file)
        return blob(picture)

    board.build(wanted, counts, out, {"checkpoint": "a"})
    assert asked == [p.file for p in wanted[1:]], "the first map was predicted again"
    assert board.check(out, wanted).told() == []
    with pytest.raises(FileExistsError, match="is there already"):
        board.build(wanted, counts, out, {"checkpoint": "a"})

    out.unlink()
    asked.clear()
    with pytest.raises(KeyboardInterrupt):
        board.build(wanted, stops, out, {"checkpoint": "a"})
    asked.clear()
    board.build(wanted, counts, out, {"checkpoint": "b"})
    assert asked == [p.file for p in wanted], "maps of another checkpoint were kept"


def test_predictions_that_are_none_are_refused_before_they_are_stored(boards: dict[str, Board], tmp_path: Path) -> None:
    board, wanted = boards["tuebingen"]
    with pytest.raises(ValueError, match=r"i1\.jpg: 1 pixels of the prediction are NaN or infinite"):
        board.build(wanted, lambda p: blob(p).index_fill(0, torch.tensor([]).long(), 0).put_(
            torch.tensor(5), torch.tensor(torch.nan)), tmp_path / "a.h5", {})  # fmt: skip
    with pytest.raises(ValueError, match=r"i1\.jpg: the prediction is \(128, 96\), the image \(96, 128\)"):
        board.build(wanted, lambda p: blob(p).T, tmp_path / "b.h5", {})
    with pytest.raises(ValueError, match=r"takes \.h5 or \.hdf5"):
        board.build(wanted, blob, tmp_path / "c.zip", {})


# ---------------------------------------------------------------------------------------------- damage

Damage = Callable[[Path, list[Picture]], None]


def _edit(change: Callable[[h5py.File], object]) -> Damage:
    def damage(path: Path, wanted: list[Picture]) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return damage


def _replace(file: h5py.File, key: str, values: object) -> None:
    del file[key]
    file[key] = values


def _values(file: h5py.File, key: str = "i1.jpg") -> np.ndarray:
    return np.asarray(file[key], dtype=np.float64)


def _nan(file: h5py.File) -> None:
    file["i1.jpg"][3, 4] = np.nan


def _eight_bits(file: h5py.File) -> None:
    """The densities' logarithms in 256 steps, normalised all the same."""
    values = _values(file)
    low, high = values.min(), values.max()
    coarse = low + np.round((values - low) / (high - low) * 255) / 255 * (high - low)
    _replace(file, "i1.jpg", coarse - np.log(np.exp(coarse).sum()))


def _config(**model: object) -> Damage:
    def damage(path: Path, wanted: list[Picture]) -> None:
        entry = {"name": "blobs", "filename": path.name, "probabilistic": True} | model
        dataset = entry.pop("dataset", "MIT300")
        path.with_name("config.yaml").write_text(yaml.safe_dump({"model": entry, "dataset": dataset}))

    return damage


HDF5_DAMAGE: dict[str, tuple[Damage, str]] = {
    "not HDF5": (lambda p, w: p.write_text("maps") and None, "damaged or no HDF5 file"),
    "cut short": (lambda p, w: os.truncate(p, p.stat().st_size // 2), "damaged or no HDF5 file"),
    "missing map": (_edit(lambda f: f.__delitem__("i2.jpg")), "1 x image without its map.*: i2.jpg"),
    "stem for name": (_edit(lambda f: f.move("i2.jpg", "i2")), "1 x image without its map.*i12.jpg or Action"),
    "surplus map": (_edit(lambda f: f.copy("i2.jpg", "i4.jpg")), "map of no image of the board: i4.jpg"),
    "wrong size": (
        _edit(lambda f: _replace(f, "i1.jpg", _values(f)[::2, ::2])),
        r"another size than its image: i1.jpg \(48 x 64 for 96 x 128\)",
    ),
    "turned": (_edit(lambda f: _replace(f, "i1.jpg", _values(f).T)), "turned by 90 degrees: i1.jpg"),
    "three channels": (_edit(lambda f: _replace(f, "i1.jpg", np.zeros((96, 128, 3)))), "another size.*96 x 128 x 3"),
    "NaN": (_edit(_nan), r"NaN or infinite: i1.jpg \(1\)"),
    "infinite": (_edit(lambda f: _replace(f, "i1.jpg", np.full((96, 128), np.inf))), "NaN or infinite: i1.jpg"),
    "not normalised": (_edit(lambda f: _replace(f, "i1.jpg", _values(f) + 0.0011)), "subtract logsumexp: i1.jpg"),
    "density": (_edit(lambda f: _replace(f, "i1.jpg", np.exp(_values(f)))), "the density itself: store its natural"),
    "base 2": (_edit(lambda f: _replace(f, "i1.jpg", _values(f) / np.log(2))), "logarithms are of base 2"),
    "8-bit integers": (
        _edit(lambda f: _replace(f, "i1.jpg", (255 * np.exp(_values(f) - _values(f).max())).astype(np.uint8))),
        "no log density",
    ),
    "8-bit truncation": (_edit(_eight_bits), "no more values than 8 bits hold: write float32: i1.jpg"),
    "text for a map": (_edit(lambda f: _replace(f, "i1.jpg", "a map")), "is no array of numbers: i1.jpg"),
    "link to another file": (
        _edit(lambda f: _replace(f, "i1.jpg", h5py.ExternalLink("/etc/passwd", "/i1.jpg"))),
        "is a link to somewhere else, not a map: i1.jpg",
    ),
    "config of another file": (_config(filename="old.h5"), "of another file: filename is 'old.h5'"),
    "config without probabilities": (_config(probabilistic=False), "probabilistic: false"),
    "config of another board": (_config(dataset="MIT3000"), "names the data set 'MIT3000'"),
    "config of an unknown loss": (_config(loss="KLD"), "names the loss 'KLD'"),
    "config that is none": (lambda p, w: p.with_name("config.yaml").write_text("[") and None, "configuration lacks"),
}


@pytest.mark.parametrize("damage", HDF5_DAMAGE)
def test_damaged_hdf5_is_refused(
    damage: str, boards: dict[str, Board], archives: dict[str, Path], tmp_path: Path
) -> None:
    board, wanted = boards["tuebingen"]
    path = Path(shutil.copy(archives["tuebingen"], tmp_path))
    change, words = HDF5_DAMAGE[damage]
    change(path, wanted)
    _refused(board.check(path, wanted), words)


def _refused(check, words: str) -> None:
    import re

    assert not check.sound
    told = "\n".join(check.told())
    assert re.search(words, told), told


def _rewrite(change: Callable[[dict[str, bytes]], object], **options: object) -> Damage:
    """Unpack, change the contents by name, pack again."""

    def damage(path: Path, wanted: list[Picture]) -> None:
        with zipfile.ZipFile(path) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        change(contents)
        with zipfile.ZipFile(path, "w", **options) as archive:  # type: ignore[arg-type]
            for name, content in contents.items():
                archive.writestr(name, content)

    return damage


FIRST, SECOND = "COCO_val2014_000000000192.png", "COCO_val2014_000000000208.png"


def _png(array: np.ndarray, form: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(array).save(content, form)
    return content.getvalue()


def _levels(contents: dict[str, bytes], name: str = FIRST) -> np.ndarray:
    with Image.open(io.BytesIO(contents[name])) as picture:
        return np.asarray(picture)


def _cut_off(contents: dict[str, bytes]) -> None:
    """The integer part in place of the nearest level, as ``(255 * map).astype(uint8)`` gives it."""
    for name in contents:
        y, x = np.mgrid[:480, :640]
        exact = np.exp(-((y - 200) ** 2 + (x - 300) ** 2) / (2 * 90**2))
        contents[name] = _png((255 * exact).astype(np.uint8))


def _twice(path: Path, wanted: list[Picture]) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(FIRST, archive.read(FIRST))


def _link(path: Path, wanted: list[Picture]) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")


def _flipped_byte(path: Path, wanted: list[Picture]) -> None:
    content = bytearray(path.read_bytes())
    content[400] ^= 0xFF  # within the first picture
    path.write_bytes(content)


def _password(path: Path, wanted: list[Picture]) -> None:
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := content.find(signature, at + 1)) >= 0:
            content[at + offset] |= 1
    path.write_bytes(content)


ZIP_DAMAGE: dict[str, tuple[Damage, str]] = {
    "not a zip": (lambda p, w: p.write_text("maps") and None, "is no zip archive that can be read"),
    "cut short": (lambda p, w: os.truncate(p, p.stat().st_size // 2), "is no zip archive that can be read"),
    "a byte flipped": (_flipped_byte, "is damaged: the checksum does not fit|cannot be read"),
    "password": (_password, "cannot be opened without a password"),
    "missing map": (_rewrite(lambda c: c.pop(FIRST)), f"image without its map.*with .png.*: {FIRST}"),
    "wrong name": (_rewrite(lambda c: c.update({"1.png": c.pop(FIRST)})), "map of no image of the board: 1.png"),
    "wrong ending": (
        _rewrite(lambda c: c.update({FIRST.replace(".png", ".jpg"): c.pop(FIRST)})),
        "image without its map .maps are named as their images, with .png",
    ),
    "in a folder": (
        _rewrite(lambda c: c.update({f"maps/{FIRST}": c.pop(FIRST)})),
        f"map of no image of the board: maps/{FIRST}",
    ),
    "surplus map": (_rewrite(lambda c: c.update({"COCO_val2014_000000000001.png": c[FIRST]})), "map of no image"),
    "name twice": (_twice, f"is in the archive twice: {FIRST}"),
    "path upwards": (_rewrite(lambda c: c.update({"../evil.png": b""})), r"leads out of the folder.*'\.\./evil\.png'"),
    "absolute path": (_rewrite(lambda c: c.update({"/etc/evil.png": b""})), "leads out of the folder.*'/etc/evil"),
    "path upwards by backslash": (
        _rewrite(lambda c: c.update({"..\\evil.png": b""})),
        "leads out of the folder",
    ),
    "drive": (_rewrite(lambda c: c.update({"C:evil.png": b""})), "leads out of the folder.*'C:evil.png'"),
    "link": (_link, "is a link, not a file: link.png"),
    "zip bomb": (
        _rewrite(lambda c: c.update({FIRST: bytes(64 << 20)}), compression=zipfile.ZIP_DEFLATED),
        "unpacks to more than 20 times its size: this is no map",
    ),
    "wrong size": (
        _rewrite(lambda c: c.update({FIRST: _png(_levels(c)[::2, ::2])})),
        r"another size than its image: COCO_val2014_000000000192.png \(240 x 320 for 480 x 640\)",
    ),
    "turned": (_rewrite(lambda c: c.update({FIRST: _png(_levels(c).T.copy())})), "is turned by 90 degrees"),
    "in colour": (
        _rewrite(lambda c: c.update({FIRST: _png(np.dstack([_levels(c)] * 3))})),
        r"is no 8-bit grey picture: COCO_val2014_000000000192.png \(RGB\)",
    ),
    "16 bits": (
        _rewrite(lambda c: c.update({FIRST: _png(_levels(c).astype(np.uint16) * 257)})),
        "is no 8-bit grey picture",
    ),
    "JPEG called PNG": (_rewrite(lambda c: c.update({FIRST: _png(_levels(c), "JPEG")})), r"is no PNG.*it is JPEG"),
    "empty file": (_rewrite(lambda c: c.update({FIRST: b""})), "cannot be read as a picture"),
    "picture cut short": (_rewrite(lambda c: c.update({FIRST: c[FIRST][:-400]})), "cannot be read as a picture"),
    "black": (_rewrite(lambda c: c.update({FIRST: _png(np.zeros((480, 640), np.uint8))})), r"same everywhere.*\(0\)"),
    "8-bit truncation": (_rewrite(_cut_off), "levels were cut off, not rounded"),
}


@pytest.mark.parametrize("damage", ZIP_DAMAGE)
def test_damaged_zips_are_refused(
    damage: str, boards: dict[str, Board], archives: dict[str, Path], tmp_path: Path
) -> None:
    board, wanted = boards["salicon"]
    path = Path(shutil.copy(archives["salicon"], tmp_path))
    change, words = ZIP_DAMAGE[damage]
    change(path, wanted)
    _refused(board.check(path, wanted), words)


def test_a_category_folder_that_is_missing_is_refused(
    boards: dict[str, Board], archives: dict[str, Path], tmp_path: Path
) -> None:
    board, wanted = boards["cat2000"]
    path = Path(shutil.copy(archives["cat2000"], tmp_path))
    _rewrite(lambda c: c.update({"blobs/001.jpg": c.pop("blobs/Action/001.jpg")}))(path, wanted)
    _refused(board.check(path, wanted), "image without its map.*blobs/Action/001.jpg")
    moved = Path(shutil.copy(archives["cat2000"], tmp_path / "other.zip"))  # the folder is named as the archive
    _refused(board.check(moved, wanted), "image without its map.*other/Action/001.jpg")


def test_junk_of_operating_systems_is_tolerated(
    boards: dict[str, Board], archives: dict[str, Path], tmp_path: Path
) -> None:
    board, wanted = boards["salicon"]
    path = Path(shutil.copy(archives["salicon"], tmp_path))
    _rewrite(lambda c: c.update({".DS_Store": b"x", "__MACOSX/._a.png": b"x"}))(path, wanted)
    assert board.check(path, wanted).told() == []


# ---------------------------------------------------------------------------------------------- comparing


@pytest.mark.parametrize("name", BOARDS)
def test_what_storing_costs(name: str, boards: dict[str, Board], archives: dict[str, Path]) -> None:
    """Nothing in float32; in 8 bits below a percent of SIM."""
    board, wanted = boards[name]
    check = board.check(archives[name], wanted)
    loss = compare(board, check, wanted, blob)
    assert check.sound
    if board.kind == "log_density":
        assert loss.cc == pytest.approx(1, abs=1e-9)
        assert loss.kld == pytest.approx(0, abs=1e-9)
        assert loss.sim == pytest.approx(1, abs=1e-6)
    else:
        assert 0.9999 < loss.cc < 1
        assert 0.99 < loss.sim < 1


@pytest.mark.parametrize("name", ["salicon", "tuebingen_cat2000"])
def test_exchanged_maps_are_refused(
    name: str, boards: dict[str, Board], archives: dict[str, Path], tmp_path: Path
) -> None:
    board, wanted = boards[name]
    path = Path(shutil.copy(archives[name], tmp_path))
    first, second = (board.entry(p) for p in wanted[:2])
    if name == "salicon":
        _rewrite(lambda c: c.update({first: c[second], second: c[first]}))(path, wanted)
    else:
        with h5py.File(path, "r+") as file:
            file.move(first, "kept")
            file.move(second, first)
            file.move("kept", second)
    check = board.check(path, wanted)
    assert check.sound, "names and contents fit: only the checkpoint can tell"
    compare(board, check, wanted, blob)
    _refused(check, f"maps were exchanged.*{wanted[0].file} .*that of {wanted[1].file} fits")


def test_maps_of_another_checkpoint_are_refused(boards: dict[str, Board], archives: dict[str, Path]) -> None:
    board, wanted = boards["tuebingen"]
    check = board.check(archives["tuebingen"], wanted)
    compare(board, check, wanted, lambda p: -blob(p))
    _refused(check, r"is not what the checkpoint predicts: i1.jpg \(correlation -")


def test_predictions_stand_in_for_stored_maps(boards: dict[str, Board], archives: dict[str, Path]) -> None:
    board, wanted = boards["tuebingen"]
    made, stored = Predictions.of(board, wanted, blob), board.open(archives["tuebingen"], wanted)
    for picture in wanted:
        assert torch.equal(made.read(picture.image_id).values, stored.read(picture.image_id).values)


def test_only_picture_files_can_be_named() -> None:
    from saliency_pred.data.synthetic import Synthetic

    with pytest.raises(ValueError, match="does not consist of picture files"):
        pictures(Synthetic(count=4), [0])
