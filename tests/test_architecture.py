"""Imports point one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "saliency_pred"

ABOVE = {"training", "evaluation", "inference", "submission", "cli"}
FORBIDDEN = {
    "metrics": ABOVE | {"data", "encoders", "decoders", "model", "losses", "weights", "batch"},
    "encoders": ABOVE | {"data", "decoders", "model", "losses", "metrics", "batch"},
    # Blocks of published encoders, such as VMamba's, are used again by their decoders.
    "decoders": ABOVE | {"data", "model", "losses", "metrics", "batch", "weights"},
    "losses.py": ABOVE | {"data", "encoders", "decoders", "model", "metrics", "weights"},
    "batch.py": ABOVE | {"data", "encoders", "decoders", "model", "losses", "metrics", "weights"},
    "data": ABOVE | {"encoders", "decoders", "model", "losses", "weights"},
    "model.py": ABOVE | {"data", "encoders", "decoders", "losses", "metrics", "weights"},
    "weights": ABOVE,
    "evaluation": {"training", "submission", "cli"},
    "inference": {"training", "submission", "cli"},
    "submission": {"training", "cli"},
    "training": {"submission", "cli"},
}


def imported(path: Path) -> set[str]:
    """The top parts of this package that a file imports, and the libraries."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "saliency_pred"}
    return names


def parts(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("saliency_pred.")}


@pytest.mark.parametrize("part", FORBIDDEN)
def test_imports_point_one_way(part: str) -> None:
    files = sorted((PACKAGE / part).rglob("*.py")) if not part.endswith(".py") else [PACKAGE / part]
    assert files
    for path in files:
        wrong = parts(imported(path)) & FORBIDDEN[part]
        assert not wrong, f"{path.relative_to(PACKAGE)} imports {sorted(wrong)}"


def test_the_foundation_stands_on_nothing() -> None:
    assert parts(imported(PACKAGE / "fixations.py")) == set()
    assert parts(imported(PACKAGE / "density.py")) == {"fixations"}


@pytest.mark.parametrize("part", ["metrics", "encoders", "decoders"])
def test_components_know_no_lightning_and_no_hydra(part: str) -> None:
    for path in (PACKAGE / part).rglob("*.py"):
        heavy = {n.split(".")[0] for n in imported(path)} & {"pytorch_lightning", "lightning", "hydra", "omegaconf"}
        assert not heavy, f"{path.relative_to(PACKAGE)} imports {heavy}"
