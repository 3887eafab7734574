"""Cutting videos into clips: by hand-worked positions, and through the loader on generated videos."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_pred.data.clips import Clips, ClipSampler
from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.synthetic import SyntheticVideo
from saliency_pred.instantiate import instantiate


def at(length: int, number: int, **options: Any) -> tuple[list[int], list[int]]:
    """Frames and predicted frames of a clip of a video with so many frames, 30 a second."""
    clip = ClipSampler(**options).clip(np.arange(length) / 30, number)
    return clip.frames.tolist(), clip.predicted.tolist()


# ---------------------------------------------------------------------------------------------- positions


@pytest.mark.parametrize(
    ("options", "length", "number", "frames", "predicted"),
    [
        # the last frame: ViNet-S repeats the first frame, ViNet and TASED-Net turn the clip round
        ({"start": "repeat"}, 10, 1, [0, 0, 0, 1], [1]),
        ({"start": "mirror"}, 10, 1, [2, 1, 0, 1], [1]),
        ({"start": "reverse"}, 10, 1, [4, 3, 2, 1], [1]),
        ({"start": "reverse"}, 10, 3, [0, 1, 2, 3], [3]),
        ({"start": "skip"}, 10, 0, [0, 1, 2, 3], [3]),
        ({"start": "skip"}, 10, 6, [6, 7, 8, 9], [9]),
        ({"start": "repeat", "step": 3}, 10, 5, [0, 0, 2, 5], [5]),
        ({"start": "mirror", "step": 3}, 10, 5, [4, 1, 2, 5], [5]),
        # videos shorter than a clip
        ({"start": "repeat"}, 2, 1, [0, 0, 0, 1], [1]),
        ({"start": "mirror"}, 2, 1, [1, 1, 0, 1], [1]),
        ({"start": "mirror", "end": "mirror"}, 2, 1, [0, 1, 0, 1], [1]),
        ({"start": "mirror"}, 1, 0, [0, 0, 0, 0], [0]),
        ({"start": "reverse"}, 2, 0, [1, 1, 1, 0], [0]),
        ({"start": "reverse", "end": "mirror"}, 3, 0, [1, 2, 1, 0], [0]),
        # the centre: ViNet-A clamps both ends
        ({"position": "centre"}, 10, 0, [0, 0, 0, 1], [0]),
        ({"position": "centre"}, 10, 9, [7, 8, 9, 9], [9]),
        ({"position": "centre", "step": 2}, 10, 5, [1, 3, 5, 7], [5]),
        ({"position": "centre", "start": "mirror", "end": "mirror"}, 10, 9, [7, 8, 9, 8], [9]),
        ({"position": "centre", "start": "skip", "end": "skip"}, 10, 0, [0, 1, 2, 3], [2]),
        # all frames, clip after clip; with a step in as many phases (UNISAL)
        ({"position": "all"}, 10, 1, [4, 5, 6, 7], [4, 5, 6, 7]),
        ({"position": "all"}, 10, 2, [8, 9, 9, 9], [8, 9, -1, -1]),
        ({"position": "all", "end": "mirror"}, 10, 2, [8, 9, 8, 7], [8, 9, -1, -1]),
        ({"position": "all", "step": 2}, 10, 1, [8, 9, 9, 9], [8, -1, -1, -1]),
        ({"position": "all", "step": 2}, 10, 2, [1, 3, 5, 7], [1, 3, 5, 7]),
        ({"position": "all"}, 3, 0, [0, 1, 2, 2], [0, 1, 2, -1]),
        # stride
        ({"stride": 4}, 10, 2, [5, 6, 7, 8], [8]),
        ({"position": "all", "stride": 2}, 10, 1, [8, 9, 9, 9], [8, 9, -1, -1]),
    ],
)
def test_positions_by_hand(
    options: dict[str, Any], length: int, number: int, frames: list[int], predicted: list[int]
) -> None:
    assert at(length, number, frames=4, **options) == (frames, predicted)


def test_vinet_a_sees_every_other_frame_of_sixty_four_around_the_centre() -> None:
    frames, predicted = at(200, 100, frames=32, step=2, position="centre")
    assert frames == list(range(100 - 32, 100 + 32, 2))
    assert predicted == [100]
    assert frames[16] == 100


@settings(max_examples=150, deadline=None)
@given(
    length=st.integers(1, 40),
    frames=st.integers(1, 9),
    step=st.integers(1, 4),
    position=st.sampled_from(["last", "centre", "all"]),
    start=st.sampled_from(["repeat", "mirror"]),
    end=st.sampled_from(["repeat", "mirror"]),
)
def test_scoring_predicts_every_frame_once(
    length: int, frames: int, step: int, position: Any, start: Any, end: Any
) -> None:
    sampler = ClipSampler(frames, position, step, None, start, end)
    times = np.arange(length) / 30
    clips = [sampler.clip(times, k) for k in range(sampler.count(times))]
    predicted = np.concatenate([c.predicted for c in clips])
    assert sorted(predicted[predicted >= 0].tolist()) == list(range(length))
    for clip in clips:
        assert len(clip.frames) == frames
        assert len(clip.predicted) == sampler.num_windows
        assert clip.frames.min() >= 0
        assert clip.frames.max() < length
        if position == "all":  # what is predicted is what is seen
            seen = clip.predicted >= 0
            assert np.array_equal(clip.predicted[seen], clip.frames[seen])


@settings(max_examples=100, deadline=None)
@given(
    length=st.integers(1, 40),
    frames=st.integers(1, 9),
    step=st.integers(1, 4),
    position=st.sampled_from(["last", "centre", "all"]),
    seed=st.integers(0, 9),
)
def test_drawn_clips_are_complete_where_the_video_is_long_enough(
    length: int, frames: int, step: int, position: Any, seed: int
) -> None:
    sampler = ClipSampler(frames, position, step)
    clip = sampler.draw(np.arange(length) / 30, np.random.default_rng(seed))
    if length >= sampler.span:
        assert np.diff(clip.frames).tolist() == [step] * (frames - 1)
        assert (clip.predicted >= 0).all()


def test_every_place_is_drawn() -> None:
    sampler, times = ClipSampler(4, "last", 2), np.arange(12) / 30
    rng = np.random.default_rng(0)
    assert {int(sampler.draw(times, rng).predicted[0]) for _ in range(300)} == set(range(6, 12))


def test_clips_at_the_rate_of_the_network_go_by_time() -> None:
    times = np.concatenate([np.arange(10) / 10, 1 + np.arange(20) / 20])  # 10 and then 20 frames a second
    sampler = ClipSampler(3, "all", fps=5.0)
    clips = [sampler.clip(times, k) for k in range(sampler.count(times))]
    assert [c.frames.tolist() for c in clips] == [[0, 2, 4], [6, 8, 10], [14, 18, 22], [26, 26, 26]]
    assert clips[-1].predicted.tolist() == [26, -1, -1]


def test_incomplete_clips_are_left_out_where_that_is_asked_for() -> None:
    times = np.arange(10) / 30
    assert ClipSampler(4, "all", end="skip").count(times) == 2
    assert ClipSampler(4, "centre", start="skip", end="skip").count(times) == 7
    assert ClipSampler(12, start="skip").count(times) == 0
    with pytest.raises(ValueError, match="shorter than a clip of 12"):
        ClipSampler(12, start="skip").draw(times, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "clips.frames=0"),
        ({"position": "first"}, "clips.position=first is none of last"),
        ({"start": "loop"}, "clips.start=loop"),
        ({"start": "reverse", "position": "all"}, "clips.start=reverse needs clips.position=last"),
        ({"fps": 0}, "clips.fps=0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClipSampler(**options)


# ---------------------------------------------------------------------------------------------- the loader

VIDEOS: dict[str, Any] = {"count": 5, "frames": 10, "size": (32, 40), "viewers": 3, "split": "3/2"}


def module(clips: ClipSampler | None, **options: Any) -> SaliencyDataModule:
    return SaliencyDataModule(
        SyntheticVideo(**VIDEOS), [32, 48], batch_size=2, clips=clips, blur_sigma=2.0, seed=3, **options
    )


def test_a_batch_of_clips_has_a_window_for_each_predicted_frame() -> None:
    data, videos = module(ClipSampler(4, "all")), SyntheticVideo(**VIDEOS)
    members = videos.parts(3)["val"]
    batches = list(data.evaluation_dataloader("val"))
    names = [f"synthetic_video-{v:05d}/{f:05d}" for v in members for f in (0, 4, 8)]
    assert [name for batch in batches for name in batch.image_id] == names
    for batch in batches:
        assert batch.image.shape == (2, 3, 4, 32, 48)
        assert batch.windows.shape == (2, 4, 2)
        assert batch.original_fixations is not None
        for k, name in enumerate(batch.image_id):
            video, first = int(name[16:21]), int(name[-5:])
            everything, windows = videos.fixations(video), videos.frame_windows()
            for t in range(4):
                mine = batch.original_fixations.of_sample(k).of_window(t)
                if first + t > 9:  # the video is over
                    assert len(mine) == 0
                    assert float(batch.windows[k, t, 0]) >= 10 / 12 - 1e-6
                    continue
                start, end = windows[first + t].tolist()
                assert batch.windows[k, t].tolist() == pytest.approx([start, end])
                during = (everything.time >= start) & (everything.time < end)
                assert torch.equal(mine.x, everything.x[during])
    bias = data.centre_bias()
    assert bias is not None
    assert bias.density.shape[0] == 1


def test_clips_of_one_frame_are_images() -> None:
    data = module(None)
    batch = next(iter(data.evaluation_dataloader("val")))
    assert batch.image.shape == (2, 3, 32, 48)
    assert batch.windows.shape == (2, 1, 2)
    assert len(data.indices("val")) == 20
    assert len(data.indices("train")) == 3  # one frame of each video, an epoch
    assert len(module(ClipSampler(train="every")).indices("train")) == 30


def test_drawn_clips_depend_on_seed_epoch_and_video_alone() -> None:
    data = module(ClipSampler(4, "all"))
    drawn: dict[int, dict[str, float]] = {}
    for epoch in (0, 1, 5):
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        drawn[epoch] = {n: float(w) for b in loader for n, w in zip(b.image_id, b.windows[:, 0, 0], strict=True)}
        assert len(drawn[epoch]) == 3
    again = module(ClipSampler(4, "all"), workers=1).train_dataloader()
    again.sampler.set_epoch(5)  # type: ignore[attr-defined]
    assert {n: float(w) for b in again for n, w in zip(b.image_id, b.windows[:, 0, 0], strict=True)} == drawn[5]
    assert len({tuple(d.values()) for d in drawn.values()}) > 1
    copy = pickle.loads(pickle.dumps(data.dataset))
    assert isinstance(copy, Clips)
    assert np.array_equal(copy.clip(0, 7).frames, data.dataset.clip(0, 7).frames)  # type: ignore[attr-defined]


def test_a_clip_is_augmented_as_one() -> None:
    flip = instantiate({"_target_": "albumentations.HorizontalFlip", "p": 1.0})
    plain, flipped = module(ClipSampler(4, "all")), module(ClipSampler(4, "all"), augment=[flip])
    for a, b in zip(plain.train_dataloader(), flipped.train_dataloader(), strict=True):
        assert a.image_id == b.image_id
        assert torch.equal(a.windows, b.windows)
        assert torch.allclose(a.image.flip(-1), b.image)
        assert a.fixations is not None
        assert b.fixations is not None
        assert torch.allclose(a.fixations.x + b.fixations.x, torch.tensor(48.0, dtype=torch.float64), atol=1e-3)
        assert torch.equal(a.fixations.window, b.fixations.window)


def test_the_truth_scores_best_frame_by_frame() -> None:
    from saliency_pred.evaluation.run import score_baseline
    from saliency_pred.evaluation.scoring import Scorer

    data = module(ClipSampler(4, "all"))
    scorer = Scorer(data.centre_bias())
    names = ("truth", "centre_bias", "uniform")
    truth, bias, uniform = (score_baseline(n, data, "val", scorer).means()["log_likelihood"] for n in names)
    assert truth > max(bias, uniform)  # three videos make a poor bias


def test_given_windows_take_videos_whole() -> None:
    data = module(ClipSampler(4, "all"), windows=[[0.0, 0.4], [0.4, 0.9]])
    batch = next(iter(data.evaluation_dataloader("val")))
    assert batch.image.shape == (2, 3, 10, 32, 48)
    assert batch.windows.shape == (2, 2, 2)


def test_clips_are_not_cached() -> None:
    with pytest.raises(ValueError, match=r"loader\.cache=none"):
        module(None, cache="ram")


def test_videos_without_a_complete_clip_are_named() -> None:
    with pytest.raises(ValueError, match=r"none of the 5 videos has the 12 frames.*clips.frames"):
        module(ClipSampler(12, start="skip"))
