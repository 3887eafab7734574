"""Videos in a stream equal the same networks on clips cut by hand; stopped and gone on with, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from fixtures import videos
from fixtures.predictor import checkpoint
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor, nn

from saliency_pred.cli import main
from saliency_pred.cli.compose import compose
from saliency_pred.data.clips import ClipSampler
from saliency_pred.data.video import Video, open_video
from saliency_pred.inference import video as module
from saliency_pred.inference.predictor import Predictor
from saliency_pred.inference.stream import VideoStream
from saliency_pred.inference.video import predict_video
from saliency_pred.model import SaliencyModel
from saliency_pred.weights.checkpoint import build_model, save_checkpoint

pytest.importorskip("av", reason="video files are read by PyAV")

STEPS = np.cumsum(np.random.default_rng(0).integers(1, 9, 45)) * 10
SIZE = (48, 112)


class Pixels(nn.Module):
    """An encoder that returns the pixels."""

    channels = [3]  # noqa: RUF012
    strides = [1]  # noqa: RUF012
    time_strides = [1]  # noqa: RUF012
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def forward(self, image: Tensor) -> list[Tensor]:
        return [image]


class Weighted(nn.Module):
    """Predicts a sum of the frames of a clip, each with a weight of its own: which frames they are is seen."""

    num_windows = 1

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        clip = features[0].mean(1)
        return 5 * (clip * torch.arange(1.0, clip.shape[1] + 1)[:, None, None]).sum(1, keepdim=True)


class Every(nn.Module):
    """Predicts every frame of a clip from it and from the whole clip."""

    num_windows = 4

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        clip = features[0].mean(1)
        return 5 * clip + clip.mean(1, keepdim=True)


class Fading(nn.Module):
    """Carries a fading mean of the frames that it saw."""

    num_windows = 4

    def stream(
        self, features: list[Tensor], domain: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        logits = []
        for frame in features[0].mean(1).unbind(1):
            state = frame if state is None else 0.7 * state + 0.3 * frame
            logits.append(5 * state)
        assert state is not None
        return torch.stack(logits, 1), state

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        return self.stream(features, domain)[0]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """45 frames with bar codes, 10 to 80 ms apart."""
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    return videos.write(path, size=SIZE, count=len(STEPS), pts=STEPS.tolist(), time_base=Fraction(1, 1000))


def predictor(decoder: nn.Module) -> Predictor:
    return Predictor(SaliencyModel(Pixels(), decoder), SIZE, "stretch", device="cpu")


def streamed(decoder: nn.Module, video: Video, clips: ClipSampler, first: int = 0, state: Any = None) -> Tensor:
    return torch.stack([d for d, _ in VideoStream(predictor(decoder), video, clips, 8).run(first, state)])


def by_hand(decoder: nn.Module, video: Video, clip: Any) -> Tensor:
    """The network on frames picked at random access, without streaming: (T, H, W)."""
    frames = torch.from_numpy(video.frames_at(clip)).permute(3, 0, 1, 2)[None].float() / 255
    return SaliencyModel(Pixels(), decoder).log_density(frames)[0]


@pytest.mark.parametrize(
    "clips",
    [
        ClipSampler(5, "last"),
        ClipSampler(5, "last", start="mirror"),
        ClipSampler(5, "last", start="reverse"),
        ClipSampler(4, "centre", step=3),
        ClipSampler(9, "centre", end="mirror", start="mirror"),
        ClipSampler(5, "last", fps=12),
        ClipSampler(3, "last", fps=90),
    ],
    ids=str,
)
def test_every_step_has_its_own_clip(clip: Path, clips: ClipSampler) -> None:
    video = open_video(clip)
    found = streamed(Weighted(), video, clips)
    assert len(found) == clips.count(video.times)
    expected = [by_hand(Weighted(), video, clips.clip(video.times, k).frames)[0] for k in range(len(found))]
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-4)
    later = streamed(Weighted(), video, clips, 16)  # as after a stop
    torch.testing.assert_close(later, found[16:], rtol=0, atol=0)


def test_clips_for_all_their_frames(clip: Path) -> None:
    video, clips = open_video(clip), ClipSampler(4, "all", step=2)
    found = streamed(Every(), video, clips)
    for number in range(clips.count(video.times)):
        one = clips.clip(video.times, number)
        expected = by_hand(Every(), video, one.frames)
        for frame, density in zip(one.predicted, expected, strict=True):
            if frame >= 0:
                torch.testing.assert_close(found[frame], density, rtol=0, atol=1e-4)


@pytest.mark.parametrize("phases", [1, 3])
def test_a_carried_state_sees_all_frames_of_its_phase(clip: Path, phases: int) -> None:
    video, clips = open_video(clip), ClipSampler(4, "all", step=phases)
    found = streamed(Fading(), video, clips)
    for phase in range(phases):
        mine = np.arange(phase, len(video), phases)
        torch.testing.assert_close(found[mine], by_hand(Fading(), video, mine), rtol=0, atol=1e-4)


def test_each_frame_of_the_file_gets_the_step_nearest_in_time(clip: Path) -> None:
    video = open_video(clip)
    stream = VideoStream(predictor(Weighted()), video, ClipSampler(1, fps=12))
    assert len(stream.step_of) == len(video)
    for frame, step in enumerate(stream.step_of.tolist()):
        assert abs(video.times[frame] - step / 12) <= 0.5 / 12 + 0.08 / 2  # and half the gap to the picked frame


# ---------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("still") / "model.safetensors")


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    settings = ["encoder=per_frame", "encoder.encoder.weights=none", "decoder=temporal", "decoder.position=all"]
    settings += ["decoder.num_windows=4", "loader.clips.position=all", "loader.clips.frames=4", "prior=none"]
    config = compose("train", [*settings, "loader.size=[64,96]", "out=nowhere"])
    path = tmp_path_factory.mktemp("recurrent") / "model.safetensors"
    save_checkpoint(path, build_model(config), OmegaConf.create(OmegaConf.to_container(config)), None)
    return path


def test_what_is_written_is_what_images_give(clip: Path, still: Path, tmp_path: Path) -> None:
    model, video = Predictor.load(still, device="cpu"), open_video(clip)
    record = predict_video(model, video, tmp_path / "a" / "clip", ["maps", "overlay", "npy", "hdf5"])
    assert json.loads((tmp_path / "a" / "clip.json").read_text()) == record
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == sorted(["clip.json", *record["files"].values()])
    densities = np.load(tmp_path / "a" / "clip.npy")
    assert densities.shape == (45, *SIZE)
    for number, frame in enumerate(video.frames()):
        expected = model.predict(frame).log_density[0].numpy()
        np.testing.assert_allclose(densities[number], expected, rtol=0, atol=1e-4)  # batches sum in another order
    with h5py.File(tmp_path / "a" / "clip.h5") as file:
        np.testing.assert_array_equal(file["log_density"][:], densities)
        np.testing.assert_allclose(file["time"][:], video.times)
    maps = open_video(tmp_path / "a" / "clip_maps.mp4", pixels="grey")
    shown = open_video(tmp_path / "a" / "clip_overlay.mp4")
    for written in (maps, shown):
        np.testing.assert_allclose(written.times, video.times, rtol=0, atol=1e-3)
        assert written.size == SIZE
    for read, density in zip(maps.frames(), np.exp(densities), strict=True):
        scaled = (density - density.min()) / (density.max() - density.min())
        assert np.corrcoef(read.ravel(), scaled.ravel())[0, 1] > 0.995
        assert read.min() < 0.02
        assert read.max() > 0.95


@pytest.mark.parametrize("kind", ["still", "recurrent"])
def test_stopped_and_gone_on_with_gives_the_same_bytes(
    kind: str, clip: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PART", 16)
    model, video = Predictor.load(request.getfixturevalue(kind), device="cpu"), open_video(clip)
    kinds = ["maps", "overlay", "npy", "hdf5"]
    whole = predict_video(model, video, tmp_path / "whole" / "clip", kinds)
    frames = 0

    def stop(count: int) -> None:
        nonlocal frames
        frames += count
        if frames == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_video(model, video, tmp_path / "parts" / "clip", kinds, advance=stop)
    assert not (tmp_path / "parts" / "clip.json").exists()
    again = predict_video(model, video, tmp_path / "parts" / "clip", kinds)
    assert again["speed"]["steps"] == 45 - 32  # two parts of 16 were there
    for file in whole["files"].values():
        assert (tmp_path / "parts" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
    done = predict_video(model, video, tmp_path / "parts" / "clip", kinds)
    assert done == again  # nothing is predicted again
    other = predict_video(model, video, tmp_path / "parts" / "clip", ["npy"])
    assert other["speed"]["steps"] == 45  # other settings


def test_the_command(clip: Path, still: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, frame in enumerate(open_video(clip).frames(0, 5)):
        Image.fromarray(frame).save(frames / f"{number:04d}.png")
    out = tmp_path / "out"
    assert main(["predict", str(clip), str(broken), f"ckpt={still}", f"out={out}", "write_video=[maps]"]) == 2
    said = capsys.readouterr()
    assert "45 frames" in said.out
    assert str(out / "clip_maps.mp4") in said.out
    assert "broken.mp4" in said.err
    assert main(["predict", str(frames), "fps=25", f"ckpt={still}", f"out={out}"]) == 0
    assert len(open_video(out / "frames_maps.mp4")) == 5
    assert main(["predict", str(clip), f"ckpt={still}", f"out={out}", "write_video=[film]"]) == 2
    assert "write_video=film is none of maps, overlay, npy, hdf5" in capsys.readouterr().err


@pytest.mark.slow  # some minutes: twice 20 minutes of full HD
@pytest.mark.timeout(1800)
def test_twenty_minutes_of_full_hd_in_bounded_memory_killed_and_resumed(still: Path, tmp_path: Path) -> None:
    """Frames are seconds apart, unevenly; memory does not depend on how many there are, disk and time do."""
    stamps = np.cumsum(np.random.default_rng(0).integers(2000, 4600, 400))
    path = videos.write(
        tmp_path / "long.mp4",
        len(stamps),
        size=(1080, 1920),
        pts=stamps.tolist(),
        time_base=Fraction(1, 1000),
        options={"preset": "ultrafast", "crf": "30"},
    )
    assert open_video(path).times[-1] > 19 * 60
    arguments = ["predict", str(path), f"ckpt={still}", "device=cpu", "batch_size=2", "write_video=[maps]"]

    def start(out: Path) -> subprocess.Popen[bytes]:
        program = "import sys; from saliency_pred.cli import main; sys.exit(main(sys.argv[1:]))"
        return subprocess.Popen([sys.executable, "-c", program, *arguments, f"out={out}"])

    whole = start(tmp_path / "whole")
    _, status, used = os.wait4(whole.pid, 0)
    assert status == 0
    assert used.ru_maxrss < 2 * 2**20  # KiB

    killed = start(tmp_path / "killed")
    mark = tmp_path / "killed" / ".long.parts" / "00000.state"
    while not mark.exists():
        assert killed.poll() is None
        time.sleep(0.2)
    killed.kill()
    killed.wait()
    assert not (tmp_path / "killed" / "long_maps.mp4").exists()
    assert start(tmp_path / "killed").wait() == 0
    assert (tmp_path / "killed" / "long_maps.mp4").read_bytes() == (tmp_path / "whole" / "long_maps.mp4").read_bytes()
    assert json.loads((tmp_path / "killed" / "long.json").read_text())["speed"]["steps"] == 400 - 256
    written = open_video(tmp_path / "whole" / "long_maps.mp4")
    np.testing.assert_allclose(written.times, open_video(path).times, rtol=0, atol=1e-3)
