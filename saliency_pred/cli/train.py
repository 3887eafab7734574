"""train a model, score it on held-out images, write a report

usage: saliency train [key=value ...] [--cfg job] [--multirun]

Choose parts by group (data, encoder, decoder, prior, loss, optimizer, scheduler, augment, loader, trainer,
logger, callbacks, experiment) and set single values with dots:

  saliency train
  saliency train data=osie data.root=OSIE encoder=resnet50 decoder=aspp loss=kld_cc
  saliency train experiment=quickstart data=osie data.root=OSIE
  saliency train trainer.max_epochs=20 loader.batch_size=16 optimizer.lr=1e-3
  saliency train --multirun seed=0,1,2
  saliency train out=runs/mine resume=auto        continues a run that was stopped
  saliency train --multirun out=runs/sweep resume=auto optimizer.lr=1e-3,1e-4
                                                  does what is left of a sweep

Everything is written below out=DIR: config.yaml, run.json, split.csv, history.csv, pictures/, checkpoints/,
and for the best checkpoint scores.json, per_image.csv and report.html.

Several GPUs: trainer=ddp trainer.devices=4; under torchrun the same; under SLURM trainer=slurm and srun. The
directory is one for all processes: out=DIR, or in a SLURM job runs/NAME/slurm-JOB. A job that its launcher has
started again goes on from its last checkpoint. Told to stop by SIGUSR1 or SIGTERM, a run saves and exits with 75.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from saliency_pred.cli.compose import CONFIGS, compose, search_path, show

if TYPE_CHECKING:
    from omegaconf import DictConfig

MULTIRUN = ("--multirun", "-m")


def main(files: list[str], overrides: list[str]) -> int:
    """Check the configuration, then hand it to Hydra, which runs one job or many."""
    if files:
        raise ValueError(f"train takes key=value settings only, got '{files[0]}' (data.root=FOLDER names your data)")
    flags = [o for o in overrides if o.startswith("-")]
    settings = [o for o in overrides if not o.startswith("-") and o != "job"]
    if "--cfg" in flags or "-c" in flags:
        print(show(compose("train", settings)))
        return 0
    unknown = [f for f in flags if f not in MULTIRUN]
    if unknown:
        raise ValueError(f"unknown flag {unknown[0]}; train knows --help, --cfg job and --multirun")
    named = any(o.startswith("out=") for o in settings)
    if flags:
        if not named and "resume=auto" in settings:
            raise ValueError("a sweep is resumed by naming its folder: out=DIR")
        return _hydra(settings, flags)
    cfg = compose("train", settings)
    if any(name in os.environ for name in ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID")):
        settings = in_a_job(settings, cfg, named)
    elif cfg.resume == "auto" and not named:
        settings.append(f"out={latest_run(settings, Path(cfg.out).parent) or cfg.out}")
    return _hydra(settings, [])


def in_a_job(settings: list[str], cfg: DictConfig, named: bool) -> list[str]:
    """The settings with what follows from torchrun or SLURM: a directory for all processes, going on if restarted."""
    from saliency_pred.training.launch import launcher, restarted, shared_directory

    if launcher() is not None and not named:
        settings = [*settings, f"out={shared_directory(Path(cfg.out))}"]
    if restarted() and cfg.resume is None:
        settings = [*settings, "resume=auto"]
    return settings


def latest_run(settings: list[str], folder: Path) -> Path | None:
    """The newest run in a folder that has a checkpoint to continue from and was started with these settings."""
    from omegaconf import OmegaConf

    last = sorted(folder.resolve().glob("*/checkpoints/last.ckpt"), key=lambda p: p.stat().st_mtime, reverse=True)
    for run_folder in (path.parents[1] for path in last):
        asked = compose("train", [*settings, f"out={run_folder}"])
        started = OmegaConf.load(run_folder / "config.yaml")
        asked.resume = started.resume = None
        if asked == started:
            return run_folder
    return None


def _hydra(settings: list[str], flags: list[str]) -> int:
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    failures: list[str] = []

    @hydra.main(config_path=f"pkg://{CONFIGS}", config_name="train", version_base="1.3")
    def job(cfg: DictConfig) -> float | None:
        return run(cfg, failures)

    argv = sys.argv
    sys.argv = [argv[0], *settings, *search_path(settings), *flags]
    try:
        job()
    finally:
        sys.argv = argv
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 2 if failures else 0


def run(cfg: DictConfig, failures: list[str]) -> float | None:
    """One job: train, then score the best checkpoint; returns the monitored score, for sweepers."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from saliency_pred.training.launch import GRACE, left, lost_another, relaunchable
    from saliency_pred.training.preemption import EXIT_CODE, Preempted

    hydra_cfg = HydraConfig.get()
    overrides = list(hydra_cfg.overrides.task)
    several = hydra_cfg.mode is not None and hydra_cfg.mode.name == "MULTIRUN"
    out = Path(hydra_cfg.runtime.output_dir)
    cfg.out = str(out)
    OmegaConf.resolve(cfg)
    try:
        with relaunchable(overrides, out):
            from saliency_pred.training.run import finished_score, network_of_init, train_and_report

            if cfg.network != "own":
                network_of_init(cfg, overrides)
            if several and cfg.resume == "auto" and (done := finished_score(cfg, out)) is not None:
                print(f"{out} is finished")
                return done.value
            return train_and_report(cfg, out)
    except Preempted as stop:
        # A launcher ends all processes as soon as one has ended; each is to end with the code that says why.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(f"{stop}; resume=auto out={out} goes on", file=sys.stderr)
        raise SystemExit(EXIT_CODE) from None
    except RuntimeError as error:
        if not lost_another(error):
            raise
        time.sleep(2 * GRACE)  # whoever watches that other process says what became of it, and ends this one
        reason = str(error).splitlines()[0]
        print(f"error: another process of this run has ended ({reason}); {left(out)}", file=sys.stderr)
        raise SystemExit(1) from None
    except (ValueError, TypeError, OSError) as error:
        if several and "BasicLauncher" not in hydra_cfg.launcher._target_:
            raise  # in a job of its own, whose failure its launcher has to see
        # Hydra would print a trace; the other jobs of a sweep go on
        failures.append(f"{' '.join(overrides)}: {error}" if several else str(error))
        return None
