"""What a training run writes while it goes on: its history, and pictures of what it predicts."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytorch_lightning as pl

from saliency_pred.atomic import replacing
from saliency_pred.batch import Batch
from saliency_pred.density import saliency_map
from saliency_pred.inference.overlay import heat_map, overlay, side_by_side
from saliency_pred.training.module import SaliencyTraining


class History(pl.Callback):
    """history.csv: one row an epoch with every logged value; a resumed run continues it.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Rewrite the file with this epoch's row; rows of epochs that are trained again are replaced."""
        if not trainer.is_global_zero:
            return
        values = {name: float(value) for name, value in sorted(trainer.callback_metrics.items()) if "/" in name}
        lr = max(group["lr"] for group in trainer.optimizers[0].param_groups)
        row = {"epoch": trainer.current_epoch, "step": trainer.global_step, "lr": lr, **values}
        rows = [r for r in read_history(self.path) if int(float(r["epoch"])) < trainer.current_epoch]
        rows.append({name: str(value) for name, value in row.items()})
        columns = list(dict.fromkeys(name for r in rows for name in r))
        with replacing(self.path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)


def read_history(path: Path) -> list[dict[str, str]]:
    """The rows of a history.csv; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class Pictures(pl.Callback):
    """After every epoch: image, human density and prediction of the first held-out images, side by side.

    Written as pictures/epoch_NNN.jpg, and sent to loggers that show pictures.

    Args:
        folder: for the files.
        count: of images.
    """

    def __init__(self, folder: Path, count: int = 4) -> None:
        self.folder = folder
        self.count = count
        self.rows: list[np.ndarray] = []

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin a new sheet."""
        self.rows = []

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, *args: Any
    ) -> None:
        """Take the first images of the first batches."""
        if not trainer.is_global_zero or batch.image.ndim != 4 or not isinstance(pl_module, SaliencyTraining):
            return
        for i in range(min(len(batch), self.count - len(self.rows))):
            picture = (batch.image[i].permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8)
            predicted = pl_module.model.log_density(
                batch.image[i : i + 1], batch.valid[i : i + 1], batch.domain[i : i + 1]
            )[0]
            rows, columns = batch.valid[i].any(1).cpu().numpy(), batch.valid[i].any(0).cpu().numpy()
            picture = picture[rows][:, columns]
            maps = [saliency_map(one).cpu().numpy() for one in predicted]
            self.rows.append(side_by_side([picture, *(overlay(picture, m) for m in maps), heat_map(maps[0])]))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write and send the sheet."""
        if not self.rows or trainer.sanity_checking:
            return
        width = max(r.shape[1] for r in self.rows)
        padded = [np.pad(r, ((0, 4), (0, width - r.shape[1]), (0, 0)), constant_values=255) for r in self.rows]
        sheet = np.concatenate(padded)
        self.folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(self.folder / f"epoch_{trainer.current_epoch:03d}.jpg"), sheet[..., ::-1])
        for logger in trainer.loggers:
            if isinstance(logger, pl.loggers.TensorBoardLogger):
                logger.experiment.add_image("val/pictures", sheet, trainer.global_step, dataformats="HWC")
            elif isinstance(logger, pl.loggers.WandbLogger):
                logger.log_image("val/pictures", [sheet], step=trainer.global_step)
