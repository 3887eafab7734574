"""The batch contract: whoever breaks it is told which key, and moving a batch moves everything in it."""

from __future__ import annotations

import dataclasses
import math
import pickle
from typing import Any

import pytest
import torch

from saliency_pred.batch import Batch
from saliency_pred.fixations import Fixations

B, T, H, W = 2, 3, 5, 7


def batch(**changes: Any) -> Batch:
    windows = torch.tensor([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]])
    fixations = Fixations.cat([Fixations.of([1.5, 2.5], [0.5, 1.5], (H, W), time=[0.5, 2.5]), Fixations.empty((H, W))])
    fixations = fixations.assign_windows(windows)
    made = Batch(
        image=torch.rand(B, 3, H, W),
        valid=torch.ones(B, H, W, dtype=torch.bool),
        windows=windows.expand(B, T, 2),
        image_id=["a", "b"],
        dataset=["test", "test"],
        original_size=torch.tensor([[10, 14], [5, 7]]),
        domain=torch.zeros(B, dtype=torch.int64),
        pixel_per_dva=torch.full((B,), math.nan),
        blur_sigma=torch.full((B,), 2.0),
        fixations=fixations,
        density=torch.full((B, T, H, W), 1 / (H * W)),
        original_fixations=fixations,
        original_density=[torch.rand(T, 10, 14), torch.rand(T, 5, 7)],
    )
    return dataclasses.replace(made, **changes)


def test_images_and_clips_fit() -> None:
    assert batch().check().size == (H, W)
    assert (len(batch()), batch().num_windows) == (B, T)
    assert batch(image=torch.rand(B, 3, 4, H, W)).check().size == (H, W)
    assert batch(density=None, original_fixations=None, original_density=None).check().density is None
    assert batch(fixations=None).check().fixations is None, "maps alone are enough"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("image", torch.rand(B, 4, H, W), r"image must be \(B, 3, H, W\)"),
        ("image", torch.rand(B, 3, H, W).double(), "batch.image must be torch.float32"),
        ("valid", torch.ones(B, 1, H, W, dtype=torch.bool), "batch.valid must be"),
        ("valid", torch.ones(B, H, W), "batch.valid must be torch.bool"),
        ("windows", torch.zeros(T, 2), "batch.windows must be"),
        ("original_size", torch.zeros(B, 2), "batch.original_size must be torch.int64"),
        ("domain", torch.zeros(B, 1, dtype=torch.int64), "batch.domain must be"),
        ("pixel_per_dva", torch.zeros(B).double(), "batch.pixel_per_dva must be torch.float32"),
        ("blur_sigma", torch.zeros(1), "batch.blur_sigma must be"),
        ("density", torch.zeros(B, 1, H, W), "batch.density must be"),
        ("image_id", ["a"], "batch.image_id must name each of the 2 images, got 1"),
        ("dataset", ["x"] * 3, "batch.dataset must name each"),
        ("original_density", [torch.zeros(T, 5, 7)], "batch.original_density must"),
        ("fixations", Fixations.empty((H, W)), "batch.fixations must pack 2 images with 3 windows"),
        ("original_fixations", Fixations.empty((H, W)), "batch.original_fixations must pack"),
    ],
)
def test_the_key_that_breaks_the_contract_is_named(key: str, value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        batch(**{key: value}).check()


def test_something_to_compare_with_is_needed() -> None:
    with pytest.raises(ValueError, match="needs fixations, or density maps"):
        batch(fixations=None, density=None).check()


def tensors(of: object) -> list[torch.Tensor]:
    """Every tensor of a batch, those inside its fixations and lists too."""
    if isinstance(of, torch.Tensor):
        return [of]
    if isinstance(of, list):
        return [t for one in of for t in tensors(one)]
    if dataclasses.is_dataclass(of):
        return [t for field in dataclasses.fields(of) for t in tensors(getattr(of, field.name))]
    return []


def test_moving_leaves_nothing_behind() -> None:
    moved = batch().to("meta")
    assert len(tensors(moved)) == len(tensors(batch())) == 8 + 2 * 8 + 2
    assert {t.device.type for t in tensors(moved)} == {"meta"}
    assert moved.image_id == ["a", "b"]
    again = batch(fixations=None, original_fixations=None, original_density=None).to("meta")
    assert again.fixations is None
    assert again.original_density is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="page-locked memory needs a GPU")
def test_pinning_pins_everything() -> None:
    assert all(t.is_pinned() for t in tensors(batch().pin_memory()))


def test_batches_travel_between_processes() -> None:
    one = batch()
    other = pickle.loads(pickle.dumps(one)).check()
    assert all(torch.equal(a, b) or a.isnan().all() for a, b in zip(tensors(one), tensors(other), strict=True))
