"""Selective scan on the CPU: speed and memory beside the plain loop and mambapy, growth with the length, SUM.

Usage: python benchmarks/ssm.py [--threads N]

Every number comes from a process of its own, so that no measurement sees the memory of another: the peak is
that of the first run, beyond what the process held before it; times are the best of several runs after it.
mambapy (pip install mambapy) is left out, with a note, where it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

D, N = 192, 16
RUNS = 5


def loop(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The recursion step by step, under autograd; (1, 1, L, ·) as `grouped_scan`."""
    A = A[0]
    h = torch.zeros_like(A)
    y = []
    steps = zip(*(x[0, 0].unbind(0) for x in (u, delta, B, C)), strict=True)
    for u_t, delta_t, B_t, C_t in steps:
        h = torch.exp(delta_t * A) * h + B_t[:, None] * (delta_t * u_t)
        y.append(C_t @ h)
    return torch.stack(y)[None, None]


def mambapy(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """mambapy's parallel scan, in its layout (batch, L, D, N)."""
    from mambapy.pscan import pscan

    decay = torch.exp(delta[0].unsqueeze(-1) * A[0].T)
    drive = (delta[0] * u[0]).unsqueeze(-1) * B[0].unsqueeze(2)
    return (pscan(decay, drive) @ C[0].unsqueeze(-1)).squeeze(-1)[None]


def ours(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """This package's scan."""
    from saliency_pred.encoders.selective_scan import grouped_scan

    return grouped_scan(u, delta, A, B, C)


SCANS = {"ours": ours, "loop": loop, "mambapy": mambapy}


# ---------------------------------------------------------------------- inside a measuring process


def _memory() -> tuple[int, int]:
    """(bytes held now, most bytes held so far)."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return tuple(int(lines[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM"))  # type: ignore[return-value]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak, peak


def peak_of(run: Callable[[], object]) -> float:
    """MiB that a run needs beyond what the process holds before it."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")  # the high-water mark starts again from here
    before, _ = _memory()
    run()
    return (_memory()[1] - before) / 2**20


def best_of(run: Callable[[], object], runs: int = RUNS) -> float:
    """Milliseconds of the fastest of several runs."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def measure_scan(name: str, length: int) -> dict[str, float]:
    """Time and memory of one scan forward, and forward + backward."""
    torch.manual_seed(0)
    shapes = {
        "u": (1, 1, length, D),
        "delta": (1, 1, length, D),
        "A": (1, N, D),
        "B": (1, 1, length, N),
        "C": (1, 1, length, N),
    }
    inputs = {key: torch.randn(shape) for key, shape in shapes.items()}
    inputs["delta"] = torch.nn.functional.softplus(inputs["delta"] - 3)
    inputs["A"] = -inputs["A"].abs() * torch.arange(1, N + 1)[:, None]
    weight = torch.randn(1, 1, length, D)
    arguments = [value.requires_grad_() for value in inputs.values()]
    scan = SCANS[name]

    def forward() -> None:
        with torch.no_grad():
            scan(*arguments)

    def both() -> None:
        torch.autograd.grad(scan(*arguments), arguments, weight)

    warm = [value[..., :8, :] if value.shape[-2] == length else value for value in arguments]
    torch.autograd.grad(scan(*warm).sum(), arguments)  # libraries load and threads start outside the measure
    peak = peak_of(both)
    runs = RUNS if name != "loop" else 2
    return {"peak": peak, "forward": best_of(forward, runs), "both": best_of(both, runs)}


def measure_floor(length: int) -> dict[str, float]:
    """What no implementation without a kernel of its own avoids, in cache: decays, once and once again."""
    values = torch.full((2**17,), -1.0)
    out = torch.empty_like(values)
    passes = length * D * N / len(values)
    exp = best_of(lambda: torch.exp2(values, out=out), 200) * passes
    update = best_of(lambda: out.addcmul_(values, values), 200) * passes
    return {"exp": exp, "update": update}


def measure_sum() -> dict[str, float]:
    """SUM, from an image of 256 x 256 to logits."""
    from saliency_pred.decoders.sum import SUM
    from saliency_pred.encoders.vmamba import VMambaEncoder
    from saliency_pred.model import SaliencyModel

    encoder = VMambaEncoder("v0", (2, 2, 27, 2), taps="entries")
    model = SaliencyModel(encoder, SUM(encoder.channels, encoder.strides)).eval()
    image = torch.rand(1, 3, 256, 256)

    def run() -> None:
        with torch.no_grad():
            model(image)

    peak = peak_of(run)
    return {"peak": peak, "total": _memory()[1] / 2**20, "milliseconds": best_of(run, 3)}


# ---------------------------------------------------------------------- the report


def measured(threads: int, *task: object) -> dict[str, float]:
    """Run one measurement in a fresh process."""
    command = [sys.executable, __file__, "--threads", str(threads), "--task", *map(str, task)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(run.stderr)
    result: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.task:
        kind, *rest = args.task
        if kind == "scan":
            result = measure_scan(rest[0], int(rest[1]))
        else:
            result = measure_floor(int(rest[0])) if kind == "floor" else measure_sum()
        print(json.dumps(result))
        return

    length = 4096
    print(f"torch {torch.__version__}, {args.threads} threads, float32")
    print(f"\nOne sequence, L={length} D={D} N={N}: {length * D * N / 1e6:.1f} M states")
    print(f"{'':10}{'forward ms':>12}{'fwd+bwd ms':>12}{'bwd/fwd':>9}{'peak MiB':>10}")
    for name in SCANS:
        if name == "mambapy" and importlib.util.find_spec("mambapy") is None:
            print("mambapy    not installed (pip install mambapy)")
            continue
        r = measured(args.threads, "scan", name, length)
        ratio = (r["both"] - r["forward"]) / r["forward"]
        print(f"{name:10}{r['forward']:12.1f}{r['both']:12.1f}{ratio:9.2f}{r['peak']:10.1f}")
    floor = measured(args.threads, "floor", length)
    once = floor["exp"] + floor["update"]
    tensors = 4 * (3 * length * D + 2 * length * N + N * D)
    print(f"{'floor':10}{once:12.1f}{2 * once + floor['update']:12.1f}{'':9}{tensors / 2**20:10.1f}")
    print(
        f"  floor: exp2 ({floor['exp']:.1f} ms) and multiply-add ({floor['update']:.1f} ms) for each state "
        "forward;\n  both again and a multiply-add for the gradient backward; all in cache. "
        "Memory: the output and all gradients"
    )

    print(f"\nGrowth with the length, D={D} N={N}")
    print(f"{'L':>6}{'forward ms':>12}{'µs/step':>9}{'bwd/fwd':>9}{'peak MiB':>10}{'KiB/step':>10}")
    for length in (256, 512, 1024, 2048, 4096, 8192, 16384):
        r = measured(args.threads, "scan", "ours", length)
        ratio = (r["both"] - r["forward"]) / r["forward"]
        print(
            f"{length:6}{r['forward']:12.1f}{1e3 * r['forward'] / length:9.2f}{ratio:9.2f}{r['peak']:10.1f}"
            f"{1024 * r['peak'] / length:10.2f}"
        )

    r = measured(args.threads, "sum")
    print(f"\nSUM (57.5 M parameters), one image of 256 x 256: {r['milliseconds'] / 1e3:.2f} s")
    print(f"{r['peak']:.0f} MiB beside the weights, {r['total']:.0f} MiB at most since the process began")


if __name__ == "__main__":
    main()
