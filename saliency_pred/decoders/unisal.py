"""UNISAL: one light network for images and video, with a few parameters for each domain.

Source: Droste, Jiao, Noble: Unified image and video saliency modeling, ECCV 2020; github.com/rdroste/unisal,
``unisal/model.py``, ``unisal/models/cgru.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PRIOR_SCALE = 6.0
SMOOTHING = 41


class DomainNorm(nn.Module):
    """One batch norm for each domain; each image passes that of its own.

    Args:
        channels: of the feature.
        domains: 1 shares one batch norm between all domains.
    """

    def __init__(self, channels: int, domains: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(domains))

    def forward(self, x: Tensor, domain: Tensor) -> Tensor:
        """(B, C, h, w), domains (B,) -> (B, C, h, w)."""
        present = domain.unique().tolist()
        if len(self.norms) == 1 or len(present) == 1:
            return self.norms[present[0] if len(self.norms) > 1 else 0](x)
        out = torch.empty_like(x)
        for number in present:
            chosen = domain == number
            out[chosen] = self.norms[number](x[chosen])
        return out


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, 1x1 projection, each with a norm; ReLU6 after the first two.

    Args:
        inputs, outputs: channels.
        expand: factor of the expansion; 1 leaves it out.
        domains: of the norms.
    """

    def __init__(self, inputs: int, outputs: int, expand: int, domains: int) -> None:
        super().__init__()
        width = inputs * expand
        self.expand = nn.Conv2d(inputs, width, 1, bias=False) if expand > 1 else None
        self.expand_norm = DomainNorm(width, domains) if expand > 1 else None
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.depthwise_norm = DomainNorm(width, domains)
        self.project = nn.Conv2d(width, outputs, 1, bias=False)
        self.project_norm = DomainNorm(outputs, domains)

    def forward(self, x: Tensor, domain: Tensor) -> Tensor:
        """(B, inputs, h, w), (B,) -> (B, outputs, h, w)."""
        if self.expand is not None and self.expand_norm is not None:
            x = F.relu6(self.expand_norm(self.expand(x), domain))
        x = F.relu6(self.depthwise_norm(self.depthwise(x), domain))
        return self.project_norm(self.project(x), domain)


class Skip(nn.Module):
    """1x1 convolution to twice the channels, norm, ReLU6, dropout, 1x1 convolution, norm."""

    def __init__(self, inputs: int, outputs: int, dropout: float, domains: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(inputs, 2 * inputs, 1, bias=False)
        self.expand_norm = DomainNorm(2 * inputs, domains)
        self.dropout = nn.Dropout(dropout)
        self.reduce = nn.Conv2d(2 * inputs, outputs, 1)
        self.reduce_norm = DomainNorm(outputs, domains)

    def forward(self, x: Tensor, domain: Tensor) -> Tensor:
        """(B, inputs, h, w), (B,) -> (B, outputs, h, w)."""
        x = self.dropout(F.relu6(self.expand_norm(self.expand(x), domain)))
        return self.reduce_norm(self.reduce(x), domain)


class GateTransform(nn.Module):
    """3x3 depthwise, norm, ReLU6, 1x1, norm, and a learned factor a channel: one input of one gate."""

    def __init__(self, channels: int, domains: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.depthwise_norm = DomainNorm(channels, domains)
        self.point = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = DomainNorm(channels, domains)
        self.factor = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor, domain: Tensor) -> Tensor:
        """(B, C, h, w), (B,) -> (B, C, h, w)."""
        x = self.point(F.relu6(self.depthwise_norm(self.depthwise(x), domain)))
        return self.factor * self.norm(x, domain)


class ConvGRU(nn.Module):
    """A convolutional GRU whose six transforms are separable and normalised per domain.

    In training, whole channels of the input are dropped, the same ones for all frames of a call.
    """

    def __init__(self, channels: int, dropout: float, domains: int) -> None:
        super().__init__()
        self.channels = channels
        self.dropout = dropout
        gates = ("reset_gate", "update_gate", "candidate")
        self.from_input = nn.ModuleDict({gate: GateTransform(channels, domains) for gate in gates})
        self.from_state = nn.ModuleDict({gate: GateTransform(channels, domains) for gate in gates})
        self.bias = nn.ParameterDict({gate: nn.Parameter(torch.zeros(channels, 1, 1)) for gate in gates})

    def forward(self, frames: Tensor, domain: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a clip.

        Args:
            frames: (B, C, F, h, w).
            domain: (B,).
            state: (B, C, h, w) left by the frames before; None: zeros.

        Returns:
            the states after every frame (B, C, F, h, w), and the last one.
        """
        if state is None:
            state = torch.zeros_like(frames[:, :, 0])
        keep = {gate: frames.new_ones(1, self.channels, 1, 1) for gate in self.bias}
        if self.training:
            keep = {gate: F.dropout(mask, self.dropout) for gate, mask in keep.items()}
        states = []
        for x in frames.unbind(2):
            parts = {gate: self.from_input[gate](x * keep[gate], domain) for gate in keep}
            old = {gate: self.from_state[gate](state, domain) for gate in keep}
            reset = torch.sigmoid(parts["reset_gate"] + old["reset_gate"] + self.bias["reset_gate"])
            update = torch.sigmoid(parts["update_gate"] + old["update_gate"] + self.bias["update_gate"])
            candidate = torch.tanh(parts["candidate"] + reset * old["candidate"] + self.bias["candidate"])
            state = (1 - update) * state + update * candidate
            states.append(state)
        return torch.stack(states, dim=2), state


def initial_priors(domains: int) -> Tensor:
    """Means and log widths (domains, 16, 2, 2) over (y, x): a 3 x 3 grid, 3 rows, 3 columns, the centre."""
    places = (0.25, 0.5, 0.75)
    blob, wide = 0.125, 1.0
    boxes = [((y, blob), (x, blob)) for y in places for x in places]
    boxes += [((y, blob), (0.5, wide)) for y in places]
    boxes += [((0.5, wide), (x, blob)) for x in places]
    boxes += [((0.5, 0.25), (0.5, 0.25))]
    values = torch.tensor(boxes)
    values[..., 1] = values[..., 1].log()
    return values.expand(domains, -1, -1, -1).clone()


def initial_smoothing(domains: int) -> Tensor:
    """Normalised Gaussian kernels (domains, 41, 41), sigma a sixth of the kernel."""
    offset = torch.arange(SMOOTHING) - SMOOTHING // 2
    line = torch.exp(-0.5 * (offset / (SMOOTHING / 6)) ** 2)
    kernel = line[:, None] * line
    return (kernel / kernel.sum()).expand(domains, -1, -1).clone()


class UNISAL(nn.Module):
    """UNISAL's decoder on the three deepest features of an encoder, for images and clips.

    Learned Gaussian priors join the deepest feature; a clip also passes a ConvGRU, whose output is added;
    two steps up with skips; one map per domain; nearest enlargement to the image; a learned 41 x 41
    smoothing. Batch norms (but for the first block's), priors, the last 1x1 convolution and the smoothing
    have one copy for each domain. The result is normalised by the log-softmax of the model.

    Args:
        channels: of the encoder's features, shallow to deep.
        strides: image pixels per cell of each.
        num_windows: 1 for images; the number of frames for clips.
        domains: how many copies. The published four are DHF1K, Hollywood, UCF Sports, SALICON.
        domain_map: the copy for each kind of image (see ``saliency_pred.data.dataset.DOMAINS``).
        default_domain: the copy for images of unknown kind.
        widths: of the deepest, middle and finest stage.
        dropout: in the skips.
        state_dropout: of the ConvGRU's input.
    """

    position = "all"

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        num_windows: int = 1,
        domains: int = 4,
        domain_map: Sequence[int] = (3, 3, 3, 3, 3, 0, 3),
        default_domain: int = 3,
        widths: Sequence[int] = (256, 128, 64),
        dropout: float = 0.6,
        state_dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if len(channels) < 3:
            raise ValueError(f"UNISAL joins three features, this encoder has {len(channels)}")
        if max(*domain_map, default_domain) >= domains:
            raise ValueError(f"domain_map and default_domain must name copies 0 to {domains - 1}")
        self.num_windows = num_windows
        self.domain_map = list(domain_map)
        self.default_domain = default_domain
        fine, middle, deep = channels[-3:]
        self.stride = strides[-3]
        self.priors = nn.Parameter(initial_priors(domains))
        self.post_cnn = InvertedResidual(deep + self.priors.shape[1], widths[0], 1, domains=1)
        self.gru = ConvGRU(widths[0], state_dropout, domains)
        self.post_gru = nn.Conv2d(widths[0], widths[0], 1, bias=False)
        self.post_gru_norm = DomainNorm(widths[0], domains)
        self.skip_middle = Skip(middle, widths[1], dropout, domains)
        self.skip_fine = Skip(fine, widths[2], dropout, domains)
        self.middle = InvertedResidual(widths[0] + widths[1], widths[1], 2, domains)
        self.fine = InvertedResidual(widths[1] + widths[2], widths[2], 2, domains)
        self.adaptation = nn.Conv2d(widths[2], domains, 1)
        self.smoothing = nn.Parameter(initial_smoothing(domains))

    def copies(self, domain: Tensor | None, batch: int) -> Tensor:
        """Kinds of images (B,) -> which copy serves each."""
        device = self.priors.device
        if domain is None:
            return torch.full((batch,), self.default_domain, device=device)
        return torch.tensor(self.domain_map, device=device)[domain]

    def prior_maps(self, size: tuple[int, int], copy: Tensor) -> Tensor:
        """(B, 16, h, w) Gaussians, 6 at their mean; coordinates run from 0 to 1, both ends included."""
        mean, width = self.priors[copy].unbind(-1)
        width = width.exp()
        lines = []
        for axis, cells in enumerate(size):
            place = torch.linspace(0, 1, cells, device=mean.device, dtype=mean.dtype)
            distance = (place - mean[:, :, axis, None]) / width[:, :, axis, None]
            lines.append(torch.exp(-0.5 * distance**2))
        return PRIOR_SCALE * lines[0][..., :, None] * lines[1][..., None, :]

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        """Features -> logits (B, T, H, W); T is the number of frames for clips, and 1 for images."""
        return self.stream(features, domain)[0]

    def stream(
        self, features: list[Tensor], domain: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """As :meth:`forward`, carrying the state from clip to clip of one video."""
        return self.run(features, self.copies(domain, len(features[0])), state)

    def run(self, features: list[Tensor], copy: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """As :meth:`forward`, by copy, and carrying the recurrent state from clip to clip of one video.

        Args:
            features: (B, C, h, w) of images, which bypass the recurrence, or (B, C, F, h, w) of clips.
            copy: (B,), which copy of the domain parameters serves each image or clip.
            state: what the call before returned, for a video in several clips.

        Returns:
            logits (B, F or 1, H, W) and the state, None for images.
        """
        clip = features[-1].ndim == 5
        frames = features[-1].shape[2] if clip else 1
        each = copy.repeat_interleave(frames)
        fine, middle, deep = (f.transpose(1, 2).flatten(0, 1) if clip else f for f in features[-3:])

        size = (deep.shape[-2], deep.shape[-1])
        x = self.post_cnn(torch.cat([deep, self.prior_maps(size, each)], dim=1), each)
        if clip:
            states, state = self.gru(x.unflatten(0, (-1, frames)).transpose(1, 2), copy, state)
            states = states.transpose(1, 2).flatten(0, 1)
            x = x + F.relu6(self.post_gru_norm(self.post_gru(states), each))

        for tap, skip, block in ((middle, self.skip_middle, self.middle), (fine, self.skip_fine, self.fine)):
            x = F.interpolate(x, size=tap.shape[-2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([x, skip(tap, each)], dim=1), each)

        maps = self.adaptation(x)
        chosen = maps.gather(1, each.view(-1, 1, 1, 1).expand(-1, 1, *maps.shape[-2:]))
        enlarged = F.interpolate(chosen, scale_factor=self.stride, mode="nearest")
        padded = F.pad(enlarged, (SMOOTHING // 2,) * 4, mode="replicate")
        smooth = F.conv2d(padded.transpose(0, 1), self.smoothing[each].unsqueeze(1), groups=len(each))
        return smooth.transpose(0, 1).unflatten(0, (-1, frames)).squeeze(2), state
