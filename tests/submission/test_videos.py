"""Archives for the boards of videos: what is in them, and what is refused."""

from __future__ import annotations

import io
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from saliency_pred.data.clips import ClipSampler
from saliency_pred.data.synthetic import Synthetic
from saliency_pred.data.video import nearest_frames, open_video
from saliency_pred.data.videos import OpenedVideos
from saliency_pred.submission.aim2024 import Aim2024
from saliency_pred.submission.check import Check
from saliency_pred.submission.dhf1k import Dhf1k
from saliency_pred.submission.map_videos import constant_rate, encode
from saliency_pred.submission.ntire2026 import Ntire2026
from saliency_pred.submission.videos import VideoBoard, WantedVideo, compare_videos, streamed, stretched

av = pytest.importorskip("av", reason="videos need PyAV: pip install 'saliency-pred[video]'")

WANTED = [
    WantedVideo(0, "0701", (72, 128), np.arange(12) / 30),
    WantedVideo(1, "0702", (72, 128), np.arange(9) / 25),
]
BOARDS: dict[str, VideoBoard] = {"aim2024": Aim2024(), "ntire2026": Ntire2026(), "dhf1k": Dhf1k()}


def moving(video: WantedVideo) -> Iterator[Tensor]:
    """The log density of a Gaussian that moves by 4 % of the width a frame."""
    height, width = video.size
    for number in range(video.frames):
        y = torch.arange(height)[:, None] / height - 0.5 - 0.1 * video.index
        x = torch.arange(width)[None, :] / width - 0.2 - 0.04 * number
        yield -(y**2 + x**2) / (2 * 0.08**2)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Board name → a sound archive."""
    made = {}
    for name, board in BOARDS.items():
        made[name] = tmp_path_factory.mktemp(name) / "mine.zip"
        board.build(WANTED, moving, made[name], {"test": name})
    return made


@pytest.mark.parametrize("name", BOARDS)
def test_what_is_built_is_taken(name: str, archives: dict[str, Path]) -> None:
    check = BOARDS[name].check(archives[name], WANTED)
    assert check.told() == []
    assert check.entries == 21, "every frame was looked at"
    loss = compare_videos(BOARDS[name], check, WANTED, moving)
    assert check.sound
    assert loss.images == 21
    assert 0.999 < loss.cc <= 1, "storing costs less than a thousandth of CC"
    assert 0.98 < loss.sim <= 1


def test_names_are_the_boards(archives: dict[str, Path]) -> None:
    for name, names in (
        ("aim2024", ["0701.mp4", "0702.mp4"]),
        ("dhf1k", [f"mine/{v.name}/{n + 1:04d}.png" for v in WANTED for n in range(v.frames)]),
    ):
        with zipfile.ZipFile(archives[name]) as archive:
            assert archive.namelist() == names


def test_videos_have_ten_bits_and_the_constant_rate_of_their_source(archives: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(archives["aim2024"]) as archive:
        archive.extractall(tmp_path)
    for video, rate in zip(WANTED, (30, 25), strict=True):
        with av.open(str(tmp_path / f"{video.name}.mp4")) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.pix_fmt == "yuv420p10le"
            assert stream.average_rate == rate
            levels = {int(v) for f in container.decode(stream) for v in np.unique(f.to_ndarray(format="gray10le"))}
        assert len(levels) > 400, "more than 8 bits hold"
        np.testing.assert_allclose(open_video(tmp_path / f"{video.name}.mp4").times, video.times, atol=1e-4)


@pytest.mark.parametrize(
    ("fps", "ratio"), [(30, Fraction(30)), (25, Fraction(25)), (24000 / 1001, Fraction(24000, 1001))]
)
def test_rates_of_the_field_are_recognised(fps: float, ratio: Fraction) -> None:
    assert constant_rate(np.arange(300) / fps) == ratio
    assert constant_rate(np.zeros(1)) == 30


def test_a_stopped_build_goes_on_with_the_video_that_it_was_at(tmp_path: Path) -> None:
    out, asked = tmp_path / "mine.zip", []

    def stops(video: WantedVideo) -> Iterator[Tensor]:
        asked.append(video.name)
        for number, map_ in enumerate(moving(video)):
            if video.index == 1 and number == 4 and len(asked) == 2:
                raise KeyboardInterrupt
            yield map_

    for name in ("aim2024", "dhf1k"):
        board = BOARDS[name]
        with pytest.raises(KeyboardInterrupt):
            board.build(WANTED, stops, out, {"board": name})
        board.build(WANTED, stops, out, {"board": name})
        assert asked == ["0701", "0702", "0702"]
        assert board.check(out, WANTED).told() == []
        asked.clear()
        out.unlink()


def test_predictions_that_do_not_fit_the_video_are_refused(tmp_path: Path) -> None:
    for change, words in (
        (lambda v: list(moving(v))[:-1], "0701: 11 predictions for 12 frames"),
        (lambda v: [*moving(v), *moving(v)], "0701: more than 12 predictions for 12 frames"),
        (lambda v: [m.fill_(torch.nan) for m in moving(v)], "0701, frame 1: 9216 pixels .* are NaN"),
    ):
        for board in (BOARDS["aim2024"], BOARDS["dhf1k"]):
            with pytest.raises(ValueError, match=words):
                board.build(WANTED, lambda v, change=change: iter(change(v)), tmp_path / "mine.zip", {})


def test_maps_are_stretched_frame_by_frame() -> None:
    for map_ in stretched(WANTED[0], moving(WANTED[0])):
        assert (map_.min(), map_.max()) == (0, 1)


# ---------------------------------------------------------------------------------------------- damage

Contents = dict[str, bytes]


def _png(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(array).save(content, "PNG")
    return content.getvalue()


def _video(maps: list[np.ndarray], tmp_path: Path, rate: int = 30) -> bytes:
    path = tmp_path / "made.mp4"
    encode(path, iter(maps), Fraction(rate), 16)
    return path.read_bytes()


def _maps(video: WantedVideo) -> list[np.ndarray]:
    return list(stretched(video, moving(video)))


def _variable(tmp_path: Path) -> bytes:
    """The right frames, one of them shown twice as long."""
    path = tmp_path / "made.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = 72, 128, "yuv420p10le"
        stream.codec_context.time_base = Fraction(1, 30)
        for number, map_ in enumerate(_maps(WANTED[0])):
            frame = av.VideoFrame.from_ndarray((65535 * map_).astype(np.uint16), format="gray16le")
            frame = frame.reformat(format="yuv420p10le")
            frame.pts = number + (number > 5)
            frame.time_base = Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def _flat(maps: list[np.ndarray]) -> list[np.ndarray]:
    return [np.zeros_like(m) if n == 3 else m for n, m in enumerate(maps)]


Damage = Callable[[Contents, Path], object]

VIDEO_DAMAGE: dict[str, tuple[Damage, str]] = {
    "missing video": (lambda c, t: c.pop("0702.mp4"), r"image without its map .*with \.mp4, in no folder.*: 0702.mp4"),
    "wrong name": (lambda c, t: c.update({"702.mp4": c.pop("0702.mp4")}), "map of no image of the board: 702.mp4"),
    "wrong container": (lambda c, t: c.update({"0702.avi": c.pop("0702.mp4")}), "map of no image.*0702.avi"),
    "in a folder": (lambda c, t: c.update({"maps/0702.mp4": c.pop("0702.mp4")}), "map of no image.*maps/0702.mp4"),
    "not a video": (lambda c, t: c.update({"0701.mp4": b"no video"}), "cannot be decoded: 0701.mp4"),
    "empty": (lambda c, t: c.update({"0701.mp4": b""}), "cannot be decoded: 0701.mp4"),
    "cut short": (lambda c, t: c.update({"0701.mp4": c["0701.mp4"][:-900]}), "cannot be decoded: 0701.mp4"),
    "a frame less": (
        lambda c, t: c.update({"0701.mp4": _video(_maps(WANTED[0])[:-1], t)}),
        r"another number of frames: 0701.mp4 \(11 for 12\)",
    ),
    "a frame more": (
        lambda c, t: c.update({"0701.mp4": _video([*_maps(WANTED[0]), _maps(WANTED[0])[-1]], t)}),
        r"another number of frames: 0701.mp4 \(13 for 12\)",
    ),
    "variable rate": (lambda c, t: c.update({"0701.mp4": _variable(t)}), "at a variable rate or out of their order"),
    "turned": (
        lambda c, t: c.update({"0701.mp4": _video([m.T for m in _maps(WANTED[0])], t)}),
        r"turned by 90 degrees: 0701.mp4 \(128 x 72 for 72 x 128\)",
    ),
    "a black frame": (
        lambda c, t: c.update({"0701.mp4": _video(_flat(_maps(WANTED[0])), t)}),
        r"the same everywhere: 0701.mp4 \(1 of 12\)",
    ),
    "path upwards": (lambda c, t: c.update({"../0703.mp4": b""}), "leads out of the folder"),
}


def _damaged(name: str, archives: dict[str, Path], change: Damage, tmp_path: Path) -> Path:
    path = tmp_path / "mine.zip"
    with zipfile.ZipFile(archives[name]) as archive:
        contents = {entry: archive.read(entry) for entry in archive.namelist()}
    change(contents, tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in contents.items():
            archive.writestr(entry, content)
    return path


def _refused(check: Check, words: str) -> None:
    told = "\n".join(check.told())
    assert not check.sound
    assert re.search(words, told), told


@pytest.mark.parametrize("damage", VIDEO_DAMAGE)
def test_damaged_videos_are_refused(damage: str, archives: dict[str, Path], tmp_path: Path) -> None:
    change, words = VIDEO_DAMAGE[damage]
    path = _damaged("ntire2026", archives, change, tmp_path)
    _refused(BOARDS["ntire2026"].check(path, WANTED), words)


FRAME = "mine/0701/0003.png"


def _levels(contents: Contents, name: str = FRAME) -> np.ndarray:
    with Image.open(io.BytesIO(contents[name])) as picture:
        return np.asarray(picture)


def _from_zero(contents: Contents, tmp_path: Path) -> None:
    for name in sorted(contents):
        number = int(name[-8:-4])
        contents[f"{name[:-8]}{number - 1:04d}.png"] = contents.pop(name)


FRAME_DAMAGE: dict[str, tuple[Damage, str]] = {
    "missing frame": (lambda c, t: c.pop(FRAME), f"1 x image without its map .*: {FRAME}"),
    "surplus frame": (lambda c, t: c.update({"mine/0701/0013.png": c[FRAME]}), "map of no image.*mine/0701/0013.png"),
    "numbered from 0": (_from_zero, "map of no image of the board: mine/0701/0000.png, mine/0702/0000.png"),
    "three digits": (lambda c, t: c.update({"mine/0701/003.png": c.pop(FRAME)}), "map of no image.*mine/0701/003.png"),
    "no method": (lambda c, t: c.update({FRAME[5:]: c.pop(FRAME)}), "map of no image of the board: 0701/0003.png"),
    "wrong size": (
        lambda c, t: c.update({FRAME: _png(_levels(c)[::2, ::2])}),
        r"another size than its frame: mine/0701/0003.png \(36 x 64 for 72 x 128\)",
    ),
    "in colour": (lambda c, t: c.update({FRAME: _png(np.dstack([_levels(c)] * 3))}), "no 8-bit grey PNG.*RGB"),
    "cut short": (lambda c, t: c.update({FRAME: c[FRAME][:-200]}), "cannot be read as a picture"),
    "black": (lambda c, t: c.update({FRAME: _png(np.zeros((72, 128), np.uint8))}), "same everywhere"),
}


@pytest.mark.parametrize("damage", FRAME_DAMAGE)
def test_damaged_frames_are_refused(damage: str, archives: dict[str, Path], tmp_path: Path) -> None:
    change, words = FRAME_DAMAGE[damage]
    path = _damaged("dhf1k", archives, change, tmp_path)
    _refused(BOARDS["dhf1k"].check(path, WANTED), words)


def _swap(contents: Contents, tmp_path: Path) -> None:
    first, second = FRAME, "mine/0701/0009.png"
    contents[first], contents[second] = contents[second], contents[first]


def _swap_in_video(contents: Contents, tmp_path: Path) -> None:
    maps = _maps(WANTED[0])
    maps[2], maps[8] = maps[8], maps[2]
    contents["0701.mp4"] = _video(maps, tmp_path)


def _swap_videos(contents: Contents, tmp_path: Path) -> None:
    maps = [_maps(WANTED[1])[0]] * 12
    contents["0701.mp4"] = _video(maps, tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("dhf1k", _swap, r"frames were exchanged: 0701 frame 3 \(it fits frame 9\), 0701 frame 9 \(it fits frame 3\)"),
        ("aim2024", _swap_in_video, r"frames were exchanged: 0701 frame 3 \(it fits frame 9\)"),
        ("aim2024", _swap_videos, "is not what the checkpoint predicts: 0701 frame 1, "),
    ],
)
def test_exchanged_frames_are_refused(
    name: str, change: Damage, words: str, archives: dict[str, Path], tmp_path: Path
) -> None:
    path = _damaged(name, archives, change, tmp_path)
    check = BOARDS[name].check(path, WANTED)
    assert check.sound, "names, numbers and contents fit: only the checkpoint can tell"
    compare_videos(BOARDS[name], check, WANTED, moving)
    _refused(check, words)


def test_eight_bits_are_taken_with_a_warning(archives: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "made.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = 72, 128, "yuv420p"
        for map_ in _maps(WANTED[0]):
            levels = (255 * map_).round().astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(levels, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())
    damaged = _damaged("aim2024", archives, lambda c, t: c.update({"0701.mp4": path.read_bytes()}), tmp_path)
    check = BOARDS["aim2024"].check(damaged, WANTED)
    assert check.sound
    assert "has 8 bits" in check.told()[0]


def test_an_archive_that_is_cut_off_is_refused(archives: dict[str, Path], tmp_path: Path) -> None:
    path = Path(shutil.copy(archives["dhf1k"], tmp_path))
    os.truncate(path, path.stat().st_size // 2)
    _refused(BOARDS["dhf1k"].check(path, WANTED), "is no zip archive that can be read")


def test_frames_that_share_a_step_of_the_network_share_its_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of 15 frames a second sees every other frame of a video of 30."""
    picked = np.arange(0, 12, 2)

    class Stream:
        def __init__(self, predictor: object, video: object, clips: ClipSampler, batch_size: int) -> None:
            assert clips == ClipSampler(), "of a checkpoint without clips: single frames"
            self.step_of = nearest_frames(WANTED[0].times[picked], WANTED[0].times)

        def run(self) -> Iterator[tuple[Tensor, None]]:
            return ((torch.full((2, 2), float(number)), None) for number in picked)

    class Videos(OpenedVideos):
        def __init__(self) -> None: ...

        def video(self, index: int) -> None: ...

        def frame_fixations(self, index: int, which: object) -> None: ...

    monkeypatch.setattr("saliency_pred.submission.videos.VideoStream", Stream)
    predictor = SimpleNamespace(checkpoint=None, batch_size=4)
    maps = list(streamed(predictor, Videos())(WANTED[0]))  # type: ignore[arg-type]
    assert [int(m[0, 0]) for m in maps] == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10], "of two equally near the earlier"
    with pytest.raises(ValueError, match="synthetic has no video files"):
        streamed(predictor, Synthetic(count=4))  # type: ignore[arg-type]
