"""The command line: ``saliency COMMAND [FILE...] [key=value ...]``.

This file imports nothing heavy: help and typos are answered at once, and only the command that was asked
for is loaded.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from saliency_pred.version import __version__

COMMANDS = {
    "train": "train a model, score it, write a report",
    "evaluate": "score a checkpoint or a baseline on a data set, write a report",
    "predict": "predict where people look in images and videos",
    "score": "score a folder of maps made by any program against a data set",
    "data": "list, check, show, download and convert data sets",
    "compare": "several runs in one table, with intervals and paired tests",
    "sweep": "search for settings with Optuna: pruned, resumable, by any number of processes",
    "doctor": "versions, devices, what a training would run on, combinations known to go wrong",
    "reproduce": "train an experiment with several seeds, score it as its leaderboard does",
    "submit": "build the archive that a leaderboard takes, or check anyone's",
    "export": "write a model for other programs: ONNX, torch.export, or a Hugging Face folder",
    "import": "turn an official checkpoint of a published network into one of ours",
}
FLAGS = {
    "--help": "explain the command",
    "--cfg job": "print the composed configuration and stop",
    "--multirun": "train once for every combination of comma-separated values",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 2 bad input, 1 a fault of ours, 130 interrupted.

    A training that was told to stop and can go on ends with 75.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Threads of PyTorch that wait for each other by spinning take the cores from the loader's processes and
    # from anything else that runs: on 2 busy cores that made 2 threads three times slower than one.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(overview())
        return 0
    if arguments[0] in ("--version", "-V"):
        print(f"saliency {__version__}")
        return 0
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        near = get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(COMMANDS)}"
        return _fail(f"unknown command '{command}'; {hint} (saliency --help)")
    try:
        return _run(command, rest)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError) as error:
        if os.environ.get("SALIENCY_DEBUG"):
            traceback.print_exc()
        return _fail(str(error) or type(error).__name__)


def _run(command: str, arguments: list[str]) -> int:
    module = import_module(f"saliency_pred.cli.{command}_" if command == "import" else f"saliency_pred.cli.{command}")
    if "--help" in arguments or "-h" in arguments:
        print(f"saliency {command} - {str(module.__doc__).strip()}")
        return 0
    files: list[str] = []
    overrides: list[str] = []
    for argument in arguments:
        # A lone - is a file too: the list of files that is piped in.
        key = argument.removeprefix("hydra/").split("/")[0]  # hydra/launcher=... is a setting, a/b=c.jpg a file
        is_override = "=" in key or (argument.startswith(("-", "~")) and argument != "-")
        if is_override:
            overrides.append(argument)
        elif overrides and not overrides[-1].startswith("-"):
            raise ValueError(
                f"'{argument}' stands after key=value settings; files come first: "
                f"saliency {command} FILE... key=value..."
            )
        elif overrides and overrides[-1] in ("--cfg", "-c"):
            overrides.append(argument)
        else:
            files.append(argument)
    return module.main(files, overrides)


def overview() -> str:
    """The text of ``saliency --help``."""
    width = max(map(len, [*COMMANDS, *FLAGS]))
    lines = [
        "saliency - train, evaluate and publish models of where people look",
        "",
        "usage: saliency COMMAND [FILE...] [key=value ...]",
        "",
        "commands:",
        *(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()),
        "",
        "flags:",
        *(f"  {name:<{width}}  {text}" for name, text in FLAGS.items()),
        "",
        "examples:",
        "  saliency train                                    train on generated scenes, no data needed",
        "  saliency train experiment=quickstart data=osie data.root=OSIE",
        "  saliency predict photo.jpg",
        "  saliency predict photos/ ckpt=runs/.../best.ckpt out=predictions",
        "  saliency score maps/ data=osie data.root=OSIE preset=tuebingen out=scores",
        "",
        "saliency COMMAND --help says more about each.",
    ]
    return "\n".join(lines)


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2
