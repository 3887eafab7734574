"""UEyes: screenshots of user interfaces, logs of a Gazepoint tracker."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Literal

import numpy as np

from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError
from saliency_pred.data.fixation_table import FixationTable, Row
from saliency_pred.data.stills import StillDataset, find_folder, list_files, list_images
from saliency_pred.fixations import OutsidePolicy

_SCREEN = (1200, 1920)
_LOG = re.compile(r"(?P<block>\w+)_[kh]+(?P<viewer>\d+)_fixations", re.IGNORECASE)


class UEyes(StillDataset):
    """UEyes: 1980 web pages, desktop and mobile interfaces and posters; 62 viewers, 7 s.

    ``images/*.png|jpg`` (or in ``images/block N``), ``eyetracker_logs/<block>_kh<viewer>_fixations.csv``
    (``kh`` in either case), ``info.csv`` (``;`` between name, category, block, Train or Test), and
    ``saliency_maps/heatmaps_{1s,3s,7s}``. Positions in the logs are shares of a 1920 x 1200 screen on which
    the picture was centred, as large as its aspect allowed. Each row is one fixation; onsets are stored. CC
    BY 4.0.

    Args:
        root, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        split: ``official`` (1872 train, 108 test), or as there.
        gaze: ``FPOG``: the tracker's fixation position, with its onset and duration. ``BPOG``: the last
            sample of the fixation at its own time, which is what the official maps are made of.
        seconds: only fixations that began in so many first seconds (the release: 1, 3, 7); None: all.
        maps: read ``heatmaps_{seconds}s`` too, as shipped densities; needs seconds of 1, 3 or 7.

    Source: Jiang, Leiva, Rezazadegan Tavakoli et al., "UEyes: Understanding visual saliency across user
    interface types", CHI 2023; https://zenodo.org/records/8010312.
    """

    name = "ueyes"
    domain = "ui"
    viewing_time = 7.0
    blur_sigma = 40.0

    def __init__(
        self,
        root: str | Path,
        split: str = "official",
        outside: OutsidePolicy = "drop",
        gaze: Literal["FPOG", "BPOG"] = "FPOG",
        seconds: float | None = None,
        maps: bool = False,
    ) -> None:
        super().__init__(root, split, outside)
        if gaze not in ("FPOG", "BPOG"):
            raise ValueError(f"{self.name}: gaze={gaze!r} is none of FPOG, BPOG")
        if maps and seconds not in (1, 3, 7):
            raise ValueError(f"{self.name}: maps are shipped for 1, 3 and 7 seconds; got seconds={seconds}")
        base = find_folder(self.root, ["images"], f"{self.name}: images")
        blocks = sorted(p for p in base.iterdir() if p.is_dir() and re.fullmatch(r"block \d+", p.name))
        images: dict[str, Path] = {}
        for folder in blocks or [base]:
            images |= list_images(folder, f"{self.name}: images")
        logs = list_files(
            find_folder(self.root, ["eyetracker_logs"], f"{self.name}: logs"), [".csv"], f"{self.name}: logs"
        )
        records = self._read_logs(logs, gaze, seconds)
        self.image_ids = self._match(images, records)
        self.paths = [images[stem] for stem in self.image_ids]
        self._screen = [records[stem] for stem in self.image_ids]
        self._info = self._read_info()
        # Shares of the screen become pixels of the picture, which takes its size: headers are read here.
        rows: list[Row] = []
        for index, (x, y, time, duration, viewer) in enumerate(self._screen):
            height, width = self.size(index)
            scale = min(_SCREEN[1] / width, _SCREEN[0] / height)
            left, top = (_SCREEN[1] / scale - width) / 2, (_SCREEN[0] / scale - height) / 2
            rows.append((x * _SCREEN[1] / scale - left, y * _SCREEN[0] / scale - top, time, duration, viewer))
        del self._screen
        self.table = FixationTable(rows)
        if maps:
            folder = self.root / "saliency_maps" / f"heatmaps_{int(seconds or 0)}s"
            by_stem = list_images(folder, f"{self.name}: maps")
            self._attach_maps(lambda stem: [by_stem.get(stem, folder / f"{stem}.png")])
        self._finish()

    def _read_logs(self, logs: dict[str, Path], gaze: str, seconds: float | None) -> dict[str, tuple[np.ndarray, ...]]:
        """Shares of the screen, onset, duration and viewer of each image, by the image's stem."""
        collected: dict[str, list[tuple[float, ...]]] = {}
        for stem, path in logs.items():
            named = _LOG.fullmatch(stem)
            if named is None or named["block"].lower() == "c":  # calibration
                self.note("file that is no log of a block", path.name)
                continue
            try:
                for image, values in read_gazepoint(path, gaze):
                    if seconds is None or values[2] <= seconds:
                        collected.setdefault(Path(image).stem, []).append((*values, int(named["viewer"])))
            except (BrokenFileError, DatasetLayoutError) as problem:
                # The authors' own code passes over broken logs, too: one viewer less for one block.
                self.note("log that cannot be read", str(problem))
        if not collected:
            raise DatasetLayoutError(f"{self.name}: no log in {self.root / 'eyetracker_logs'} holds a fixation")
        return {stem: tuple(np.array(rows, dtype=np.float64).T) for stem, rows in collected.items()}

    def _read_info(self) -> dict[str, tuple[str, str]]:
        """Category and part of each image, by its stem."""
        path = self.root / "info.csv"
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except OSError:
            self.note("info.csv cannot be read: no categories, no official split", str(path))
            return {}
        fields = [line.split(";") for line in lines[1:] if line.strip()]
        return {Path(f[0]).stem: (f[1].strip(), f[3].strip().lower()) for f in fields if len(f) >= 4}

    def category(self, index: int) -> str | None:
        """``web``, ``desktop``, ``mobile`` or ``poster``."""
        return self._info.get(self.image_ids[index], (None, None))[0]

    def official_part(self, index: int) -> str | None:
        """``train`` or ``test``."""
        return self._info.get(self.image_ids[index], (None, None))[1]


def read_gazepoint(path: Path, gaze: str) -> list[tuple[str, tuple[float, float, float, float]]]:
    """The valid rows of a Gazepoint log: image name; x, y as shares of the screen, onset and duration in
    seconds.

    Args:
        path: the .csv file.
        gaze: ``FPOG`` or ``BPOG``, see :class:`UEyes`.

    Raises:
        BrokenFileError: it cannot be read, or a row is cut off.
        DatasetLayoutError: it lacks a column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as problem:
        raise BrokenFileError(f"{path} cannot be read: {problem.strerror}") from problem
    rows = list(csv.reader(io.StringIO(text)))
    if not rows:
        raise BrokenFileError(f"{path} is empty; download it again")
    # The header's fourth column carries the date of the recording: TIME(2022/04/22 14:22:15.215).
    header = [h.split("(")[0].strip() for h in rows[0]]
    wanted = [
        "MEDIA_NAME",
        f"{gaze}X",
        f"{gaze}Y",
        "FPOGS" if gaze == "FPOG" else "TIME",
        "FPOGD",
        f"{gaze}V",
    ]
    missing = [name for name in wanted if name not in header]
    if missing:
        raise DatasetLayoutError(f"{path} has no column {', '.join(missing)}; it is no Gazepoint fixation log")
    media, x, y, time, duration, valid = (header.index(name) for name in wanted)
    found = []
    for line, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            values = (float(row[x]), float(row[y]), float(row[time]), float(row[duration]))
            if row[valid].strip() == "1" and row[media].strip():
                found.append((row[media].strip(), values))
        except (IndexError, ValueError) as problem:
            raise BrokenFileError(f"{path}, line {line} is cut off or no row of numbers: {problem}") from problem
    return found
