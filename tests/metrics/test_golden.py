"""Every metric against figures of other programs and of independent exact computations.

``tests/reference/metrics.csv``: ``exact`` and ``pot`` are exact computations in NumPy and with POT's network
simplex, ``octave`` is the MATLAB code of the MIT benchmark run under Octave, ``pysaliency`` is pysaliency,
``aim`` the scorer of the AIM 2024 challenge.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from reference.metric_inputs import Case, cases
from torch import Tensor

from saliency_pred.fixations import Fixations
from saliency_pred.metrics import functional as F
from saliency_pred.metrics.arguments import as_density
from saliency_pred.metrics.earth_mover import area_shares, transport

ROWS = list(csv.DictReader((Path(__file__).parents[1] / "reference" / "metrics.csv").open()))
CASES = sorted({row["case"] for row in ROWS})
MATLAB_EPS = float(np.finfo(np.float64).eps)

# Where a program returns something for input that leaves its metric undefined, this project returns another
# value: tests/metrics/test_degenerate.py has these.
DEGENERATE = {
    ("e_zero", "kld", "octave"),
    ("e_zero", "sim_mit", "octave"),
    ("e_neg", "kld", "octave"),
    ("e_zero", "ig", "pysaliency"),
    ("e_const", "auc_judd_aim", "aim"),
    ("e_zero", "auc_judd_aim", "aim"),
    ("e_nofix", "auc_judd_aim", "aim"),
    ("e_neg", "sim", "aim"),
    ("e_zero", "sim", "aim"),
    ("e_tiny", "sim", "aim"),  # adds 1e-7 to sums
}


def fixations(pixels: np.ndarray, size: tuple[int, int]) -> Fixations:
    """At the centres of the pixels (row, column)."""
    return Fixations.of(pixels[:, 1] + 0.5, pixels[:, 0] + 0.5, size)


def distinct(pixels: np.ndarray) -> np.ndarray:
    """What is left of fixations in a binary map."""
    return np.unique(pixels, axis=0)


def log_density(values: np.ndarray) -> Tensor:
    return as_density(torch.from_numpy(values)).log()[None]


@functools.cache
def inputs() -> dict[str, Case]:
    return cases()


def computed(case: Case, dtype: torch.dtype) -> dict[str, Callable[[], Tensor]]:
    """Column ``metric`` of the table → the value of this project."""
    size = case.prediction.shape
    fixated, others = fixations(case.fixations, size), fixations(case.others, size)
    map_, density, baseline = (
        torch.from_numpy(values)[None].to(dtype) for values in (case.prediction, case.density, case.baseline)
    )
    return {
        "auc": lambda: F.auc(map_, fixated),
        "auc_judd": lambda: F.auc_judd(map_, fixated),
        "auc_judd_mit": lambda: F.auc_judd_mit(map_, fixated),
        "auc_judd_aim": lambda: F.auc_judd_aim(map_, fixated),
        "nss_aim": lambda: F.nss_aim(map_, fixated),
        "auc_borji": lambda: F.auc_borji(map_, fixated),
        "auc_borji step .01": lambda: F.auc_borji(map_, fixated, step=0.01),
        "auc_borji mean 3": lambda: F.auc_borji(map_, fixated),
        "sauc": lambda: F.sauc(map_, fixated, others),
        "sauc_mit": lambda: F.sauc_mit(map_, fixated, others),
        "sauc_mit mean 3": lambda: F.sauc_mit(map_, fixated, others),
        "nss": lambda: F.nss(map_, fixated),
        "nss distinct ddof 1": lambda: F.nss(map_, fixations(distinct(case.fixations), size), ddof=1),
        "cc": lambda: F.cc(map_, density),
        "kld": lambda: F.kld(map_, density, eps=MATLAB_EPS),
        "kld 2.2204e-16": lambda: F.kld(map_, density),
        "sim": lambda: F.sim(map_, density),
        "sim_mit": lambda: F.sim_mit(map_, density),
        "ig_mit": lambda: F.ig_mit(map_, baseline, fixated, eps=MATLAB_EPS),
        "ig": lambda: F.ig(log_density(case.prediction).to(dtype), log_density(case.baseline).to(dtype), fixated),
    }


def tolerance(row: dict[str, str], dtype: torch.dtype, case: Case) -> float:
    """How far a value may be off."""
    if "mean 3" in row["metric"]:
        # 300 draws of n pixels, each moving the area by up to 1 / n: a standard deviation of at most
        # .5 / sqrt(300 n); five of them.
        return 2.5 / np.sqrt(300 * len(distinct(case.fixations)))
    if row["metric"] == "ig" and dtype is torch.float32:
        return 1e-6 * np.log2(1e12)  # float32 rounds a log density of -20 by 1e-6
    if row["source"] == "aim" and row["metric"] in ("sim", "cc"):
        return 1e-6 if dtype is torch.float32 else 1e-8  # adds up to 1e-7 to sums
    size = max(1.0, abs(float(row["value"])))
    return size * (
        1e-9 if dtype is torch.float64 and row["source"] == "exact" else 2e-6 if dtype is torch.float32 else 1e-11
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_agrees(name: str, dtype: torch.dtype) -> None:
    case = inputs()[name]
    ours = computed(case, dtype)
    off = {}
    for row in ROWS:
        key = (name, row["metric"], row["source"])
        if row["case"] != name or row["metric"].startswith("emd") or key in DEGENERATE:
            continue
        value = float(ours[row["metric"]]())
        if not abs(value - float(row["value"])) <= tolerance(row, dtype, case):
            off[key] = (value, float(row["value"]))
    assert off == {}


EMD_ROWS = [row for row in ROWS if row["metric"].startswith("emd") and row["case"] != "s720"]


@pytest.mark.parametrize("row", EMD_ROWS, ids=lambda row: f"{row['case']}-{row['metric'].split()[1]}-{row['source']}")
def test_earth_mover_agrees(row: dict[str, str]) -> None:
    """The table counts in cells, whatever their shape; on sizes that cells divide the unit is a factor."""
    case = inputs()[row["case"]]
    shrink = int(row["metric"].split()[1])
    height, width = case.prediction.shape
    rows, columns = -(-height // shrink), -(-width // shrink)
    down, across = area_shares(height, rows), area_shares(width, columns)
    cells = [(down @ as_density(torch.from_numpy(m)) @ across.T).numpy() for m in (case.prediction, case.density)]
    # FastEMD rounds masses to integers; POT stops at 1e-7 of the work on some cases
    allowed = 4e-6 if row["source"] == "octave" else 5e-7
    assert transport(*cells, (1, 1)) == pytest.approx(float(row["value"]), abs=allowed)
    if height % shrink == 0 and width % shrink == 0:
        pair = [torch.from_numpy(m)[None] for m in (case.prediction, case.density)]
        assert float(F.emd(*pair, shrink=shrink)) == pytest.approx(shrink * float(row["value"]), abs=shrink * allowed)


def test_table_covers_every_metric() -> None:
    named = {row["metric"].split()[0] for row in ROWS}
    assert named == set(F.__all__) - {"MIT_EPS", "log_likelihood"}
