"""docs/metrics.md says what the code does: every metric, every preset's metrics, every command's settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from saliency_pred.cli.compose import compose
from saliency_pred.metrics import functional as F
from saliency_pred.metrics.presets import NEEDS

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "metrics.md").read_text()
PRESETS = sorted(path.stem for path in (REPOSITORY / "configs" / "preset").glob("*.yaml"))


def test_every_metric_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .*? \| .*? \| (.*?) \|$", PAGE, re.M)
    words = {name: needs for name, needs in rows if name in NEEDS}
    assert set(words) == set(NEEDS) == {name for name in F.__all__ if name.islower()}
    for name, needs in words.items():
        expected = tuple("human density" if need == "density" else need for need in NEEDS[name])
        assert sorted(needs.split(", ")) == sorted(expected), name


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_its_row(name: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("|") and f"`{name}`" in line.split("|")[1])
    preset = compose("score", [f"preset={name}"]).preset
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == ", ".join(preset.metrics)
    assert cells[3] == str(preset.ddof)
    assert (cells[4] == "one") == preset.merge
    epsilons = {2.2204e-16: "2.2204e-16", 2.220446049250313e-16: "2^-52"}
    assert cells[2] in ("–", epsilons[preset.eps])


def test_every_command_takes_its_settings() -> None:
    commands = re.findall(r"^    saliency (score|evaluate) (.*)$", PAGE, re.M)
    assert len(commands) >= 7
    for command, arguments in commands:
        words = [word.strip("'") for word in arguments.split()]
        compose(command, [word for word in words if "=" in word])
