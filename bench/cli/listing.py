"""For who is new here: `bench` alone says what to do next, `bench list` what there is, and completion."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import DOING, JsonOption
from bench.cli.scenario_files import list_bundled
from bench.cli.terminal import err, out, print_json, print_prose, print_whole
from bench.errors import InputError
from bench.results.listing import UNREADABLE, Shelved, describe_age, list_shelf

app = typer.Typer()

SHELLS = ("bash", "zsh", "fish")
CHANGED = " *"
SHOWN = 20
"""Rows of `bench list`: a screen."""


def say_next(results: Path) -> None:
    """What to do first, or where things stand."""
    from bench.records.run import Status

    shelved = list_shelf(results)
    if not shelved:
        print_prose("bench measures what a Docker network mode costs an HTTP service, on this machine.")
        out.print()
        _print_steps(
            {
                "bench doctor": "what this machine can measure, and what it lacks",
                "bench plan quick": "what a first run would do, before it does it",
                "bench run quick": "measures about a minute; `make quick` installs what is missing first",
                "bench --help": "every command; each has an example in its own --help",
            }
        )
        return
    last = shelved[0]
    word = f": {last.word}" if last.word else ""
    age = describe_age(last.started_at, datetime.now(UTC))
    when = f", {age}" if age else ""
    out.print(f"The last {last.kind} here is {last.name}, {last.status}{when}{word}.")
    if last.report.exists():
        out.print(f"report: {last.report}")
    if last.changed:
        out.print(f"It is not as it was written: `bench verify {last.path}` says what.")
    out.print()
    if last.reason:
        out.print(f"It cannot be read: {last.reason}.")
    resumable = last.kind != "walkthrough" and last.status not in (
        Status.COMPLETE,
        Status.PRECISE,
        Status.DECIDED,
        UNREADABLE,
    )
    _print_steps(
        {
            **({f"bench resume {last.path}": "goes on where it stopped"} if resumable else {}),
            "bench list": f"all {len(shelved)} that are here" if len(shelved) > 1 else "what is here",
            "bench run SCENARIO": f"another question: {', '.join(list_bundled())}",
            "bench scenario new NAME": "a question of your own",
            "bench --help": "every command; each has an example in its own --help",
        }
    )


def _print_steps(steps: Mapping[str, str]) -> None:
    """A line for what to type and one for what it does: commands are copied whole at any width."""
    for command, what in steps.items():
        out.print(command, style="bold")
        print_prose(what, indent=4)


@app.command("list", epilog="Example: bench list --json")
def list_runs(
    results: Annotated[Path, typer.Option(help="Folder that has the runs.")] = Path("results"),
    everything: Annotated[bool, typer.Option("--all", help=f"Not the newest {SHOWN} alone.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the runs, suites, capacity measurements and walkthroughs that are here, the newest first."""
    shelved = list_shelf(results)
    if as_json:
        print_json([each.as_dict() for each in shelved])
        return
    if not shelved:
        err.print(f"There is nothing in {results}: `bench run quick` makes a first run.")
        return
    shown = shelved if everything else shelved[:SHOWN]
    print_whole(("status", "word", "age", "folder"), [_row(each) for each in shown])
    if any(each.changed for each in shown):
        err.print(f"{CHANGED.strip()} not as it was written: `bench verify FOLDER` says what")
    if len(shown) < len(shelved):
        err.print(f"{len(shelved) - len(shown)} older ones: bench list --all")


@app.command("completion", epilog="Example: source <(bench completion bash)")
def complete(
    shell: Annotated[str, typer.Argument(metavar="|".join(SHELLS), autocompletion=lambda: list(SHELLS))],
) -> None:
    """Print what makes a shell complete commands, options, scenarios and runs; writes no file of yours."""
    from typer._completion_shared import get_completion_script

    if shell not in SHELLS:
        raise InputError(DOING, f"there is no {shell}", f"Say one of {', '.join(SHELLS)}.")
    out.print(
        get_completion_script(prog_name="bench", complete_var="_BENCH_COMPLETE", shell=shell),
    )


def _row(each: Shelved) -> tuple[str, ...]:
    age = describe_age(each.started_at, datetime.now(UTC))
    word = (each.reason or each.word or "–") + CHANGED * each.changed
    return each.status, word, age or "–", str(each.path)
