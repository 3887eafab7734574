"""SS2D: a selective scan over the cells of a map along four paths, VMamba's layer in place of attention.

Source: Liu et al., "VMamba: Visual state space model" (NeurIPS 2024); github.com/MzeroMiko/VMamba,
``vmamba.py``. The modulation is that of SUM (Hosseini et al., WACV 2025).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency_pred.encoders.selective_scan import cross_merge, cross_scan, grouped_scan

DIRECTIONS = 4
STEP_MIN, STEP_MAX = 1e-3, 0.1
"""Step sizes are initialised log-uniformly between these, as in Mamba."""


class SS2D(nn.Module):
    """Maps (B, H, W, C) → (B, H, W, C), every cell informed by all others.

    A linear layer, a depthwise 3x3 convolution and SiLU; the scan of :func:`cross_scan`'s four sequences,
    with step sizes, B and C that depend on the cell; layer norm; a gate; a linear layer.

    Args:
        channels: C.
        states: N, of the scan.
        expand: width of the scan relative to C.
        gate: the normed scan is multiplied by SiLU of a second linear map of the input, and the convolution
            has a bias (VMamba v0); False leaves both out (v2).
    """

    def __init__(self, channels: int, states: int = 16, expand: float = 2.0, gate: bool = True) -> None:
        super().__init__()
        width = int(channels * expand)
        self.states = states
        self.rank = math.ceil(channels / 16)
        self.gate = gate
        self.in_proj = nn.Linear(channels, 2 * width if gate else width, bias=False)
        self.conv2d = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=gate)
        self.x_proj_weight = nn.Parameter(torch.empty(DIRECTIONS, self.rank + 2 * states, width))
        self.dt_projs_weight = nn.Parameter(torch.empty(DIRECTIONS, width, self.rank))
        self.dt_projs_bias = nn.Parameter(torch.empty(DIRECTIONS, width))
        self.A_logs = nn.Parameter(torch.empty(DIRECTIONS * width, states))
        self.Ds = nn.Parameter(torch.ones(DIRECTIONS * width))
        self.out_norm = nn.LayerNorm(width)
        self.out_proj = nn.Linear(width, channels, bias=False)
        self.reset_scan_parameters()

    @torch.no_grad()
    def reset_scan_parameters(self) -> None:
        """Initialise as Mamba: decays exp(-n dt) for the states n = 1..N, steps dt in [0.001, 0.1]."""
        bound = 1 / math.sqrt(self.x_proj_weight.shape[-1])
        nn.init.uniform_(self.x_proj_weight, -bound, bound)
        nn.init.uniform_(self.dt_projs_weight, -(self.rank**-0.5), self.rank**-0.5)
        step = torch.empty_like(self.dt_projs_bias).uniform_(math.log(STEP_MIN), math.log(STEP_MAX)).exp()
        self.dt_projs_bias.copy_(step + torch.log(-torch.expm1(-step)))  # softplus of it is the step
        self.A_logs.copy_(torch.arange(1, self.states + 1).float().log().expand_as(self.A_logs))
        nn.init.ones_(self.Ds)

    def forward(self, x: Tensor, modulation: Tensor | None = None) -> Tensor:
        """Run the layer.

        Args:
            x: (B, H, W, C).
            modulation: (B, 5), for each image shift1, scale1, shift2, scale2, scale3: x (1 + scale1) + shift1
                enters the layer; the scan is multiplied by 1 + scale3, and after its norm becomes
                y (1 + scale2) + shift2. None: nothing of this.
        """
        if modulation is not None:
            shift1, scale1, shift2, scale2, scale3 = modulation[:, :, None, None, None].unbind(1)
            x = x * (1 + scale1) + shift1
        x = self.in_proj(x)
        if self.gate:
            x, z = x.chunk(2, dim=-1)
        x = F.silu(self.conv2d(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        y = self.scan(x)
        if modulation is not None:
            y = y * (1 + scale3)
        y = self.out_norm(y)
        if modulation is not None:
            y = y * (1 + scale2) + shift2
        if self.gate:
            y = y * F.silu(z)
        return self.out_proj(y)

    def scan(self, x: Tensor) -> Tensor:
        """(B, H, W, D), D the width of the scan → (B, H, W, D), the sum over the four directions."""
        height, width, channels = x.shape[1:]
        sequences = cross_scan(x)
        projected = sequences @ self.x_proj_weight.transpose(1, 2)
        step, B, C = projected.split([self.rank, self.states, self.states], dim=-1)
        delta = (step @ self.dt_projs_weight.transpose(1, 2)).to(self.dt_projs_bias.dtype)
        A = -self.A_logs.exp().unflatten(0, (DIRECTIONS, channels)).transpose(1, 2)
        y = grouped_scan(sequences, F.softplus(delta + self.dt_projs_bias[:, None]), A, B, C)
        # The input's own share, D u of each direction, needs no scan: all four put it where it came from.
        share = self.Ds.unflatten(0, (DIRECTIONS, channels)).sum(0)
        return (cross_merge(y, height, width) + share * x).to(x.dtype)
