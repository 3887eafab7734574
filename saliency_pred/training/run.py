"""One training run, from a composed configuration to a checkpoint and its scores."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import Tensor

from saliency_pred.atomic import write_text
from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.errors import MissingFixationsError
from saliency_pred.decoders.deepgaze import CentreBiasReadout
from saliency_pred.density import CentreBias
from saliency_pred.evaluation.report import write_report
from saliency_pred.evaluation.results import environment, text_table, write_results
from saliency_pred.evaluation.run import evaluate, prepared
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.features import FeatureCache
from saliency_pred.instantiate import instantiate
from saliency_pred.model import CentreBiasPrior, SaliencyModel
from saliency_pred.training.callbacks import History, Pictures, read_history
from saliency_pred.training.launch import launcher
from saliency_pred.training.module import SaliencyTraining
from saliency_pred.training.preemption import Preemption
from saliency_pred.training.scaling import Scaling
from saliency_pred.training.sharding import checkpoint_activations
from saliency_pred.weights.checkpoint import build_model, load_checkpoint
from saliency_pred.weights.start import start_from

log = logging.getLogger(__name__)

STATISTICS_IMAGES = 64
"""So many training images are shown to decoders that standardise their features."""


def train(cfg: DictConfig, out: Path, further: Sequence[pl.Callback] = ()) -> Path:
    """Train, and return the path of the best checkpoint.

    Args:
        cfg: of ``configs/train.yaml``, resolved.
        out: everything is written below it.
        further: callbacks beside those of the configuration.

    Raises:
        ValueError, OSError: the configuration or the data are not usable; the message says why.
    """
    quieten()
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    torch.set_float32_matmul_precision("high")
    begin = checkpoint_to_resume(cfg.resume, out)
    out.mkdir(parents=True, exist_ok=True)
    text = OmegaConf.to_yaml(cfg, resolve=True)
    write_text(out / "config.yaml", text)

    data = build_data(cfg)
    model = build_model(cfg)
    if cfg.init is not None:
        start_from(model, cfg.init)
    if cfg.cache_features is not None:
        model.feature_cache = FeatureCache(model.encoder, cfg.cache_features)
    bias = data.centre_bias()
    for part in (model.prior, model.decoder, getattr(model.decoder, "decoder", None)):  # the last: of Adapted
        if isinstance(part, CentreBiasPrior):
            part.fit(_known(bias, data, "prior=none"))
        elif isinstance(part, CentreBiasReadout):  # has its centre bias inside, per kind of image
            part.fit_centre_bias(_known(bias, data, "another decoder"))
    if not decoder_is_given(cfg.init):
        fit_statistics(model, data)
    if cfg.trainable is not None:
        train_only(model, cfg.trainable)
    if cfg.checkpoint_activations:
        checkpoint_activations(model.encoder)
    write_split(data, out / "split.csv")

    callbacks = [instantiate(c) for c in cfg.callbacks.values() if c is not None]
    preemption = Preemption(out / "checkpoints" / "last.ckpt")
    callbacks += [*further, History(out / "history.csv"), Pictures(out / "pictures"), preemption]
    logger = instantiate(cfg.logger) if cfg.logger.get("_target_") else False
    scaling = instantiate(cfg.scaling)
    try:
        trainer: pl.Trainer = instantiate(cfg.trainer, callbacks=callbacks, logger=logger, default_root_dir=str(out))
        data.batch_size = scaling.batch_size(data.batch_size, trainer.world_size, trainer.accumulate_grad_batches)
        module = SaliencyTraining(
            model,
            instantiate(cfg.loss),
            instantiate(cfg.optimizer),
            instantiate(cfg.scheduler),
            Scorer(bias, preset=instantiate(cfg.preset)),
            text,
            cfg.seed,
            scaling,
            data.batch_size,
        )
        if trainer.is_global_zero:
            write_run(out, describe_run(trainer, data.batch_size, scaling) | {"finished": False})
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


def train_and_report(cfg: DictConfig, out: Path, further: Sequence[pl.Callback] = ()) -> float | None:
    """Train, score the best checkpoint on the held-out part, write the report, print where everything is.

    Returns:
        the monitored score of the best checkpoint; None if nothing was scored.
    """
    best = train(cfg, out, further)
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()  # one process scores; the others end here
    if getattr(rank_zero_only, "rank", 0) != 0:
        return None
    if not cfg.report:
        print(f"\ncheckpoint  {best}\nhistory     {out / 'history.csv'}")
        return _finish(cfg, out, best_of_history(cfg, out))
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
    return _finish(cfg, out, facts["scores"].get(monitored, {}).get("mean"))


class Finished(NamedTuple):
    """The monitored score of a run that is over; None if there is none."""

    value: float | None


def finished_score(cfg: DictConfig, out: Path) -> Finished | None:
    """What a finished run of the same settings in ``out`` came to; None if there is no run, or one to go on with.

    Raises:
        ValueError: the run in ``out`` has other settings.
    """
    if not (out / "config.yaml").is_file():
        return None
    asked, ran = (OmegaConf.create(OmegaConf.to_container(c)) for c in (cfg, OmegaConf.load(out / "config.yaml")))
    for config in (asked, ran):
        config.out = config.resume = None
    if asked != ran:
        raise ValueError(f"{out} holds a run of other settings (see its config.yaml); choose another out=DIR")
    facts = json.loads((out / "run.json").read_text()) if (out / "run.json").is_file() else {"finished": False}
    return Finished(facts["score"]) if facts["finished"] else None


def best_of_history(cfg: DictConfig, out: Path) -> float | None:
    """The best value of what the checkpoints were chosen by."""
    checkpoint = cfg.callbacks.checkpoint
    values = [
        float(row[checkpoint.monitor]) for row in read_history(out / "history.csv") if row.get(checkpoint.monitor)
    ]
    return (max if checkpoint.mode == "max" else min)(values) if values else None


def _finish(cfg: DictConfig, out: Path, score: float | None) -> float | None:
    facts = json.loads((out / "run.json").read_text())
    write_run(out, facts | {"finished": True, "monitor": cfg.callbacks.checkpoint.monitor, "score": score})
    return score


def describe_run(trainer: pl.Trainer, batch_size: int, scaling: Scaling) -> dict[str, Any]:
    """What it runs on, and what follows from that."""
    images = batch_size * trainer.world_size * trainer.accumulate_grad_batches
    return {
        "launcher": launcher(),
        "nodes": trainer.num_nodes,
        "processes": trainer.world_size,
        "strategy": type(trainer.strategy).__name__,
        "precision": str(trainer.precision),
        "batch_size": batch_size,
        "accumulated": trainer.accumulate_grad_batches,
        "images_per_step": images,
        "scaling": scaling.rule,
        "lr_factor": scaling.factor(images),
        **environment(),
    }


def write_run(out: Path, facts: dict[str, Any]) -> None:
    """run.json."""
    write_text(out / "run.json", json.dumps(facts, indent=2) + "\n")


def train_only(model: SaliencyModel, patterns: Sequence[str]) -> None:
    """Freeze all parameters but those whose names match one of the patterns (``decoder.*``, ``*.sigma``).

    Modules with nothing to train stay in evaluation mode, so that their dropout and batch statistics rest too.

    Raises:
        ValueError: a pattern that matches no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"trainable: {pattern!r} matches no parameter; there are e.g. {', '.join(names[-8:])}")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and any(fnmatchcase(name, p) for p in patterns))
    for module in model.modules():
        if not any(p.requires_grad for p in module.parameters()):
            module.eval()


def network_of_init(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Put the network and input size of the checkpoint that the run begins from into the configuration.

    With ``network=adapted`` its decoder gets the parameters of :class:`~saliency_pred.decoders.adapted.Adapted`,
    and a model without a centre bias gets one of weight 0.

    Args:
        cfg: changed in place.
        overrides: what the user has set; settings within encoder, decoder, prior and loader still win.

    Raises:
        ValueError: there is no one checkpoint, or another network is chosen as well.
    """
    if cfg.network not in ("init", "adapted"):
        raise ValueError(f"network={cfg.network} is none of own, init, adapted")
    if not isinstance(cfg.init, str):
        raise ValueError(f"network={cfg.network} takes the network of a checkpoint: init=CKPT")
    parts = ("encoder", "decoder", "prior")
    chosen = [o for o in overrides if o.split("=")[0] in parts]
    if chosen:
        raise ValueError(f"{chosen[0]} and network={cfg.network} contradict each other: it is that of {cfg.init}")
    given = load_checkpoint(cfg.init).config
    cfg.encoder, cfg.decoder = given.encoder, given.decoder
    has_prior = given.get("prior") is not None and given.prior.get("_target_") is not None
    if has_prior:
        cfg.prior = given.prior
    elif cfg.network == "adapted":
        cfg.prior = {"_target_": "saliency_pred.model.CentreBiasPrior", "weight": 0.0}
    else:
        cfg.prior = {"_target_": None}
    if cfg.network == "adapted":
        inner = OmegaConf.to_container(given.decoder)
        assert isinstance(inner, dict)
        cfg.decoder = {"_target_": "saliency_pred.decoders.adapted.Adapted", "decoder": inner | {"_partial_": True}}
        pieces = [{"part": "encoder"}, {"part": "decoder", "into": "decoder.decoder"}]
        pieces += [{"part": "prior"}] if has_prior else []
        cfg.init = [{"ckpt": cfg.init, **piece} for piece in pieces]
    cfg.loader.size, cfg.loader.resize = given.loader.size, given.loader.resize
    own = [o.lstrip("+") for o in overrides if o.lstrip("+").startswith(tuple(f"{p}." for p in (*parts, "loader")))]
    cfg.merge_with(OmegaConf.from_dotlist(own))


def decoder_is_given(init: Any) -> bool:
    """Whether the decoder's statistics come with the weights that the run begins from."""
    pieces = [{}] if isinstance(init, str) else init or []
    return any(piece.get("into", piece.get("part", "")) in ("", "decoder") for piece in pieces)


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
        ".*It is recommended to use `self.log.*sync_dist=True.*",  # what is logged is of all processes already
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
    fit(model.features(images.to(device)) for images in _first_images(data, STATISTICS_IMAGES))
    model.to("cpu").train()


def _first_images(data: SaliencyDataModule, count: int) -> Iterator[Tensor]:
    """Images (B, 3, H, W) as training sees them first; how many does not depend on the batch size."""
    for batch in data.train_dataloader():
        if count <= 0:
            return
        yield batch.image[:count]
        count -= len(batch)


def write_split(data: SaliencyDataModule, path: Path) -> None:
    """Which image belonged to which part: part,image_id."""
    lines = [f"{part},{data.dataset.image_ids[i]}" for part, indices in data.parts.items() for i in indices]
    write_text(path, "\n".join(["part,image_id", *lines]) + "\n")


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
