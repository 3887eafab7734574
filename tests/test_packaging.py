"""What is packaged is what is there."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def test_every_package_is_listed() -> None:
    listed = set(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {
        ".".join(path.parent.relative_to(REPOSITORY).parts)
        for path in (REPOSITORY / "saliency_pred").rglob("__init__.py")
    }
    assert listed == there | {"saliency_pred.configs"}


def test_the_wheel_holds_every_yaml_and_module(tmp_path: Path) -> None:
    """Built by the backend itself, from a copy: no network, and nothing left in the repository."""
    setuptools = pytest.importorskip("setuptools", "77", reason="the build backend is not installed")
    source = tmp_path / "source"
    for part in ("saliency_pred", "configs"):
        shutil.copytree(REPOSITORY / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"setuptools {setuptools.__version__}: {done.stderr}"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        entry_points = next(n for n in names if n.endswith("entry_points.txt"))
        assert "saliency = saliency_pred.cli:main" in wheel.read(entry_points).decode()
    configs = [p.relative_to(REPOSITORY / "configs") for p in (REPOSITORY / "configs").rglob("*.yaml")]
    assert len(configs) > 50
    wanted = {f"saliency_pred/configs/{p.as_posix()}" for p in configs}
    wanted |= {p.relative_to(REPOSITORY).as_posix() for p in (REPOSITORY / "saliency_pred").rglob("*.py")}
    wanted |= {f"saliency_pred/{name}" for name in ("py.typed", "data/manifests/osie.txt")}
    wanted |= {p.relative_to(REPOSITORY).as_posix() for p in (REPOSITORY / "saliency_pred/weights/default").iterdir()}
    assert not wanted - names


def test_no_file_is_over_one_megabyte() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = REPOSITORY / name
        assert not path.is_file() or path.stat().st_size < 1_000_000, name
