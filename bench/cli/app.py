"""The `bench` command: all commands together, and the contract's exit code of whatever comes of one.

Data goes to standard output, everything else to standard error. A command imports what it needs when it
is called, so that `bench --help` and completion answer at once.
"""

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer._completion_classes import completion_init

from bench import __version__, interrupts
from bench.cli import capacity, check, compare, lab, listing, report, run
from bench.cli.scenario import scenario_app
from bench.cli.terminal import err, out
from bench.errors import BenchError, ExitCode, Interrupted

app = typer.Typer(
    add_completion=False,  # `bench completion` prints it; typer's own writes to the shell's start-up file.
    pretty_exceptions_enable=False,
    help="What does a Docker network mode cost an HTTP service, on this machine? Answers with evidence.",
    epilog="Begin with: bench run quick. Each command has an example: bench run --help",
)
for group in (run, capacity, report, lab, compare, check, listing):
    app.add_typer(group.app)
app.add_typer(scenario_app, name="scenario")

COMPLETION = "_BENCH_COMPLETE"
"""Set by the shell's completion when it asks what may follow."""


@app.callback(invoke_without_command=True)
def _without_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        out.print(__version__)
    elif context.invoked_subcommand is None:
        listing.say_next(Path("results"))


def main() -> NoReturn:
    """Run the command line and exit with a code of the contract."""
    interrupts.heed()
    sys.exit(run_app())


def run_app() -> int:
    """Run the command line; returns the exit code."""
    if COMPLETION in os.environ:
        completion_init()
    try:
        app()
    except SystemExit as wish:
        return int(wish.code or ExitCode.DONE)
    except BenchError as fault:
        err.print(str(fault), style="red", markup=False, soft_wrap=True)
        return fault.exit_code
    except Interrupted:
        err.print("Interrupted. What was measured before is kept; `bench resume RUN` goes on from there.")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.DONE  # Whoever read our output has seen enough.
    except Exception:  # noqa: BLE001 - the one place where an unknown failure becomes exit code 1
        traceback.print_exc()
        err.print("This is a bug of bench: please report it with the lines above.", style="red")
        return ExitCode.INTERNAL_ERROR
    return ExitCode.DONE
