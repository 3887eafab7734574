"""AViMoS: the set of the AIM 2024 challenge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar, Literal

from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.mouse_videos import MouseVideos
from saliency_pred.fixations import OutsidePolicy

_PARTS = {"train": "train", "public_test": "public", "private_test": "private"}


class AViMoS(MouseVideos):
    """AViMoS: 1500 videos in full HD of about 19 s, more than 70 viewers each.

    ::

        Videos/.../<name>.mp4                                     with sound
        Saliency{Train,Test}/.../<name>.mp4                       density maps
        Fixations{Train,Test}/.../<name>/fixations.json
        TrainTestSplit.json                                       {"train": [...], "public_test": [...], ...}

    The pictures in ``<name>/fixations/`` are not read: they lose points that share a pixel. How wide the maps were
    blurred is not published, so that targets are the maps, unless ``loader.blur_sigma`` is given.

    Args:
        root, split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        test: which test part split ``official`` has: ``public``, ``private`` or ``both``.
        maps: also the density maps.

    Source: https://github.com/msu-video-group/ECCVW24_Saliency_Prediction.
    """

    name = "avimos"
    _folders: ClassVar[tuple[str, str]] = ("Saliency", "Fixations")

    def __init__(
        self,
        root: str | Path,
        split: str = "official",
        outside: OutsidePolicy = "drop",
        test: Literal["public", "private", "both"] = "both",
        maps: bool = True,
    ) -> None:
        super().__init__(root, split, outside)
        if test not in ("public", "private", "both"):
            raise ValueError(f"{self.name}: test={test!r} is none of 'public', 'private', 'both'")
        self.test = test
        self.maps = maps
        listed = _read_split(self.root / "TrainTestSplit.json", self.name)
        videos = self._find("Videos", "*.mp4")
        maps_found = {} if not maps else {**self._find("SaliencyTrain", "*.mp4"), **self._find("SaliencyTest", "*.mp4")}
        fixations = {**self._find("FixationsTrain", "fixations.json"), **self._find("FixationsTest", "fixations.json")}
        if not videos:
            raise DatasetNotFoundError(
                f"{self.name}: no video in {self.root / 'Videos'}; unpack Videos.zip there, or set data.root to the "
                "folder that holds Videos"
            )
        self.image_ids, self.paths, self.fixation_paths, self.map_paths = [], [], [], []
        self._part: list[str] = []
        for name in sorted(videos):
            if name not in listed:
                self.note("video that is in no part", name)
                continue
            part, found = listed[name], fixations.get(name)
            if found is None and part == "train":
                self.note("training video without fixations", name)
                continue
            self.image_ids.append(name)
            self.paths.append(videos[name])
            self.fixation_paths.append(found)
            self.map_paths.append(maps_found.get(name))
            self._part.append(part)
        for name in sorted(listed.keys() - videos.keys()):
            self.note("listed video that is not there", name)
        if maps and not any(self.map_paths):
            raise DatasetNotFoundError(
                f"{self.name}: no density maps in {self.root / 'SaliencyTrain'} or {self.root / 'SaliencyTest'}; "
                "unpack them there, or set data.maps=false (and loader.blur_sigma)"
            )
        if not self.image_ids:
            raise DatasetLayoutError(
                f"{self.name}: none of the {len(videos)} videos in {self.root / 'Videos'} is in TrainTestSplit.json "
                "with its fixations; they are from different sets"
            )
        self.log_issues()

    def official_part(self, index: int) -> str | None:
        """``train``, or ``test`` if the video is of the chosen test part."""
        part = self._part[index]
        if part == "train":
            return "train"
        return "test" if self.test in ("both", part) else None

    def _find(self, folder: str, pattern: str) -> dict[str, Path]:
        """Name of the video → its file in a folder of the release, or in a folder in it (Train, Test)."""
        inner = "*/" if pattern == "fixations.json" else ""
        base = self.root / folder
        paths = sorted([*base.glob(inner + pattern), *base.glob("*/" + inner + pattern)])
        return {(p.parent.name if inner else p.stem): p for p in paths if not p.name.startswith(".")}


def _read_split(path: Path, name: str) -> dict[str, str]:
    """Video → ``train``, ``public`` or ``private``; names may be listed with their ending."""
    try:
        lists = json.loads(path.read_bytes())
    except FileNotFoundError as problem:
        raise DatasetNotFoundError(f"{name}: {path} is missing; it says which videos are for training") from problem
    except (OSError, ValueError) as problem:
        raise BrokenFileError(f"{path} cannot be read as JSON: {problem}; download it again") from problem
    if not isinstance(lists, dict) or not set(_PARTS) & set(lists):
        raise DatasetLayoutError(f"{path}: expected lists of names under {', '.join(_PARTS)}")
    return {str(v).removesuffix(".mp4"): _PARTS[part] for part in _PARTS for v in lists.get(part, [])}
