"""Optimisers with groups of parameters, and learning rate schedules, from a few numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, cast

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from saliency_pred.model import SaliencyModel


class OptimizerFactory:
    """Builds the optimiser of a model.

    Args:
        optimizer: called with the parameter groups: a ``torch.optim`` class, partially applied.
        lr: learning rate of decoder and prior.
        weight_decay: of weights with two or more axes; scales, biases and scalars are never decayed.
        encoder_lr_scale: the encoder's learning rate as a share of ``lr``.
        layer_decay: each level of the encoder, from the last to the first, learns this much slower than
            the one after it. The encoder says which levels it has (``parameter_levels``).
    """

    def __init__(
        self,
        optimizer: Callable[..., Optimizer],
        lr: float,
        weight_decay: float = 0.0,
        encoder_lr_scale: float = 1.0,
        layer_decay: float = 1.0,
    ) -> None:
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.encoder_lr_scale = encoder_lr_scale
        self.layer_decay = layer_decay

    def __call__(self, model: SaliencyModel, scale: float = 1.0) -> Optimizer:
        """The optimiser of all parameters that need gradients.

        Args:
            model: with the parameters.
            scale: of all learning rates.

        Raises:
            ValueError: there are none, or layer-wise rates are asked of an encoder without levels.
        """
        levels = self._levels(model.encoder)
        last = max(levels.values(), default=0)
        groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            lr = self.lr * scale
            if name.startswith("encoder."):
                level = levels.get(name.removeprefix("encoder."), last)
                lr *= self.encoder_lr_scale * self.layer_decay ** (last - level)
            groups.setdefault((lr, parameter.ndim > 1), []).append(parameter)
        if not groups:
            raise ValueError("no parameter is left to train: encoder.frozen is true and the decoder has none")
        return self.optimizer(
            [
                {"params": parameters, "lr": lr, "weight_decay": self.weight_decay if decayed else 0.0}
                for (lr, decayed), parameters in groups.items()
            ],
            lr=self.lr * scale,
        )

    def _levels(self, encoder: nn.Module) -> dict[str, int]:
        if self.layer_decay == 1.0:
            return {}
        of = getattr(encoder, "parameter_levels", None)
        if of is None:
            raise ValueError(
                f"optimizer.layer_decay needs an encoder that knows its levels; {type(encoder).__name__} does not. "
                "Use optimizer.encoder_lr_scale for one rate of the whole encoder"
            )
        return cast(dict[str, int], of())


class Schedule:
    """A factor on the learning rates that depends on the step alone.

    Args:
        shape: ``constant``; ``cosine`` (to ``final`` at the end); ``linear`` (to ``final``); ``step`` (times
            ``gamma`` every ``every`` epochs); ``exponential`` (times ``gamma`` after every epoch).
        warmup: share of all steps over which the factor rises linearly from near 0 to 1.
        final: the factor at the end of ``cosine`` and ``linear``.
        gamma, every: of ``step`` and ``exponential``.
    """

    def __init__(
        self,
        shape: Literal["constant", "cosine", "linear", "step", "exponential"] = "constant",
        warmup: float = 0.0,
        final: float = 0.0,
        gamma: float = 0.1,
        every: int = 1,
    ) -> None:
        shapes = ("constant", "cosine", "linear", "step", "exponential")
        if shape not in shapes:
            raise ValueError(f"scheduler.shape={shape!r} is none of {', '.join(shapes)}")
        if not 0 <= warmup < 1:
            raise ValueError(f"scheduler.warmup is a share of all steps, 0 <= warmup < 1, got {warmup}")
        self.shape = shape
        self.warmup = warmup
        self.final = final
        self.gamma = gamma
        self.every = every

    def factor(self, step: int, total: int, per_epoch: int) -> float:
        """The factor at a step of ``total`` steps, ``per_epoch`` of them in an epoch."""
        warm = round(self.warmup * total)
        if step < warm:
            return (step + 1) / (warm + 1)
        share = min(1.0, (step - warm) / max(1, total - warm))
        if self.shape == "cosine":
            return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * share))
        if self.shape == "linear":
            return 1 + (self.final - 1) * share
        if self.shape in ("step", "exponential"):
            every = self.every if self.shape == "step" else 1
            return self.gamma ** (step // max(1, per_epoch) // every)
        return 1.0

    def __call__(self, optimizer: Optimizer, total: int, per_epoch: int) -> dict[str, Any]:
        """What Lightning wants as a scheduler that moves every step."""
        schedule = LambdaLR(optimizer, lambda step: self.factor(step, total, per_epoch))
        return {"scheduler": schedule, "interval": "step"}
