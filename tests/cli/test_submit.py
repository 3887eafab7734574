"""saliency submit: from a checkpoint to an archive, and looking at archives of others."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

import h5py
import pytest
import torch
from fixtures import avimos, cat2000, dhf1k, mit300, salicon
from omegaconf import OmegaConf

from saliency_pred.cli import main
from saliency_pred.cli.compose import compose
from saliency_pred.weights.checkpoint import build_model, save_checkpoint


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model whose maps differ from image to image, saved."""
    torch.manual_seed(0)
    settings = ["encoder=resnet18", "encoder.weights=none", "decoder=unet", "loader.size=[48,64]", "out=nowhere"]
    config = compose("train", settings)
    model = build_model(config)
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.kaiming_normal_(weight)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_checkpoint(path, model, OmegaConf.create(OmegaConf.to_container(config)))
    return path


def test_tuebingen_from_a_checkpoint_to_a_checked_archive(
    ckpt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = mit300.write(tmp_path / "MIT300"), tmp_path / "mine.h5"
    settings = ["board=tuebingen", f"data.root={root}"]
    assert main(["submit", *settings, "board.model=Mine", f"ckpt={ckpt}", f"out={out}"]) == 0
    told = capsys.readouterr()
    assert "stored against predicted: CC 1.00000, KLD 0.00000, SIM 1.00000 (3 maps)" in told.out
    assert f"{out}: 3 maps" in told.out
    assert "the board has 300, this copy of mit300 has 3" in told.err
    with h5py.File(out) as file:
        assert sorted(file) == ["i1.jpg", "i2.jpg", "i300.jpg"]
    assert OmegaConf.load(tmp_path / "mine.yaml").model.name == "Mine"

    assert main(["submit", str(out), "check=true", *settings]) == 0
    with h5py.File(out, "r+") as file:
        file["i1.jpg"][...] += 0.01
    assert main(["submit", str(out), "check=true", *settings]) == 2
    told = capsys.readouterr()
    assert "is no log density" in told.err
    assert "refused: tuebingen would not take it" in told.out


def test_salicon_says_what_storing_costs_in_every_metric(
    ckpt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = salicon.write(tmp_path / "SALICON"), tmp_path / "mine.zip"
    settings = ["board=salicon", f"data.root={root}", "part=val"]
    assert main(["submit", *settings, f"ckpt={ckpt}", f"out={out}"]) == 0
    told = capsys.readouterr().out
    for metric in compose("submit", settings).preset.metrics:
        assert re.search(rf"^{metric} .* by storing [+-]\d\.\d{{5}} \(2 images\)$", told, re.M), metric

    assert main(["submit", str(out), "check=true", "board=salicon", f"data.root={root}"]) == 2
    assert "image without its map" in capsys.readouterr().err, "the test images were asked for"

    first, second = (f"{name}.png" for name in salicon.names("val"))
    with zipfile.ZipFile(out) as archive:
        contents = {first: archive.read(second), second: archive.read(first)}
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    assert main(["submit", str(out), "check=true", *settings]) == 0, "without a checkpoint nobody can tell"
    assert main(["submit", str(out), "check=true", *settings, f"ckpt={ckpt}"]) == 2
    assert "maps were exchanged" in capsys.readouterr().err


def test_cat2000_comes_in_its_categories(ckpt: Path, tmp_path: Path) -> None:
    root, out = cat2000.write(tmp_path / "CAT2000"), tmp_path / "mine.zip"
    assert main(["submit", "board=cat2000", f"data.root={root}", f"ckpt={ckpt}", f"out={out}", "sample=1"]) == 0
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [f"mine/{cat2000.TEST}.jpg"]
    shutil.rmtree(root / "trainSet")  # the same images are the HDF5 board's
    settings = ["board=tuebingen", "data=cat2000", "data.part=test", "data.split=official", f"data.root={root}"]
    assert main(["submit", *settings, f"ckpt={ckpt}", f"out={tmp_path / 'mine.h5'}"]) == 0
    with h5py.File(tmp_path / "mine.h5") as file:
        assert file[f"{cat2000.TEST}.jpg"].shape == cat2000.SIZE


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "must specify 'board'"),
        (["board=tubingen"], "did you mean tuebingen?"),
        (["board=tuebingen"], "ckpt must be given"),
        (["a.h5", "board=tuebingen"], "to check a.h5, add check=true"),
        (["board=tuebingen", "check=true"], "name the one archive to check"),
        (["a.h5", "board=tuebingen", "check=true"], "a.h5 does not exist"),
        (["board=tuebingen", "ckpt=x.ckpt", "board.loss=KL", "data.root=."], "is none of AUC, sAUC"),
    ],
)
def test_bad_input_is_explained(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["submit", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(("board", "entries"), [("aim2024", len(avimos.VIDEOS)), ("dhf1k", sum(dhf1k.VIDEOS.values()))])
def test_videos_are_predicted_as_they_are_decoded(
    board: str, entries: int, ckpt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("av", reason="videos need PyAV: pip install 'saliency-pred[video]'")
    root = (avimos if board == "aim2024" else dhf1k).write(tmp_path / "data")
    settings = [f"board={board}", f"data.root={root}", "part=all", f"ckpt={ckpt}", "sample=2"]
    out = tmp_path / "mine.zip"
    assert main(["submit", *settings, f"out={out}"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"stored against predicted: CC 0\.99\d+, KLD 0\.0\d+, SIM 0\.9\d+ \(\d+ maps\)", told), told
    assert re.search(r"^nss\w* .*\(2 videos\) +by storing [+-]0\.\d+$", told, re.M), told
    with zipfile.ZipFile(out) as archive:
        assert len(archive.namelist()) == entries
    assert main(["submit", str(out), "check=true", *settings]) == 0
