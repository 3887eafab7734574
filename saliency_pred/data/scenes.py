"""Procedurally drawn scenes: what is in them, how they look, and how much each thing draws the eye.

A scene is planned first (:func:`plan`: which things, where, in which colours) and then drawn. How much a
thing draws the eye is part of the plan and depends on its context: an item of an array does so as far as
it differs from the others (:func:`pop_out`), a face with its parts shuffled does so far less than a face,
and a paragraph with every word blacked out far less than one that can be read.

Lengths are in pixels and scale with ``u``, the shorter side of the image, so that a scene looks alike at
every size. Coordinates as everywhere here: pixel i covers [i, i + 1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from numpy.random import Generator

Colour = tuple[int, int, int]

BACKGROUNDS = ("gradient", "clouds", "grating", "cells", "bricks", "horizon")
SHAPES = ("bar", "ellipse", "disc", "ring")
ODD = ("hue", "orientation", "size", "hue and orientation", "conjunction", "among mixed hues",
       "among mixed orientations", "nothing", "nothing among mixed hues")  # fmt: skip
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyzaeioutrnsl"))
REACTION_LAG = 0.15
"""Seconds by which the eye lags behind a moving thing: the latency of smooth pursuit is 0.1 to 0.2 s."""
LANDING_SCATTER = 0.03
"""Standard deviation of where the eye lands around a point it aims at, as a share of the shorter side."""


@dataclass(frozen=True)
class Interest:
    """One place that draws the eye: a Gaussian whose centre may move.

    Attributes:
        kind: which of ``synthetic.KINDS`` it is: how interest in it changes over time and between viewers.
        y, x: (E,) pixels, the centre at each of the E times that were asked for.
        sigma_y, sigma_x: pixels; infinite where the whole image is meant, evenly.
        strength: > 0; the share of fixations is the strength over the sum of all strengths.
    """

    kind: str
    y: np.ndarray
    x: np.ndarray
    sigma_y: float
    sigma_x: float
    strength: float


class Thing(Protocol):
    """What a scene consists of."""

    def draw(self, canvas: np.ndarray, time: float) -> None:
        """Paint it onto an uint8 (H, W, 3) canvas as it is ``time`` seconds after onset."""

    def interests(self, times: np.ndarray) -> list[Interest]:
        """The places on it that draw the eye, for each of (E,) times."""


# ---------------------------------------------------------------------------------------------- drawing


def lab(lightness: float, chroma: float, hue: float) -> Colour:
    """RGB of a colour given in CIELAB by lightness 0-100, chroma, and hue in radians."""
    value = np.array([[[lightness, chroma * np.cos(hue), chroma * np.sin(hue)]]], dtype=np.float32)
    red, green, blue = (np.clip(cv2.cvtColor(value, cv2.COLOR_Lab2RGB), 0, 1)[0, 0] * 255).round().tolist()
    return int(red), int(green), int(blue)


def _fill(canvas: np.ndarray, x: np.ndarray, y: np.ndarray, colour: Colour) -> None:
    """Fill a polygon, anti-aliased, with vertices on a sixteenth of a pixel."""
    # OpenCV's integer coordinates are pixel centres, hence the half.
    vertices = np.round((np.stack([x, y], axis=1) - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(canvas, [vertices], colour, lineType=cv2.LINE_AA, shift=4)


_TURN = np.linspace(0, 2 * np.pi, 32, endpoint=False)


@dataclass(frozen=True)
class _Frame:
    """A local coordinate frame: origin, unit length and tilt; draws in its own coordinates."""

    y: float
    x: float
    unit: float
    tilt: float

    def at(self, x: np.ndarray | float, y: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Image (x, y) of local coordinates."""
        c, s = np.cos(self.tilt), np.sin(self.tilt)
        return np.asarray(self.x + self.unit * (c * x - s * y)), np.asarray(self.y + self.unit * (s * x + c * y))

    def polygon(self, canvas: np.ndarray, x: np.ndarray, y: np.ndarray, colour: Colour) -> None:
        _fill(canvas, *self.at(x, y), colour)

    def ellipse(
        self, canvas: np.ndarray, x: float, y: float, rx: float, ry: float, colour: Colour, part: slice | None = None
    ) -> None:
        """A filled ellipse, or only the arc's hull of the angles ``part`` of 32 (0 right, 8 down)."""
        turn = _TURN[part] if part else _TURN
        self.polygon(canvas, x + rx * np.cos(turn), y + ry * np.sin(turn), colour)


@dataclass(frozen=True)
class Background:
    """A textured ground: a scalar field looked up in a palette of three colours."""

    kind: str
    palette: tuple[Colour, Colour, Colour]
    angle: float
    scale: float
    grain: float
    seed: int

    def paint(self, size: tuple[int, int]) -> np.ndarray:
        """uint8 (H, W, 3)."""
        rng = np.random.default_rng(self.seed)
        value = self._field(size, rng)
        value += self.grain * rng.standard_normal(size, dtype=np.float32)
        stops = np.array(self.palette, dtype=np.float64)
        table = np.stack([np.interp(np.linspace(0, 2, 256), [0, 1, 2], stops[:, i]) for i in range(3)], axis=1)
        return table.round().astype(np.uint8)[np.clip(value * 255, 0, 255).astype(np.uint8)]

    def _field(self, size: tuple[int, int], rng: Generator) -> np.ndarray:
        """float32 (H, W), about 0 to 1."""
        h, w = size
        u = min(size)
        y, x = np.mgrid[0:h, 0:w].astype(np.float32) / u
        along = np.cos(self.angle) * x + np.sin(self.angle) * y
        if self.kind == "gradient":
            low, high = float(along.min()), float(along.max())
            return (along - low) / (high - low)
        if self.kind == "clouds":
            return _clouds(size, rng, cells=self.scale / 4)
        if self.kind == "grating":
            warp = _clouds(size, rng, cells=2, octaves=2)
            return 0.5 + 0.35 * np.sin(2 * np.pi * (self.scale * along + 0.6 * warp))
        if self.kind == "cells":
            seeds = np.ones(size, np.uint8)
            count = max(4, int(self.scale**2 * h * w / u**2))
            seeds[rng.integers(0, h, count), rng.integers(0, w, count)] = 0
            _, label = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
            value = rng.uniform(0.15, 0.85, label.max() + 1).astype(np.float32)[label]
            return cv2.GaussianBlur(value, (0, 0), 0.7)
        if self.kind == "bricks":
            row = (y * self.scale).astype(np.int32)
            column = (x * self.scale / 2 + 0.5 * (row % 2)).astype(np.int32)
            value = rng.uniform(0.4, 0.9, (row.max() + 1, column.max() + 1)).astype(np.float32)[row, column]
            joint = ((y * self.scale) % 1 < 0.1) | ((x * self.scale / 2 + 0.5 * (row % 2)) % 1 < 0.05)
            value[joint] = 0.1
            return cv2.GaussianBlur(value, (0, 0), 0.6)
        if self.kind == "horizon":
            line = 0.35 + 0.3 * (self.angle % 1)
            ridge = line + 0.12 * (_clouds((1, w), rng, cells=3, octaves=3) - 0.5)
            depth = y * u / h
            sky = 0.45 * depth / line + 0.15 * (_clouds(size, rng, cells=3) - 0.5)
            ground = 0.65 + 0.3 * (depth - line) + 0.25 * (_clouds(size, rng, cells=12) - 0.5)
            return np.where(depth < ridge, sky, ground)
        raise ValueError(f"background {self.kind!r} is none of {', '.join(BACKGROUNDS)}")


def _clouds(size: tuple[int, int], rng: Generator, cells: float, octaves: int = 4) -> np.ndarray:
    """Fractal noise float32 (H, W), about 0 to 1; ``cells`` of the coarsest octave fit the shorter side."""
    h, w = size
    total, value = 0.0, np.zeros(size, np.float32)
    for octave in range(octaves):
        across = cells * 2**octave / max(1, min(size))
        grid = rng.random((max(2, round(across * h)), max(2, round(across * w))), dtype=np.float32)
        value += cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC) / 2**octave
        total += 2.0**-octave
    return np.clip(0.5 + 1.4 * (value / total - 0.5), 0, 1)


# ---------------------------------------------------------------------------------------------- things


def pop_out(features: np.ndarray) -> np.ndarray:
    """How far each item of an array stands out from the others: (n,) in 0 to 1.

    The squared Mahalanobis distance d² of each item's features from the mean of all others, with their
    covariance plus 1, the variance of seeing (Rosenholtz, "A simple saliency model predicts a number of
    motion popout phenomena", Vision Research 1999), through a steep psychometric curve with its middle at
    d² = 5. So a red item among green ones stands out, and neither a red one among red ones does, nor one
    among items of all colours.

    Args:
        features: (n, d), in units of what is just told apart; n >= 3.
    """
    n, d = features.shape
    mean = (features.sum(0) - features) / (n - 1)
    outer = features[:, :, None] * features[:, None, :]
    covariance = (outer.sum(0) - outer) / (n - 1) - mean[:, :, None] * mean[:, None, :] + np.eye(d)
    apart = features - mean
    squared = np.einsum("ni,ni->n", apart, np.linalg.solve(covariance, apart[:, :, None])[:, :, 0])
    return squared**4 / (squared**4 + 5.0**4)


@dataclass(frozen=True)
class Items:
    """An array of like items of which one may be odd.

    All per item (n,): home ``y``, ``x`` in pixels; ``hue`` and ``orientation`` in radians; ``length`` in
    pixels. An item swings about its home: ``swing`` pixels to either side along ``direction`` (radians),
    ``frequency`` times a second from ``phase`` (radians); swing 0 stands still.
    """

    shape: str
    u: float
    y: np.ndarray
    x: np.ndarray
    hue: np.ndarray
    orientation: np.ndarray
    length: np.ndarray
    lightness: float
    chroma: float
    swing: np.ndarray
    direction: np.ndarray
    frequency: np.ndarray
    phase: np.ndarray

    def at(self, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(E, n) y and x of the items at (E,) times in seconds."""
        out = self.swing * np.sin(2 * np.pi * self.frequency * np.asarray(time)[:, None] + self.phase)
        return self.y + out * np.sin(self.direction), self.x + out * np.cos(self.direction)

    def features(self) -> np.ndarray:
        """(n, d): what can set an item apart, in units of about what is just told apart at a glance."""
        columns = [self.chroma * np.cos(self.hue) / 22, self.chroma * np.sin(self.hue) / 22]
        if self.shape in ("bar", "ellipse"):
            columns += [1.6 * np.cos(2 * self.orientation), 1.6 * np.sin(2 * self.orientation)]
        columns.append(np.log2(self.length) / 0.25)
        speed = self.swing * self.frequency / self.u  # image heights a second, but for a factor
        columns += [speed / 0.02, speed / 0.02 * np.cos(2 * self.direction), speed / 0.02 * np.sin(2 * self.direction)]
        return np.stack(columns, axis=1)

    def draw(self, canvas: np.ndarray, time: float) -> None:
        ys, xs = (v[0] for v in self.at(np.array([time])))
        for y, x, hue, orientation, length in zip(ys, xs, self.hue, self.orientation, self.length, strict=True):
            frame = _Frame(y, x, length / 2, orientation)
            colour = lab(self.lightness, self.chroma, hue)
            if self.shape == "bar":
                frame.polygon(canvas, np.array([-1, 1, 1, -1]), np.array([-0.3, -0.3, 0.3, 0.3]), colour)
            elif self.shape == "ellipse":
                frame.ellipse(canvas, 0, 0, 1, 0.5, colour)
            elif self.shape == "disc":
                frame.ellipse(canvas, 0, 0, 0.8, 0.8, colour)
            else:
                centre = (round((x - 0.5) * 16), round((y - 0.5) * 16))
                thick = max(1, round(length * 0.14))
                cv2.circle(canvas, centre, round(length * 0.36 * 16), colour, thick, cv2.LINE_AA, shift=4)

    def interests(self, times: np.ndarray) -> list[Interest]:
        ys, xs = self.at(np.maximum(times - REACTION_LAG, 0))
        found = []
        for i, stands_out in enumerate(pop_out(self.features())):
            sigma = float(np.hypot(LANDING_SCATTER * self.u, 0.2 * self.length[i]))
            found.append(Interest("item", ys[:, i], xs[:, i], sigma, sigma, 0.02))
            if stands_out > 0.01:
                found.append(Interest("pop-out", ys[:, i], xs[:, i], sigma, sigma, 1.6 * float(stands_out)))
        return found


@dataclass(frozen=True)
class Face:
    """A drawn face; with ``shuffle`` its parts are in the wrong places."""

    frame: _Frame
    u: float
    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    long_hair: bool
    smile: float
    gaze: float
    shuffle: tuple[tuple[float, float], ...] | None

    # (x, y) of left eye, right eye, nose, mouth in half head heights
    PLACES = ((-0.3, -0.12), (0.3, -0.12), (0.0, 0.18), (0.0, 0.5))

    def draw(self, canvas: np.ndarray, time: float) -> None:
        f, dark = self.frame, _darker(self.skin, 0.75)
        f.ellipse(canvas, 0, -0.2, 0.82, 0.88, self.hair)
        if self.long_hair:
            f.polygon(canvas, np.array([-0.82, 0.82, 0.9, -0.9]), np.array([-0.2, -0.2, 0.95, 0.95]), self.hair)
        f.ellipse(canvas, -0.72, 0.05, 0.12, 0.2, dark)
        f.ellipse(canvas, 0.72, 0.05, 0.12, 0.2, dark)
        f.ellipse(canvas, 0, 0.08, 0.7, 0.92, self.skin)
        f.ellipse(canvas, 0, -0.5, 0.66, 0.4, self.hair, slice(15, 32))
        left, right, nose, mouth = self.shuffle or self.PLACES
        for x, y in (left, right):
            f.ellipse(canvas, x, y - 0.2, 0.19, 0.05, _darker(self.hair, 0.8))
            f.ellipse(canvas, x, y, 0.17, 0.1, (245, 245, 242))
            f.ellipse(canvas, x + 0.06 * self.gaze, y, 0.085, 0.095, self.iris)
            f.ellipse(canvas, x + 0.06 * self.gaze, y, 0.045, 0.05, (15, 15, 18))
        x, y = nose
        f.polygon(canvas, x + np.array([0, 0.13, -0.13]), y + np.array([-0.22, 0.1, 0.1]), dark)
        x, y = mouth
        f.ellipse(canvas, x, y, 0.28, 0.1 + 0.1 * abs(self.smile), self.lips, slice(0, 17))
        f.ellipse(canvas, x, y, 0.28, 0.06, _darker(self.lips, 0.7))

    def interests(self, times: np.ndarray) -> list[Interest]:
        f, scatter = self.frame, LANDING_SCATTER * self.u

        def gaussian(kind: str, x: float, y: float, rx: float, ry: float, strength: float) -> Interest:
            px, py = (np.full(len(times), v) for v in f.at(x, y))
            return Interest(
                kind, py, px, float(np.hypot(scatter, ry * f.unit)), float(np.hypot(scatter, rx * f.unit)), strength
            )

        if self.shuffle:
            return [gaussian("object", 0, 0.05, 0.35, 0.4, 0.3)]
        large = min(1.3, f.unit / (0.15 * self.u))  # a larger face is found and looked at more often
        return [
            gaussian("face", -0.28, -0.1, 0.1, 0.05, 0.55 * large),
            gaussian("face", 0.28, -0.1, 0.1, 0.05, 0.55 * large),
            gaussian("face", 0, 0.18, 0.1, 0.1, 0.25 * large),
            gaussian("face", 0, 0.48, 0.15, 0.05, 0.3 * large),
        ]


@dataclass(frozen=True)
class Text:
    """Lines of words; with ``blackened`` every word is a bar. ``words``: (y, x, width, word) of each."""

    u: float
    words: tuple[tuple[float, float, float, str], ...]
    height: float
    colour: Colour
    paper: tuple[float, float, float, float, Colour] | None
    blackened: bool

    def draw(self, canvas: np.ndarray, time: float) -> None:
        if self.paper:
            top, left, bottom, right, colour = self.paper
            _fill(canvas, np.array([left, right, right, left]), np.array([top, top, bottom, bottom]), colour)
        thick = max(1, round(self.height * 0.09))
        for y, x, width, word in self.words:
            if self.blackened:
                half = 0.27 * self.height
                _fill(canvas, np.array([x, x + width, x + width, x]), y + half * np.array([-1, -1, 1, 1]), self.colour)
                continue
            (unit_width, _), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, 2.0, 1)
            scale = 2.0 * width / unit_width
            at = (round(x), round(y + 0.3 * self.height))
            cv2.putText(canvas, word, at, cv2.FONT_HERSHEY_SIMPLEX, scale, self.colour, thick, cv2.LINE_AA)

    def interests(self, times: np.ndarray) -> list[Interest]:
        still = np.ones(len(times))
        kind, strength = ("object", 0.25) if self.blackened else ("text", 1.3)
        lines = sorted({word[0] for word in self.words})
        rank = np.array([0.75 ** lines.index(word[0]) for word in self.words])  # reading begins at the top
        share = strength * rank / rank.sum()
        scatter = LANDING_SCATTER * self.u
        return [
            # Readers land a little left of a word's middle (Rayner, Perception 1979: preferred viewing location).
            Interest(kind, still * y, still * (x + 0.42 * width), float(np.hypot(0.6 * scatter, 0.2 * self.height)),
                     float(np.hypot(0.6 * scatter, 0.28 * width)), float(s))
            for (y, x, width, _), s in zip(self.words, share, strict=True)
        ]  # fmt: skip


@dataclass(frozen=True)
class Solid:
    """A shaded ball, star or block. ``contrast`` (0 to 1) to the background decides how much it is looked at."""

    frame: _Frame
    u: float
    shape: str
    colour: Colour
    contrast: float

    def draw(self, canvas: np.ndarray, time: float) -> None:
        f = self.frame
        light = _lighter(self.colour, 0.35)
        if self.shape == "ball":
            upright = _Frame(f.y, f.x, f.unit, 0.0)
            for k in range(6):  # rings of growing lightness towards the lamp, upper left
                mixed = _mix(_darker(self.colour, 0.7), light, k / 5)
                upright.ellipse(canvas, -0.09 * k, -0.09 * k, 1 - 0.16 * k, 1 - 0.16 * k, mixed)
        elif self.shape == "star":
            turn = np.linspace(0, 2 * np.pi, 10, endpoint=False)
            radius = np.where(np.arange(10) % 2, 0.45, 1.0)
            f.polygon(canvas, radius * np.cos(turn), radius * np.sin(turn), self.colour)
        else:
            f.polygon(canvas, np.array([-0.9, 0.5, 0.5, -0.9]), np.array([-0.5, -0.5, 0.9, 0.9]), self.colour)
            f.polygon(canvas, np.array([-0.9, -0.5, 0.9, 0.5]), np.array([-0.5, -0.9, -0.9, -0.5]), light)
            f.polygon(
                canvas, np.array([0.5, 0.9, 0.9, 0.5]), np.array([-0.5, -0.9, 0.5, 0.9]), _darker(self.colour, 0.65)
            )

    def interests(self, times: np.ndarray) -> list[Interest]:
        still = np.ones(len(times))
        sigma = float(np.hypot(LANDING_SCATTER * self.u, 0.35 * self.frame.unit))
        return [
            Interest("object", still * self.frame.y, still * self.frame.x, sigma, sigma, 0.15 + 0.6 * self.contrast)
        ]


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _darker(colour: Colour, factor: float) -> Colour:
    return _mix((0, 0, 0), colour, factor)


def _lighter(colour: Colour, share: float) -> Colour:
    return _mix(colour, (255, 255, 255), share)


# ---------------------------------------------------------------------------------------------- planning


@dataclass(frozen=True)
class Scene:
    """A planned scene."""

    size: tuple[int, int]
    background: Background
    things: list[Thing]

    def draw(self, times: np.ndarray) -> np.ndarray:
        """uint8 (E, H, W, 3): the scene at each of (E,) times in seconds."""
        ground = self.background.paint(self.size)
        frames = np.repeat(ground[None], len(times), axis=0)
        for frame, time in zip(frames, times, strict=True):
            for thing in self.things:
                thing.draw(frame, float(time))
        return frames

    def interests(self, times: np.ndarray) -> list[Interest]:
        """Everything that draws the eye, at each of (E,) times."""
        return [interest for thing in self.things for interest in thing.interests(times)]


@dataclass
class _Layout:
    """Free room of an image; boxes are (top, left, bottom, right)."""

    size: tuple[int, int]
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)

    def is_free(self, top: float, left: float, bottom: float, right: float) -> bool:
        return all(bottom <= t or b <= top or right <= lo or hi <= left for t, lo, b, hi in self.boxes)

    def place(self, rng: Generator, height: float, width: float) -> tuple[float, float] | None:
        """(y, x) of the centre of a free box, which is then taken; None where 30 tries find no room."""
        h, w = self.size
        if height >= h or width >= w:
            return None
        for _ in range(30):
            top, left = rng.uniform(0, h - height), rng.uniform(0, w - width)
            if self.is_free(top, left, top + height, left + width):
                self.boxes.append((top, left, top + height, left + width))
                return top + height / 2, left + width / 2
        return None


def plan(rng: Generator, size: tuple[int, int], moving: bool = False) -> Scene:
    """Think up a scene.

    Args:
        rng: the only source of chance.
        size: (height, width) of the image.
        moving: items swing about their places, and one is odd in how it does: which one no single frame tells.
    """
    layout = _Layout(size)
    u = float(min(size))
    dark = rng.random() < 0.5
    lightness = rng.uniform(22, 42) if dark else rng.uniform(66, 86)
    hue, turn = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.7)
    spread = rng.uniform(4, 11)
    chroma = rng.uniform(4, 24)
    background = Background(
        kind=str(rng.choice(BACKGROUNDS)),
        palette=(
            lab(lightness - spread, chroma, hue),
            lab(lightness, chroma, hue + turn / 2),
            lab(lightness + spread, chroma, hue + turn),
        ),
        angle=float(rng.uniform(0, np.pi)),
        scale=float(rng.uniform(6, 16)),
        grain=float(rng.uniform(0.0, 0.08)),
        seed=int(rng.integers(2**31)),
    )
    ground = np.array(background.palette[1])
    content = str(rng.choice(["items", "things", "both"], p=[0.3, 0.35, 0.35]))
    things: list[Thing] = []
    if content != "items":
        for _ in range(rng.integers(2, 6) if content == "things" else rng.integers(1, 3)):
            make = (_plan_face, _plan_text, _plan_solid)[rng.choice(3, p=[0.35, 0.3, 0.35])]
            thing = make(rng, layout, u, ground, dark)
            if thing is not None:
                things.append(thing)
    if content != "things" or moving:
        items = _plan_items(rng, layout, u, dark, moving)
        if items is not None:
            things.append(items)
    return Scene(size, background, things)


def _plan_items(rng: Generator, layout: _Layout, u: float, dark: bool, moving: bool) -> Items | None:
    """An array on a jittered grid in whatever room is left; None where fewer than eight items fit."""
    h, w = layout.size
    cell = u * rng.uniform(0.13, 0.2) * (1.25 if moving else 1.0)
    rows, columns = int(h / cell), int(w / cell)
    row, column = (v.ravel() for v in np.mgrid[0:rows, 0:columns])
    y = (row + 0.5) * h / rows + rng.uniform(-0.14, 0.14, len(row)) * cell
    x = (column + 0.5) * w / columns + rng.uniform(-0.14, 0.14, len(row)) * cell
    half = cell / 2
    room = np.array([layout.is_free(b - half, a - half, b + half, a + half) for b, a in zip(y, x, strict=True)])
    room &= rng.random(len(row)) < rng.uniform(0.65, 1.0)
    y, x = y[room], x[room]
    n = len(y)
    if n < 8:
        return None
    shape = str(rng.choice(SHAPES))
    odd = str(rng.choice(ODD)) if not moving else str(rng.choice(["nothing", "nothing among mixed hues"]))
    oriented = shape in ("bar", "ellipse")
    if ("orientation" in odd and not oriented) or odd == "conjunction":
        shape, oriented = "bar", True
    hue = np.full(n, rng.uniform(0, 2 * np.pi))
    orientation = np.full(n, rng.uniform(0, np.pi))
    log_length = np.full(n, np.log(cell * rng.uniform(0.42, 0.6)))
    other_hue = rng.choice([-1, 1]) * rng.uniform(0.9, np.pi)
    other_orientation = rng.choice([-1, 1]) * rng.uniform(0.4, np.pi / 2)
    which = int(rng.integers(n))
    if "mixed hues" in odd:
        hue = rng.uniform(0, 2 * np.pi, n)
    if odd == "among mixed orientations":
        orientation = rng.uniform(0, np.pi, n)
    if odd == "conjunction":
        first = rng.random(n) < 0.5
        hue = np.where(first, hue, hue + np.pi)
        orientation = np.where(first, orientation, orientation + np.pi / 2)
        hue[which] += np.pi
    if odd in ("hue", "hue and orientation", "among mixed orientations"):
        hue[which] += other_hue
    if odd in ("orientation", "hue and orientation") or (odd == "among mixed hues" and oriented):
        orientation[which] += other_orientation
    if odd == "size" or (odd == "among mixed hues" and not oriented):
        log_length[which] += rng.choice([-1, 1]) * rng.uniform(0.35, 0.6)
    zeros = np.zeros(n)
    swing, direction, frequency, phase = zeros, zeros, zeros, zeros
    if moving:
        swing, frequency = np.full(n, 0.18 * cell), np.full(n, rng.uniform(1.0, 1.6))
        direction, phase = np.full(n, rng.uniform(0, np.pi)), rng.uniform(0, 2 * np.pi, n)
        how = int(rng.integers(3))
        if how == 0:  # the others swing along another direction
            direction[which] += np.pi / 2
        elif how == 1:  # only this one moves: its place in the swing hides it among the jittered others
            moves = np.arange(n) == which
            y, x = (
                np.where(moves, v, v + 0.18 * cell * np.sin(phase) * f(direction))
                for v, f in ((y, np.sin), (x, np.cos))
            )
            swing = np.where(moves, swing, 0.0)
        else:  # and this one alone stands still
            swing[which] = 0.0
            y[which] += 0.18 * cell * np.sin(phase[which]) * np.sin(direction[which])
            x[which] += 0.18 * cell * np.sin(phase[which]) * np.cos(direction[which])
    return Items(
        shape, u, y, x,
        hue + rng.normal(0, 0.06, n), orientation + rng.normal(0, 0.05, n), np.exp(log_length + rng.normal(0, 0.03, n)),
        78.0 if dark else 40.0, 52.0,
        swing, direction, frequency, phase,
    )  # fmt: skip


def _plan_face(rng: Generator, layout: _Layout, u: float, ground: np.ndarray, dark: bool) -> Face | None:
    radius = u * rng.uniform(0.09, 0.22)
    centre = layout.place(rng, 2.3 * radius, 2.1 * radius)
    if centre is None:
        return None
    tone = rng.uniform(35, 82)
    hair = lab(rng.uniform(8, 60), rng.uniform(0, 35), rng.uniform(0.7, 1.4))
    iris = lab(rng.uniform(25, 50), rng.uniform(10, 30), rng.uniform(0, 2 * np.pi))
    shuffle = None
    if rng.random() < 0.3:
        spots = [(-0.35, 0.5), (0.35, 0.45), (0.0, -0.25), (-0.3, 0.1), (0.32, 0.0), (0.0, 0.75)]
        order = rng.permutation(6)[:4]
        shuffle = tuple(spots[i] for i in order)
    return Face(
        _Frame(centre[0], centre[1], radius, float(rng.normal(0, 0.15))), u,
        lab(tone, rng.uniform(18, 30), rng.uniform(0.8, 1.15)), hair, iris,
        lab(max(25.0, tone - 22), 38, 0.45), bool(rng.random() < 0.5),
        float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1)), shuffle,
    )  # fmt: skip


def _plan_text(rng: Generator, layout: _Layout, u: float, ground: np.ndarray, dark: bool) -> Text | None:
    height = u * rng.uniform(0.065, 0.13)
    width = min(layout.size[1] * rng.uniform(0.25, 0.55), 9 * height)
    lines = int(rng.integers(1, 5))
    centre = layout.place(rng, lines * height + height, width + height)
    if centre is None:
        return None
    top, left = centre[0] - lines * height / 2, centre[1] - width / 2
    words = []
    for line in range(lines):
        x = 0.0
        while True:
            letters = int(rng.integers(2, 9))
            length = 0.55 * height * letters
            if x + length > width:
                break
            words.append((top + (line + 0.5) * height, left + x, length, "".join(rng.choice(LETTERS, letters))))
            x += length + 0.45 * height
    if not words:
        return None
    on_paper = rng.random() < 0.4
    light_paper = rng.random() < 0.7
    paper_colour = lab(90 if light_paper else 20, rng.uniform(0, 18), rng.uniform(0, 2 * np.pi))
    light_text = (on_paper and not light_paper) or (not on_paper and dark)
    colour = lab(92 if light_text else 12, rng.uniform(0, 25), rng.uniform(0, 2 * np.pi))
    edge = 0.4 * height
    paper = (top - edge, left - edge, top + lines * height + edge, left + width + edge, paper_colour)
    return Text(u, tuple(words), height, colour, paper if on_paper else None, bool(rng.random() < 0.3))


def _plan_solid(rng: Generator, layout: _Layout, u: float, ground: np.ndarray, dark: bool) -> Solid | None:
    radius = u * rng.uniform(0.05, 0.12)
    centre = layout.place(rng, 2.4 * radius, 2.4 * radius)
    if centre is None:
        return None
    colour = lab(rng.uniform(30, 80), rng.uniform(10, 60), rng.uniform(0, 2 * np.pi))
    contrast = min(1.0, float(np.linalg.norm(np.array(colour) - ground)) / 200)
    frame = _Frame(centre[0], centre[1], radius, float(rng.uniform(0, 2 * np.pi)))
    return Solid(frame, u, str(rng.choice(["ball", "star", "block"])), colour, contrast)
