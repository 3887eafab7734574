"""What the crowd-sourced sets of MSU's video group share: points per frame as JSON, density maps as videos."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from saliency_pred.data.errors import BrokenFileError
from saliency_pred.data.videos import OpenedVideos, Which, as_density, in_frames
from saliency_pred.fixations import Fixations


class MouseVideos(OpenedVideos):
    """Videos explored with a mouse by many people, with sound.

    The fixations of a video are a JSON list with an entry for each frame, which lists [row, column] of every sample
    in that frame, in pixels counted from 0: about three of every viewer, who is not told apart. Points come twice
    where two lay on one pixel, and count twice. The density maps are a video of 10 bit, each frame stretched to
    [0, 1].

    Attributes:
        fixation_paths: of the JSON files; None where they are held back.
        map_paths: of the videos of density maps; None where there is none.
        maps: whether the maps are read.
    """

    fixation_paths: list[Path | None]
    map_paths: list[Path | None]
    maps: bool = True

    def frame_fixations(self, index: int, which: Which) -> Fixations | None:
        """The samples of n frames, at the centres of their pixels; None where they are held back."""
        path = self.fixation_paths[index]
        if path is None:
            return None
        frames = self._points(path)
        if len(frames) != self.length(index):
            raise BrokenFileError(
                f"{path} lists {len(frames)} frames, the video {self.paths[index]} has {self.length(index)}; they are "
                "not of one release, or one of them is damaged"
            )
        points = []
        for frame in np.asarray(which).tolist():
            try:
                rows_columns = np.asarray(frames[frame], dtype=np.float64).reshape(-1, 2)
            except (TypeError, ValueError) as problem:
                raise BrokenFileError(f"{path}: frame {frame} is no list of [row, column] ({problem})") from problem
            points.append(rows_columns[:, ::-1] + 0.5)
        return in_frames(points, self.times(index)[np.asarray(which)], self.size(index))

    def _points(self, path: Path) -> list[list[list[float]]]:
        """:func:`read_fixation_lists`, of the last file from memory: clip after clip is read of one video."""
        known: tuple[Path, list[list[list[float]]]] | None = self.__dict__.get("_last_points")
        if known is None or known[0] != path:
            known = self.__dict__["_last_points"] = (path, read_fixation_lists(path))
        return known[1]

    def frame_density(self, index: int, which: Which) -> Tensor | None:
        """float32 (n, H, W) shipped maps; None unless they were asked for."""
        path = self.map_paths[index]
        if not self.maps or path is None:
            return None
        video = self.opened(path, self.frame_rate, "grey")
        if len(video) != self.length(index):
            raise BrokenFileError(
                f"{path} has {len(video)} maps for the {self.length(index)} frames of {self.paths[index]}; they are "
                "not of one release, or one of them is damaged"
            )
        maps = []
        for levels in video.frames_at(which):
            # Every map is stretched up to 1; what does not come near is the noise of coding a black one.
            maps.append(as_density(levels * (levels.max() > 0.5), path, self.size(index)))
        return torch.stack(maps)


def read_fixation_lists(path: Path) -> list[list[list[float]]]:
    """The [row, column] points of each frame of a video, as these sets store them.

    Raises:
        BrokenFileError: it is missing, no JSON, or no list of lists.
    """
    try:
        frames = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise BrokenFileError(f"{path} cannot be read as JSON: {problem}; download it again") from problem
    if not isinstance(frames, list) or not all(isinstance(f, list) for f in frames):
        raise BrokenFileError(f"{path}: expected a list with the points of each frame, [[row, column], ...]")
    return frames
