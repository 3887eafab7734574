"""How fast data sets are read: images and fixations a second, against decoding and resizing alone.

    python benchmarks/data.py [FOLDER]

FOLDER holds unpacked releases or samples (OSIE, MIT1003, SUN500_Scene ...); without it, or where it has none,
pictures are generated. Prints a table, and how long a generated set of 10,000 pictures takes to open.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import torch

from saliency_pred.data.cache import DiskCache
from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.dataset import SaliencyDataset
from saliency_pred.data.folder import Folder
from saliency_pred.data.mit1003 import MIT1003
from saliency_pred.data.osie import OSIE
from saliency_pred.data.placement import Placement
from saliency_pred.data.sun500 import SUN500

SIZE = (288, 384)
WORKERS = 2
READERS: dict[str, type[SaliencyDataset]] = {"OSIE": OSIE, "MIT1003": MIT1003, "SUN500_Scene": SUN500}


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as scratch:
        sets: dict[str, SaliencyDataset] = {}
        if folder is not None:
            sets = {name: READERS[name](folder / name, split="all") for name in READERS if (folder / name).is_dir()}
        if not sets:
            sets = {"generated": generated(Path(scratch) / "set", 150, (600, 800))}
        print(f"input {SIZE[0]} x {SIZE[1]}, {WORKERS} workers; images a second, best of 3, warm disk cache\n")
        head = ("set", "images", "fixations", "floor", "loader", "workers", "cached", "MB/worker", "fixations/s")
        print("".join(f"{h:>12}" for h in head))
        for name, dataset in sets.items():
            measure(name, dataset, Path(scratch) / "cache")
        print("\nfloor      cv2.imread and resizing alone, one process")
        print("loader     everything of a batch, in the main process")
        print("workers    the same, with worker processes;  cached: the same from loader.cache=DIR")
        print("MB/worker  memory of a worker that it does not share\n")
        opening(Path(scratch) / "many")


def measure(name: str, dataset: SaliencyDataset, cache: Path) -> None:
    """One row of the table."""
    n = len(dataset)
    paths = dataset.paths  # type: ignore[attr-defined]
    places = [Placement.of(dataset.size(i), SIZE, "pad").size for i in range(n)]

    def floor() -> None:
        for path, (height, width) in zip(paths, places, strict=True):
            cv2.resize(cv2.imread(str(path)), (width, height), interpolation=cv2.INTER_AREA)

    def batches(**options: object) -> Iterable[object]:
        return SaliencyDataModule(dataset, SIZE, batch_size=8, **options).evaluation_dataloader("val")  # type: ignore[arg-type]

    cv2.setNumThreads(0)
    total = sum(len(f) for f in map(dataset.fixations, range(n)) if f is not None)
    DiskCache.open(dataset, SIZE, "pad", cache)
    seconds = {"floor": best(floor), "loader": best(lambda: drain(batches()))}
    for column, options in (("workers", {}), ("cached", {"cache": str(cache)})):
        loader = batches(workers=WORKERS, **options)
        drain(loader)  # workers start once and stay
        seconds[column] = best(lambda loader=loader: drain(loader))  # type: ignore[misc]
        memory = own_memory(loader)
    rates = "".join(f"{n / s:>12.0f}" for s in seconds.values())
    print(f"{name:>12}{n:>12,}{total:>12,}{rates}{memory:>12.0f}{total / seconds['cached']:>13,.0f}")


def best(run: Callable[[], object], times: int = 3) -> float:
    """The shortest of some runs, in seconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def drain(batches: Iterable[object]) -> None:
    """Read to the end."""
    for _ in batches:
        pass


def own_memory(loader: object) -> float:
    """MB that a worker of this loader holds for itself (private pages), the mean over its workers; NaN off Linux."""
    held = []
    for worker in loader._iterator._workers:  # type: ignore[attr-defined]
        try:
            lines = Path(f"/proc/{worker.pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            return float("nan")
        private = [line for line in lines if line.startswith("Private_")]
        held.append(sum(int(line.split()[1]) for line in private) / 1024)
    return float(np.mean(held))


def generated(root: Path, count: int, size: tuple[int, int]) -> Folder:
    """Smoothed noise as photo-like files, with a hundred fixations each."""
    rng = np.random.default_rng(0)
    images = root / "images"
    images.mkdir(parents=True)
    lines = ["image,x,y,duration,viewer"]
    for k in range(count):
        path = images / f"{k:05d}.jpg"
        coarse = rng.integers(0, 256, (size[0] // 20, size[1] // 20, 3), dtype=np.uint8)
        cv2.imwrite(str(path), cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))
        x, y = rng.uniform(0, size[1], 100), rng.uniform(0, size[0], 100)
        lines += [f"{k:05d},{a:.1f},{b:.1f},0.25,{v % 10}" for v, (a, b) in enumerate(zip(x, y, strict=True))]
    (root / "fixations.csv").write_text("\n".join(lines) + "\n")
    return Folder(root, split="all")


def opening(root: Path) -> None:
    """How long 10,000 pictures take to open, with their fixations in one file and in a file each; and their cache."""
    rng = np.random.default_rng(0)
    count = 10_000
    stimuli = root / "data" / "stimuli"
    stimuli.mkdir(parents=True)
    cv2.imwrite(str(stimuli / "00000.jpg"), np.full((60, 80, 3), 128, np.uint8))
    for k in range(1, count):
        (stimuli / f"{k:05d}.jpg").hardlink_to(stimuli / "00000.jpg")
    own = root / "own"
    own.mkdir()
    (own / "images").symlink_to(stimuli, target_is_directory=True)
    (own / "fixations").mkdir()
    for k in range(count):
        np.savez(own / "fixations" / f"{k:05d}.npz", x=rng.uniform(0, 80, 20), y=rng.uniform(0, 60, 20))
    names = np.repeat([f"{k:05d}" for k in range(count)], 10)
    x, y = rng.uniform(0, 80, len(names)), rng.uniform(0, 60, len(names))
    rows = "\n".join(f"{n},{a:.1f},{b:.1f}" for n, a, b in zip(names, x, y, strict=True))
    csv = root / "csv"
    csv.mkdir()
    (csv / "images").symlink_to(stimuli, target_is_directory=True)
    (csv / "fixations.csv").write_text(f"image,x,y\n{rows}\n")
    for label, folder in (("fixations.csv, 100,000 rows", csv), ("fixations/*.npz, 200,000", own)):
        start, busy = time.perf_counter(), time.process_time()
        dataset = Folder(folder)
        wall, cpu = time.perf_counter() - start, time.process_time() - busy
        print(f"opening {len(dataset):,} pictures with {label}: {wall:.2f} s ({cpu:.2f} s of one processor)")
    start = time.perf_counter()
    DiskCache.open(dataset, (8, 8), "pad", root / "cache")
    made = time.perf_counter() - start
    start = time.perf_counter()
    DiskCache.open(dataset, (8, 8), "pad", root / "cache")
    print(f"opening their cache: {time.perf_counter() - start:.2f} s (made in {made:.0f} s)")
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
