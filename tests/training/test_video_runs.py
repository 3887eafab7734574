"""Training on clips from disk, started as a user starts it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from fixtures import ucf_sports

from saliency_pred import cli

SMALL = (
    "encoder=per_frame",
    "encoder@encoder.encoder=resnet18",
    "encoder.encoder.weights=none",
    "decoder=temporal",
    "decoder.width=8",
    "decoder.groups=2",
    "prior=none",
    "loader.size=[32,48]",
    "loader.workers=0",
    "loader.batch_size=2",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "trainer.max_epochs=1",
)


def test_clips_of_a_set_on_disk_are_trained_on_and_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ucf_sports.write(tmp_path / "UCF-Sports")
    out = tmp_path / "run"
    clips = ("decoder.num_windows=4", "decoder.position=all", "loader.clips.frames=4", "loader.clips.position=all")
    settings = ("data=ucf_sports", f"data.root={root}", *SMALL, *clips, f"out={out}")
    assert cli.main(["train", *settings]) == 0, capsys.readouterr().err
    assert (out / "report.html").is_file()
    facts = json.loads((out / "scores.json").read_text())
    assert facts["scores"]["ig@4"]["mean"] is not None
    assert set(facts["baselines"]) >= {"centre_bias", "uniform", "spectral_residual"}
    with (out / "per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    videos = {r["image_id"].split("/")[0] for r in rows}
    assert len(videos) == 1  # the held-out clip of the training part, in pieces of four frames
    frames = len(ucf_sports.truth()[next(iter(videos))])
    assert len({r["image_id"] for r in rows}) == -(-frames // 4)
