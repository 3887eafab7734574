"""Named, deterministic splits of a data set into train, val and test.

A split is spelled

    all                   every image is both trained on and scored: for the final model, or a test set alone
    140/40                so many images to train and val, drawn at random with the seed
    0.8/0.1/0.1           the same as shares of the images; a third number is the test part
    10-fold-3             the fourth (counting from 0) of ten folds is val, the others train
    per-category-0.8/0.2  any of the above, drawn within each category of images
    official              the parts that the release itself is divided into

The draw depends on the image names and the seed only: not on the order of files, the machine or the
number of processes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

PARTS = ("train", "val", "test")
PER_CATEGORY = "per-category-"


def split_indices(
    image_ids: Sequence[str],
    split: str,
    seed: int | Sequence[int] = 0,
    categories: Sequence[str | None] | None = None,
    official: Sequence[str | None] | None = None,
) -> dict[str, list[int]]:
    """Indices of each part, ascending.

    Args:
        image_ids: the names of all images.
        split: see the module's text.
        seed: of the draw.
        categories: of each image, for ``per-category-``.
        official: the part that the release puts each image into, for ``official``; None: into none.

    Raises:
        ValueError: the split is misspelled, or asks for more images than there are, or leaves a part empty.
    """
    n = len(image_ids)
    if split == "all":
        return {"train": list(range(n)), "val": list(range(n))}
    if split == "official":
        if official is None or not any(official):
            raise ValueError("split 'official': this data set is released without parts; write 0.8/0.2 or the like")
        parts = {name: [i for i in range(n) if official[i] == name] for name in PARTS}
        return {name: indices for name, indices in parts.items() if indices}
    if split.startswith(PER_CATEGORY):
        if categories is None or not any(categories):
            raise ValueError(f"split {split!r}: the images of this data set have no categories")
        parts = {}
        for category in sorted({c or "" for c in categories}):
            members = [i for i in range(n) if (categories[i] or "") == category]
            try:
                own = [*([seed] if isinstance(seed, int) else seed), zlib.crc32(category.encode())]
                drawn = split_indices([image_ids[i] for i in members], split.removeprefix(PER_CATEGORY), own)
            except ValueError as problem:
                raise ValueError(f"category {category or '(none)'}: {problem}") from problem
            for name, chosen in drawn.items():
                parts.setdefault(name, []).extend(members[i] for i in chosen)
        return {name: sorted(indices) for name, indices in parts.items()}
    by_name = sorted(range(n), key=lambda i: image_ids[i])
    order = [by_name[i] for i in np.random.default_rng(seed).permutation(n)]
    if fold := re.fullmatch(r"(\d+)-fold-(\d+)", split):
        count, held_out = int(fold[1]), int(fold[2])
        if not (2 <= count <= n and held_out < count):
            raise ValueError(f"split {split!r}: {n} images need 2 <= folds <= {n} and fold < folds")
        val = order[held_out::count]
        return {"train": sorted(set(order) - set(val)), "val": sorted(val)}
    numbers = split.split("/")
    if not (2 <= len(numbers) <= 3 and all(re.fullmatch(r"\d*\.?\d+", s) for s in numbers)):
        raise ValueError(
            f"split {split!r} is unknown; write all, counts as 140/40, shares as 0.8/0.1/0.1, 10-fold-3, "
            "per-category-0.8/0.2 or official"
        )
    if any("." in s for s in numbers):
        shares = [float(s) for s in numbers]
        if abs(sum(shares) - 1) > 1e-6:
            raise ValueError(f"split {split!r}: shares must add up to 1, these add up to {sum(shares):g}")
        ends = [round(n * sum(shares[: i + 1])) for i in range(len(shares))]
    else:
        ends = list(np.cumsum([int(s) for s in numbers]))
        if ends[-1] > n:
            raise ValueError(
                f"split {split!r} needs {ends[-1]} images, the data set has {n}; shares such as 0.8/0.2 fit any number"
            )
    starts = [0, *ends[:-1]]
    parts = {name: sorted(order[a:b]) for name, a, b in zip(PARTS, starts, ends, strict=False)}
    empty = [name for name, indices in parts.items() if not indices]
    if empty:
        raise ValueError(f"split {split!r} of {n} images leaves {' and '.join(empty)} empty")
    return parts
