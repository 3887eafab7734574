"""Predictions in Python: every kind of input, the numbers by hand, the same result each time."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from fixtures.predictor import OVER_TIME, checkpoint, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from saliency_pred import load
from saliency_pred.data.errors import BrokenFileError
from saliency_pred.data.placement import Placement
from saliency_pred.density import CentreBias, log_normalise, resize_log_density
from saliency_pred.inference.images import rgb_image
from saliency_pred.inference.prediction import Prediction
from saliency_pred.inference.predictor import Predictor
from saliency_pred.inference.regions import Region, read_regions, regions_of, score_region


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("still") / "model.safetensors")


@pytest.fixture(scope="module")
def predictor(ckpt: Path) -> Predictor:
    return Predictor.load(ckpt, device="cpu")


@pytest.fixture(scope="module")
def over_time(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    path = tmp_path_factory.mktemp("time") / "model.safetensors"
    return Predictor.load(checkpoint(path, *OVER_TIME), time=True, device="cpu")


# ---------------------------------------------------------------------- what goes in


def test_one_image_in_every_form_gives_one_prediction(predictor: Predictor, tmp_path: Path) -> None:
    pixels = picture(60, 80)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    wanted = predictor.predict(pixels)
    assert wanted.log_density.shape == (1, 60, 80)
    assert float(wanted.map.std()) > 0.01, "a flat density would be equal to any other"
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    forms = {
        "path": tmp_path / "photo.png",
        "text": str(tmp_path / "photo.png"),
        "pillow": Image.fromarray(pixels),
        "float": pixels / 255,
        "float32": (pixels / 255).astype(np.float32),
        "16 bit": pixels.astype(np.uint16) * 257,
        "opaque": np.dstack([pixels, np.full((60, 80), 255, np.uint8)]),
        "tensor": tensor,
        "float tensor": tensor.float() / 255,
        "double tensor with a gradient": (tensor.double() / 255).requires_grad_(),
        "not contiguous": np.flip(np.flip(pixels, 1).copy(), 1),
    }
    for name, form in forms.items():
        one = predictor.predict(form)
        assert isinstance(one, Prediction)
        assert np.array_equal(one.image, pixels), name
        assert torch.equal(one.log_density, wanted.log_density), name
    for batch in ([pixels, tmp_path / "photo.png"], np.stack([pixels] * 2), torch.stack([tensor] * 2)):
        two = predictor.predict(batch)  # type: ignore[arg-type]
        assert isinstance(two, list)
        assert len(two) == 2
        torch.testing.assert_close(two[1].log_density, wanted.log_density, rtol=0, atol=1e-4)  # other sums of floats
    assert predictor.predict([]) == []


def test_grey_is_three_equal_channels_and_transparency_is_white() -> None:
    grey = picture(10, 12)[..., 0]
    for form in (grey, grey[..., None], Image.fromarray(grey), torch.from_numpy(grey.copy())[None]):
        assert np.array_equal(rgb_image(form), np.repeat(grey[..., None], 3, -1))
    clear = np.zeros((4, 5, 4), np.uint8)
    assert (rgb_image(clear) == 255).all()
    assert (rgb_image(Image.fromarray(clear, "RGBA")) == 255).all()


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        (np.zeros((3, 40, 50), np.uint8), ValueError, "channels come last"),
        (torch.zeros(40, 50, 3), ValueError, r"must be \(3, H, W\).*an array may be"),
        (np.zeros((40, 50, 2), np.uint8), ValueError, r"got \(40, 50, 2\)"),
        (np.zeros((0, 50, 3), np.uint8), ValueError, "no pixels"),
        (np.full((4, 5, 3), 255.0), ValueError, r"lie in \[0, 1\], got 255 to 255; divide by 255"),
        (np.full((4, 5, 3), np.nan), ValueError, r"lie in \[0, 1\]"),
        (np.zeros((4, 5, 3), np.int64), TypeError, "got int64"),
        (np.zeros((4, 5, 3), bool), TypeError, "got bool"),
        (None, TypeError, "got NoneType"),
        (Image.new("F", (4, 5)), ValueError, "floating-point pictures"),
        ("nothing.jpg", BrokenFileError, "nothing.jpg does not exist"),
    ],
)
def test_what_is_no_image_is_said(wrong: object, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        rgb_image(wrong)  # type: ignore[arg-type]


def test_the_limit_of_pixels_holds_for_all_and_can_be_raised(ckpt: Path, tmp_path: Path) -> None:
    pixels = picture(30, 40)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    small = Predictor.load(ckpt, device="cpu", max_pixels=1199)
    for form in (pixels, Image.fromarray(pixels), tmp_path / "photo.jpg", torch.zeros(3, 30, 40)):
        with pytest.raises((ValueError, BrokenFileError), match=r"40 x 30 = 1,200 pixels.*raise max_pixels"):
            small.predict(form)
    assert Predictor.load(ckpt, device="cpu", max_pixels=1200).predict(pixels).map.shape == (30, 40)


def test_a_decompression_bomb_is_not_decoded(tmp_path: Path) -> None:
    """A valid header that states 40 gigapixels, on next to nothing: refused before any memory is asked for."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0)
    bomb = tmp_path / "bomb.png"
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    with pytest.raises(BrokenFileError, match=r"200000 x 200000 = 40,000,000,000 pixels, more than the limit"):
        rgb_image(bomb)
    limit = Image.MAX_IMAGE_PIXELS
    large = np.zeros((1, limit // 1000 * 3, 3), np.uint8)  # Pillow's own limit is raised for the one file only
    Image.fromarray(large).convert("P").save(tmp_path / "palette.png")
    Image.MAX_IMAGE_PIXELS = 1000
    try:
        assert rgb_image(tmp_path / "palette.png").shape == large.shape
        assert Image.MAX_IMAGE_PIXELS == 1000
    finally:
        Image.MAX_IMAGE_PIXELS = limit


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 3), (700, 701)])
def test_any_size_gives_a_density(predictor: Predictor, size: tuple[int, int]) -> None:
    for pixels in (picture(*size), np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)):
        prediction = predictor.predict(pixels)
        assert prediction.density.shape == size
        assert prediction.density.astype(np.float64).sum() == pytest.approx(1, abs=1e-5)
        assert prediction.density.min() > 0
        assert (prediction.map.max(), prediction.overlay().shape) == (1, (*size, 3))
        assert 0 <= prediction.entropy <= prediction.max_entropy + 1e-9
        assert prediction.centre_bias_distance is not None
        assert np.isfinite(prediction.centre_bias_distance)


def test_the_same_twice_and_in_any_company(ckpt: Path) -> None:
    images = [picture(60, 80), picture(80, 60, 1), picture(60, 80, 2), picture(33, 200, 3), picture(90, 91, 4)]
    one = Predictor.load(ckpt, device="cpu", batch_size=2)
    two = Predictor.load(ckpt, device="cpu", batch_size=2)
    first, second = one.predict(images), two.predict(images)
    for image, a, b in zip(images, first, second, strict=True):
        assert np.array_equal(a.image, image), "in the order given"
        assert torch.equal(a.log_density, b.log_density)
        alone = two.predict(image)
        assert isinstance(alone, Prediction)
        torch.testing.assert_close(alone.log_density, a.log_density, rtol=0, atol=1e-4)


@pytest.mark.parametrize("resize", ["pad", "stretch", "fit"])
def test_every_way_to_the_input(ckpt: Path, resize: Literal["pad", "stretch", "fit"]) -> None:
    """By the model itself, called with what the rule makes of the image."""
    predictor = Predictor(Predictor.load(ckpt).model, (128, 128), resize, device="cpu")
    images = [picture(61, 83), picture(83, 61, 1), picture(10, 400, 2)]
    for pixels, prediction in zip(images, predictor.predict(images), strict=True):
        place = Placement.of(pixels.shape[:2], (128, 128), resize)
        image = torch.from_numpy(place.image(pixels)).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            logits = predictor.model(image, place.valid()[None])[
                ..., place.top : place.top + place.size[0], place.left : place.left + place.size[1]
            ]
        wanted = resize_log_density(logits, pixels.shape[:2])[0]
        torch.testing.assert_close(prediction.log_density, wanted, rtol=0, atol=1e-4)


# ---------------------------------------------------------------------- what comes out


def test_numbers_by_hand() -> None:
    density = torch.tensor([[[0.5, 0.25], [0.125, 0.125]]], dtype=torch.float64)
    bias = CentreBias(torch.tensor([[[0.25, 0.25], [0.25, 0.25]]], dtype=torch.float64))
    one = Prediction(density.log().float(), np.zeros((2, 2, 3), np.uint8), centre_bias=bias)
    assert one.entropy == pytest.approx(1.75)  # .5 * 1 + .25 * 2 + 2 * .125 * 3
    assert one.max_entropy == 2
    assert one.centre_bias_distance == pytest.approx(0.25)  # from a uniform density: 2 - 1.75
    assert one.peak == (0.5, 0.5)
    assert one.windows is None
    score = one.regions({"left": [0, 0, 1, 2], "a quarter": [0, 0, 0.5, 0.5], "beyond": [1, -5, 9, 6]})
    assert score["left"].attention == pytest.approx(0.625)
    assert (score["left"].area, score["left"].lift) == (0.5, pytest.approx(1.25))
    assert score["a quarter"].attention == pytest.approx(0.125), "parts of pixels count as parts"
    assert score["a quarter"].lift == pytest.approx(2)
    assert (score["beyond"].area, score["beyond"].attention) == (0.25, pytest.approx(0.25)), "cut at the border"
    assert score["left"].first_look is None
    assert Prediction(density.log().float(), one.image).centre_bias_distance is None


def test_time_windows_are_pooled_by_their_length(over_time: Predictor) -> None:
    prediction = over_time.predict(picture(40, 50))
    assert isinstance(prediction, Prediction)
    assert prediction.windows == ((0, 0.5), (0.5, 1.5), (1.5, 3))
    densities = prediction.density.astype(np.float64)
    assert densities.shape == (3, 40, 50)
    np.testing.assert_allclose(densities.sum((1, 2)), 1, atol=1e-5)
    whole = (0.5 * densities[0] + densities[1] + 1.5 * densities[2]) / 3
    np.testing.assert_allclose(prediction.pooled.density, whole, rtol=1e-4)
    score = prediction.regions({"box": [5, 6, 20, 10]})["box"]
    assert score.by_window is not None
    np.testing.assert_allclose(score.by_window, densities[:, 6:16, 5:25].sum((1, 2)), atol=1e-5)
    assert score.first_look == score.by_window[0]
    assert score.attention == pytest.approx(whole[6:16, 5:25].sum(), abs=1e-5)
    assert np.array_equal(prediction.window(1).density, prediction.density[1])
    assert not np.array_equal(prediction.heatmap(0), prediction.heatmap(2))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.lists(st.floats(0, 9), min_size=1, max_size=3, unique=True),
    st.integers(0, 10_000),
)
def test_regions_that_tile_the_image_share_all_of_it(height: int, width: int, cuts: list[float], seed: int) -> None:
    logits = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, 1, height, width)))
    density = log_normalise(logits)[0, 0].exp().numpy()
    edges = [0.0, *sorted(c for c in cuts if 1e-6 < c < width - 1e-6), float(width)]
    strips = [Region(str(i), a, 0, b - a, height) for i, (a, b) in enumerate(pairwise(edges))]
    strips = [s for s in strips if s.width > 1e-9]
    scores = [score_region(strip, density) for strip in strips]
    assert sum(s.attention for s in scores) == pytest.approx(1)
    assert sum(s.area for s in scores) == pytest.approx(1)
    assert sum(s.lift * s.area for s in scores) == pytest.approx(1)


def test_regions_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text(
        '{"logo": [1, 2, 3, 4], "a.png": {"logo": [5, 6, 7, 8], "head": [0, 0, 1, 1]}}'
    )
    (tmp_path / "boxes.csv").write_text(
        "\ufeffimage, name, x, y, width, height\n,logo,1,2,3,4\na.png,logo,5,6,7,8\na.png,head,0,0,1,1\n", "utf-8"
    )
    wanted = [Region("logo", 5, 6, 7, 8, "a.png"), Region("head", 0, 0, 1, 1, "a.png")]
    for name in ("boxes.json", "boxes.csv"):
        found = read_regions(tmp_path / name)
        assert regions_of(found, "folder/a.png") == wanted, "its own boxes stand before those of every image"
        assert regions_of(found, "folder/b.png") == [Region("logo", 1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", '{"logo": [1, 2, 3]}', r"region logo must be \[x, y, width, height\]"),
        ("a.json", '{"logo": "1234"}', "must be"),
        ("a.json", "[[1, 2, 3, 4]]", "expected"),
        ("a.json", '{"logo": [1, 2, 0, 4]}', "above 0"),
        ("a.json", '{"logo": [1, 2, 1e999, 4]}', "must be numbers"),
        ("a.json", "{", "a.json"),
        ("a.csv", "name,x,y,width\nlogo,1,2,3\n", "no column height"),
        ("a.csv", "name,x,y,width,height\nlogo,1,2,3,4\nhead,1,b,3,4\n", "line 3: region head"),
        ("a.csv", "name,x,y,width,height\nlogo,1,2,3,4\nlogo,1,2,3,4\n", "2 regions called logo"),
        ("a.txt", "", "must end in"),
    ],
)
def test_files_that_hold_no_regions_are_explained(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=words):
        read_regions(tmp_path / name)


def test_a_region_beside_the_image_is_an_error(predictor: Predictor) -> None:
    prediction = predictor.predict(picture(20, 30))
    assert isinstance(prediction, Prediction)
    with pytest.raises(ValueError, match=r"region logo .* lies outside the image of 30 x 20"):
        prediction.regions({"logo": [30, 0, 5, 5]})
    with pytest.raises(FileNotFoundError, match="no file with regions"):
        prediction.regions("nothing.json")


# ---------------------------------------------------------------------- loading


def test_load_is_instant_to_import_and_says_what_is_wrong(ckpt: Path, tmp_path: Path) -> None:
    script = (
        "import sys, saliency_pred\n"
        "assert not {'torch', 'numpy', 'PIL', 'hydra'} & set(sys.modules)\n"
        f"saliency_pred.load({str(ckpt)!r}, device='cpu')\n"
        "slow = {'timm', 'torchvision', 'pytorch_lightning', 'albumentations', 'scipy', 'h5py', 'huggingface_hub'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load(tmp_path / "nothing.ckpt")
    with pytest.raises(ValueError, match="time=false"):
        load(ckpt, time=True)
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors"):
        load(tmp_path)
    with pytest.raises(ValueError, match="domain='nature' is none of"):
        Predictor.load(ckpt, domain="nature")
