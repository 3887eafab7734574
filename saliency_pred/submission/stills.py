"""What the boards of still images share: which maps they want, building, checking, comparing."""

from __future__ import annotations

import io
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.data.stills import StillDataset
from saliency_pred.density import log_normalise, saliency_map
from saliency_pred.evaluation.maps import MapFiles, PredictedMap
from saliency_pred.metrics import functional as F
from saliency_pred.metrics.presets import Kind
from saliency_pred.submission.check import Check, zip_entries
from saliency_pred.submission.staging import Staging

SAME_MAP = 0.98
"""The least correlation of a stored map with the prediction that it was made of; other images' are far below."""
_CUT_OFF = 0.25
"""Around a smooth peak half as many pixels round to 255 as to 254; integer parts leave only the peak itself."""
_ENOUGH_PIXELS = 200
_SEARCHES = 3


@dataclass(frozen=True)
class Picture:
    """An image that a board wants a map of.

    Attributes:
        index: in the data set.
        image_id: there.
        file: its name in the release, with the folders that names repeat in: ``i12.jpg``, ``Action/001.jpg``.
        size: (height, width).
    """

    index: int
    image_id: str
    file: str
    size: tuple[int, int]

    @property
    def stem(self) -> str:
        """``file`` without its ending."""
        return self.file.rpartition(".")[0]


Predict = Callable[[Picture], Tensor]
"""float32 (H, W) log density of an image at its own size."""


def pictures(dataset: SaliencyDataset, indices: Sequence[int]) -> list[Picture]:
    """The images of a data set that maps are wanted of.

    Raises:
        ValueError: the data set does not consist of picture files, or there are none.
    """
    if not isinstance(dataset, StillDataset):
        raise ValueError(f"{dataset.name} does not consist of picture files, which the board's maps are named by")
    if not indices:
        raise ValueError(f"{dataset.name}: no images to submit maps of")
    return [
        Picture(i, dataset.image_ids[i], f"{dataset.image_ids[i]}{dataset.paths[i].suffix}", dataset.size(i))
        for i in indices
    ]


class StillBoard(ABC):
    """A leaderboard of still images: what its archive is named, holds, and may not hold."""

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    kind: ClassVar[Kind]
    """Of what is stored: ``log_density`` or ``map``."""
    images: ClassVar[dict[str, int]]
    """Data set → how many images of it the board scores."""

    @abstractmethod
    def entry(self, picture: Picture) -> str:
        """The name of its map in the archive."""

    @abstractmethod
    def write(self, log_density: Tensor, path: Path) -> None:
        """One map, from a float32 (H, W) log density."""

    @abstractmethod
    def pack(self, staging: Staging, wanted: Sequence[Picture]) -> None:
        """Make the archive of the finished maps."""

    @abstractmethod
    def check(self, file: Path, wanted: Sequence[Picture]) -> Check:
        """Look at everything in an archive as the board would."""

    @abstractmethod
    def open(self, file: Path, wanted: Sequence[Picture]) -> MapFiles:
        """The maps of a sound archive by image, for scoring."""

    def build(self, wanted: Sequence[Picture], predict: Predict, out: Path, about: dict[str, Any]) -> None:
        """Predict every image that is not done yet, then make the archive.

        One map is in memory at a time; a build that was stopped goes on where it was.

        Args:
            wanted: the images, in any order.
            predict: called once for each.
            out: the archive, which must not exist.
            about: what the maps are made of; see :class:`~saliency_pred.submission.staging.Staging`.

        Raises:
            ValueError: the archive's name has another ending than the board's, or a prediction is no log density.
        """
        if out.suffix.lower() not in self.suffixes:
            raise ValueError(f"{self.name} takes {' or '.join(self.suffixes)}, out={out} ends otherwise")
        out.parent.mkdir(parents=True, exist_ok=True)
        staging = Staging(out, about)
        for picture in tqdm(wanted, desc=f"maps for {self.name}", unit="map", disable=None, leave=False):
            if self.entry(picture) in staging:
                continue
            log_density = normalised(predict(picture), picture)
            with staging.writing(self.entry(picture)) as path:
                self.write(log_density, path)
        self.pack(staging, wanted)

    def shown(self, log_density: Tensor) -> Tensor:
        """float64 (H, W): what would be stored if numbers had no end."""
        return log_density.double() if self.kind == "log_density" else saliency_map(log_density).double()


class PictureBoard(StillBoard):
    """A board that takes a zip of grey pictures."""

    kind = "map"
    suffixes = (".zip",)
    format: ClassVar[str]
    ending: ClassVar[str]

    def entry(self, picture: Picture) -> str:
        """The image's name with the ending of the maps."""
        return f"{picture.stem}{self.ending}"

    def open(self, file: Path, wanted: Sequence[Picture]) -> MapFiles:
        """The maps of a sound archive by image."""
        return MapFiles(file, {p.image_id: f"{self.folder(file)}{self.entry(p)}" for p in wanted}, file.stem)

    def folder(self, file: Path) -> str:
        """The folder that the maps of an archive lie in, ending in ``/``; empty: in none."""
        return ""

    def pack(self, staging: Staging, wanted: Sequence[Picture]) -> None:
        """One zip."""
        staging.write_zip([self.entry(p) for p in wanted], self.folder(staging.out))

    def check(self, file: Path, wanted: Sequence[Picture]) -> Check:
        """Names, then every picture: format, channels, bits, size, content."""
        check = Check(file)
        entries = zip_entries(check, tolerated=(".DS_Store", "Thumbs.db"))
        if check.sound:
            self._check_pictures(check, entries, wanted)
        return check

    def _check_pictures(self, check: Check, entries: Iterable[str], wanted: Sequence[Picture]) -> None:
        expected = {f"{self.folder(check.file)}{self.entry(p)}": p for p in wanted}
        levels = np.zeros(256, dtype=np.int64)
        with zipfile.ZipFile(check.file) as archive:
            for name in check.compare_names(
                entries, list(expected), f"maps are named as their images, with {self.ending}"
            ):
                check.entries += 1
                fault, values = self._look_at(archive.read(name), expected[name].size)
                if values is None:
                    check.refuse(fault.partition(" (")[0], f"{name}{''.join(fault.partition(' (')[1:])}")
                else:
                    levels += np.bincount(values.ravel(), minlength=256)
        used = np.flatnonzero(levels)
        if levels[254] >= _ENOUGH_PIXELS and levels[255] < _CUT_OFF * levels[254] and self.format == "PNG":
            check.refuse(
                f"its levels were cut off, not rounded: {levels[255]} pixels have 255 and {levels[254]} have 254 "
                "(write round(255 * map), not its integer part)"
            )
        elif len(used) and used[-1] < 128:
            check.warn(f"no map is brighter than {used[-1]} of 255: half of the levels or more are not used")

    def _look_at(self, content: bytes, size: tuple[int, int]) -> tuple[str, np.ndarray | None]:
        """What is wrong with one picture, or its levels."""
        try:
            with Image.open(io.BytesIO(content)) as picture:
                found = (picture.height, picture.width)
                if picture.format != self.format:
                    return f"is no {self.format} (it is {picture.format})", None
                if found != size:
                    turned = "is turned by 90 degrees" if found == size[::-1] else "has another size than its image"
                    return f"{turned} ({found[0]} x {found[1]} for {size[0]} x {size[1]})", None
                if picture.mode != "L":
                    return f"is no 8-bit grey picture ({picture.mode})", None
                picture.load()
                values = np.asarray(picture)
        except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error ... by format
            return f"cannot be read as a picture ({error})", None
        if values.min() == values.max():
            return f"is the same everywhere ({int(values.max())})", None
        return "", values


def grey_picture(log_density: Tensor, path: Path, *options: int) -> None:
    """Write the density, divided by its maximum, in 255 levels, rounded to the nearest."""
    levels = (255 * saliency_map(log_density)).round().to(torch.uint8).numpy()
    if not cv2.imwrite(str(path), levels, options):
        raise OSError(f"{path} could not be written")


def normalised(log_density: Tensor, picture: Picture) -> Tensor:
    """float32 (H, W), normalised anew in float64; refuses what is no log density of this image.

    Raises:
        ValueError: another shape than the image's, or pixels that are NaN or infinite.
    """
    if tuple(log_density.shape) != picture.size:
        raise ValueError(f"{picture.file}: the prediction is {tuple(log_density.shape)}, the image {picture.size}")
    bad = int((~torch.isfinite(log_density)).sum())
    if bad:
        raise ValueError(f"{picture.file}: {bad} pixels of the prediction are NaN or infinite")
    return log_normalise(log_density.double()[None, None])[0, 0].float()


@dataclass(frozen=True)
class Predictions(MapFiles):
    """Predictions made when they are asked for, in the place of stored maps."""

    make: Callable[[str], Tensor]

    @classmethod
    def of(cls, board: StillBoard, wanted: Sequence[Picture], predict: Predict) -> Predictions:
        """What ``board`` would store of them if numbers had no end."""
        named = {p.image_id: p for p in wanted}

        def make(image_id: str) -> Tensor:
            return board.shown(normalised(predict(named[image_id]), named[image_id]))

        return cls(Path("predictions"), {name: name for name in named}, "predictions", make)

    def read(self, key: str) -> PredictedMap:
        """float64 map of one image."""
        return PredictedMap(self.make(key), 64, lossy=False)


@dataclass(frozen=True)
class Loss:
    """How far stored maps are from the predictions they were made of: means over ``images``.

    Attributes:
        cc, kld, sim: of the stored density and the predicted one; 1, 0 and 1 if nothing is lost.
    """

    images: int
    cc: float
    kld: float
    sim: float

    def __str__(self) -> str:
        return f"CC {self.cc:.5f}, KLD {max(self.kld, 0):.5f}, SIM {self.sim:.5f} ({self.images} maps)"


def compare(
    board: StillBoard, check: Check, wanted: Sequence[Picture], predict: Predict, others: Sequence[Picture] = ()
) -> Loss:
    """Predict some images again and compare: what storing cost, and whether each map is its own image's.

    Args:
        board, check: of a sound archive; maps that are others' are refused in ``check``.
        wanted: the images to predict.
        predict: with the checkpoint that the archive is said to be of.
        others: images whose maps may have been exchanged with these; by default ``wanted``.
    """
    stored = board.open(check.file, [*wanted, *others])
    sums, searched = np.zeros(3), 0
    for picture in tqdm(wanted, desc="comparing", unit="map", disable=None, leave=False):
        predicted = normalised(predict(picture), picture)
        density = predicted.double().exp()[None]
        mine = _density(stored.read(picture.image_id).values, board.kind)
        cc = float(F.cc(mine[None], density))
        if cc < SAME_MAP:
            searched += 1  # each search reads the whole archive
            twin = _twin(board, stored, picture, density, [*wanted, *others]) if searched <= _SEARCHES else None
            check.refuse(
                "is not what the checkpoint predicts"
                + (", but another image's map is: maps were exchanged" if twin else ""),
                f"{picture.file} (correlation {cc:.3f}{f', that of {twin} fits' if twin else ''})",
            )
        sums += [cc, float(F.kld(mine[None], density)), float(F.sim(mine[None], density))]
    return Loss(len(wanted), *(sums / max(1, len(wanted))).tolist())


def _twin(
    board: StillBoard, stored: MapFiles, picture: Picture, density: Tensor, among: Sequence[Picture]
) -> str | None:
    """Another image whose stored map is the prediction for this one."""
    for other in among:
        if other.image_id != picture.image_id and other.size == picture.size:
            theirs = _density(stored.read(other.image_id).values, board.kind)
            if float(F.cc(theirs[None], density)) >= SAME_MAP:
                return other.file
    return None


def _density(values: Tensor, kind: Kind) -> Tensor:
    return values.exp() if kind == "log_density" else values
