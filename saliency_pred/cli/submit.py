"""build the archive that a leaderboard takes, or check anyone's

usage: saliency submit board=NAME ckpt=CKPT [data=NAME] data.root=DIR [out=FILE]
       saliency submit FILE board=NAME check=true [ckpt=CKPT] [data=NAME] data.root=DIR

  saliency submit board=tuebingen ckpt=best.ckpt data.root=MIT300 board.model=Mine out=mine.h5
  saliency submit board=tuebingen ckpt=best.ckpt data=cat2000 data.part=test data.root=CAT2000 out=mine.h5
  saliency submit board=salicon ckpt=best.ckpt data.root=SALICON out=mine.zip
  saliency submit board=salicon ckpt=best.ckpt data.root=SALICON part=val     what does storing cost?
  saliency submit board=ntire2026 ckpt=best.ckpt data=ntire2026 data.root=NTIRE2026 out=mine.zip
  saliency submit theirs.zip board=salicon check=true data.root=SALICON

What was built is looked at as the board would: names, number, sizes, numbers, normalisation. With a checkpoint,
sample=20 maps are predicted again and compared with those stored; where there are fixations, the metrics of both
are shown. A build that was stopped goes on when the command is repeated. Exit code 2: the board would refuse it.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saliency_pred.cli.compose import compose

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from saliency_pred.data.dataset import SaliencyDataset
    from saliency_pred.inference.predictor import Predictor
    from saliency_pred.submission.check import Check
    from saliency_pred.submission.stills import Picture, Predict, StillBoard
    from saliency_pred.submission.videos import PredictFrames, VideoBoard, WantedVideo


def main(files: list[str], overrides: list[str]) -> int:
    """Build if asked for, then check."""
    cfg = compose("submit", overrides)
    if cfg.check and len(files) != 1:
        raise ValueError(f"name the one archive to check, got {len(files)}: saliency submit FILE board=NAME check=true")
    if not cfg.check and files:
        raise ValueError(f"submit builds an archive from ckpt=CKPT; to check {files[0]}, add check=true")
    if not cfg.check and cfg.ckpt is None:
        raise ValueError("ckpt must be given: saliency submit board=NAME ckpt=CKPT (or FILE check=true)")
    if cfg.check and not Path(files[0]).is_file():
        raise FileNotFoundError(f"{files[0]} does not exist")

    from saliency_pred.instantiate import instantiate
    from saliency_pred.submission.stills import pictures
    from saliency_pred.submission.tuebingen import Tuebingen
    from saliency_pred.submission.videos import VideoBoard, streamed, wanted_videos

    board, dataset = instantiate(cfg.board), instantiate(cfg.data)
    moving = isinstance(board, VideoBoard)
    indices = images_of(dataset, cfg.part, cfg.seed)
    wanted: Any = wanted_videos(dataset, indices) if moving else pictures(dataset, indices)
    predict: Any = None
    if cfg.ckpt is not None:
        from saliency_pred.inference.predictor import Predictor

        predictor = Predictor.load(cfg.ckpt, domain=cfg.domain or dataset.domain, device=cfg.device)
        predict = streamed(predictor, dataset) if moving else picture_predictions(predictor, dataset)
    if cfg.check:
        file = Path(files[0])
    else:
        file = Path(cfg.out or f"{board.name}_{dataset.name}{board.suffixes[0]}")
        board.build(wanted, predict, file, made_of(cfg, dataset))
        if isinstance(board, Tuebingen):
            print(f"config.yaml {board.config(file, dataset.name)}")
    check = board.check(file, wanted)
    number = board.images.get(dataset.name)
    if cfg.part in ("all", "test") and number not in (None, len(wanted)):
        check.warn(f"the board has {number}, this copy of {dataset.name} has {len(wanted)}")
    if check.sound:
        compared: Any = report_videos if moving else report_pictures
        compared(board, check, wanted, predict, dataset, cfg)
    for line in check.told():
        print(line, file=sys.stderr)
    verdict = f"as {board.name} takes it" if check.sound else f"refused: {board.name} would not take it"
    print(f"archive     {file}: {check.entries} maps, {file.stat().st_size / 1e6:.1f} MB, {verdict}")
    return 0 if check.sound else 2


def images_of(dataset: SaliencyDataset, part: str, seed: int) -> list[int]:
    """The images (or videos) of a part of the split, or all."""
    if part == "all":
        return list(range(len(dataset)))
    parts = dataset.parts(seed)
    if part not in parts:
        raise ValueError(f"split {dataset.split!r} has no part {part!r}, it has {', '.join([*parts, 'all'])}")
    return parts[part]


def picture_predictions(predictor: Predictor, dataset: SaliencyDataset) -> Predict:
    """What the checkpoint predicts for an image; refuses checkpoints of several time windows."""
    from saliency_pred.inference.prediction import Prediction

    def predict(picture: Picture) -> Any:
        prediction = predictor.predict(dataset.image(picture.index))
        assert isinstance(prediction, Prediction)  # of one image
        windows = len(prediction.log_density)
        if windows != 1:
            raise ValueError(f"the checkpoint predicts {windows} time windows; the board wants one map of each image")
        return prediction.log_density[0]

    return predict


def made_of(cfg: DictConfig, dataset: SaliencyDataset) -> dict[str, Any]:
    """What the maps of an archive depend on: those of another archive are not mixed in."""
    from omegaconf import OmegaConf

    from saliency_pred.evaluation.run import sha256
    from saliency_pred.version import __version__

    return {
        "board": OmegaConf.to_container(cfg.board),
        "data": dataset.name,
        "domain": cfg.domain,
        "checkpoint": sha256(Path(cfg.ckpt)) if Path(cfg.ckpt).is_file() else cfg.ckpt,
        "saliency_pred": __version__,
    }


def report_videos(
    board: VideoBoard,
    check: Check,
    wanted: list[WantedVideo],
    predict: PredictFrames | None,
    dataset: SaliencyDataset,
    cfg: DictConfig,
) -> None:
    """Compare some videos with the checkpoint, and score them where there are fixations."""
    from saliency_pred.data.videos import VideoDataset
    from saliency_pred.instantiate import instantiate
    from saliency_pred.submission.videos import compare_videos, score_videos

    chosen = spread(wanted, cfg.sample)
    if predict is not None:
        print(f"stored against predicted: {compare_videos(board, check, chosen, predict)}")
    assert isinstance(dataset, VideoDataset)
    if not check.sound or dataset.frame_fixations(chosen[0].index, [0]) is None:
        return
    stored, exact = score_videos(board, check, chosen, predict, dataset, instantiate(cfg.preset))
    without = exact.summary("video")
    for metric, found in stored.summary("video").items():
        change = found["mean"] - without[metric]["mean"] if metric in without else math.nan
        told = "" if math.isnan(change) else f"   by storing {change:+.5f}"
        print(f"{metric:<15}{found['mean']:>9.4f} ({found['images']} videos){told}")


def report_pictures(
    board: StillBoard,
    check: Check,
    wanted: list[Picture],
    predict: Predict | None,
    dataset: SaliencyDataset,
    cfg: DictConfig,
) -> None:
    """Compare some maps with the checkpoint, and score all where there are fixations."""
    from saliency_pred.data.datamodule import SaliencyDataModule
    from saliency_pred.evaluation.map_scores import comparison_rows, score_maps
    from saliency_pred.evaluation.run import make_scorer
    from saliency_pred.instantiate import instantiate
    from saliency_pred.submission.stills import Predictions, compare

    chosen = spread(wanted, cfg.sample)
    if predict is not None:
        print(f"stored against predicted: {compare(board, check, chosen, predict, wanted)}")
    if not check.sound or all(dataset.fixations(p.index) is None for p in chosen):
        return  # the board holds them back
    preset = instantiate(cfg.preset)
    data = SaliencyDataModule(dataset, (288, 384), workers=0, seed=cfg.seed)
    scorer = make_scorer(data, cfg.part, preset)
    stored = score_maps(board.open(check.file, wanted), data, cfg.part, scorer, board.kind)
    changes: dict[str, str] = {}
    if predict is not None:
        exact = score_maps(Predictions.of(board, chosen, predict), data, cfg.part, scorer, board.kind)
        for metric, (kept, made) in comparison_rows(stored, exact).items():
            known = [a - b for a, b in zip(kept, made, strict=True) if not math.isnan(a - b)]
            changes[metric] = f"   by storing {sum(known) / max(1, len(known)):+.5f} ({len(known)} images)"
    for metric, found in stored.table.summary(preset.aggregation).items():
        print(f"{metric:<15}{found['mean']:>9.4f} ({found['images']} images){changes.get(metric, '')}")


def spread(wanted: list[Any], number: int | None) -> list[Any]:
    """So many, evenly over all."""
    if number is None or number >= len(wanted):
        return wanted
    return [wanted[i * len(wanted) // number] for i in range(number)]
