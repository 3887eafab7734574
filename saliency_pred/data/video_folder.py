"""A folder of one's own videos, with fixations, density maps or both."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from saliency_pred.data.dataset import DOMAINS
from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.fixation_table import FixationTable
from saliency_pred.data.folder import SHIFT, Coordinates
from saliency_pred.data.video import VIDEO_SUFFIXES
from saliency_pred.data.videos import OpenedVideos, Which, as_density, in_frames
from saliency_pred.fixations import Fixations, OutsidePolicy


class VideoFolder(OpenedVideos):
    """One's own videos.

    ::

        root/videos/<video>.mp4|avi|...    or a folder of numbered frames, videos/<video>/
        root/fixations.csv                 video,x,y,time[,duration,viewer]     one fixation a line, or
                                           video,x,y,frame[,viewer]             one point of a frame a line
        root/maps/<video>.mp4|...          density maps: a grey video with a map for each frame, or a folder of them

    ``fixations.csv``, or ``maps``, or both. ``<video>`` is the name with or without its ending. Times are seconds from
    the first frame; a fixation with a duration counts in every frame that it lasts through, one without in the frame
    that is shown at its time. Frames are counted from 0. Viewers are any names or numbers.

    Args:
        root: the folder.
        split, outside: see :class:`~saliency_pred.data.dataset.SaliencyDataset`.
        coordinates: ``edge``: x = 0 is the left edge of the frame; ``zero``: pixel numbers from 0; ``one``: from 1;
            ``relative``: shares of width and height.
        fps: frames a second of folders of frames.
        domain: kind of videos, see :data:`~saliency_pred.data.dataset.DOMAINS`.
        pixel_per_dva: pixels per degree of visual angle; NaN if unknown.
        blur_sigma: pixels, of the Gaussian that makes densities of the fixations; NaN: one degree of visual angle.
    """

    name = "video_folder"

    def __init__(
        self,
        root: str | Path,
        split: str = "0.8/0.2",
        outside: OutsidePolicy = "drop",
        coordinates: Coordinates = "edge",
        fps: float = 30.0,
        domain: str = "video",
        pixel_per_dva: float = math.nan,
        blur_sigma: float = math.nan,
    ) -> None:
        super().__init__(root, split, outside)
        if coordinates not in SHIFT:
            raise ValueError(f"{self.name}: coordinates={coordinates!r} is none of {', '.join(SHIFT)}")
        if domain not in DOMAINS:
            raise ValueError(f"{self.name}: domain={domain!r} is none of {', '.join(DOMAINS)}")
        self.coordinates = coordinates
        self.frame_rate = fps
        self.domain = domain  # type: ignore[misc]
        self.pixel_per_dva = pixel_per_dva  # type: ignore[misc]
        self.blur_sigma = pixel_per_dva if math.isnan(blur_sigma) else blur_sigma  # type: ignore[misc]
        videos = _videos(self.root / "videos", self.name)
        table = self.root / "fixations.csv"
        self.by_frame, records = _read_csv(table) if table.is_file() else (False, None)
        maps = _videos(self.root / "maps", self.name) if (self.root / "maps").is_dir() else None
        if records is None and maps is None:
            raise DatasetNotFoundError(
                f"{self.name}: {self.root} has neither fixations.csv nor maps/; see the section on own videos in "
                "data/README.md"
            )
        known = set(videos)
        for kind, names in (("fixations", records), ("map", maps)):
            if names is None:
                continue
            for name in sorted(set(names) - set(videos)):
                self.note(f"{kind} without video", name)
            for name in sorted(set(videos) - set(names)):
                self.note(f"video without {kind}", name)
            known &= set(names)
        if not known:
            raise DatasetLayoutError(
                f"{self.name}: none of the videos ({', '.join(list(videos)[:3])} ...) has fixations or maps"
            )
        self.image_ids = sorted(known)
        self.paths = [videos[name] for name in self.image_ids]
        self.map_paths = None if maps is None else [maps[name] for name in self.image_ids]
        self.table: FixationTable | None = None
        if records is not None:
            viewers = sorted({v for name in self.image_ids for *_, v in records[name]})
            number = {v: -1 if v == "" else k for k, v in enumerate(viewers)}
            rows = []
            for name in self.image_ids:
                x, y, time, duration, viewer = zip(*records[name], strict=True)
                rows.append(
                    (
                        np.array(x),
                        np.array(y),
                        np.array(time),
                        np.array(duration),
                        np.array([number[v] for v in viewer]),
                    )
                )
            self.table = FixationTable(rows)
        self.log_issues()

    def frame_fixations(self, index: int, which: Which) -> Fixations | None:
        """The fixations during n frames; None where there are only maps."""
        if self.table is None:
            return None
        x, y, time, duration, viewer = self.table.row(index)
        assert time is not None
        assert duration is not None
        assert viewer is not None
        (height, width), windows = self.size(index), self.windows(index)
        scale = (width, height) if self.coordinates == "relative" else (1, 1)
        shift = SHIFT[self.coordinates]
        place = np.stack([x * scale[0] + shift, y * scale[1] + shift], axis=1)
        if self.by_frame:
            beyond = time >= len(windows)
            if beyond.any():
                raise DatasetLayoutError(
                    f"{self.root / 'fixations.csv'}: {self.image_ids[index]} has the frames 0 to {len(windows) - 1}, "
                    f"not {int(time.max())}"
                )
        points, who = [], []
        for frame in np.asarray(which).tolist():
            if self.by_frame:
                during = time == frame
            else:
                start, end = windows[frame]
                lasts = ~np.isnan(duration) & (time < end) & (time + duration > start)
                during = ((time >= start) & (time < end)) | lasts
            points.append(place[during])
            who.append(viewer[during])
        return in_frames(points, windows[np.asarray(which), 0], (height, width), who)

    def frame_density(self, index: int, which: Which) -> Tensor | None:
        """float32 (n, H, W) shipped maps; None where there are none."""
        if self.map_paths is None:
            return None
        path = self.map_paths[index]
        video = self.opened(path, self.frame_rate, "grey")
        if len(video) != self.length(index):
            raise BrokenFileError(
                f"{path} has {len(video)} maps for the {self.length(index)} frames of {self.paths[index]}; write "
                "one for every frame"
            )
        return torch.stack([as_density(levels, path, self.size(index)) for levels in video.frames_at(which)])


def _videos(base: Path, what: str) -> dict[str, Path]:
    """Video files and folders of frames, by name without ending."""
    if not base.is_dir():
        raise DatasetNotFoundError(f"{what}: the folder {base} is missing; put the videos there")
    found: dict[str, Path] = {}
    for path in sorted(base.iterdir()):
        if path.name.startswith(".") or not (path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES):
            continue
        name = path.name if path.is_dir() else path.stem
        if name in found:
            raise DatasetLayoutError(
                f"{what}: {found[name].name} and {path.name} in {base} have the same name but for the ending; "
                "remove or rename one of them"
            )
        found[name] = path
    if not found:
        raise DatasetLayoutError(f"{what}: {base} holds no videos and no folders of frames")
    return found


def _read_csv(path: Path) -> tuple[bool, dict[str, list[tuple[float, float, float, float, str]]]]:
    """Whether points are given by frame, and per video x, y, time or frame, duration and viewer of each line."""
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as problem:
        raise BrokenFileError(f"{path} cannot be read: {problem}; it must be UTF-8 text") from problem
    header = [h.strip().lower() for h in lines[0]] if lines else []
    by_frame = "frame" in header
    optional = ("viewer",) if by_frame else ("duration", "viewer")
    needed = ("video", "x", "y", "frame" if by_frame else "time")
    if sorted(set(header)) != sorted(header) or not set(needed) <= set(header) <= {*needed, *optional}:
        raise DatasetLayoutError(
            f"{path}: the first line must be video,x,y,time[,duration,viewer] or video,x,y,frame[,viewer], not "
            f"{','.join(header) or 'empty'}"
        )
    records: dict[str, list[tuple[float, float, float, float, str]]] = {}
    for number, cells in enumerate(lines[1:], start=2):
        if not any(c.strip() for c in cells):
            continue
        if len(cells) != len(header):
            raise DatasetLayoutError(f"{path}, line {number}: {len(cells)} values for {len(header)} columns")
        row = dict(zip(header, (c.strip() for c in cells), strict=True))
        try:
            x, y, when = (float(row[k]) for k in needed[1:])
            duration = float(row.get("duration") or "nan")
        except ValueError as problem:
            raise DatasetLayoutError(f"{path}, line {number}: {problem}") from None
        if not (math.isfinite(when) and when >= 0 and (not by_frame or when.is_integer())):
            raise DatasetLayoutError(f"{path}, line {number}: {needed[-1]} is {when:g}, which no frame has")
        video = Path(row["video"])
        name = video.stem if video.suffix.lower() in VIDEO_SUFFIXES else video.name
        records.setdefault(name, []).append((x, y, when, duration, row.get("viewer", "")))
    return by_frame, records
