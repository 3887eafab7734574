"""What the fixations of all other images tell about one: the negatives of shuffled AUC, and a centre bias."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from saliency_pred.density import CentreBias, log_normalise
from saliency_pred.fixations import Fixations


class OtherFixations:
    """The fixations of all other images, rescaled to one: the negatives of shuffled AUC.

    Args:
        packs: by the images' names, sorted into T windows; images without fixations are None or empty.
        number: take those of so many other images, drawn at random; None: of all.
        seed: of the draw, which depends on the image's place only.
        images: which images these are, for the record.
    """

    def __init__(
        self,
        packs: Mapping[str, Fixations | None],
        number: int | None = None,
        seed: int = 0,
        images: str = "the scored images",
    ) -> None:
        self.number = number
        self.seed = seed
        self.images = images
        self.place = {name: place for place, name in enumerate(packs)}
        known = [p for p in packs.values() if p is not None]
        self.num_windows = known[0].num_windows if known else 1
        nothing = torch.zeros(0, 2, dtype=torch.float64)
        self.relative: list[list[Tensor]] = []  # window -> image -> (n, 2) x and y as shares of width and height
        for window in range(self.num_windows):
            mine = [None if p is None else p.of_window(window) for p in packs.values()]
            self.relative.append([nothing if f is None else _relative(f) for f in mine])

    @property
    def named(self) -> str:
        """In words, for the record."""
        which = "all others" if self.number is None else f"{self.number} others drawn with seed {self.seed}"
        return f"fixations on {which} of {self.images}"

    def of(self, name: str, size: tuple[int, int], window: int = 0) -> Fixations:
        """Fixations in a window on the images other than the named one, on an image of (height, width).

        Raises:
            KeyError: no image of this name.
        """
        relative, own = self.relative[min(window, self.num_windows - 1)], self.place[name]
        if self.number is None:
            chosen = relative[:own] + relative[own + 1 :]
        else:
            others = [i for i, points in enumerate(relative) if i != own and len(points)]
            if self.number < len(others):
                generator = torch.Generator().manual_seed(self.seed * 1_000_003 + own)
                others = [others[k] for k in torch.randperm(len(others), generator=generator)[: self.number].tolist()]
            chosen = [relative[i] for i in others]
        points = torch.cat(chosen) if chosen else torch.zeros(0, 2, dtype=torch.float64)
        height, width = size
        moved = Fixations.of(points[:, 0] * width, points[:, 1] * height, size)
        return moved.clean("clip")[0]  # rounding can put the last pixel's edge outside


def _relative(fixations: Fixations) -> Tensor:
    return torch.stack([fixations.x, fixations.y], 1) / fixations.size[0].flip(0).to(torch.float64)


class OtherImages:
    """The centre bias of all images but one: what shuffled AUC's negatives are drawn from, as a density.

    Args:
        packs: by the images' names, sorted into T windows; images without fixations are None or empty.
        uniform: weight of a uniform density mixed in, so that nothing is impossible.
        images: which images these are, for the record.

    Raises:
        ValueError: a window has fixations on fewer than two images.
    """

    def __init__(
        self, packs: Mapping[str, Fixations | None], uniform: float = 0.001, images: str = "the scored images"
    ) -> None:
        self.packs = {name: pack for name, pack in packs.items() if pack is not None and len(pack)}
        self.uniform = uniform
        self.named = f"centre bias of all others of {images}"
        counted = [(pack.counts > 0).double() for pack in self.packs.values()]
        number = torch.stack(counted).sum(0) if counted else torch.zeros(1)
        if bool((number < 2).any()):
            raise ValueError("the centre bias of the other images needs fixations on two images in every time window")
        # A blur is linear: the density of the others is that of all without the image's own share
        self.total = CentreBias.fit(list(self.packs.values()), uniform=0).density * number[:, None, None]
        self.number = number

    def log_density(self, image_id: str, size: tuple[int, int]) -> Tensor:
        """(T, h, w) float64 log density on an image of (height, width)."""
        total, number = self.total, self.number
        pack = self.packs.get(image_id)
        if pack is not None:
            known = pack.counts > 0
            own = torch.zeros_like(total)
            for t in known.nonzero()[:, 0].tolist():
                own[t] = CentreBias.fit([pack.of_window(t)], uniform=0).density[0]
            total, number = total - own, number - known.double()
        density = (total / number[:, None, None]).clamp(min=0)
        cells = density.shape[-1] ** 2
        mixed = CentreBias((1 - self.uniform) * density + self.uniform / cells)
        return log_normalise(mixed.log_density(size)[None])[0]
