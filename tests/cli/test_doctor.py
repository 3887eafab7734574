"""What `saliency doctor` says, about this machine and about combinations known to go wrong."""

from __future__ import annotations

import pytest

from saliency_pred.cli import main
from saliency_pred.cli.compose import compose
from saliency_pred.cli.doctor import installed_versions, of_machine, of_versions

GOOD = {
    "torch": "2.14.1", "torchvision": "0.29.1", "pytorch-lightning": "2.6.6", "timm": "1.0.31", "hydra-core": "1.3.8",
    "albumentations": "2.0.8", "opencv-python-headless": "4.10", "numpy": "2.0", "scipy": "1.11", "h5py": "3.10",
    "pillow": "10.3", "safetensors": "0.4",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "fatal", "words"),
    [
        ({"pytorch-lightning": "2.6.3"}, True, "malicious"),
        ({"pytorch-lightning": "2.5.0"}, True, "2.6.6 or newer"),
        ({"lightning": "2.6.6"}, False, "lightning is installed too"),
        ({"hydra-core": "1.4.0"}, True, "hydra-core<1.4"),
        ({"albumentationsx": "2.1"}, False, "AGPL"),
        ({"opencv-python": "4.10"}, False, "opencv-python and opencv-python-headless"),
        ({"torchvision": "0.28.0"}, True, "which is 0.29"),
        ({"timm": None}, True, "timm is missing"),
    ],
)
def test_bad_combinations_are_named(change: dict[str, str | None], fatal: bool, words: str) -> None:
    assert list(of_versions(GOOD)) == []
    versions = {name: v for name, v in (GOOD | change).items() if v is not None}
    (finding,) = of_versions(versions)
    assert finding[0] is fatal
    assert words in finding[1]


def test_this_environment_is_read_right() -> None:
    import torch

    assert installed_versions()["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_jobs_and_caches_that_would_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = compose("train", ["loader.cache=$NO_SUCH_DIRECTORY/cache", "loader.workers=0"])
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE", raising=False)
    said = " ".join(text for fatal, text in of_machine(cfg) if fatal)
    assert "that variable is not set" in said
    assert "--ntasks-per-node" in said


def test_what_would_run_where(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    settings = ["trainer=ddp", "trainer.devices=4", "trainer.accelerator=cpu", "loader.workers=0"]
    assert main(["doctor", *settings, "scaling=linear", "scaling.reference=16"]) == 0
    printed = capsys.readouterr().out
    assert "4 process(es): 4 on each of 1 machine(s)" in printed
    assert "32 = 8 x 4 processes x 1 accumulated" in printed
    assert "0.002 x 2 (scaling=linear)" in printed
    assert main(["doctor", *settings, "scaling=same_batch", "scaling.reference=6"]) == 2
    assert "cannot be shared evenly by 4 processes" in capsys.readouterr().out
    assert main(["doctor", *settings, "trainer.sync_batchnorm=true"]) == 2
