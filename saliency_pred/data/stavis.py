"""The six audio-visual sets as STAViS packaged them: AVAD, Coutrot 1 and 2, DIEM, ETMD, SumMe."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from saliency_pred.data.annotated_frames import AnnotatedFrames
from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError, DatasetNotFoundError
from saliency_pred.fixations import OutsidePolicy


class STAViSDataset(AnnotatedFrames):
    """One set of the packaging.

    ::

        video_frames/<set>/<video>/img_00001.jpg
        annotations/<set>/<video>/maps/fixMap_00001.mat     fixated pixels (variable eyeMap)
        annotations/<set>/<video>/maps/eyeMap_00001.jpg     density maps
        fold_lists/<set>_list_{train,test}_<fold>_fps.txt   "<video> <frames> <frames a second>" a line

    Each fold divides the videos into train and test; the three tests together are all videos (DIEM has one fold).
    Frames are shown at the rate that the list states. Sound is not read.

    Args:
        root, split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`; the root is the folder with
            ``video_frames``.
        fold: 1, 2 or 3.
        maps: also the density maps, whose blur is not published.

    Source: Tsiami, Koutras, Maragos, "STAViS", CVPR 2020; https://github.com/atsiami/STAViS.
    """

    fixation_files = ("maps/fixMap_*.mat",)
    fixation_variable = "eyeMap"
    map_files = "maps/eyeMap_*.jpg"

    packaged: ClassVar[str]
    """What the packaging calls the set."""
    folds: ClassVar[int] = 3

    def __init__(
        self,
        root: str | Path,
        split: str = "official",
        outside: OutsidePolicy = "drop",
        fold: Literal[1, 2, 3] = 1,
        maps: bool = True,
    ) -> None:
        super().__init__(root, split, outside)
        if fold not in range(1, self.folds + 1):
            raise ValueError(f"{self.name}: fold={fold} is none of {', '.join(map(str, range(1, self.folds + 1)))}")
        self.maps = maps
        frames, annotation = (self.root / kind / self.packaged for kind in ("video_frames", "annotations"))
        for folder in (frames, annotation):
            if not folder.is_dir():
                raise DatasetNotFoundError(
                    f"{self.name}: the folder {folder} is missing; set data.root to the folder that holds video_frames "
                    "and annotations, as STAViS's fetch_data.sh makes it"
                )
        self.image_ids, self.paths, self.annotations = [], [], []
        self._part: list[str] = []
        self._rate: list[float] = []
        number = f"_{fold}" if self.folds > 1 else ""
        for part in ("train", "test"):
            listed = self.root / "fold_lists" / f"{self.packaged}_list_{part}{number}_fps.txt"
            for video, rate in _read_list(listed, self.name):
                if not (frames / video).is_dir() or not (annotation / video).is_dir():
                    self.note("listed video without frames or annotation", video)
                    continue
                self.image_ids.append(video)
                self.paths.append(frames / video)
                self.annotations.append(annotation / video)
                self._part.append(part)
                self._rate.append(rate)
        if not self.image_ids:
            raise DatasetLayoutError(f"{self.name}: none of the videos that are listed for fold {fold} is in {frames}")
        self.log_issues()

    def official_part(self, index: int) -> str:
        """``train`` or ``test`` in the chosen fold."""
        return self._part[index]

    def rate(self, index: int) -> float:
        """Frames a second of a video, as listed."""
        return self._rate[index]


class AVAD(STAViSDataset):
    """AVAD: 45 short clips in which something is heard and seen (Min, Zhai, Gu, Yang)."""

    name = "avad"
    packaged = "AVAD"


class Coutrot1(STAViSDataset):
    """Coutrot 1: 60 clips: one moving object, several, landscapes, faces (Coutrot, Guyader)."""

    name = "coutrot1"
    packaged = "Coutrot_db1"


class Coutrot2(STAViSDataset):
    """Coutrot 2: 15 clips of four people in conversation (Coutrot, Guyader)."""

    name = "coutrot2"
    packaged = "Coutrot_db2"


class DIEM(STAViSDataset):
    """DIEM: 81 films, advertisements and games (Mital, Smith, Hill, Henderson)."""

    name = "diem"
    packaged = "DIEM"
    folds = 1


class ETMD(STAViSDataset):
    """ETMD: 12 clips of Hollywood films (Koutras, Maragos)."""

    name = "etmd"
    packaged = "ETMD_av"


class SumMe(STAViSDataset):
    """SumMe: 25 user videos (Gygli, Grabner, Riemenschneider, Van Gool), gaze by STAViS's authors."""

    name = "summe"
    packaged = "SumMe"


def _read_list(path: Path, name: str) -> list[tuple[str, float]]:
    """Video and frames a second, of each line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as problem:
        raise DatasetNotFoundError(f"{name}: the list {path} is missing; unpack fold_lists there") from problem
    except (OSError, UnicodeDecodeError) as problem:
        raise BrokenFileError(f"{path} cannot be read: {problem}") from problem
    found = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        try:
            found.append((words[0], float(words[2])))
        except (IndexError, ValueError):
            raise DatasetLayoutError(
                f"{path}, line {number}: expected '<video> <frames> <frames a second>', found {line!r}"
            ) from None
    return found
