"""Map videos scored frame by frame, against the rules of the AIM 2024 challenge written out by themselves."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fixtures import avimos

from saliency_pred.cli import main
from saliency_pred.cli.compose import compose
from saliency_pred.data.videos import VideoDataset, Which, in_frames
from saliency_pred.density import CentreBias
from saliency_pred.evaluation.map_scores import with_other_frames
from saliency_pred.evaluation.other_frames import FRAMES, OtherFrames
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.evaluation.video_scores import STEADINESS, TRUE_STEADINESS, MapVideos, VideoScores, score_videos
from saliency_pred.fixations import Fixations
from saliency_pred.inference.video_writer import VideoWriter
from saliency_pred.instantiate import instantiate
from saliency_pred.metrics.accumulate import ScoreTable
from saliency_pred.metrics.presets import Preset

SIZE = (24, 36)
LENGTHS = {"short": 7, "long": 1003}


def blobs(count: int, size: tuple[int, int], seed: int, noise: float = 0.05) -> np.ndarray:
    """(F, H, W): a blob that wanders."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]] / np.array(size).reshape(2, 1, 1)
    centres = 0.5 + 0.3 * np.sin(np.linspace(0, 6, count)[:, None] + rng.uniform(0, 6, 2))
    squares = (y - centres[:, 0, None, None]) ** 2 + (x - centres[:, 1, None, None]) ** 2
    return np.exp(-squares / 0.03) + noise * rng.random((count, *size))


class Wandering(VideoDataset):
    """Two videos with points on whole pixels: some twice, the frames 2, 12, 22 ... without any."""

    name = "wandering"

    def __init__(self, root: Path) -> None:
        super().__init__(root, split="all")
        self.image_ids = list(LENGTHS)
        self.points, self.maps = [], []
        for seed, count in enumerate(LENGTHS.values()):
            rng = np.random.default_rng(seed)
            maps = blobs(count, SIZE, seed)
            self.maps.append(maps)
            frames = []
            for number, one in enumerate(maps):
                chosen = rng.choice(
                    one.size, 0 if number % 10 == 2 else rng.integers(1, 9), p=(one / one.sum()).ravel()
                )
                chosen = np.concatenate([chosen, chosen[: number % 3]])  # duplicates
                frames.append(np.stack(np.divmod(chosen, SIZE[1]), axis=1))
            self.points.append(frames)

    def times(self, index: int) -> np.ndarray:
        return np.arange(len(self.points[index])) / 30

    def size(self, index: int) -> tuple[int, int]:
        return SIZE

    def frames(self, index: int, which: Which) -> np.ndarray:
        raise AssertionError("scoring maps does not need the pictures")

    def frame_fixations(self, index: int, which: Which) -> Fixations | None:
        points = [self.points[index][k][:, ::-1] + 0.5 for k in np.asarray(which)]
        return in_frames(points, self.times(index)[np.asarray(which)], SIZE)

    def frame_density(self, index: int, which: Which) -> torch.Tensor | None:
        maps = torch.from_numpy(self.maps[index][np.asarray(which)])
        return (maps / maps.sum((1, 2), keepdim=True)).float()


def aim(prediction: np.ndarray, truth: np.ndarray, points: np.ndarray) -> dict[str, float]:
    """One frame by the challenge's rules, in plain loops. Points [row, column]; metrics of none are left out.

    Of its script's faults these are not repeated: frames are paired by the order of their names as text, wrong from
    the thousandth on; a frame without fixations, and any warning of NumPy, ends it; constant maps score .016.
    """
    eps = np.finfo(np.float32).eps
    s = (prediction - prediction.min()) / (prediction.max() - prediction.min() + eps)
    s = cv2.resize(s, truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    g = (truth - truth.min()) / (truth.max() - truth.min() + eps)
    found = {
        "cc": ((s - s.mean()) / (s.std() + 1e-7) * (g - g.mean()) / (g.std() + 1e-7)).mean(),
        "sim": np.minimum(s / (s.sum() + 1e-7), g / (g.sum() + 1e-7)).sum(),
    }
    if len(points):
        values = [s[row, column] for row, column in points]
        found["nss_aim"] = np.mean([(v - s.mean()) / (s.std() + 1e-7) for v in values])
        rates = [(0.0, 0.0)]
        for rank, threshold in enumerate(sorted(values, reverse=True), 1):
            above = sum(1 for v in s.ravel() if v >= threshold)
            rates.append((rank / len(values), (above - rank) / (s.size - 2)))
        rates.append((1.0, 1.0))
        found["auc_judd_aim"] = sum((f1 - f0) * (t0 + t1) / 2 for (t0, f0), (t1, f1) in itertools.pairwise(rates))
    return found


def preset(name: str = "aim2024") -> Scorer:
    return Scorer(None, preset=instantiate(compose("score", ["data=synthetic_video", f"preset={name}"]).preset))


def scored(folder: Path, scorer: Scorer | None = None, **options: object) -> VideoScores:
    dataset = Wandering(folder)
    return score_videos(MapVideos.open(folder), dataset, [0, 1], scorer or preset(), **options)  # type: ignore[arg-type]


def test_the_challenge_score_of_videos_with_duplicates_empty_frames_and_more_than_999(tmp_path: Path) -> None:
    dataset = Wandering(tmp_path)
    expected: dict[str, list[float]] = {}
    for seed, (name, count) in enumerate(LENGTHS.items()):
        maps = blobs(count, (15, 22), 70 + seed)  # another size: they are resized
        np.save(tmp_path / f"{name}.npy", maps)
        frames = [
            aim(maps[k], dataset.frame_density(seed, [k])[0].double().numpy(), dataset.points[seed][k])  # type: ignore[index]
            for k in range(count)
        ]
        for metric in ("auc_judd_aim", "cc", "sim", "nss_aim"):
            known = [f[metric] for f in frames if metric in f]
            expected.setdefault(metric, []).append(math.fsum(known) / len(known))
    scores = scored(tmp_path)
    assert (scores.failed, scores.missing, scores.surplus) == ({}, [], [])
    table = ScoreTable(scores.rows)
    assert len(table.rows) == 1010
    summary = table.summary("video")
    for metric, videos in expected.items():
        assert summary[metric]["mean"] == pytest.approx(sum(videos) / 2, abs=1e-6), metric
        assert summary[metric]["images"] == 2
    empty = table.unscorable()["nss_aim"]
    assert len(empty) == 1 + 101
    assert empty[0] == "short/00002"
    assert "cc" not in table.unscorable()


def test_map_videos_give_the_scores_of_the_arrays_that_they_were_written_from(tmp_path: Path) -> None:
    arrays, films = tmp_path / "arrays", tmp_path / "films"
    for folder in (arrays, films):
        folder.mkdir()
    maps = blobs(7, SIZE, 5, noise=0)
    np.save(arrays / "short.npy", maps)
    with VideoWriter(films / "short_maps.mp4", SIZE, Fraction(1, 30), "map") as writer:
        for k, one in enumerate(maps):
            writer.write((one - one.min()) / (one.max() - one.min()), k)
    (films / "short_overlay.mp4").write_bytes(b"passed over")
    of_arrays, of_films = (ScoreTable(scored(f).rows).summary("video") for f in (arrays, films))
    for metric in ("cc", "sim", "nss_aim"):  # not AUC: the tail of this blob is all 0 in 10 bits
        assert of_films[metric]["mean"] == pytest.approx(of_arrays[metric]["mean"], abs=0.01), metric


def test_steadiness_stands_beside_the_scores(tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", np.repeat(blobs(1, SIZE, 3), 7, axis=0))
    rows = scored(tmp_path).rows
    assert math.isnan(rows[0][STEADINESS])
    assert [row[STEADINESS] for row in rows[1:]] == pytest.approx([1] * 6)
    truth = Wandering(tmp_path).maps[0]
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in itertools.pairwise(truth)]
    assert [row[TRUE_STEADINESS] for row in rows[1:]] == pytest.approx(expected, abs=1e-5)


def test_log_densities_have_information_gain(tmp_path: Path) -> None:
    maps = torch.from_numpy(blobs(7, SIZE, 0))
    np.save(tmp_path / "short.npy", (maps / maps.sum((1, 2), keepdim=True)).log().numpy())
    uniform = CentreBias(torch.full((1, *SIZE), 1 / (SIZE[0] * SIZE[1]), dtype=torch.float64))
    scorer = Scorer(uniform, preset=instantiate(compose("score", ["data=synthetic_video"]).preset))
    scores = scored(tmp_path, scorer, kind="log_density")
    gains = [row["ig"] for row in scores.rows if row["fixations"]]
    assert np.mean(gains) > 0.3  # the points are drawn from these maps


def test_shuffled_auc_takes_the_fixations_of_frames_of_other_videos(tmp_path: Path) -> None:
    """By the definition, pair by pair; drawn anew for each frame, and the same whatever else is scored."""
    dataset = Wandering(tmp_path)
    np.save(tmp_path / "short.npy", blobs(7, SIZE, 1))
    rule = Preset("mine", ("sauc",), negatives=10)
    scorer = with_other_frames(Scorer(None, preset=rule), dataset, "all", seed=3)
    rows = scored(tmp_path, scorer).rows
    negatives = scorer.negatives
    assert isinstance(negatives, OtherFrames)
    seen = set()
    for k, row in enumerate(rows):
        others = negatives.of(row["image_id"], SIZE)
        pixels = {(int(y), int(x)) for y, x in zip(others.y, others.x, strict=True)}
        of_long = {tuple(map(int, point)) for points in dataset.points[1] for point in points}
        assert 10 <= len(others) <= 10 * 10
        assert pixels <= of_long  # and none of the video's own
        seen.add(tuple(others.x.tolist()))
        if len(dataset.points[0][k]) == 0:
            assert math.isnan(row["sauc"])
            continue
        values = np.load(tmp_path / "short.npy")[k]
        here = [values[tuple(point)] for point in dataset.points[0][k]]
        there = [values[point] for point in zip(others.y.long(), others.x.long(), strict=True)]
        wins = [(a > b) + (a == b) / 2 for a in here for b in there]
        assert row["sauc"] == pytest.approx(np.mean(wins), abs=1e-9)
    assert len(seen) == len(rows)
    again = with_other_frames(Scorer(None, preset=rule), dataset, "all", seed=3).negatives
    assert again is not None
    assert torch.equal(again.of("short/00005", SIZE).x, negatives.of("short/00005", SIZE).x)
    assert len(negatives.relative) <= 2 * FRAMES  # however long the videos are
    assert scorer.options()["sauc_negatives"].startswith("fixations on 10 frames of the other videos of the all part")


def test_negatives_without_a_number_are_all_that_were_read(tmp_path: Path) -> None:
    others = OtherFrames(Wandering(tmp_path), [0, 1])
    frames = [points for points, video in zip(others.relative, others.video, strict=True) if video == 1]
    assert len(frames) > FRAMES // 2
    doubled = others.of("short/00000", (2 * SIZE[0], 2 * SIZE[1]))
    assert len(doubled) == sum(map(len, frames))
    torch.testing.assert_close(doubled.x, torch.cat(frames)[:, 0] * 2 * SIZE[1])
    assert len(OtherFrames(Wandering(tmp_path), [0]).of("short/00000", SIZE)) == 0  # no other video


def test_what_cannot_be_scored_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", blobs(7, SIZE, 0))
    np.save(tmp_path / "long.npy", blobs(1002, SIZE, 0))
    np.save(tmp_path / "other.npy", blobs(5, SIZE, 0))
    scores = scored(tmp_path)
    assert "has 1002 maps, the video long 1003 frames" in scores.failed["long"]
    assert scores.surplus == ["other"]
    assert {row["image_id"].split("/")[0] for row in scores.rows} == {"short"}
    (tmp_path / "long.npy").unlink()
    assert scored(tmp_path).missing == ["long"]
    (tmp_path / "short").mkdir()
    with pytest.raises(ValueError, match="both of the video short"):
        MapVideos.open(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        MapVideos.open(tmp_path / "nowhere")


def test_the_command_scores_the_released_maps_of_a_set_perfectly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = avimos.write(tmp_path / "AViMoS")
    maps = root / "SaliencyTest" / "Test"
    out = tmp_path / "out"
    arguments = ["data=avimos", f"data.root={root}", "part=test", "preset=aim2024", f"out={out}"]
    assert main(["score", str(maps), *arguments]) == 0
    scores = json.loads((out / "scores.json").read_text())
    assert scores["scores"]["cc"]["mean"] == pytest.approx(1, abs=1e-6)
    assert scores["scores"]["sim"]["mean"] == pytest.approx(1, abs=1e-5)
    assert scores["scores"]["cc"]["images"] == 2  # videos
    assert scores["images"] == 8  # frames
    assert "2 of 2 videos of part test (8 frames)" in capsys.readouterr().out
    (maps / "0200.mp4").unlink()
    assert main(["score", str(maps), *arguments, "data.maps=false"]) == 2
    assert "1 of 2 videos have no map and are left out: 0200" in capsys.readouterr().err


def test_the_command_has_every_metric_of_dhf1k(tmp_path: Path) -> None:
    root, out = avimos.write(tmp_path / "AViMoS"), tmp_path / "out"
    arguments = ["data=avimos", f"data.root={root}", "part=test", "preset=dhf1k", f"out={out}"]
    assert main(["score", str(root / "SaliencyTest" / "Test"), *arguments]) == 0
    scores = json.loads((out / "scores.json").read_text())
    assert set(scores["scores"]) >= {"auc_judd_mit", "sim_mit", "sauc_mit", "cc", "nss"}
    assert scores["scores"]["sauc_mit"]["mean"] > 0.5
    assert "10 frames of the other videos of the test part" in json.dumps(scores)
