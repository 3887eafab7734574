"""The job files under a real SLURM, where its daemons are installed: started for the test, on this machine alone.

Debian: apt-get install slurmctld slurmd slurm-client munge
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from saliency_pred.training.callbacks import read_history

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
MISSING = [p for p in PROGRAMS if shutil.which(p, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"SLURM is not installed: no {', '.join(MISSING)}"),
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="SLURM's daemons are started as root"),
]

CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldPort={port}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{second}] CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

SMALL = (
    "data.count=24", "data.size=[48,64]", "data.viewers=3", "data.split=20/4", "encoder=resnet18",
    "encoder.weights=none", "augment=flip_crop_colour", "loader.size=[48,64]", "loader.workers=0",
    "loader.batch_size=1", "trainer.accelerator=cpu", "trainer.max_epochs=4", "report=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Two nodes on this machine; yields the environment in which SLURM's commands find them."""
    folder = tmp_path_factory.mktemp("slurm")
    folder.parent.chmod(0o755)
    folder.chmod(0o755)
    (folder / "state").mkdir()
    base = 20000 + os.getpid() % 20000
    host = os.uname().nodename.split(".")[0]
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    (folder / "slurm.conf").write_text(
        CONFIG.format(host=host, folder=folder, port=base, first=base + 1, second=base + 2)
    )
    (folder / "bin").mkdir()
    program = folder / "bin" / "saliency"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m saliency_pred "$@"\n')
    program.chmod(0o755)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("SLURM")},
        "SLURM_CONF": str(folder / "slurm.conf"),
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "PYTHONPATH": f"{REPOSITORY}:{os.environ.get('PYTHONPATH', '')}",
        "MASTER_ADDR": "127.0.0.1",  # the nodes' names are no names of machines here
        "OMP_NUM_THREADS": "1",
    }
    munged = ["munged", f"--key-file={folder}/munge.key", f"--socket={folder}/munge.socket", "--force"]
    munged += [f"--{what}-file={folder}/munged.{what}" for what in ("pid", "log", "seed")]
    for command in (munged, ["slurmctld", "-c"], ["slurmd", "-N", "n1"], ["slurmd", "-N", "n2"]):
        subprocess.run(command, env=environment, check=True, timeout=60)
        time.sleep(1)
    try:
        _wait(lambda: "idle" in _out(environment, "sinfo", "-h", "-o", "%t"), 60, "the nodes do not become idle")
        yield environment
    finally:
        subprocess.run(["scancel", "--user=root"], env=environment, timeout=60)
        time.sleep(2)
        for file in ("slurmd-n1.pid", "slurmd-n2.pid", "slurmctld.pid", "munged.pid"):
            if (folder / file).is_file():
                os.kill(int((folder / file).read_text()), 15)


def _out(environment: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout


def _wait(done: object, seconds: float, words: str) -> None:
    assert callable(done)
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, words
        time.sleep(0.2)


def _submit(environment: dict[str, str], folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["sbatch", "--parsable", "--gpus-per-node=0", "--cpus-per-task=1", *arguments],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _state(environment: dict[str, str], job: str) -> str:
    return _out(environment, "squeue", "-h", "-t", "all", "-j", job, "-o", "%T").strip()


@pytest.mark.timeout(2400)
@pytest.mark.parametrize(
    ("file", "shape"),
    [("one_node", ("--ntasks-per-node=2",)), ("many_nodes", ("--nodes=2", "--ntasks-per-node=1"))],
)
def test_a_requeued_job_goes_on_in_mid_epoch_with_the_same_bits(
    file: str, shape: tuple[str, ...], cluster: dict[str, str], tmp_path: Path
) -> None:
    script = str(REPOSITORY / "scripts" / "slurm" / f"{file}.sbatch")
    whole = _submit(cluster, tmp_path, *shape, script, *SMALL, "name=whole")
    _wait(lambda: _state(cluster, whole) not in ("PENDING", "RUNNING", "COMPLETING"), 900, "the job does not end")
    assert _state(cluster, whole) == "COMPLETED", (tmp_path / f"slurm-{whole}.log").read_text()[-3000:]
    (reference,) = (tmp_path / "runs" / "whole").iterdir()  # one directory for both tasks
    assert reference.name == f"slurm-{whole}"

    job = _submit(cluster, tmp_path, *shape, script, *SMALL, "name=stopped")
    out, log = tmp_path / "runs" / "stopped" / f"slurm-{job}", tmp_path / f"slurm-{job}.log"
    _wait((out / "history.csv").exists, 900, "the job does not train")
    subprocess.run(["scancel", "--signal=USR1", job], env=cluster, check=True, timeout=60)  # as --signal=USR1@120 does
    _wait(lambda: "stopped by" in log.read_text(), 300, "the job does not stop")
    middle = torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]["Preemption"]
    assert 0 < middle["batches"] < 10, "it was not stopped in the middle of an epoch"
    assert len(middle["processes"]) == 2
    _wait(lambda: _state(cluster, job) not in ("PENDING", "RUNNING", "COMPLETING"), 900, "the job does not end")
    assert _state(cluster, job) == "COMPLETED", log.read_text()[-3000:]

    one, two = (torch.load(o / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for o in (reference, out))
    for name, value in one.items():
        assert torch.equal(value, two[name]), name
    assert read_history(reference / "history.csv") == read_history(out / "history.csv")


@pytest.mark.timeout(2400)
def test_an_array_trains_every_seed_in_a_directory_of_its_own(cluster: dict[str, str], tmp_path: Path) -> None:
    script = str(REPOSITORY / "scripts" / "slurm" / "seeds.sbatch")
    job = _submit(cluster, tmp_path, "--array=0-1", script, *SMALL, "trainer.max_epochs=1", "name=seeds")
    runs = [tmp_path / "runs" / "seeds" / f"slurm-{job}_{seed}" for seed in (0, 1)]
    _wait(lambda: _state(cluster, job).split() == ["COMPLETED"] * 2, 900, "the jobs do not end")
    seeds = [f"seed: {seed}" in (run / "config.yaml").read_text().splitlines() for seed, run in enumerate(runs)]
    assert seeds == [True, True]
    assert all(len(read_history(run / "history.csv")) == 1 for run in runs)
