"""MIT/Tübingen Saliency Benchmark: log densities in HDF5, and a config.yaml."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import torch
import yaml
from torch import Tensor

from saliency_pred.evaluation.maps import MapFiles
from saliency_pred.submission.check import Check
from saliency_pred.submission.staging import Staging
from saliency_pred.submission.stills import Picture, StillBoard

TOLERANCE = 1e-3
"""How far the logarithm of a density's sum may be from 0."""

DATASETS = {"mit300": "MIT300", "mit1003": "MIT1003", "cat2000": "CAT2000", "coco_freeview": "COCO-Freeview"}
"""Data set here → its name in config.yaml."""

_LOSSES = ("AUC", "sAUC", "IG", "NSS", "CC", "KLDiv", "SIM")
_COARSE = 256


class Tuebingen(StillBoard):
    """One HDF5 data set an image, named by the image's file: float32 natural-log densities of the image's size.

    The benchmark derives the best map for each metric from the density by itself. Beside ``mine.h5`` stands
    ``mine.yaml``, which names it: the submission's ``config.yaml``. pysaliency reads the archive as
    ``HDF5Model(stimuli, file)``.

    Args:
        model: the model's name in the table.
        loss: the metric that it was trained for, one of AUC, sAUC, IG, NSS, CC, KLDiv, SIM; None: not said.

    Source: https://saliency.tuebingen.ai and https://github.com/matthias-k/saliency-benchmarking (evaluate.py).
    """

    name = "tuebingen"
    images: ClassVar[dict[str, int]] = {"mit300": 300, "mit1003": 1003, "cat2000": 2000, "coco_freeview": 1000}
    suffixes = (".h5", ".hdf5")
    kind = "log_density"

    def __init__(self, model: str = "model", loss: str | None = None) -> None:
        if loss is not None and loss not in _LOSSES:
            raise ValueError(f"board.loss={loss!r} is none of {', '.join(_LOSSES)}")
        self.model = model
        self.loss = loss

    def entry(self, picture: Picture) -> str:
        """The image's file, with its category where it has one."""
        return picture.file

    def write(self, log_density: Tensor, path: Path) -> None:
        """A HDF5 file of one data set, compressed."""
        with h5py.File(path, "w") as file:
            file.create_dataset("map", data=log_density.numpy(), compression=9, shuffle=True)

    def pack(self, staging: Staging, wanted: Sequence[Picture]) -> None:
        """Copy the compressed data sets into one file, without unpacking them."""
        made = staging.path(".writing.h5")
        with h5py.File(made, "w") as target:
            for picture in wanted:
                with h5py.File(staging.path(self.entry(picture)), "r") as source:
                    parent, _, name = self.entry(picture).rpartition("/")
                    source.copy("map", target.require_group(parent) if parent else target, name=name)
        staging.finish(made)

    def config(self, out: Path, dataset: str) -> Path:
        """Write the submission's ``config.yaml`` beside the archive, named as it is.

        Raises:
            ValueError: the benchmark has no such data set.
        """
        if dataset not in DATASETS:
            raise ValueError(f"the benchmark has no data set {dataset!r}, only {', '.join(DATASETS)}")
        model: dict[str, Any] = {"name": self.model, "filename": out.name, "probabilistic": True}
        if self.loss is not None:
            model["loss"] = self.loss
        path = out.with_suffix(".yaml")
        path.write_text(yaml.safe_dump({"model": model, "dataset": DATASETS[dataset]}, sort_keys=False))
        return path

    def open(self, file: Path, wanted: Sequence[Picture]) -> MapFiles:
        """The log densities of a sound archive by image."""
        return MapFiles(file, {p.image_id: self.entry(p) for p in wanted}, file.stem)

    def check(self, file: Path, wanted: Sequence[Picture]) -> Check:
        """Names, then every density: type, size, numbers, sum; and its configuration where there is one."""
        check = Check(file)
        if file.suffix.lower() not in self.suffixes:
            check.refuse(f"its name must end in {' or '.join(self.suffixes)}")
            return check
        try:
            with h5py.File(file, "r") as opened:
                found = self._names(check, opened)
                hint = "maps are named by their files with the ending, as i12.jpg or Action/001.jpg"
                names = {self.entry(p): p for p in wanted}
                for name in check.compare_names(found, list(names), hint):
                    check.entries += 1
                    self._look_at(check, opened[name], name, names[name].size)
        except (OSError, RuntimeError) as error:  # RuntimeError: h5py's word for damage inside
            check.refuse(f"is damaged or no HDF5 file ({error})")
        for config in (file.with_suffix(".yaml"), file.with_name("config.yaml")):
            if config.is_file():
                self._look_at_config(check, config)
                break
        return check

    def _names(self, check: Check, group: h5py.Group, prefix: str = "") -> list[str]:
        names = []
        for key in group:
            name = f"{prefix}{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                check.refuse("is a link to somewhere else, not a map", name)
            elif isinstance(group[key], h5py.Group):
                names += self._names(check, group[key], f"{name}/")
            else:
                names.append(name)
        return names

    def _look_at(self, check: Check, stored: h5py.Dataset, name: str, size: tuple[int, int]) -> None:
        if stored.dtype.kind not in "fiu":
            check.refuse("is no array of numbers", f"{name} ({stored.dtype})")
            return
        if stored.shape != size:  # before anything is read
            found = " x ".join(map(str, stored.shape)) or "a single number"
            turned = "is turned by 90 degrees" if stored.shape == size[::-1] else "has another size than its image"
            check.refuse(turned, f"{name} ({found} for {size[0]} x {size[1]})")
            return
        values = np.asarray(stored, dtype=np.float64)
        bad = int((np.isnan(values) | (values == np.inf)).sum())
        if bad:
            check.refuse("holds pixels that are NaN or infinite", f"{name} ({bad})")
            return
        impossible = int((values == -np.inf).sum())
        if impossible:
            check.warn("says that some pixels are impossible: one fixation there and IG is -inf", f"{name}")
        log_sum = float(torch.logsumexp(torch.from_numpy(values).flatten(), 0))
        if not abs(log_sum) < TOLERANCE:
            check.refuse(*_not_normalised(values, log_sum, name))
        elif len(np.unique(values)) <= _COARSE and values.size > 8 * _COARSE and np.ptp(values) > 0:
            check.refuse("has no more values than 8 bits hold: write float32", name)
        elif np.ptp(values) == 0:
            check.warn("is the same everywhere", name)

    def _look_at_config(self, check: Check, path: Path) -> None:
        try:
            config = yaml.safe_load(path.read_text())
            model = config["model"]
            name, said, probabilistic = str(model["name"]), model["filename"], model["probabilistic"]
            dataset = config["dataset"]
        except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
            check.refuse(f"its configuration lacks model: name, filename, probabilistic, or dataset ({error})")
            return
        if said != check.file.name:
            check.refuse(f"its configuration is of another file: filename is {said!r}")
        if probabilistic is not True:
            check.refuse("its configuration says probabilistic: false; log densities are probabilistic: true")
        if dataset not in DATASETS.values():
            check.refuse(
                f"its configuration names the data set {dataset!r}, which is none of {', '.join(DATASETS.values())}"
            )
        if model.get("loss") not in (None, False, *_LOSSES):
            check.refuse(f"its configuration names the loss {model['loss']!r}, which is none of {', '.join(_LOSSES)}")
        if not name:
            check.warn("its configuration gives the model no name")


def _not_normalised(values: np.ndarray, log_sum: float, name: str) -> tuple[str, str]:
    """The problem and the entry, with the likeliest mistake."""
    shown = f"{name} (logarithm of the sum {log_sum:.4g})"
    rule = f"is no log density: the logarithm of its sum must be within {TOLERANCE:g} of 0"
    if values.min() >= 0 and abs(values.sum() - 1) < 1e-2:
        return f"{rule}; it is the density itself: store its natural logarithm", shown
    for base, words in ((2.0, "base 2"), (10.0, "base 10")):
        natural = values * math.log(base)
        if abs(float(torch.logsumexp(torch.from_numpy(natural).flatten(), 0))) < 10 * TOLERANCE:
            return f"{rule}; its logarithms are of {words}: store natural ones", shown
    return f"{rule}; subtract logsumexp", shown
