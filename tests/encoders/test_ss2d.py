"""The SS2D layer against SUM's official one (Arhosseini77/SUM@2671626f, `SS2D(d_model=8, d_state=4)`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from reference.standin import tensor_for

from saliency_pred.encoders.ss2d import SS2D

FROZEN = Path(__file__).resolve().parents[1] / "reference" / "selective_scan" / "ss2d_v0.npz"


@pytest.fixture
def layer() -> SS2D:
    layer = SS2D(channels=8, states=4).eval()
    layer.load_state_dict({name: tensor_for(name, value.shape) for name, value in layer.state_dict().items()})
    return layer


@torch.no_grad()
def test_equal_to_the_official_layer(layer: SS2D) -> None:
    with np.load(FROZEN) as frozen:
        x, modulation = torch.from_numpy(frozen["x"]), torch.from_numpy(frozen["modulation"])
        # float32 sums in another order: 1e-6 of values around 1
        np.testing.assert_allclose(layer(x).numpy(), frozen["y"], rtol=0, atol=5e-6)
        np.testing.assert_allclose(layer(x, modulation).numpy(), frozen["y_modulated"], rtol=0, atol=5e-6)


@torch.no_grad()
def test_third_scale_acts_before_the_norm(layer: SS2D) -> None:
    """The norm cancels a positive factor; a negative one turns the sign of what is normed."""
    x = torch.randn(1, 3, 4, 8)
    layer.out_norm.bias.zero_()
    modulation = torch.zeros(1, 5)
    modulation[0, 4] = -2
    torch.testing.assert_close(layer(x, modulation), -layer(x), rtol=1e-4, atol=1e-5)


def test_initial_steps_and_decays_are_mambas() -> None:
    torch.manual_seed(0)
    layer = SS2D(channels=32)
    steps = torch.nn.functional.softplus(layer.dt_projs_bias.detach())
    assert float(steps.min()) >= 0.99e-3
    assert float(steps.max()) <= 0.101
    assert float(steps.log().std()) > 1  # spread over the decades, not in one place
    torch.testing.assert_close(layer.A_logs.exp()[5], torch.arange(1.0, 17.0))


@torch.no_grad()
def test_autocast_keeps_the_scan_in_float32(layer: SS2D) -> None:
    x = torch.randn(1, 6, 5, 8)
    with torch.autocast("cpu", torch.bfloat16):
        low = layer(x)
    assert low.dtype == torch.bfloat16
    expected = layer(x)
    # bfloat16 has 8 bits; the layer's matrix products lose a few of them.
    assert (low.float() - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.slow
@torch.no_grad()
def test_exports_to_onnx_as_a_scan_node(layer: SS2D, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    x = torch.randn(2, 5, 7, 8)
    path = tmp_path / "ss2d.onnx"
    torch.onnx.export(layer, (x,), path, dynamo=True)
    assert "Scan" in {node.op_type for node in onnx.load(path).graph.node}
    session = runtime.InferenceSession(path)
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(y, layer(x).numpy(), rtol=0, atol=1e-5)
