"""Several data sets as one, each with its share of the training."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.fixations import Fixations


class Union(SaliencyDataset):
    """The images of several data sets one after another, each set with its own split.

    Image ids are ``<set>/<image id>``. Domain, blur and scale stay those of the set that an image comes from
    (:meth:`source`).

    Args:
        sets: the data sets.
        weights: how large a share of the training each set gets, whatever its size: with 1, 1 each of two
            sets fills half of an epoch (drawn with replacement). None: every training image once an epoch.
        limits: at most so many training images of each set, drawn with the seed; None: all of it.
    """

    name = "union"

    def __init__(
        self,
        sets: Sequence[SaliencyDataset],
        weights: Sequence[float] | None = None,
        limits: Sequence[int | None] | None = None,
    ) -> None:
        if not sets:
            raise ValueError("union: list at least one data set under data.sets")
        for option, values in (("weights", weights), ("limits", limits)):
            if values is not None and len(values) != len(sets):
                raise ValueError(f"union: {len(sets)} sets but {len(values)} {option}; give one for each")
        if weights is not None and not all(w > 0 and math.isfinite(w) for w in weights):
            raise ValueError(f"union: weights must be positive numbers, got {list(weights)}")
        if limits is not None and not all(n is None or n > 0 for n in limits):
            raise ValueError(f"union: limits must be positive or null, got {list(limits)}")
        self.sets = list(sets)
        self.weights = None if weights is None else [float(w) for w in weights]
        self.limits = [None] * len(self.sets) if limits is None else list(limits)
        self.root = self.sets[0].root if hasattr(self.sets[0], "root") else None  # type: ignore[assignment]
        self.split = " + ".join(s.split for s in self.sets)
        self.outside = self.sets[0].outside
        names = _names(self.sets)
        self.image_ids = [f"{n}/{i}" for n, s in zip(names, self.sets, strict=True) for i in s.image_ids]
        self._first = np.concatenate([[0], np.cumsum([len(s) for s in self.sets])])
        self.issues = {}
        for n, s in zip(names, self.sets, strict=True):
            for issue, where in s.issues.items():
                self.issues.setdefault(issue, []).extend(f"{n}/{w}" for w in where)

    def source(self, index: int) -> tuple[SaliencyDataset, int]:
        """The set that an image comes from (the innermost, of unions of unions), and its index there."""
        k = int(np.searchsorted(self._first, index, side="right")) - 1
        return self.sets[k].source(index - int(self._first[k]))

    def parts(self, seed: int = 0) -> dict[str, list[int]]:
        """The parts of all sets together."""
        together: dict[str, list[int]] = {}
        for k, one in enumerate(self.sets):
            for part, indices in one.parts(seed).items():
                limit = self.limits[k] if part == "train" else None
                if limit is not None and limit < len(indices):
                    by_name = sorted(indices, key=lambda i, ids=one.image_ids: ids[i])  # type: ignore[misc]
                    drawn = np.random.default_rng(seed).permutation(len(by_name))[:limit]
                    indices = sorted(by_name[i] for i in drawn)
                together.setdefault(part, []).extend(int(self._first[k]) + i for i in indices)
        return together

    @property
    def sampling_weight(self) -> Callable[[int], float] | None:
        """How often a training image is drawn relative to the others; None: each once an epoch."""
        return None if self.weights is None else self._weight

    def _weight(self, index: int) -> float:
        k = int(np.searchsorted(self._first, index, side="right")) - 1
        assert self.weights is not None
        return self.weights[k] / self._training_images[k]

    @property
    def _training_images(self) -> list[int]:
        """How many training images each set has; a split's seed changes which, not how many."""
        counts = self.__dict__.get("_counts")
        if counts is None:
            train = np.searchsorted(self._first, self.parts().get("train", []), side="right") - 1
            by_set = Counter(train.tolist())
            counts = self.__dict__["_counts"] = [max(by_set[k], 1) for k in range(len(self.sets))]
        return counts

    # ------------------------------------------------------------------ images: as in their own set

    def _ask(self, question: str, index: int) -> Any:
        one, at = self.source(index)
        return getattr(one, question)(at)

    def image(self, index: int) -> np.ndarray:
        """uint8 (H, W, 3) RGB as shown, or (F, H, W, 3) for clips."""
        picture: np.ndarray = self._ask("image", index)
        return picture

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of :meth:`image`."""
        height, width = self._ask("size", index)
        return height, width

    def fixations(self, index: int) -> Fixations | None:
        """The fixations of one image, in its pixels, as stored."""
        found: Fixations | None = self._ask("fixations", index)
        return found

    def clean_fixations(self, index: int) -> Fixations | None:
        """The fixations, those outside treated as the image's own set says."""
        found: Fixations | None = self._ask("clean_fixations", index)
        return found

    def density(self, index: int) -> Tensor | None:
        """Shipped maps, where the image's own set ships them."""
        found: Tensor | None = self._ask("density", index)
        return found

    def category(self, index: int) -> str | None:
        """The category in the image's own set."""
        found: str | None = self._ask("category", index)
        return found

    def official_part(self, index: int) -> str | None:
        """The official part in the image's own set."""
        found: str | None = self._ask("official_part", index)
        return found


def _names(sets: Sequence[SaliencyDataset]) -> list[str]:
    """Each set's name; numbered where two are of one kind."""
    count = Counter(s.name for s in sets)
    seen: Counter[str] = Counter()
    names = []
    for s in sets:
        seen[s.name] += 1
        names.append(s.name if count[s.name] == 1 else f"{s.name}-{seen[s.name]}")
    return names
