"""A Compose file with what surrounds it: its folder, the files that it names there, and its variables."""

import os
from pathlib import Path

from bench.errors import InputError
from bench.scenario.compose import Surroundings
from bench.scenario.compose.tree import LARGEST_TEXT
from bench.scenario.compose.variables import parse_env_file

LARGEST_ENV_FILE = 1024 * 1024
"""Bytes of a file of variables."""


def read_compose(path: Path, scenario_folder: Path) -> tuple[str, Surroundings]:
    """The text of the Compose file at `path`, and what is known of it for a scenario in `scenario_folder`.

    Its variables are those of the environment and, behind them, of `.env` beside it, as with Compose.
    Raises InputError where it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            # UTF-8 has four bytes a character at most; of what is larger, enough is read to be refused.
            text = stream.read(4 * LARGEST_TEXT + 1).decode()
    except (OSError, ValueError) as fault:
        raise InputError(
            f"Reading the Compose file {path}", str(fault), "Give a Compose file (compose.yaml)."
        ) from fault
    folder = path.resolve().parent
    below = scenario_folder.resolve()
    prefix = str(folder.relative_to(below)) if folder.is_relative_to(below) else None
    variables = parse_env_file(_read_below(folder, ".env") or "", os.environ)
    return text, Surroundings(
        source=str(path),
        folder=str(folder),
        prefix=prefix,
        variables={**variables, **os.environ},
        read=lambda named: _read_below(folder, named),
    )


def _read_below(folder: Path, named: str) -> str | None:
    """The text of a file in `folder`; None of one that is elsewhere, too large, or no text."""
    try:
        found = (folder / named).resolve()
        if not found.is_relative_to(folder) or not found.is_file():
            return None
        with found.open("rb") as stream:
            content = stream.read(LARGEST_ENV_FILE + 1)
        return content.decode() if len(content) <= LARGEST_ENV_FILE else None
    except (OSError, ValueError, RuntimeError):  # A loop of links is one of the last two.
        return None
