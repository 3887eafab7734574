"""The predictor that ships with the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from saliency_pred.weights import default
from saliency_pred.weights.default import default_file, load_default


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
