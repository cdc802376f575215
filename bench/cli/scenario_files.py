"""Scenarios and suites as files: those that come with bench, by name, and a person's own."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import InputError
from bench.spelling import suggest

if TYPE_CHECKING:
    from bench.scenario.scenario import Scenario
    from bench.scenario.suite import Asked, SuiteFile

PACKAGE = Path(__file__).parents[1]


def bundled_scenarios() -> Path:
    """Folder of the scenarios that come with bench: in an installed package, or in a checkout."""
    installed = PACKAGE / "scenarios"
    return installed if installed.exists() else PACKAGE.parent / "scenarios"


def list_bundled() -> list[str]:
    """Names of the scenarios that come with bench, and of the suites."""
    return sorted(path.stem for path in _bundled_files())


def read_scenario(named: str) -> "Scenario":
    """The scenario in the file `named`, or the one of that name that comes with bench.

    Raises InputError for what is none.
    """
    from bench.scenario.parsing import parse_scenario

    text = _read(_find(named), named)
    if _is_suite(text):
        raise InputError(
            f"Reading the scenario {named}", "it is a suite of scenarios", "Name one of the scenarios in it."
        )
    return parse_scenario(text, named)


def folder_of(named: str) -> Path:
    """The folder of the scenario `named`, from which it names its own files."""
    return _find(named).parent


def read_asked(named: Sequence[str]) -> "Asked":
    """What `named` ask for together: scenarios, and those that suites list in their place.

    Raises InputError, with the faults of every file at once.
    """
    from bench.scenario.parsing import parse_scenario
    from bench.scenario.suite import parse_suite

    found: list[tuple[str, Scenario]] = []
    suites: list[SuiteFile] = []
    faults: list[InputError] = []
    for name in named:
        try:
            path = _find(name)
            text = _read(path, name)
            if not _is_suite(text):
                found.append((name, parse_scenario(text, name)))
                continue
            suites.append(parse_suite(text, name))
            members = [_find_member(path, member) for member in suites[-1].scenarios]
        except InputError as fault:
            faults.append(fault)
            continue
        for member in members:
            try:
                found.append((member, read_scenario(member)))
            except InputError as fault:
                faults.append(fault)
    _refuse(named, faults)
    return _name(found, suites[0] if len(named) == 1 and suites else None)


def _refuse(named: Sequence[str], faults: Sequence[InputError]) -> None:
    """Raise the one of `faults`, or one that tells them all; nothing where there is none."""
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise InputError(
            f"Reading {len(named)} files",
            f"{len(faults)} of them cannot be used:\n" + "\n".join(map(str, faults)) + "\n",
            "Nothing was begun.",
        )


def _name(found: Sequence[tuple[str, "Scenario"]], suite: "SuiteFile | None") -> "Asked":
    """What was `found`, under the name and question of its `suite`, of the one scenario, or of all."""
    from bench.scenario.suite import Asked

    if suite:
        return Asked(suite.name, suite.question, tuple(found), is_suite=True)
    if len(found) == 1:
        return Asked(found[0][1].name, found[0][1].question, tuple(found), is_suite=False)
    names = ", ".join(scenario.name for _, scenario in found)
    return Asked("suite", f"{len(found)} scenarios: {names}", tuple(found), is_suite=True)


def _bundled_files() -> list[Path]:
    folder = bundled_scenarios()
    return [*folder.glob("*.toml"), *folder.glob("suites/*.toml")]


def _find(named: str) -> Path:
    path = Path(named)
    if path.exists() or not re.fullmatch(r"[a-z0-9-]+", named):
        return path
    return next((found for found in _bundled_files() if found.stem == named), path)


def _find_member(suite: Path, member: str) -> str:
    """A suite's member as seen from here: a file beside the suite, or a name that bench knows."""
    beside = suite.parent / member
    return str(beside) if beside.is_file() else member


def _read(path: Path, named: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(
            f"Reading the scenario {named}",
            f"{fault}{suggest(named, list_bundled())}",
            f"Give a TOML file, or one of: {', '.join(list_bundled())}.",
        ) from fault


def _is_suite(text: str) -> bool:
    try:
        return "scenarios" in tomllib.loads(text)
    except (ValueError, RecursionError):
        return False  # Reading it as a scenario says what is wrong.
