"""The small read-out: what a cell of its output may depend on."""

from __future__ import annotations

import pytest
import torch

from saliency_pred.decoders.readout import Readout


@pytest.mark.parametrize(("kernel", "cells"), [(1, 0), (3, 1), (5, 2)])
def test_the_kernel_of_the_second_layer_is_how_far_a_cell_sees(kernel: int, cells: int) -> None:
    """Through the layers alone: the normalisation over the map, which every cell enters, is taken out."""
    torch.manual_seed(0)
    decoder = Readout([5], [8], kernel=kernel, sigma=0).eval()
    decoder.norm1 = decoder.norm2 = torch.nn.Identity()  # type: ignore[assignment]
    feature = torch.randn(1, 5, 11, 13, requires_grad=True)
    decoder([feature])[0, 0, 10, 12].backward()  # between the cells (4, 5) and (5, 6), each enlarged twofold
    assert feature.grad is not None
    rows, columns = feature.grad.abs().sum((0, 1)).nonzero().unbind(1)
    assert (int(rows.min()), int(rows.max())) == (4 - cells, 5 + cells)
    assert (int(columns.min()), int(columns.max())) == (5 - cells, 6 + cells)


def test_an_even_picture_is_even_up_to_its_border() -> None:
    """Zeros around the map would be seen as an edge there."""
    torch.manual_seed(0)
    decoder = Readout([5, 7], [8, 32], kernel=3).eval()
    features = [torch.ones(1, 5, 12, 16) * 0.3, torch.ones(1, 7, 3, 4) * -0.2]
    logits = decoder(features)
    torch.testing.assert_close(logits, logits[:, :, :1, :1].expand_as(logits), rtol=0, atol=1e-5)
