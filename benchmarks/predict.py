"""What prediction costs: the shipped predictors beside UNISAL's network, and the command from a cold start.

network     parameters; process seconds of one image of 288 x 384 through the network, one thread
prediction  process seconds of one 640 x 480 image in memory to its log density at that size, one thread
memory      peak resident memory of a process that does nothing else
cold start  `saliency predict photo.jpg`, default outputs: process seconds, wall seconds
further     process seconds of each further 640 x 480 image of a folder, reading and writing included, one thread

python benchmarks/predict.py [CHECKPOINT...]: the shipped predictors, UNISAL's network (random weights) and these.
Process seconds, the median of several rounds: wall seconds mean little on a machine that others use.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROUNDS = 5
UNISAL = "unisal (random weights)"


def photo(seed: int) -> np.ndarray:
    """640 x 480, smooth shapes with grain: compresses as a photograph does."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC), np.float32)
    return (smooth + rng.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)


def measure(name: str) -> None:
    """One row, in a process of its own; prints JSON."""
    import torch

    from saliency_pred.inference.predictor import Predictor

    torch.set_num_threads(1)
    if name == UNISAL:
        from saliency_pred.cli.compose import compose
        from saliency_pred.weights.checkpoint import build_model

        config = compose("train", ["experiment=unisal", "encoder.weights=none"])
        predictor = Predictor(build_model(config), config.loader.size, config.loader.resize, device="cpu")
    else:
        predictor = Predictor.load(name, device="cpu")
    image = photo(0)
    batch = torch.rand(1, 3, 288, 384)
    row = {
        "parameters": sum(p.numel() for p in predictor.model.parameters()),
        "network": seconds(lambda: predictor.model.log_density(batch)),
        "prediction": seconds(lambda: predictor.predict(image)),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(row))


def seconds(call) -> float:
    """Process seconds of a call, warmed up; the median of some rounds."""
    call()
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(3):
            call()
        taken.append((time.process_time() - start) / 3)
    return statistics.median(taken)


def command(model: str, images: int) -> tuple[float, float]:
    """Process and wall seconds of ``saliency predict`` on this many images, one thread."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for number in range(images):
            Image.fromarray(photo(number)).save(photos / f"{number}.jpg", quality=92)
        arguments = [str(photos), f"ckpt={model}", f"out={folder}/out", "device=cpu"]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "saliency_pred", "predict", *arguments],
            check=True,
            capture_output=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main(checkpoints: list[str]) -> None:
    """Print the tables."""
    names = checkpoints or ["lite0", "lite2"]
    print(f"{'':28}{'parameters':>12}{'network s':>11}{'predict s':>11}{'images/s':>10}{'memory MB':>11}")
    for name in [*names, UNISAL]:
        done = subprocess.run([sys.executable, __file__, "--row", name], capture_output=True, text=True)
        if done.returncode:
            print(f"{name:28}{done.stderr.strip().splitlines()[-1]}")
            continue
        row = json.loads(done.stdout)
        print(
            f"{name[-28:]:28}{row['parameters'] / 1e6:>10.2f} M{row['network']:>11.3f}{row['prediction']:>11.3f}"
            f"{1 / row['prediction']:>10.1f}{row['memory']:>11.0f}"
        )
    for name in names:
        few, many = 1, 13
        cold = [command(name, few) for _ in range(3)]
        process = statistics.median(c[0] for c in cold)
        long = statistics.median(command(name, many)[0] for _ in range(3))
        print(
            f"{name[-28:]}: cold start {process:.2f} process s, {min(c[1] for c in cold):.2f} wall s; "
            f"each further image {(long - process) / (many - few):.3f} process s"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--row"]:
        measure(sys.argv[2])
    else:
        main(sys.argv[1:])
