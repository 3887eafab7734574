"""The model: encoder, decoder and prior; the only place where the three meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency_pred.density import CentreBias, log_normalise, resize_log_density
from saliency_pred.features import FeatureCache
from saliency_pred.per_domain import PerDomain


class Encoder(Protocol):
    """What an encoder offers beside being an ``nn.Module``.

    Attributes:
        channels: of each returned map.
        strides: pixels of the image per cell of each returned map.
        mean, std: what an image in [0, 1] is normalised by before the encoder sees it.
    """

    channels: list[int]
    strides: list[int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) → list of (B, C, h, w); (B, 3, F, H, W) → list of (B, C, f, h, w)."""
        ...


class Decoder(Protocol):
    """What a decoder offers beside being an ``nn.Module``; it is built with ``channels`` and ``strides``.

    Attributes:
        num_windows: T, how many time windows it predicts; of clips: how many frames.

    Decoders of clips have two more. ``position`` says which frames of a clip they predict: ``last``, ``centre``
    (index F // 2 of F), or ``all``. And those that carry a state through a video have ``stream(features, domain,
    state) -> (logits, state)``, which gives for a video in pieces what ``forward`` gives for it in one clip.
    """

    num_windows: int

    def __call__(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features, and the kind of each image where that matters → logits (B, T, h, w) of any resolution."""
        ...


class CentreBiasPrior(nn.Module):
    """A centre bias added to the logits with a learned weight.

    Args:
        num_windows: T; a bias fitted without time windows is used for each of them.
        grid: cells along each side of the stored density.
        weight: of the log density to begin with.
        domains: kinds of images that have a weight of their own, see :class:`~saliency_pred.per_domain.PerDomain`.
    """

    log_density: Tensor

    def __init__(self, num_windows: int = 1, grid: int = 64, weight: float = 1.0, domains: Sequence[int] = ()) -> None:
        super().__init__()
        self.weight = PerDomain(weight, domains)
        self.register_buffer("log_density", torch.zeros(num_windows, grid, grid))

    def fit(self, centre_bias: CentreBias) -> None:
        """Take over a fitted centre bias."""
        windows, grid, _ = self.log_density.shape
        fitted = centre_bias.log_density((grid, grid)) + 2 * torch.log(torch.tensor(float(grid)))
        if len(fitted) not in (1, windows):
            raise ValueError(f"the prior has {windows} time windows, the fitted centre bias {len(fitted)}")
        self.log_density.copy_(fitted.expand(windows, -1, -1))

    def forward(self, size: tuple[int, int], valid: Tensor | None, domain: Tensor | None = None) -> Tensor:
        """(1 or B, T, H, W) weighted log prior, laid over the rectangle of valid pixels of each image."""
        prior = self.log_density[None]
        weight = self.weight(domain, 1 if domain is None else domain.shape[0]).reshape(-1, 1, 1, 1)
        if valid is None or bool(valid.all()):
            return weight * F.interpolate(prior, size=size, mode="bilinear", align_corners=False)
        x = _position_in_span(valid.any(1))[:, None, :].expand(-1, size[0], -1)
        y = _position_in_span(valid.any(2))[:, :, None].expand(-1, -1, size[1])
        return weight * F.grid_sample(
            prior.expand(len(valid), -1, -1, -1),
            torch.stack([x, y], -1).to(prior.dtype),
            padding_mode="border",
            align_corners=False,
        )


def _position_in_span(inside: Tensor) -> Tensor:
    """(B, n) bool with one run of True each → positions of the n cell centres, -1 and 1 at the run's ends."""
    first = inside.float().argmax(1, keepdim=True)
    length = inside.sum(1, keepdim=True)
    centre = torch.arange(inside.shape[1], device=inside.device) + 0.5
    return (centre - first) / length * 2 - 1


class SaliencyModel(nn.Module):
    """Images in, log densities of fixations over time windows out.

    Args:
        encoder: see :class:`Encoder`.
        decoder: see :class:`Decoder`.
        prior: added to the logits; None for networks that have their own or none.

    Attributes:
        feature_cache: asked in place of the encoder, where there is one.
    """

    feature_cache: FeatureCache | None = None
    mean: Tensor
    std: Tensor

    def __init__(self, encoder: nn.Module, decoder: nn.Module, prior: CentreBiasPrior | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        described = cast(Encoder, encoder)
        self.register_buffer("mean", torch.tensor(described.mean).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(described.std).reshape(1, 3, 1, 1), persistent=False)

    @property
    def num_windows(self) -> int:
        """T, how many time windows the model predicts."""
        return cast(Decoder, self.decoder).num_windows

    def features(self, image: Tensor) -> list[Tensor]:
        """The encoder's maps of (B, 3, H, W) images or (B, 3, F, H, W) clips in [0, 1]."""
        mean, std = (self.mean, self.std) if image.ndim == 4 else (self.mean[:, :, None], self.std[:, :, None])
        encode = self.feature_cache or cast(Encoder, self.encoder)
        return encode((image - mean) / std)

    def forward(self, image: Tensor, valid: Tensor | None = None, domain: Tensor | None = None) -> Tensor:
        """Logits (B, T, H, W), float32.

        Args:
            image: float (B, 3, H, W) or (B, 3, F, H, W), RGB in [0, 1].
            valid: bool (B, H, W), False on padding; None: no padding. The prior is laid over the valid
                pixels; the logits of padding mean nothing, see :func:`saliency_pred.density.log_normalise`.
            domain: int64 (B,), the kind of each image.
        """
        return self._finished(cast(Decoder, self.decoder)(self.features(image), domain), image, valid, domain)

    def stream(
        self, clip: Tensor, valid: Tensor | None = None, domain: Tensor | None = None, state: Any = None
    ) -> tuple[Tensor, Any]:
        """As :meth:`forward`, of a video that comes in several clips: each frame passes the encoder once.

        Args:
            clip: float (B, 3, F, H, W), the frames that follow those of the call before.
            valid, domain: as there.
            state: what the call before returned; None: the video begins.

        Returns:
            logits (B, F, H, W), and what to give with the next clip.

        Raises:
            TypeError: see :attr:`streams`.
        """
        if not self.streams:
            raise TypeError(f"{type(self.decoder).__name__} on {type(self.encoder).__name__} carries nothing over")
        logits, state = self.decoder.stream(self.features(clip), domain, state)  # type: ignore[operator]
        return self._finished(logits, clip, valid, domain), state

    @property
    def streams(self) -> bool:
        """Whether the decoder carries a state from clip to clip and the encoder sees each frame by itself."""
        strides = getattr(self.encoder, "time_strides", [1])
        return hasattr(self.decoder, "stream") and all(stride == 1 for stride in strides)

    def _finished(self, logits: Tensor, image: Tensor, valid: Tensor | None, domain: Tensor | None) -> Tensor:
        """What the decoder returned, at the size of the image and with the prior."""
        logits = logits.float()
        size = (image.shape[-2], image.shape[-1])
        if tuple(logits.shape[-2:]) != size:
            logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        if self.prior is not None:
            logits = logits + self.prior(size, valid, domain)
        return logits

    @torch.no_grad()
    def log_density(
        self,
        image: Tensor,
        valid: Tensor | None = None,
        domain: Tensor | None = None,
        original_size: Tensor | None = None,
    ) -> list[Tensor]:
        """Log densities of each image at its own size, without padding.

        Args:
            image, valid, domain: as in :meth:`forward`.
            original_size: int64 (B, 2), (height, width) to predict at; None: the size of the valid pixels.

        Returns:
            B tensors (T, h, w), float32.
        """
        return at_original_size(self(image, valid, domain), valid, original_size)


@torch.no_grad()
def at_original_size(logits: Tensor, valid: Tensor | None = None, original_size: Tensor | None = None) -> list[Tensor]:
    """Logits on the input grid (B, T, H, W) → log densities without padding, see :meth:`SaliencyModel.log_density`."""
    predicted = []
    for i, one in enumerate(logits):
        if valid is not None:
            rows = valid[i].any(1).nonzero()[:, 0]
            columns = valid[i].any(0).nonzero()[:, 0]
            one = one[:, int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]
        if original_size is None:
            predicted.append(log_normalise(one[None])[0])
        else:
            height, width = original_size[i].tolist()
            predicted.append(resize_log_density(one[None], (height, width))[0])
    return predicted


def best_device() -> torch.device:
    """A CUDA device, Apple's, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
