"""Scores of maps that any program wrote, by the rules of a preset."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from tqdm import tqdm

from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.videos import VideoDataset
from saliency_pred.density import CentreBias
from saliency_pred.evaluation.ceilings import MAP_METRICS
from saliency_pred.evaluation.density_fit import DensityFit
from saliency_pred.evaluation.maps import MapFiles, PredictedMap
from saliency_pred.evaluation.other_frames import OtherFrames
from saliency_pred.evaluation.results import ceiling_shares
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.evaluation.video_scores import MapVideos, score_videos
from saliency_pred.fixations import Fixations
from saliency_pred.metrics.accumulate import Row, ScoreTable
from saliency_pred.metrics.presets import NEEDS, Kind, Preset


@dataclass(frozen=True)
class MapScores:
    """What came of one set of maps.

    Attributes:
        maps: where they came from.
        table: rows of the images that were scored.
        failed: image → why its map could not be scored.
        missing: images without a map.
        surplus: maps without an image.
        unavailable: metric of the preset → what is missing for it.
        warnings: what a reader of the scores should know.
        expected: how many maps there should be.
        unit: what a map belongs to: an image, or a video whose frames are the rows.
    """

    maps: MapFiles | MapVideos
    table: ScoreTable
    failed: dict[str, str]
    missing: list[str]
    surplus: list[str]
    unavailable: dict[str, str]
    warnings: list[str]
    expected: int
    unit: str = "image"


def score_maps(
    maps: MapFiles,
    data: SaliencyDataModule,
    part: str,
    scorer: Scorer,
    kind: Kind = "map",
    fit: DensityFit | None = None,
) -> MapScores:
    """Score every map that belongs to an image of a part.

    Args:
        maps: by the images' names.
        data: the images; ``part`` is one of its split, or ``all``.
        scorer: the rules.
        kind: what the values are.
        fit: turns the maps (``kind`` "map") into log densities first.

    Raises:
        ValueError: an unknown part, or not one map belongs to an image of it.
    """
    indices = data.indices(part)
    names = [data.dataset.image_ids[i] for i in indices]
    found, missing, surplus = maps.match(names)
    if not found:
        raise ValueError(
            f"{maps.path}: none of {len(maps.entries)} maps (first: {next(iter(maps.entries))}) is named like an image "
            f"of {data.dataset.name}, part {part} (first: {names[0] if names else 'none'})"
        )
    rows: list[Row] = []
    failed: dict[str, str] = {}
    notes = _Notes(scorer.preset, kind)
    todo = [(i, name) for i, name in zip(indices, names, strict=True) if name in found]
    for index, name in tqdm(todo, desc=f"scoring {maps.name}", unit="map", disable=None, leave=False):
        dataset, at = data.dataset.source(index)
        try:
            predicted = maps.read(found[name])
            values = _in_windows(predicted.values, len(data.windows), name)
            shown = kind
            if fit is not None:
                values, shown = fit.log_density(values, data.dataset.size(index)), "log_density"
            scores = scorer.score(
                values,
                data.window_fixations(index),
                dataset.density(at),
                data.sigma_of(dataset),
                name,
                dataset.name,
                kind=shown,
            )
        except (ValueError, OSError) as error:
            failed[name] = str(error)
            continue
        notes.add(name, predicted, data.dataset.size(index))
        rows.append({"image_id": name, "dataset": dataset.name} | scores)
    table = ScoreTable(rows)
    unavailable = _unavailable(table, scorer, "log_density" if fit is not None else kind)
    warnings = notes.told()
    if surplus:
        warnings.append(f"{len(surplus)} maps belong to no image of part {part}: {some(surplus)}")
    return MapScores(maps, table, failed, missing, surplus, unavailable, warnings, len(names))


def score_map_videos(
    maps: MapVideos, dataset: VideoDataset, part: str, scorer: Scorer, kind: Kind = "map", seed: int = 0
) -> MapScores:
    """Score every map video that belongs to a video of a part, frame by frame.

    Args:
        maps: by the videos' names.
        dataset: the videos; ``part`` is one of its split, or ``all``.
        scorer: the rules; see :func:`with_other_frames`.
        kind: what the values are; those of video files are maps.
        seed: of the split.

    Raises:
        ValueError: an unknown part, or not one map video belongs to a video of it.
    """
    indices = _of_part(dataset, part, seed)
    scores = score_videos(maps, dataset, indices, scorer, kind)
    table = ScoreTable(scores.rows)
    surplus = [f"{len(scores.surplus)} map videos belong to no video of part {part}: {some(scores.surplus)}"]
    return MapScores(
        maps,
        table,
        scores.failed,
        scores.missing,
        scores.surplus,
        _unavailable(table, scorer, kind),
        surplus if scores.surplus else [],
        len(indices),
        "video",
    )


def with_other_frames(scorer: Scorer, dataset: VideoDataset, part: str, seed: int = 0) -> Scorer:
    """The scorer with the fixations on frames of other videos as negatives, where its metrics need them.

    Args:
        dataset, part: the videos; those of the part are the others.
        seed: of the split, and of the draw.

    Raises:
        ValueError: an unknown part.
    """
    if not any("negatives" in NEEDS[metric] for metric in scorer.preset.metrics):
        return scorer
    others = OtherFrames(dataset, _of_part(dataset, part, seed), scorer.preset.negatives, seed, f"the {part} part")
    return dataclasses.replace(scorer, negatives=others if others.relative else None)


def _of_part(dataset: VideoDataset, part: str, seed: int) -> list[int]:
    parts = dataset.parts(seed) | {"all": list(range(len(dataset)))}
    if part not in parts:
        raise ValueError(f"split {dataset.split!r} has no part {part!r}, it has {', '.join(parts)}")
    return parts[part]


def _unavailable(table: ScoreTable, scorer: Scorer, kind: Kind) -> dict[str, str]:
    """Metric of the preset → what was missing for it on every image."""
    if not table.rows:
        return {}
    given = {"fixations"} if any(row["fixations"] for row in table.rows) else set()
    given |= {"negatives"} if scorer.negatives is not None else set()
    given |= {"baseline"} if scorer.baseline is not None or scorer.reference is not None else set()
    given |= {"density"} if any(m in table.metrics for m in MAP_METRICS) else set()
    return scorer.preset.unavailable(kind, given)


def _in_windows(values: Tensor, number: int, name: str) -> Tensor:
    """(T, h, w), one map for each time window.

    Raises:
        ValueError: another number of maps.
    """
    stack = values[None] if values.ndim == 2 else values
    if len(stack) != number:
        remedy = "windows=[[0,1],[1,2],...] names more" if number == 1 else f"write ({number}, height, width)"
        raise ValueError(f"{name}: {len(stack)} maps for {number} time windows; {remedy}")
    return stack


def fit_density(maps: MapFiles, data: SaliencyDataModule, part: str, bias: CentreBias | None) -> DensityFit:
    """Read the maps of a part, and fit how they become densities to its fixations.

    Args:
        maps: by the images' names; those of other images are passed over.
        data, part: which images.
        bias: the centre bias.

    Raises:
        ValueError: no maps of these images, or no fixations.
        BrokenFileError: a map that cannot be read.
    """
    names = {data.dataset.image_ids[i]: i for i in data.indices(part)}
    found, _, _ = maps.match(list(names))
    if not found:
        raise ValueError(
            f"{maps.path}: fit={part} needs maps of the images of that part too, and there are none; write them "
            "beside the others"
        )
    values, packs = list[Tensor](), list[Fixations]()
    for name, key in tqdm(found.items(), desc=f"fitting {maps.name}", unit="map", disable=None, leave=False):
        pack = data.window_fixations(names[name])
        if pack is not None and len(pack):
            values.append(_in_windows(maps.read(key).values, len(data.windows), name))
            packs.append(pack)
    if bias is None or not packs:
        raise ValueError(f"fit={part} needs fixations, and {data.dataset.name} has none there")
    if len(packs) < 8:
        return DensityFit.fit(values, packs, bias)
    # A centre bias predicts the images it was made of too well and would be weighted too highly: half of the images
    # give one, the other half is fitted to with it
    fitted = DensityFit.fit(values[1::2], packs[1::2], CentreBias.fit(packs[::2]))
    return dataclasses.replace(fitted, bias=bias)


def about_scores(
    scores: MapScores,
    data: SaliencyDataModule,
    part: str,
    scorer: Scorer,
    kind: Kind,
    baselines: dict[str, ScoreTable],
    fit: DensityFit | None = None,
) -> dict[str, Any]:
    """Everything of scores.json but versions."""
    dataset = data.dataset
    aggregation = scorer.preset.aggregation
    return {
        "scores": scores.table.summary(aggregation),
        "baselines": {name: table.summary(aggregation) for name, table in baselines.items()},
        "share_of_ceiling": ceiling_shares(scores.table, baselines),
        "images": len(scores.table.rows),
        "unscorable": scores.table.unscorable(),
        "unavailable": scores.unavailable,
        "failed": scores.failed,
        "missing": scores.missing,
        "surplus": scores.surplus,
        "warnings": scores.warnings,
        "maps": {"path": str(scores.maps.path), "kind": kind, "fit": None if fit is None else fit.description()},
        "data": {
            "dataset": dataset.name,
            "root": str(dataset.root),
            "split": dataset.split,
            "part": part,
            "seed": data.seed,
            "windows": data.windows.tolist(),
            "issues": {issue: len(where) for issue, where in dataset.issues.items()},
        },
        "options": scorer.options(),
    }


class _Notes:
    """What is peculiar about the maps, told once with the number and the first few names."""

    def __init__(self, preset: Preset, kind: Kind) -> None:
        self.preset = preset
        self.kind = kind
        self.coarse: list[str] = []
        self.lossy: list[str] = []
        self.resized: list[str] = []
        self.logarithms: list[str] = []

    def add(self, name: str, predicted: PredictedMap, size: tuple[int, int]) -> None:
        """One map that was scored on an image of (height, width)."""
        values = predicted.values
        if predicted.bits == 8:
            self.coarse.append(name)
        if predicted.lossy:
            self.lossy.append(name)
        if tuple(values.shape[-2:]) != tuple(size):
            self.resized.append(f"{name} {tuple(values.shape[-2:])} for {tuple(size)}")
        negative = self.kind == "map" and bool((values <= 0).all())
        if negative and bool((values.flatten(-2).logsumexp(-1).abs() < 1e-2).all()):
            self.logarithms.append(name)

    def told(self) -> list[str]:
        """The warnings."""
        found = []
        if self.coarse:
            effect = (
                "an 8-bit density loses its tail: KLD and information gain are worse than the model's; "
                "write .npy, HDF5 or 16-bit PNG"
            )
            found.append(f"{len(self.coarse)} maps are stored in 8 bits ({some(self.coarse)}): {effect}")
        if self.lossy:
            found.append(f"{len(self.lossy)} maps are JPEG, which changes their values: {some(self.lossy)}")
        if self.resized:
            rule = "bilinear, in the logarithm" if self.kind == "log_density" else self.preset.resize
            found.append(f"{len(self.resized)} maps were resized ({rule}): {some(self.resized)}")
        if self.logarithms:
            found.append(
                f"{len(self.logarithms)} maps look like log densities but are scored as maps: "
                f"{some(self.logarithms)}; use maps=log_density"
            )
        return found


def some(names: Sequence[str]) -> str:
    """The first few names."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def comparison_rows(first: MapScores, second: MapScores) -> dict[str, tuple[list[float], list[float]]]:
    """metric → values of both on the images that both have, in one order."""
    rows = {(r["dataset"], r["image_id"]): r for r in second.table.rows}
    pairs = [(r, rows[r["dataset"], r["image_id"]]) for r in first.table.rows if (r["dataset"], r["image_id"]) in rows]
    metrics = [m for m in first.table.metrics if m in second.table.metrics]
    return {m: ([a.get(m, math.nan) for a, _ in pairs], [b.get(m, math.nan) for _, b in pairs]) for m in metrics}
