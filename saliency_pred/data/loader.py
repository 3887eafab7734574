"""A DataLoader that can begin in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader

from saliency_pred.batch import Batch


class TrainLoader(DataLoader[Batch]):
    """A DataLoader whose next epoch can leave out the batches that were trained on before."""

    _left_out = 0
    _begin = 0

    def leave_out(self, batches: int) -> None:
        """The next epoch begins after so many batches; those after it are whole again."""
        self._left_out = batches

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Everything happens at the first ``next``: by then the sampler knows the epoch, and so do the workers."""
        self._begin, self._left_out = self._left_out, 0
        yield from super().__iter__()

    @property
    def _index_sampler(self) -> Any:
        """What PyTorch's iterators, with workers and without, draw the batches' indices from."""
        return _Rest(super()._index_sampler, self)


class _Rest:
    """The batches of a sampler after those that the loader leaves out; it still counts them all.

    It asks the loader at every epoch, as iterators with persistent workers keep it.
    """

    def __init__(self, sampler: Any, loader: TrainLoader) -> None:
        self.sampler = sampler
        self.loader = loader

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self.sampler), self.loader._begin, None)
