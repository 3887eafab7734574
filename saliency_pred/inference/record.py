"""What a prediction says in numbers, as the JSON document that ``saliency predict`` writes.

The schema is versioned: a key is never given another meaning, and one that goes raises :data:`SCHEMA`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from saliency_pred.inference.prediction import Prediction
from saliency_pred.inference.regions import RegionScore
from saliency_pred.version import __version__

SCHEMA = 1
"""Of the document; raised when a key goes or changes its meaning. New keys may come without it."""


def image_record(prediction: Prediction, scores: Mapping[str, RegionScore]) -> dict[str, Any]:
    """The numbers of one image."""
    height, width = prediction.log_density.shape[-2:]
    return {
        "size": [int(height), int(width)],
        **_numbers(prediction.pooled),
        "max_entropy": prediction.max_entropy,
        "regions": {name: _region(score) for name, score in scores.items()},
        "windows": _windows(prediction),
    }


def comparison_record(predictions: Sequence[Prediction], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What changes from one image to another: B minus A.

    Args:
        predictions: of A and B.
        records: of A and B.
    """
    first, second = predictions
    a, b = records
    common = [name for name in a["regions"] if name in b["regions"]]
    keys = ("area", "attention", "lift", "first_look")
    return {
        "a": a["image"],
        "b": b["image"],
        "entropy": _change(a, b, "entropy"),
        "centre_bias_distance": _change(a, b, "centre_bias_distance"),
        "overlap": _overlap(first, second),
        "regions": {
            name: {key: _change(a["regions"][name], b["regions"][name], key) for key in keys} for name in common
        },
        "only_in_a": [name for name in a["regions"] if name not in b["regions"]],
        "only_in_b": [name for name in b["regions"] if name not in a["regions"]],
    }


def document(
    model: Mapping[str, Any],
    images: list[dict[str, Any]],
    failed: list[dict[str, str]],
    comparison: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The whole document."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "model": dict(model),
        "images": images,
        "failed": failed,
        "comparison": comparison,
    }


def _numbers(one: Prediction) -> dict[str, Any]:
    return {
        "entropy": one.entropy,
        "centre_bias_distance": one.centre_bias_distance,
        "peak": list(one.peak),
    }


def _windows(prediction: Prediction) -> list[dict[str, Any]] | None:
    if prediction.windows is None:
        return None
    found = []
    for number, span in enumerate(prediction.windows):
        found.append({"seconds": list(span), **_numbers(prediction.window(number))})
    return found


def _region(score: RegionScore) -> dict[str, Any]:
    return {
        "box": score.region.box,
        "area": score.area,
        "attention": score.attention,
        "lift": score.lift,
        "first_look": score.first_look,
        "windows": None if score.by_window is None else list(score.by_window),
    }


def _change(a: Mapping[str, Any], b: Mapping[str, Any], key: str) -> dict[str, float | None]:
    both = a[key] is not None and b[key] is not None
    return {"a": a[key], "b": b[key], "delta": b[key] - a[key] if both else None}


def _overlap(first: Prediction, second: Prediction) -> float | None:
    """Share of the density that two images of one size have in common (SIM); None for two sizes."""
    a, b = first.pooled.density, second.pooled.density
    if a.shape != b.shape:
        return None
    return min(1.0, float(np.minimum(a, b).sum(dtype=np.float64)))
