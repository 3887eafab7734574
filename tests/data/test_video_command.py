"""``saliency data`` on sets of videos."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from fixtures import avimos, dhf1k, ucf_sports

from saliency_pred import cli
from saliency_pred.data.catalogue import CATALOGUE
from saliency_pred.data.clips import SomeFrames
from saliency_pred.data.ucf_sports import UCFSports

pytest.importorskip("av", reason="video files are read by PyAV")


def run(*arguments: str) -> int:
    return cli.main(["data", *arguments])


def test_verify_looks_at_every_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    root = ucf_sports.write(tmp_path / "UCF-Sports")
    count = sum(len(here) for made in ucf_sports.truth().values() for here in made)
    facts = dataclasses.replace(CATALOGUE["ucf_sports"], parts={"train": 3, "test": 1}, fixations=count)
    monkeypatch.setitem(CATALOGUE, "ucf_sports", facts)
    assert run("verify", "ucf_sports", str(root), "data.maps=true") == 0
    shown = capsys.readouterr()
    assert "complete" in shown.out
    assert f"{count:,}" in shown.out
    path = root / "training" / "Run-Side-003" / "images" / "Run-Side_003_005.png"
    path.write_bytes(path.read_bytes()[:60])
    assert run("verify", "ucf_sports", str(root)) == 2
    assert "Run-Side_003_005.png is" in capsys.readouterr().err


def test_verify_names_a_cut_off_video_and_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = avimos.write(tmp_path / "AViMoS")
    path = root / "Videos" / "0002.mp4"
    path.write_bytes(path.read_bytes()[:-300])
    assert run("verify", "avimos", str(root)) == 2
    errors = capsys.readouterr().err
    assert "0002.mp4 is truncated" in errors
    assert "part train: 2 of 1,000 images" in errors


def test_info_measures_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = dhf1k.write_gaze(dhf1k.write(tmp_path / "DHF1K"))
    assert run("info", "dhf1k", str(root), "data.gaze=raw", "images=6") == 0
    shown = capsys.readouterr().out
    assert "videos" in shown
    assert "of their frames as images" in shown
    assert "viewers per image" in shown


def test_show_draws_frames(tmp_path: Path) -> None:
    root = ucf_sports.write(tmp_path / "UCF-Sports")
    assert run("show", "ucf_sports", str(root), f"out={tmp_path / 'sheet.png'}", "count=4") == 0
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert sheet.std() > 5


@pytest.mark.parametrize("sub", ["convert", "cache"])
def test_what_is_for_images_says_so(sub: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ucf_sports.write(tmp_path / "UCF-Sports")
    options = ["to=folder"] if sub == "convert" else ["size=[32,32]"]
    assert run(sub, "ucf_sports", str(root), f"out={tmp_path / 'out'}", *options) == 2
    assert "takes sets of images" in capsys.readouterr().err


def test_some_frames_are_spread_over_all_videos(tmp_path: Path) -> None:
    videos = UCFSports(ucf_sports.write(tmp_path / "UCF-Sports"))
    some = SomeFrames(videos, 12)
    assert [video for video, _ in some.items] == [v for v in range(4) for _ in range(3)]
    assert [frame for video, frame in some.items if videos.image_ids[video] == "Diving-Side-001"] == [1, 4, 7]
    assert some.image(1).shape == (48, 64, 3)
    pack = some.fixations(1)
    assert pack is not None
    assert len(pack) == len(ucf_sports.truth()["Diving-Side-001"][4])
    assert len(SomeFrames(videos, 1)) == 4
