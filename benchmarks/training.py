"""What the framework costs: a training step and the loading of images, each against a bare loop.

step     one epoch of Lightning training against a plain PyTorch loop over the same batches, same network,
         loss and optimiser (target: at most 5 % more)
loading  images per second of the data loader against cv2 decoding and resizing alone (target: at most 1.5
         times its time per image)
memory   peak resident memory of the process

python benchmarks/training.py [FOLDER with the OSIE layout].
"""

from __future__ import annotations

import resource
import sys
import time

import cv2
import numpy as np
import pytorch_lightning as pl
import torch

from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.osie import OSIE
from saliency_pred.data.synthetic import Synthetic
from saliency_pred.decoders.readout import Readout
from saliency_pred.encoders.timm import TimmEncoder
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.losses import WeightedLoss
from saliency_pred.model import SaliencyModel
from saliency_pred.training.module import SaliencyTraining
from saliency_pred.training.optimizer import OptimizerFactory, Schedule

ROUNDS = 3


def build(seed: int = 0) -> tuple[SaliencyModel, WeightedLoss, OptimizerFactory]:
    torch.manual_seed(seed)
    encoder = TimmEncoder("resnet18", weights="none")
    model = SaliencyModel(encoder, Readout(encoder.channels, encoder.strides))
    return model, WeightedLoss({"log_likelihood": -1}), OptimizerFactory(torch.optim.AdamW, 1e-4)


def data(count: int = 48) -> SaliencyDataModule:
    dataset = Synthetic(count=count, size=(192, 256), split="all")
    module = SaliencyDataModule(dataset, (192, 256), batch_size=8, cache="ram")
    for _ in module.train_dataloader():  # fill the cache: the step is measured, not the drawing
        pass
    return module


def framework_epoch(module: SaliencyDataModule) -> float:
    model, loss, optimizer = build()
    training = SaliencyTraining(model, loss, optimizer, Schedule(), Scorer(module.centre_bias()))
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        limit_val_batches=0,
    )
    clock = Clock()
    trainer.callbacks.append(clock)
    trainer.fit(training, module)
    return clock.seconds


class Clock(pl.Callback):
    """Seconds from the first to the last step of an epoch: both loops skip their own start-up."""

    seconds = 0.0

    def on_train_epoch_start(self, *_: object) -> None:
        self.start = time.perf_counter()

    def on_train_epoch_end(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.start


def bare_epoch(module: SaliencyDataModule) -> float:
    model, loss, factory = build()
    optimizer = factory(model)
    model.train()
    start = time.perf_counter()
    for batch in module.train_dataloader():
        optimizer.zero_grad()
        loss(model(batch.image, batch.valid, batch.domain), batch)["loss"].backward()
        optimizer.step()
    return time.perf_counter() - start


def step() -> None:
    module = data()
    bare_epoch(module)
    pairs = [(framework_epoch(module), bare_epoch(module)) for _ in range(ROUNDS)]
    framework, bare = min(p[0] for p in pairs), min(p[1] for p in pairs)
    steps = len(module.train_dataloader())
    print(f"step      framework {framework / steps * 1e3:.1f} ms, bare loop {bare / steps * 1e3:.1f} ms: "
          f"{100 * (framework / bare - 1):+.1f} %")  # fmt: skip


def loading(root: str | None) -> None:
    if root is None:
        print("loading   give a folder with the OSIE layout to measure it")
        return
    dataset = OSIE(root, split="all")
    module = SaliencyDataModule(dataset, (288, 384), batch_size=8)
    cv2.setNumThreads(1)
    loader_times, floor_times = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in module.evaluation_dataloader("val"):
            pass
        loader_times.append(time.perf_counter() - start)
        start = time.perf_counter()
        for path in dataset.paths:
            image = cv2.imread(str(path))
            np.ascontiguousarray(cv2.resize(image, (384, 288), interpolation=cv2.INTER_AREA)[..., ::-1])
        floor_times.append(time.perf_counter() - start)
    n = len(dataset)
    loader, floor = min(loader_times), min(floor_times)
    print(f"loading   {n / loader:.0f} images/s with fixations, cv2 alone {n / floor:.0f} images/s: "
          f"{loader / floor:.2f}x its time")  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    step()
    loading(sys.argv[1] if len(sys.argv) > 1 else None)
    print(f"memory    {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB peak")
