"""score a folder of maps made by any program against a data set

usage: saliency score MAPS [MAPS2] data=NAME [data.root=DIR] [preset=NAME] [part=val] [maps=KIND] [out=DIR]

  saliency score maps/ data=osie data.root=OSIE out=scores
  saliency score maps.zip data=mit1003 data.root=MIT1003 part=all preset=tuebingen maps=log_density optimal_maps=true
  saliency score maps/ data=osie data.root=OSIE fit=train     maps become densities, fitted to those of the train part
  saliency score mine/ theirs.h5 data=osie data.root=OSIE     are the two different?
  saliency score films/ data=avimos data.root=AViMoS part=test preset=aim2024     a map video of each video

MAPS is a folder, a .zip, an .h5 (one data set an image) or a single file; PNG, TIFF, JPEG and .npy are read, and
belong to the image of the same name. Of data sets of videos it is a folder of map videos (or .npy or .h5 of frames,
height, width, or folders of pictures), named like the videos and scored frame by frame. maps=density and
maps=log_density (natural logarithms) make information gain defined; maps=map (the rule) leaves it out.
Presets: default, tuebingen, mit, salicon, dhf1k, aim2024, ntire2026.
Written below out: scores.json and per_image.csv; with two MAPS a folder of them for each, and comparison.json.
Images whose map is missing or cannot be scored are named; the others are scored, and the exit code is 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saliency_pred.cli.compose import compose

if TYPE_CHECKING:
    from saliency_pred.evaluation.map_scores import MapScores


def main(files: list[str], overrides: list[str]) -> int:
    """Score, write, print; 2 where some images have no map that could be scored."""
    cfg = compose("score", overrides)
    if len(files) not in (1, 2):
        raise ValueError(f"give one set of maps, or two to compare, got {len(files)}: saliency score MAPS data=NAME")
    if cfg.get("data") is None:
        raise ValueError("the maps are scored against a data set: data=NAME (and data.root=DIR)")
    if cfg.maps not in ("map", "density", "log_density"):
        raise ValueError(f"maps={cfg.maps} is none of map, density, log_density")
    if cfg.fit is not None and cfg.maps != "map":
        raise ValueError(f"fit={cfg.fit} turns maps into densities, and maps={cfg.maps} says that they are that")
    if cfg.optimal_maps and cfg.fit is None and cfg.maps == "map":
        raise ValueError("optimal_maps=true derives maps from densities: maps=density or log_density, or fit=train")

    import dataclasses
    import json

    from saliency_pred.atomic import write_text
    from saliency_pred.data.datamodule import SaliencyDataModule
    from saliency_pred.data.videos import VideoDataset
    from saliency_pred.evaluation.map_scores import (
        about_scores,
        comparison_rows,
        fit_density,
        score_map_videos,
        score_maps,
        with_other_frames,
    )
    from saliency_pred.evaluation.maps import MapFiles
    from saliency_pred.evaluation.results import write_map_scores
    from saliency_pred.evaluation.run import make_scorer, score_baselines
    from saliency_pred.evaluation.scoring import Scorer
    from saliency_pred.evaluation.video_scores import MapVideos
    from saliency_pred.instantiate import instantiate
    from saliency_pred.metrics.bootstrap import paired_test
    from saliency_pred.metrics.presets import NEEDS

    preset = instantiate(cfg.preset)
    dataset = instantiate(cfg.data)
    data = SaliencyDataModule(dataset, (288, 384), windows=cfg.windows, workers=0, seed=cfg.seed)
    fits: list[Any] = [None] * len(files)
    baselines: dict[str, Any] = {}
    if isinstance(dataset, VideoDataset):
        if cfg.fit is not None or cfg.optimal_maps or cfg.windows is not None:
            raise ValueError(f"{dataset.name} holds videos: fit, optimal_maps and windows are of images")
        if cfg.ig_baseline not in ("uniform", "centre_bias"):
            raise ValueError(f"ig_baseline={cfg.ig_baseline} is of images; of videos it is uniform or centre_bias")
        videos = [MapVideos.open(file) for file in files]
        gains = [m for m in preset.metrics if "baseline" in NEEDS[m]]  # a centre bias takes reading all train fixations
        scorer = Scorer(None, preset=preset)
        if gains:
            rules = dataclasses.replace(preset, metrics=gains)  # no negatives: they are those of images
            scorer = dataclasses.replace(make_scorer(data, cfg.part, rules, cfg.ig_baseline), preset=preset)
        scorer = with_other_frames(scorer, dataset, cfg.part, cfg.seed)
        scored = [score_map_videos(maps, dataset, cfg.part, scorer, cfg.maps, cfg.seed) for maps in videos]
        names = [maps.path.resolve().stem for maps in videos]
    else:
        opened = [MapFiles.open(file) for file in files]
        scorer = make_scorer(data, cfg.part, preset, cfg.ig_baseline, cfg.optimal_maps)
        if cfg.fit is not None:
            fits = [fit_density(maps, data, cfg.fit, scorer.baseline) for maps in opened]
        scored = [
            score_maps(maps, data, cfg.part, scorer, cfg.maps, fit) for maps, fit in zip(opened, fits, strict=True)
        ]
        beside = [name for name in cfg.baselines if name != "centre_bias" or scorer.baseline is not None]
        both = {row["image_id"] for scores in scored for row in scores.table.rows}
        baselines = score_baselines(data, cfg.part, scorer, beside, both)
        names = [maps.name for maps in opened]
    if len(set(names)) < len(names):
        names = ["first", "second"]
    out = Path(cfg.out or f"{'_'.join(names)}_{data.dataset.name}_{cfg.part}")
    summaries = {}
    for name, scores, fit in zip(names, scored, fits, strict=True):
        about = about_scores(scores, data, cfg.part, scorer, cfg.maps, baselines, fit)
        write_map_scores(scores.table, about, out if len(scored) == 1 else out / name)
        summaries[name] = about["scores"]
        tell(name, scores)
    print(table(summaries | {name: rows.summary(preset.aggregation) for name, rows in baselines.items()}))
    for name, scores in zip(names, scored, strict=True):
        done = scores.expected - len(scores.missing) - len(scores.failed)
        frames = f" ({len(scores.table.rows)} frames)" if scores.unit == "video" else ""
        print(f"\n{name}: {preset.name} rules, {done} of {scores.expected} {scores.unit}s of part {cfg.part}{frames}")
        for line in told_shares(scores, baselines):
            print(line)
    if len(scored) == 2:
        tests = {m: paired_test(*v) for m, v in comparison_rows(*scored).items() if _comparable(*v)}
        print(f"\n{'difference':<15}{'mean':>9}   95 % interval        p    images")
        for metric, test in tests.items():
            interval = f"[{test.low:+.4f}, {test.high:+.4f}]"
            print(f"{metric:<15}{test.difference:>+9.4f}   {interval:<20}{test.p:<8.2g}{test.images}")
        comparison = {metric: dataclasses.asdict(test) for metric, test in tests.items()}
        text = json.dumps({"first": names[0], "second": names[1], "difference": comparison}, indent=2)
        write_text(out / "comparison.json", text + "\n")
    print(f"\nscores      {out}")
    return 2 if any(scores.failed or scores.missing for scores in scored) else 0


def tell(name: str, scores: MapScores) -> None:
    """What a reader should know before the numbers."""
    from saliency_pred.evaluation.map_scores import some

    for warning in scores.warnings:
        print(f"warning: {name}: {warning}", file=sys.stderr)
    for metric, need in scores.unavailable.items():
        print(f"note: {name}: {metric} is left out: no {need}{_remedy(need)}", file=sys.stderr)
    for metric, images in scores.table.unscorable().items():
        print(f"note: {name}: {metric} is undefined on {len(images)} images ({', '.join(images[:3])})", file=sys.stderr)
    for image, reason in scores.failed.items():
        told = reason if image in reason else f"{image}: {reason}"
        print(f"error: {told}", file=sys.stderr)
    if scores.missing:
        missing = f"{len(scores.missing)} of {scores.expected} {scores.unit}s have no map and are left out"
        print(f"error: {name}: {missing}: {some(scores.missing)}", file=sys.stderr)


def told_shares(scores: MapScores, baselines: dict[str, Any]) -> list[str]:
    """How much of what people explain the maps explain, where that was scored too."""
    from saliency_pred.evaluation.results import ceiling_shares

    return [
        f"  {ceiling.replace('_', ' ')}: " + ", ".join(f"{100 * v:.0f} % of {m}" for m, v in shares.items())
        for ceiling, shares in ceiling_shares(scores.table, baselines).items()
    ]


def table(summaries: dict[str, dict[str, Any]]) -> str:
    """One line a metric: mean and 95 % interval over images of each set of maps, then of each baseline."""
    width = max(26, *(len(n) + 2 for n in summaries))
    lines = [" " * 15 + "".join(f"{n:>{width}}" for n in summaries)]
    for metric in dict.fromkeys(m for found in summaries.values() for m in found if "@" not in m):
        cells = []
        for found in summaries.values():
            s = found.get(metric)
            cells.append("-" if s is None else _cell(s))
        lines.append(f"{metric:<15}" + "".join(f"{cell:>{width}}" for cell in cells))
    return "\n".join(lines)


def _cell(score: dict[str, float]) -> str:
    if score["mean"] != score["mean"]:  # NaN
        return "-"
    bounds = "" if score["low"] != score["low"] else f" [{score['low']:.3f}, {score['high']:.3f}]"
    return f"{score['mean']:.4f}{bounds}"


def _remedy(need: str) -> str:
    return " (maps=density or maps=log_density, if they are that; or fit=train)" if "log density" in need else ""


def _comparable(first: list[float], second: list[float]) -> bool:
    """Whether some image has finite values of both, and none an infinite one."""
    import math

    both = [(a, b) for a, b in zip(first, second, strict=True) if not (math.isnan(a) or math.isnan(b))]
    return bool(both) and all(math.isfinite(v) for pair in both for v in pair)
