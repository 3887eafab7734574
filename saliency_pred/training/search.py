"""A search for settings with Optuna: trials are training runs in folders of their own.

Any number of processes work on one study, and a trial whose process has died is gone on with by the next one that
starts: a lock file, which the system frees at any kind of death, says who is alive.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import optuna
import pytorch_lightning as pl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from omegaconf import DictConfig
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState


class Run(Protocol):
    """Trains with overrides below a folder and returns the score that trials are compared by."""

    def __call__(self, overrides: list[str], out: Path, callbacks: list[pl.Callback]) -> float | None: ...


class Search:
    """One study.

    Args:
        cfg: of ``configs/sweep.yaml``.
        overrides: of the training; those that name several values are searched over:
            ``optimizer.lr=tag(log,interval(1e-5,1e-2))``, ``loader.batch_size=4,8``, ``seed=range(0,5)``.
        maximise: whether a higher score is better.
        monitor: name of the logged value that the pruner looks at.

    Raises:
        ValueError: nothing to search over, or an unknown sampler or pruner.
    """

    def __init__(self, cfg: DictConfig, overrides: list[str], maximise: bool, monitor: str) -> None:
        self.out = Path(cfg.out)
        self.trials = cfg.trials
        self.monitor = monitor
        parsed = OverridesParser.create().parse_overrides(overrides)
        self.space = {o.key_or_group: o for o in parsed if o.is_sweep_override()}
        self.fixed = [str(o.input_line) for o in parsed if not o.is_sweep_override()]
        if not self.space:
            raise ValueError(
                "nothing to search over: give a setting several values, optimizer.lr=tag(log,interval(1e-5,1e-2)) "
                "or loader.batch_size=4,8"
            )
        self.out.mkdir(parents=True, exist_ok=True)
        self.study = optuna.create_study(
            study_name=self.out.resolve().name,
            storage=self._storage(cfg.storage),
            load_if_exists=True,
            direction="maximize" if maximise else "minimize",
            sampler=self._sampler(cfg),
            pruner=self._pruner(cfg),
        )

    def _storage(self, url: str | None) -> str | BaseStorage:
        return url or JournalStorage(JournalFileBackend(str(self.out / "study.log")))

    def _sampler(self, cfg: DictConfig) -> optuna.samplers.BaseSampler:
        seed = cfg.sampler_seed
        made: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
            "tpe": lambda: optuna.samplers.TPESampler(seed=seed, n_startup_trials=cfg.startup),
            "random": lambda: optuna.samplers.RandomSampler(seed=seed),
            "grid": lambda: optuna.samplers.GridSampler({k: _listed(o) for k, o in self.space.items()}, seed=seed),
            "cmaes": lambda: optuna.samplers.CmaEsSampler(seed=seed, n_startup_trials=cfg.startup),
        }
        return _chosen(made, "sampler", cfg.sampler)

    def _pruner(self, cfg: DictConfig) -> optuna.pruners.BasePruner:
        made: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
            "none": optuna.pruners.NopPruner,
            "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=cfg.startup),
            "halving": optuna.pruners.SuccessiveHalvingPruner,
        }
        return _chosen(made, "pruner", cfg.pruner)

    def run(self, train: Run) -> None:
        """Go on with trials whose process has died, then begin new ones until there are enough."""
        for frozen in self.study.get_trials(states=[TrialState.RUNNING]):
            trial = Trial(self.study, frozen._trial_id)
            if "overrides" not in frozen.user_attrs:  # it died before it began
                self.study.tell(trial, state=TrialState.FAIL)
                continue
            with _alone(self._folder(trial)) as mine:
                if mine:
                    self._one(trial, list(frozen.user_attrs["overrides"]), train)
        while self._begun() < self.trials:
            trial = self.study.ask()
            with _alone(self._folder(trial)):
                overrides = [*self.fixed, *(f"{key}={suggest(trial, key, o)}" for key, o in self.space.items())]
                trial.set_user_attr("overrides", overrides)
                self._one(trial, overrides, train)

    def _begun(self) -> int:
        return sum("overrides" in t.user_attrs for t in self.study.trials)

    def _folder(self, trial: Trial) -> Path:
        return self.out / f"{trial.number:03d}"

    def _one(self, trial: Trial, overrides: list[str], train: Run) -> None:
        chosen = " ".join(o for o in overrides if o.split("=")[0] in self.space)
        print(f"trial {trial.number}: {chosen}", flush=True)
        try:
            score = train(overrides, self._folder(trial), [Pruning(trial, self.monitor)])
        except optuna.TrialPruned:
            print(f"trial {trial.number}: pruned", flush=True)
            self.study.tell(trial, state=TrialState.PRUNED)
        except (ValueError, TypeError, OSError, ArithmeticError) as error:
            print(f"trial {trial.number}: {error}", flush=True)
            self.study.tell(trial, state=TrialState.FAIL)
            if not any(t.intermediate_values for t in self.study.trials):
                raise  # not these values, but all of it is wrong
        else:
            self.study.tell(trial, score, state=TrialState.COMPLETE if score is not None else TrialState.FAIL)

    def table(self) -> list[dict[str, Any]]:
        """A row a trial, the best first: number, state, score and the searched settings."""
        rows = [
            {"trial": t.number, "state": t.state.name.lower(), "score": t.value, "epochs": len(t.intermediate_values)}
            | t.params
            for t in self.study.trials
        ]
        sign = -1 if self.study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
        return sorted(rows, key=lambda r: (r["state"] != "complete", sign * (r["score"] or 0)))


class Pruning(pl.Callback):
    """Reports the monitored value after every scoring, and ends the trial if the study says so.

    Args:
        trial: of the study.
        monitor: name of the logged value.
    """

    def __init__(self, trial: Trial, monitor: str) -> None:
        self.trial = trial
        self.monitor = monitor

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises ``optuna.TrialPruned``."""
        value = trainer.callback_metrics.get(self.monitor)
        if value is None:
            return
        self.trial.report(float(value), trainer.current_epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def suggest(trial: Trial, name: str, override: Override) -> Any:
    """The value that the study proposes for a setting."""
    sweep = override.value()
    if isinstance(sweep, IntervalSweep):
        log = "log" in sweep.tags
        if isinstance(sweep.start, int) and isinstance(sweep.end, int):
            return trial.suggest_int(name, sweep.start, sweep.end, log=log)
        assert sweep.start is not None
        assert sweep.end is not None
        return trial.suggest_float(name, float(sweep.start), float(sweep.end), log=log)
    return trial.suggest_categorical(name, _listed(override))


def _listed(override: Override) -> list[Any]:
    """The values of a choice or a range.

    Raises:
        ValueError: an interval has no list of values.
    """
    sweep = override.value()
    if isinstance(sweep, ChoiceSweep | RangeSweep):
        return [str(value) for value in override.sweep_string_iterator()]
    raise ValueError(f"{override.input_line}: sampler=grid needs single values, as 1e-4,1e-3")


def _chosen(made: Mapping[str, Callable[[], Any]], what: str, name: str) -> Any:
    if name not in made:
        raise ValueError(f"{what}={name} is none of {', '.join(made)}")
    return made[name]()


@contextlib.contextmanager
def _alone(folder: Path) -> Any:
    """Whether this process got the folder for itself, until it ends in whatever way."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
