"""Arguments and options that several commands have, and how their values are read."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.scenario_files import list_bundled
from bench.errors import InputError

if TYPE_CHECKING:
    from bench.scenario.engine_source import EngineSource
    from bench.scenario.hosts import HostsFile


def complete_scenarios(incomplete: str) -> list[str]:
    """Names of scenarios that come with bench; where none fits, the shell completes files."""
    return [name for name in list_bundled() if name.startswith(incomplete)]


def complete_runs(incomplete: str) -> list[str]:
    """Folders of runs and suites below results/, the newest first."""
    from bench.results.listing import list_shelf

    found = [str(each.path) for each in list_shelf(Path("results"))]
    return [path for path in found if path.startswith(incomplete)]


ScenariosArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="SCENARIO",
        autocompletion=complete_scenarios,
        help="A scenario file, or the name of one that comes with bench. Several, or a suite: one index.",
    ),
]
RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        autocompletion=complete_runs,
        help="Folder of a run, results/<scenario>/<time>-<id>, or of a suite, results/suite/<time>-<id>.",
    ),
]
ResultsOption = Annotated[Path, typer.Option(help="Folder that runs are written to.")]
SeedOption = Annotated[
    int | None, typer.Option(min=0, help="Order of the slots, and arrivals; drawn and recorded if absent.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
HostsOption = Annotated[
    Path | None,
    typer.Option(
        "--hosts",
        metavar="FILE",
        help="Machines of your own to measure on, reached over SSH (docs/real-hosts.md); absent: the lab.",
    ),
]
WebUiOption = Annotated[
    int | None,
    typer.Option(
        "--web-ui",
        metavar="PORT",
        min=1,
        max=65535,
        help="Show Locust's web UI on this loopback port; it costs the generator a short pause a second.",
    ),
]
DOING = "Reading the options"
PAGES = {".html": "html", ".md": "md"}
"""Ending of a page's file -> its form."""


def read_hosts(path: Path | None) -> "HostsFile | None":
    """The machines of a hosts file; None without one. Raises InputError for what is none."""
    from bench.scenario.hosts import parse_hosts

    if path is None:
        return None
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as fault:
        advice = "Give a TOML file as docs/real-hosts.md describes it."
        raise InputError(f"Reading the hosts file {path}", str(fault), advice) from fault
    return parse_hosts(text, str(path))


def read_engines(named: Sequence[str]) -> "list[EngineSource]":
    """Engines by name, each once. Raises InputError for one that no lab could have."""
    from bench.scenario.engine_source import parse_engine_source

    found: dict[EngineSource, None] = {}
    for name in named:
        try:
            found[parse_engine_source(name)] = None
        except ValueError as fault:
            advice = "Say --engine machine, or --engine debian:trixie."
            raise InputError(DOING, f"--engine is {name}", advice) from fault
    return list(found)


def parse_duration(text: str) -> float:
    """Seconds of `90s`, `5m`, `1h` or a plain number."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|h|)", text.strip())
    seconds = float(match[1]) * {"s": 1, "": 1, "m": 60, "h": 3600}[match[2]] if match else 0
    if not 0 < seconds <= 7 * 86400:
        raise InputError(DOING, f"{text!r} is not a time", "Write 90s, 5m or 1h.")
    return seconds


def parse_percent(text: str) -> float:
    """Fraction that `1%`, `0.5 %` or `0.5` (all in percent) say."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*%?", text.strip())
    fraction = float(match[1]) / 100 if match else 0
    if not 0.0001 <= fraction <= 0.5:
        raise InputError(DOING, f"{text!r} is not a precision", "Write 1% (0.01% to 50%).")
    return fraction


def form_of_page(path: Path) -> str:
    """`html` or `md`, by the ending of `path`."""
    if path.suffix not in PAGES:
        raise InputError(DOING, f"--output is {path}", "Give a file .html or .md.")
    return PAGES[path.suffix]
