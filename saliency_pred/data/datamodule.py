"""From a data set to batches: parts, windows, resizing, augmentation, loading."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from saliency_pred.batch import WHOLE_VIEWING, Batch
from saliency_pred.data.cache import DiskCache
from saliency_pred.data.clips import Clips, ClipSampler
from saliency_pred.data.dataset import DOMAINS, SaliencyDataset
from saliency_pred.data.loader import TrainLoader
from saliency_pred.data.placement import Placement, ResizeRule, resize_image
from saliency_pred.data.samplers import EvaluationBatches, Key, ShapeBatches, TrainSampler
from saliency_pred.data.transforms import Augmentation
from saliency_pred.data.videos import VideoDataset
from saliency_pred.density import CentreBias
from saliency_pred.fixations import Fixations


class SaliencyDataModule(pl.LightningDataModule):
    """Batches of one data set, for training and for exact scoring.

    Args:
        dataset: any :class:`SaliencyDataset`; its ``split`` says which images train and which are scored.
        size: (height, width) of the input grid.
        resize: ``pad`` keeps the aspect, ``stretch`` does not, ``fit`` keeps it up to rounding and pads nothing:
            images get the shape of their own, within ``size``, and batches are of one shape.
        batch_size: images per process and step in training.
        eval_batch_size: the same in scoring; None: ``batch_size``. It never changes a score.
        windows: [start, end] in seconds of each time window; None: one window, the whole viewing. Of videos the
            windows are those of the predicted frames, see ``clips``; given windows take each video as one whole.
        augment: albumentations transforms for training, in order.
        workers: loader processes; 0 loads in the main process.
        cache: ``none`` decodes images each time; ``ram`` keeps them in memory at input resolution
            (augmentations then act on the resized images); anything else is a folder to keep them in, for
            other runs and processes too, see :class:`~saliency_pred.data.cache.DiskCache`. Variables of the
            environment are filled in: ``$SLURM_TMPDIR/images`` is on the node's own disk.
        blur_sigma: of target densities, pixels of the original image; None: the data set's own, else one
            degree of visual angle where that is known.
        clips: how videos are cut; None: single frames. Images pass it by.
        domains: names of data sets whose images are a domain of their own, for parameters that differ from set to
            set; the k-th (from 0) has the index ``len(DOMAINS) + k``. Other images have that of their kind.
        seed: of the split, the order and the augmentations.
    """

    def __init__(
        self,
        dataset: SaliencyDataset,
        size: Sequence[int],
        resize: ResizeRule = "pad",
        batch_size: int = 8,
        eval_batch_size: int | None = None,
        windows: Sequence[Sequence[float]] | None = None,
        augment: Sequence[Any] = (),
        workers: int = 0,
        cache: str = "none",
        blur_sigma: float | None = None,
        clips: ClipSampler | None = None,
        domains: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f"loader.size must be [height, width] in pixels, got {list(size)}")
        if isinstance(dataset, VideoDataset) and windows is None:
            if cache != "none":
                raise ValueError(f"loader.cache={cache} keeps images, not frames of videos; set loader.cache=none")
            dataset = Clips(dataset, clips or ClipSampler(), seed)
            windows = dataset.nominal_windows()
        self.dataset = dataset
        self.grid = (int(size[0]), int(size[1]))
        self.resize = resize
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size or batch_size
        # float64, as onsets are: in float32 an onset of 1.205 s lies before a window that starts there.
        self.windows = torch.tensor([WHOLE_VIEWING] if windows is None else windows, dtype=torch.float64)
        if self.windows.ndim != 2 or self.windows.shape[1] != 2 or not bool((self.windows.diff() > 0).all()):
            raise ValueError(
                f"loader.windows must list [start, end] pairs in seconds, each start before its end, got {windows}"
            )
        self.augment = list(augment)
        self.workers = workers
        self.cache = cache
        self.blur_sigma = blur_sigma
        self.domains = list(domains)
        self.seed = seed
        self.parts = dataset.parts(seed)
        self.cached_images: CachedImages | DiskCache | None = None
        if cache == "ram":
            self.cached_images = CachedImages(len(dataset), self.grid)
        elif cache != "none":
            with tqdm(total=len(dataset), desc=f"decoding {dataset.name}", unit="image", disable=None) as bar:
                folder = expanded(cache)
                self.cached_images = DiskCache.open(dataset, self.grid, resize, folder, max(1, workers), bar.update)

    # ------------------------------------------------------------------ loaders

    def train_dataloader(self) -> DataLoader:
        """Batches of the train part, augmented, in the order of the epoch."""
        sampler = TrainSampler(self.indices("train"), self.seed, *self._process(), weights=self._weights())
        batches: dict[str, Any] = {"batch_size": self.batch_size, "sampler": sampler}
        if self.resize == "fit":
            if sampler.world_size > 1 or sampler.weights is not None:
                raise ValueError(
                    "loader.resize=fit makes as many batches as there are shapes to fill, which must not change from "
                    "epoch to epoch or process to process: train in one process and with data.weights=null, or "
                    "choose loader.resize=pad"
                )
            batches = {"batch_sampler": ShapeBatches(sampler, self.batch_size, self._shape)}
        source = PreparedImages(self, Augmentation(self.augment, self.seed) if self.augment else None, False)
        return TrainLoader(source, **batches, **self._loading())

    def val_dataloader(self) -> DataLoader:
        """Batches of the val part, for scoring at the original size."""
        return self.evaluation_dataloader("val")

    def evaluation_dataloader(self, part: str) -> DataLoader:
        """Batches of a part, each image once over all processes, with the originals' fixations."""
        shape_of = self._shape if self.resize == "fit" else None
        batches = EvaluationBatches(self.indices(part), self.eval_batch_size, *self._process(), shape_of)
        return DataLoader(PreparedImages(self, None, True), batch_sampler=batches, **self._loading())

    def indices(self, part: str) -> list[int]:
        """The images of a part, or of ``all`` parts and none.

        Raises:
            ValueError: the split has no such part.
        """
        if part == "all":
            return list(range(len(self.dataset)))
        if part not in self.parts:
            raise ValueError(
                f"split {self.dataset.split!r} has no part {part!r}, it has {', '.join([*self.parts, 'all'])}"
            )
        return self.parts[part]

    def single(self, index: int) -> Batch:
        """One image as a batch of its own, as it is scored."""
        return collate([PreparedImages(self, None, True)[0, index]])

    def _loading(self) -> dict[str, Any]:
        """What loaders of all parts have in common."""
        return {
            "num_workers": self.workers,
            "collate_fn": collate,
            "worker_init_fn": _one_thread,
            "pin_memory": torch.cuda.is_available(),
            "persistent_workers": self.workers > 0,
        }

    def _shape(self, index: int) -> tuple[int, int]:
        """(height, width) of an image on the input grid."""
        return Placement.of(self.dataset.size(index), self.grid, self.resize).grid

    def _process(self) -> tuple[int, int]:
        if self.trainer is not None:
            return self.trainer.global_rank, self.trainer.world_size
        return 0, 1

    def _weights(self) -> list[float] | None:
        """How often each training image is drawn, where the data set says so."""
        of = getattr(self.dataset, "sampling_weight", None)
        return None if of is None else [of(i) for i in self.parts["train"]]

    def sigma_of(self, dataset: SaliencyDataset) -> float:
        """Pixels of the original image that the maps of a data set are blurred with; NaN where unknown."""
        if self.blur_sigma is not None:
            return self.blur_sigma
        return dataset.pixel_per_dva if math.isnan(dataset.blur_sigma) else dataset.blur_sigma

    def domain_of(self, dataset: SaliencyDataset) -> int:
        """The index of the domain of a data set's images."""
        if dataset.name in self.domains:
            return len(DOMAINS) + self.domains.index(dataset.name)
        return DOMAINS[dataset.domain]

    # ------------------------------------------------------------------ what is fitted before training

    def windows_of(self, index: int) -> Tensor:
        """(T, 2) float64 seconds: the time windows of one image, which differ from clip to clip."""
        return self.dataset.windows(index) if isinstance(self.dataset, Clips) else self.windows

    def window_fixations(self, index: int) -> Fixations | None:
        """The original fixations of one image, cleaned and sorted into the windows."""
        fixations = self.dataset.clean_fixations(index)
        return None if fixations is None else fixations.assign_windows(self.windows_of(index))

    def centre_bias(self) -> CentreBias | None:
        """Fitted to the fixations of the train part; None where a data set ships only maps.

        Of videos one bias for all windows, fitted to some frames of each training video.
        """
        if isinstance(self.dataset, Clips):
            packs = self.dataset.some_fixations("train")
        else:
            packs = [f for f in map(self.window_fixations, self.indices("train")) if f is not None]
        return CentreBias.fit(packs) if packs else None


def expanded(cache: str) -> str:
    """A folder with the environment's variables filled in.

    Raises:
        ValueError: a variable that is not set.
    """
    folder = os.path.expandvars(cache)
    if "$" in folder:
        raise ValueError(f"loader.cache={cache}: that variable is not set here; give a folder, or loader.cache=none")
    return folder


class PreparedImages(Dataset[Batch]):
    """Single images as batches of one, ready to be collated.

    Args:
        module: whose data set and options are used.
        augmentation: of training images; None: none.
        original: whether the fixations and maps at the original size come along, for scoring.
    """

    def __init__(self, module: SaliencyDataModule, augmentation: Augmentation | None, original: bool) -> None:
        self.dataset = module.dataset
        self.grid = module.grid
        self.resize = module.resize
        self.windows = module.windows
        self.sigma_of = module.sigma_of
        self.domain_of = module.domain_of
        self.cached = module.cached_images
        self.augmentation = augmentation
        self.original = original

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> Batch:
        epoch, index = key
        dataset, at = self.dataset.source(index)
        windows = self.windows
        if isinstance(dataset, Clips):
            clip = dataset.sample(at, epoch)
            image, fixations, density, windows = clip.image, clip.fixations, clip.density, dataset.windows(at, epoch)
            original = _size(image)
        else:
            image, original = self._image(index)
            fixations, density = dataset.clean_fixations(at), dataset.density(at)
        exact = (fixations, density) if self.original else (None, None)
        loaded = _size(image)
        if loaded != original and fixations is not None:
            fixations = fixations.rescale(torch.tensor([loaded]))
        if self.augmentation is not None:
            if loaded != original and density is not None:
                density = Placement.of(original, loaded, "stretch").density(density)
            image, fixations, density = self.augmentation(image, fixations, density, key)
        if self.resize == "fit":  # a cropped image too takes the shape of the whole one, as its batch does
            place = Placement.of(_size(image), Placement.of(original, self.grid, "fit").grid, "stretch")
        else:
            place = Placement.of(_size(image), self.grid, self.resize)
        pixels = torch.from_numpy(np.ascontiguousarray(place.image(image)))
        scale = loaded[1] / original[1] * place.size[1] / _size(image)[1]
        return Batch(
            image=torch.movedim(pixels, -1, 0).float().div_(255)[None],
            valid=place.valid()[None],
            windows=windows[None].float(),
            image_id=[self.dataset.image_ids[index]],
            dataset=[dataset.name],
            original_size=torch.tensor([original]),
            domain=torch.tensor([self.domain_of(dataset)]),
            pixel_per_dva=torch.tensor([dataset.pixel_per_dva * scale], dtype=torch.float32),
            blur_sigma=torch.tensor([self.sigma_of(dataset) * scale], dtype=torch.float32),
            fixations=None if fixations is None else place.fixations(fixations).assign_windows(windows),
            density=None if density is None else place.density(density)[None],
            original_fixations=None if exact[0] is None else exact[0].assign_windows(windows),
            original_density=None if exact[1] is None else [exact[1]],
        )

    def _image(self, index: int) -> tuple[np.ndarray, tuple[int, int]]:
        """The image, at its own size or from the cache at input resolution, and its own size."""
        if self.cached is None:
            image = self.dataset.image(index)
            return image, _size(image)
        if isinstance(self.cached, DiskCache):
            return self.cached.get(index), self.dataset.size(index)
        kept = self.cached.get(index)
        if kept is not None:
            return kept, self.dataset.size(index)
        image = self.dataset.image(index)
        original = _size(image)
        small = resize_image(image, Placement.of(original, self.grid, self.resize).size)
        self.cached.put(index, small)
        return small, original


class CachedImages:
    """Resized images in memory that all workers share.

    Args:
        count: of images.
        grid: (height, width) that none of them exceeds.
    """

    def __init__(self, count: int, grid: tuple[int, int]) -> None:
        self.pixels = torch.empty((count, *grid, 3), dtype=torch.uint8).share_memory_()
        self.sizes = torch.zeros((count, 2), dtype=torch.int64).share_memory_()

    def get(self, index: int) -> np.ndarray | None:
        """The image, or None if it was not put in yet."""
        height, width = self.sizes[index].tolist()
        return self.pixels[index, :height, :width].numpy() if height else None

    def put(self, index: int, image: np.ndarray) -> None:
        """Keep an image; its size is written last, so that nobody reads half an image."""
        height, width = _size(image)
        self.pixels[index, :height, :width] = torch.from_numpy(np.ascontiguousarray(image))
        self.sizes[index] = torch.tensor([height, width])


def collate(items: Sequence[Batch]) -> Batch:
    """Batches of one → one batch, checked against the contract."""

    def packed(name: str) -> Fixations | None:
        parts = [getattr(item, name) for item in items]
        return None if any(p is None for p in parts) else Fixations.cat(parts)

    def stacked(name: str) -> Tensor:
        return torch.cat([getattr(item, name) for item in items])

    densities = [item.density for item in items]
    originals = [item.original_density for item in items]
    return Batch(
        **{name: stacked(name) for name in _STACKED},
        image_id=[name for item in items for name in item.image_id],
        dataset=[name for item in items for name in item.dataset],
        fixations=packed("fixations"),
        density=None if any(d is None for d in densities) else stacked("density"),
        original_fixations=packed("original_fixations"),
        original_density=None if any(o is None for o in originals) else [d for o in originals if o for d in o],
    ).check()


_STACKED = ("image", "valid", "windows", "original_size", "domain", "pixel_per_dva", "blur_sigma")


def _size(image: np.ndarray) -> tuple[int, int]:
    """(height, width) of (H, W, 3) or (F, H, W, 3)."""
    return int(image.shape[-3]), int(image.shape[-2])


def _one_thread(worker: int) -> None:
    """Workers are the parallelism; threads of OpenCV within them only get in each other's way."""
    cv2.setNumThreads(0)
