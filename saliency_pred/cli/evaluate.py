"""score a checkpoint or a baseline on a data set, write a report

usage: saliency evaluate ckpt=CKPT [data=NAME data.root=DIR] [part=val] [out=DIR]
       saliency evaluate baseline=NAME data=NAME [data.root=DIR] [part=val] [out=DIR]

  saliency evaluate ckpt=runs/mine/checkpoints/best.ckpt
  saliency evaluate ckpt=best.ckpt data=mit1003 data.root=MIT1003 part=val out=scores
  saliency evaluate ckpt=best.ckpt preset=tuebingen optimal_maps=true ig_baseline=other_images
  saliency evaluate baseline=gold_standard data=osie data.root=OSIE part=all out=ceilings

The checkpoint alone is needed: it knows its network, input size and data. baseline=gold_standard measures how well
people predict people (leave-one-viewer-out, fixed blur, split halves, viewer by viewer). Written below out:
scores.json, per_image.csv and report.html; of gold_standard and other_viewers also viewers.csv.
"""

from __future__ import annotations

from pathlib import Path

from saliency_pred.cli.compose import compose


def main(files: list[str], overrides: list[str]) -> int:
    """Score, write, print."""
    cfg = compose("evaluate", overrides)
    if files:
        raise ValueError(f"evaluate takes key=value settings only, got '{files[0]}' (ckpt={files[0]}?)")
    if (cfg.ckpt is None) == (cfg.baseline is None):
        raise ValueError("give either ckpt=CKPT or baseline=NAME")
    if cfg.baseline is not None and cfg.get("data") is None:
        raise ValueError("a baseline needs data=NAME (and data.root=DIR)")

    from saliency_pred.data.datamodule import SaliencyDataModule
    from saliency_pred.evaluation.report import write_report
    from saliency_pred.evaluation.results import text_table, write_results
    from saliency_pred.evaluation.run import evaluate, evaluate_baseline, make_scorer, prepared
    from saliency_pred.evaluation.scoring import Scorer
    from saliency_pred.instantiate import instantiate
    from saliency_pred.weights.checkpoint import load_checkpoint

    preset = instantiate(cfg.preset)
    if cfg.ckpt is not None:
        loaded = load_checkpoint(cfg.ckpt)
        trained = loaded.config
        own = cfg.get("data") is None
        if own and trained.get("data") is None:
            raise ValueError(f"{cfg.ckpt} was not trained on a data set here; give data=NAME data.root=DIR")
        dataset = instantiate(trained.data if own else cfg.data)
        changes = {"workers": cfg.workers, "seed": trained.seed if cfg.seed is None else cfg.seed}
        if cfg.batch_size is not None:
            changes["eval_batch_size"] = cfg.batch_size
        if "$" in str(trained.loader.get("cache")):  # a folder of the machine that trained
            changes["cache"] = "none"
        data = instantiate(trained.loader, dataset=dataset, **changes)
        about = {"name": trained.name, "seed": trained.seed}
        bias = loaded.centre_bias if own and loaded.centre_bias is not None else data.centre_bias()
        scorer = prepared(Scorer(bias, preset=preset), data, cfg.part, cfg.ig_baseline, cfg.optimal_maps)
        evaluation = evaluate(loaded, data, cfg.part, scorer, about, cfg.baselines)
        model = loaded.model
        out = Path(cfg.out or Path(cfg.ckpt).parent / f"{dataset.name}_{cfg.part}")
    else:
        data = SaliencyDataModule(instantiate(cfg.data), (288, 384), workers=0, seed=cfg.seed or 0)
        scorer = make_scorer(data, cfg.part, preset, cfg.ig_baseline, cfg.optimal_maps)
        evaluation = evaluate_baseline(cfg.baseline, data, cfg.part, scorer, cfg.baselines)
        model = None
        out = Path(cfg.out or f"{cfg.baseline}_{data.dataset.name}_{cfg.part}")
    write_results(evaluation, out)
    write_report(evaluation, model, out / "report.html")
    print(f"{text_table(evaluation)}\n")
    written = {"report": "report.html", "scores": "scores.json", "per image": "per_image.csv"}
    if evaluation.viewers:
        written["viewers"] = "viewers.csv"
    for name, file in written.items():
        print(f"{name:<11} {out / file}")
    return 0
