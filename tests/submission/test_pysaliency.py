"""pysaliency, which the MIT/Tübingen benchmark scores with, reads our HDF5 and finds our scores."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from fixtures.boards import blob
from fixtures.pictures import picture

from saliency_pred.cli.compose import compose
from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.folder import Folder
from saliency_pred.evaluation.map_scores import score_maps
from saliency_pred.evaluation.run import make_scorer
from saliency_pred.instantiate import instantiate
from saliency_pred.submission.stills import pictures
from saliency_pred.submission.tuebingen import Tuebingen

SIGMA = 6.0

THEIRS = """
import json, sys
import numpy as np
import pysaliency
from pysaliency.saliency_map_models import FixationMap, SaliencyMapModel

told = json.load(sys.stdin)
stimuli = pysaliency.FileStimuli(told["files"])
fixations = pysaliency.Fixations.create_without_history(*(np.array(told[k]) for k in ("x", "y", "n")))
model = pysaliency.HDF5Model(stimuli, told["archive"])
class Density(SaliencyMapModel):
    def _saliency_map(self, stimulus):
        return np.exp(model.log_density(stimulus))

density = Density()
human = FixationMap(stimuli, fixations, kernel_size=told["sigma"], convolution_mode="constant")
eps = 2.2204e-16
each = lambda values: [float(np.mean(np.asarray(values)[fixations.n == n])) for n in range(len(stimuli))]
json.dump({
    "ig": each(model.information_gains(stimuli, fixations, pysaliency.UniformModel())),
    "auc": each(density.AUCs(stimuli, fixations)),
    "sauc": each(density.AUCs(stimuli, fixations, nonfixations="shuffled")),
    "nss": each(density.NSSs(stimuli, fixations)),
    "cc": list(map(float, density.CCs(stimuli, human))),
    "kld": list(map(float, density.image_based_kl_divergences(
        stimuli, human, minimum_value=0, log_regularization=eps, quotient_regularization=eps))),
    "sim": list(map(float, density.SIMs(stimuli, human))),
}, sys.stdout)
"""


def test_pysaliency_reads_our_hdf5_and_gives_our_scores(tmp_path: Path) -> None:
    interpreter = os.environ.get("SALIENCY_PYSALIENCY_PYTHON")
    if interpreter is None:
        pytest.skip("set SALIENCY_PYSALIENCY_PYTHON to a Python with pysaliency 0.2.22 (numpy<2, setuptools<81)")
    rng = np.random.default_rng(0)
    sizes = {"a/1": (60, 80), "a/2": (60, 80), "b/1": (60, 80)}
    lines = ["image,x,y"]
    for seed, (name, size) in enumerate(sizes.items()):
        picture(tmp_path / "images" / f"{name}.png", size, seed)
        lines += [f"{name},{x!r},{y!r}" for x, y in (rng.random((25, 2)) * (size[1], size[0])).tolist()]
    (tmp_path / "fixations.csv").write_text("\n".join(lines) + "\n")
    data = SaliencyDataModule(Folder(tmp_path, split="0.5/0.5", blur_sigma=SIGMA), (48, 64))
    board, wanted = Tuebingen(), pictures(data.dataset, data.indices("all"))
    archive = tmp_path / "blobs.h5"
    board.build(wanted, blob, archive, {})
    assert board.check(archive, wanted).sound

    packs = [data.dataset.fixations(p.index) for p in wanted]
    told = {
        "files": [str(tmp_path / "images" / p.file) for p in wanted],
        "archive": str(archive),
        "x": [x for pack in packs for x in pack.x.tolist()],
        "y": [y for pack in packs for y in pack.y.tolist()],
        "n": [n for n, pack in enumerate(packs) for _ in range(len(pack))],
        "sigma": SIGMA,
    }
    done = subprocess.run(
        [interpreter, "-c", THEIRS], input=json.dumps(told), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)

    preset = instantiate(compose("score", ["preset=tuebingen"]).preset)
    scorer = make_scorer(data, "all", preset, "uniform")
    ours = score_maps(board.open(archive, wanted), data, "all", scorer, "log_density").table
    assert set(theirs) == set(preset.metrics)
    for metric, values in theirs.items():
        np.testing.assert_allclose(ours.column(metric), values, rtol=0, atol=1e-6, err_msg=metric)
