"""The batch contract: what travels from data to models, losses and metrics.

Every key with its type, shape and unit is in :class:`Batch`; :meth:`Batch.check` holds a batch to it
at the border between data and training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from saliency_pred.fixations import Fixations

WHOLE_VIEWING = (float("-inf"), float("inf"))
"""The time window that holds every fixation, those of unknown onset too."""


@dataclass(eq=False)
class Batch:
    """B images, or B clips of F frames, with what is known of how they were looked at.

    Attributes:
        image: float32 (B, 3, H, W), or (B, 3, F, H, W) for clips; RGB in [0, 1].
        valid: bool (B, H, W); False on padding. The True pixels of each image form a rectangle.
        windows: float32 (B, T, 2), start and end of each time window in seconds.
        image_id: B names, unique within a data set.
        dataset: B names of the data sets the images are from.
        original_size: int64 (B, 2), (height, width) before any resizing.
        domain: int64 (B,), the kind of image (see ``saliency_pred.data.dataset.DOMAINS``).
        pixel_per_dva: float32 (B,), pixels of ``image`` per degree of visual angle; NaN where unknown.
        blur_sigma: float32 (B,), pixels of ``image``, of the Gaussian that makes this data set's density
            maps from fixations; NaN where unknown.
        fixations: on the grid of ``image``, sorted into ``windows``; None where a data set ships only maps.
        density: float32 (B, T, H, W), maps that a data set ships, summing to 1 over the valid pixels;
            None where there are none.
        original_fixations: the fixations on the original image, for exact scoring; None in training.
        original_density: the shipped maps at the original size, one (T, h, w) tensor an image; None in
            training or where there are none.
    """

    image: Tensor
    valid: Tensor
    windows: Tensor
    image_id: list[str]
    dataset: list[str]
    original_size: Tensor
    domain: Tensor
    pixel_per_dva: Tensor
    blur_sigma: Tensor
    fixations: Fixations | None = None
    density: Tensor | None = None
    original_fixations: Fixations | None = None
    original_density: list[Tensor] | None = None

    def __len__(self) -> int:
        return len(self.image)

    @property
    def num_windows(self) -> int:
        """T, how many time windows every image has."""
        return self.windows.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image grid, padding included."""
        return self.image.shape[-2], self.image.shape[-1]

    def check(self) -> Batch:
        """Return self, or raise ValueError naming the first key that breaks the contract."""
        if self.image.ndim not in (4, 5) or self.image.shape[1] != 3:
            raise ValueError(f"image must be (B, 3, H, W) or (B, 3, F, H, W), got {tuple(self.image.shape)}")
        b, (h, w), t = len(self), self.size, self.windows.shape[1] if self.windows.ndim == 3 else -1
        shapes: dict[str, tuple[Tensor, torch.dtype, tuple[int, ...]]] = {
            "image": (self.image, torch.float32, tuple(self.image.shape)),
            "valid": (self.valid, torch.bool, (b, h, w)),
            "windows": (self.windows, torch.float32, (b, t, 2)),
            "original_size": (self.original_size, torch.int64, (b, 2)),
            "domain": (self.domain, torch.int64, (b,)),
            "pixel_per_dva": (self.pixel_per_dva, torch.float32, (b,)),
            "blur_sigma": (self.blur_sigma, torch.float32, (b,)),
        }
        if self.density is not None:
            shapes["density"] = (self.density, torch.float32, (b, t, h, w))
        for name, (value, dtype, shape) in shapes.items():
            if value.dtype != dtype or tuple(value.shape) != shape:
                raise ValueError(
                    f"batch.{name} must be {dtype} of shape {shape}, got {value.dtype} of {tuple(value.shape)}"
                )
        for name in ("image_id", "dataset", "original_density"):
            listed = getattr(self, name)
            if listed is not None and len(listed) != b:
                raise ValueError(f"batch.{name} must name each of the {b} images, got {len(listed)}")
        for name in ("fixations", "original_fixations"):
            fixations = getattr(self, name)
            if fixations is not None and (fixations.num_samples, fixations.num_windows) != (b, t):
                raise ValueError(f"batch.{name} must pack {b} images with {t} windows, got {fixations!r}")
        if self.fixations is None and self.density is None:
            raise ValueError("a batch needs fixations, or density maps where a data set ships only maps")
        return self

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same batch on another device (called by Lightning)."""

        def move(value: Tensor | Fixations) -> Tensor | Fixations:
            return value.to(device, non_blocking=non_blocking)

        return self._apply(move)

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory (called by the data loader)."""
        return self._apply(lambda value: value.pin_memory())

    def _apply(self, function: Callable[[Tensor | Fixations], Tensor | Fixations]) -> Batch:
        changes: dict[str, object] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor | Fixations):
                changes[field.name] = function(value)
            elif field.name == "original_density" and value is not None:
                changes[field.name] = [function(v) for v in value]
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
