"""``saliency predict`` as its users meet it: files in, files and one JSON out."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
from fixtures.predictor import OVER_TIME, checkpoint, picture
from PIL import Image

from saliency_pred import load
from saliency_pred.cli import main
from saliency_pred.inference.predictor import Predictor
from saliency_pred.inference.record import SCHEMA
from saliency_pred.weights.checkpoint import load_checkpoint

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("still") / "model.safetensors")


@pytest.fixture(scope="module")
def over_time(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("time") / "model.safetensors", *OVER_TIME)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    Image.fromarray(picture(60, 80, 1)).save(folder / "a.png")
    Image.fromarray(picture(80, 60, 2)).save(folder / "b.jpg")
    Image.fromarray(picture(50, 50, 3)).save(folder / "more" / "c.png")
    return folder


def document(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "predictions.json").read_text())
    return content


# ---------------------------------------------------------------------- the schema is a contract

NUMBER, TEXT, WHOLE = "number", "text", "whole number"
REGION = {
    "box": [NUMBER],
    "area": NUMBER,
    "attention": NUMBER,
    "lift": NUMBER,
    "first_look": NUMBER,
    "windows": [NUMBER],
}
CHANGE = {"a": NUMBER, "b": NUMBER, "delta": NUMBER}
VERSION_1 = {
    "schema": WHOLE,
    "version": TEXT,
    "model": {"name": TEXT, "sha256": TEXT, "domain": TEXT, "input_size": [WHOLE], "windows": [[NUMBER]]},
    "images": [
        {
            "image": TEXT,
            "name": TEXT,
            "size": [WHOLE],
            "entropy": NUMBER,
            "max_entropy": NUMBER,
            "centre_bias_distance": NUMBER,
            "peak": [NUMBER],
            "regions": {"logo": REGION},
            "windows": [{"seconds": [NUMBER], "entropy": NUMBER, "centre_bias_distance": NUMBER, "peak": [NUMBER]}],
            "files": {"npy": TEXT, "regions": TEXT, "gif": TEXT},
            "settings": TEXT,
            "sha256": TEXT,
        }
    ],
    "failed": [{"image": TEXT, "error": TEXT}],
    "comparison": None,
}
COMPARISON_1 = {
    "a": TEXT,
    "b": TEXT,
    "entropy": CHANGE,
    "centre_bias_distance": CHANGE,
    "overlap": NUMBER,
    "regions": {"logo": {"area": CHANGE, "attention": CHANGE, "lift": CHANGE, "first_look": CHANGE}},
    "only_in_a": [TEXT],
    "only_in_b": [TEXT],
}


def shape(value: Any) -> Any:
    """Keys and types of a document; a list by its first element."""
    if isinstance(value, dict):
        return {key: shape(child) for key, child in value.items()}
    if isinstance(value, list):
        assert all(shape(child) == shape(value[0]) for child in value), value
        return [shape(value[0])] if value else []
    if value is None:
        return None
    return TEXT if isinstance(value, str) else WHOLE if isinstance(value, int) else NUMBER


def test_the_document_is_what_version_1_says(over_time: Path, photos: Path, tmp_path: Path) -> None:
    """Frozen: programs of others read it. A key that goes or changes its meaning needs another SCHEMA."""
    (photos / "broken.png").write_bytes(b"nothing")
    (tmp_path / "boxes.json").write_text('{"logo": [5, 6, 20.5, 10]}')
    out = tmp_path / "out"
    arguments = [f"ckpt={over_time}", f"out={out}", f"regions={tmp_path}/boxes.json", "time=true", "device=cpu"]
    assert main(["predict", str(photos), *arguments, "write=[npy]"]) == 2
    content = document(out)
    assert content["schema"] == SCHEMA == 1
    assert shape(content) == VERSION_1
    assert [image["name"] for image in content["images"]] == ["a", "b", "more/c"]
    assert main(["predict", str(photos / "a.png"), str(photos / "more" / "c.png"), *arguments, "compare=true"]) == 0
    comparison = document(out)["comparison"]
    assert shape(comparison) == COMPARISON_1 | {"overlap": None, "only_in_a": [], "only_in_b": []}


def test_every_key_of_the_document_is_explained(photos: Path) -> None:
    explained = set(re.findall(r"`([a-z_0-9]+)`", (REPOSITORY / "docs" / "predict.md").read_text()))

    def keys(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(keys, node))
        if not isinstance(node, dict):
            return set()
        return set(node).union(*map(keys, node.values()))

    assert keys(VERSION_1) | keys(COMPARISON_1) <= explained | {"logo"}


def test_the_numbers_are_those_of_python(ckpt: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    boxes = ["regions.left=[0,0,40,60]", "regions.corner=[70,50,99,99]"]
    image = photos / "a.png"
    assert main(["predict", str(image), f"ckpt={ckpt}", f"out={out}", *boxes, "device=cpu"]) == 0
    (record,) = document(out)["images"]
    prediction = Predictor.load(ckpt, device="cpu").predict(image)
    assert record["size"] == [60, 80]
    assert record["entropy"] == pytest.approx(prediction.entropy, abs=1e-4)
    assert record["centre_bias_distance"] == pytest.approx(prediction.centre_bias_distance, abs=1e-4)
    assert record["peak"] == list(prediction.peak)
    density = np.load(out / "a.npy")
    assert record["regions"]["left"]["attention"] == pytest.approx(density[:, :40].sum(), abs=1e-5)
    assert record["regions"]["left"]["lift"] == pytest.approx(2 * density[:, :40].sum(), abs=1e-5)
    assert record["regions"]["corner"]["area"] == pytest.approx(10 * 10 / 4800)
    assert record["regions"]["corner"]["attention"] == pytest.approx(density[50:, 70:].sum(), abs=1e-5)
    assert record["regions"]["left"]["first_look"] is None
    assert (out / record["files"]["regions"]).is_file()


# ---------------------------------------------------------------------- files


def test_without_a_checkpoint_the_shipped_weights_are_used(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With read-outs made here in the place of those that ship."""
    from saliency_pred.weights import default

    try:
        for name, settings in (("lite0", ()), ("lite0_time", OVER_TIME)):
            path = checkpoint(tmp_path / f"{name}.safetensors", *settings, "encoder.weights=package")
            made = load_checkpoint(path)
            default.save_default(path, made.model, made.config)
    except OSError as error:
        pytest.skip(str(error))
    monkeypatch.setattr(default, "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(photos / "a.png"), "write=npy", "device=cpu"]) == 0
    density = load(device="cpu").predict(photos / "a.png").density
    np.testing.assert_allclose(np.load("predictions/a.npy"), density, rtol=1e-4)
    assert main(["predict", str(photos / "a.png"), "time=true", "write=npy", "out=time", "device=cpu"]) == 0
    assert np.load("time/a.npy").shape == (3, 60, 80)
    assert document(tmp_path / "time")["model"]["windows"] == [[0, 0.5], [0.5, 1.5], [1.5, 3.0]]
    capsys.readouterr()
    (tmp_path / "lite0.safetensors").unlink()
    assert main(["predict", str(photos / "a.png")]) == 2
    assert "weights of the default predictor are not at" in capsys.readouterr().err


def test_every_output(over_time: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    kinds = "[npy,png16,hdf5,heat,overlay,sheet,gif,apng]"
    settings = [f"ckpt={over_time}", f"out={out}", f"write={kinds}", "time=true", "device=cpu"]
    assert main(["predict", str(photos / "a.png"), *settings]) == 0
    density = np.load(out / "a.npy")
    assert (density.shape, density.dtype) == ((3, 60, 80), np.float32)
    with h5py.File(out / "a.h5") as file:
        np.testing.assert_allclose(np.exp(file["log_density"][:]), density, rtol=1e-4)
        assert file["windows"][:].tolist() == [[0, 0.5], [0.5, 1.5], [1.5, 3]]
    pooled = (0.5 * density[0] + density[1] + 1.5 * density[2]) / 3
    for mark, one in (("", pooled), ("_1", density[0]), ("_2", density[1]), ("_3", density[2])):
        exact = cv2.imread(str(out / f"a{mark}_density.png"), cv2.IMREAD_UNCHANGED)
        assert exact.dtype == np.uint16
        np.testing.assert_allclose(exact / 65535, one / one.max(), atol=1e-4)
        for suffix in ("_heat.png", "_overlay.jpg"):
            assert cv2.imread(str(out / f"a{mark}{suffix}")).shape == (60, 80, 3)
    for name in ("a_time.gif", "a_time.png"):
        with Image.open(out / name) as moving:
            assert moving.n_frames == 36, "3 s at 12 frames a second"
            assert moving.info["loop"] == 0
            moving.seek(0)
            first = np.asarray(moving.convert("RGB"), np.int64)
            moving.seek(35)
            assert abs(np.asarray(moving.convert("RGB"), np.int64)[:60] - first[:60]).mean() > 1
    assert Image.open(out / "contact_sheet.jpg").width > 160
    assert set(document(out)["images"][0]["files"].values()) | {"predictions.json", "contact_sheet.jpg"} == {
        path.name for path in out.iterdir()
    }
    flat = tmp_path / "flat"  # without time=true, the same model over the whole viewing
    assert main(["predict", str(photos / "a.png"), f"ckpt={over_time}", f"out={flat}", "write=npy"]) == 0
    np.testing.assert_allclose(np.load(flat / "a.npy"), pooled, rtol=1e-3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["write=[npy,jpg]"], "write=jpg is none of npy, png16"),
        (["write=gif"], "add time=true"),
        (["time=true"], "no time windows"),
        (["compare=true"], "two images, A and B, got 1"),
        (["regions=nothing.csv"], "no file with regions at nothing.csv"),
        (["regions.logo=[1,2,3]"], "region logo must be"),
        (["max_pixels=100"], "raise max_pixels"),
        (["regions.logo=[80,0,5,5]"], "lies outside the image of 80 x 60"),
    ],
)
def test_what_cannot_be_is_explained(
    ckpt: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: list[str], words: str
) -> None:
    arguments = [str(photos / "a.png"), f"ckpt={ckpt}", f"out={tmp_path / 'out'}", *settings]
    assert main(["predict", *arguments]) == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert "Traceback" not in printed


def test_lists_patterns_and_videos(
    ckpt: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "clip.mp4").write_bytes(b"")
    listed = f"{photos / 'a.png'}\n\n{photos / 'nothing.png'}\n{photos / 'clip.mp4'}\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(listed))
    out = tmp_path / "out"
    pattern = str(photos / "**" / "c*.png")
    assert main(["predict", "-", pattern, f"ckpt={ckpt}", f"out={out}", "write=npy"]) == 2
    assert sorted(p.name for p in out.iterdir()) == ["a.npy", "c.npy", "predictions.json"]
    printed = capsys.readouterr()
    assert "2 of 2 images predicted" in printed.out
    assert "no such image or folder" in printed.err
    assert "clip.mp4 is empty (0 bytes)" in printed.err


# ---------------------------------------------------------------------- going on


def test_what_is_done_is_passed_over_until_something_changes(
    ckpt: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    def run(*settings: str) -> str:
        assert main(["predict", str(photos), f"ckpt={ckpt}", f"out={out}", "write=[npy]", *settings]) == 0
        return capsys.readouterr().out

    def touched() -> set[str]:
        """Which arrays were written anew since the last call."""
        new = {p.stem for p in out.rglob("*.npy") if p.stat().st_mtime_ns != old.get(p)}
        old.update({p: p.stat().st_mtime_ns for p in out.rglob("*.npy")})
        return new

    old: dict[Path, int] = {}
    assert "3 of 3 images predicted;" in run()
    assert touched() == {"a", "b", "c"}
    assert "0 of 3 images predicted, 3 done before" in run()
    assert touched() == set()
    (out / "b.npy").unlink()
    del old[out / "b.npy"]
    assert "1 of 3 images predicted, 2 done before" in run()
    assert touched() == {"b"}
    Image.fromarray(picture(60, 80, 7)).save(photos / "a.png")
    run()
    assert touched() == {"a"}, "another image under the same name"
    run("regions.box=[0,0,9,9]")
    assert touched() == {"a", "b", "c"}, "other settings"
    run("regions.box=[0,0,9,9]", "resume=false")
    assert touched() == {"a", "b", "c"}
    assert [image["name"] for image in document(out)["images"]] == ["a", "b", "more/c"]
    (out / "predictions.json").write_text("{")
    run()
    assert touched() == {"a", "b", "c"}, "a document that cannot be read is written anew"


def test_nothing_is_lost_when_it_is_stopped(
    ckpt: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    arguments = ["predict", str(photos), f"ckpt={ckpt}", f"out={out}", "write=npy", "batch_size=1"]
    whole = Predictor.predict
    calls = []

    def stopped(self: Predictor, image: Any) -> Any:
        calls.append(image)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(self, image)

    monkeypatch.setattr(Predictor, "predict", stopped)
    assert main(arguments) == 130
    assert [image["name"] for image in document(out)["images"]] == ["a", "b"]
    assert main(arguments) == 0
    assert len(calls) == 4, "only the third image is left"
    assert not [p for p in out.rglob("*") if p.name.endswith(".part")]


def test_images_of_another_run_with_the_same_settings_stay(ckpt: Path, photos: Path, tmp_path: Path) -> None:
    settings = [f"ckpt={ckpt}", f"out={tmp_path / 'out'}", "write=npy"]
    assert main(["predict", str(photos / "a.png"), *settings]) == 0
    assert main(["predict", str(photos / "b.jpg"), *settings]) == 0
    assert [image["name"] for image in document(tmp_path / "out")["images"]] == ["a", "b"]


# ---------------------------------------------------------------------- from A to B


def test_compare_says_what_changes(
    ckpt: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = picture(60, 80, 1).copy()
    second[10:30, 50:70] = np.random.default_rng(0).integers(0, 255, (20, 20, 3))
    Image.fromarray(second).save(photos / "a2.png")
    out = tmp_path / "out"
    settings = [f"ckpt={ckpt}", f"out={out}", "regions.spot=[50,10,20,20]", "compare=true", "device=cpu"]
    assert main(["predict", str(photos / "a.png"), str(photos / "a2.png"), *settings]) == 0
    comparison = document(out)["comparison"]
    a, b = np.load(out / "a.npy"), np.load(out / "a2.npy")
    attention = comparison["regions"]["spot"]["attention"]
    assert attention["a"] == pytest.approx(a[10:30, 50:70].sum(), abs=1e-5)
    assert attention["b"] == pytest.approx(b[10:30, 50:70].sum(), abs=1e-5)
    assert attention["delta"] == pytest.approx(attention["b"] - attention["a"])
    assert comparison["overlap"] == pytest.approx(np.minimum(a, b).sum(), abs=1e-5)
    assert comparison["overlap"] < 1
    assert f"({100 * attention['delta']:+.1f} points)" in capsys.readouterr().out


# ---------------------------------------------------------------------- hostile and degenerate files


def test_hostile_files_do_not_stop_the_others(ckpt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    colour = picture(40, 50)
    good: dict[str, tuple[int, int]] = {}

    def keep(name: str, image: Image.Image, **options: Any) -> None:
        image.save(photos / name, **options)
        good[name.rsplit(".", 1)[0]] = (image.height, image.width)

    keep("one_pixel.png", Image.fromarray(colour[:1, :1]))
    keep("a_line.png", Image.fromarray(np.tile(colour[:1], (1, 100, 1))))
    keep("a_column.jpg", Image.fromarray(np.tile(colour[:, :1], (125, 1, 1))))
    keep("black.png", Image.new("RGB", (50, 40)))
    keep("palette.png", Image.fromarray(colour).quantize(7))
    keep("bits.png", Image.fromarray(colour).convert("1"))
    keep("cmyk.jpg", Image.fromarray(colour).convert("CMYK"))
    keep("grey_and_alpha.png", Image.fromarray(colour).convert("LA"))
    keep("lossy.webp", Image.fromarray(colour))
    keep("page.tif", Image.fromarray(colour))
    frames = [Image.fromarray(np.roll(colour, i, 1)) for i in range(4)]
    keep("animated.gif", frames[0], save_all=True, append_images=frames[1:])
    cv2.imwrite(str(photos / "sixteen.png"), colour.astype(np.uint16) * 257)
    cv2.imwrite(str(photos / "sixteen_grey.png"), colour[..., 0].astype(np.uint16) * 257)
    good |= {"sixteen": (40, 50), "sixteen_grey": (40, 50)}
    whole = io.BytesIO()
    Image.fromarray(picture(300, 400)).save(whole, "JPEG")
    bad = {
        "truncated.jpg": whole.getvalue()[:2000],
        "empty.png": b"",
        "text.jpg": b"<html>404 not found</html>",
        "header_only.png": b"\x89PNG\r\n\x1a\n",
        "huge.pgm": b"P5 100000 100000 255\n\x00",
    }
    for name, content in bad.items():
        (photos / name).write_bytes(content)
    out = tmp_path / "out"
    assert main(["predict", str(photos), f"ckpt={ckpt}", f"out={out}"]) == 2
    printed = capsys.readouterr()
    content = document(out)
    assert {record["name"]: tuple(record["size"]) for record in content["images"]} == good
    assert {os.path.basename(f["image"]) for f in content["failed"]} == set(bad)
    for failure in content["failed"]:
        assert failure["error"] in printed.err
        assert "Traceback" not in printed.err
    for name, size in good.items():
        density = np.load(out / f"{name}.npy")
        assert density.shape == size, name
        assert density.astype(np.float64).sum() == pytest.approx(1, abs=1e-5), name
        assert np.isfinite(density).all(), name
        assert cv2.imread(str(out / f"{name}_overlay.jpg")).shape[:2] == size, name


def test_longer_than_a_jpeg_can_be(ckpt: Path, tmp_path: Path) -> None:
    Image.fromarray(np.tile(picture(2, 50), (1, 1600, 1))).save(tmp_path / "banner.png")
    out = tmp_path / "out"
    assert (
        main(["predict", str(tmp_path / "banner.png"), f"ckpt={ckpt}", f"out={out}", "regions.all=[0,0,80000,2]"]) == 0
    )
    assert np.load(out / "banner.npy").shape == (2, 80_000)
    assert cv2.imread(str(out / "banner_overlay.jpg")).shape == (1, 16_000, 3)
