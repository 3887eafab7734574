"""Reading videos: every frame that is asked for is the one that decoding from the start gives."""

from __future__ import annotations

import pickle
import resource
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fixtures import videos

from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError
from saliency_pred.data.video import (
    FrameFolder,
    VideoFile,
    VideoIndex,
    cut_off,
    frame_windows,
    nearest_frames,
    open_video,
    resample,
)

av = pytest.importorskip("av", reason="video files are read by PyAV")

STEPS = np.cumsum(np.random.default_rng(0).integers(1, 9, 50)) * 10 + 700
VARIABLE: dict[str, Any] = {"count": 50, "pts": STEPS.tolist(), "time_base": Fraction(1, 1000)}
"""Frames 10 to 80 ms apart, the first at 0.7 s or later."""

KINDS: dict[str, dict[str, Any]] = {
    "b_frames.mp4": {"options": {"g": "12", "bf": "3"}},
    "variable.mp4": VARIABLE | {"options": {"g": "15", "bf": "2"}},
    "variable.mkv": VARIABLE | {"options": {"g": "15", "bf": "2"}},
    "odd.mp4": {"size": (49, 113), "pix_fmt": "yuv444p"},
    "ten_bit.mp4": {"pix_fmt": "yuv420p10le", "options": {"g": "12"}},
    "open_gop.ts": {"options": {"x264-params": "keyint=12:bframes=3:open-gop=1:b-adapt=0"}},
    "open_gop.mkv": {"options": {"x264-params": "keyint=12:bframes=3:open-gop=1:b-adapt=0"}},
    "hevc.mp4": {
        "codec": "libx265",
        "options": {"x265-params": "keyint=12:bframes=3:open-gop=1:log-level=none:pools=none"},
    },
    "rolling_refresh.mkv": {"options": {"x264-params": "keyint=20:intra-refresh=1:bframes=0"}},
    "fragments.mp4": {"options": {"g": "12"}, "muxer": {"movflags": "frag_keyframe+empty_moov"}},
    "hidden_frames.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "20"}},
    "no_stamps.avi": {"options": {"g": "12", "bf": "2"}},  # AVI has no time stamps for frames that are reordered
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "12"}},
    "program.mpg": {"codec": "mpeg2video", "options": {"g": "12", "bf": "2"}},
    "lossless.mkv": {"codec": "ffv1", "size": (49, 113)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_access_gives_the_frame_of_a_full_decode(kind: str, tmp_path: Path) -> None:
    path = videos.write(tmp_path / kind, **KINDS[kind])
    truth = videos.independently(path)
    assert [videos.number_of(f) for f in truth] == list(range(len(truth)))  # the bars can be read
    video = open_video(path)
    assert len(video) == len(truth)
    assert video.size == truth[0].shape[:2]
    in_order = list(video.frames())
    assert all(np.array_equal(a, b) for a, b in zip(in_order, truth, strict=True))
    rng = np.random.default_rng(1)
    for _ in range(8):
        wanted = rng.integers(0, len(truth), 5)  # out of order, some twice
        assert [videos.number_of(f) for f in video.frames_at(wanted)] == wanted.tolist()
        assert np.array_equal(video.frames_at(wanted), np.stack([truth[i] for i in wanted]))
    for start in (0, 1, 13, len(truth) - 1):
        part = list(video.frames(start, start + 3 if start + 3 < len(truth) else None))
        assert [videos.number_of(f) for f in part] == list(range(start, min(start + 3, len(truth))))


@pytest.mark.parametrize("kind", ["variable.mp4", "variable.mkv"])
def test_times_are_those_of_the_file(kind: str, tmp_path: Path) -> None:
    video = open_video(videos.write(tmp_path / kind, **KINDS[kind]))
    assert np.allclose(video.times, (STEPS - STEPS[0]) / 1000, atol=1e-9)
    assert isinstance(video, VideoFile)
    assert float(video.index.pts[0] * video.index.time_base) >= 0.7  # the file does not begin at 0
    assert video.fps == pytest.approx(49 / ((STEPS[-1] - STEPS[0]) / 1000))
    assert np.array_equal(video.windows[:-1, 1], video.times[1:])
    assert video.windows[-1, 1] - video.windows[-1, 0] == pytest.approx(video.times[-1] - video.times[-2])


def test_frames_before_the_edit_of_an_mp4_are_not_shown(tmp_path: Path) -> None:
    whole = videos.write(tmp_path / "whole.mp4", 40, options={"g": "12", "bf": "2", "sc_threshold": "0"})
    with av.open(str(whole)) as source, av.open(str(tmp_path / "edit.mp4"), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        packets = [p for p in source.demux(stream) if p.size]
        second = [k for k, p in enumerate(packets) if p.is_keyframe][1]
        begin = packets[second].pts + 5 * int(1 / (30 * stream.time_base))  # five frames after a key frame
        for packet in packets[second:]:
            packet.pts, packet.dts, packet.stream = packet.pts - begin, packet.dts - begin, copy
            target.mux(packet)
    video = open_video(tmp_path / "edit.mp4")
    assert [videos.number_of(f) for f in video.frames()] == list(range(17, 40))
    assert [videos.number_of(f) for f in video.frames_at([20, 0, 3])] == [37, 17, 20]
    assert np.allclose(video.times, np.arange(23) / 30)


def test_seeking_decodes_a_part_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = open_video(videos.write(tmp_path / "a.mp4", 60, options={"g": "10", "bf": "2"}))
    assert isinstance(video, VideoFile)
    decoded = []
    frames_from = VideoFile._frames_from

    def counting(self: VideoFile, key: Any) -> Any:
        for frame in frames_from(self, key):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(VideoFile, "_frames_from", counting)
    got = video.frames_at([55, 3])
    assert [videos.number_of(f) for f in got] == [55, 3]
    assert len(decoded) <= 24  # two groups of ten frames, and what comes out of the decoder before the wanted one


@pytest.mark.skipif(
    not hasattr(av.video.stream.VideoStream, "set_display_rotation"),
    reason="this PyAV cannot write the turn of a camera",
)
@pytest.mark.parametrize("turn", [90, 180, -90])
def test_a_turned_camera_is_turned_upright(turn: int, tmp_path: Path) -> None:
    upright = videos.bars(5, (112, 48)) if turn != 180 else videos.bars(5, (48, 112))
    stored = np.ascontiguousarray(np.rot90(upright, -turn // 90))
    path = tmp_path / "a.mp4"
    videos.write(path, frames=[stored] * 3, size=stored.shape[:2], rotation=turn, options={"crf": "5"})
    video = open_video(path)
    assert video.size == upright.shape[:2]
    # 4:2:0 chroma blurs the edges of the red corner, so a mean in place of the largest difference
    assert np.abs(video.frames_at([1])[0].astype(int) - upright).mean() < 6
    assert open_video(path, pixels="grey").frames_at([1])[0].shape == upright.shape[:2]


def test_colours_follow_the_matrix_that_the_file_states(tmp_path: Path) -> None:
    colour = np.full((48, 112, 3), (180, 60, 40), np.uint8)
    for matrix, (kr, kb) in {1: (0.2126, 0.0722), 5: (0.299, 0.114)}.items():  # BT.709, BT.601
        y = kr * 180 + (1 - kr - kb) * 60 + kb * 40
        limited = 16 + 219 / 255 * y
        path = tmp_path / f"{matrix}.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=30)
            stream.height, stream.width, stream.pix_fmt = 48, 112, "yuv444p"
            stream.codec_context.colorspace = matrix
            stream.codec_context.color_range = 1
            frame = av.VideoFrame(112, 48, "yuv444p")
            chroma = (128 + 224 / 255 * (40 - y) / (2 * (1 - kb)), 128 + 224 / 255 * (180 - y) / (2 * (1 - kr)))
            for plane, value in zip(frame.planes, (limited, *chroma), strict=True):
                plane.update(bytes([round(value)]) * (plane.line_size * 48))
            frame.colorspace, frame.color_range, frame.pts = matrix, 1, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        got = open_video(path).frames_at([0])[0]
        assert np.abs(got.astype(int) - colour).max() <= 2  # rounding to 8 bit
        grey = open_video(path, pixels="grey").frames_at([0])[0]
        assert grey.dtype == np.float32
        assert np.allclose(grey, y / 255, atol=1 / 219)


def test_grey_keeps_ten_bits(tmp_path: Path) -> None:
    levels = np.linspace(64, 940, 112).round().astype(np.uint16)  # the limited range of 10 bit
    path = tmp_path / "ten.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.height, stream.width, stream.pix_fmt = 48, 112, "yuv420p10le"
        frame = av.VideoFrame(112, 48, "yuv420p10le")
        luma = np.zeros((48, frame.planes[0].line_size // 2), "<u2")
        luma[:, :112] = levels
        frame.planes[0].update(luma.tobytes())
        for plane in frame.planes[1:]:
            plane.update(np.full(plane.buffer_size // 2, 512, "<u2").tobytes())
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    grey = open_video(path, pixels="grey").frames_at([0])[0]
    assert np.allclose(grey, ((levels - 64.0) / 876)[None], atol=1e-6)
    assert len(np.unique(grey)) == 112


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path) -> None:
    path = videos.write(tmp_path / "long.mp4", 160, size=(360, 640), options={"preset": "ultrafast", "g": "250"})
    next(open_video(path).frames())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert [videos.number_of(frame) for frame in open_video(path).frames()] == list(range(160))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 60  # MiB; all frames together are 105


def test_a_video_can_be_pickled_and_read_twice_at_once(tmp_path: Path) -> None:
    video = open_video(videos.write(tmp_path / "a.mp4", 20, options={"g": "5"}))
    copy = pickle.loads(pickle.dumps(video))
    one, two = video.frames(), copy.frames(7)
    assert [videos.number_of(next(v)) for v in (one, two, one, two)] == [0, 7, 1, 8]
    assert videos.number_of(video.frames_at([15])[0]) == 15
    assert videos.number_of(next(one)) == 2
    assert isinstance(video, VideoFile)
    again = open_video(video.path, index=VideoIndex.from_arrays(video.index.arrays()))
    assert np.array_equal(again.times, video.times)
    assert videos.number_of(again.frames_at([15])[0]) == 15


@pytest.mark.parametrize("kind", ["a.mp4", "a.mkv", "a.avi"])
def test_a_file_that_is_cut_off_is_refused_or_read_as_far_as_it_goes(kind: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"codec": "mpeg4"} if kind.endswith("avi") else {"muxer": {"movflags": "faststart"}}
    options["options"] = {"g": "10"}
    path = videos.write(tmp_path / kind, 60, **options)
    whole = videos.independently(path)
    assert not cut_off(path)
    assert len(open_video(path)) == 60
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(BrokenFileError, match=r"a\.\w+ is truncated.*damaged=keep"):
        open_video(path)
    rest = open_video(path, damaged="keep")
    assert 3 <= len(rest) < 60
    read = list(rest.frames())
    assert len(read) == len(rest)
    # The last frame may be there in part only.
    assert all(np.array_equal(a, b) for a, b in zip(read[:-2], whole, strict=False))
    assert np.array_equal(rest.frames_at([1])[0], whole[1])


def test_damage_within_a_file_is_told(tmp_path: Path) -> None:
    path = videos.write(tmp_path / "a.mov", 40, codec="png", pix_fmt="rgb24")
    content = bytearray(path.read_bytes())
    starts = [i for i in range(len(content) - 3) if content[i : i + 4] == b"\x89PNG"]
    content[starts[20] + 60 : starts[21] - 60] = bytes(starts[21] - starts[20] - 120)
    path.write_bytes(bytes(content))
    with pytest.raises(BrokenFileError, match=r"a\.mov.*damaged.*damaged=keep"):
        list(open_video(path).frames())
    assert videos.number_of(open_video(path).frames_at([30])[0]) == 30  # what is whole can still be had
    kept = [videos.number_of(f) for f in open_video(path, damaged="keep").frames()]
    assert kept[:20] == list(range(20))
    assert kept[-19:] == list(range(21, 40))


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), (b"", r"empty \(0 bytes\)"), (b"not a video" * 100, "truncated or no video")],
)
def test_what_is_no_video_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BrokenFileError, match=rf"a\.mp4.*{message}"):
        open_video(path)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate, frame.pts = 16000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(BrokenFileError, match="no moving pictures"):
        open_video(path)


def test_frames_that_are_not_there_are_refused(tmp_path: Path) -> None:
    video = open_video(videos.write(tmp_path / "a.mp4", 5))
    for wanted in ([5], [-1], []):
        with pytest.raises(IndexError, match=r"a\.mp4"):
            video.frames_at(wanted)
    with pytest.raises(IndexError, match="0 to 4"):
        video.frames(3, 7)
    with pytest.raises(ValueError, match="pixels='bgr' is none of"):
        open_video(video.path, pixels="bgr")  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- folders


def frame_files(folder: Path, names: list[str], size: tuple[int, int] = (48, 112)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names):
        cv2.imwrite(str(folder / name), videos.bars(k, size)[..., ::-1])
    return folder


@pytest.mark.parametrize(
    "names",
    [
        [f"{k:04d}.png" for k in range(1, 13)],
        [f"{k}.png" for k in range(12)],  # 10 comes after 9, not after 1
        [f"img_{k:05d}.jpg" for k in range(1, 13)],
        [f"Diving_Side_001_{k:03d}.{'jpg' if k in (3, 8) else 'png'}" for k in range(1, 13)],
        [f"frame{k}_v2.png" for k in range(100, 160, 5)],  # every fifth frame
    ],
)
def test_frames_of_a_folder_are_ordered_by_number(names: list[str], tmp_path: Path) -> None:
    video = open_video(frame_files(tmp_path / "clip", names), fps=25)
    (tmp_path / "clip" / "Thumbs.db").write_bytes(b"x")
    assert isinstance(video, FrameFolder)
    assert len(video) == 12
    assert video.size == (48, 112)
    assert [videos.number_of(f) for f in video.frames()] == list(range(12))
    assert [videos.number_of(f) for f in video.frames_at([11, 2, 2])] == [11, 2, 2]
    assert np.allclose(video.times, np.arange(12) / 25)


def test_a_folder_needs_a_rate_and_all_its_frames(tmp_path: Path) -> None:
    folder = frame_files(tmp_path / "clip", [f"{k:03d}.png" for k in (1, 2, 3, 4, 7)])
    with pytest.raises(ValueError, match="fps=30"):
        open_video(folder)
    with pytest.raises(BrokenFileError, match=r"004\.png is followed by 007\.png.*2 frames are missing.*damaged=keep"):
        open_video(folder, fps=10)
    assert np.allclose(open_video(folder, fps=10, damaged="keep").times, [0, 0.1, 0.2, 0.3, 0.6])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no pictures"),
        (["cover.png", "001.png"], "no number|differ in their numbers only"),
        (["a_1.png", "b_1.png"], "differ in their numbers only"),
        (["a1_1.png", "a2_2.png", "a2_3.png"], "more than one number"),
        (["1.png", "01.png"], "same number"),
    ],
)
def test_folders_of_something_else_are_refused(names: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetLayoutError, match=message):
        open_video(frame_files(tmp_path / "clip", names), fps=30)


def test_frames_of_another_size_are_named(tmp_path: Path) -> None:
    folder = frame_files(tmp_path / "clip", ["1.png", "2.png"])
    frame_files(folder, ["3.png"], (40, 100))
    with pytest.raises(BrokenFileError, match=r"3\.png is 40 x 100"):
        list(open_video(folder, fps=30).frames())


def test_grey_frames_of_a_folder_are_in_zero_to_one(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 48 * 112).reshape(48, 112)
    cv2.imwrite(str(tmp_path / "1.png"), levels.round().astype(np.uint16))
    cv2.imwrite(str(tmp_path / "2.png"), (levels / 257).round().astype(np.uint8))
    one, two = open_video(tmp_path, fps=1, pixels="grey").frames_at([0, 1])
    assert np.allclose(one, levels / 65535, atol=1e-5)
    assert np.allclose(two, levels / 65535, atol=1 / 500)


# ---------------------------------------------------------------------------------------------- times


def test_resampling_goes_by_time() -> None:
    thirty = np.arange(60) / 30
    assert resample(thirty, 30).tolist() == list(range(60))
    assert resample(thirty, 10).tolist() == list(range(0, 60, 3))
    assert resample(thirty, 6).tolist() == list(range(0, 60, 5))
    # From 24 frames a second to 30: every fourth frame is shown twice; two seconds stay two seconds.
    up = resample(np.arange(48) / 24, 30)
    assert len(up) == 60
    assert up[0] == 0
    assert up[-1] == 47
    assert np.bincount(up).max() == 2
    assert np.abs(np.arange(60) / 30 - up / 24).max() <= 0.5 / 24 + 1e-6
    # Millisecond time stamps do not lose the last frame, nor make one more.
    rounded = np.round(np.arange(100) / 29.97, 3)
    assert resample(rounded, 29.97).tolist() == list(range(100))
    # Half of the frames come late: the network's steps stay even in time.
    late = np.concatenate([np.arange(30) / 30, 1 + np.arange(10) / 5])
    steps = resample(late, 5)
    assert steps.tolist() == [0, 6, 12, 18, 24, *range(30, 40)]
    assert resample(np.zeros(1), 30).tolist() == [0]


def test_every_frame_finds_its_step_back() -> None:
    times = STEPS / 1000 - STEPS[0] / 1000
    steps = resample(times, 12)
    back = nearest_frames(times[steps], times)
    distance = np.abs(times[steps][None] - times[:, None])
    assert np.allclose(distance[np.arange(len(times)), back], distance.min(1))


def test_windows_of_frames_meet() -> None:
    windows = frame_windows(np.array([0.0, 0.1, 0.4]))
    assert windows.tolist() == [[0.0, 0.1], [0.1, 0.4], [0.4, pytest.approx(0.7)]]
    assert frame_windows(np.zeros(1)).tolist() == [[0.0, 1.0]]


def test_a_real_avi_is_read_frame_by_frame(shared_data: Path) -> None:
    path = shared_data / "DHF1K" / "video" / "002.AVI"
    video = open_video(path)
    assert len(video) == 783
    assert video.size == (360, 640)
    assert video.fps == pytest.approx(30)
    wanted = [700, 3, 401]
    truth = {}
    with av.open(str(path)) as container:
        for k, frame in enumerate(container.decode(video=0)):
            if k in wanted:
                truth[k] = frame.to_ndarray(format="rgb24")
    assert np.array_equal(video.frames_at(wanted), np.stack([truth[k] for k in wanted]))
