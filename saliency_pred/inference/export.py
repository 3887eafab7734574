"""Models for other programs: ONNX and ``torch.export``, with batch and size of the images left open.

An exported model takes RGB images in [0, 1], (B, 3, H, W), and returns log densities (B, T, H, W): natural logarithm,
exp sums to 1. H and W are multiples of :data:`MULTIPLE`, twice that at least: bring an image to about the size that
the model was trained at first, and resize the log density back to the image afterwards.
"""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saliency_pred.atomic import write_bytes
from saliency_pred.data.dataset import DOMAINS
from saliency_pred.decoders.readout import Readout
from saliency_pred.density import log_normalise
from saliency_pred.encoders.efficientnet_lite import EfficientNetLite
from saliency_pred.inference.predictor import Predictor
from saliency_pred.model import SaliencyModel
from saliency_pred.version import __version__

MULTIPLE = 32
"""Sides of the images are multiples of this: strides then divide them, and no size needs arithmetic in the graph."""

CHECKED = ((1, 224, 352), (2, 288, 384), (1, 384, 256), (3, 64, 96))
"""(B, H, W) that an exported model is compared at; none is what it was exported with."""

TOLERANCE = 1e-3
"""Of log densities, natural logarithm: other programs sum floats in another order."""


class ExportableModel(nn.Module):
    """A model as one function of the image: the kind of images and the width of the blur are fixed.

    Args:
        model: is copied.
        domain: a key of ``saliency_pred.data.dataset.DOMAINS``.
    """

    def __init__(self, model: SaliencyModel, domain: str = "natural-eye") -> None:
        super().__init__()
        self.model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
        self.domain = DOMAINS[domain]
        if isinstance(self.model.encoder, EfficientNetLite):
            self.model.encoder.assume_multiples_of_32()
        if isinstance(self.model.decoder, Readout) and self.model.decoder.log_sigma is not None:
            self.model.decoder = _FixedBlur(self.model.decoder, self.domain)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] → (B, T, H, W) log densities."""
        domain = torch.full((image.shape[0],), self.domain, dtype=torch.int64)
        return log_normalise(self.model(image, None, domain))


class _FixedBlur(nn.Module):
    """A read-out whose blur is a kernel of known length: the learned width is a number here, not a parameter."""

    kernel: Tensor

    def __init__(self, decoder: Readout, domain: int) -> None:
        super().__init__()
        assert decoder.log_sigma is not None
        sigma = float(decoder.log_sigma(torch.tensor([domain]), 1).exp())
        self.num_windows = decoder.num_windows
        self.decoder = decoder
        self.decoder.log_sigma = None
        self.radius = int(4 * sigma + 0.5)  # as saliency_pred.density.blur_matrix
        kernel = torch.exp(-0.5 * (torch.arange(-self.radius, self.radius + 1) / sigma) ** 2)
        self.register_buffer("kernel", (kernel / kernel.sum()).reshape(1, 1, -1, 1))

    def forward(self, features: list[Tensor], domain: Tensor | None = None) -> Tensor:
        logits = self.decoder(features, domain)
        r = self.radius
        x = F.pad(logits, (r, r, r, r), mode="replicate")
        x = F.conv2d(x.reshape(-1, 1, x.shape[-2], x.shape[-1]), self.kernel)
        x = F.conv2d(x, self.kernel.mT)
        return x.reshape(logits.shape)


def export_program(predictor: Predictor, path: Path) -> float:
    """Write a ``torch.export`` program, which ``torch.export.load(path).module()`` runs.

    Args:
        predictor: its model and domain are exported.
        path: ends in ``.pt2``.

    Returns:
        the largest difference from the model, at the sizes :data:`CHECKED`.

    Raises:
        ValueError: the network has something that cannot be exported, or the program does not do the same.
    """
    model = ExportableModel(predictor.model, predictor.domain)
    program = _program(model)
    facts = json.dumps(_facts(predictor))
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={"saliency_pred.json": facts})
    buffer.seek(0)
    difference = _compared(torch.export.load(buffer).module(), model, path)
    write_bytes(path, buffer.getvalue())
    return difference


def export_onnx(predictor: Predictor, path: Path) -> float:
    """Write an ONNX model with input ``image`` and output ``log_density``; its metadata say what it expects.

    Args:
        predictor: its model and domain are exported.
        path: ends in ``.onnx``.

    Returns:
        the largest difference between ONNX Runtime and the model, at the sizes :data:`CHECKED`.

    Raises:
        OSError: the extra ``onnx`` is not installed.
        ValueError: the network has something that cannot be exported, or ONNX Runtime does not do the same.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  of torch.onnx, which would say so much later
    except ImportError as error:
        raise OSError(f"exporting to ONNX needs {error.name}: pip install 'saliency-pred[onnx]'") from error
    model = ExportableModel(predictor.model, predictor.domain)
    try:
        made = torch.onnx.export(
            _program(model),
            input_names=["image"],
            output_names=["log_density"],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        raise ValueError(f"this network has something that ONNX does not know: {error}") from error
    assert made is not None
    proto = made.model_proto
    onnx.helper.set_model_props(proto, {key: json.dumps(value) for key, value in _facts(predictor).items()})
    content = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    difference = _compared(lambda x: torch.from_numpy(session.run(None, {"image": x.numpy()})[0]), model, path)
    write_bytes(path, content)
    return difference


def _program(model: ExportableModel) -> torch.export.ExportedProgram:
    most = 8192 // MULTIPLE
    batch = torch.export.Dim("batch", min=1, max=4096)
    height, width = (torch.export.Dim(n, min=2, max=most) for n in ("height_32", "width_32"))
    sample = torch.rand(2, 3, 5 * MULTIPLE, 7 * MULTIPLE)
    shapes = {"image": {0: batch, 2: MULTIPLE * height, 3: MULTIPLE * width}}
    try:
        return torch.export.export(model, (sample,), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # torch.export raises whatever the network's code does with symbols for sizes
        raise ValueError(
            f"{type(model.model.encoder).__name__} with its decoder cannot be exported with open sizes: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error


@torch.no_grad()
def _compared(run: Callable[[Tensor], Tensor], model: ExportableModel, path: Path) -> float:
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for batch, height, width in CHECKED:
        image = torch.rand(batch, 3, height, width, generator=generator)
        got, wanted = run(image), model(image)
        if got.shape != wanted.shape:
            raise ValueError(f"{path} was not written: at {height} x {width} it gives {got.shape}, not {wanted.shape}")
        worst = max(worst, float((got - wanted).abs().max()))
    if not worst < TOLERANCE:  # also where it is NaN
        raise ValueError(f"{path} was not written: it differs from the model by {worst:g}, more than {TOLERANCE:g}")
    return worst


def _facts(predictor: Predictor) -> dict[str, Any]:
    """What a program that runs the exported model needs to know."""
    return {
        "saliency_pred": __version__,
        "image": "float32 (B, 3, H, W), RGB in [0, 1], H and W multiples of 32 from 64 on",
        "log_density": "float32 (B, T, H, W), natural logarithm, exp sums to 1 over H and W",
        "input_size": list(predictor.grid),
        "resize": predictor.resize,
        "domain": predictor.domain,
        "windows": None if predictor.windows is None else [list(window) for window in predictor.windows],
    }
