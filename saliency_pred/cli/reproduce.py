"""train an experiment with several seeds, score it as its leaderboard does, show published scores beside

usage: saliency reproduce experiment=NAME data.root=DIR [seeds=[0,1,2]] [out=DIR] [train settings ...]
       saliency reproduce experiment=NAME data.root=DIR check=true [seeds=[0,1,2]] [out=DIR]

  saliency reproduce experiment=msi_net data.root=SALICON seeds=[0,1,2] out=runs/msi_net
  saliency reproduce experiment=msi_net data.root=SALICON out=runs/msi_net results=results/reproduced.csv
  saliency reproduce experiment=msi_net data.root=SALICON seeds=[0,1,2] out=runs/msi_net check=true

The data are verified, each seed is trained (a training that was stopped goes on, one that is done is not repeated),
its predictions are stored below out/seed_N/, and scored by the rules of the data set's leaderboard (preset=NAME
names others). The row of each seed is added to the table results=FILE; beside it FILE.md shows the seeds, published
scores and the gap. check=true recomputes the table from the stored predictions. Exit code 2: a difference.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saliency_pred.cli.compose import compose, show

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from saliency_pred.data.datamodule import SaliencyDataModule
    from saliency_pred.data.dataset import SaliencyDataset
    from saliency_pred.evaluation.published import Published

OWN = ("seeds", "out", "results", "published", "part", "verify", "check", "preset")
"""Settings of this command; all others are handed to training."""


def main(files: list[str], overrides: list[str]) -> int:
    """Verify, train, predict, score, compare; or check."""
    if files:
        raise ValueError(f"reproduce takes key=value settings only, got '{files[0]}' (experiment={files[0]}?)")
    flags = [o for o in overrides if o.startswith("-")]
    settings = [o for o in overrides if not o.startswith("-") and o != "job"]
    own = [o for o in settings if o.split("=")[0].split(".")[0] in OWN]
    training = [o for o in settings if o not in own]
    for setting in training:
        if setting.startswith(("seed=", "resume=", "report=")):
            raise ValueError(f"{setting}: reproduce sets it itself; seeds=[0,1,2] names the seeds")
    cfg, train = compose("reproduce", own), compose("train", training)
    if "--cfg" in flags or "-c" in flags:
        print(show(cfg))
        return 0
    if not cfg.seeds or len(set(cfg.seeds)) < len(cfg.seeds):
        raise ValueError(f"seeds={list(cfg.seeds)} must be one or more different numbers")

    from saliency_pred.atomic import write_text
    from saliency_pred.evaluation.published import PRESETS, TABLE, read_published
    from saliency_pred.evaluation.reproduction import read_results, report
    from saliency_pred.instantiate import instantiate

    dataset = instantiate(train.data)
    if not any(o.startswith("preset=") for o in own):
        cfg = compose("reproduce", [*own, f"preset={PRESETS.get(dataset.name, 'default')}"])
    out = Path(cfg.out or Path("reproduced") / train.name)
    results = outside_the_package(Path(cfg.results or out / "results.csv"))
    if cfg.check:
        return check(cfg, train, dataset, out, results)
    if cfg.published == "auto" and not TABLE.is_file():
        print(f"note: no published scores at {TABLE}; published=FILE names a table", file=sys.stderr)
    published: list[Published] = []
    if cfg.published is not None and not (cfg.published == "auto" and not TABLE.is_file()):
        published = read_published(TABLE if cfg.published == "auto" else Path(cfg.published))
    if cfg.verify:
        verified(dataset)
    for seed in cfg.seeds:
        reproduce_seed(cfg, train, training, dataset, out / f"seed_{seed}", seed, results)
    rows = read_results(results)
    text = report(rows, published)
    write_text(results.with_suffix(".md"), text)
    mine = [row for row in rows if (row["experiment"], row["preset"]) == (train.name, cfg.preset.name)]
    print(report(mine, published))
    print(f"results     {results}\ntables      {results.with_suffix('.md')}\nruns        {out}")
    return 0


def outside_the_package(path: Path) -> Path:
    """The path, unless it lies within the installed package."""
    import saliency_pred

    package = Path(saliency_pred.__file__).resolve().parent
    if package in path.resolve().parents:
        raise ValueError(f"results={path} lies within the installed package; name a file of your own")
    return path


def verified(dataset: SaliencyDataset) -> None:
    """Look at every file.

    Raises:
        ValueError: something is damaged or missing.
    """
    from tqdm import tqdm

    from saliency_pred.data.verify import steps, verify

    with tqdm(total=steps(dataset, dataset.name), desc="verifying", unit="file", disable=None, leave=False) as bar:
        found = verify(dataset, dataset.name, step=bar.update)
    if not found.sound:
        told = [*found.incomplete, *(f"{what}: {problem}" for what, problem in found.broken.items())]
        raise ValueError(
            f"{dataset.name} is not as released ({'; '.join(told[:3])}{'; ...' if len(told) > 3 else ''}): "
            "saliency data verify says all; verify=false goes on with what is there"
        )
    print(f"data        {dataset.name}: {found.images:,} images, {found.fixations:,} fixations; {found.checksums}")


def reproduce_seed(
    cfg: DictConfig,
    train: DictConfig,
    training: list[str],
    dataset: SaliencyDataset,
    folder: Path,
    seed: int,
    results: Path,
) -> None:
    """Train unless that is done, store the predictions, score them, add the row."""
    from saliency_pred.evaluation.reproduction import add_result, result, score_stored, store_predictions
    from saliency_pred.evaluation.results import write_map_scores
    from saliency_pred.evaluation.run import sha256
    from saliency_pred.instantiate import instantiate
    from saliency_pred.weights.checkpoint import load_checkpoint

    checkpoint = trained(training, folder, seed)
    loaded = load_checkpoint(checkpoint)
    data: SaliencyDataModule = instantiate(loaded.config.loader, dataset=dataset, augment=[], seed=seed)
    preset = instantiate(cfg.preset)
    stored = folder / f"predictions_{cfg.part}.h5"
    store_predictions(loaded, data, cfg.part, stored)
    scores = score_stored(stored, data, cfg.part, preset)
    row = result(train.name, seed, scores, data, cfg.part, preset, sha256(checkpoint))
    about: dict[str, Any] = {"scores": scores.table.summary(preset.aggregation), "options": preset.description()}
    write_map_scores(scores.table, about, folder / preset.name)
    add_result(results, row)


def trained(training: list[str], folder: Path, seed: int) -> Path:
    """The best checkpoint of one seed; trains it, or goes on training it, unless that is done.

    Raises:
        OSError: the training failed; it has said why.
    """
    import json

    done = folder / "scores.json"
    if not done.is_file():
        command = ["train", *training, f"seed={seed}", f"out={folder}", "resume=auto", "report=true"]
        print(f"training    saliency {' '.join(command)}", flush=True)
        # A process of its own: devices and memory are free afterwards, and several devices work as in `train`.
        code = subprocess.run([sys.executable, "-m", "saliency_pred", *command]).returncode
        if code:
            raise OSError(f"training of seed {seed} ended with exit code {code}; what is done is in {folder}")
    best = Path(json.loads(done.read_text())["about"]["checkpoint"])
    return best if best.is_file() else folder / "checkpoints" / best.name  # the folder may have been moved


def check(cfg: DictConfig, train: DictConfig, dataset: SaliencyDataset, out: Path, results: Path) -> int:
    """Recompute rows of the table from the stored predictions."""
    from saliency_pred.evaluation.reproduction import differences, read_results, result, score_stored
    from saliency_pred.instantiate import instantiate

    preset = instantiate(cfg.preset)
    rows = {
        int(row["seed"]): row
        for row in read_results(results)
        if (row["experiment"], row["dataset"], row["part"], row["preset"])
        == (train.name, dataset.name, cfg.part, preset.name)
    }
    wrong = 0
    for seed in cfg.seeds:
        if seed not in rows:
            raise ValueError(
                f"{results} has no row of {train.name}, seed {seed}, {dataset.name} {cfg.part}, {preset.name}"
            )
        stored = out / f"seed_{seed}" / f"predictions_{cfg.part}.h5"
        if not stored.is_file():
            raise FileNotFoundError(f"{stored} is not there: the predictions of seed {seed} were not kept")
        data = instantiate(train.loader, dataset=dataset, augment=[], seed=seed)
        scores = score_stored(stored, data, cfg.part, preset)
        again = result(train.name, seed, scores, data, cfg.part, preset, rows[seed]["checkpoint_sha256"])
        found = differences(rows[seed], again)
        for difference in found:
            print(f"error: {train.name}, seed {seed}: {difference}", file=sys.stderr)
        wrong += bool(found)
        print(f"{train.name}, seed {seed}: {'differs' if found else 'as in the table'}, {again['images']} images")
    return 2 if wrong else 0
