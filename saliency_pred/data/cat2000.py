"""CAT2000: twenty categories of pictures, 24 viewers, 5 s."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from saliency_pred.data.errors import DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.image import read_image
from saliency_pred.data.matlab import read_mat
from saliency_pred.data.stills import StillDataset, list_categories
from saliency_pred.fixations import Fixations, OutsidePolicy

_GREY = 126  # the level that pictures of other aspects are padded with


class CAT2000(StillDataset):
    """CAT2000: 2000 training and 2000 test pictures (1080 x 1920) in 20 categories, 5 s of free viewing.

    ``trainSet/Stimuli/<category>/NNN.jpg``, ``trainSet/FIXATIONLOCS/<category>/NNN.mat`` (binary map
    ``fixLocs``), ``trainSet/FIXATIONMAPS/<category>/NNN.jpg``; ``testSet/Stimuli/<category>/NNN.jpg``, whose
    fixations are held back. ``Output`` folders are passed over. Fixations come from ``fixLocs``: those that
    fell on one pixel are one, and who made them when is not known (``allFixData.mat`` holds that in a MATLAB
    ``containers.Map``, a form that only MATLAB documents; it is not read).

    EXIF rotations are ignored: one picture (test, Pattern/134.jpg) bears a wrong one.

    Args:
        root: the folder with ``trainSet`` or ``testSet``, or one of these.
        split: ``1600/400`` draws 80 and 20 of each category; or see
            :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        outside: what becomes of fixations outside the image.
        part: ``train``, or ``test``: pictures alone, for predictions to be submitted.
        padding: ``keep``, or ``crop``: cut the grey margins off; fixations on them are then outside. Sizes
            are then known only from the pixels, so that the first look at each picture is slow.
        maps: read ``FIXATIONMAPS`` too, as shipped densities (with padding=keep only).

    Source: Borji, Itti, "CAT2000: A large scale fixation dataset for boosting saliency research", CVPR 2015
    workshops; http://saliency.mit.edu/results_cat2000.html.
    """

    name = "cat2000"
    viewing_time = 5.0
    pixel_per_dva = 38.0
    blur_sigma = 40.0
    expected_size: ClassVar[tuple[int, int]] = (1080, 1920)
    exif = False
    split_names: ClassVar[dict[str, str]] = {"1600/400": "per-category-0.8/0.2"}

    def __init__(
        self,
        root: str | Path,
        split: str = "1600/400",
        outside: OutsidePolicy = "drop",
        part: Literal["train", "test"] = "train",
        padding: Literal["keep", "crop"] = "keep",
        maps: bool = False,
    ) -> None:
        super().__init__(root, split, outside)
        if part not in ("train", "test") or padding not in ("keep", "crop"):
            raise ValueError(f"{self.name}: part={part!r} must be train or test, padding={padding!r} keep or crop")
        if maps and (padding == "crop" or part == "test"):
            raise ValueError(f"{self.name}: the shipped maps are of the padded training pictures; set data.maps=false")
        self.part = part
        self.crop = padding == "crop"
        self._boxes: dict[int, tuple[int, int, int, int]] = {}
        self.base = self.root if (self.root / "Stimuli").is_dir() else self.root / f"{part}Set"
        images = list_categories(self.base / "Stimuli", f"{self.name}: images")
        self.image_ids = list(images)
        if part == "train":
            locations = self.base / "FIXATIONLOCS"
            if not locations.is_dir():
                raise DatasetNotFoundError(
                    f"{self.name}: {locations} is missing; {self.base} is the test set (set "
                    "data.part=test) or "
                    "trainSet.zip was not unpacked completely"
                )
            records = [
                f"{folder.name}/{file.stem}"
                for folder in sorted(locations.iterdir())
                if folder.is_dir()
                for file in sorted(folder.glob("*.mat"))
            ]
            self.image_ids = self._match(images, records)
        self.paths = [images[name] for name in self.image_ids]
        if maps:
            self._attach_maps(lambda name: [self.base / "FIXATIONMAPS" / f"{name}.jpg"])
        self._finish()

    def category(self, index: int) -> str:
        """The folder that the picture is in."""
        return self.image_ids[index].split("/")[0]

    def official_part(self, index: int) -> str | None:
        """``test`` for the test set; the training set is not divided further."""
        return "test" if self.part == "test" else None

    def image(self, index: int) -> np.ndarray:
        """uint8 (H, W, 3) RGB as shown, without its grey margins if they are cropped."""
        picture = read_image(self.paths[index], self.exif)
        self._check_size(index, picture.shape[:2])
        if not self.crop:
            return picture
        top, left, height, width = self._box(index, picture)
        return np.ascontiguousarray(picture[top : top + height, left : left + width])

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of :meth:`image`."""
        if not self.crop:
            return super().size(index)
        return self._box(index)[2:]

    def fixations(self, index: int) -> Fixations | None:
        """The fixations of one training picture, in its pixels; None for the test set."""
        if self.part == "test":
            return None
        path = self.base / "FIXATIONLOCS" / f"{self.image_ids[index]}.mat"
        binary = np.asarray(read_mat(path, "fixLocs"))
        if binary.shape != self.expected_size:
            raise DatasetLayoutError(
                f"{path}: fixLocs is {binary.shape}, CAT2000's are {self.expected_size}; unpack trainSet.zip again"
            )
        rows, cols = np.nonzero(binary)
        top, left = self._box(index)[:2] if self.crop else (0, 0)
        return Fixations.of(cols + 0.5 - left, rows + 0.5 - top, self.size(index))

    def _box(self, index: int, picture: np.ndarray | None = None) -> tuple[int, int, int, int]:
        """(top, left, height, width) of what is not grey margin."""
        if index not in self._boxes:
            self._boxes[index] = content_box(read_image(self.paths[index], self.exif) if picture is None else picture)
        return self._boxes[index]


def content_box(picture: np.ndarray, grey: int = _GREY, tolerance: int = 6) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a picture without margins of one grey level.

    Args:
        picture: uint8 (H, W, 3).
        grey: level of the margin.
        tolerance: levels that JPEG may have changed a margin's pixel by.
    """
    other = (np.abs(picture.astype(np.int16) - grey) > tolerance).any(axis=2)
    # A margin is cut where fewer than 1 in 100 pixels of a line differ: JPEG smears over the picture's edge.
    rows = np.flatnonzero(other.mean(axis=1) > 0.01)
    cols = np.flatnonzero(other.mean(axis=0) > 0.01)
    if len(rows) == 0 or len(cols) == 0:
        return 0, 0, picture.shape[0], picture.shape[1]
    return int(rows[0]), int(cols[0]), int(rows[-1] - rows[0] + 1), int(cols[-1] - cols[0] + 1)
