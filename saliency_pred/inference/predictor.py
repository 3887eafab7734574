"""From a checkpoint to predictions of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor

from saliency_pred.data.dataset import DOMAINS
from saliency_pred.data.placement import Placement, ResizeRule
from saliency_pred.density import CentreBias
from saliency_pred.inference.images import MAX_PIXELS, ImageLike, is_batch, rgb_image
from saliency_pred.inference.prediction import Prediction
from saliency_pred.model import SaliencyModel, best_device
from saliency_pred.weights.checkpoint import Checkpoint, load_checkpoint
from saliency_pred.weights.default import NAMES, load_default
from saliency_pred.weights.pretrained import load_pretrained, save_pretrained

DEFAULT = "default"
"""What the predictor that ships with the package is called; the same as the first of ``weights.default.NAMES``."""


class Predictor:
    """Predicts where people look in images of any size.

    Args:
        model: in evaluation mode from here on.
        size: (height, width) of the input grid that the model was trained at.
        resize: how an image is brought onto the grid.
        domain: the kind of images, a key of ``saliency_pred.data.dataset.DOMAINS``.
        device: None: the best there is.
        windows: seconds (start, end) of the model's time windows, where they are known.
        centre_bias: of the images that the model was trained on, where it is known.
        max_pixels: larger images are refused.
        batch_size: images of one shape that go through the network together.
    """

    def __init__(
        self,
        model: SaliencyModel,
        size: Sequence[int],
        resize: ResizeRule = "pad",
        domain: str = "natural-eye",
        device: torch.device | str | None = None,
        windows: Sequence[Sequence[float]] | None = None,
        centre_bias: CentreBias | None = None,
        max_pixels: int = MAX_PIXELS,
        batch_size: int = 8,
    ) -> None:
        if domain not in DOMAINS:
            raise ValueError(f"domain={domain!r} is none of {', '.join(DOMAINS)}")
        if windows is not None and len(windows) != model.num_windows:
            raise ValueError(f"the model has {model.num_windows} time windows, {len(windows)} are described")
        if batch_size < 1 or max_pixels < 1:
            raise ValueError(f"batch_size={batch_size} and max_pixels={max_pixels} must be at least 1")
        self.device = torch.device(device) if device is not None else best_device()
        self.model = model.to(self.device).eval()
        self.grid = (int(size[0]), int(size[1]))
        self.resize: ResizeRule = resize
        self.domain = domain
        self.windows = None if windows is None else tuple((float(start), float(end)) for start, end in windows)
        self.centre_bias = centre_bias
        self.max_pixels = max_pixels
        self.batch_size = batch_size
        self.checkpoint: Checkpoint | None = None

    @classmethod
    def load(
        cls,
        name: str | Path = DEFAULT,
        *,
        time: bool = False,
        domain: str = "natural-eye",
        device: torch.device | str | None = None,
        max_pixels: int = MAX_PIXELS,
        batch_size: int = 8,
    ) -> Predictor:
        """A predictor that ships with the package, or one from a file or folder.

        Args:
            name: ``default``, or another of ``saliency_pred.weights.default.NAMES``; a checkpoint of
                ``saliency train``, a ``.safetensors`` file, or a folder of :meth:`save_pretrained`.
            time: of the shipped ones, the model with a density for each time window.
            domain, device, max_pixels, batch_size: as for the class.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is no checkpoint of this package, or ``time`` is wanted of a model without windows.
            OSError: a package that the shipped weights need is not installed.
        """
        if str(name) in (DEFAULT, *NAMES):
            checkpoint = load_default(NAMES[0] if str(name) == DEFAULT else str(name), time)
        else:
            path = Path(name).expanduser()
            checkpoint = load_pretrained(path) if path.is_dir() else load_checkpoint(path)
            if time and checkpoint.model.num_windows == 1:
                raise ValueError(f"{name} predicts one density for the whole viewing, no time windows; time=false")
        return cls._of(checkpoint, domain, device, max_pixels, batch_size)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        domain: str = "natural-eye",
        device: torch.device | str | None = None,
        max_pixels: int = MAX_PIXELS,
        batch_size: int = 8,
    ) -> Predictor:
        """From a folder in the Hugging Face hub's format, or from the hub, which downloads it once.

        Args:
            name: a folder, or ``owner/name`` on the hub.
            revision: branch, tag or commit on the hub.
            domain, device, max_pixels, batch_size: as for the class.

        Raises:
            FileNotFoundError: no such folder, and no such repository on the hub.
            ValueError: its files are of another package.
            OSError: the hub cannot be reached.
        """
        return cls._of(load_pretrained(name, revision), domain, device, max_pixels, batch_size)

    @classmethod
    def _of(
        cls, checkpoint: Checkpoint, domain: str, device: torch.device | str | None, max_pixels: int, batch_size: int
    ) -> Predictor:
        loader = checkpoint.config.loader
        windows = OmegaConf.to_object(loader.windows) if loader.get("windows") is not None else None
        if checkpoint.model.num_windows == 1:  # one window that does not begin at 0 is still all there is
            windows = None
        predictor = cls(
            checkpoint.model,
            loader.size,
            loader.resize,
            domain,
            device,
            windows,  # type: ignore[arg-type]
            checkpoint.centre_bias,
            max_pixels,
            batch_size,
        )
        predictor.checkpoint = checkpoint
        return predictor

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write weights, configuration and a card into a folder that :meth:`from_pretrained` reads.

        Raises:
            ValueError: the predictor was not loaded from a checkpoint, so its configuration is not known.
        """
        if self.checkpoint is None:
            raise ValueError("only a predictor of Predictor.load or from_pretrained knows the configuration to save")
        return save_pretrained(self.checkpoint, folder)

    @overload
    def predict(self, image: list[ImageLike] | tuple[ImageLike, ...]) -> list[Prediction]: ...
    @overload
    def predict(self, image: str | Path) -> Prediction: ...
    @overload
    def predict(self, image: ImageLike) -> Prediction | list[Prediction]: ...

    def predict(self, image: ImageLike | list[ImageLike] | tuple[ImageLike, ...]) -> Prediction | list[Prediction]:
        """Predict one image, or several.

        Args:
            image: see :data:`saliency_pred.inference.images.ImageLike`; a list or a batch (B, H, W, 3) or, as a
                tensor, (B, 3, H, W) gives a list of predictions in the same order.

        Raises:
            BrokenFileError: a file that cannot be read or is larger than ``max_pixels``.
            TypeError, ValueError: something that is no image; the message says what is.
        """
        if not is_batch(image):
            return self._predict([rgb_image(image, self.max_pixels)])[0]  # type: ignore[arg-type]
        return self._predict([rgb_image(one, self.max_pixels) for one in image])  # type: ignore[union-attr]

    def _predict(self, images: list[np.ndarray]) -> list[Prediction]:
        """Batches of images that land on the same grid; in the order given."""
        places = [self.place((int(pixels.shape[0]), int(pixels.shape[1]))) for pixels in images]
        groups: dict[tuple[int, int], list[int]] = {}
        for index, place in enumerate(places):
            groups.setdefault(place.grid, []).append(index)
        found: dict[int, Prediction] = {}
        for members in groups.values():
            for first in range(0, len(members), self.batch_size):
                some = members[first : first + self.batch_size]
                log_densities = self._log_densities([images[i] for i in some], [places[i] for i in some])
                for i, log_density in zip(some, log_densities, strict=True):
                    found[i] = Prediction(log_density.cpu(), images[i], self.windows, self.centre_bias)
        return [found[i] for i in range(len(images))]

    def _log_densities(self, images: list[np.ndarray], places: list[Placement]) -> list[Tensor]:
        placed = np.stack([place.image(pixels) for place, pixels in zip(places, images, strict=True)])
        return self.model.log_density(
            torch.from_numpy(placed).to(self.device).permute(0, 3, 1, 2).float() / 255,
            torch.stack([place.valid() for place in places]).to(self.device),
            torch.tensor([DOMAINS[self.domain]] * len(images), device=self.device),
            torch.tensor([pixels.shape[:2] for pixels in images]),
        )

    def place(self, size: tuple[int, int]) -> Placement:
        """Where an image of (height, width) lands on the network's input."""
        return Placement.of(size, self.grid_for(size), self.resize)

    def grid_for(self, size: tuple[int, ...]) -> tuple[int, int]:
        """The training grid, turned for an upright image, so that padding wastes less."""
        upright = size[0] > size[1] and self.grid[1] > self.grid[0] and self.resize == "pad"
        return (self.grid[1], self.grid[0]) if upright else self.grid
