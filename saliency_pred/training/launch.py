"""Starting the other processes of a multi-device run from a command line that Lightning does not know.

Lightning starts them by running ``sys.argv`` again. Here that must be ``saliency train`` with the job's own
overrides: one run of a sweep, not the sweep, and into the directory that the first process uses.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch.distributed as dist

_OF_A_PROCESS_GROUP = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@contextmanager
def relaunchable(overrides: Sequence[str], out: Path) -> Iterator[None]:
    """Within it, running ``sys.argv`` again starts this very job; afterwards the next job of a sweep can start.

    Args:
        overrides: the job's Hydra overrides.
        out: its output directory.
    """
    argv = sys.argv
    started_here = "LOCAL_RANK" not in os.environ  # else torchrun, SLURM or a parent process set it
    kept = [o for o in overrides if not o.lstrip("+").startswith("out=")]
    sys.argv = [argv[0], "train", *kept, f"out={out.resolve()}"]
    try:
        yield
    finally:
        sys.argv = argv
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()
        if started_here:
            for name in _OF_A_PROCESS_GROUP:
                os.environ.pop(name, None)
