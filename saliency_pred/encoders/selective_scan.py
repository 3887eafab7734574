"""Selective scan, the state space recursion of Mamba and VMamba, and the cross scan of images.

For every channel d and state n, with the step sizes delta_t and the inputs u_t of a sequence::

    h_t[n] = exp(delta_t A[n, d]) h_{t-1}[n] + delta_t B_t[n] u_t,     h_{-1} = 0
    y_t    = sum_n C_t[n] h_t[n] + D u_t

Source: Gu & Dao, "Mamba: Linear-time sequence modeling with selective state spaces" (2023), algorithm 2;
`selective_scan_ref` of github.com/state-spaces/mamba has the argument layout of :func:`selective_scan`. The
cross scan is that of VMamba (Liu et al., 2024).

Nothing has to be compiled. The recursion runs step by step, but everything else of a chunk of steps is done
at once, so a step costs one operator call; no cumulative product is ever divided by, so decays may underflow.
Only the states between chunks are kept for the backward pass, which computes those inside a chunk again.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
from collections.abc import Callable
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_ELEMENTS = 2**18
"""States of a chunk on the CPU: three buffers of 1 MiB (float32) stay in the cache of two cores."""

CHUNK_STEPS_CUDA = 64
"""Steps of a chunk on CUDA: how many the backward kernel computes again at a time."""


# ---------------------------------------------------------------------- the published interface


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
) -> Tensor:
    """Selective scan in mamba's argument layout.

    Args:
        u: (batch, D, L), float; half precision is computed in float32, float64 in float64.
        delta: (batch, D, L), step sizes.
        A: (D, N), real.
        B, C: (batch, G, N, L): the channels are G contiguous blocks of equal size, each with its own B and C;
            (batch, N, L): one block; (D, N): constant in time, one for each channel.
        D: (D,), weight of u in the output; None: 0.
        z: (batch, D, L); the output is multiplied by SiLU(z). None: no gate.
        delta_bias: (D,), added to delta first.
        delta_softplus: apply softplus to delta, after the bias.

    Returns:
        (batch, D, L), of the dtype of u.

    Raises:
        ValueError: shapes that do not fit.
        TypeError: complex or integer tensors.
    """
    batch, channels, length = _axes(u, 3, "u")
    groups = 1
    for name, value in (("B", B), ("C", C)):
        if value.ndim == 4:
            groups = max(groups, value.shape[1])
        elif value.ndim == 2:
            groups = channels  # constant in time, other for each channel: a group for each channel
        elif value.ndim != 3:
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}; expected (batch, G, N, L), (batch, N, L) or (D, N)"
            )
    if channels % groups:
        raise ValueError(f"{channels} channels of u do not divide into the {groups} groups of B and C")
    _expect("delta", delta, (batch, channels, length))
    _expect("A", A, (channels, _axes(A, 2, "A")[1]))
    states = A.shape[1]
    dtype = _compute_dtype(u, delta, A, B, C)

    def grouped(value: Tensor, name: str) -> Tensor:
        """B or C as (batch, G, L, N)."""
        if value.ndim == 2:
            _expect(name, value, (channels, states))
            value = value[None, :, :, None].expand(batch, channels, states, length)
        elif value.ndim == 3:
            _expect(name, value, (batch, states, length))
            value = value[:, None].expand(batch, groups, states, length)
        else:
            _expect(name, value, (batch, value.shape[1], states, length))
            if groups % value.shape[1]:
                raise ValueError(f"{name} has {value.shape[1]} groups, which do not divide {groups}")
            value = value.repeat_interleave(groups // value.shape[1], dim=1)
        return value.transpose(2, 3)

    def sequence(value: Tensor) -> Tensor:
        """(batch, D, L) as (batch, G, L, D / G)."""
        return value.to(dtype).unflatten(1, (groups, -1)).transpose(2, 3).contiguous()

    delta = delta.to(dtype)
    if delta_bias is not None:
        _expect("delta_bias", delta_bias, (channels,))
        delta = delta + delta_bias.to(dtype)[:, None]
    if delta_softplus:
        delta = F.softplus(delta)
    y = grouped_scan(
        sequence(u),
        sequence(delta),
        A.unflatten(0, (groups, -1)).transpose(1, 2),
        grouped(B, "B"),
        grouped(C, "C"),
    )
    y = y.transpose(2, 3).flatten(1, 2)
    if D is not None:
        _expect("D", D, (channels,))
        y = y + D.to(dtype)[:, None] * u
    if z is not None:
        _expect("z", z, (batch, channels, length))
        y = y * F.silu(z.to(dtype))
    return y.to(u.dtype)


def grouped_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The recursion alone, with the channels last and in groups, as the networks here have them.

    Args:
        u: (batch, G, L, D), D channels in each group; float32 or float64, lower precisions are cast up.
        delta: (batch, G, L, D), final step sizes.
        A: (G, N, D).
        B, C: (batch, G, L, N).

    Returns:
        (batch, G, L, D), float32; float64 if one of the arguments is.

    Raises:
        ValueError: shapes that do not fit.
        TypeError: complex or integer tensors.
    """
    batch, groups, length, channels = _axes(u, 4, "u")
    _expect("delta", delta, (batch, groups, length, channels))
    _expect("A", A, (groups, _axes(A, 3, "A")[1], channels))
    _expect("B", B, (batch, groups, length, A.shape[1]))
    _expect("C", C, (batch, groups, length, A.shape[1]))
    dtype = _compute_dtype(u, delta, A, B, C)
    u, delta, A, B, C = (x.to(dtype) for x in (u, delta, A, B, C))
    if torch.onnx.is_in_onnx_export():
        return _scan_for_export(u, delta, A, B, C)
    if u.is_cuda and dtype == torch.float32 and not torch.compiler.is_compiling():
        kernel = _mamba_kernel()
        if kernel is not None:
            return _scan_by_mamba(kernel, u, delta, A, B, C)
    if u.is_cuda:
        steps = CHUNK_STEPS_CUDA
    else:
        steps = max(4, CHUNK_ELEMENTS // (batch * A.numel()))
    y: Tensor = _scan(u, delta, A, B, C, min(steps, length))[0]
    return y


# ---------------------------------------------------------------------- operator: forward and backward


@torch.library.custom_op("saliency_pred::selective_scan", mutates_args=())
def _scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk_steps: int) -> tuple[Tensor, Tensor]:
    """`grouped_scan` and the states (chunks, batch, G, N, D) that each chunk of steps starts from.

    An operator of its own, so that torch.compile and torch.export take the loop over the steps as one node.
    """
    with torch.autocast(u.device.type, enabled=False):
        kernels = _triton_kernels() if u.is_cuda else None
        if kernels is not None:
            return kernels.forward(u, delta, A, B, C, chunk_steps)
        return _forward(u, delta, A, B, C, chunk_steps)


@torch.library.custom_op("saliency_pred::selective_scan_backward", mutates_args=())
def _scan_backward(
    grad_y: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    starts: Tensor,
    chunk_steps: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients for u, delta, A, B and C."""
    with torch.autocast(u.device.type, enabled=False):
        kernels = _triton_kernels() if u.is_cuda else None
        if kernels is not None:
            return kernels.backward(grad_y, u, delta, A, B, C, starts, chunk_steps)
        return _backward(grad_y, u, delta, A, B, C, starts, chunk_steps)


@_scan.register_fake
def _(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk_steps: int) -> tuple[Tensor, Tensor]:
    chunks = (u.shape[2] + chunk_steps - 1) // chunk_steps
    return u.new_empty(u.shape), u.new_empty((chunks, u.shape[0], *A.shape))


@_scan_backward.register_fake
def _(
    grad_y: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    starts: Tensor,
    chunk_steps: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return tuple(x.new_empty(x.shape) for x in (u, delta, A, B, C))  # type: ignore[return-value]


def _setup_context(ctx: torch.autograd.function.FunctionCtx, inputs: tuple, output: tuple) -> None:
    *tensors, chunk_steps = inputs
    ctx.save_for_backward(*tensors, output[1])
    ctx.chunk_steps = chunk_steps  # type: ignore[attr-defined]
    ctx.set_materialize_grads(False)


def _gradients(
    ctx: torch.autograd.function.FunctionCtx, grad_y: Tensor | None, grad_starts: None
) -> tuple[Tensor | None, ...]:
    # grad_starts is always None: the states never leave grouped_scan.
    if grad_y is None:
        return (None,) * 6
    return (*_scan_backward(grad_y, *ctx.saved_tensors, ctx.chunk_steps), None)  # type: ignore[attr-defined]


_scan.register_autograd(_gradients, setup_context=_setup_context)


# ---------------------------------------------------------------------- PyTorch


def _time_first(x: Tensor) -> Tensor:
    """(batch, G, L, X) → (L, batch, G, X), a view."""
    return x.permute(2, 0, 1, 3)


class _Chunks:
    """The states inside one chunk after the other, in buffers that are used again.

    Attributes:
        decay, state: (steps, batch, G, N, D) of the chunk filled last: exp(delta A) and h.
    """

    def __init__(self, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, steps: int) -> None:
        self.delta = _time_first(delta).unsqueeze(-2)
        self.drive = _time_first(delta * u).unsqueeze(-2)
        self.B = _time_first(B).unsqueeze(-1)
        # exp2 takes half the time of exp on the CPU; rounding the factor moves a decay by less than 1e-7.
        self.A_base_2 = A.contiguous() * math.log2(math.e)
        self.steps = steps
        self._decay = u.new_empty((steps, u.shape[0], *A.shape))
        self._state = torch.empty_like(self._decay)
        self.decay = self.state = self._decay

    def fill(self, first: int, start: Tensor) -> slice:
        """Compute the chunk that begins with step `first`, from the state before it; return its steps."""
        chunk = slice(first, min(first + self.steps, len(self.delta)))
        self.decay = self._decay[: chunk.stop - first]
        self.state = self._state[: chunk.stop - first]
        torch.mul(self.delta[chunk], self.A_base_2, out=self.decay).exp2_()
        torch.mul(self.drive[chunk], self.B[chunk], out=self.state)
        before = start
        for state, decay in zip(self.state.unbind(0), self.decay.unbind(0), strict=True):
            state.addcmul_(decay, before)
            before = state
        return chunk


def _forward(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk_steps: int) -> tuple[Tensor, Tensor]:
    length = u.shape[2]
    y = torch.empty_like(u, memory_format=torch.contiguous_format)
    starts = u.new_empty((-(-length // chunk_steps), u.shape[0], *A.shape))
    chunks = _Chunks(u, delta, A, B, chunk_steps)
    y_steps, C_steps = _time_first(y), _time_first(C).unsqueeze(-2)
    start = torch.zeros_like(starts[0])
    for kept, first in zip(starts.unbind(0), range(0, length, chunk_steps), strict=True):
        kept.copy_(start)
        chunk = chunks.fill(first, kept)
        y_steps[chunk] = torch.matmul(C_steps[chunk], chunks.state).squeeze(-2)
        start = chunks.state[-1]
    return y, starts


def _backward(
    grad_y: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    starts: Tensor,
    chunk_steps: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    grad_y, A = grad_y.contiguous(), A.contiguous()
    grad_delta, grad_drive = (torch.empty_like(u, memory_format=torch.contiguous_format) for _ in range(2))
    grad_B, grad_C = (torch.empty_like(B, memory_format=torch.contiguous_format) for _ in range(2))
    grad_A = torch.zeros_like(A, memory_format=torch.contiguous_format)
    chunks = _Chunks(u, delta, A, B, chunk_steps)
    grad_y_steps, B_steps = _time_first(grad_y).unsqueeze(-2), _time_first(B).unsqueeze(-2)
    C_steps = _time_first(C).unsqueeze(-1)
    grad_delta_steps, grad_drive_steps = _time_first(grad_delta), _time_first(grad_drive)
    grad_B_steps, grad_C_steps = _time_first(grad_B), _time_first(grad_C)
    buffer = torch.empty_like(chunks.decay)  # gradients of the states
    later = torch.zeros_like(starts[0])  # what the steps after the chunk contribute to its last state
    for index in range(len(starts) - 1, -1, -1):
        chunk = chunks.fill(index * chunk_steps, starts[index])
        decay, state = chunks.decay, chunks.state
        grad_state = torch.mul(grad_y_steps[chunk], C_steps[chunk], out=buffer[: len(state)])
        steps, decays = grad_state.unbind(0), decay.unbind(0)
        steps[-1].add_(later)
        for t in range(len(steps) - 2, -1, -1):
            steps[t].addcmul_(decays[t + 1], steps[t + 1])
        torch.mul(decays[0], steps[0], out=later)
        # Row times matrix throughout: matrix times column is four times as slow on the CPU.
        grad_C_steps[chunk] = torch.matmul(grad_y_steps[chunk], state.transpose(-1, -2)).squeeze(-2)
        grad_B_steps[chunk] = torch.matmul(chunks.drive[chunk], grad_state.transpose(-1, -2)).squeeze(-2)
        grad_drive_steps[chunk] = torch.matmul(B_steps[chunk], grad_state).squeeze(-2)
        # Gradient of delta A: that of the decay times the decay.
        decay[0].mul_(starts[index])
        decay[1:].mul_(state[:-1])
        grad_exponent = decay.mul_(grad_state)
        grad_A += torch.mul(grad_exponent, chunks.delta[chunk], out=state).sum((0, 1))
        grad_delta_steps[chunk] = torch.mul(grad_exponent, A, out=state).sum(-2)
    grad_delta.addcmul_(grad_drive, u)
    return grad_drive.mul_(delta), grad_delta, grad_A, grad_B, grad_C


# ---------------------------------------------------------------------- other kernels


@functools.cache
def _triton_kernels() -> ModuleType | None:
    """The module with the Triton kernels; None where Triton is not installed."""
    if importlib.util.find_spec("triton") is None:
        return None
    return importlib.import_module("saliency_pred.encoders.selective_scan_triton")


@functools.cache
def _mamba_kernel() -> Callable[..., Tensor] | None:
    """mamba_ssm's CUDA kernel; None where it is not installed or was installed without the kernel."""
    if any(importlib.util.find_spec(name) is None for name in ("mamba_ssm", "selective_scan_cuda")):
        return None
    kernel: Callable[..., Tensor] = importlib.import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn
    return kernel


def _scan_by_mamba(kernel: Callable[..., Tensor], u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """`grouped_scan` by mamba_ssm's kernel, which has the channels before the steps."""

    def channels_first(x: Tensor) -> Tensor:
        return x.transpose(2, 3).flatten(1, 2).contiguous()

    y = kernel(
        channels_first(u),
        channels_first(delta),
        A.transpose(1, 2).flatten(0, 1).contiguous(),
        B.transpose(2, 3).contiguous(),
        C.transpose(2, 3).contiguous(),
    )
    return y.unflatten(1, (u.shape[1], -1)).transpose(2, 3)


def _scan_for_export(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """`grouped_scan` as one ONNX Scan node."""
    try:
        from torch._higher_order_ops.scan import scan
    except ImportError as error:
        raise NotImplementedError(
            f"exporting a selective scan to ONNX needs torch >= 2.6, this is {torch.__version__}"
        ) from error
    drive = delta * u
    widths = [u.shape[3], u.shape[3], B.shape[3], C.shape[3]]
    # One tensor for all that a step needs: PyTorch's exporter writes an invalid node for several.
    everything = torch.cat([_time_first(x) for x in (delta, drive, B, C)], -1)

    def step(state: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        delta_t, drive_t, B_t, C_t = values.split(widths, -1)
        state = torch.exp(delta_t.unsqueeze(-2) * A) * state + drive_t.unsqueeze(-2) * B_t.unsqueeze(-1)
        return state, (C_t.unsqueeze(-1) * state).sum(-2)

    start = torch.zeros_like(A).expand(u.shape[0], *A.shape).clone()
    _, y = scan(step, start, everything, dim=0)
    return y.permute(1, 2, 0, 3)


# ---------------------------------------------------------------------- images as sequences


def cross_scan(x: Tensor) -> Tensor:
    """Read maps (B, H, W, C) along four paths → (B, 4, H·W, C).

    Paths: row by row, column by column, and these two backwards.
    """
    rows = x.flatten(1, 2)
    columns = x.transpose(1, 2).flatten(1, 2)
    two = torch.stack([rows, columns], 1)
    return torch.cat([two, two.flip(2)], 1)


def cross_merge(y: Tensor, height: int, width: int) -> Tensor:
    """Put :func:`cross_scan`'s sequences (B, 4, H·W, C) back in place and add the four → (B, H, W, C)."""
    two = y[:, :2] + y[:, 2:].flip(2)
    return two[:, 0].unflatten(1, (height, width)) + two[:, 1].unflatten(1, (width, height)).transpose(1, 2)


# ---------------------------------------------------------------------- checks


def _axes(x: Tensor, ndim: int, name: str) -> torch.Size:
    if x.ndim != ndim:
        raise ValueError(f"{name} has shape {tuple(x.shape)}; expected {ndim} axes")
    return x.shape


def _expect(name: str, x: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(x.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(x.shape)}; expected {shape}, to fit u and A")


def _compute_dtype(*tensors: Tensor) -> torch.dtype:
    for x in tensors:
        if not x.is_floating_point():
            raise TypeError(f"selective scan computes with real numbers, got {x.dtype}")
    return torch.float64 if any(x.dtype == torch.float64 for x in tensors) else torch.float32
