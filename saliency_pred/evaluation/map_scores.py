"""Scores of maps that any program wrote, by the rules of a preset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from tqdm import tqdm

from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.density import CentreBias, fixation_density
from saliency_pred.evaluation.maps import MapFiles, PredictedMap
from saliency_pred.evaluation.results import summary
from saliency_pred.evaluation.scoring import DESCRIBING, Row, ScoreTable
from saliency_pred.fixations import Fixations
from saliency_pred.metrics.presets import NEEDS, Kind, Preset

InformationBaseline = Literal["centre_bias", "uniform"]


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
    """

    maps: MapFiles
    table: ScoreTable
    failed: dict[str, str]
    missing: list[str]
    surplus: list[str]
    unavailable: dict[str, str]
    warnings: list[str]


class OtherFixations:
    """The fixations of all other images, rescaled to one: the negatives of shuffled AUC.

    Args:
        packs: one an image; images without fixations are None or empty.
        number: take those of so many other images, drawn at random; None: of all.
        seed: of the draw, which depends on the image's place only.
    """

    def __init__(self, packs: Sequence[Fixations | None], number: int | None = None, seed: int = 0) -> None:
        self.number = number
        self.seed = seed
        self.relative = [
            torch.zeros(0, 2, dtype=torch.float64)
            if pack is None
            else torch.stack([pack.x, pack.y], 1) / pack.size[0].flip(0).to(torch.float64)
            for pack in packs
        ]

    def of(self, position: int, size: tuple[int, int]) -> Fixations:
        """Fixations of the images other than the one at ``position``, on an image of (height, width)."""
        others = [i for i, points in enumerate(self.relative) if i != position and len(points)]
        if self.number is not None and self.number < len(others):
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + position)
            others = [others[k] for k in torch.randperm(len(others), generator=generator)[: self.number].tolist()]
        points = torch.cat([self.relative[i] for i in others]) if others else torch.zeros(0, 2, dtype=torch.float64)
        height, width = size
        moved = Fixations.of(points[:, 0] * width, points[:, 1] * height, size)
        return moved.clean("clip")[0]  # rounding can put the last pixel's edge outside


def score_maps(
    maps: MapFiles,
    data: SaliencyDataModule,
    part: str,
    preset: Preset,
    kind: Kind = "map",
    ig_baseline: InformationBaseline = "centre_bias",
) -> MapScores:
    """Score every map that belongs to an image of a part.

    Args:
        maps: by the images' names.
        data: the images; ``part`` is one of its split, or ``all``.
        preset: the rules.
        kind: what the values are.
        ig_baseline: what information gain is measured against.

    Raises:
        ValueError: an unknown part, or not one map belongs to an image of it.
    """
    indices = part_indices(data, part)
    names = [data.dataset.image_ids[i] for i in indices]
    found, missing, surplus = maps.match(names)
    if not found:
        raise ValueError(
            f"{maps.path}: none of {len(maps.entries)} maps (first: {next(iter(maps.entries))}) is named like an image "
            f"of {data.dataset.name}, part {part} (first: {names[0] if names else 'none'})"
        )
    packs = [_fixations(data, i, preset) for i in indices]
    needed = {need for metric in preset.metrics for need in NEEDS[metric]}
    negatives = OtherFixations(packs, preset.negatives, data.seed) if "negatives" in needed else None
    bias = _baseline(data, indices, ig_baseline) if "baseline" in needed else None
    rows: list[Row] = []
    failed: dict[str, str] = {}
    notes = _Notes(preset, kind)
    unavailable: dict[str, str] = {}
    todo = [(p, i, name) for p, (i, name) in enumerate(zip(indices, names, strict=True)) if name in found]
    for position, index, name in tqdm(todo, desc=f"scoring {maps.name}", unit="map", disable=None, leave=False):
        dataset, _ = data.dataset.source(index)
        row: Row = {"image_id": name, "dataset": dataset.name}
        fixations, size = packs[position], data.dataset.size(index)
        try:
            predicted = maps.read(found[name])
            density = _density(data, index, fixations, preset)
            others = None if negatives is None or fixations is None else negatives.of(position, size)
            baseline = None if bias is None else bias.log_density(size)[0]
            values = preset.score(predicted.values, fixations, density, baseline, others, kind=kind, name=name)
        except (ValueError, OSError) as error:
            failed[name] = str(error)
            continue
        notes.add(name, predicted, size)
        given = {
            part_
            for part_, value in (
                ("fixations", fixations),
                ("density", density),
                ("baseline", baseline),
                ("negatives", others),
            )
            if value is not None
        }
        unavailable |= preset.unavailable(kind, given)
        row["fixations"] = 0 if fixations is None else len(fixations)
        rows.append(row | values)
    warnings = notes.told()
    if missing:
        warnings.append(f"{len(missing)} of {len(names)} images have no map and are left out: {_some(missing)}")
    if surplus:
        warnings.append(f"{len(surplus)} maps belong to no image of part {part}: {_some(surplus)}")
    return MapScores(maps, ScoreTable(rows), failed, missing, surplus, unavailable, warnings)


def part_indices(data: SaliencyDataModule, part: str) -> list[int]:
    """The images of a part of the split, or of ``all``.

    Raises:
        ValueError: the split has no such part.
    """
    if part == "all":
        return list(range(len(data.dataset)))
    return data.indices(part)


def aggregate(scores: MapScores, preset: Preset) -> dict[str, dict[str, float]]:
    """metric → mean, interval and number, averaged as the preset says."""
    table = scores.table
    if preset.aggregation == "video":
        folders: dict[tuple[str, str], list[Row]] = {}
        for row in table.rows:
            folders.setdefault((row["dataset"], row["image_id"].rpartition("/")[0]), []).append(row)
        videos: list[Row] = []
        for (dataset, folder), rows in folders.items():
            described: Row = {"image_id": folder, "dataset": dataset, "fixations": sum(r["fixations"] for r in rows)}
            videos.append(described | ScoreTable(rows).means())
        return summary(ScoreTable(videos))
    if preset.aggregation == "fixation":
        counts = [float(row["fixations"]) for row in table.rows]
        return summary(table, {m: counts for m in preset.metrics if "fixations" in NEEDS[m]})
    return summary(table)


def about_scores(
    scores: MapScores, data: SaliencyDataModule, part: str, preset: Preset, kind: Kind, ig_baseline: str
) -> dict[str, Any]:
    """Everything of scores.json but versions."""
    dataset = data.dataset
    return {
        "scores": aggregate(scores, preset),
        "images": len(scores.table.rows),
        "unscorable": scores.table.unscorable(),
        "unavailable": scores.unavailable,
        "failed": scores.failed,
        "missing": scores.missing,
        "surplus": scores.surplus,
        "warnings": scores.warnings,
        "maps": {"path": str(scores.maps.path), "kind": kind, "files": len(scores.maps.entries)},
        "data": {
            "dataset": dataset.name,
            "root": str(dataset.root),
            "split": dataset.split,
            "part": part,
            "seed": data.seed,
        },
        "options": preset.description() | {"ig_baseline": baseline_name(data, ig_baseline)},
    }


def baseline_name(data: SaliencyDataModule, ig_baseline: str) -> str:
    """In words, for the record."""
    if ig_baseline == "uniform":
        return "uniform density"
    fitted = "the train part" if data.parts.get("train") else "the scored images"
    return f"centre bias of {fitted}"


def _fixations(data: SaliencyDataModule, index: int, preset: Preset) -> Fixations | None:
    dataset, at = data.dataset.source(index)
    fixations = dataset.fixations(at)
    return None if fixations is None else fixations.clean(preset.outside)[0]


def _density(data: SaliencyDataModule, index: int, fixations: Fixations | None, preset: Preset) -> Tensor | None:
    """(H, W): by the preset's Gaussian, else as shipped, else by the data set's Gaussian."""
    dataset, at = data.dataset.source(index)
    sigma = preset.sigma.get(dataset.name)
    if sigma is None:
        shipped = dataset.density(at)
        if shipped is not None:
            return shipped.double().mean(0)
        sigma = data.sigma_of(dataset)
    if fixations is None or len(fixations) == 0 or math.isnan(sigma):
        return None
    return fixation_density(fixations, sigma, dtype=torch.float64)[0, 0]


def _baseline(data: SaliencyDataModule, indices: list[int], name: str) -> CentreBias | None:
    if name == "uniform":
        return CentreBias(torch.full((1, 1, 1), 1.0, dtype=torch.float64))
    if name != "centre_bias":
        raise ValueError(f"ig_baseline={name!r} is none of 'centre_bias', 'uniform'")
    packs = [data.window_fixations(i) for i in data.parts.get("train") or indices]
    known = [pack for pack in packs if pack is not None]
    return CentreBias.fit(known) if known else None


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
        if tuple(values.shape) != tuple(size):
            self.resized.append(f"{name} {tuple(values.shape)} for {tuple(size)}")
        if self.kind == "map" and bool((values <= 0).all()) and abs(float(torch.logsumexp(values.flatten(), 0))) < 1e-2:
            self.logarithms.append(name)

    def told(self) -> list[str]:
        """The warnings."""
        found = []
        if self.coarse:
            effect = (
                "an 8-bit density loses its tail: KLD and information gain are worse than the model's; "
                "write .npy, HDF5 or 16-bit PNG"
            )
            found.append(f"{len(self.coarse)} maps are stored in 8 bits ({_some(self.coarse)}): {effect}")
        if self.lossy:
            found.append(f"{len(self.lossy)} maps are JPEG, which changes their values: {_some(self.lossy)}")
        if self.resized:
            rule = "bilinear, in the logarithm" if self.kind == "log_density" else self.preset.resize
            found.append(f"{len(self.resized)} maps were resized ({rule}): {_some(self.resized)}")
        if self.logarithms:
            found.append(
                f"{len(self.logarithms)} maps look like log densities but are scored as maps: "
                f"{_some(self.logarithms)}; use maps=log_density"
            )
        return found


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def comparison_rows(first: MapScores, second: MapScores) -> dict[str, tuple[list[float], list[float]]]:
    """metric → values of both on the images that both have, in one order."""
    rows = {(r["dataset"], r["image_id"]): r for r in second.table.rows}
    pairs = [(r, rows[r["dataset"], r["image_id"]]) for r in first.table.rows if (r["dataset"], r["image_id"]) in rows]
    metrics = [m for m in first.table.metrics if m in second.table.metrics and m not in DESCRIBING]
    return {m: ([a.get(m, math.nan) for a, _ in pairs], [b.get(m, math.nan) for _, b in pairs]) for m in metrics}
