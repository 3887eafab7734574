"""The LightningModule: a model, a loss and a scorer; no network and no metric is defined here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh

from saliency_pred.batch import Batch
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.losses import WeightedLoss
from saliency_pred.metrics.accumulate import ScoreTable
from saliency_pred.model import SaliencyModel
from saliency_pred.training.optimizer import OptimizerFactory, Schedule
from saliency_pred.training.scaling import Scaling
from saliency_pred.training.sharding import gather, release, shard
from saliency_pred.weights.checkpoint import CONFIG_KEY


class SaliencyTraining(pl.LightningModule):
    """Trains a model and scores it on held-out images after every epoch.

    Args:
        model, loss, optimizer, scheduler: what to train and how.
        scorer: of the held-out images; its baseline travels in the checkpoint.
        config: the resolved configuration, as YAML; stored in every checkpoint.
        scaling, batch_size: learning rates by the images of a step.
        seed: random numbers are seeded anew at every epoch, so that a resumed run repeats an
            uninterrupted one exactly.
    """

    def __init__(
        self,
        model: SaliencyModel,
        loss: WeightedLoss,
        optimizer: OptimizerFactory,
        scheduler: Schedule,
        scorer: Scorer,
        config: str = "",
        seed: int = 0,
        scaling: Scaling | None = None,
        batch_size: int = 1,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.scorer = scorer
        self.config = config
        self.seed = seed
        self.scaling = scaling or Scaling("none")
        self.batch_size = batch_size
        self.table = ScoreTable()
        self.sums: dict[str, Tensor] = {}
        """Of the loss terms over the images of this epoch that this process has trained on, and their number."""
        bias = scorer.baseline
        self.register_buffer("centre_bias", None if bias is None else bias.density.float())

    def forward(self, batch: Batch) -> Tensor:
        """Logits (B, T, H, W)."""
        return self.model(batch.image, batch.valid, batch.domain)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed what dropout and the like draw from, by epoch and process.

        At the first batch, not before: starting the loader draws from the same generator, at another
        moment in a resumed run than in an uninterrupted one.
        """
        if batch_idx == 0:
            words = [self.seed, self.current_epoch, self.global_rank]
            torch.manual_seed(int(np.random.SeedSequence(words).generate_state(1)[0]))
            self.sums = {}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        values = self.loss(self(batch), batch)
        for name, value in {**values, "images": torch.ones_like(values["loss"])}.items():
            self.sums[name] = self.sums.get(name, 0) + value.detach() * len(batch)
        if self.trainer.is_last_batch:
            self.log_dict(self._means(), batch_size=1)
        self.log("loss", values["loss"].detach(), prog_bar=True, logger=False, batch_size=len(batch))
        return values["loss"]

    def _means(self) -> dict[str, float]:
        """Of the loss terms over the images of this epoch, of all processes."""
        total = torch.stack(list(self.sums.values()))
        if self.trainer.world_size > 1:
            dist.all_reduce(total)
        sums = dict(zip(self.sums, total.tolist(), strict=True))
        images = sums.pop("images")
        return {f"train/{name}": value / images for name, value in sums.items()}

    def on_validation_epoch_start(self) -> None:
        """Begin a new table."""
        self.table = ScoreTable()
        gather(self.model)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Score every image at its original size."""
        predicted = self.model.log_density(batch.image, batch.valid, batch.domain, batch.original_size)
        self.table.extend(self.scorer.rows(predicted, batch))

    def on_validation_epoch_end(self) -> None:
        """Bring the rows of all processes together and log their means."""
        release(self.model)
        self.table = self.table.gathered()
        means = {f"val/{name}": value for name, value in self.table.means().items()}
        self.log_dict(means, rank_zero_only=False)
        for name in self.scorer.headline:
            self.log(name, means.get(f"val/{name}", float("nan")), prog_bar=True, logger=False)

    def configure_model(self) -> None:
        """Share the parameters out where the strategy has a mesh of processes."""
        if self.device_mesh is not None:  # Lightning's has nodes and processes of a node as two dimensions
            shard(self.model, init_device_mesh(self.device.type, (self.trainer.world_size,)))

    @property
    def images_per_step(self) -> int:
        """Over all processes and accumulated batches."""
        return self.batch_size * self.trainer.world_size * self.trainer.accumulate_grad_batches

    def configure_optimizers(self) -> Any:
        """The optimiser and its schedule over all steps of the run."""
        optimizer = self.optimizer(self.model, self.scaling.factor(self.images_per_step))
        total = int(self.trainer.estimated_stepping_batches)
        per_epoch = max(1, total // max(1, self.trainer.max_epochs or 1))
        return {"optimizer": optimizer, "lr_scheduler": self.scheduler(optimizer, total, per_epoch)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the configuration, so that the checkpoint alone rebuilds the model."""
        checkpoint[CONFIG_KEY] = self.config
