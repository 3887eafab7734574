"""Models that are large for their GPU: parameters shared out over processes, activations computed twice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

SMALLEST = 1_000_000
"""Parameters that are gathered at once are of at least so many numbers: fewer, larger messages."""


def shard(model: nn.Module, mesh: Any) -> None:
    """Share the parameters, gradients and optimiser state of a model out over the processes of a mesh (FSDP2).

    Each process keeps a part of every parameter and gathers a module's when it is needed. Parameters that are
    single numbers stay whole in every process, with gradients averaged as DDP does.

    Raises:
        ValueError: this PyTorch has no FSDP2.
    """
    try:
        from torch.distributed.fsdp import fully_shard
    except ImportError as error:
        raise ValueError("trainer=fsdp needs PyTorch 2.7 or newer; use trainer=ddp") from error
    scalars = {p for p in model.parameters() if p.ndim == 0}
    for scalar in scalars:
        if scalar.requires_grad:
            scalar.register_post_accumulate_grad_hook(partial(_average, processes=mesh.size()))
    for module in [*_units(model), model]:
        fully_shard(module, mesh=mesh, ignored_params=scalars)


def _average(parameter: Tensor, processes: int) -> None:
    assert parameter.grad is not None
    dist.all_reduce(parameter.grad)
    parameter.grad /= processes


def _units(module: nn.Module) -> Iterator[nn.Module]:
    """The innermost modules of at least SMALLEST parameters, inner ones first."""
    for child in module.children():
        if _own(child) >= SMALLEST:
            yield from _units(child)
            if not isinstance(child, nn.ModuleList | nn.ModuleDict):  # they have no forward to gather for
                yield child


def _own(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def gather(model: nn.Module) -> None:
    """Hold all parameters whole until :func:`release`, so that forward passes need no other process.

    Held-out images are not padded to equal numbers, and so processes take different numbers of steps.
    """
    for module in _sharded(model):
        module.set_reshard_after_forward(False, recurse=False)
        module.unshard()


def release(model: nn.Module) -> None:
    """Keep only the own part of the parameters again."""
    for module in _sharded(model):
        module.set_reshard_after_forward(True, recurse=False)
        module.reshard()


def _sharded(model: nn.Module) -> list[Any]:
    try:
        from torch.distributed.fsdp import FSDPModule
    except ImportError:
        return []
    return [m for m in model.modules() if isinstance(m, FSDPModule)]


def checkpoint_activations(encoder: nn.Module) -> int:
    """Forget the activations inside an encoder's repeated blocks and compute them again for the gradients.

    A third more computing for a fraction of the memory. The blocks are the elements of the outermost
    ``ModuleList`` and ``Sequential`` with something to train. Blocks whose batch normalisation learns are left
    as they are: computed twice, it would count each batch twice.

    Returns:
        How many blocks.

    Raises:
        ValueError: there is no such block.
    """
    blocks = list(_blocks(encoder))
    if not blocks:
        raise ValueError(
            "checkpoint_activations=true finds no trainable block without batch normalisation in this encoder"
        )
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    return len(blocks)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, nn.ModuleList | nn.Sequential):
            for block in child:
                trained = any(p.requires_grad for p in block.parameters())
                learning = any(isinstance(m, _BatchNorm) and m.training for m in block.modules())
                if isinstance(block, nn.ModuleList | nn.Sequential):
                    yield from _blocks(nn.Sequential(block))
                elif trained and not learning:
                    yield block
        else:
            yield from _blocks(child)
