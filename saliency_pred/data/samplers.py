"""Which image comes next: seeded by epoch for training, unpadded for scoring."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler

Key = tuple[int, int]
"""(epoch, index): the epoch travels with the index so that workers seed augmentations by it."""
ShapeOf = Callable[[int], tuple[int, int]]
"""Index → (height, width) of an image on the input grid."""


class TrainSampler(Sampler[Key]):
    """Every image once per epoch, in an order that depends on seed and epoch only.

    Each of ``world_size`` processes gets every ``world_size``-th image of the same order. The last images
    of an epoch that do not fill one for every process are left out, as processes must take equal steps.

    Args:
        indices: the images to train on.
        seed: of the order.
        rank, world_size: this process, of how many.
        weights: how often each image is drawn relative to the others (with replacement); None: once each.
    """

    def __init__(
        self,
        indices: Sequence[int],
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        weights: Sequence[float] | None = None,
    ) -> None:
        if len(indices) < world_size:
            raise ValueError(f"{len(indices)} training images for {world_size} processes; use fewer processes")
        self.indices = list(indices)
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.weights = None if weights is None else torch.as_tensor(weights, dtype=torch.float64)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.indices) // self.world_size

    def __iter__(self) -> Iterator[Key]:
        seed = int(np.random.SeedSequence([self.seed, self.epoch]).generate_state(1, np.uint64)[0])
        generator = torch.Generator().manual_seed(seed % 2**63)
        if self.weights is None:
            order = torch.randperm(len(self.indices), generator=generator)
        else:
            order = torch.multinomial(self.weights, len(self.indices), replacement=True, generator=generator)
        mine = order[self.rank : len(self) * self.world_size : self.world_size]
        return iter([(self.epoch, self.indices[i]) for i in mine.tolist()])


class ShapeBatches(Sampler[list[Key]]):
    """Training batches of images that have one shape on the input grid.

    A batch stands where its first image stood; the last one of each shape may be smaller.

    Args:
        sampler: which images, in which order.
        batch_size: images a batch, at most.
        shape_of: index → (height, width).
    """

    def __init__(self, sampler: TrainSampler, batch_size: int, shape_of: ShapeOf) -> None:
        self.sampler = sampler  # under this name Lightning finds whose epoch to set
        self.batch_size = batch_size
        self.shape_of = functools.cache(shape_of)  # asked for every image each epoch, of files

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(_batches(self.sampler, self.batch_size, self.shape_of))


class EvaluationBatches(Sampler[list[Key]]):
    """Every image exactly once over all processes, unpadded, in the batches that a single process would take.

    Rounding may differ between batches of different sizes; so that scores are exactly those of one process, the
    processes share out whole batches.

    Args:
        indices: the images to score.
        batch_size: images a batch, at most.
        rank, world_size: this process, of how many.
        shape_of: index → (height, width), where images of a batch have to have one shape; None: any go together.
    """

    def __init__(
        self,
        indices: Sequence[int],
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        shape_of: ShapeOf | None = None,
    ) -> None:
        self.mine = _batches([(0, i) for i in indices], batch_size, shape_of)[rank::world_size]

    def __len__(self) -> int:
        return len(self.mine)

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self.mine)


def _batches(keys: Iterable[Key], batch_size: int, shape_of: ShapeOf | None) -> list[list[Key]]:
    """Batches of one shape each, in the order of their first images."""
    batches: list[list[Key]] = []
    filling: dict[tuple[int, int] | None, list[Key]] = {}
    for key in keys:
        shape = None if shape_of is None else shape_of(key[1])
        if len(filling.get(shape, ())) in (0, batch_size):
            filling[shape] = []
            batches.append(filling[shape])
        filling[shape].append(key)
    return batches
