"""Rows of many images: the same scores for one process and for many, and averages by hand."""

from __future__ import annotations

import json
import math
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pytest
import torch.distributed as dist
import torch.multiprocessing as mp

from saliency_pred.metrics.accumulate import Row, ScoreTable, mean
from saliency_pred.metrics.bootstrap import confidence_interval


def rows(number: int = 23) -> list[Row]:
    rng = np.random.default_rng(3)
    found: list[Row] = []
    for i in range(number):
        values = {"nss": float(rng.normal() * 10.0 ** rng.integers(-2, 2)), "cc": float(rng.normal())}
        if i % 7 == 3:
            values["nss"] = math.nan
        found.append({"image_id": f"{i:03d}", "dataset": "b" if i % 2 else "a", "fixations": i} | values)
    return found


def share(rank: int, world_size: int, folder: str) -> None:
    """One process: its images, as a sampler that fills up the last round deals them out."""
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting{world_size}", rank=rank, world_size=world_size
    )
    everything = rows()
    padded = everything + everything[: -len(everything) % world_size]
    table = ScoreTable(padded[rank::world_size]).gathered()
    text = json.dumps([table.summary(), table.unscorable(), [r["image_id"] for r in table.rows]])
    (Path(folder) / f"{world_size}-{rank}.json").write_text(text)
    dist.destroy_process_group()


def test_scores_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    """To the last bit, though sums of such values depend on their order in plain floating point."""
    for world_size in (2, 3):
        mp.start_processes(share, (world_size, str(tmp_path)), world_size, start_method="fork")
    table = ScoreTable(rows()).gathered()
    expected = json.dumps([table.summary(), table.unscorable(), [r["image_id"] for r in table.rows]])
    found = {path.name: path.read_text() for path in tmp_path.glob("*.json")}
    assert len(found) == 5
    assert set(found.values()) == {expected}
    values = [r["nss"] for r in rows() if not math.isnan(r["nss"])]
    assert len({reduce(add, order) for order in (values, values[::-1], sorted(values))}) > 1  # the claim above


def test_unscorable_images_are_named_and_no_zeros() -> None:
    table = ScoreTable(rows())
    assert table.unscorable() == {"nss": ["003", "010", "017"]}
    known = [r["nss"] for r in rows() if not math.isnan(r["nss"])]
    summary = table.summary()["nss"]
    assert summary["images"] == 20
    assert summary["mean"] == pytest.approx(sum(known) / 20)
    assert (summary["low"], summary["high"]) == confidence_interval(
        [r["nss"] for r in rows() if not math.isnan(r["nss"])]
    )


def test_averages_by_hand() -> None:
    made: list[Row] = [
        {"image_id": "u/1", "dataset": "d", "fixations": 1, "nss": 2.0, "cc": 0.2},
        {"image_id": "u/2", "dataset": "d", "fixations": 3, "nss": 6.0, "cc": 0.4},
        {"image_id": "v/1", "dataset": "d", "fixations": 4, "nss": 10.0, "cc": 0.9},
    ]
    table = ScoreTable(made)
    assert table.summary("image")["nss"]["mean"] == 6
    assert table.summary("fixation")["nss"]["mean"] == (1 * 2 + 3 * 6 + 4 * 10) / 8
    assert table.summary("fixation")["cc"] == table.summary("image")["cc"]  # no metric of fixations
    assert table.summary("video")["nss"]["mean"] == (4 + 10) / 2
    assert table.summary("video")["nss"]["images"] == 2


def test_a_row_with_windows_is_a_video() -> None:
    """Clips in one folder, each a row of frames, are not pooled into one video."""
    made: list[Row] = [
        {"image_id": f"set/{i}", "dataset": "d", "fixations": 5, "nss": v, "nss@1": v, "nss@2": v}
        for i, v in enumerate((1.0, 3.0))
    ]
    assert ScoreTable(made).summary("video")["nss"]["images"] == 2


def test_mean() -> None:
    assert mean([1.0, math.nan, 3.0]) == 2
    assert mean([1.0, math.nan, 3.0], [1, 5, 3]) == 2.5
    assert math.isnan(mean([math.nan]))
    assert math.isnan(mean([1.0], [0.0]))
    assert mean([-math.inf, 1.0]) == -math.inf
