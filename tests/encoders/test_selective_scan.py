"""The selective scan against mamba's reference implementation, a plain loop and finite differences."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from saliency_pred.encoders import selective_scan as module
from saliency_pred.encoders.selective_scan import cross_merge, cross_scan, grouped_scan, selective_scan

REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "selective_scan"
"""Made by state-spaces/mamba@e9594ce1, `selective_scan_ref`, in float64; cross_scan by VMamba@2ed52ead."""

CASES = [
    "grouped_full",  # 2 groups, D, bias, softplus
    "plain",  # one group, nothing else
    "state1_groups4",
    "noD_softplus",  # as many groups as channels
    "D_nobias_softplus",
    "state1_nosoftplus",
    "constant_BC",
    "z_gate",
    "long_large_steps",  # 300 steps, decays that underflow
]


def reference(name: str) -> dict[str, Tensor]:
    with np.load(REFERENCE / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def loop(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """`grouped_scan`, as the recursion is written."""
    h = torch.zeros(u.shape[0], *A.shape, dtype=u.dtype)
    y = []
    for t in range(u.shape[2]):
        step = delta[:, :, t, None]
        h = torch.exp(step * A) * h + step * B[:, :, t, :, None] * u[:, :, t, None]
        y.append((C[:, :, t, :, None] * h).sum(2))
    return torch.stack(y, 2)


def arguments(
    batch: int = 2, groups: int = 2, length: int = 7, channels: int = 3, states: int = 2, dtype=torch.float64
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(length)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    return [
        normal(batch, groups, length, channels),
        normal(batch, groups, length, channels).abs(),
        -normal(groups, states, channels).abs(),
        normal(batch, groups, length, states),
        normal(batch, groups, length, states),
    ]


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 4 steps, the shortest there are."""
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 1)


@pytest.mark.parametrize("chunk_elements", [1, 2**18])
@pytest.mark.parametrize("name", CASES)
def test_output_and_gradients_equal_mambas(name: str, chunk_elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", chunk_elements)
    frozen = reference(name)
    expected = frozen["y64"]
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        inputs = {k[3:]: v.detach().to(dtype) for k, v in frozen.items() if k.startswith("in_")}
        inputs = {k: v.clone().requires_grad_() for k, v in inputs.items()}
        y = selective_scan(**inputs, delta_softplus=bool(frozen["delta_softplus"]))
        assert y.dtype == dtype
        assert (y.double() - expected).abs().max() < tolerance * expected.std()
        (y * frozen["w"]).sum().backward()
        for argument, value in inputs.items():
            gradient = frozen[f"grad64_{argument}"]
            # Some gradients are stored in float32: 24 bits are all that can be compared.
            bound = tolerance if gradient.dtype == torch.float64 else max(tolerance, 1e-6)
            error = (value.grad.double() - gradient.double()).abs().max()
            assert error < bound * gradient.double().std(), argument


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize("length", [1, 3, 4, 5, 8, 9, 23])
def test_chunks_do_not_show(length: int) -> None:
    args = [a.requires_grad_() for a in arguments(length=length)]
    weight = torch.randn(args[0].shape, dtype=torch.float64)
    y, expected = grouped_scan(*args), loop(*args)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    gradients = torch.autograd.grad((y * weight).sum(), args)
    expected_gradients = torch.autograd.grad((expected * weight).sum(), args)
    torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-11)


@pytest.mark.usefixtures("short_chunks")
def test_gradients_equal_finite_differences() -> None:
    args = [a.requires_grad_() for a in arguments(length=6, channels=2)]
    assert torch.autograd.gradcheck(grouped_scan, args)
    batch, channels, length, states = 2, 4, 5, 2
    shapes = {
        "u": (batch, channels, length),
        "delta": (batch, channels, length),
        "A": (channels, states),
        "B": (batch, 2, states, length),
        "C": (batch, states, length),
        "D": (channels,),
        "z": (batch, channels, length),
        "delta_bias": (channels,),
    }
    torch.manual_seed(0)
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes.values()]
    assert torch.autograd.gradcheck(
        lambda *values: selective_scan(**dict(zip(shapes, values, strict=True)), delta_softplus=True), inputs
    )


def test_operator_is_registered_soundly() -> None:
    """PyTorch's own checks: schema, fake tensors (torch.compile), autograd, dynamic shapes."""
    args = [a.requires_grad_() for a in arguments(length=9)]
    torch.library.opcheck(module._scan, (*args, 4))


def test_autocast_and_half_precision_compute_in_float32() -> None:
    args = arguments(length=40, dtype=torch.float32)
    half = [a.bfloat16() for a in args]
    expected = grouped_scan(*(a.float() for a in half))
    with torch.autocast("cpu", torch.bfloat16):
        leaves = [a.clone().requires_grad_() for a in half]
        y = grouped_scan(*leaves)
        assert y.dtype == torch.float32
        y.sum().backward()
    assert torch.equal(y, expected)
    leaves_float = [a.float().requires_grad_() for a in half]
    grouped_scan(*leaves_float).sum().backward()
    for one, other in zip(leaves, leaves_float, strict=True):
        assert torch.equal(one.grad, other.grad.bfloat16())


def test_memory_kept_for_backward_grows_linearly() -> None:
    def kept(length: int) -> int:
        total = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        args = arguments(1, 1, length, 64, 16, torch.float32)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            grouped_scan(*(a.requires_grad_() for a in args))
        return total

    short, long = kept(1024), kept(4096)
    assert long < 4.1 * short
    # Inputs (2 x 64 + 2 x 16 for each step) and little more; all states would be 1024 for each step.
    assert long < 4096 * (2 * 64 + 2 * 16 + 32)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"delta": (2, 4, 6)}, ValueError, r"delta has shape \(2, 4, 6\); expected \(2, 4, 5\)"),
        ({"B": (2, 3, 2, 5)}, ValueError, "4 channels of u do not divide into the 3 groups"),
        ({"B": (4, 3)}, ValueError, r"B has shape \(4, 3\); expected \(4, 2\)"),
        ({"C": (5,)}, ValueError, r"expected \(batch, G, N, L\), \(batch, N, L\) or \(D, N\)"),
        ({"D": (3,)}, ValueError, r"D has shape \(3,\); expected \(4,\)"),
        ({"u": (4, 5)}, ValueError, "u has shape"),
    ],
)
def test_wrong_shapes(change: dict[str, tuple[int, ...]], error: type[Exception], message: str) -> None:
    shapes = {"u": (2, 4, 5), "delta": (2, 4, 5), "A": (4, 2), "B": (2, 2, 5), "C": (2, 2, 5), "D": (4,)}
    with pytest.raises(error, match=message):
        selective_scan(**{name: torch.zeros(shape) for name, shape in (shapes | change).items()})


def test_complex_numbers_are_refused() -> None:
    u, delta, A, B, C = arguments()
    with pytest.raises(TypeError, match="real numbers"):
        grouped_scan(u, delta, A.to(torch.complex64), B, C)


def test_cross_scan_reads_and_merges_as_vmamba() -> None:
    frozen = reference("cross_scan")
    sequences = cross_scan(frozen["x"].permute(0, 2, 3, 1))
    assert torch.equal(sequences.transpose(2, 3), frozen["sequences"])
    merged = cross_merge(frozen["merge_in"].transpose(2, 3), 4, 5)
    assert torch.equal(merged.permute(0, 3, 1, 2), frozen["merge_out"])


def test_mamba_kernel_gets_its_layout() -> None:
    """The kernel itself needs a GPU; `selective_scan` has its argument layout."""
    args = arguments(length=6)
    y = module._scan_by_mamba(selective_scan, *args)
    torch.testing.assert_close(y, loop(*args), rtol=0, atol=1e-12)


TRITON = """
import torch
from saliency_pred.encoders import selective_scan as plain, selective_scan_triton as kernels

for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
    # length over chunks of 4; channels over blocks of 32; states no power of two; one state
    for batch, groups, length, channels, states in ((2, 3, 10, 5, 3), (1, 2, 5, 40, 1)):
        torch.manual_seed(0)
        u, weight = (torch.randn(batch, groups, length, channels, dtype=dtype) for _ in range(2))
        delta, A = torch.rand_like(u), -3 * torch.rand(groups, states, channels, dtype=dtype)
        B, C = (torch.randn(batch, groups, length, states, dtype=dtype) for _ in range(2))
        y, starts = kernels.forward(u, delta, A, B, C, 4)
        gradients = kernels.backward(weight, u, delta, A, B, C, starts, 4)
        expected_y, expected_starts = plain._forward(u, delta, A, B, C, 4)
        expected = plain._backward(weight, u, delta, A, B, C, expected_starts, 4)
        for one, other in zip((y, starts, *gradients), (expected_y, expected_starts, *expected), strict=True):
            torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * float(other.std()))
print("equal")
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_triton_kernels_equal_pytorch_in_the_interpreter() -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    run = subprocess.run([sys.executable, "-c", TRITON], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "equal"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize("architecture", [75, 80, 90])
@pytest.mark.parametrize("states", [1, 16])
def test_triton_kernels_compile_for_gpus_without_spilling_registers(architecture: int, states: int) -> None:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from saliency_pred.encoders import selective_scan_triton as kernels

    for kernel in (kernels._forward_kernel, kernels._backward_kernel):
        names = kernel.arg_names
        types = {n: "*fp32" if n.endswith("_ptr") else "constexpr" if n.startswith("BLOCK") else "i32" for n in names}
        constants = {"BLOCK_N": states, "BLOCK_D": kernels.BLOCK_D}
        source = ASTSource(kernel, types, {(names.index(n),): value for n, value in constants.items()})
        compiled = triton.compile(source, GPUTarget("cuda", architecture, 32), options={"num_warps": 1})
        assert ".local" not in compiled.asm["ptx"]


@pytest.mark.slow
def test_compiles_as_one_graph() -> None:
    args = [a.requires_grad_() for a in arguments(length=50, dtype=torch.float32)]
    compiled = torch.compile(lambda *values: grouped_scan(*values).square().sum(), fullgraph=True)
    gradients = torch.autograd.grad(compiled(*args), args)
    expected = torch.autograd.grad(grouped_scan(*args).square().sum(), args)
    torch.testing.assert_close(gradients, expected)
