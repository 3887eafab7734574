"""Synthetic data: drawn scenes and simulated viewers whose fixation density is known exactly.

Why it is worth training on: what draws the eye depends on context (see :mod:`saliency_pred.data.scenes`),
and because the truth is known, so is the best score that any model can reach.

How viewers look
    Time runs in ticks of 2 ms, as in an eye tracker of 500 Hz. The onsets of a viewer's fixations are a
    renewal process: the gap from one onset to the next is a fixation duration plus a saccade of 40 ms, drawn
    from a discretised log-normal distribution whose median is the viewer's own pace. Over still images, the
    first onset follows the reaction time of the first saccade; clips are watched one after another, so
    fixations arrive in the steady state from the first frame on.
    Where a fixation lands depends on its viewer and its onset only: one of the places of interest, chosen with
    probability strength · preference(viewer, kind) · profile(kind, onset) over the sum of all, then a
    Gaussian around it, truncated to the image. Centre bias and an even floor are places of interest too.

What is exact
    The density of the fixations with onset in a window is the expected number of such fixations in each pixel,
    over all viewers of the set, divided by their expected number on the image. Both are finite sums: over
    viewers, over the ticks in the window (weighted by the renewal density of each viewer, itself the solution
    of a linear recursion) and over the Gaussians (integrated over each pixel by differences of the normal
    distribution function). Nothing is sampled, cut off or evaluated at pixel centres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri
from torch import Tensor

from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.data.scenes import Interest, Scene, plan
from saliency_pred.data.videos import VideoDataset, Which
from saliency_pred.fixations import Fixations

TICKS_PER_SECOND = 500
SACCADE = 0.04
"""Seconds from the end of one fixation to the onset of the next."""
DEGREES_ACROSS = 20.0
"""The image's width in degrees of visual angle."""


class Profile(NamedTuple):
    """Interest over time: ``late + (early - late) * exp(-onset / tau)``, and how much viewers differ in it.

    ``differ`` is the standard deviation, over viewers, of the logarithm of their preference.
    """

    early: float
    late: float
    tau: float
    differ: float


KINDS = {
    "centre": Profile(7.0, 0.3, 0.35, 0.5),  # fixations begin at the centre, which loses its pull within a second
    "everywhere": Profile(0.25, 0.35, 1.0, 0.3),
    "face": Profile(1.3, 0.8, 1.5, 0.4),
    "pop-out": Profile(1.5, 0.5, 0.7, 0.4),
    "object": Profile(0.7, 0.9, 1.0, 0.4),
    "text": Profile(0.2, 1.3, 0.9, 0.5),  # read once the scene has been taken in
    "item": Profile(0.4, 1.2, 1.0, 0.4),  # inspected when the rest has been seen
}
_KIND = list(KINDS)


def _log_normal(median: np.ndarray, sigma: float, low: float, high: float) -> np.ndarray:
    """(V, N) probabilities of 0 .. N - 1 ticks: the log-normal density at each tick in [low, high] s, normalised."""
    seconds = np.arange(round(high * TICKS_PER_SECOND) + 1) / TICKS_PER_SECOND
    with np.errstate(divide="ignore"):
        distance = (np.log(seconds) - np.log(median)[:, None]) / sigma
        mass = np.where(seconds >= low, np.exp(-0.5 * distance**2) / np.maximum(seconds, 1e-9), 0.0)
    return mass / mass.sum(1, keepdims=True)


class Viewers:
    """Simulated viewers: when each fixates, and what each prefers.

    Args:
        count: V, how many.
        seed: of their preferences and paces.
        ticks: N, how long they look.
        steady: they were looking at something before already (clips), rather than waiting for the image.

    Attributes:
        preference: (V, K) factors on the strength of each kind of interest.
        gap: (V, G) probability of g ticks between the onsets of successive fixations.
        first: (V, N or more) probability that the first onset is at a tick.
        intensity: (V, N) expected number of onsets at each tick.
    """

    MIN_GAP, MAX_GAP = 0.12, 1.2

    def __init__(self, count: int, seed: int, ticks: int, steady: bool) -> None:
        rng = np.random.default_rng([seed, 0])
        differ = np.array([profile.differ for profile in KINDS.values()])
        self.ticks = ticks
        self.preference = np.exp(differ * rng.normal(size=(count, len(KINDS))))
        pace = 0.24 * np.exp(0.15 * rng.normal(size=count))
        # The saccade shifts the distribution of durations by a constant.
        self.gap = _log_normal(pace + SACCADE, 0.35, self.MIN_GAP, self.MAX_GAP)
        if steady:
            longer = 1 - np.cumsum(self.gap, axis=1)  # P(gap > t): the equilibrium wait, but for a constant
            self.first = np.clip(longer, 0, None) / longer.sum(1, keepdims=True)
        else:
            self.first = _log_normal(1.2 * pace, 0.2, 0.12, 0.9)
        # Renewal equation: intensity[t] = first[t] + sum over g of gap[g] * intensity[t - g].
        start = np.zeros((count, ticks))
        known = min(ticks, self.first.shape[1])
        start[:, :known] = self.first[:, :known]
        self.intensity = np.stack(
            [lfilter([1.0], np.concatenate([[1.0], -gap[1:]]), s) for gap, s in zip(self.gap, start, strict=True)]
        )

    def look(self, rng: Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """When everyone fixates in one trial: (n,) viewer, onset tick and duration in seconds."""
        most = math.ceil(self.ticks / (self.MIN_GAP * TICKS_PER_SECOND)) + 1
        first = _draw(rng.random(len(self.first)), self.first)
        gaps = _draw(rng.random((most, len(self.gap))), self.gap)
        onsets = first + np.concatenate([np.zeros_like(gaps[:1]), gaps[:-1].cumsum(0)])
        viewer, which = np.nonzero(self.ticks > onsets.T)
        onset = onsets[which, viewer]
        duration = gaps[which, viewer] / TICKS_PER_SECOND - SACCADE
        # The image goes after `ticks`, and the last fixation with it.
        return viewer, onset, np.minimum(duration, (self.ticks - onset) / TICKS_PER_SECOND)

    def choice(self, kind: np.ndarray, strength: np.ndarray, viewer: np.ndarray, onset: np.ndarray) -> np.ndarray:
        """(..., C) probability that a fixation lands around each of C places of interest.

        Args:
            kind: (C,) index into ``KINDS``; strength: (C,) of each place.
            viewer, onset: (...) integers that broadcast, onset in ticks.
        """
        early, late, tau, _ = np.array([KINDS[name] for name in _KIND]).T
        seconds = np.asarray(onset)[..., None] / TICKS_PER_SECOND
        appeal = self.preference[viewer] * (late + (early - late) * np.exp(-seconds / tau))
        share = appeal[..., kind] * strength
        return share / share.sum(-1, keepdims=True)


def _draw(uniform: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """(..., V) indices: inverse distribution function of each row of (V, N) probabilities at (..., V) numbers."""
    total = np.cumsum(probability, axis=1)
    found = [
        np.searchsorted(row, u * row[-1], side="right")
        for row, u in zip(total, np.moveaxis(uniform, -1, 0), strict=True)
    ]
    return np.stack(found, axis=-1)


@dataclass(frozen=True)
class Places:
    """The places of interest of a scene as arrays: C Gaussians, each truncated to the image, over E epochs.

    Attributes:
        kind: (C,) index into ``KINDS``; strength: (C,).
        y, x: (E, C) centres in pixels; sigma_y, sigma_x: (C,) pixels, infinite for an even distribution.
    """

    size: tuple[int, int]
    kind: np.ndarray
    strength: np.ndarray
    y: np.ndarray
    x: np.ndarray
    sigma_y: np.ndarray
    sigma_x: np.ndarray

    @classmethod
    def of(cls, scene: Scene, times: np.ndarray) -> Places:
        """Those of a scene at (E,) times in seconds, and centre bias and floor."""
        h, w = scene.size
        still = np.ones(len(times))
        found = [
            Interest("centre", still * h / 2, still * w / 2, 0.2 * h, 0.2 * w, 1.0),
            Interest("everywhere", still * h / 2, still * w / 2, math.inf, math.inf, 1.0),
            *scene.interests(times),
        ]
        return cls(
            scene.size,
            np.array([_KIND.index(i.kind) for i in found]),
            np.array([i.strength for i in found]),
            np.stack([i.y for i in found], axis=1),
            np.stack([i.x for i in found], axis=1),
            np.array([i.sigma_y for i in found]),
            np.array([i.sigma_x for i in found]),
        )

    def land(self, rng: Generator, place: np.ndarray, epoch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n,) y and x in pixels of fixations around (n,) places."""
        h, w = self.size
        return (
            _truncated_normal(rng.random(len(place)), self.y[epoch, place], self.sigma_y[place], h),
            _truncated_normal(rng.random(len(place)), self.x[epoch, place], self.sigma_x[place], w),
        )

    def density(self, epoch: int, weight: np.ndarray) -> np.ndarray:
        """(T, H, W) mixtures of the places with (T, C) weights, integrated over each pixel."""
        rows = _pixel_mass(self.y[epoch], self.sigma_y, self.size[0])
        columns = _pixel_mass(self.x[epoch], self.sigma_x, self.size[1])
        return (weight[:, None, :] * rows.T) @ columns


def _truncated_normal(uniform: np.ndarray, mean: np.ndarray, sigma: np.ndarray, length: int) -> np.ndarray:
    """Inverse distribution function of normals truncated to [0, length); even where sigma is infinite."""
    even = np.isinf(sigma)
    scale = np.where(even, 1.0, sigma)
    low, high = ndtr(-mean / scale), ndtr((length - mean) / scale)
    value = np.where(even, uniform * length, mean + scale * ndtri(low + uniform * (high - low)))
    return np.clip(value, 0.0, np.nextafter(length, 0.0))  # rounding may step onto the edge


def _pixel_mass(mean: np.ndarray, sigma: np.ndarray, length: int) -> np.ndarray:
    """(C, length) mass that each normal, truncated to the image, puts on each pixel."""
    even = np.isinf(sigma)
    scale = np.where(even, 1.0, sigma)
    mass = np.diff(ndtr((np.arange(length + 1) - mean[:, None]) / scale[:, None]), axis=1)
    mass[even] = 1.0
    return mass / mass.sum(1, keepdims=True)


class _Simulated(SaliencyDataset):
    """What still scenes and clips have in common.

    An image and its fixations depend on the seed and the image's number alone: not on the count, the split,
    the order of access or the process.
    """

    domain = "synthetic"
    _moving: bool

    def __init__(
        self,
        count: int,
        size: tuple[int, int],
        viewers: int,
        seed: int,
        split: str,
        seconds: float,
        frame_times: np.ndarray,
    ) -> None:
        super().__init__(".", split)  # nothing is read from disk
        height, width = (int(v) for v in size)
        for name, value, least in (("count", count, 1), ("viewers", viewers, 1), ("size", min(height, width), 32)):
            if value < least:
                raise ValueError(f"{self.name}: {name}={value} is too small, the least is {least}")
        if seed < 0:
            raise ValueError(f"{self.name}: seed={seed} is negative; seeds are 0, 1, 2, ...")
        self.seed = seed
        self.image_ids = [f"{self.name}-{i:05d}" for i in range(count)]
        self.viewing_time = seconds  # type: ignore[misc]  # given to the instance
        self.pixel_per_dva = width / DEGREES_ACROSS  # type: ignore[misc]
        self._size = (height, width)
        self._frame_times = frame_times
        self._ticks = round(seconds * TICKS_PER_SECOND)
        self._viewers = Viewers(viewers, seed, self._ticks, steady=self._moving)
        self._onset = np.arange(self._ticks) / TICKS_PER_SECOND
        # The frame that is on the screen at each tick; stills have one.
        self._frame = np.searchsorted(frame_times, self._onset, side="right") - 1

    def _scene(self, index: int) -> Scene:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} has images 0 to {len(self) - 1}, not {index}")
        return plan(np.random.default_rng([self.seed, 1, index]), self._size, self._moving)

    def size(self, index: int) -> tuple[int, int]:
        """(height, width), the same for all."""
        return self._size

    def fixations(self, index: int) -> Fixations:
        """Everyone's fixations with onset, duration and viewer, by viewer and then onset; all on the image."""
        return self._trial(index, np.random.default_rng([self.seed, 2, index]))

    def _trial(self, index: int, rng: Generator) -> Fixations:
        """What the viewers fixate when they see the image once."""
        places = Places.of(self._scene(index), self._frame_times)
        viewer, onset, duration = self._viewers.look(rng)
        chances = self._viewers.choice(places.kind, places.strength, viewer, onset).cumsum(1)
        place = (chances < rng.random(len(viewer))[:, None] * chances[:, -1:]).sum(1)
        y, x = places.land(rng, place, self._frame[onset])
        return Fixations.of(x, y, self._size, time=self._onset[onset], duration=duration, viewer=viewer)

    def true_log_density(self, index: int, windows: Tensor | None = None) -> Tensor:
        """The exact log density that the fixations of one image are drawn from.

        Args:
            index: of the image.
            windows: (T, 2), start and end of each time window [start, end) in seconds; None for all of the
                viewing time.

        Returns:
            (T, H, W) float64 natural logarithms; each map's exponentials sum to 1.

        Raises:
            ValueError: no fixation can begin in a window.
        """
        if windows is None:
            windows = torch.tensor([[-math.inf, math.inf]])
        if windows.ndim != 2 or windows.shape[1] != 2:
            raise ValueError(f"windows must be (T, 2), start and end in seconds; got {tuple(windows.shape)}")
        start, end = windows.to(torch.float64).numpy().T[:, :, None]
        within = ((self._onset >= start) & (self._onset < end)).astype(np.float64)  # (T, N)
        viewers = self._viewers
        expected = within @ viewers.intensity.sum(0)
        for window, number in zip(windows.tolist(), expected, strict=True):
            if number <= 0:
                raise ValueError(
                    f"no fixation begins in the window from {window[0]:g} to {window[1]:g} s; {self.name} is looked "
                    f"at from 0 to {self.viewing_time:g} s"
                )
        places = Places.of(self._scene(index), self._frame_times)
        everyone, always = np.arange(len(viewers.preference))[:, None], np.arange(self._ticks)
        chances = viewers.choice(places.kind, places.strength, everyone, always)  # (V, N, C)
        by_tick = np.einsum("vn,vnc->nc", viewers.intensity, chances)
        density = np.zeros((len(windows), *self._size))
        for frame in range(len(self._frame_times)):
            during = self._frame == frame
            some = within[:, during].any(1)
            if some.any():
                density[some] += places.density(frame, within[some][:, during] @ by_tick[during])
        return torch.from_numpy(np.log(density / expected[:, None, None]))


class Synthetic(_Simulated):
    """Drawn scenes of known fixation density (see the module's text); nothing is read, written or downloaded.

    Args:
        count: how many images.
        size: (height, width) of all.
        viewers: how many simulated viewers; all look at every image.
        seed: another seed gives other scenes and other viewers.
        split: see :mod:`saliency_pred.data.splits`.
        viewing_time: seconds that each image is shown.
    """

    name = "synthetic"
    _moving = False

    def __init__(
        self,
        count: int = 400,
        size: tuple[int, int] = (240, 320),
        viewers: int = 12,
        seed: int = 0,
        split: str = "0.8/0.2",
        viewing_time: float = 3.0,
    ) -> None:
        if not 1 <= viewing_time <= 60:
            raise ValueError(f"{self.name}: viewing_time={viewing_time} must be 1 to 60 seconds")
        super().__init__(count, size, viewers, seed, split, viewing_time, np.zeros(1))

    def image(self, index: int) -> np.ndarray:
        """uint8 (H, W, 3) RGB."""
        return self._scene(index).draw(self._frame_times)[0]


class SyntheticVideo(_Simulated, VideoDataset):
    """Drawn clips with motion pop-out: one of many items moves unlike the others, which no single frame shows.

    Faces, text and objects stand still and draw the eye as in :class:`Synthetic`. The places of interest of a
    fixation are where the moving things were a reaction lag (``scenes.REACTION_LAG``) before the start of the
    frame on the screen at its onset.

    Args:
        count: how many clips.
        frames: F, frames in a clip.
        fps: frames a second; frame f is shown from f / fps to (f + 1) / fps seconds.
        size, viewers, seed, split: as for :class:`Synthetic`.
    """

    name = "synthetic_video"
    _moving = True

    def __init__(
        self,
        count: int = 100,
        frames: int = 24,
        fps: float = 12.0,
        size: tuple[int, int] = (120, 160),
        viewers: int = 12,
        seed: int = 0,
        split: str = "0.8/0.2",
    ) -> None:
        if not (frames >= 1 and 0 < fps <= 100):
            raise ValueError(f"{self.name}: frames={frames} must be 1 or more, fps={fps} above 0 and at most 100")
        self.fps = fps
        super().__init__(count, size, viewers, seed, split, frames / fps, np.arange(frames) / fps)

    def times(self, index: int) -> np.ndarray:
        """(F,) seconds, the same for all."""
        return self._frame_times

    def frames(self, index: int, which: Which) -> np.ndarray:
        """uint8 (n, H, W, 3) RGB."""
        return self._scene(index).draw(self._frame_times[np.asarray(which)])

    def frame_fixations(self, index: int, which: Which) -> Fixations:
        """Those with onset while a frame is shown, for each of n frames."""
        return self.fixations(index).assign_windows(self.frame_windows()[torch.as_tensor(np.asarray(which))])

    def frame_windows(self) -> Tensor:
        """(F, 2) float64: the start and end of each frame in seconds."""
        edges = torch.arange(len(self._frame_times) + 1, dtype=torch.float64) / self.fps
        return torch.stack([edges[:-1], edges[1:]], dim=1)
