"""Stopping a run that its cluster wants to end, in the middle of an epoch, so that it goes on exactly there."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor

from saliency_pred.batch import Batch
from saliency_pred.data.loader import TrainLoader
from saliency_pred.training.module import SaliencyTraining

SIGNALS = tuple(s for s in (getattr(signal, name, None) for name in ("SIGUSR1", "SIGTERM")) if s is not None)
"""SIGUSR1: what the job files ask SLURM to send before the time is over; SIGTERM: of preemption and of ``kill``."""

EXIT_CODE = 75
"""Of a run that was stopped and can go on: EX_TEMPFAIL of sysexits.h, "try again later"."""


class Preempted(Exception):
    """The run was told to stop, has saved where it was, and goes on from there with ``resume=auto``."""


class Preemption(pl.callbacks.Checkpoint):
    """On a signal to any of its processes the run saves last.ckpt after the current step, and stops.

    All processes agree on the step. What is restored beside weights, optimiser, schedule and position in the
    data: the random numbers of each process, and the means of the loss terms so far. A signal that comes while
    held-out images are scored waits for the end of it, as half a scoring cannot be continued.

    Args:
        path: of the checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.received: int | None = None
        self._state: dict[str, Any] = {}
        self._restored: dict[str, Any] = {}
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self._listen()

    def _listen(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._note)

    def close(self) -> None:
        """Let the signals do again what they did before."""
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave out the data that was used before the checkpoint was written.

        And listen again: Lightning has put handlers of its own in place, which talk to other processes at once,
        between any two instructions.

        Raises:
            ValueError: in the middle of an epoch, and there are other batches now.
        """
        self._listen()
        if not self._restored:
            return
        loader = trainer.train_dataloader
        assert isinstance(loader, TrainLoader)
        then = (self._restored["batch_size"], len(self._restored["processes"]))
        assert isinstance(pl_module, SaliencyTraining)
        now = (pl_module.batch_size, trainer.world_size)
        if then != now:
            raise ValueError(
                f"the checkpoint is of the middle of an epoch with batches of {then[0]} in {then[1]} processes, "
                f"which cannot go on with batches of {now[0]} in {now[1]}; "
                "use as many, or begin a new run from its weights with init=CKPT"
            )
        loader.leave_out(self._restored["batches"])

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Take up the random numbers and the sums where the stopped run left them."""
        if not self._restored:
            return
        assert isinstance(pl_module, SaliencyTraining)
        mine = self._restored["processes"][trainer.global_rank]
        self._restored = {}
        set_random_state(mine["random"], pl_module.device)
        pl_module.sums = {name: value.to(pl_module.device) for name, value in mine["sums"].items()}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Save and stop if any process was told to, unless gradients are half gathered or the epoch is over."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches or trainer.is_last_batch:
            return
        if not trainer.strategy.reduce_boolean_decision(self.received is not None, all=False):
            return
        assert isinstance(pl_module, SaliencyTraining)
        sums = {name: value.cpu() for name, value in pl_module.sums.items()}
        mine = {"random": random_state(pl_module.device), "sums": sums}
        processes = [mine] * trainer.world_size
        if trainer.world_size > 1:
            dist.all_gather_object(processes, mine)
        self._state = {"batches": batch_idx + 1, "batch_size": pl_module.batch_size, "processes": processes}
        trainer.save_checkpoint(self.path)
        raise Preempted(f"{self._cause()}: saved in epoch {trainer.current_epoch} after batch {batch_idx}")

    def raise_if_received(self) -> None:
        """After the last epoch.

        Raises:
            Preempted: a signal has come since the last step.
        """
        if self.received is not None:
            raise Preempted(f"{self._cause()}: the training was over, its scoring is left to do")

    def _cause(self) -> str:
        name = "a signal to another process" if self.received is None else signal.Signals(self.received).name
        return f"stopped by {name}"

    def state_dict(self) -> dict[str, Any]:
        """Where in the epoch each process was; empty in checkpoints that are not of the middle of one."""
        return self._state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep it until the training begins."""
        self._restored = state_dict


def random_state(device: torch.device) -> list[Tensor]:
    """Of the generators that layers draw from: the CPU's, and the GPU's if there is one."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def set_random_state(state: list[Tensor], device: torch.device) -> None:
    """What :func:`random_state` returned."""
    torch.set_rng_state(state[0])
    if device.type == "cuda" and len(state) > 1:
        torch.cuda.set_rng_state(state[1], device)
