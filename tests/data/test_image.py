"""Pictures of every kind come out as RGB the way they are shown."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from saliency_pred.data.errors import BrokenFileError
from saliency_pred.data.image import image_size, read_image, read_map

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
SMOOTH = np.stack(np.broadcast_arrays(*np.ogrid[0:240:10, 0:255:5], np.array([[128]])), -1).astype(np.uint8)


def save(path: Path, array: np.ndarray, mode: str | None = None, **options: object) -> Path:
    Image.fromarray(array, mode).save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "webp", "ppm"])
def test_lossless_formats_are_exact(ending: str, tmp_path: Path) -> None:
    options = {"lossless": True} if ending == "webp" else {}
    path = save(tmp_path / f"picture.{ending}", RGB, **options)
    np.testing.assert_array_equal(read_image(path), RGB)
    assert image_size(path) == (6, 9)


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    for ending in ("png", "jpg", "bmp"):
        path = (
            save(tmp_path / f"grey.{ending}", SMOOTH[..., 0], quality=95)
            if ending == "jpg"
            else save(tmp_path / f"grey.{ending}", SMOOTH[..., 0])
        )
        read = read_image(path)
        assert read.shape == SMOOTH.shape
        assert (read[..., 0] == read[..., 1]).all()
        np.testing.assert_allclose(read[..., 0].astype(int), SMOOTH[..., 0], atol=3 if ending == "jpg" else 0)


def test_sixteen_bits_keep_the_upper_eight(tmp_path: Path) -> None:
    grey = (SMOOTH[..., 0].astype(np.uint16) << 8) + 77
    for ending in ("png", "tif"):
        path = save(tmp_path / f"deep.{ending}", grey)
        np.testing.assert_array_equal(read_image(path), np.repeat(SMOOTH[..., :1], 3, axis=2))


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    rgba = np.concatenate([RGB, np.zeros((6, 9, 1), np.uint8)], axis=2)
    rgba[:, :4, 3] = 255
    rgba[0, 5] = [0, 0, 0, 128]
    read = read_image(save(tmp_path / "clear.png", rgba))
    np.testing.assert_array_equal(read[:, :4], RGB[:, :4])
    np.testing.assert_array_equal(read[1:, 4:], 255)
    np.testing.assert_allclose(read[0, 5], 127, atol=1)  # half black on white
    la = np.stack([RGB[..., 0], rgba[..., 3]], axis=2)
    grey = read_image(save(tmp_path / "clear_grey.png", la))
    np.testing.assert_array_equal(grey[:, :4, 1], RGB[:, :4, 0])
    np.testing.assert_array_equal(grey[1:, 5:], 255)


def test_palettes_with_and_without_a_transparent_colour(tmp_path: Path) -> None:
    indexed = Image.fromarray(SMOOTH).quantize(16)
    indexed.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), np.asarray(indexed.convert("RGB")))
    clear = int(np.asarray(indexed)[0, 0])
    indexed.save(tmp_path / "clear.png", transparency=clear)
    np.testing.assert_array_equal(read_image(tmp_path / "clear.png")[0, 0], 255)
    indexed.save(tmp_path / "first.gif")
    np.testing.assert_array_equal(read_image(tmp_path / "first.gif"), np.asarray(indexed.convert("RGB")))


def test_cmyk(tmp_path: Path) -> None:
    Image.fromarray(SMOOTH).convert("CMYK").save(tmp_path / "print.jpg", quality=100)
    np.testing.assert_allclose(read_image(tmp_path / "print.jpg").astype(int), SMOOTH, atol=8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_exif_rotation(orientation: int, ending: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{ending}"
    options = {"quality": 98} if ending == "jpg" else {}
    Image.fromarray(SMOOTH).save(path, exif=exif, **options)  # type: ignore[arg-type]
    with Image.open(path) as opened:
        shown = np.asarray(ImageOps.exif_transpose(opened).convert("RGB")).astype(int)
    read = read_image(path)
    assert read.shape == shown.shape
    assert image_size(path) == shown.shape[:2]
    np.testing.assert_allclose(read.astype(int), shown, atol=4)  # two JPEG decoders differ by some levels
    if ending == "tif":  # Pillow turns TIFF on its own
        return
    assert image_size(path, exif=False) == SMOOTH.shape[:2]
    np.testing.assert_allclose(read_image(path, exif=False).astype(int), SMOOTH, atol=12)


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "webp", "tif"])
def test_files_cut_at_any_place_are_refused(ending: str, tmp_path: Path) -> None:
    """Not one prefix of a file is taken for the picture: half grey pictures are worse than none."""
    noisy = RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    whole = save(tmp_path / f"whole.{ending}", noisy).read_bytes()
    path = tmp_path / f"cut.{ending}"
    for length in np.linspace(0, len(whole) * 0.97, 40).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(BrokenFileError) as told:
            read_image(path)
        assert str(path) in str(told.value)


def test_bytes_after_the_end_do_no_harm(tmp_path: Path) -> None:
    for ending in ("jpg", "png"):
        path = save(tmp_path / f"picture.{ending}", SMOOTH)
        before = read_image(path)
        path.write_bytes(path.read_bytes() + b"\n\0 camera maker's notes")
        np.testing.assert_allclose(read_image(path).astype(int), before, atol=3)


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(BrokenFileError, match="does not exist"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(BrokenFileError, match="does not exist"):
        image_size(tmp_path / "none.jpg")
    with pytest.raises(BrokenFileError, match="a folder where an image"):
        read_image(tmp_path)
    (tmp_path / "page.jpg").write_text("<html>")
    for read in (read_image, image_size, read_map):
        with pytest.raises(BrokenFileError, match="no picture"):
            read(tmp_path / "page.jpg")
    (tmp_path / "empty.jpg").touch()
    for read in (read_image, image_size, read_map):
        with pytest.raises(BrokenFileError, match="0 bytes"):
            read(tmp_path / "empty.jpg")


def test_names_that_are_not_ascii(tmp_path: Path) -> None:
    path = save(tmp_path / "bäume 樹.png", RGB)
    np.testing.assert_array_equal(read_image(path), RGB)


def test_maps_keep_their_levels(tmp_path: Path) -> None:
    grey = SMOOTH[..., 0]
    np.testing.assert_array_equal(read_map(save(tmp_path / "map.png", grey)), grey)
    deep = grey.astype(np.uint16) * 200
    np.testing.assert_array_equal(read_map(save(tmp_path / "deep.png", deep)), deep)
    np.testing.assert_array_equal(read_map(save(tmp_path / "float.tif", deep / 3.0 + 0)), (deep / 3.0).astype("f4"))
    colour = read_map(save(tmp_path / "colour.png", np.repeat(grey[..., None], 3, -1)))
    np.testing.assert_array_equal(colour, grey)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(buffer.getvalue()[:-40])
    with pytest.raises(BrokenFileError, match=r"truncated|damaged"):
        read_map(tmp_path / "cut.jpg")
