"""`bench scenario`: write a scenario, check it, and its JSON Schema for an editor."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.scenario_files import PACKAGE, read_asked
from bench.cli.terminal import err, out
from bench.errors import ExitCode, InputError

if TYPE_CHECKING:
    from bench.scenario.scenario import Scenario

SCHEMA = Path("docs", "scenario.schema.json")
"""In a checkout; elsewhere `bench scenario schema` gives it."""

scenario_app = typer.Typer(
    no_args_is_help=True, help="Write a scenario, check it, and get its JSON Schema for an editor."
)


def complete_modes(incomplete: str) -> list[tuple[str, str]]:
    """Modes with what each is."""
    from bench.scenario.modes.catalogue import MODES
    from bench.scenario.modes.model import Mode

    return [
        (str(mode), about.summary)
        for mode, about in MODES.items()
        if mode is not Mode.CONTAINER and mode.startswith(incomplete)
    ]


@scenario_app.command(epilog="Example: bench scenario schema > scenario.schema.json")
def schema() -> None:
    """Print the JSON Schema of scenario files: names, types, limits and descriptions."""
    from bench.scenario.schema import describe_scenario_file

    sys.stdout.write(json.dumps(describe_scenario_file(), indent=1, ensure_ascii=False) + "\n")


@scenario_app.command(epilog="Example: bench scenario new lan --mode host --mode macvlan")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower case, digits and dashes.")],
    mode: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODE",
            autocompletion=complete_modes,
            help="A network mode to compare, again for each; the first is the baseline."
            " One alone is compared with host. [default: host, bridge]",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The file to write. [default: NAME.toml, here]")] = None,
) -> None:
    """Write a commented scenario that asks a sensible question, to be edited."""
    from bench.scenario.parsing import parse_scenario

    path = output or Path(f"{name}.toml")
    modes = _beside_host(mode or ["bridge"])
    doing = f"Writing a scenario of the name {name}"
    try:
        from bench.scenario.template import draft_scenario

        text = draft_scenario(name, modes, _schema_beside(path))
    except ValueError as fault:
        raise InputError(doing, str(fault), "docs/modes.md describes them.") from fault
    parse_scenario(text, str(path))
    _write(doing, path, text)


@scenario_app.command(
    "from", epilog="Example: bench scenario from compose.yaml --service web --output web.toml"
)
def from_compose(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A Compose file.")],
    service: Annotated[
        str, typer.Option(metavar="SERVICE", help="The service of it that is to be measured.")
    ],
    mode: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODE",
            autocompletion=complete_modes,
            help="A network mode to compare, again for each; the first is the baseline."
            " One alone is compared with host. [default: host, user-bridge]",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the scenario. [default: after the service]")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write, beside the Compose file. [default: standard output]"),
    ] = None,
) -> None:
    """Write a scenario that measures a service of a Compose file, with what it needs beside it.

    What of the file is left out is said on standard error, with the reason of each.
    """
    from bench.cli.compose_files import read_compose
    from bench.scenario.compose import convert

    # Printed, it is taken to go where the Compose file is.
    text, surroundings = read_compose(file, (output or file).parent)
    schema = _schema_beside(output) if output else ""
    converted = convert(
        text,
        service,
        _beside_host(mode or ["user-bridge"]),
        name=name,
        schema=schema,
        surroundings=surroundings,
    )
    if output:
        _write(f"Writing a scenario from {file}", output, converted.toml)
    else:
        sys.stdout.write(converted.toml)
    if converted.left_out:
        err.print("Left out, or guessed:")
    for line in converted.left_out:
        err.print(f"  {line}", soft_wrap=True)


def _beside_host(modes: list[str]) -> list[str]:
    """Modes to compare: one alone stands beside host."""
    return ["host", *modes] if len(modes) == 1 else modes


def _write(doing: str, path: Path, text: str) -> None:
    """Write the scenario `text` to a new file, and say what comes next."""
    from bench.scenario.parsing import parse_scenario

    try:
        with path.open("x") as stream:
            stream.write(text)
    except OSError as fault:
        raise InputError(doing, str(fault), "Give another file with --output.") from fault
    out.print(f"{path}: {_describe(parse_scenario(text, str(path)))}")
    err.print("Edit it, then:")
    for command in ("scenario check", "plan", "run"):
        err.print(f"  bench {command} {path}", soft_wrap=True)


@scenario_app.command(epilog="Example: bench scenario check scenarios/*.toml")
def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Scenarios or suites.")],
) -> None:
    """Read scenarios and say every fault of every file at once. Exit code 2 if there is one."""
    wrong = 0
    for name in files:
        try:
            asked = read_asked([name])
        except InputError as fault:
            wrong += 1
            err.print(str(fault), style="red", soft_wrap=True)
            continue
        if asked.is_suite:
            out.print(f"{name}: a suite of {len(asked.scenarios)} scenarios")
        else:
            out.print(f"{name}: {_describe(asked.scenarios[0][1])}")
    if wrong:
        raise typer.Exit(ExitCode.BAD_INPUT)


def _describe(scenario: "Scenario") -> str:
    from bench.scenario.plan import expected_seconds, plan_slots

    slots = plan_slots(scenario, seed=0)
    minutes = expected_seconds(scenario, slots) / 60
    return f"{len(scenario.arms)} arms, {len(slots)} slots, about {minutes:.1f} minutes"


def _schema_beside(path: Path) -> str:
    """The schema's address as seen from the scenario at `path`; empty outside of a checkout."""
    found = PACKAGE.parent / SCHEMA
    if not found.exists() or not path.resolve().is_relative_to(PACKAGE.parent):
        return ""
    return os.path.relpath(found, path.resolve().parent)
