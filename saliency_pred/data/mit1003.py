"""MIT1003 in its original form and in the packaging of NUS VIP, and the images of MIT300."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from saliency_pred.data.errors import DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.eye_samples import RATE, detect_fixations
from saliency_pred.data.fixation_table import FixationTable
from saliency_pred.data.matlab import columns, entries, field, read_mat
from saliency_pred.data.nusvip import read_nusvip
from saliency_pred.data.stills import StillDataset, find_folder, list_files, list_images
from saliency_pred.fixations import Fixations, OutsidePolicy

_LONGEST_NAME = 63
"""MATLAB cuts variable names to so many characters."""


class MIT1003(StillDataset):
    """MIT1003: 1003 pictures of Flickr and LabelMe, 15 viewers, 3 s of free viewing.

    Two layouts are recognised.

    The original: ``ALLSTIMULI/*.jpeg``, ``ALLFIXATIONMAPS/*_fixMap.jpg`` and ``DATA/<viewer>/<stem>.mat``
    with raw samples at 240 Hz, from which fixations are detected as the official MATLAB code does (onsets and
    durations are then known). The packaging of NUS VIP (``data/mit/stimuli/*.jpg``,
    ``data/mit/eye/fixations.mat``): detected with that code, without first fixations, those outside the
    image left out, durations but no onsets.

    Args:
        root, split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        drop_first: leave out each viewer's first fixation, on the central cross, as the authors do
            (the NUS VIP packaging never has it).
        saccade_gap: estimate onsets from durations, NUS VIP packaging only; see
            :class:`~saliency_pred.data.nusvip.NUSVIPDataset`.
        maps: read ``ALLFIXATIONMAPS`` too, as shipped densities.

    Source: Judd, Ehinger, Durand, Torralba, "Learning to predict where humans look", ICCV 2009;
    http://people.csail.mit.edu/tjudd/WherePeopleLook; https://github.com/NUS-VIP/ksvd-saliency.
    """

    name = "mit1003"
    viewing_time = 3.0
    pixel_per_dva = 35.0
    blur_sigma = 24.0

    def __init__(
        self,
        root: str | Path,
        split: str = "803/200",
        outside: OutsidePolicy = "drop",
        drop_first: bool = True,
        saccade_gap: float | None = None,
        maps: bool = False,
    ) -> None:
        super().__init__(root, split, outside)
        self.drop_first = drop_first
        self.viewers: list[str] = []
        candidates = ("ALLSTIMULI", "data/mit/stimuli", "mit/stimuli", "data/stimuli", "stimuli")
        folder = find_folder(self.root, candidates, f"{self.name}: images")
        images = list_images(folder, f"{self.name}: images")
        if folder.name == "ALLSTIMULI":
            self._open_original(images)
        else:
            rows = read_nusvip(folder.parent / "eye" / "fixations.mat", saccade_gap)
            self.image_ids = self._match(images, rows)
            self.table = FixationTable([rows[stem] for stem in self.image_ids])
        self.paths = [images[stem] for stem in self.image_ids]
        if maps:
            of = find_folder(self.root, ["ALLFIXATIONMAPS", "ALLFIXATIONMAPSICCV"], f"{self.name}: maps")
            ending = "_fixMap.jpg" if of.name == "ALLFIXATIONMAPS" else ".jpg"
            self._attach_maps(lambda stem: [of / f"{stem}{ending}"])
        self._finish()

    def _open_original(self, images: dict[str, Path]) -> None:
        """Find each viewer's recordings; they are read when they are needed, 15 small files an image."""
        data = self.root / "DATA"
        if not data.is_dir():
            raise DatasetNotFoundError(
                f"{self.name}: {data} with one folder of recordings per viewer is missing; unpack DATA.zip there"
            )
        self.viewers = sorted(p.name for p in data.iterdir() if p.is_dir() and not p.name.startswith("."))
        if not self.viewers:
            raise DatasetLayoutError(f"{self.name}: {data} holds no folder of a viewer")
        recordings: set[str] = set()
        for viewer in self.viewers:
            stems = set(list_files(data / viewer, [".mat"], f"{self.name}: recordings"))
            for stem in sorted((recordings or stems) - stems & images.keys()):
                self.note("image that a viewer has no recording of", f"{viewer}/{stem}")
            recordings |= stems
        self.image_ids = self._match(images, recordings)

    def fixations(self, index: int) -> Fixations:
        """The fixations of one image, in its pixels; onsets and durations from the raw samples."""
        size = self.size(index)
        if self.table is not None:
            return self.table.of(index, size)
        stem = self.image_ids[index]
        parts: list[tuple[np.ndarray, ...]] = []
        for k, viewer in enumerate(self.viewers):
            path = self.root / "DATA" / viewer / f"{stem}.mat"
            if not os.path.lexists(path):  # noted at opening
                continue
            parts.append((*self._recording(path, stem), np.array([k])))
        x, y, time, duration = (np.concatenate([p[j] for p in parts]) for j in range(4))
        viewer_of = np.concatenate([np.full(len(p[0]), p[4][0]) for p in parts])
        return Fixations.of(x, y, size, time=time, duration=duration, viewer=viewer_of)

    def _recording(self, path: Path, stem: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """x, y, onset and duration of the fixations in one file of ``DATA``."""
        contents = read_mat(path)
        variable = stem[:_LONGEST_NAME]
        if variable not in contents:
            raise DatasetLayoutError(
                f"{path} has no variable {variable!r} but {sorted(contents) or 'nothing'}: it is not MIT1003's"
            )
        trials = entries(field(contents[variable], "DATA", str(path)))
        samples = columns(field(trials[0], "eyeData", f"{path}: DATA(1)"), 2, f"{path}: DATA(1).eyeData")
        found = detect_fixations(samples)
        keep = np.isfinite(found.x) & np.isfinite(found.y)
        if self.drop_first and len(keep):
            keep[0] = False
        onset, duration = found.start / RATE, (found.end - found.start) / RATE
        # Columns and rows are counted from 1.
        return found.x[keep] - 0.5, found.y[keep] - 0.5, onset[keep], duration[keep]


class MIT300(StillDataset):
    """MIT300: 300 pictures of the MIT/Tübingen benchmark, whose fixations (39 viewers, 3 s) are held back.

    ``BenchmarkIMAGES/*.jpg``. For predictions to be submitted; every image is in the part ``test``.

    Source: Judd, Durand, Torralba, "A benchmark of computational models of saliency to predict human
    fixations", MIT tech report 2012; http://saliency.mit.edu/results_mit300.html.
    """

    name = "mit300"
    viewing_time = 3.0
    pixel_per_dva = 35.0
    blur_sigma = 24.0

    def __init__(self, root: str | Path, split: str = "official", outside: OutsidePolicy = "drop") -> None:
        super().__init__(root, split, outside)
        folder = find_folder(self.root, ["BenchmarkIMAGES", "BenchmarkIMAGES/BenchmarkIMAGES"], f"{self.name}: images")
        try:
            images = list_images(folder, f"{self.name}: images")
        except DatasetLayoutError:
            images = list_images(folder / folder.name, f"{self.name}: images")
        self.image_ids = list(images)
        self.paths = list(images.values())
        self.log_issues()

    def official_part(self, index: int) -> str:
        """Always ``test``."""
        return "test"
