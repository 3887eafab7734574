"""Every set of videos reads its fixture: the frames, points and maps that were written, each in its frame."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from fixtures import avimos, dhf1k, hollywood2, savam, stavis, ucf_sports, video_folder, videos
from fixtures.frames import SIZE, Points, blurred
from fixtures.once import once

from saliency_pred.data.avimos import AViMoS
from saliency_pred.data.crowdsal import CrowdSAL
from saliency_pred.data.dhf1k import DHF1K
from saliency_pred.data.errors import BrokenFileError, DatasetLayoutError, DatasetNotFoundError
from saliency_pred.data.hollywood2 import Hollywood2
from saliency_pred.data.ntire2026 import NTIRE2026
from saliency_pred.data.savam import SAVAM
from saliency_pred.data.stavis import AVAD, DIEM
from saliency_pred.data.ucf_sports import UCFSports
from saliency_pred.data.video import VideoFile
from saliency_pred.data.video_folder import VideoFolder
from saliency_pred.data.videos import OpenedVideos, VideoDataset
from saliency_pred.density import fixation_density

pytest.importorskip("av", reason="video files are read by PyAV")


class Case(NamedTuple):
    """A fixture, how it is opened, its points by video and frame, and how near its maps are stored."""

    write: Callable[[Path], Path]
    open: Callable[..., VideoDataset]
    truth: Callable[[], dict[str, Points]]
    tolerance: float = 0.002


CASES = {
    "ucf_sports": Case(once(ucf_sports.write), UCFSports, ucf_sports.truth),
    "hollywood2": Case(once(hollywood2.write), Hollywood2, hollywood2.truth),
    "dhf1k": Case(once(dhf1k.write), DHF1K, dhf1k.truth),
    "avad": Case(once(stavis.write), AVAD, lambda: stavis.truth("AVAD"), 0.02),  # maps are JPEG files
    "diem": Case(once(stavis.write), DIEM, lambda: stavis.truth("DIEM"), 0.02),
    "avimos": Case(once(avimos.write), AViMoS, avimos.truth, 0.005),  # limited range: 876 levels
    "ntire2026": Case(once(lambda root: avimos.write(root, endings=True)), NTIRE2026, avimos.truth, 0.005),
    "crowdsal": Case(once(avimos.write_crowdsal), CrowdSAL, avimos.truth, 0.005),
    "savam": Case(once(savam.write), SAVAM, savam.truth),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def place(dataset: VideoDataset, name: str) -> int:
    return dataset.image_ids.index(name)


def by_frame(dataset: VideoDataset, index: int, which: Any) -> list[np.ndarray]:
    """Sorted (m, 2) points of each frame."""
    pack = dataset.frame_fixations(index, which)
    assert pack is not None
    assert pack.num_windows == len(which)
    assert pack.size.tolist() == [list(dataset.size(index))]
    found = [np.stack([pack.x[pack.window == k], pack.y[pack.window == k]], axis=1) for k in range(len(which))]
    return [f[np.lexsort(f.T)] for f in found]


def test_points_of_every_frame_are_those_written(case: Case, tmp_path: Path) -> None:
    dataset = case.open(case.write(tmp_path / "set"), split="all", maps=False)
    truth = case.truth()
    assert set(truth) <= set(dataset.image_ids)
    for name, made in truth.items():
        index = place(dataset, name)
        assert dataset.length(index) == len(made)
        assert dataset.size(index) == SIZE
        for here, expected in zip(by_frame(dataset, index, range(len(made))), made, strict=True):
            assert np.allclose(here, expected[np.lexsort(expected.T)])
        backwards = [len(made) - 1, 0, 0]
        pack = dataset.frame_fixations(index, backwards)
        assert pack is not None
        assert pack.counts.tolist() == [len(made[k]) for k in backwards]
        for here, k in zip(by_frame(dataset, index, backwards), backwards, strict=True):
            assert np.allclose(here, made[k][np.lexsort(made[k].T)])
        everything = dataset.fixations(index)
        assert everything is not None
        assert len(everything) == sum(map(len, made))
        # Sorting all by time gives the same as asking frame by frame.
        sorted_in = everything.assign_windows(torch.from_numpy(dataset.windows(index)))
        assert sorted_in.counts.tolist() == [len(m) for m in made]
        assert dataset.frame_density(index, [0]) is None


def test_frames_are_those_of_the_points(case: Case, tmp_path: Path) -> None:
    dataset = case.open(case.write(tmp_path / "set"), split="all", maps=False)
    for name, made in case.truth().items():
        index = place(dataset, name)
        order = np.random.default_rng(0).permutation(len(made))
        frames = dataset.frames(index, order)
        assert frames.shape == (len(made), *SIZE, 3)
        assert [videos.number_of(f) for f in frames] == order.tolist()


def test_maps_of_every_frame_are_those_written(case: Case, tmp_path: Path) -> None:
    dataset = case.open(case.write(tmp_path / "set"), split="all", maps=True)
    for name, made in case.truth().items():
        index = place(dataset, name)
        found = dataset.frame_density(index, range(len(made)))
        assert found is not None
        for density, here in zip(found.numpy(), made, strict=True):
            written = blurred(here).astype(float)
            if len(here) == 0:
                assert not density.any()
                continue
            assert density.sum() == pytest.approx(1, abs=1e-4)
            assert np.abs(density / density.max() - written / 255).max() < max(case.tolerance, 1e-6) * 3
            assert np.corrcoef(density.ravel(), written.ravel())[0, 1] > 0.999


def test_sets_can_be_sent_to_workers(case: Case, tmp_path: Path) -> None:
    dataset = case.open(case.write(tmp_path / "set"), split="all")
    dataset.length(0)
    fresh = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(fresh.frames(0, [1]), dataset.frames(0, [1]))
    assert not any(key.startswith("_known") for key in pickle.loads(pickle.dumps(dataset)).__dict__)


def test_time_stamps_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = avimos.write(tmp_path / "set")
    expected = AViMoS(root).times(0)
    monkeypatch.setattr(VideoFile, "_scan", lambda self: pytest.fail("the file was scanned again"))
    assert np.array_equal(AViMoS(root).times(0), expected)
    monkeypatch.undo()
    videos.write(root / "Videos" / "0001.mp4", 4, size=SIZE)  # another file of the same name
    assert AViMoS(root).length(0) == 4


def test_a_missing_folder_is_named(case: Case, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetNotFoundError, match=r"empty"):
        case.open(tmp_path / "empty")
    with pytest.raises(DatasetNotFoundError, match=r"nowhere.*saliency data info"):
        case.open(tmp_path / "nowhere")


# ---------------------------------------------------------------------------------------------- parts


def names(dataset: OpenedVideos, part: str) -> list[str]:
    return [dataset.image_ids[i] for i in dataset.parts(0).get(part, [])]


def test_official_parts_never_choose_by_what_is_tested_on(tmp_path: Path) -> None:
    ucf = UCFSports(ucf_sports.write(tmp_path / "ucf"))
    assert names(ucf, "test") == ["Diving-Side-004"]
    assert len(names(ucf, "val")) == 1
    assert sorted(names(ucf, "train") + names(ucf, "val")) == sorted(ucf.image_ids[:3])
    assert ucf.category(0) == "Diving-Side"
    holly = Hollywood2(hollywood2.write(tmp_path / "holly"))
    scenes = [{name.rsplit("_", 1)[0] for name in names(holly, part)} for part in ("train", "val")]
    assert all(scenes)
    assert not scenes[0] & scenes[1]  # shots of one scene stay together
    dhf = DHF1K(dhf1k.write(tmp_path / "dhf"))
    assert {part: names(dhf, part) for part in ("train", "val", "test")} == {
        "train": ["0001", "0002"],
        "val": ["0601"],
        "test": ["0701"],
    }
    assert dhf.frame_fixations(place(dhf, "0701"), [0]) is None  # held back
    assert dhf.length(place(dhf, "0701")) == dhf1k.VIDEOS[701]


def test_stavis_folds_and_rates(tmp_path: Path) -> None:
    root = stavis.write(tmp_path / "STAViS")
    for fold, held_out in ((1, "V1_Speech1"), (3, "V3_Piano")):
        assert names(AVAD(root, fold=fold), "test") == [held_out]  # type: ignore[arg-type]
    avad = AVAD(root)
    for name, (count, rate) in stavis.VIDEOS["AVAD"].items():
        assert np.allclose(avad.times(place(avad, name)), np.arange(count) / rate)
    with pytest.raises(ValueError, match="fold=2 is none of 1"):
        DIEM(root, fold=2)
    (root / "fold_lists" / "DIEM_list_test_fps.txt").write_text("film_a five\n")
    with pytest.raises(DatasetLayoutError, match=r"DIEM_list_test_fps.txt, line 1: expected"):
        DIEM(root)


@pytest.mark.parametrize(
    ("test", "expected"), [("both", ["0100", "0200"]), ("public", ["0100"]), ("private", ["0200"])]
)
def test_challenge_parts(test: Any, expected: list[str], tmp_path: Path) -> None:
    dataset = AViMoS(avimos.write(tmp_path / "set"), test=test)
    assert names(dataset, "test") == expected
    assert sorted(names(dataset, "train") + names(dataset, "val")) == ["0001", "0002"]


def test_a_private_part_is_there_to_be_predicted(tmp_path: Path) -> None:
    dataset = NTIRE2026(avimos.write(tmp_path / "set", held_back=True))
    assert "0200" in names(dataset, "test")
    assert dataset.frame_fixations(place(dataset, "0200"), [0]) is None
    assert dataset.frame_density(place(dataset, "0200"), [0]) is None


# ---------------------------------------------------------------------------------------------- DHF1K's raw gaze


def public_mapping(samples: np.ndarray, frame: int, outer: bool) -> np.ndarray:
    """bool (H, W) after the published ``record_mapping.m``, which is MATLAB: samples within the frame (strictly),
    rounded to pixels counted from 1; ``outer`` marks every row in every column, as indexing by two lists does there."""
    time, x, y, fixated = samples.T
    during = (dhf1k.RATE * time > frame) & (dhf1k.RATE * time < frame + 1) & (fixated > 0)
    column, row = np.rint(x[during] + 0.5).astype(int), np.rint(y[during] + 0.5).astype(int)
    kept = (column > 0) & (column < SIZE[1]) & (row > 0) & (row < SIZE[0])
    marked = np.zeros(SIZE, bool)
    if outer:
        marked[np.ix_(row[kept] - 1, column[kept] - 1)] = True
    else:
        marked[row[kept] - 1, column[kept] - 1] = True
    return marked


def test_raw_gaze_counts_every_sample_where_it_was(tmp_path: Path) -> None:
    root = dhf1k.write_gaze(dhf1k.write(tmp_path / "DHF1K"))
    dataset = DHF1K(root, split="all", gaze="raw")
    index = place(dataset, "0001")
    assert dataset.image_ids == ["0001", "0701"]  # the others have no raw gaze, the test part needs none
    assert dataset.issues["video without raw gaze"] == ["0002", "0601"]
    everyone = dhf1k.gaze()
    pack = dataset.frame_fixations(index, range(8))
    assert pack is not None
    for frame in range(8):
        here = pack.of_window(frame)
        expected = {
            v: s[(s[:, 0] >= frame / 30) & (s[:, 0] < (frame + 1) / 30) & (s[:, 3] > 0)] for v, s in everyone.items()
        }
        for viewer, samples in expected.items():
            mine = here.of_viewer(viewer)
            assert np.allclose(np.stack([mine.x, mine.y], 1), samples[:, 1:3], atol=1e-3)
        assert len(here) == sum(map(len, expected.values()))
        assert torch.equal(here.time, torch.full((len(here),), frame / 30, dtype=torch.float64))


def test_the_grid_of_the_public_mapping_is_avoided(tmp_path: Path) -> None:
    root = dhf1k.write_gaze(dhf1k.write(tmp_path / "DHF1K"))
    dataset = DHF1K(root, split="all", gaze="raw")
    pack = dataset.frame_fixations(place(dataset, "0001"), range(1, 8))
    assert pack is not None
    counts = pack.clean()[0].rasterise()[0].numpy()
    grids = 0
    for frame in range(1, 8):
        by_point = np.any([public_mapping(s, frame, False) for s in dhf1k.gaze().values()], axis=0)
        by_grid = np.any([public_mapping(s, frame, True) for s in dhf1k.gaze().values()], axis=0)
        assert np.array_equal(counts[frame - 1] > 0, by_point)
        grids += int(by_grid.sum()) > 3 * int(by_point.sum())
    assert grids >= 5  # what would have come out


def test_damaged_gaze_is_named(tmp_path: Path) -> None:
    root = dhf1k.write_gaze(dhf1k.write(tmp_path / "DHF1K"))
    path = root / "exportdata_train" / "P01" / "P01_Trail001.txt"
    text = path.read_text()
    path.write_text(text.replace("L POR X [px]", "X"))
    with pytest.raises(BrokenFileError, match=r"P01_Trail001\.txt: no line names the columns"):
        DHF1K(root, gaze="raw", split="all").frame_fixations(0, [0])
    path.write_text(text.replace("Fixation", "Fixation").replace(".", ",", 3))
    with pytest.raises(BrokenFileError, match=r"P01_Trail001\.txt: a sample is no number"):
        DHF1K(root, gaze="raw", split="all").frame_fixations(0, [0])
    with pytest.raises(DatasetNotFoundError, match=r"exportdata_train.*data.gaze=released"):
        DHF1K(dhf1k.write(tmp_path / "other"), gaze="raw")


# ---------------------------------------------------------------------------------------------- damage


def test_annotation_that_does_not_belong_to_the_frames_is_refused(tmp_path: Path) -> None:
    root = ucf_sports.write(tmp_path / "set")
    clip = root / "training" / "Run-Side-003"
    (clip / "fixation" / "Run-Side_003_004.png").unlink()
    dataset = UCFSports(root, split="all")
    with pytest.raises(BrokenFileError, match=r"Run-Side-003.*do not belong together, or files are missing"):
        dataset.times(place(dataset, "Run-Side-003"))
    (clip / "images" / "Run-Side_003_002.png").unlink()
    with pytest.raises(BrokenFileError, match=r"1 frames are missing"):
        UCFSports(root, split="all").video(2)


def test_frames_without_annotation_are_left_out(tmp_path: Path) -> None:
    root = dhf1k.write(tmp_path / "set")
    for path in (root / "annotation" / "0001" / "fixation").glob("000[78].png"):
        path.unlink()
    dataset = DHF1K(root, split="all")
    assert dataset.length(0) == 6
    assert dataset.issues["frames without annotation"] == ["0001: 8 frames, 6 annotated"]


def test_annotation_of_another_size_is_rescaled_and_said(tmp_path: Path) -> None:
    from PIL import Image

    root = ucf_sports.write(tmp_path / "set")
    clip = root / "testing" / "Diving-Side-004"
    before = by_frame(UCFSports(root, split="all"), 3, [0])[0]
    for path in (clip / "images").iterdir():
        Image.open(path).resize((2 * SIZE[1], 2 * SIZE[0])).save(path)
    dataset = UCFSports(root, split="all", maps=True)
    assert np.allclose(by_frame(dataset, 3, [0])[0], 2 * before)
    density = dataset.frame_density(3, [0])
    assert density is not None
    assert density.shape[1:] == (2 * SIZE[0], 2 * SIZE[1])
    assert dataset.issues["annotation of another size than the frames, rescaled"] == ["Diving-Side-004"]
    for path in (clip / "images").iterdir():
        Image.open(path).resize((SIZE[1], 2 * SIZE[0])).save(path)
    with pytest.raises(BrokenFileError, match="of another shape"):
        UCFSports(root, split="all").frame_fixations(3, [0])


def test_lists_that_do_not_fit_the_video_are_refused(tmp_path: Path) -> None:
    root = avimos.write_crowdsal(tmp_path / "set")
    path = root / "Train" / "Fixations" / "0001.json"
    frames = json.loads(path.read_text())
    path.write_text(json.dumps(frames[:-1]))
    dataset = CrowdSAL(root, split="all")
    with pytest.raises(BrokenFileError, match=r"0001\.json lists 5 frames, the video .*0001\.mp4 has 6"):
        dataset.frame_fixations(0, [0])
    path.write_text("[[1,2]")
    with pytest.raises(BrokenFileError, match=r"0001\.json cannot be read as JSON"):
        CrowdSAL(root, split="all").frame_fixations(0, [0])


# ---------------------------------------------------------------------------------------------- one's own


@pytest.mark.parametrize("form", ["time", "frame"])
def test_own_videos(form: str, tmp_path: Path) -> None:
    dataset = VideoFolder(video_folder.write(tmp_path / "own", form), split="all", fps=20)
    for name, made in video_folder.truth().items():
        index = place(dataset, name)
        assert np.allclose(dataset.times(index), video_folder.TIMES[name])
        for here, expected in zip(by_frame(dataset, index, range(len(made))), made, strict=True):
            assert np.allclose(here, expected[np.lexsort(expected.T)])
    pack = dataset.frame_fixations(0, [0])
    assert pack is not None
    assert set(pack.viewers()) <= {0, 1}


def test_own_maps(tmp_path: Path) -> None:
    dataset = VideoFolder(video_folder.write(tmp_path / "own", "maps"), split="all", fps=20)
    assert dataset.frame_fixations(0, [0]) is None
    density = dataset.frame_density(1, [1])
    assert density is not None
    expected = blurred(video_folder.truth()["b"][1]).astype(float)
    assert np.allclose(density[0].numpy(), expected / expected.sum(), atol=1e-6)


def test_a_fixation_counts_in_every_frame_that_it_lasts_through(tmp_path: Path) -> None:
    root = video_folder.write(tmp_path / "own")
    rows = ["a,3.5,4.5,0.06,0.15,ann", "a,7,8,0.31,,bob", "b,1,2,0.0,0.04,ann"]
    (root / "fixations.csv").write_text("\n".join(["video,x,y,time,duration,viewer", *rows]) + "\n")
    dataset = VideoFolder(root, split="all", fps=20)  # frames of a begin at 0, 0.05, 0.2, 0.3 and 0.5 s
    assert [len(f) for f in by_frame(dataset, 0, range(5))] == [0, 1, 1, 1, 0]
    assert [len(f) for f in by_frame(dataset, 1, range(4))] == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("coordinates", "x", "y"), [("edge", 3.5, 4.5), ("zero", 4.0, 5.0), ("one", 3.0, 4.0), ("relative", 224.0, 216.0)]
)
def test_own_coordinates(coordinates: Any, x: float, y: float, tmp_path: Path) -> None:
    root = video_folder.write(tmp_path / "own")
    (root / "fixations.csv").write_text("video,x,y,frame\na,3.5,4.5,1\nb,0,0,0\n")
    dataset = VideoFolder(root, split="all", fps=20, coordinates=coordinates)
    assert by_frame(dataset, 0, [1])[0].tolist() == [[x, y]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,x,y\na,1,1\n", "first line must be video,x,y,time"),
        ("video,x,y,time\na,1,one,0\n", r"line 2: could not convert"),
        ("video,x,y,frame\na,1,1,0.5\n", r"line 2: frame is 0.5"),
        ("video,x,y,time\na,1,1\n", r"line 2: 3 values for 4 columns"),
        ("video,x,y,time\nc,1,1,0\n", r"none of the videos \(a, b \.\.\.\)"),
    ],
)
def test_own_mistakes_are_named(text: str, message: str, tmp_path: Path) -> None:
    root = video_folder.write(tmp_path / "own")
    (root / "fixations.csv").write_text(text)
    with pytest.raises((DatasetLayoutError, BrokenFileError), match=message):
        VideoFolder(root, split="all")


# ---------------------------------------------------------------------------------------------- real samples


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(np.corrcoef(a.double().flatten(), b.double().flatten())[0, 1])


def test_real_raw_gaze_gives_the_derived_maps(shared_data: Path, tmp_path: Path) -> None:
    for name, there in (
        ("video", "video"),
        ("exportdata_train", "exportdata_train"),
        ("annotation", "annotation_derived"),
    ):
        (tmp_path / name).symlink_to(shared_data / "DHF1K" / there)
    raw = DHF1K(tmp_path, split="all", gaze="raw")
    derived = DHF1K(tmp_path, split="all", maps=True)
    frames = range(0, 48, 3)
    pack = raw.clean_frame_fixations(0, frames)
    maps, marked = derived.frame_density(0, frames), derived.frame_fixations(0, frames)
    assert pack is not None
    assert maps is not None
    assert marked is not None
    assert len(pack.viewers()) == 17
    pixels, known = pack.rasterise()[0] > 0, marked.rasterise()[0] > 0
    # Frame 0: the published mapping leaves the first sample of each viewer out (0 < time), which is in the frame.
    assert (known[0] & ~pixels[0]).sum() == 0
    assert torch.equal(pixels[1:], known[1:])
    # Those maps count a pixel once, however many samples lie on it.
    row_column = pixels.nonzero()
    once_each = type(pack).of(row_column[:, 2] + 0.5, row_column[:, 1] + 0.5, raw.size(0))
    once_each = once_each.in_windows(row_column[:, 0], len(frames))
    made = fixation_density(once_each, raw.blur_sigma)[0]
    scores = [correlation(a, b) for a, b in zip(made, maps, strict=True)]
    assert min(scores) > 0.99
    assert np.mean(scores) > 0.999


def test_real_ucf_clip_in_release_layout(shared_data: Path) -> None:
    dataset = UCFSports(shared_data / "UCF_Sports", maps=True)
    assert dataset.image_ids == ["Diving-Side-001"]
    assert dataset.parts(0) == {"test": [0]}
    assert (dataset.length(0), dataset.size(0)) == (24, (404, 720))
    assert dataset.paths[0].joinpath("Diving-Side_001_011.jpg").is_file()  # two frames are JPEG files
    assert dataset.frames(0, [9, 10, 15]).shape == (3, 404, 720, 3)
    pack, maps = dataset.frame_fixations(0, range(0, 24, 4)), dataset.frame_density(0, range(0, 24, 4))
    assert pack is not None
    assert maps is not None
    made = fixation_density(pack, dataset.blur_sigma)[0]
    assert min(correlation(a, b) for a, b in zip(made, maps, strict=True)) > 0.999
    # The grids of false points that this release has: rows and columns are shared far beyond chance.
    one = pack.of_window(0)
    assert len(one) > 3 * len(one.y.unique())
