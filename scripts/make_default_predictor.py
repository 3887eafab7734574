"""Make the weights of the default predictor from nothing: train, and keep the read-out alone, in float16.

python scripts/make_default_predictor.py WORK [FILE...] [key=value ...]

WORK       a folder for features, runs and the other rows of the model card; what is there is used again
FILE       of lite0, lite0_time, lite2, lite2_time; all of them unless said otherwise
key=value  changes of the training configuration, for trials: then nothing is written into the package

$SALIENCY_DATA has the training sets (saliency data download eyecrowd sun500 osie). Written into
saliency_pred/weights/default; the model cards are written by scripts/default_predictor_cards.py from the scores.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from saliency_pred.cli.compose import compose
from saliency_pred.training.run import train
from saliency_pred.weights.checkpoint import load_checkpoint
from saliency_pred.weights.default import FOLDER, save_default

SETTINGS = {
    "lite0": ["experiment=default_predictor"],
    "lite0_time": ["experiment=default_predictor_time"],
    "lite2": ["experiment=default_predictor_lite2"],
    "lite2_time": ["experiment=default_predictor_time", "encoder=efficientnet_lite2"],
}
SHIPPED = ["name", "seed", "encoder", "decoder", "prior", "loader"]
"""What a file says of its training: all that prediction needs, and no path of this machine."""


def make(name: str, work: Path, changes: list[str]) -> Path:
    """Train one predictor, or go on where its run was interrupted, and write its file."""
    digest = hashlib.sha256(" ".join(sorted(changes)).encode()).hexdigest()[:8]
    out = work / "runs" / (f"{name}-{digest}" if changes else name)
    settings = [*SETTINGS[name], f"out={out}", f"cache_features={work / 'features'}", "resume=auto"]
    # Held-out images choose nothing; without them a checkpoint is written after every epoch.
    settings += ["trainer.limit_val_batches=0", "trainer.check_val_every_n_epoch=1", *changes]
    trained = load_checkpoint(train(compose("train", settings), out))
    folder = FOLDER if not changes else out
    folder.mkdir(exist_ok=True)
    save_default(folder / f"{name}.safetensors", trained.model, shipped(trained.config))
    return folder / f"{name}.safetensors"


def shipped(config: DictConfig) -> DictConfig:
    """The part of a training's configuration that its file carries."""
    kept = OmegaConf.masked_copy(config, SHIPPED)
    kept.loader = OmegaConf.merge(kept.loader, {"cache": "none"})
    return kept


def main(arguments: list[str]) -> None:
    """Make the files that are asked for, and print where they are."""
    work, names = Path(arguments[0]), [a for a in arguments[1:] if "=" not in a]
    changes = [a for a in arguments[1:] if "=" in a]
    for name in names or SETTINGS:
        path = make(name, work, changes)
        print(f"{path}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) < 2 or {a for a in sys.argv[2:] if "=" not in a} - set(SETTINGS):
        sys.exit(__doc__)
    main(sys.argv[1:])
