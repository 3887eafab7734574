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

    from saliency_pred.data.datamodule import SaliencyDataModule
    from saliency_pred.inference.predictor import Predictor
    from saliency_pred.submission.check import Check
    from saliency_pred.submission.stills import Picture, StillBoard
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

    from saliency_pred.data.datamodule import SaliencyDataModule
    from saliency_pred.instantiate import instantiate
    from saliency_pred.submission.stills import pictures
    from saliency_pred.submission.tuebingen import Tuebingen
    from saliency_pred.submission.videos import VideoBoard, wanted_videos

    board = instantiate(cfg.board)
    data = SaliencyDataModule(instantiate(cfg.data), (288, 384), workers=0, seed=cfg.seed)
    list_wanted = wanted_videos if isinstance(board, VideoBoard) else pictures
    wanted: Any = list_wanted(data.dataset, data.indices(cfg.part))
    predict: Any = None
    if cfg.ckpt is not None:
        predictor = load(cfg, data)
        of = frame_predictions if isinstance(board, VideoBoard) else picture_predictions
        predict = of(predictor, data)
    if cfg.check:
        file = Path(files[0])
    else:
        file = Path(cfg.out or f"{board.name}_{data.dataset.name}{board.suffixes[0]}")
        board.build(wanted, predict, file, made_of(cfg, data))
        if isinstance(board, Tuebingen):
            print(f"config.yaml {board.config(file, data.dataset.name)}")
    check = board.check(file, wanted)
    number = board.images.get(data.dataset.name)
    if cfg.part in ("all", "test") and number not in (None, len(wanted)):
        check.warn(f"the board has {number}, this copy of {data.dataset.name} has {len(wanted)}")
    if check.sound and isinstance(board, VideoBoard):
        report_videos(board, check, wanted, predict, data, cfg)
    elif check.sound:
        report_pictures(board, check, wanted, predict, data, cfg)
    for line in check.told():
        print(line, file=sys.stderr)
    verdict = f"as {board.name} takes it" if check.sound else f"refused: {board.name} would not take it"
    print(f"archive     {file}: {check.entries} maps, {file.stat().st_size / 1e6:.1f} MB, {verdict}")
    return 0 if check.sound else 2


def load(cfg: DictConfig, data: SaliencyDataModule) -> Predictor:
    """The checkpoint's predictor."""
    from saliency_pred.inference.predictor import Predictor

    return Predictor.load(cfg.ckpt, domain=cfg.domain or data.dataset.domain, device=cfg.device)


def one_map(predictor: Predictor, image: Any) -> Any:
    """float32 (H, W) log density of one image."""
    from saliency_pred.inference.prediction import Prediction

    prediction = predictor.predict(image)
    assert isinstance(prediction, Prediction)  # of one image
    if len(prediction.log_density) != 1:
        windows = len(prediction.log_density)
        raise ValueError(f"the checkpoint predicts {windows} time windows; the board wants one map of each image")
    return prediction.log_density[0]


def picture_predictions(predictor: Predictor, data: SaliencyDataModule) -> Any:
    """What the checkpoint predicts for an image."""
    return lambda picture: one_map(predictor, data.dataset.image(picture.index))


def frame_predictions(predictor: Predictor, data: SaliencyDataModule) -> PredictFrames:
    """What a network of images predicts for each frame of a video, one after the other."""
    from saliency_pred.data.videos import VideoDataset

    dataset = data.dataset
    assert isinstance(dataset, VideoDataset)  # as its videos were listed

    def predict(video: WantedVideo) -> Any:
        for number in range(video.frames):
            yield one_map(predictor, dataset.frames(video.index, [number])[0])

    return predict


def made_of(cfg: DictConfig, data: SaliencyDataModule) -> dict[str, Any]:
    """What the maps of an archive depend on: those of another archive are not mixed in."""
    from omegaconf import OmegaConf

    from saliency_pred.evaluation.run import sha256
    from saliency_pred.version import __version__

    return {
        "board": OmegaConf.to_container(cfg.board),
        "data": data.dataset.name,
        "domain": cfg.domain,
        "checkpoint": sha256(Path(cfg.ckpt)) if Path(cfg.ckpt).is_file() else cfg.ckpt,
        "saliency_pred": __version__,
    }


def report_videos(
    board: VideoBoard,
    check: Check,
    wanted: list[WantedVideo],
    predict: PredictFrames | None,
    data: SaliencyDataModule,
    cfg: DictConfig,
) -> None:
    """Compare some videos with the checkpoint, and score them where there are fixations."""
    from saliency_pred.data.videos import VideoDataset
    from saliency_pred.instantiate import instantiate
    from saliency_pred.submission.videos import compare_videos, score_videos

    chosen = spread(wanted, cfg.sample)
    if predict is not None:
        print(f"stored against predicted: {compare_videos(board, check, chosen, predict)}")
    dataset = data.dataset
    assert isinstance(dataset, VideoDataset)
    if not check.sound or dataset.frame_fixations(chosen[0].index, [0]) is None:
        return
    for metric, (kept, made) in score_videos(board, check, chosen, predict, dataset, instantiate(cfg.preset)).items():
        change = "" if math.isnan(made) else f"   by storing {kept - made:+.5f}"
        print(f"{metric:<15}{kept:>9.4f} ({len(chosen)} videos){change}")


def report_pictures(
    board: StillBoard,
    check: Check,
    wanted: list[Picture],
    predict: Any,
    data: SaliencyDataModule,
    cfg: DictConfig,
) -> None:
    """Compare some maps with the checkpoint, and score all where there are fixations."""
    from saliency_pred.evaluation.map_scores import comparison_rows, score_maps
    from saliency_pred.evaluation.run import make_scorer
    from saliency_pred.instantiate import instantiate
    from saliency_pred.submission.stills import Predictions, compare

    chosen = spread(wanted, cfg.sample)
    if predict is not None:
        print(f"stored against predicted: {compare(board, check, chosen, predict, wanted)}")
    if not check.sound or all(data.dataset.fixations(p.index) is None for p in chosen):
        return  # the board holds them back
    preset = instantiate(cfg.preset)
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
