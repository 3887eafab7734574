"""Exported models do what the model does, at sizes that they were not exported with; folders of the hub."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.predictor import OVER_TIME, checkpoint, picture

from saliency_pred.cli import main
from saliency_pred.inference import export
from saliency_pred.inference.predictor import Predictor


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a small part of the network: tracing with open sizes takes long for all of it."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    return checkpoint(path, "encoder.taps=[blocks.1,blocks.2]", "decoder.width=4", "decoder.hidden=4", *OVER_TIME)


def image(height: int, width: int, batch: int = 1) -> torch.Tensor:
    pictures = [torch.from_numpy(picture(height, width, seed).copy()) for seed in range(batch)]
    return torch.stack(pictures).permute(0, 3, 1, 2).float() / 255


def reference(predictor: Predictor, images: torch.Tensor) -> np.ndarray:
    """By the model itself, not by what is exported."""
    domain = torch.full((len(images),), 1)
    return torch.stack(predictor.model.log_density(images, None, domain)).numpy()


def test_onnx_runtime_and_torch_export_give_the_densities_of_the_model(ckpt: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    predictor = Predictor.load(ckpt, time=True, device="cpu")
    assert main(["export", str(ckpt), f"out={tmp_path / 'model.onnx'}"]) == 0
    assert main(["export", str(ckpt), f"out={tmp_path / 'model.pt2'}"]) == 0
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    program = torch.export.load(tmp_path / "model.pt2").module()
    for size in ((64, 96, 1), (96, 64, 1), (160, 64, 3), (64, 64, 2)):
        images = image(*size)
        wanted = reference(predictor, images)
        assert wanted.std() > 0.1, "a flat density would be equal to any other"
        (got,) = session.run(["log_density"], {"image": images.numpy()})
        np.testing.assert_allclose(got, wanted, atol=1e-3)
        with torch.no_grad():
            np.testing.assert_allclose(program(images).numpy(), wanted, atol=1e-3)
        np.testing.assert_allclose(np.exp(got.astype(np.float64)).sum((2, 3)), 1, atol=1e-4)
    facts = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    assert facts["windows"] == [[0, 0.5], [0.5, 1.5], [1.5, 3]]
    assert (facts["input_size"], facts["resize"]) == ([96, 128], "pad")
    assert {p.name for p in tmp_path.iterdir()} == {"model.onnx", "model.pt2"}


def test_what_does_something_else_is_not_written(ckpt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor.load(ckpt, device="cpu")
    real = export._program

    def wrong(model: export.ExportableModel) -> torch.export.ExportedProgram:
        other = export.ExportableModel(predictor.model)
        torch.nn.init.normal_(other.model.decoder.decoder.layer2.weight)  # type: ignore[union-attr, arg-type]
        return real(other)

    monkeypatch.setattr(export, "_program", wrong)
    with pytest.raises(ValueError, match="was not written: it differs from the model by"):
        export.export_program(predictor, tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name one model"),
        (["default"], "out must be given"),
        (["default", "out=model.pb"], "must end in .onnx or .pt2, or be a folder"),
        (["nothing.ckpt", "out=model.onnx"], "no checkpoint at nothing.ckpt"),
    ],
)
def test_bad_input_is_explained(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *arguments]) == 2
    assert words in capsys.readouterr().err


# ---------------------------------------------------------------------- folders of the hub


def test_a_folder_of_the_hub_comes_back_as_it_was(ckpt: Path, tmp_path: Path) -> None:
    first = Predictor.load(ckpt, device="cpu")
    folder = first.save_pretrained(tmp_path / "model")
    assert {p.name for p in folder.iterdir()} == {"model.safetensors", "config.json", "README.md"}
    assert len({p.stat().st_mode for p in folder.iterdir()}) == 1, "who may read the card may read the weights"
    assert (folder / "README.md").read_text().startswith("---\nlibrary_name: saliency_pred\n")
    (folder / "README.md").write_text("mine")
    pixels = picture(50, 70)
    wanted = first.predict(pixels)
    for again in (Predictor.from_pretrained(folder, device="cpu"), Predictor.load(folder, device="cpu")):
        got = again.predict(pixels)
        assert torch.equal(got.log_density, wanted.log_density)  # type: ignore[union-attr]
        assert got.centre_bias_distance == wanted.centre_bias_distance  # type: ignore[union-attr]
        assert (again.grid, again.windows) == (first.grid, first.windows)
        again.save_pretrained(folder)
    assert (folder / "README.md").read_text() == "mine", "a card is never overwritten"
    assert main(["export", str(folder), f"out={tmp_path / 'again'}"]) == 0
    assert (tmp_path / "again" / "config.json").read_text() == (folder / "config.json").read_text()

    config = json.loads((folder / "config.json").read_text())
    config["loader"]["size"] = [64, 64]  # config.json is what counts
    (folder / "config.json").write_text(json.dumps(config))
    assert Predictor.from_pretrained(folder).grid == (64, 64)
    config["encoder"]["_target_"] = "os.system"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"config\.json describes no model"):
        Predictor.from_pretrained(folder)
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        Predictor.from_pretrained(folder)
    with pytest.raises(ValueError, match=r"only a predictor of Predictor\.load"):
        Predictor(first.model, (96, 128)).save_pretrained(tmp_path)


def test_the_hub_is_asked_and_its_answers_are_understood(
    ckpt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """huggingface_hub's own client against a server of two files on this machine."""
    import huggingface_hub.constants as constants

    files = Predictor.load(ckpt).save_pretrained(tmp_path / "files")
    asked = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            asked.append(self.path)
            prefix = "/lab/model/resolve/main/"
            path = files / self.path.removeprefix(prefix)
            if not self.path.startswith(prefix) or not path.is_file():
                self.send_response(404)
                known = self.path.startswith("/lab/model/")
                self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
                self.end_headers()
                return
            content = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{path.name}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    try:
        got = Predictor.from_pretrained("lab/model", device="cpu").predict(picture(40, 60))
        wanted = Predictor.load(ckpt, device="cpu").predict(picture(40, 60))
        assert torch.equal(got.log_density, wanted.log_density)  # type: ignore[union-attr]
        assert any(path.endswith("model.safetensors") for path in asked)
        with pytest.raises(FileNotFoundError, match="no repository lab/nothing"):
            Predictor.from_pretrained("lab/nothing")
        (files / "config.json").unlink()
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache2"))
        with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
            Predictor.from_pretrained("lab/model")
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(FileNotFoundError, match=r"no folder here and no owner/name"):
        Predictor.from_pretrained("a/b/c/d")
    with pytest.raises(OSError, match="the hub cannot be reached"):  # nobody listens any more
        Predictor.from_pretrained("lab/other")
