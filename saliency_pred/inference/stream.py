"""Log densities of a video's frames, one after the other, in constant memory.

Frames are decoded once, in order. Networks that predict the last or the centre frame of a clip get overlapping clips
in batches, so that each frame of the video (at the rate of the network) has its own clip. Recurrent networks carry
their state, so that each frame passes them once; where they were trained on every s-th frame, s states take turns.
Networks that predict all frames of a clip without carrying a state get clip after clip.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saliency_pred.data.clips import ClipSampler
from saliency_pred.data.dataset import DOMAINS
from saliency_pred.data.placement import Placement
from saliency_pred.data.video import Video, nearest_frames, resample
from saliency_pred.inference.predictor import Predictor
from saliency_pred.model import at_original_size

_CHUNK = 8
"""Frames of one phase that pass a recurrent network at once, where its clips do not say."""


class VideoStream:
    """Predicts a video step by step; a step is a frame at the rate of the network.

    Clips that ``skip`` what lies outside the video are filled by repetition here: every frame gets a density.

    Args:
        predictor: whose model, input size and domain are used.
        video: with RGB pixels.
        clips: how the network sees videos.
        batch_size: clips that go through the network together.

    Attributes:
        steps: how many there are.
        block: steps after which the stream can be cut and gone on with, see :meth:`run`.
        step_of: (F,) int64, which step stands for each frame of the video.
        seconds: spent on ``decoding`` (with resizing) and in the ``network`` (up to the size of the video).
        calls: seconds of each call of the network: how long the newest map takes once its frames are there.
        done: how many steps were predicted.
    """

    def __init__(self, predictor: Predictor, video: Video, clips: ClipSampler, batch_size: int = 8) -> None:
        self.predictor = predictor
        self.video = video
        self.clips = dataclasses.replace(
            clips,
            fps=None,
            stride=1,
            start="repeat" if clips.start == "skip" else clips.start,
            end="repeat" if clips.end == "skip" else clips.end,
        )
        self.batch_size = batch_size
        self._picked = np.arange(len(video)) if clips.fps is None else resample(video.times, clips.fps)
        self.steps = len(self._picked)
        self.step_of = nearest_frames(video.times[self._picked], video.times)
        self._place = Placement.of(video.size, predictor.grid_for(video.size), predictor.resize)
        self.carries = predictor.model.streams and clips.position == "all"
        if clips.position != "all":
            self.block = batch_size
        else:
            self.block = clips.step * (clips.frames if clips.frames > 1 else _CHUNK)
        self.seconds = {"decoding": 0.0, "network": 0.0}
        self.calls: list[float] = []
        self.done = 0

    @property
    def look_ahead(self) -> int:
        """Frames after a frame that must be there before it is predicted, batches left aside."""
        if self.clips.position == "all":
            return 0 if self.carries else self.block - 1
        return (
            self.clips.span - 1 - (self.clips.frames // 2) * self.clips.step if self.clips.position == "centre" else 0
        )

    def run(self, first: int = 0, state: Any = None) -> Iterator[tuple[Tensor, Any]]:
        """From a step on, the log density (H, W) of each step, and what to go on with after it.

        Args:
            first: a multiple of :attr:`block`.
            state: what came with step ``first - 1``; None at the start of the video.
        """
        if first % self.block:
            raise ValueError(f"a stream can begin at a multiple of {self.block} steps, not at {first}")
        if self.clips.position != "all":
            way = self._sliding(first)
        elif self.carries:
            way = self._carried(first, state)
        else:
            way = self._clip_by_clip(first)
        for found in way:
            self.done += 1
            yield found

    # ------------------------------------------------------------------ ways through the video

    def _sliding(self, first: int) -> Iterator[tuple[Tensor, Any]]:
        """Overlapping clips, for the last or the centre frame."""
        every = np.arange(self.steps, dtype=np.float64)
        newest = max(0, first - self.clips.span) - 1  # further back no clip reaches, mirrored or not
        source = self._prepared(newest + 1)
        known: dict[int, Tensor] = {}
        for start in range(first, self.steps, self.batch_size):
            seen = [self.clips.clip(every, k).frames for k in range(start, min(start + self.batch_size, self.steps))]
            while newest < max(int(frames.max()) for frames in seen):
                newest += 1
                known[newest] = next(source)
            for gone in [step for step in known if step < start - self.clips.span]:
                del known[gone]
            clips = torch.stack([torch.stack([known[int(step)] for step in frames], dim=1) for frames in seen])
            densities, _ = self._predict(clips[:, :, 0] if self.clips.frames == 1 else clips)
            for density in densities:  # of networks of still images with windows of viewing time the mean
                yield torch.logsumexp(density, 0) - math.log(len(density)), None

    def _carried(self, first: int, states: list[Any] | None) -> Iterator[tuple[Tensor, Any]]:
        """Every frame once; each of ``step`` phases has a state of its own."""
        phases = self.clips.step
        states = [None] * phases if states is None else states
        source = self._prepared(first)
        for start in range(first, self.steps, self.block):
            frames = [next(source) for _ in range(min(self.block, self.steps - start))]
            found: dict[int, Tensor] = {}
            states = list(states)
            for phase in range(min(phases, len(frames))):
                mine = list(range(phase, len(frames), phases))
                clip = torch.stack([frames[k] for k in mine], dim=1)[None]
                densities, states[phase] = self._predict(clip, carry=True, state=states[phase])
                found |= dict(zip(mine, densities[0], strict=True))
            for k in range(len(frames)):
                yield found[k], states

    def _clip_by_clip(self, first: int) -> Iterator[tuple[Tensor, Any]]:
        """Clips one after the other, filled at the end of the video, for all their frames."""
        phases = self.clips.step
        source = self._prepared(first)
        for start in range(first, self.steps, self.block):
            frames = [next(source) for _ in range(min(self.block, self.steps - start))]
            every = np.arange(len(frames), dtype=np.float64)
            found: dict[int, Tensor] = {}
            for number in range(min(phases, len(frames))):
                clip = self.clips.clip(every, number)
                pixels = torch.stack([frames[int(k)] for k in clip.frames], dim=1)[None]
                densities, _ = self._predict(pixels)
                found |= {int(k): d for k, d in zip(clip.predicted, densities[0], strict=True) if k >= 0}
            for k in range(len(frames)):
                yield found[k], None

    # ------------------------------------------------------------------ in and out of the network

    def _prepared(self, first: int) -> Iterator[Tensor]:
        """uint8 (3, H, W) on the grid of the network, of the steps from ``first`` on."""
        if first >= self.steps:
            return
        number = int(self._picked[first]) - 1
        frames = self.video.frames(number + 1)
        for wanted in self._picked[first:].tolist():
            began = time.perf_counter()
            if number < wanted:
                while number < wanted:
                    frame = next(frames)
                    number += 1
                prepared = torch.from_numpy(np.ascontiguousarray(np.moveaxis(self._place.image(frame), -1, 0)))
            self.seconds["decoding"] += time.perf_counter() - began
            yield prepared

    @torch.no_grad()
    def _predict(self, pixels: Tensor, carry: bool = False, state: Any = None) -> tuple[list[Tensor], Any]:
        """uint8 (B, 3[, F], H, W) → B log densities (T, h, w) at the size of the video, and the state."""
        began = time.perf_counter()
        predictor, count = self.predictor, len(pixels)
        image = pixels.to(predictor.device).float() / 255
        valid = self._place.valid().to(predictor.device).expand(count, -1, -1)
        domain = torch.full((count,), DOMAINS[predictor.domain], device=predictor.device)
        if carry:
            logits, state = predictor.model.stream(image, valid, domain, state)
        else:
            logits = predictor.model(image, valid, domain)
        sizes = torch.tensor([self.video.size] * count)
        densities = [density.cpu() for density in at_original_size(logits, valid, sizes)]
        self.calls.append(time.perf_counter() - began)
        self.seconds["network"] += self.calls[-1]
        return densities, state
