"""The command line as its users meet it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from saliency_pred.cli import COMMANDS, main
from saliency_pred.cli.compose import compose
from saliency_pred.cli.predict import find_images
from saliency_pred.weights.checkpoint import build_model, save_checkpoint


def test_help_and_config_print_load_nothing_heavy() -> None:
    script = (
        "import sys\nfrom saliency_pred.cli import main\n"
        "assert main(['--help']) == 0\n"
        "assert not {'torch', 'hydra', 'numpy'} & set(sys.modules), 'help'\n"
        "assert main(['train', '--cfg', 'job']) == 0\n"
        "assert not {'torch', 'pytorch_lightning', 'timm', 'albumentations', 'cv2'} & set(sys.modules), 'cfg'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for command in COMMANDS:
        assert f"  {command}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "did you mean 'train'?"),
        (["frobnicate"], "choose from train"),
        (["train", "encoder=resnet81"], "did you mean resnet18"),
        (["train", "encodr=resnet18"], "did you mean encoder"),
        (["train", "loader.batchsize=2"], "did you mean loader.batch_size"),
        (["train", "photo.jpg"], "train takes key=value settings only"),
        (["train", "--mutlirun"], "unknown flag --mutlirun"),
        (["train", "data=osie", "data.root=/no/such/folder"], "osie: /no/such/folder does not exist"),
        (["predict", "ckpt=x.ckpt"], "name at least one image"),
        (["predict", "photo.jpg"], "no such image or folder: photo.jpg"),
        (["predict", "nothing.jpg", "ckpt=x.ckpt"], "no such image or folder: nothing.jpg"),
        (["predict", "ckpt=x.ckpt", "photo.jpg"], "files come first"),
        (["evaluate"], "give either ckpt=CKPT or baseline=NAME"),
        (["evaluate", "ckpt=nothing.ckpt"], "no checkpoint at nothing.ckpt"),
        (["evaluate", "baseline=center_bias", "data=synthetic", "data.count=8"], "none of uniform, centre_bias"),
        (["score", "maps"], "data=NAME"),
        (["score", "no_maps", "data=synthetic"], "no_maps does not exist"),
    ],
)
def test_bad_input_is_explained_and_exits_with_2(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["saliency", *arguments])
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model, saved."""
    torch.manual_seed(0)
    settings = ["encoder=resnet18", "encoder.weights=none", "decoder=unet", "loader.size=[48,64]", "data.count=10"]
    config = compose("train", [*settings, "out=nowhere"])
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_checkpoint(path, build_model(config), OmegaConf.create(OmegaConf.to_container(config)))
    return path


def test_predict_every_kind_of_picture_at_its_own_size(
    ckpt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    photos = tmp_path / "photos"
    photos.mkdir()
    colour = rng.integers(0, 255, (37, 53, 3), dtype=np.uint8)
    Image.fromarray(colour[:1, :1]).save(photos / "one_pixel.png")
    Image.fromarray(colour[..., 0]).save(photos / "grey.png")
    Image.fromarray(np.dstack([colour, colour[..., :1]])).save(photos / "rgba.png")
    cv2.imwrite(str(photos / "sixteen.png"), colour.astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    Image.fromarray(colour).save(photos / "rotated.jpg", exif=exif)
    Image.fromarray(colour).save(photos / "photo.jpg")
    (photos / "photo.png").write_bytes((photos / "grey.png").read_bytes())  # the same stem twice
    (photos / "truncated.jpg").write_bytes((photos / "photo.jpg").read_bytes()[:400])

    out = tmp_path / "out"
    assert main(["predict", str(photos), f"ckpt={ckpt}", f"out={out}", "write=[npy,heat,overlay,png16]"]) == 2
    printed = capsys.readouterr()
    assert "truncated.jpg" in printed.err
    assert "7 of 8 images predicted" in printed.out
    sizes = {"one_pixel": (1, 1), "grey": (37, 53), "rgba": (37, 53), "sixteen": (37, 53), "rotated": (53, 37)}
    sizes |= {"photo.jpg": (37, 53), "photo.png": (37, 53)}
    for name, size in sizes.items():
        density = np.load(out / f"{name}.npy")
        assert (density.dtype, density.shape) == (np.float32, size), name
        assert density.astype(np.float64).sum() == pytest.approx(1, abs=1e-5), name
        for suffix in ("_heat.png", "_overlay.jpg", "_density.png"):
            assert cv2.imread(str(out / f"{name}{suffix}")).shape[:2] == size, name + suffix
    exact = cv2.imread(str(out / "grey_density.png"), cv2.IMREAD_UNCHANGED)
    assert exact.dtype == np.uint16
    density = np.load(out / "grey.npy")
    np.testing.assert_allclose(exact / 65535, density / density.max(), atol=1e-5)


def test_maps_of_another_program_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from saliency_pred.data.datamodule import SaliencyDataModule
    from saliency_pred.data.synthetic import Synthetic
    from saliency_pred.evaluation.run import score_baseline
    from saliency_pred.evaluation.scoring import Scorer

    data = ["data=synthetic", "data.count=10", "data.size=[48,64]", "data.viewers=4"]
    dataset = Synthetic(count=10, size=(48, 64), viewers=4)
    held_out = dataset.parts(0)["val"]
    maps = tmp_path / "maps"
    maps.mkdir()
    for index in held_out:
        np.save(maps / f"{dataset.image_ids[index]}.npy", dataset.true_log_density(index)[0].numpy())
    out = tmp_path / "scores"
    assert main(["score", str(maps), *data, "maps=log_density", f"out={out}"]) == 0
    scores = json.loads((out / "scores.json").read_text())["scores"]
    module = SaliencyDataModule(dataset, (48, 64))
    truth = score_baseline("truth", module, "val", Scorer(module.centre_bias())).means()
    for metric in ("ig", "auc", "nss", "cc", "kld", "sim"):  # the truth read from files is the baseline called truth
        assert scores[metric]["mean"] == pytest.approx(truth[metric], rel=1e-9)
    assert len((out / "per_image.csv").read_text().splitlines()) == 1 + len(held_out)
    capsys.readouterr()

    first, second = (dataset.image_ids[i] for i in held_out)
    (maps / f"{first}.npy").write_bytes(b"no array")
    np.save(maps / "stranger.npy", np.ones((48, 64)))
    np.save(maps / f"{second}.npy", np.random.default_rng(0).integers(0, 255, (48, 64)).astype(np.uint8))
    assert main(["score", str(maps), *data, f"out={tmp_path / 'again'}"]) == 2
    printed = capsys.readouterr()
    assert f"{first}" in printed.err
    assert "stranger" in printed.err


def test_third_party_config_groups_are_found(tmp_path: Path) -> None:
    package = tmp_path / "fakelab"
    (package / "configs" / "encoder").mkdir(parents=True)
    for folder in (package, package / "configs"):
        (folder / "__init__.py").write_text("")
    (package / "configs" / "encoder" / "fake.yaml").write_text("_target_: fakelab.net.Fake\ndepth: 3\n")
    (package / "net.py").write_text("class Fake:\n    def __init__(self, depth):\n        self.depth = depth\n")
    info = tmp_path / "fakelab-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fakelab\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[saliency_pred.configs]\nfakelab = fakelab.configs\n")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from saliency_pred.cli.compose import compose\n"
        "from saliency_pred.instantiate import instantiate\n"
        "print(instantiate(compose('train', ['encoder=fake']).encoder).depth)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "3", done.stderr


def test_a_config_may_not_build_just_anything() -> None:
    from saliency_pred.instantiate import instantiate

    with pytest.raises(ValueError, match=r"os\.system is refused"):
        instantiate(
            {"_target_": "saliency_pred.model.CentreBiasPrior", "weight": {"_target_": "os.system", "command": "true"}}
        )


def test_no_result_overwrites_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same names in folders of the same name, in several formats, given twice."""
    monkeypatch.chdir(tmp_path)
    for name in ("a/img/x.png", "b/img/x.png", "b/img/x.jpg", "b/img/sub/x.png", "c/y.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = find_images(["a/img", str(tmp_path / "b" / "img"), "c/y.png", "./c/y.png", str(tmp_path / "c" / "y.png")])
    assert {path.resolve().relative_to(tmp_path).as_posix(): name for path, name in found} == {
        "a/img/x.png": "a_img_x.png",
        "b/img/x.png": "b_img_x.png",
        "b/img/x.jpg": "x.jpg",
        "b/img/sub/x.png": str(Path("sub") / "x"),
        "c/y.png": "y",
    }
    assert len(found) == 5
