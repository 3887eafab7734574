"""search for settings with Optuna: pruned, resumable, by any number of processes

usage: saliency sweep SETTING=VALUES... [trials=20] [out=runs/sweep] [key=value ...]

  saliency sweep 'optimizer.lr=tag(log,interval(1e-5,1e-2))' loader.batch_size=4,8 trials=30 out=runs/lr
  saliency sweep 'decoder.dropout=interval(0.0,0.5)' sampler=random pruner=none data=osie data.root=OSIE

A setting with several values is searched over: interval(a,b) (with tag(log,...) on a logarithmic scale), a,b,c or
range(a,b). All other settings are those of `saliency train`. Trials are compared by the score that checkpoints are
chosen by. The same command goes on with a sweep that was stopped or killed: trials in mid-training are resumed,
finished ones are not repeated. Started several times at once (also on several machines that see the folder), the
processes share the trials. Each trial trains in one process.

Written below out: study.log (an Optuna journal), sweep.csv, and for each trial a folder as `saliency train` makes.
For every combination of given values, without a search: saliency train --multirun.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from saliency_pred.cli.compose import compose

if TYPE_CHECKING:
    import pytorch_lightning as pl


def main(files: list[str], overrides: list[str]) -> int:
    """Search, print what was best."""
    if files:
        raise ValueError(f"sweep takes key=value settings only, got '{files[0]}'")
    own = [o for o in overrides if o.split("=")[0] in compose("sweep", [])]
    training = [o for o in overrides if o not in own]
    cfg = compose("sweep", own)
    try:
        import optuna
    except ImportError as error:
        raise ValueError("saliency sweep needs Optuna: pip install 'saliency-pred[sweep]'") from error
    from saliency_pred.training.preemption import EXIT_CODE, Preempted
    from saliency_pred.training.search import Search

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    first = compose("train", [f"{o.split('=')[0]}={_first(o)}" for o in training])
    if first.trainer.devices not in ("auto", 1) or first.trainer.strategy != "auto":
        raise ValueError("a trial trains in one process; start saliency sweep several times to use several GPUs")
    checkpoint = first.callbacks.checkpoint
    search = Search(cfg, training, checkpoint.mode == "max", checkpoint.monitor)
    try:
        search.run(train_one)
    except Preempted as stop:
        print(f"{stop}; the same command goes on", file=sys.stderr)
        return EXIT_CODE
    rows = search.table()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path = Path(cfg.out) / "sweep.csv"
    from saliency_pred.atomic import write_text

    write_text(path, text.getvalue())
    print(f"\n{text.getvalue()}\nbest  {Path(cfg.out) / format(rows[0]['trial'], '03d')}\nall   {path}")
    return 0


def _first(override: str) -> str:
    """A single value in the place of several, to see that the setting exists."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import IntervalSweep

    (parsed,) = OverridesParser.create().parse_overrides([override])
    value = parsed.value()
    if isinstance(value, IntervalSweep):
        return str(value.start)
    if parsed.is_sweep_override():
        return str(next(parsed.sweep_string_iterator()))
    return override.split("=", 1)[1]


def train_one(overrides: list[str], out: Path, callbacks: list[pl.Callback]) -> float | None:
    """One trial, from wherever it was."""
    from saliency_pred.training.run import finished_score, network_of_init, train_and_report

    cfg = compose("train", [*overrides, f"out={out}", "resume=auto"])
    if cfg.network != "own":
        network_of_init(cfg, overrides)
    if (done := finished_score(cfg, out)) is not None:
        return done.value
    return train_and_report(cfg, out, callbacks)
