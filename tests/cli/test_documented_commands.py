"""Every command that the documentation shows has the settings that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep

from saliency_pred.cli import COMMANDS
from saliency_pred.cli.compose import compose

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        REPOSITORY / "README.md",
        *(REPOSITORY / "docs").glob("*.md"),
        REPOSITORY / "data" / "README.md",
        *(REPOSITORY / "configs" / "experiment").glob("*.yaml"),
    ]
)
TRAINING = {"doctor", "sweep", "reproduce"}
"""These take the settings of a training, beside their own."""


def commands(page: Path) -> list[str]:
    """Lines that begin with ``saliency COMMAND``, or have it behind a ``#``, without what is said of them."""
    names = "|".join(set(COMMANDS) - {"import"})  # which has no settings to speak of
    text = page.read_text().replace("\\\n", " ")
    found = re.findall(rf"^[#\s]*(?:Command\s+)?(saliency (?:{names})\b.*)$", text, re.M)
    return [line.split("  #")[0].strip() for line in found]


def settings(line: str) -> tuple[str, list[str]]:
    """The command, and its settings, each with the first of several values."""
    command, *words = shlex.split(line)[1:]
    given = []
    if command == "data":
        command = f"data_{words[0]}"
        given = [f"data={words[1]}"] if len(words) > 1 else []
    parser = OverridesParser.create()
    for word in words:
        if word.startswith("["):  # may be left out
            word = word[1:].removesuffix("]")
        if "=" not in word or "..." in word or word.startswith(("hydra", "-")):
            continue
        (override,) = parser.parse_overrides([word])
        if override.is_sweep_override():
            values = override.value()
            first = values.list[0] if isinstance(values, ChoiceSweep) else values.start
            word = f"{override.get_key_element()}={first}"
        given.append(f"+{word}" if word.startswith("regions.") else word)
    return command, given


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_documented_settings_exist(page: Path) -> None:
    for line in commands(page):
        command, given = settings(line)
        if command in TRAINING:
            own = set() if command == "doctor" else set(compose(command, []))
            training = [word for word in given if word.split("=")[0] not in own]
            compose("train", training)
            given = [word for word in given if word not in training]
        if command not in ("doctor", "data_list", "data_download"):
            compose(command, given)


def test_commands_are_found() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 60
