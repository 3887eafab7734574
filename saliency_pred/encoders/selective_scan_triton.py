"""Triton kernels of the selective scan: the operator of ``selective_scan.py`` on CUDA.

A program holds the states of a block of channels in registers and walks along the sequence; channels lie next
to each other in memory, so every load is coalesced. The backward kernel goes from chunk to chunk backwards,
computes the states inside a chunk again from the one it starts with, and needs memory for one chunk only.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs
# (the arguments of a kernel are pointers and integers; Triton compiles it, not Python)

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK_D = 32
"""Channels of a program; with 16 states these are 16 numbers for each thread of a warp."""


@triton.jit
def _forward_kernel(
    u_ptr,
    delta_ptr,
    A_ptr,
    B_ptr,
    C_ptr,
    y_ptr,
    starts_ptr,
    groups,
    length,
    channels,
    states,
    chunks,
    chunk_steps,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    sequence = tl.program_id(0).to(tl.int64)  # (batch, group)
    sequences = tl.num_programs(0)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    in_d, in_n = d < channels, n < states
    inside = in_n[:, None] & in_d[None, :]
    cell = n[:, None] * channels + d[None, :]
    A = tl.load(A_ptr + (sequence % groups) * states * channels + cell, inside, 0.0)
    h = tl.zeros((BLOCK_N, BLOCK_D), A.dtype)
    for chunk in range(chunks):
        tl.store(starts_ptr + (chunk * sequences + sequence) * states * channels + cell, h, inside)
        for t in range(chunk * chunk_steps, tl.minimum((chunk + 1) * chunk_steps, length)):
            row = sequence * length + t
            delta = tl.load(delta_ptr + row * channels + d, in_d, 0.0)
            drive = delta * tl.load(u_ptr + row * channels + d, in_d, 0.0)
            B = tl.load(B_ptr + row * states + n, in_n, 0.0)
            C = tl.load(C_ptr + row * states + n, in_n, 0.0)
            h = tl.exp(delta[None, :] * A) * h + drive[None, :] * B[:, None]
            tl.store(y_ptr + row * channels + d, tl.sum(h * C[:, None], 0), in_d)


@triton.jit
def _backward_kernel(
    grad_y_ptr,
    u_ptr,
    delta_ptr,
    A_ptr,
    B_ptr,
    C_ptr,
    starts_ptr,
    before_ptr,
    grad_u_ptr,
    grad_delta_ptr,
    grad_A_ptr,
    grad_B_ptr,
    grad_C_ptr,
    groups,
    length,
    channels,
    states,
    chunks,
    chunk_steps,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    sequence = tl.program_id(0).to(tl.int64)
    sequences = tl.num_programs(0)
    block = tl.program_id(1).to(tl.int64)
    d = block * BLOCK_D + tl.arange(0, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    in_d, in_n = d < channels, n < states
    inside = in_n[:, None] & in_d[None, :]
    cell = n[:, None] * channels + d[None, :]
    A = tl.load(A_ptr + (sequence % groups) * states * channels + cell, inside, 0.0)
    grad_A = tl.zeros((BLOCK_N, BLOCK_D), A.dtype)
    later = tl.zeros((BLOCK_N, BLOCK_D), A.dtype)  # what later steps contribute to the gradient of a state
    for back in range(chunks):
        chunk = chunks - 1 - back
        first = chunk * chunk_steps
        steps = tl.minimum(chunk_steps, length - first)
        h = tl.load(starts_ptr + (chunk * sequences + sequence) * states * channels + cell, inside, 0.0)
        for i in range(steps):
            row = sequence * length + first + i
            kept = before_ptr + (sequence * chunk_steps + i) * states * channels
            tl.store(kept + cell, h, inside)
            delta = tl.load(delta_ptr + row * channels + d, in_d, 0.0)
            drive = delta * tl.load(u_ptr + row * channels + d, in_d, 0.0)
            B = tl.load(B_ptr + row * states + n, in_n, 0.0)
            h = tl.exp(delta[None, :] * A) * h + drive[None, :] * B[:, None]
        tl.debug_barrier()  # the states stored are read again below
        for j in range(steps):
            i = steps - 1 - j
            row = sequence * length + first + i
            kept = before_ptr + (sequence * chunk_steps + i) * states * channels
            before = tl.load(kept + cell, inside, 0.0)
            grad_y = tl.load(grad_y_ptr + row * channels + d, in_d, 0.0)
            delta = tl.load(delta_ptr + row * channels + d, in_d, 0.0)
            u = tl.load(u_ptr + row * channels + d, in_d, 0.0)
            B = tl.load(B_ptr + row * states + n, in_n, 0.0)
            C = tl.load(C_ptr + row * states + n, in_n, 0.0)
            decay = tl.exp(delta[None, :] * A)
            h = decay * before + (delta * u)[None, :] * B[:, None]
            grad_h = later + grad_y[None, :] * C[:, None]
            grad_exponent = grad_h * decay * before
            grad_drive = tl.sum(grad_h * B[:, None], 0)
            grad_A += grad_exponent * delta[None, :]
            tl.store(grad_u_ptr + row * channels + d, grad_drive * delta, in_d)
            tl.store(grad_delta_ptr + row * channels + d, grad_drive * u + tl.sum(grad_exponent * A, 0), in_d)
            share = (block * sequences * length + row) * states + n  # summed over the blocks afterwards
            tl.store(grad_B_ptr + share, tl.sum(grad_h * (delta * u)[None, :], 1), in_n)
            tl.store(grad_C_ptr + share, tl.sum(h * grad_y[None, :], 1), in_n)
            later = decay * grad_h
        tl.debug_barrier()  # before the next chunk overwrites the states
    tl.store(grad_A_ptr + sequence * states * channels + cell, grad_A, inside)


def forward(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk_steps: int) -> tuple[Tensor, Tensor]:
    """As ``selective_scan._forward``."""
    u, delta, A, B, C = (x.contiguous() for x in (u, delta, A, B, C))
    batch, groups, length, channels = u.shape
    chunks = triton.cdiv(length, chunk_steps)
    y = torch.empty_like(u)
    starts = u.new_empty((chunks, batch, *A.shape))
    _forward_kernel[(batch * groups, triton.cdiv(channels, BLOCK_D))](
        u,
        delta,
        A,
        B,
        C,
        y,
        starts,
        groups,
        length,
        channels,
        A.shape[1],
        chunks,
        chunk_steps,
        BLOCK_N=triton.next_power_of_2(A.shape[1]),
        BLOCK_D=BLOCK_D,
        num_warps=1,
    )
    return y, starts


def backward(
    grad_y: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    starts: Tensor,
    chunk_steps: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """As ``selective_scan._backward``."""
    grad_y, u, delta, A, B, C = (x.contiguous() for x in (grad_y, u, delta, A, B, C))
    batch, groups, length, channels = u.shape
    states = A.shape[1]
    blocks = triton.cdiv(channels, BLOCK_D)
    before = u.new_empty((batch, groups, chunk_steps, states, channels))
    grad_u, grad_delta = torch.empty_like(u), torch.empty_like(u)
    grad_A = u.new_empty((batch, *A.shape))
    grad_B, grad_C = (u.new_empty((blocks, *B.shape)) for _ in range(2))
    _backward_kernel[(batch * groups, blocks)](
        grad_y,
        u,
        delta,
        A,
        B,
        C,
        starts,
        before,
        grad_u,
        grad_delta,
        grad_A,
        grad_B,
        grad_C,
        groups,
        length,
        channels,
        states,
        len(starts),
        chunk_steps,
        BLOCK_N=triton.next_power_of_2(states),
        BLOCK_D=BLOCK_D,
        num_warps=1,
    )
    return grad_u, grad_delta, grad_A.sum(0), grad_B.sum(0), grad_C.sum(0)
