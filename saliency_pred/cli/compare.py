"""several runs in one table, with intervals and paired tests against the first

usage: saliency compare RUN RUN... [metrics=[ig,nss]] [out=comparison]

  saliency compare runs/a/2026-01-01_10-00-00 runs/b/2026-01-02_10-00-00
  saliency compare runs/small runs/large out=comparison       folders of runs: seeds or folds of one model

RUN is a folder with scores.json and per_image.csv, as train, evaluate and score write them, or a folder of such
folders: an image that several of them scored (seeds) counts with its mean, other images (folds) are added.
Compared are the images that all have; all must have been scored by the same rules. Written below out:
comparison.csv, comparison.md and comparison.json with means, 95 % bootstrap intervals over images, and for each
model but the first the mean difference, its interval, and the p-value of a paired permutation test.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from saliency_pred.cli.compose import compose


def main(files: list[str], overrides: list[str]) -> int:
    """Read, test, write, print."""
    cfg = compose("compare", overrides)
    if len(files) < 2:
        raise ValueError("name at least two runs: saliency compare RUN RUN")
    from saliency_pred.evaluation.compare import compare, markdown, read_scored, write_comparison

    folders = [Path(f) for f in files]
    models = [read_scored(folder, name) for folder, name in zip(folders, distinct_names(folders), strict=True)]
    rows = compare(models, cfg.metrics)
    written = write_comparison(rows, models, Path(cfg.out))
    print(f"{markdown(rows)}\n\n{rows[0]['images']} images; * p < .05, ** p < .01 against {models[0].name}\n")
    for path in written:
        print(path)
    return 0


def distinct_names(folders: list[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(p[-length:]) for p in parts]
        if max(Counter(names).values()) == 1:
            return names
    raise ValueError("the same run is named twice")
