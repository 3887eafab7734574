"""Predicting many files: in batches, each result written as it comes, what is done already passed over."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from saliency_pred.atomic import write_bytes, write_text
from saliency_pred.data.image import read_image
from saliency_pred.inference.images import rgb_image
from saliency_pred.inference.outputs import encode, jpeg, write
from saliency_pred.inference.prediction import Prediction
from saliency_pred.inference.prediction_sheet import Panel, prediction_sheet
from saliency_pred.inference.predictor import Predictor
from saliency_pred.inference.record import SCHEMA, comparison_record, document, image_record
from saliency_pred.inference.regions import Region, regions_of

DOCUMENT = "predictions.json"
_SAVED_EVERY = 5.0
"""Seconds between writings of the document: what is lost if the machine stops."""
_PER_SHEET = 24


@dataclass(frozen=True)
class Options:
    """What is written about each image.

    Attributes:
        kinds: some of ``saliency_pred.inference.outputs.OUTPUTS``.
        regions: to be scored.
        time: the time windows, where the model has them; False: the whole viewing alone.
    """

    kinds: tuple[str, ...] = ("npy", "heat", "overlay")
    regions: tuple[Region, ...] = ()
    time: bool = False


@dataclass
class Outcome:
    """What became of the files.

    Attributes:
        records: of the images, in the order asked for, as in the document.
        failed: image and error.
        skipped: how many were there already.
        comparison: of two images, as in the document.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    skipped: int = 0
    comparison: dict[str, Any] | None = None


def predict_files(
    predictor: Predictor,
    images: Sequence[tuple[Path, str]],
    out: Path,
    options: Options,
    resume: bool = True,
    advance: Callable[[int], object] = lambda count: None,
) -> Outcome:
    """Predict image files and write their results and the document below ``out``.

    An image is passed over if the document says that it was predicted with the same model and the same settings,
    and its results are there and its own content has not changed. Earlier records with the same settings stay.

    Args:
        predictor: of a loaded checkpoint.
        images: each with the name of its results below ``out``.
        out: is made.
        options: what is written.
        resume: False predicts all again.
        advance: is told how many more images are dealt with.
    """
    out.mkdir(parents=True, exist_ok=True)
    model = model_facts(predictor)
    settings = _settings(model, options)
    kept = _earlier(out, settings) if resume else {}
    outcome = Outcome()
    done: dict[str, dict[str, Any]] = {}
    saved = time.monotonic()
    try:
        for batch in _batches(predictor, images, out, kept, outcome, advance):
            for (path, name, digest, _), prediction in zip(batch, _predicted(predictor, batch, options), strict=True):
                try:
                    record = _write(prediction, path, name, out, options)
                except (ValueError, OSError) as error:  # a region beside the image, a full disk
                    outcome.failed.append({"image": str(path), "error": str(error)})
                else:
                    done[name] = record | {"settings": settings, "sha256": digest}
                advance(1)
            if time.monotonic() - saved > _SAVED_EVERY:
                _save(out, model, kept | done, outcome)
                saved = time.monotonic()
    finally:
        _save(out, model, kept | done, outcome)
    outcome.records = [r for _, name in images if (r := (kept | done).get(name)) is not None]
    return outcome


def compare_files(predictor: Predictor, images: Sequence[tuple[Path, str]], out: Path, options: Options) -> Outcome:
    """Predict two images, and write what changes from the first to the second.

    Raises:
        ValueError: not two images, or a region that lies outside.
        BrokenFileError: one cannot be read.
    """
    if len(images) != 2:
        raise ValueError(f"compare=true needs two images, A and B, got {len(images)}")
    out.mkdir(parents=True, exist_ok=True)
    model = model_facts(predictor)
    settings = _settings(model, options)
    records, predictions = [], []
    for path, name in images:
        prediction = predictor.predict(path)
        predictions.append(prediction if options.time else prediction.pooled)
        record = _write(predictions[-1], path, name, out, options)
        records.append(record | {"settings": settings, "sha256": _sha256(path)})
    outcome = Outcome(records)
    outcome.comparison = comparison_record(predictions, records)
    _save(out, model, _earlier(out, settings) | {r["name"]: r for r in records}, outcome)
    return outcome


def write_sheets(outcome: Outcome, out: Path) -> list[Path]:
    """Pages of images beside their overlays, from what was written; returns their paths."""
    pages = [outcome.records[i : i + _PER_SHEET] for i in range(0, len(outcome.records), _PER_SHEET)]
    written = []
    for number, records in enumerate(pages, 1):
        panels = []
        for record in records:
            folder = (out / record["name"]).parent
            pictures = [read_image(record["image"]), read_image(folder / record["files"]["overlay"])]
            panels.append(Panel(pictures, record["name"], f"{record['entropy']:.1f} bit"))
        written.append(out / (f"contact_sheet_{number}.jpg" if len(pages) > 1 else "contact_sheet.jpg"))
        write_bytes(written[-1], jpeg(prediction_sheet(panels)))
    return written


# ---------------------------------------------------------------------- one after the other

_Read = tuple[Path, str, str, np.ndarray]
"""An image that was read: path, name of its results, SHA-256 of its file, pixels."""


def _batches(
    predictor: Predictor,
    images: Sequence[tuple[Path, str]],
    out: Path,
    kept: dict[str, dict[str, Any]],
    outcome: Outcome,
    advance: Callable[[int], object],
) -> Iterator[list[_Read]]:
    """Images to be predicted, some at a time: as many as a batch has, and never more pixels than one may have."""
    batch: list[_Read] = []
    pixels = 0
    for path, name in images:
        try:
            digest = _sha256(path)
            if _is_done(kept.get(name), digest, out):
                outcome.skipped += 1
                advance(1)
                continue
            image = rgb_image(path, predictor.max_pixels)
        except (ValueError, OSError) as error:
            outcome.failed.append({"image": str(path), "error": str(error)})
            advance(1)
            continue
        size = image.shape[0] * image.shape[1]
        if batch and (len(batch) == predictor.batch_size or pixels + size > predictor.max_pixels):
            yield batch
            batch, pixels = [], 0
        batch.append((path, name, digest, image))
        pixels += size
    if batch:
        yield batch


def _predicted(predictor: Predictor, batch: list[_Read], options: Options) -> list[Prediction]:
    predictions = predictor.predict([image for _, _, _, image in batch])
    return predictions if options.time else [prediction.pooled for prediction in predictions]


def _write(prediction: Prediction, path: Path, name: str, out: Path, options: Options) -> dict[str, Any]:
    scores = prediction.regions(regions_of(options.regions, path))
    record = image_record(prediction, scores)
    files = write(encode(prediction, options.kinds, scores), out / name)
    return {"image": str(path), "name": name} | record | {"files": files}


# ---------------------------------------------------------------------- what is done already


def _settings(model: dict[str, Any], options: Options) -> str:
    """A hash of everything that the results depend on beside the image."""
    described = {
        "schema": SCHEMA,
        "model": model,
        "kinds": sorted(options.kinds),
        "regions": [[r.name, r.image, *r.box] for r in options.regions],
        "time": options.time,
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]


def model_facts(predictor: Predictor) -> dict[str, Any]:
    """What the document says of the model."""
    checkpoint = predictor.checkpoint
    if checkpoint is None:
        raise ValueError("predicting files needs a predictor of Predictor.load, which knows its weights")
    return {
        "name": str(checkpoint.config.get("name", "")),
        "sha256": _sha256(checkpoint.path),
        "domain": predictor.domain,
        "input_size": list(predictor.grid),
        "windows": None if predictor.windows is None else [list(w) for w in predictor.windows],
    }


def _earlier(out: Path, settings: str) -> dict[str, dict[str, Any]]:
    """Records of the document that is there, by name, made with these settings."""
    try:
        content = json.loads((out / DOCUMENT).read_text(encoding="utf-8"))
        return {r["name"]: r for r in content["images"] if r["settings"] == settings}
    except (OSError, ValueError, KeyError, TypeError):  # none, or of another program: nothing to go on with
        return {}


def _is_done(record: dict[str, Any] | None, digest: str, out: Path) -> bool:
    if record is None or record.get("sha256") != digest:
        return False
    folder = (out / record["name"]).parent
    return all((folder / file).is_file() for file in record["files"].values())


def _save(out: Path, model: dict[str, Any], records: dict[str, dict[str, Any]], outcome: Outcome) -> None:
    content = document(model, list(records.values()), outcome.failed, outcome.comparison)
    write_text(out / DOCUMENT, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _sha256(path: Path) -> str:
    """Of a file's content.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise type(error)(f"{path} cannot be read: {error.strerror}") from error
