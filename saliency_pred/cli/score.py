"""score a folder of maps made by any program against a data set

usage: saliency score MAPS [MAPS2] data=NAME [data.root=DIR] [preset=NAME] [part=val] [maps=KIND] [out=DIR]

  saliency score maps/ data=osie data.root=OSIE out=scores
  saliency score maps.zip data=mit1003 data.root=MIT1003 part=all preset=tuebingen maps=log_density
  saliency score mine/ theirs.h5 data=osie data.root=OSIE        are the two different?

MAPS is a folder, a .zip, an .h5 (one data set an image) or a single file; PNG, TIFF, JPEG and .npy are read, and
belong to the image of the same name. maps=density and maps=log_density (natural logarithms) make information gain
defined; maps=map (the rule) leaves it out. Presets: default, tuebingen, mit, salicon, dhf1k, aim2024, ntire2026.
Written below out: scores.json and per_image.csv; with two MAPS a folder of them for each, and comparison.json.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saliency_pred.cli.compose import compose

if TYPE_CHECKING:
    from saliency_pred.evaluation.map_scores import MapScores


def main(files: list[str], overrides: list[str]) -> int:
    """Score, write, print; 2 where some maps could not be scored."""
    cfg = compose("score", overrides)
    if len(files) not in (1, 2):
        raise ValueError(f"give one set of maps, or two to compare, got {len(files)}: saliency score MAPS data=NAME")
    if cfg.get("data") is None:
        raise ValueError("the maps are scored against a data set: data=NAME (and data.root=DIR)")
    if cfg.maps not in ("map", "density", "log_density"):
        raise ValueError(f"maps={cfg.maps} is none of map, density, log_density")

    import dataclasses
    import json

    from saliency_pred.data.datamodule import SaliencyDataModule
    from saliency_pred.evaluation.map_scores import about_scores, comparison_rows, score_maps
    from saliency_pred.evaluation.maps import MapFiles
    from saliency_pred.evaluation.results import write_atomically, write_map_scores
    from saliency_pred.instantiate import instantiate
    from saliency_pred.metrics.bootstrap import paired_test

    preset = instantiate(cfg.preset)
    opened = [MapFiles.open(file) for file in files]
    data = SaliencyDataModule(instantiate(cfg.data), (288, 384), workers=0, seed=cfg.seed)
    scored = [score_maps(maps, data, cfg.part, preset, cfg.maps, cfg.ig_baseline) for maps in opened]
    names = [maps.name for maps in opened]
    if len(set(names)) < len(names):
        names = ["first", "second"]
    out = Path(cfg.out or f"{'_'.join(names)}_{data.dataset.name}_{cfg.part}")
    summaries = []
    for name, scores in zip(names, scored, strict=True):
        about = about_scores(scores, data, cfg.part, preset, cfg.maps, cfg.ig_baseline)
        write_map_scores(scores.table, about, out if len(scored) == 1 else out / name)
        summaries.append(about["scores"])
        tell(name, scores)
    if len(scored) == 1:
        print(table(names, summaries))
        print(f"\n{preset.name} rules, {len(scored[0].table.rows)} images")
    else:
        tests = {m: paired_test(*v) for m, v in comparison_rows(*scored).items() if _comparable(*v)}
        print(table(names, summaries))
        print(f"\n{'difference':<15}{'mean':>9}   95 % interval        p    images")
        for metric, test in tests.items():
            interval = f"[{test.low:+.4f}, {test.high:+.4f}]"
            print(f"{metric:<15}{test.difference:>+9.4f}   {interval:<20}{test.p:<8.2g}{test.images}")
        comparison = {metric: dataclasses.asdict(test) for metric, test in tests.items()}
        text = json.dumps({"first": names[0], "second": names[1], "difference": comparison}, indent=2)
        write_atomically(out / "comparison.json", text + "\n")
    print(f"\nscores      {out}")
    return 2 if any(scores.failed for scores in scored) else 0


def tell(name: str, scores: MapScores) -> None:
    """What a reader should know before the numbers."""
    for warning in scores.warnings:
        print(f"warning: {name}: {warning}", file=sys.stderr)
    for metric, need in scores.unavailable.items():
        print(f"note: {name}: {metric} is left out: no {need}{_remedy(need)}", file=sys.stderr)
    for metric, images in scores.table.unscorable().items():
        print(f"note: {name}: {metric} is undefined on {len(images)} images ({', '.join(images[:3])})", file=sys.stderr)
    for image, reason in scores.failed.items():
        told = reason if image in reason else f"{image}: {reason}"
        print(f"error: {told}", file=sys.stderr)


def table(names: list[str], summaries: list[dict[str, Any]]) -> str:
    """One line a metric: mean and 95 % interval over images of each set of maps."""
    width = max(26, *(len(n) + 2 for n in names))
    lines = [" " * 15 + "".join(f"{n:>{width}}" for n in names)]
    for metric in summaries[0]:
        cells = []
        for found in summaries:
            s = found.get(metric)
            cells.append("-" if s is None else f"{s['mean']:.4f} [{s['low']:.3f}, {s['high']:.3f}]")
        lines.append(f"{metric:<15}" + "".join(f"{cell:>{width}}" for cell in cells))
    return "\n".join(lines)


def _remedy(need: str) -> str:
    return " (maps=density or maps=log_density, if they are that)" if "log density" in need else ""


def _comparable(first: list[float], second: list[float]) -> bool:
    """Whether some image has finite values of both, and none an infinite one."""
    import math

    both = [(a, b) for a, b in zip(first, second, strict=True) if not (math.isnan(a) or math.isnan(b))]
    return bool(both) and all(math.isfinite(v) for pair in both for v in pair)
