"""score a folder of maps made by any program against a data set

usage: saliency score MAPS data=NAME data.root=DIR [maps=map|density|log_density] [part=val|all] [out=DIR]

  saliency score maps/ data=osie data.root=OSIE out=scores
  saliency score predictions/ data=osie data.root=OSIE maps=density out=scores

MAPS is a folder with one file an image, named as the image (.npy, .png, .jpg, .tif ...). Maps have any scale and
are scored by AUC, NSS, CC, KLD and SIM; densities and log densities by information gain and likelihood too. Written
below out: scores.json and per_image.csv, with the baselines on the same images beside the maps. Missing, surplus
and unusable maps are named; where some maps could not be scored the exit code is 2.
"""

from __future__ import annotations

import sys
from pathlib import Path

from saliency_pred.cli.compose import compose

KINDS = ("map", "density", "log_density")


def main(files: list[str], overrides: list[str]) -> int:
    """Score every map that can be scored, name the others."""
    cfg = compose("score", overrides)
    if len(files) != 1:
        raise ValueError(f"name one folder of maps, got {len(files)}: saliency score MAPS data=NAME data.root=DIR")
    if cfg.get("data") is None:
        raise ValueError("data must be given: saliency score MAPS data=NAME data.root=DIR")
    if cfg.maps not in KINDS:
        raise ValueError(f"maps={cfg.maps!r} is none of {', '.join(KINDS)}")

    from tqdm import tqdm

    from saliency_pred.data.datamodule import SaliencyDataModule
    from saliency_pred.evaluation.maps import LOSSY, find_maps, quantised, read_prediction
    from saliency_pred.evaluation.results import text_table, write_results
    from saliency_pred.evaluation.run import Evaluation, score_baselines
    from saliency_pred.evaluation.scoring import PredictionKind, Scorer, ScoreTable
    from saliency_pred.instantiate import instantiate

    found = find_maps(Path(files[0]))
    data = SaliencyDataModule(instantiate(cfg.data), (1, 1), seed=cfg.seed)
    dataset = data.dataset
    if cfg.part == "all":
        data.parts["all"] = list(range(len(dataset)))
    if cfg.part not in data.parts:
        raise ValueError(f"split {dataset.split!r} has no part {cfg.part!r}, it has {', '.join(data.parts)}, all")
    scorer = Scorer(data.centre_bias(), preset=instantiate(cfg.preset))
    kind: PredictionKind = "map" if cfg.maps == "map" else "log_density"
    table, failed, eight_bit = ScoreTable(), [], []
    for index in tqdm(data.parts[cfg.part], desc="scoring maps", unit="image", disable=None, leave=False):
        name = dataset.image_ids[index]
        if name not in found:
            failed.append(f"{name}: no map in {files[0]}")
            continue
        source, at = dataset.source(index)
        try:
            prediction = read_prediction(found[name], cfg.maps, dataset.size(index), cfg.resize)
            row = scorer.score(
                prediction, data.window_fixations(index), source.density(at), data.sigma_of(source), name, kind
            )
        except (ValueError, OSError) as error:
            failed.append(f"{name}: {error}")
            continue
        if quantised(prediction):
            eight_bit.append(name)
        table.extend([{"image_id": name, "dataset": source.name, **row}])
    if not table.rows:
        raise ValueError(f"no map could be scored; the first: {failed[0]}")
    about = {"name": Path(files[0]).resolve().name, "maps": cfg.maps, "resize": cfg.resize, "not_scored": failed}
    evaluation = Evaluation(table.gathered(), score_baselines(data, cfg.part, scorer), data, cfg.part, scorer, about)
    out = Path(cfg.out)
    write_results(evaluation, out)
    print(f"{text_table(evaluation)}\n")
    print(f"{len(table.rows)} of {len(data.parts[cfg.part])} images scored")
    surplus = sorted(found.keys() - set(dataset.image_ids))
    lossy = [path.name for path in found.values() if path.suffix.lower() in LOSSY]
    for names, what in (
        (surplus, "maps without an image in the data set"),
        (eight_bit, "maps have 8 bit: whole ranges of low density become 0, which changes KLD most"),
        (lossy, "maps are JPEG or the like: compression changes every metric a little"),
    ):
        if names:
            print(
                f"warning: {len(names)} {what} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})",
                file=sys.stderr,
            )
    for name, file in (("scores", "scores.json"), ("per image", "per_image.csv")):
        print(f"{name:<11} {out / file}")
    for failure in failed:
        print(f"error: {failure}", file=sys.stderr)
    return 2 if failed else 0
