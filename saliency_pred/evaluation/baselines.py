"""What every model is read against: each baseline scores an image the way a model does.

``uniform`` (all pixels alike), ``centre_bias`` (of the training images), ``spectral_residual`` (a classic
that looks at the image only), for generated scenes ``truth`` (the density that the fixations were drawn from: no
prediction can do better on average), and the ceilings that people set for models, see
:mod:`saliency_pred.evaluation.ceilings`: ``gold_standard``, ``other_viewers``, ``split_half``.
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

from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.errors import MissingFixationsError
from saliency_pred.data.placement import resize_image
from saliency_pred.density import CentreBias, GoldStandard, log_normalise
from saliency_pred.evaluation.ceilings import SplitHalf, gaussian_of, gold_standard, other_viewers
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


def make_baseline(name: str, data: SaliencyDataModule, scorer: Scorer) -> Baseline:
    """A baseline by name, fitted on the train part of the data.

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
    if name == "spectral_residual":

        def predict(index: int) -> Tensor:
            saliency = torch.from_numpy(spectral_residual(data.dataset.image(index)))
            return log_normalise((saliency + 1e-6 * saliency.max() + 1e-12).log()[None, None])[0]

        return DensityBaseline(data, scorer, predict)
    if name == "gold_standard" and bias is not None:
        return gold_standard(data, scorer, fitted_gold_standard(data, bias), bias)
    if name in ("other_viewers", "split_half"):
        if not any(len(pack.viewers()) > 1 for pack in _some_packs(data)):
            raise MissingFixationsError(f"baseline {name} needs images seen by two known viewers; {data.dataset.name}")
        if unknown := _without_gaussian(data, scorer):
            raise ValueError(
                f"baseline {name} blurs fixations, and no Gaussian is known for {', '.join(unknown)}: give one as "
                f"'+preset.sigma.{unknown[0]}=PIXELS'"
            )
        return SplitHalf(data, scorer) if name == "split_half" else other_viewers(data, scorer)
    if name == "truth":
        truth = getattr(data.dataset, "true_log_density", None)
        if truth is None:
            raise ValueError("baseline truth needs generated scenes (data=synthetic): elsewhere the truth is unknown")
        return DensityBaseline(data, scorer, lambda i: truth(i, data.windows))
    raise ValueError(f"baseline {name!r} is none of {', '.join(BASELINES)}")


def _uniform(size: tuple[int, int]) -> Tensor:
    return log_normalise(torch.zeros(1, 1, *size, dtype=torch.float64))[0]


BASELINES = ("uniform", "centre_bias", "spectral_residual", "gold_standard", "other_viewers", "split_half", "truth")

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
        if ceilings and not _without_gaussian(data, scorer):
            names += ["other_viewers", "split_half"]
    if hasattr(data.dataset, "true_log_density"):
        names.append("truth")
    return names


def fitted_gold_standard(data: SaliencyDataModule, bias: CentreBias) -> GoldStandard:
    """Bandwidth and weights by likelihood on the first images of the train part, of all windows together."""
    return GoldStandard.fit(_some_packs(data), bias)


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
