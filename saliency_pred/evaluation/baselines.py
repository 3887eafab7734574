"""What every model is read against: each baseline scores an image the way a model does.

``uniform`` (all pixels alike), ``centre_bias`` (of the training images), ``other_images`` (the centre bias of all
scored images but the one), ``spectral_residual`` (a classic that looks at the image only), for generated scenes
``truth`` (the density that the fixations were drawn from: no prediction can do better on average), and the ceilings
that people set for models, see :mod:`saliency_pred.evaluation.ceilings`: ``gold_standard``, ``other_viewers``,
``split_half``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from saliency_pred.data.clips import Clips
from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.errors import MissingFixationsError
from saliency_pred.data.placement import resize_image
from saliency_pred.density import CentreBias, GoldStandard, log_normalise
from saliency_pred.evaluation.ceilings import SplitHalf, gaussian_of, gold_standard, other_viewers
from saliency_pred.evaluation.other_images import OtherImages
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.fixations import Fixations
from saliency_pred.metrics.accumulate import Row

FIT_IMAGES = 200
"""The gold standard's bandwidth is chosen on so many of the training images at most."""


class Baseline(Protocol):
    """Scores one image of a data module."""

    def __call__(self, index: int) -> Row:
        """image_id, dataset, fixations, and the scorer's metrics."""
        ...


@dataclass(frozen=True)
class DensityBaseline:
    """A baseline that states one log density an image, as a model does.

    Attributes:
        data, scorer: what is scored and how.
        log_density: index → (T, h, w) at the image's own size.
    """

    data: SaliencyDataModule
    scorer: Scorer
    log_density: Callable[[int], Tensor]

    def __call__(self, index: int) -> Row:
        dataset, at = self.data.dataset.source(index)
        predicted = self.log_density(index)
        sigma = self.data.sigma_of(dataset)
        name = self.data.dataset.image_ids[index]
        described = {"image_id": name, "dataset": dataset.name}
        fixations = self.data.window_fixations(index)
        windows = self.data.windows.shape[0]
        return described | self.scorer.score(
            predicted.expand(windows, -1, -1), fixations, dataset.density(at), sigma, name, dataset.name
        )


def spectral_residual(image: np.ndarray, width: int = 64) -> np.ndarray:
    """Saliency of Hou & Zhang (CVPR 2007): what is unusual in the amplitude spectrum.

    Args:
        image: uint8 (H, W, 3) RGB.
        width: of the image that is analysed, in pixels.

    Returns:
        float64 (H, W), non-negative.
    """
    height = max(8, round(image.shape[0] * width / image.shape[1]))
    grey = cv2.cvtColor(resize_image(image, (height, width)), cv2.COLOR_RGB2GRAY).astype(np.float64)
    spectrum = np.fft.fft2(grey)
    log_amplitude = np.log(np.abs(spectrum) + 1e-9)
    residual = log_amplitude - cv2.blur(log_amplitude, (3, 3))
    saliency = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    saliency = cv2.GaussianBlur(saliency, (0, 0), 2.5)
    return np.maximum(cv2.resize(saliency, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_CUBIC), 0)


def make_baseline(name: str, data: SaliencyDataModule, part: str, scorer: Scorer) -> Baseline:
    """A baseline by name, fitted on the train part of the data.

    Args:
        name: of :data:`BASELINES`.
        data, part: which images are scored.
        scorer: how.

    Raises:
        ValueError: an unknown name, or one that these data cannot give.
    """
    if name == "uniform":
        return DensityBaseline(data, scorer, lambda i: _uniform(data.dataset.size(i)))
    bias = scorer.baseline
    if name in ("centre_bias", "gold_standard") and bias is None:
        raise MissingFixationsError(f"baseline {name} is made of fixations, and {data.dataset.name} ships only maps")
    if name == "centre_bias" and bias is not None:
        return DensityBaseline(data, scorer, lambda i: bias.log_density(data.dataset.size(i)))
    if name == "other_images":
        others = OtherImages({data.dataset.image_ids[i]: data.window_fixations(i) for i in data.indices(part)})
        return DensityBaseline(
            data, scorer, lambda i: others.log_density(data.dataset.image_ids[i], data.dataset.size(i))
        )
    if name == "spectral_residual":

        def predict(index: int) -> Tensor:
            dataset = data.dataset
            shown = dataset.predicted_frames(index) if isinstance(dataset, Clips) else dataset.image(index)[None]
            saliency = torch.stack([torch.from_numpy(spectral_residual(frame)) for frame in shown])
            floor = 1e-6 * saliency.amax((-2, -1), keepdim=True) + 1e-12
            return log_normalise((saliency + floor).log()[None])[0]

        return DensityBaseline(data, scorer, predict)
    if name == "gold_standard" and bias is not None:
        return gold_standard(data, scorer, fitted_gold_standard(data, bias), bias)
    if name in ("other_viewers", "split_half") and not any(len(pack.viewers()) > 1 for pack in _some_packs(data)):
        raise MissingFixationsError(
            f"baseline {name} needs images that two known viewers looked at, and {data.dataset.name} has none"
        )
    if name == "other_viewers":
        return other_viewers(data, scorer)
    if name == "split_half":
        if unknown := _without_gaussian(data, scorer):
            raise ValueError(
                f"baseline split_half blurs fixations, and no Gaussian is known for {', '.join(unknown)}: give one as "
                f"+preset.sigma.{unknown[0]}=PIXELS"
            )
        return SplitHalf(data, scorer)
    if name == "truth":
        truth = getattr(data.dataset, "true_log_density", None)
        if truth is None:
            raise ValueError("baseline truth needs generated scenes (data=synthetic): elsewhere the truth is unknown")
        return DensityBaseline(data, scorer, lambda i: truth(i, data.windows))
    raise ValueError(f"baseline {name!r} is none of {', '.join(BASELINES)}")


def _uniform(size: tuple[int, int]) -> Tensor:
    return log_normalise(torch.zeros(1, 1, *size, dtype=torch.float64))[0]


BASELINES = (
    "uniform",
    "centre_bias",
    "other_images",
    "spectral_residual",
    "gold_standard",
    "other_viewers",
    "split_half",
    "truth",
)

CEILINGS = ("gold_standard", "other_viewers", "split_half")
"""What people set; the last two take as long as the first and are computed where they are asked for."""


def applicable(data: SaliencyDataModule, scorer: Scorer, ceilings: bool = False) -> list[str]:
    """The baselines that can be had for these data.

    Args:
        ceilings: whether those of :data:`CEILINGS` that are computed on request are among them.
    """
    packs = _some_packs(data)
    names = ["uniform"]
    if scorer.baseline is not None:
        names.append("centre_bias")
    names.append("spectral_residual")
    if any(len(pack.viewers()) > 1 for pack in packs) and scorer.baseline is not None:
        names.append("gold_standard")
        if ceilings:
            names.insert(2, "other_images")
            names += ["other_viewers"] if _without_gaussian(data, scorer) else ["other_viewers", "split_half"]
    if hasattr(data.dataset, "true_log_density"):
        names.append("truth")
    return names


def fitted_gold_standard(data: SaliencyDataModule, bias: CentreBias) -> GoldStandard:
    """Bandwidth and weights by likelihood on training images, of all windows together.

    A centre bias predicts the images it was made of better than others, the more so the fewer they are; mixed with
    such a one the other viewers would seem to be worth little. Half of the images therefore give a centre bias, and
    the gold standard is fitted to the other half with it; below 8 images ``bias`` is taken as it is.
    """
    packs = [pack for pack in _some_packs(data) if len(pack)]
    if len(packs) < 8:
        return GoldStandard.fit(packs, bias)
    return GoldStandard.fit(packs[1::2], CentreBias.fit(packs[::2]))


def _some_packs(data: SaliencyDataModule) -> list[Fixations]:
    """Fixations of training images, single-window; of any images where there is no train part."""
    indices = data.parts.get("train") or range(len(data.dataset))
    packs = (data.dataset.clean_fixations(i) for i in indices[:FIT_IMAGES])
    return [pack for pack in packs if pack is not None]


def _without_gaussian(data: SaliencyDataModule, scorer: Scorer) -> list[str]:
    """The data sets whose human densities nobody knows how to blur."""
    return sorted(
        {data.dataset.source(i)[0].name for i in range(len(data.dataset)) if math.isnan(gaussian_of(data, scorer, i))}
    )
