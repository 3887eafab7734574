"""A cache of images on the disk of the node that trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    root = tmp_path / "mine"
    (root / "images").mkdir(parents=True)
    lines = ["image,x,y"]
    for i in range(5):
        Image.fromarray(np.full((20, 30, 3), 40 * i, np.uint8)).save(root / "images" / f"{i}.png")
        lines.append(f"{i},3.5,4.5")
    (root / "fixations.csv").write_text("\n".join(lines) + "\n")
    return Folder(root)


def test_variables_of_the_environment_name_the_nodes_own_disk(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_TMPDIR", str(tmp_path / "node"))
    cached = SaliencyDataModule(folder, (10, 15), cache="$SLURM_TMPDIR/images")
    assert list((tmp_path / "node" / "images").glob("folder_10x15_*/pixels-*.bin"))
    plain = SaliencyDataModule(folder, (10, 15))
    for a, b in zip(cached.val_dataloader(), plain.val_dataloader(), strict=True):
        assert a.image.equal(b.image)


def test_a_variable_that_is_not_set_is_named(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_TMPDIR", raising=False)
    with pytest.raises(ValueError, match=r"loader\.cache=\$SLURM_TMPDIR/images: that variable is not set"):
        SaliencyDataModule(folder, (10, 15), cache="$SLURM_TMPDIR/images")
