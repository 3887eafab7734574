"""The order of images: by seed and epoch alone, shared out exactly, weighted as asked."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_pred.data.samplers import EvaluationBatches, ShapeBatches, TrainSampler


@given(st.integers(1, 60), st.integers(1, 5), st.integers(0, 3), st.integers(0, 2**40))
@settings(max_examples=100, deadline=None)
def test_processes_share_one_order_and_take_equal_steps(images: int, world: int, epoch: int, seed: int) -> None:
    images = max(images, world)
    mine = []
    for rank in range(world):
        sampler = TrainSampler(range(100, 100 + images), seed, rank, world)
        sampler.set_epoch(epoch)
        mine.append(list(sampler))
        assert len(mine[-1]) == len(sampler) == images // world
    keys = [key for step in zip(*mine, strict=True) for key in step]
    alone = TrainSampler(range(100, 100 + images), seed)
    alone.set_epoch(epoch)
    assert keys == list(alone)[: len(keys)]
    assert {e for e, _ in keys} == {epoch}
    assert len(set(keys)) == len(keys)
    assert sorted(i for _, i in alone) == list(range(100, 100 + images))
    assert list(alone) == list(alone), "iterating does not change the order"


def test_another_epoch_or_seed_is_another_order() -> None:
    orders = set()
    for seed in range(3):
        for epoch in range(3):
            sampler = TrainSampler(range(20), seed)
            sampler.set_epoch(epoch)
            orders.add(tuple(i for _, i in sampler))
    assert len(orders) == 9


def test_weights_are_how_often_images_are_drawn() -> None:
    drawn: Counter[int] = Counter()
    sampler = TrainSampler([10, 20, 30, 40], seed=0, weights=[1, 0, 3, 4])
    for epoch in range(1000):
        sampler.set_epoch(epoch)
        drawn.update(i for _, i in sampler)
    assert drawn[20] == 0
    for image, share in ((10, 1 / 8), (30, 3 / 8), (40, 4 / 8)):  # 4000 draws: five standard errors are 0.04
        assert drawn[image] / 4000 == pytest.approx(share, abs=0.04)


@given(st.lists(st.integers(0, 2), max_size=30), st.integers(1, 5), st.integers(1, 7), st.booleans())
def test_scoring_shares_the_batches_of_one_process_out(
    shapes: list[int], batch_size: int, world: int, by_shape: bool
) -> None:
    shape_of = (lambda i: (32, 32 * (1 + shapes[i]))) if by_shape else None
    images = range(len(shapes))
    shared = [list(EvaluationBatches(images, batch_size, rank, world, shape_of)) for rank in range(world)]
    alone = list(EvaluationBatches(images, batch_size, shape_of=shape_of))
    assert sorted(batch for mine in shared for batch in mine) == sorted(alone)
    assert sorted(i for batch in alone for _, i in batch) == list(images)
    assert max(map(len, shared)) - min(map(len, shared)) <= 1
    if by_shape:
        assert all(len({shapes[i] for _, i in batch}) == 1 for batch in alone)
    else:
        assert [i for batch in alone for _, i in batch] == list(images)
        assert [len(batch) for batch in alone[:-1]] == [batch_size] * (len(alone) - 1)


def test_more_processes_than_images_are_refused() -> None:
    with pytest.raises(ValueError, match="2 training images for 3 processes"):
        TrainSampler(range(2), 0, 0, 3)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=50), st.integers(1, 8), st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_batches_of_one_shape_take_every_image_once(shapes: list[int], batch_size: int, epoch: int) -> None:
    sampler = TrainSampler(range(len(shapes)), seed=3)
    batches = ShapeBatches(sampler, batch_size, lambda i: (32, 32 * (1 + shapes[i])))
    length = len(batches)
    sampler.set_epoch(epoch)
    made = list(batches)
    assert len(made) == length == sum(-(-count // batch_size) for count in Counter(shapes).values())
    assert sorted(key for batch in made for key in batch) == sorted(sampler)
    assert all(len({shapes[i] for _, i in batch}) == 1 for batch in made)
    order = list(sampler)
    firsts = [order.index(batch[0]) for batch in made]
    assert firsts == sorted(firsts)
