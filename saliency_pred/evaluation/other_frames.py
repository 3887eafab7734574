"""What the fixations on frames of other videos tell about a frame: the negatives of shuffled AUC."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from saliency_pred.data.videos import VideoDataset
from saliency_pred.fixations import Fixations

FRAMES = 32
"""So many frames of a video are read at most: frames that follow each other say the same, and memory is bounded."""


class OtherFrames:
    """The fixations on frames of all other videos, rescaled to one frame.

    Args:
        dataset: the videos.
        indices: which of them.
        number: take those of so many frames, drawn at random for every frame that is scored; None: of all that
            were read.
        seed: of the draws. They depend on the videos' and the frame's places only, not on what is scored before.
        images: which videos these are, for the record.
    """

    def __init__(
        self,
        dataset: VideoDataset,
        indices: Sequence[int],
        number: int | None = None,
        seed: int = 0,
        images: str = "the scored videos",
    ) -> None:
        self.number = number
        self.seed = seed
        self.images = images
        self.place = {dataset.image_ids[index]: place for place, index in enumerate(indices)}
        self.relative: list[Tensor] = []  # of a frame with fixations: (n, 2) x and y as shares of width and height
        videos: list[int] = []  # of each frame
        for place, index in enumerate(indices):
            which = np.random.default_rng([seed, place]).permutation(dataset.length(index))[:FRAMES]
            found = dataset.clean_frame_fixations(index, np.sort(which))
            for k in range(0 if found is None else len(which)):
                frame = found.of_window(k)  # type: ignore[union-attr]
                if len(frame):
                    points = torch.stack([frame.x, frame.y], 1)
                    self.relative.append(points / frame.size[0].flip(0).to(torch.float64))
                    videos.append(place)
        self.video = np.array(videos, dtype=np.int64)

    @property
    def named(self) -> str:
        """In words, for the record."""
        which = "" if self.number is None else f"{self.number} frames of "
        return (
            f"fixations on {which}the other videos of {self.images}, at most {FRAMES} frames of each, "
            f"drawn with seed {self.seed}"
        )

    def of(self, name: str, size: tuple[int, int], window: int = 0) -> Fixations:
        """Fixations on frames of the other videos, on an image of (height, width).

        Args:
            name: ``<video>/<number of the frame>``.
            window: frames have but one.

        Raises:
            KeyError: no video of this name.
        """
        video, _, frame = name.rpartition("/")
        own = self.place[video]
        others = np.flatnonzero(self.video != own)
        if self.number is not None and self.number < len(others):
            generator = np.random.default_rng([self.seed, own, int(frame)])
            others = generator.choice(others, self.number, replace=False)
        points = torch.cat([torch.zeros(0, 2, dtype=torch.float64), *(self.relative[i] for i in others)])
        height, width = size
        moved = Fixations.of(points[:, 0] * width, points[:, 1] * height, size)
        return moved.clean("clip")[0]  # rounding can put the last pixel's edge outside
