"""Fixation metrics: the whole `tuebingen` preset beside pysaliency and the NumPy code that people copy.

Usage: python benchmarks/metrics.py [--pysaliency PYTHON] [--images N] [--maps N] [--rounds N]

Maps of 480 x 640 pixels, float32, 100 fixations each, shuffled AUC against the fixations of all other images, one
thread. Times are CPU times of a process per image, the best of several rounds, so that other programs on the
machine disturb them little. The floor is the time that reading the arguments of a metric once takes at the speed
at which this machine copies memory.

--pysaliency is the interpreter of an environment with pysaliency 0.2.22 (pip install pysaliency==0.2.22
"setuptools<81" "numpy<2" torch), which runs in a process of its own on the same arrays. Where there is a GPU, the
same metrics are timed on it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

SIZE = (480, 640)
FIXATIONS = 100
METRICS = ("auc", "sauc", "nss", "cc", "kld", "sim", "ig")
EPS = 2.2204e-16
READ = {"auc": 1, "sauc": 0, "nss": 1, "cc": 2, "kld": 2, "sim": 2, "ig": 2}
"""How many maps a metric has to read whole (shuffled AUC reads single pixels; IG both densities, to check them)."""

Arrays = dict[str, np.ndarray]


# ---------------------------------------------------------------------- the images


def make(images: int) -> Arrays:
    """Smooth maps with a little texture, human densities, a centre bias, and fixations drawn from the densities."""
    rng = np.random.default_rng(0)
    y, x = ((np.arange(n) + 0.5) / n for n in SIZE)

    def bumps(number: int, least: float, most: float) -> np.ndarray:
        total = np.zeros(SIZE)
        for weight, cy, cx, sy, sx in zip(
            *rng.uniform(0.2, 1, (1, number)), *rng.uniform(0, 1, (2, number)), *rng.uniform(least, most, (2, number)),
            strict=True,
        ):  # fmt: skip
            total += weight * np.outer(np.exp(-((y - cy) ** 2) / (2 * sy**2)), np.exp(-((x - cx) ** 2) / (2 * sx**2)))
        return total

    centre = np.outer(np.exp(-((y - 0.5) ** 2) / 0.1), np.exp(-((x - 0.5) ** 2) / 0.1))
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("maps", "densities", "rows", "columns")}
    for _ in range(images):
        human = bumps(5, 0.04, 0.12) + 0.05 * centre
        predicted = human + bumps(3, 0.05, 0.2) + 0.02 * bumps(60, 0.005, 0.03) + 0.3 * centre + 1e-4
        drawn = rng.choice(human.size, FIXATIONS, p=(human / human.sum()).ravel())
        for name, value in (
            ("maps", predicted / predicted.sum()),
            ("densities", human / human.sum()),
            ("rows", drawn // SIZE[1]),
            ("columns", drawn % SIZE[1]),
        ):
            found[name].append(value)
    arrays = {name: np.stack(values) for name, values in found.items()}
    arrays["baseline"] = (centre + 0.05) / (centre + 0.05).sum()
    arrays["logs"] = np.log(arrays["maps"])
    arrays["log_baseline"] = np.log(arrays["baseline"])
    return {n: a.astype(np.float32) if a.dtype == np.float64 else a for n, a in arrays.items()}


def best(run: Callable[[], Any], rounds: int) -> float:
    """CPU seconds of the quickest round, after one to warm up."""
    run()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def measured(parts: dict[str, Callable[[], Any]], images: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of an image and mean score for every part."""
    found: dict[str, Any] = {"ms": {}, "scores": {}}
    for name, run in parts.items():
        found["ms"][name] = best(run, rounds) / images * 1e3
        found["scores"][name] = float(np.mean(np.asarray(run(), dtype=np.float64)))
    return found


# ---------------------------------------------------------------------- this package


def with_this_package(arrays: Arrays, rounds: int) -> dict[str, Any]:
    """Function by function, and the preset whole."""
    import torch

    from saliency_pred.metrics import functional as F

    torch.set_num_threads(1)
    images = len(arrays["maps"])
    t = {name: torch.from_numpy(value) for name, value in arrays.items()}
    here, others = fixations(arrays)

    def each(one: Callable[[int], Any]) -> Callable[[], list[float]]:
        return lambda: [float(one(i)) for i in range(images)]

    def some(name: str, i: int) -> Any:
        return t[name][i : i + 1]

    parts: dict[str, Callable[[], Any]] = {
        "auc": each(lambda i: F.auc(some("maps", i), here[i])),
        "sauc": each(lambda i: F.sauc(some("maps", i), here[i], others[i])),
        "nss": each(lambda i: F.nss(some("maps", i), here[i])),
        "cc": each(lambda i: F.cc(some("maps", i), some("densities", i))),
        "kld": each(lambda i: F.kld(some("maps", i), some("densities", i))),
        "sim": each(lambda i: F.sim(some("maps", i), some("densities", i))),
        "ig": each(lambda i: F.ig(some("logs", i), t["log_baseline"][None], here[i])),
    }
    found = measured(parts, images, rounds)
    score = scorer(arrays)
    whole = {"preset": lambda: [score(i)["auc"] for i in range(images)]}
    found["ms"] |= measured(whole, images, rounds)["ms"]
    means = [score(i) for i in range(images)]
    for name in METRICS:
        difference = abs(float(np.mean([m[name] for m in means])) - found["scores"][name])
        assert difference < 1e-5, f"{name}: preset and function differ by {difference}"
    return found


def fixations(arrays: Arrays) -> tuple[list[Any], list[Any]]:
    """Of every image, and of all other images."""
    from saliency_pred.fixations import Fixations

    x, y = arrays["columns"] + 0.5, arrays["rows"] + 0.5
    here = [Fixations.of(a, b, SIZE) for a, b in zip(x, y, strict=True)]
    others = [Fixations.of(np.delete(x, i, 0).ravel(), np.delete(y, i, 0).ravel(), SIZE) for i in range(len(x))]
    return here, others


def scorer(arrays: Arrays) -> Callable[[int], dict[str, float]]:
    """Number of an image → its scores under the preset, from its log density."""
    import torch
    from hydra import compose, initialize_config_module

    from saliency_pred.instantiate import instantiate
    from saliency_pred.metrics.presets import log_density_stack

    with initialize_config_module("saliency_pred.configs", version_base="1.3"):
        preset = instantiate(compose("preset/tuebingen").preset)
    t = {name: torch.from_numpy(value) for name, value in arrays.items()}
    baseline = log_density_stack(t["log_baseline"])
    here, others = fixations(arrays)
    return lambda i: preset.score(t["logs"][i], here[i], t["densities"][i], baseline, others[i], kind="log_density")


def many(file: str, maps: int) -> tuple[float, float]:
    """CPU seconds of scoring so many maps in this process, and the most memory that it ever held, in bytes."""
    import torch

    torch.set_num_threads(1)
    with np.load(file) as loaded:
        score = scorer(dict(loaded))
        images = len(loaded["maps"])
    score(0)
    start = time.process_time()
    for i in range(maps):
        score(i % images)
    unit = 1 if sys.platform == "darwin" else 1024
    return time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def stack_memory(maps: int) -> float:
    """MiB by which the process grows at most while all metrics score a stack of so many maps."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return float("nan")

    def held(key: str) -> float:
        line = next(line for line in status.read_text().splitlines() if line.startswith(key))
        return int(line.split()[1]) / 1024

    import torch

    torch.set_num_threads(1)
    for one in on_stack(make(2), 2, "cpu").values():
        one()  # what libraries hold once and for all
    run = on_stack(make(4), maps, "cpu")
    reset.write_text("5")  # the high-water mark starts again from here
    before = held("VmRSS")
    for one in run.values():
        one()
    return held("VmHWM") - before


def on_stack(arrays: Arrays, maps: int, device: str) -> dict[str, Callable[[], Any]]:
    """The metrics of a stack of so many maps, made of a few by repetition."""
    import torch

    from saliency_pred.fixations import Fixations
    from saliency_pred.metrics import functional as F

    here, others = fixations(arrays)
    pick = [i % len(here) for i in range(maps)]
    mine = Fixations.cat([here[i] for i in pick]).to(device)
    negatives = Fixations.cat([others[i] for i in pick]).to(device)
    index = torch.tensor(pick)
    t = {n: torch.from_numpy(arrays[n])[index].to(device) for n in ("maps", "densities", "logs")}
    baseline = torch.from_numpy(arrays["log_baseline"]).to(device).expand_as(t["maps"])
    return {
        "auc": lambda: F.auc(t["maps"], mine),
        "sauc": lambda: F.sauc(t["maps"], mine, negatives),
        "nss": lambda: F.nss(t["maps"], mine),
        "cc": lambda: F.cc(t["maps"], t["densities"]),
        "kld": lambda: F.kld(t["maps"], t["densities"]),
        "sim": lambda: F.sim(t["maps"], t["densities"]),
        "ig": lambda: F.ig(t["logs"], baseline, mine),
    }


def on_gpu(arrays: Arrays, maps: int = 256, rounds: int = 5) -> dict[str, tuple[float, float]]:
    """Metric → milliseconds of a map in a stack on the GPU, and the largest difference from the processor."""
    import torch

    found = {}
    gpu, cpu = on_stack(arrays, maps, "cuda"), on_stack(arrays, len(arrays["maps"]), "cpu")
    for name, run in gpu.items():
        values = run()[: len(arrays["maps"])].cpu()
        times = []
        for _ in range(rounds):
            torch.cuda.synchronize()
            start = time.perf_counter()
            run()
            torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
        found[name] = min(times) / maps * 1e3, float((values - cpu[name]()).abs().max())
    return found


def copy_speed() -> float:
    """Bytes a second that one thread reads and writes, far beyond the caches."""
    source = np.random.default_rng(0).random(1 << 25, dtype=np.float32)
    target = np.empty_like(source)
    return 2 * source.nbytes / best(lambda: np.copyto(target, source), 5)


# ---------------------------------------------------------------------- NumPy as people write it


def with_numpy(arrays: Arrays, rounds: int) -> dict[str, Any]:
    """The usual lines for each metric: a threshold for each fixation, 100 draws of negatives, float64."""
    images = len(arrays["maps"])
    rng = np.random.default_rng(0)

    def auc_judd(s: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
        s = (s - s.min()) / (s.max() - s.min())
        fixated = np.zeros(SIZE)
        fixated[rows, columns] = 1
        values = s[fixated > 0]
        tp, fp = [0.0], [0.0]
        for i, threshold in enumerate(np.sort(values)[::-1], start=1):
            above = np.sum(s >= threshold)
            tp.append(i / len(values))
            fp.append((above - i) / (s.size - len(values)))
        return float(np.trapezoid([*tp, 1.0], [*fp, 1.0]))

    def shuffled(s: np.ndarray, rows: np.ndarray, columns: np.ndarray, other: np.ndarray) -> float:
        s = (s - s.min()) / (s.max() - s.min())
        values = s[rows, columns]
        areas = []
        for _ in range(100):
            drawn = s.ravel()[rng.choice(other, len(values))]
            thresholds = np.arange(1.0, -0.05, -0.1)
            tp = [0.0, *(np.mean(values >= t) for t in thresholds), 1.0]
            fp = [0.0, *(np.mean(drawn >= t) for t in thresholds), 1.0]
            areas.append(np.trapezoid(tp, fp))
        return float(np.mean(areas))

    def nss(s: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
        return float(((s - s.mean()) / s.std())[rows, columns].mean())

    def kld(s: np.ndarray, g: np.ndarray) -> float:
        s, g = s / s.sum(), g / g.sum()
        return float(np.sum(g * np.log(EPS + g / (s + EPS))))

    def sim(s: np.ndarray, g: np.ndarray) -> float:
        return float(np.minimum(s / s.sum(), g / g.sum()).sum())

    def ig(s: np.ndarray, b: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
        s, b = s / s.sum(), b / b.sum()
        return float(np.mean(np.log2(EPS + s[rows, columns]) - np.log2(EPS + b[rows, columns])))

    maps, densities = (arrays[name].astype(np.float64) for name in ("maps", "densities"))
    baseline = arrays["baseline"].astype(np.float64)
    rows, columns = arrays["rows"], arrays["columns"]
    flat = rows * SIZE[1] + columns
    every = range(images)
    parts: dict[str, Callable[[], Any]] = {
        "auc": lambda: [auc_judd(maps[i], rows[i], columns[i]) for i in every],
        "sauc": lambda: [shuffled(maps[i], rows[i], columns[i], np.delete(flat, i, 0).ravel()) for i in every],
        "nss": lambda: [nss(maps[i], rows[i], columns[i]) for i in every],
        "cc": lambda: [np.corrcoef(maps[i].ravel(), densities[i].ravel())[0, 1] for i in every],
        "kld": lambda: [kld(maps[i], densities[i]) for i in every],
        "sim": lambda: [sim(maps[i], densities[i]) for i in every],
        "ig": lambda: [ig(maps[i], baseline, rows[i], columns[i]) for i in every],
    }
    return measured(parts, images, rounds)


# ---------------------------------------------------------------------- pysaliency, in its own interpreter


def with_pysaliency(arrays: Arrays, rounds: int) -> dict[str, Any]:
    """Its methods for several images at once."""
    warnings.filterwarnings("ignore")
    import pysaliency
    from pysaliency.saliency_map_models import FullShuffledNonfixationProvider

    images = len(arrays["maps"])
    rng = np.random.default_rng(0)
    stimuli = pysaliency.Stimuli([rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8) for _ in range(images)])
    numbers = {stimuli.stimuli[i][0, :8].tobytes(): i for i in range(images)}

    def number(stimulus: Any) -> int:  # without the hash of the whole picture that stands for it otherwise
        return numbers[getattr(stimulus, "stimulus_data", stimulus)[0, :8].tobytes()]

    fixations = pysaliency.Fixations.create_without_history(
        x=arrays["columns"].ravel() + 0.5,
        y=arrays["rows"].ravel() + 0.5,
        n=np.repeat(np.arange(images), FIXATIONS),
    )

    class Maps(pysaliency.SaliencyMapModel):
        def __init__(self, values: np.ndarray) -> None:
            super().__init__(caching=False)
            self.values = values

        def _saliency_map(self, stimulus: Any) -> np.ndarray:
            raise NotImplementedError

        def saliency_map(self, stimulus: Any) -> np.ndarray:
            return self.values[number(stimulus)]

    class Densities(pysaliency.Model):
        def __init__(self, values: np.ndarray) -> None:
            super().__init__(caching=False)
            self.values = values

        def _log_density(self, stimulus: Any) -> np.ndarray:
            raise NotImplementedError

        def log_density(self, stimulus: Any) -> np.ndarray:
            return self.values[number(stimulus)]

    model, human = Maps(arrays["maps"]), Maps(arrays["densities"])
    logs = Densities(arrays["logs"])
    baseline = Densities(np.broadcast_to(arrays["log_baseline"], (images, *SIZE)))

    def shuffled() -> Any:
        return model.AUC_per_image(stimuli, fixations, nonfixations=FullShuffledNonfixationProvider(stimuli, fixations))

    parts: dict[str, Callable[[], Any]] = {
        "auc": lambda: model.AUC_per_image(stimuli, fixations),
        "sauc": shuffled,
        "nss": lambda: model.NSSs(stimuli, fixations),
        "cc": lambda: model.CCs(stimuli, human),
        "kld": lambda: model.image_based_kl_divergences(
            stimuli, human, minimum_value=0, log_regularization=EPS, quotient_regularization=EPS
        ),
        "sim": lambda: model.SIMs(stimuli, human),
        "ig": lambda: logs.information_gains(stimuli, fixations, baseline),
    }
    return measured(parts, images, rounds)


WORKERS = {"this package": with_this_package, "NumPy": with_numpy, "pysaliency": with_pysaliency}


def in_process(interpreter: str, worker: str, file: Path, rounds: int) -> dict[str, Any]:
    """What a worker found in a process of its own, with one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [interpreter, __file__, "--worker", worker, "--file", str(file), "--rounds", str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | threads)
    return json.loads(done.stdout.splitlines()[-1])


# ---------------------------------------------------------------------- the table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pysaliency", metavar="PYTHON", help="interpreter of an environment with pysaliency 0.2.22")
    parser.add_argument("--images", type=int, default=8, help="distinct images (8)")
    parser.add_argument("--maps", type=int, default=5000, help="maps that are scored on two cores (5000)")
    parser.add_argument("--rounds", type=int, default=30, help="of which the quickest counts (30)")
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        with np.load(given.file) as loaded:
            print(json.dumps(WORKERS[given.worker](dict(loaded), given.rounds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npz"
        arrays = make(given.images)
        np.savez(file, **arrays)  # type: ignore[arg-type]
        compare(file, given)
        score_many(file, given.maps)
        show_gpu(arrays)


def compare(file: Path, given: argparse.Namespace) -> None:
    """Time per image, metric by metric."""
    found = {"this package": in_process(sys.executable, "this package", file, given.rounds)}
    found["NumPy"] = in_process(sys.executable, "NumPy", file, given.rounds)
    if given.pysaliency:
        found["pysaliency"] = in_process(given.pysaliency, "pysaliency", file, given.rounds)
    else:
        print("pysaliency is not compared: give the interpreter of its environment, --pysaliency PYTHON (see --help)")
    speed = copy_speed()
    pixels = SIZE[0] * SIZE[1]
    print(f"\n{given.images} maps of {SIZE[0]} x {SIZE[1]}, {FIXATIONS} fixations, one thread; ms of CPU time an image")
    print(f"memory is copied at {speed / 1e9:.1f} GB/s (reading and writing)\n")
    print(f"{'':10}{'floor':>8}" + "".join(f"{who:>14}" for who in found) + "   scores")
    for name in METRICS:
        floor = READ[name] * pixels * 4 / speed * 1e3
        line = "".join(f"{result['ms'][name]:14.2f}" for result in found.values())
        scores = "  ".join(f"{result['scores'][name]:.6f}" for result in found.values())
        print(f"{name:10}{floor:8.3f}{line}   {scores}")
    totals = {who: sum(result["ms"][name] for name in METRICS) for who, result in found.items()}
    floor = sum(READ[name] for name in METRICS) * pixels * 4 / speed * 1e3
    print(f"{'sum':10}{floor:8.3f}" + "".join(f"{total:14.2f}" for total in totals.values()))
    preset = found["this package"]["ms"]["preset"]
    once = 4 * pixels * 4 / speed * 1e3  # map, log density, human density, baseline
    print(f"{'preset':10}{once:8.3f}{preset:14.2f}")
    for who, total in totals.items():
        if who != "this package":
            print(f"the preset takes 1 / {total / preset:.1f} of the time of {who}")
    print("NumPy's AUC is Judd's, its sAUC draws 100 times and its IG has an eps: other definitions than the preset's")


def score_many(file: Path, maps: int) -> None:
    """Many maps in two processes, what a data set of them takes on two cores; and the memory of a stack."""
    start = time.perf_counter()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(many, [str(file)] * 2, [maps // 2, maps - maps // 2]))
    wall = time.perf_counter() - start
    seconds = [seconds for seconds, _ in results]
    print(f"\n{maps} maps by the preset in two processes of one thread, reading excluded:")
    print(f"  {max(seconds):.1f} s of CPU time in the slower process ({sum(seconds) / maps * 1e3:.2f} ms a map)")
    print(f"  {wall:.1f} s on the clock, with starting the processes and whatever else the machine does")
    print(
        f"  at most {max(peak for _, peak in results) / 2**20:.0f} MiB held by a process, libraries and images included"
    )
    needed = []
    for number in (8, 128):  # each in a process of its own, which holds no memory of the other
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            needed.append(f"{pool.submit(stack_memory, number).result():.1f} MiB for {number} maps")
    print(f"while all metrics score a stack, the process grows by at most {', '.join(needed)}")


def show_gpu(arrays: Arrays) -> None:
    """The same metrics on a stack on the GPU."""
    import torch

    if not torch.cuda.is_available():
        print("\nno GPU: not measured")
        return
    print(f"\non {torch.cuda.get_device_name()}, a stack of 256 maps: ms a map, largest difference from the processor")
    for name, (ms, difference) in on_gpu(arrays).items():
        print(f"  {name:6}{ms:8.4f}{difference:10.1e}")


if __name__ == "__main__":
    main()
