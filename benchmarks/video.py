"""Predicting videos: ViNet-S against a plain loop, UNISAL, and decoding against PyAV alone.

Usage: python benchmarks/video.py [--maps N] [--threads N]

The plain loop does what the published script of ViNet-S does for every map: read the 32 frames of its window from
pictures on disk, run the network once, enlarge and blur the map, store it as PNG. Networks are untrained, which
changes no time. The floor of ViNet-S is its arithmetic: 138.7 GFLOP a map, at the rate of a large matrix product here.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from saliency_pred.cli.compose import compose
from saliency_pred.data.clips import ClipSampler
from saliency_pred.data.video import open_video
from saliency_pred.inference.predictor import Predictor
from saliency_pred.inference.stream import VideoStream
from saliency_pred.inference.video_writer import VideoWriter
from saliency_pred.instantiate import instantiate
from saliency_pred.model import SaliencyModel
from saliency_pred.weights.checkpoint import build_model, without_pretrained

SIZE = (360, 640)
FRAMES = 96
VINET_S_GFLOP = 138.7


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--maps", type=int, default=6, help="maps of ViNet-S to time")
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    cv2.setNumThreads(chosen.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path, pictures = make_video(folder)
        decoding(path)
        print(f"\nnetworks: {SIZE[0]} x {SIZE[1]} video, {chosen.threads} threads, {device()}")
        vinet_s(path, pictures, folder, chosen.maps)
        unisal(path)
    print(f"\npeak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def make_video(folder: Path) -> tuple[Path, list[Path]]:
    """A panning picture as H.264, and its frames as JPEG."""
    rng = np.random.default_rng(0)
    wide = cv2.resize(rng.integers(0, 255, (40, 120, 3), dtype=np.uint8), (3 * SIZE[1], SIZE[0]))
    pictures = []
    with VideoWriter(folder / "video.mp4", SIZE, Fraction(1, 30), "picture") as writer:
        for k in range(FRAMES):
            frame = np.ascontiguousarray(wide[:, 4 * k : 4 * k + SIZE[1]])
            writer.write(frame, k)
            pictures.append(folder / f"{k:04d}.jpg")
            cv2.imwrite(str(pictures[-1]), frame[..., ::-1])
    return folder / "video.mp4", pictures


def decoding(path: Path) -> None:
    """RGB frames a second, in order and at random, beside PyAV alone."""

    def alone() -> int:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            return sum(1 for frame in container.decode(stream) if frame.to_ndarray(format="rgb24") is not None)

    video = open_video(path)
    chosen = np.random.default_rng(0).integers(0, len(video), 16)
    rates = {
        "PyAV alone": FRAMES / best(alone),
        "in order": FRAMES / best(lambda: sum(1 for _ in video.frames())),
        "opened and in order": FRAMES / best(lambda: sum(1 for _ in open_video(path).frames())),
        "16 at random": 16 / best(lambda: video.frames_at(chosen)),
    }
    print("decoding to RGB, frames a second (share of PyAV alone)")
    for name, rate in rates.items():
        print(f"  {name:<20}{rate:>8.0f}   {rate / rates['PyAV alone']:.2f}")


def vinet_s(path: Path, pictures: list[Path], folder: Path, count: int) -> None:
    """Maps a second after the first 40 frames, so that all windows are full."""
    model, clips = network("vinet_s")
    loop = timed(lambda: [plain_map(model, pictures, 40 + k, folder) for k in range(count)])
    predictor = Predictor(model, (224, 384), "stretch", "video", device())
    video = open_video(path)
    ours = {}
    for batch in (1, 2):
        stream = VideoStream(predictor, video, clips, batch)
        ours[batch] = timed(lambda s=stream: list(islice(s.run(40), count)))  # type: ignore[misc]
    side = 2048
    a = torch.rand(side, side, device=device())
    rate = 2 * side**3 / best(lambda: float((a @ a)[0, 0]))
    floor = VINET_S_GFLOP * 1e9 / rate
    print(f"ViNet-S, {count} maps: seconds a map (ratio to the plain loop)")
    print(f"  {'plain loop':<20}{loop / count:>8.2f}")
    for batch, seconds in ours.items():
        print(f"  {f'stream, batch {batch}':<20}{seconds / count:>8.2f}   {loop / seconds:.2f}x")
    print(f"  {'floor (arithmetic)':<20}{floor:>8.2f}   at {rate / 1e9:.0f} GFLOP/s")


def plain_map(model: SaliencyModel, pictures: list[Path], number: int, folder: Path) -> None:
    """One map as the published script makes it."""
    frames = []
    for picture in pictures[number - 31 : number + 1]:
        frame = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
        frames.append(torch.from_numpy(cv2.resize(frame, (384, 224))).permute(2, 0, 1).float() / 255)
    with torch.no_grad():
        logits = model(torch.stack(frames, 1)[None].to(device()))[0, 0].cpu().numpy()
    saliency = cv2.GaussianBlur(cv2.resize(np.exp(logits), SIZE[::-1]), (11, 11), 0)
    saliency = (saliency - saliency.min()) / max(float(np.ptp(saliency)), 1e-12)
    cv2.imwrite(str(folder / "map.png"), (255 * saliency).astype(np.uint8))


def unisal(path: Path) -> None:
    """Frames a second with the state carried, each frame once."""
    model, clips = network("unisal_dhf1k")
    stream = VideoStream(Predictor(model, (224, 384), "stretch", "video", device()), open_video(path), clips)
    seconds = timed(lambda: list(stream.run()))
    print(f"UNISAL: {FRAMES / seconds:.1f} frames a second, {stream.seconds['decoding'] / seconds:.0%} of it decoding")


def network(experiment: str) -> tuple[SaliencyModel, ClipSampler]:
    """An untrained network and how it sees videos."""
    config = compose("train", [f"experiment={experiment}", "data=synthetic_video"])
    return build_model(without_pretrained(config)).to(device()).eval(), instantiate(config.loader.clips)


def device() -> str:
    """Where networks run."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def timed(run: Callable[[], object]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def best(run: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of some runs."""
    return min(timed(run) for _ in range(times))


if __name__ == "__main__":
    main()
