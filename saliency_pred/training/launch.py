"""The processes of a run: started by Lightning, by torchrun, or by SLURM.

Lightning starts the others by running ``sys.argv`` again. Here that must be ``saliency train`` with the job's own
overrides: one run of a sweep, not the sweep, and into the directory that the first process uses. Processes that
come from outside must agree on a directory by themselves.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch.distributed as dist
from pytorch_lightning.strategies.launchers import subprocess_script

from saliency_pred.training.preemption import EXIT_CODE

_OF_A_PROCESS_GROUP = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

GRACE = 5.0
"""Seconds that a process has to end by itself when another has ended."""


# ---------------------------------------------------------------------- started by Lightning


@contextmanager
def relaunchable(overrides: Sequence[str], out: Path) -> Iterator[None]:
    """Within it, running ``sys.argv`` again starts this very job; afterwards the next job of a sweep can start.

    Args:
        overrides: the job's Hydra overrides.
        out: its output directory.
    """
    argv, observer = sys.argv, subprocess_script._launch_process_observer
    started_here = "LOCAL_RANK" not in os.environ  # else torchrun, SLURM or a parent process set it
    kept = [o for o in overrides if not o.lstrip("+").startswith("out=")]
    sys.argv = [argv[0], "train", *kept, f"out={out.resolve()}"]
    # Lightning's own kills everything without a word
    subprocess_script._launch_process_observer = lambda child_processes: _watch(child_processes, out)
    if not started_here and launcher() is None:
        _watch_parent(os.getppid())
    try:
        yield
    finally:
        sys.argv, subprocess_script._launch_process_observer = argv, observer
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()
        if started_here:
            for name in _OF_A_PROCESS_GROUP:
                os.environ.pop(name, None)


def _watch(processes: list[subprocess.Popen[Any]], out: Path) -> None:
    """End this process, rank 0, and the others when one has failed, and say which and how."""

    def look() -> None:
        codes: list[int | None] = [None]
        while None in codes:
            time.sleep(0.2)
            codes = [process.poll() for process in processes]
            for rank, (process, code) in enumerate(zip(processes, codes, strict=True), start=1):
                if code not in (None, 0, EXIT_CODE):
                    time.sleep(GRACE if code > 0 else 0.0)  # all may be about to say the same
                    where = f"rank {rank} of {len(processes) + 1} (process {process.pid} on {socket.gethostname()})"
                    print(f"error: {where} {cause(code)}; {left(out)}", file=sys.stderr, flush=True)
                    for other in processes:
                        other.kill()
                    os._exit(max(code, 1))

    threading.Thread(target=look, daemon=True, name="watch-other-ranks").start()


def _watch_parent(parent: int) -> None:
    """End this process when rank 0, which started it, is no more: it would wait for it for ever."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        time.sleep(GRACE)  # this one may be ending as well
        rank = os.environ.get("LOCAL_RANK")
        print(f"error: rank 0 (process {parent}) has ended, so rank {rank} does", file=sys.stderr, flush=True)
        os._exit(1)

    threading.Thread(target=look, daemon=True, name="watch-rank-0").start()


def cause(code: int) -> str:
    """What an exit code says: negative ones are signals."""
    if code >= 0:
        return f"ended with exit code {code}, its message stands above"
    name = signal.Signals(-code).name
    memory = " (the system does that when memory is short)" if name == "SIGKILL" else ""
    return f"was killed by {name}{memory}"


def left(out: Path) -> str:
    """What a run that ended has left to go on from."""
    last = out / "checkpoints" / "last.ckpt"
    return f"resume=auto out={out} goes on from {last}" if last.is_file() else "there is no checkpoint yet"


def lost_another(error: Exception) -> bool:
    """Whether an exception is only the consequence of another process having ended (gloo's and NCCL's words)."""
    text = str(error)
    lost = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Timed out waiting")
    return "NCCL" in text or ("gloo" in text and any(words in text for words in lost))


# ---------------------------------------------------------------------- started from outside


def launcher() -> str | None:
    """``torchrun`` or ``slurm`` where such started this process; None otherwise."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return "torchrun"
    interactive = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    return "slurm" if "SLURM_JOB_ID" in os.environ and "SLURM_NTASKS" in os.environ and not interactive else None


def restarted() -> bool:
    """Whether the launcher has started this job before: torchrun after a failure, SLURM after a requeue."""
    return any(int(os.environ.get(name, "0")) > 0 for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"))


def shared_directory(proposed: Path) -> Path:
    """One output directory for all processes of a job, the same one whenever the job is started again.

    SLURM: named after the job. torchrun: what the first process proposes, which no later start would know.

    Args:
        proposed: with a name that differs from process to process, as it holds the time.

    Raises:
        ValueError: torchrun may start the job again.
    """
    if launcher() == "slurm":
        array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
        return proposed.with_name(f"slurm-{array}_{task}" if array else f"slurm-{os.environ['SLURM_JOB_ID']}")
    if int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0:
        raise ValueError("torchrun --max-restarts starts the run again, which has to find its folder: give out=DIR")
    store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    return Path(store.compare_set("saliency_pred/out", "", str(proposed)).decode())
