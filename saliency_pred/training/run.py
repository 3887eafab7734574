"""One training run, from a composed configuration to a checkpoint and its scores."""

from __future__ import annotations

import logging
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.errors import MissingFixationsError
from saliency_pred.decoders.deepgaze import CentreBiasReadout
from saliency_pred.density import CentreBias
from saliency_pred.evaluation.report import write_report
from saliency_pred.evaluation.results import text_table, write_atomically, write_results
from saliency_pred.evaluation.run import evaluate, prepared
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.features import FeatureCache
from saliency_pred.instantiate import instantiate
from saliency_pred.model import CentreBiasPrior, SaliencyModel
from saliency_pred.training.callbacks import History, Pictures, read_history
from saliency_pred.training.module import SaliencyTraining
from saliency_pred.training.preemption import Preemption
from saliency_pred.weights.checkpoint import build_model, load_checkpoint
from saliency_pred.weights.start import start_from

log = logging.getLogger(__name__)

STATISTICS_BATCHES = 8
"""So many training batches are shown to decoders that standardise their features."""


def train(cfg: DictConfig, out: Path) -> Path:
    """Train, and return the path of the best checkpoint.

    Args:
        cfg: of ``configs/train.yaml``, resolved.
        out: everything is written below it.

    Raises:
        ValueError, OSError: the configuration or the data are not usable; the message says why.
    """
    quieten()
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    torch.set_float32_matmul_precision("high")
    begin = checkpoint_to_resume(cfg.resume, out)
    out.mkdir(parents=True, exist_ok=True)
    text = OmegaConf.to_yaml(cfg, resolve=True)
    write_atomically(out / "config.yaml", text)

    data = build_data(cfg)
    model = build_model(cfg)
    if cfg.init is not None:
        start_from(model, cfg.init)
    if cfg.cache_features is not None:
        model.feature_cache = FeatureCache(model.encoder, cfg.cache_features)
    bias = data.centre_bias()
    for part in (model.prior, model.decoder):
        if isinstance(part, CentreBiasPrior):
            part.fit(_known(bias, data, "prior=none"))
        elif isinstance(part, CentreBiasReadout):  # has its centre bias inside, per kind of image
            part.fit_centre_bias(_known(bias, data, "another decoder"))
    fit_statistics(model, data)
    write_split(data, out / "split.csv")

    module = SaliencyTraining(
        model,
        instantiate(cfg.loss),
        instantiate(cfg.optimizer),
        instantiate(cfg.scheduler),
        Scorer(bias, preset=instantiate(cfg.preset)),
        text,
        cfg.seed,
    )
    callbacks = [instantiate(c) for c in cfg.callbacks.values() if c is not None]
    preemption = Preemption(out / "checkpoints" / "last.ckpt", data.batch_size)
    callbacks += [History(out / "history.csv"), Pictures(out / "pictures"), preemption]
    logger = instantiate(cfg.logger) if cfg.logger.get("_target_") else False
    try:
        trainer: pl.Trainer = instantiate(cfg.trainer, callbacks=callbacks, logger=logger, default_root_dir=str(out))
        trainer.fit(module, data, ckpt_path=begin, weights_only=True)
    except MisconfigurationException as error:
        raise ValueError(f"the trainer refuses its configuration: {error}") from error
    finally:
        preemption.close()
    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    if trainer.interrupted:
        raise KeyboardInterrupt
    preemption.raise_if_received()
    return Path(best or out / "checkpoints" / "last.ckpt")


def train_and_report(cfg: DictConfig, out: Path) -> float | None:
    """Train, score the best checkpoint on the held-out part, write the report, print where everything is.

    Returns:
        the monitored score of the best checkpoint; None if nothing was scored.
    """
    best = train(cfg, out)
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()  # one process scores; the others end here
    if getattr(rank_zero_only, "rank", 0) != 0:
        return None
    if not cfg.report:
        print(f"\ncheckpoint  {best}\nhistory     {out / 'history.csv'}")
        return None
    loaded = load_checkpoint(best)
    data = build_data(cfg)
    scorer = Scorer(loaded.centre_bias or data.centre_bias(), preset=instantiate(cfg.preset))
    scorer = prepared(scorer, data, "val")
    evaluation = evaluate(loaded, data, "val", scorer, {"name": cfg.name, "seed": cfg.seed})
    facts = write_results(evaluation, out)
    write_report(evaluation, loaded.model, out / "report.html", read_history(out / "history.csv"))
    print(f"\n{text_table(evaluation)}\n")
    for name, file in (
        ("report", "report.html"),
        ("scores", "scores.json"),
        ("per image", "per_image.csv"),
        ("history", "history.csv"),
    ):
        print(f"{name:<11} {out / file}")
    print(f"{'checkpoint':<11} {best}")
    monitored = str(cfg.callbacks.checkpoint.monitor).removeprefix("val/")
    return facts["scores"].get(monitored, {}).get("mean")


def _known(bias: CentreBias | None, data: SaliencyDataModule, remedy: str) -> CentreBias:
    if bias is None:
        raise MissingFixationsError(
            f"{data.dataset.name} ships only maps, and a centre bias is fitted to fixations; choose {remedy}, "
            "or a data set with fixations"
        )
    return bias


def quieten() -> None:
    """Keep Lightning from printing what is as intended here: frozen layers in evaluation mode, few workers,
    a machine of a cluster used without its scheduler."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (
        ".*in eval mode at the start of training.*",
        ".*does not have many workers.*",
        ".*LeafSpec.*",
        ".*your dataloader is not resumable.*",  # it is, by Preemption
        ".*`srun` command is available.*",
    ):
        warnings.filterwarnings("ignore", message)


def build_data(cfg: DictConfig) -> SaliencyDataModule:
    """The data module that ``data``, ``loader`` and ``augment`` describe."""
    dataset = instantiate(cfg.data)
    augment = [instantiate(t) for t in cfg.augment.transforms] if "augment" in cfg else []
    return instantiate(cfg.loader, dataset=dataset, augment=augment)


def fit_statistics(model: SaliencyModel, data: SaliencyDataModule) -> None:
    """Show the features of some training images to a decoder that wants to know their statistics."""
    fit = getattr(model.decoder, "fit_statistics", None)
    if fit is None:
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device).eval()
    loader = data.train_dataloader()
    fit(model.features(batch.image.to(device)) for batch in islice(loader, STATISTICS_BATCHES))
    model.to("cpu").train()


def write_split(data: SaliencyDataModule, path: Path) -> None:
    """Which image belonged to which part: part,image_id."""
    lines = [f"{part},{data.dataset.image_ids[i]}" for part, indices in data.parts.items() for i in indices]
    write_atomically(path, "\n".join(["part,image_id", *lines]) + "\n")


def checkpoint_to_resume(resume: Any, out: Path) -> str | None:
    """The checkpoint to continue from: the last one below ``out`` for ``auto``, or a named one.

    Raises:
        FileNotFoundError: the named one does not exist.
    """
    last = out / "checkpoints" / "last.ckpt"
    if resume is None:
        if last.exists():
            raise ValueError(f"{out} holds a run already; continue it with resume=auto, or choose another out=DIR")
        return None
    if resume == "auto":
        return str(last) if last.exists() else None
    if not Path(str(resume)).is_file():
        raise FileNotFoundError(f"resume={resume}: no such checkpoint; resume=auto takes the last one in out")
    return str(resume)
