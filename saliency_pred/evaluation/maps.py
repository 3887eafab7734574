"""Maps that any program wrote: found in a folder, an archive or an HDF5 file, matched to images, read."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import h5py
import numpy as np
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from saliency_pred.data.errors import BrokenFileError

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
ARRAYS = (".npy",)
HDF5 = (".h5", ".hdf5", ".hdf")

_GREY_TOLERANCE = 3
"""How far the channels of a grey JPEG stored in colour drift apart, of 255."""


@dataclass(frozen=True)
class PredictedMap:
    """One map as it was stored.

    Attributes:
        values: float64 (H, W), or (T, H, W) of several time windows.
        bits: of each stored value; 8 is coarse.
        lossy: whether the format (JPEG) changes values.
    """

    values: Tensor
    bits: int
    lossy: bool


@dataclass(frozen=True)
class MapFiles:
    """The maps below a path, by name.

    Attributes:
        path: a folder (with any folders in it), a zip archive, an HDF5 file, or a single map.
        entries: key → file in the folder or archive, or data set of the HDF5 file. The key is the path below
            ``path`` without suffix.
        name: for people.
    """

    path: Path
    entries: dict[str, str] = field(repr=False)
    name: str

    @classmethod
    def open(cls, path: str | Path) -> MapFiles:
        """List the maps of a path, without reading them.

        Raises:
            FileNotFoundError: nothing is there.
            ValueError: no maps in it, or two maps of one name.
        """
        where = Path(path).expanduser()
        if not where.exists():
            raise FileNotFoundError(f"{where} does not exist; give a folder, a .zip, an .h5 or a single map")
        suffix = where.suffix.lower()
        if where.is_dir():
            names = [p.relative_to(where).as_posix() for p in sorted(where.rglob("*")) if p.is_file()]
        elif zipfile.is_zipfile(where):
            with zipfile.ZipFile(where) as archive:
                names = sorted(i.filename for i in archive.infolist() if not i.is_dir())
        elif suffix in HDF5:
            return cls(where, {name: name for name in _hdf5_names(where)}, where.stem)
        elif suffix in PICTURES + ARRAYS:
            return cls(where.parent, {where.stem: where.name}, where.stem)
        else:
            raise ValueError(
                f"{where} is no folder, .zip or {', '.join(HDF5)}, nor a single {', '.join(PICTURES + ARRAYS)}"
            )
        entries: dict[str, str] = {}
        for name in names:
            file = PurePosixPath(name)
            hidden = any(part.startswith((".", "__MACOSX")) for part in file.parts)
            if hidden or file.suffix.lower() not in PICTURES + ARRAYS:
                continue
            key = file.with_suffix("").as_posix()
            if key in entries:
                raise ValueError(f"{where}: two maps for {key}: {entries[key]} and {name}; keep one of them")
            entries[key] = name
        if not entries:
            raise ValueError(f"{where}: no maps ({', '.join(PICTURES + ARRAYS)}) in it")
        return cls(where, entries, where.resolve().name if where.is_dir() else where.stem)

    def match(self, image_ids: Sequence[str]) -> tuple[dict[str, str], list[str], list[str]]:
        """Which map belongs to which image: the one whose path ends in the image's, or the reverse.

        Args:
            image_ids: stems, with folders where stems repeat.

        Returns:
            image → key, the images without a map, the keys without an image.

        Raises:
            ValueError: several maps could be meant.
        """
        by_stem: dict[str, list[str]] = {}
        for key in self.entries:
            by_stem.setdefault(_parts(key)[-1], []).append(key)
        found: dict[str, str] = {}
        for image in image_ids:
            fitting = [key for key in by_stem.get(_parts(image)[-1], []) if _one_ends_in_the_other(key, image)]
            exact = [key for key in fitting if _parts(key) == _parts(image)]
            chosen = exact or fitting
            if len(chosen) > 1:
                raise ValueError(f"{self.path}: several maps for {image}: {', '.join(chosen[:3])}; keep one")
            if chosen:
                found[image] = chosen[0]
        taken: dict[str, str] = {}
        for image, key in found.items():
            if key in taken:
                raise ValueError(
                    f"{self.path}: {self.entries[key]} could be the map of {taken[key]} or of {image}; "
                    "name maps by the images' paths"
                )
            taken[key] = image
        return found, [i for i in image_ids if i not in found], [k for k in self.entries if k not in taken]

    def read(self, key: str) -> PredictedMap:
        """One map.

        Raises:
            BrokenFileError: it cannot be read.
            ValueError: it is no map: colours, or not of two or three dimensions.
        """
        name = self.entries[key]
        if self.path.suffix.lower() in HDF5:
            with h5py.File(self.path) as file:
                return _of_array(np.asarray(file[name]), f"{self.path}: {name}")
        if self.path.is_dir():
            where, content = str(self.path / name), (self.path / name).read_bytes()
        else:
            where = f"{self.path}: {name}"
            try:
                with zipfile.ZipFile(self.path) as archive:
                    content = archive.read(name)
            except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as problem:
                raise BrokenFileError(f"{where}: {problem}") from problem
        if name.lower().endswith(ARRAYS):
            try:
                array = np.load(io.BytesIO(content), allow_pickle=False)
            except (ValueError, EOFError, OSError) as problem:
                raise BrokenFileError(f"{where}: no NumPy array ({problem})") from problem
            return _of_array(array, where)
        return _of_picture(content, where)


def _parts(key: str) -> tuple[str, ...]:
    return PurePosixPath(key).parts


def _one_ends_in_the_other(a: str, b: str) -> bool:
    x, y = _parts(a), _parts(b)
    shared = min(len(x), len(y))
    return x[-shared:] == y[-shared:]


def _hdf5_names(path: Path) -> list[str]:
    names: list[str] = []

    def visit(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset) and node.dtype.kind in "fiu" and node.ndim >= 2:
            names.append(name)

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    except OSError as problem:
        raise BrokenFileError(f"{path}: no HDF5 file ({problem})") from problem
    if not names:
        raise ValueError(f"{path}: no data sets of two dimensions in it; write one per image, named by its stem")
    return names


def _of_array(array: np.ndarray, where: str) -> PredictedMap:
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{where}: values of type {array.dtype} are no numbers")
    shape = array.shape
    while array.ndim > 2 and 1 in (array.shape[0], array.shape[-1]):
        array = array[0] if array.shape[0] == 1 else array[..., 0]
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"{where}: a map is (height, width) or (time windows, height, width), got {shape}")
    return PredictedMap(torch.from_numpy(array.astype(np.float64)), 8 * array.dtype.itemsize, lossy=False)


def _of_picture(content: bytes, where: str) -> PredictedMap:
    """By Pillow, which refuses truncated files that OpenCV fills up with grey; the pages of a TIFF are windows."""
    lossy = content[:2] == b"\xff\xd8"
    pages: list[np.ndarray] = []
    try:
        with Image.open(io.BytesIO(content)) as picture:
            bits = 16 if picture.mode.startswith("I") else 8
            for page in ImageSequence.Iterator(picture) if picture.format == "TIFF" else [picture]:
                page.load()
                plain = page.convert("RGB") if page.mode in ("1", "P", "PA", "CMYK", "YCbCr") else page
                pages.append(np.asarray(plain))
    except Exception as problem:  # Pillow raises OSError, SyntaxError, ValueError, struct.error ... by format
        raise BrokenFileError(f"{where}: no picture that can be read ({len(content)} bytes; {problem})") from problem
    bits = max(bits, 8 * pages[0].dtype.itemsize) if pages[0].dtype.kind == "f" else bits
    maps = [_grey(page, lossy, where) for page in pages]
    if len({m.shape for m in maps}) > 1:
        raise ValueError(f"{where}: {len(maps)} pages of different sizes; write the maps of all time windows alike")
    return PredictedMap(torch.from_numpy(np.stack(maps) if len(maps) > 1 else maps[0]), bits, lossy)


def _grey(array: np.ndarray, lossy: bool, where: str) -> np.ndarray:
    """float64 (H, W) of (H, W) or (H, W, channels)."""
    values = array.astype(np.float64)
    if values.ndim == 3:
        if values.shape[2] in (2, 4):
            values = values[..., :-1]  # what is transparent was predicted all the same
        if np.ptp(values, axis=2).max() > (_GREY_TOLERANCE if lossy else 0):
            raise ValueError(f"{where}: a picture in colour, no map; write maps in grey")
        values = values.mean(axis=2)
    return values
