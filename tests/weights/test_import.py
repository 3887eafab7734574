"""Official checkpoints come in whole and in every wrapping, and wrong ones are refused with a list."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from reference.golden import manifest, stand_in
from safetensors.torch import save_file

from saliency_pred.cli.import_ import main
from saliency_pred.weights.checkpoint import load_checkpoint
from saliency_pred.weights.published.load import convert, importer, names, read


@pytest.fixture(scope="module")
def unisal() -> dict[str, torch.Tensor]:
    """The smallest published network's tensors, under their official names."""
    return stand_in(manifest("unisal")["entries"])


def test_every_importer_names_configs_that_exist() -> None:
    configs = Path(__file__).resolve().parents[2] / "configs"
    assert {"msi_net", "tempsal", "transalnet_dense", "mds_vitnet", "unisal", "deepgaze1"} <= set(names())
    for name in names():
        config = importer(name).CONFIG
        assert (configs / "encoder" / f"{config['encoder']}.yaml").is_file()
        assert (configs / "decoder" / f"{config['decoder']}.yaml").is_file()


def test_import_writes_a_checkpoint_that_predicts_the_same(
    unisal: dict[str, torch.Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrapped = {"epoch": 3, "model_state_dict": {f"module.{n}": v for n, v in unisal.items()}}
    torch.save(wrapped, tmp_path / "official.pth")
    out = tmp_path / "deep" / "unisal.safetensors"
    assert main(["unisal", str(tmp_path / "official.pth")], [f"out={out}"]) == 0
    assert "3.71 M parameters, input 288 x 384" in capsys.readouterr().out
    loaded = load_checkpoint(out)
    expected = convert("unisal", [tmp_path / "official.pth"])
    own = loaded.model.state_dict()
    assert all(torch.equal(own[name], value) for name, value in expected.items())
    assert list(loaded.config.loader.size) == [288, 384]
    assert loaded.model(torch.rand(1, 3, 64, 96)).shape == (1, 1, 64, 96)


def test_unknown_missing_and_misshaped_tensors_are_listed(unisal: dict[str, torch.Tensor], tmp_path: Path) -> None:
    wrong = dict(unisal)
    del wrong["post_rnn.0.weight"]
    wrong["head.weight"] = torch.zeros(2)
    wrong["cnn.features.0.0.weight"] = torch.zeros(32, 1, 3, 3)
    torch.save(wrong, tmp_path / "wrong.pth")
    out = tmp_path / "unisal.safetensors"
    with pytest.raises(ValueError, match="is not a checkpoint of this network") as caught:
        main(["unisal", str(tmp_path / "wrong.pth")], [f"out={out}"])
    message = str(caught.value)
    assert "1 unknown: head.weight" in message
    assert "1 missing: decoder.post_gru.weight" in message
    assert "encoder.blocks.0.0.weight (32, 1, 3, 3), expected (32, 3, 3, 3)" in message
    assert not out.exists()


def test_files_are_read_in_every_format(tmp_path: Path) -> None:
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(1)}
    torch.save(tensors, tmp_path / "plain.pt")
    torch.save(
        {"state_dict": {"module.module.a.weight": tensors["a.weight"], "module.module.b": tensors["b"]}},
        tmp_path / "nested.pth",
    )
    save_file(tensors, tmp_path / "t.safetensors")
    np.savez(tmp_path / "t.npz", **{name: value.numpy() for name, value in tensors.items()})
    for name in ("plain.pt", "nested.pth", "t.safetensors", "t.npz"):
        state = read(tmp_path / name)
        assert set(state) == set(tensors)
        assert all(torch.equal(state[key], value) for key, value in tensors.items())


class Hostile:
    """A pickle that would create a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_nothing_in_a_pickle_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    (tmp_path / "hostile.pth").write_bytes(pickle.dumps({"state_dict": Hostile(mark)}))
    torch.save({"state_dict": Hostile(mark)}, tmp_path / "hostile_zip.pth")
    for name in ("hostile.pth", "hostile_zip.pth"):
        with pytest.raises(ValueError, match="holds more than tensors"):
            read(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "damaged"), (b"PK\x03\x04 cut", "damaged"), (b"not weights", "damaged")]
)
def test_damaged_files_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    for suffix in ("pth", "npz", "safetensors"):
        path = tmp_path / f"damaged.{suffix}"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read(path)


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(ValueError, match="no named tensors"):
        read(tmp_path / "empty.pth")
    with pytest.raises(FileNotFoundError, match="no file"):
        read(tmp_path / "absent.pth")


def test_typos_in_the_name_are_answered() -> None:
    with pytest.raises(ValueError, match=r"did you mean unisal\?"):
        importer("unisall")
    with pytest.raises(ValueError, match="choose from"):
        importer("qqq")


def test_two_files_that_repeat_a_tensor_are_refused(unisal: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(unisal, tmp_path / "one.pth")
    with pytest.raises(ValueError, match="repeats tensors"):
        convert("unisal", [tmp_path / "one.pth", tmp_path / "one.pth"])


def test_no_files_lists_the_networks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], []) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in names())


def test_fill_counts_what_it_cannot_show(unisal: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({f"z{i}": torch.zeros(1) for i in range(20)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"20 unknown: z0, z1, z10, z11, z12, z13, z14, z15, \.\.\."):
        main(["unisal", str(tmp_path / "other.pth")], [f"out={tmp_path / 'x.safetensors'}"])


def test_tensorflow_variables_with_optimiser_slots(tmp_path: Path) -> None:
    """MSI-Net's file as `numpy.savez` writes a TensorFlow 1 checkpoint's variables."""
    variables = {}
    for name, shape in manifest("msi_net")["entries"].items():
        variables[f"{name}:0"] = np.full(shape, 0.5, np.float32)
        variables[f"{name}/Adam:0"] = np.zeros(shape, np.float32)
    variables |= {"beta1_power:0": np.float32(0.9), "global_step:0": np.int64(7)}
    kernel = np.arange(3 * 3 * 32, dtype=np.float32).reshape(3, 3, 32, 1)
    np.savez(tmp_path / "msi.npz", **(variables | {"decoder/conv4/kernel:0": kernel}))
    out = tmp_path / "msi_net.safetensors"
    assert main(["msi_net", str(tmp_path / "msi.npz")], [f"out={out}"]) == 0
    model = load_checkpoint(out).model
    assert model.decoder.head.weight[0, 5, 2, 1] == kernel[2, 1, 5, 0]
    assert (model.encoder.blocks[0][0].weight == 0.5).all()
    # Caffe's mean, in the order in which the official code subtracts it from RGB
    assert (255 * model.mean).flatten().tolist() == pytest.approx([103.939, 116.779, 123.68], abs=1e-4)
