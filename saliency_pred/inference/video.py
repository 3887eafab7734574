"""Predicting videos of any length: in constant memory, in parts that are kept if the machine stops.

Results are written in parts of some hundred frames below a hidden folder beside them. A part is there whole or not at
all; a run that finds parts made with the same model, video and settings goes on behind them, and its result equals,
byte for byte, that of a run that was never stopped. In the end the parts are put together, the result is read back
and its frames are counted.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from saliency_pred.atomic import write_text
from saliency_pred.data.clips import ClipSampler
from saliency_pred.data.video import Video
from saliency_pred.inference.predictor import Predictor
from saliency_pred.inference.run import model_facts
from saliency_pred.inference.stream import VideoStream
from saliency_pred.inference.video_outputs import VIDEO_OUTPUTS, VideoOutput
from saliency_pred.instantiate import instantiate

SCHEMA = 1
"""Of the record; raised when a key changes its meaning."""
_PART = 256
"""Steps of a part, about: what is lost if the machine stops."""


def predict_video(
    predictor: Predictor,
    video: Video,
    target: Path,
    kinds: Sequence[str] = ("maps", "overlay"),
    resume: bool = True,
    advance: Callable[[int], object] = lambda count: None,
) -> dict[str, Any]:
    """Predict every frame of a video, and write what came out.

    Args:
        predictor: of a checkpoint, which says how its network sees videos; networks of still images see frames.
        video: of :func:`saliency_pred.data.video.open_video`.
        target: the folder and the beginning of the names of the results.
        kinds: of ``saliency_pred.inference.video_outputs.VIDEO_OUTPUTS``.
        resume: go on with parts that are there, and pass over what is done; False: begin anew.
        advance: is told how many more frames are done.

    Returns:
        the record, which is also in ``<target>.json``: the video, the model, the files, the speed.

    Raises:
        BrokenFileError: the video cannot be read.
        OSError: the disk is full, or a result does not read back as it should.
    """
    if unknown := [kind for kind in kinds if kind not in VIDEO_OUTPUTS]:
        raise ValueError(f"write_video={unknown[0]} is none of {', '.join(VIDEO_OUTPUTS)}")
    clips = _clips_of(predictor)
    model = model_facts(predictor)
    settings = _settings(video, clips, kinds, model)
    record_path = target.with_name(f"{target.name}.json")
    outputs = {kind: VIDEO_OUTPUTS[kind](video) for kind in kinds}
    files = {kind: target.with_name(target.name + output.suffix) for kind, output in outputs.items()}
    if resume and (done := _finished(record_path, settings, files.values())) is not None:
        advance(len(video))
        return done
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}.parts")
    _prepare(folder, settings, resume)
    stream = VideoStream(predictor, video, clips, predictor.batch_size)
    parts = _parts(stream)
    began = time.perf_counter()
    _write_parts(stream, parts, outputs, folder, advance)
    taken = time.perf_counter() - began
    for kind, output in outputs.items():
        pieces = [_piece(folder, number, kind) for number in range(len(parts))]
        output.join(pieces, [part.frames.start for part in parts], files[kind])
        if (count := output.frames_in(files[kind])) != len(video):
            raise OSError(
                f"{files[kind]} reads back with {count} frames, {video.path} has {len(video)}; is the disk full?"
            )
    record = {
        "schema": SCHEMA,
        "settings": settings,
        "video": str(video.path),
        "frames": len(video),
        "duration": round(float(video.windows[-1, 1]), 6),
        "size": list(video.size),
        "model": model,
        "clips": asdict(clips),
        "files": {kind: file.name for kind, file in files.items()},
        "speed": _speed(stream, taken),
    }
    write_text(record_path, json.dumps(record, indent=2) + "\n")
    shutil.rmtree(folder)
    return record


class _Span(NamedTuple):
    """The steps of a part, and the frames of the video that they stand for."""

    steps: range
    frames: range


def _parts(stream: VideoStream) -> list[_Span]:
    """Some hundred steps each, cut where the stream can be gone on with; none is without frames."""
    length = stream.block * max(1, round(_PART / stream.block))
    firsts = [int(np.searchsorted(stream.step_of, step)) for step in range(0, stream.steps, length)]
    count = len(stream.video)
    kept = [k for k, first in enumerate(firsts) if first < (firsts[k + 1] if k + 1 < len(firsts) else count)]
    steps = [k * length for k in kept] + [stream.steps]
    frames = [firsts[k] for k in kept] + [count]
    spans = zip(itertools.pairwise(steps), itertools.pairwise(frames), strict=True)
    return [_Span(range(*step), range(*frame)) for step, frame in spans]


def _write_parts(
    stream: VideoStream,
    parts: Sequence[_Span],
    outputs: dict[str, VideoOutput],
    folder: Path,
    advance: Callable[[int], object],
) -> None:
    """Predict and write the parts that are not there yet."""
    there = 0
    while there < len(parts) and _piece(folder, there, "state").is_file():
        advance(len(parts[there].frames))
        there += 1
    if there == len(parts):
        return
    state = (
        torch.load(_piece(folder, there - 1, "state"), stream.predictor.device, weights_only=True) if there else None
    )
    densities = stream.run(parts[there].steps.start, state)
    pictures: Iterator[np.ndarray | None] = itertools.repeat(None)
    if any(output.needs_pictures for output in outputs.values()):
        pictures = stream.video.frames(parts[there].frames.start)
    for number, part in enumerate(parts[there:], there):
        with _pieces(outputs, folder, number, part.frames):
            frame = part.frames.start
            for step in part.steps:
                density, state = next(densities)
                while frame < part.frames.stop and stream.step_of[frame] == step:
                    picture = next(pictures)
                    for output in outputs.values():
                        output.write(density, picture)
                    frame += 1
                    advance(1)
        mark = folder / "state.tmp"
        torch.save(state, mark)
        os.replace(mark, _piece(folder, number, "state"))


@contextlib.contextmanager
def _pieces(outputs: dict[str, VideoOutput], folder: Path, number: int, frames: range) -> Iterator[None]:
    """Open the files of one part; they get their names when all are complete."""
    for kind, output in outputs.items():
        output.begin(folder / f"{kind}.tmp", frames.start, len(frames))
    yield
    for kind, output in outputs.items():
        output.end()
        os.replace(folder / f"{kind}.tmp", _piece(folder, number, kind))


def _piece(folder: Path, number: int, kind: str) -> Path:
    return folder / f"{number:05d}.{kind}"


# ---------------------------------------------------------------------- what is done already


def _settings(video: Video, clips: ClipSampler, kinds: Sequence[str], model: dict[str, Any]) -> str:
    """A hash of everything that the results depend on; of the video its name, size and time of change."""
    files = sorted(video.path.iterdir()) if video.path.is_dir() else [video.path]
    states = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    described = [SCHEMA, states, video.times[-1], asdict(clips), sorted(kinds), model]
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]


def _finished(record_path: Path, settings: str, files: Iterable[Path]) -> dict[str, Any] | None:
    """The record of an earlier run with these settings whose files are there."""
    try:
        record: dict[str, Any] = json.loads(record_path.read_text())
    except (OSError, ValueError):
        return None
    same = isinstance(record, dict) and record.get("settings") == settings
    return record if same and all(file.is_file() for file in files) else None


def _prepare(folder: Path, settings: str, resume: bool) -> None:
    """The folder of the parts: as it is if it is of these settings, else new."""
    plan = folder / "settings"
    if not (resume and plan.is_file() and plan.read_text() == settings):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        plan.write_text(settings)


# ---------------------------------------------------------------------- how the network sees videos, and how fast


def _clips_of(predictor: Predictor) -> ClipSampler:
    """As in training; networks of still images see single frames."""
    config = None if predictor.checkpoint is None else predictor.checkpoint.config.loader.get("clips")
    return ClipSampler() if config is None else instantiate(config)


def _speed(stream: VideoStream, taken: float) -> dict[str, Any]:
    """What the time went into, of the frames of this run (a resumed one counts its own)."""
    known = {name: round(seconds, 3) for name, seconds in stream.seconds.items()}
    rest = taken - sum(stream.seconds.values())
    return {
        "steps": stream.done,
        "seconds": known | {"writing": round(rest, 3)},
        "maps_per_second": round(stream.done / stream.seconds["network"], 2) if stream.done else None,
        "latency_seconds": round(statistics.median(stream.calls), 4) if stream.calls else None,
        "look_ahead_frames": stream.look_ahead,
        "device": str(stream.predictor.device),
    }
