"""The `bench` command: all commands together, and the contract's exit code of whatever comes of one.

Data goes to standard output, everything else to standard error. A command imports what it needs when it
is called, so that `bench --help` and completion answer at once.
"""

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer._completion_classes import completion_init

from bench import __version__, interrupts
from bench.cli import capacity, check, compare, lab, listing, quick, report, run, verify
from bench.cli.scenario import scenario_app
from bench.cli.streams import open_streams
from bench.cli.terminal import err, out, print_json
from bench.errors import BenchError, ExitCode, InputError, Interrupted, explain_scarcity
from bench.results.sums import NotAsWritten

app = typer.Typer(
    add_completion=False,  # `bench completion` prints it; typer's own writes to the shell's start-up file.
    pretty_exceptions_enable=False,
    help="What does a Docker network mode cost an HTTP service, on this machine? Answers with evidence.",
    epilog="Begin with: bench quick, or bench quick --image IMAGE. Each has an example: bench run --help",
)
for group in (run, quick, capacity, report, lab, compare, check, verify, listing):
    app.add_typer(group.app)
app.add_typer(scenario_app, name="scenario")

NAME = "bench"
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


UNMAPPED = "failed to map segment from shared object"
"""What the dynamic linker says of a library that finds no room in memory (elf/dl-load.h of glibc)."""


def main() -> NoReturn:
    """Run the command line and exit with a code of the contract."""
    open_streams()
    interrupts.heed()
    code = run_app(leave=os._exit)
    interrupts.heed_no_more()
    sys.exit(code)


def run_app(leave: Callable[[int], int] = int) -> int:
    """Run the command line; returns the exit code.

    `leave`: how the process ends where there is not enough memory. All is taken back by then; but libraries
    of which half is mapped are not to be taken down, which ends in a segmentation fault.
    """
    try:
        return _run()
    except MemoryError:  # Of the command, or of what would have said what became of it.
        return leave(_refuse_for_want_of_memory())


def _run() -> int:
    if COMPLETION in os.environ:
        completion_init()
    # Every output says it itself, before its numbers.
    warnings.simplefilter("ignore", NotAsWritten)
    try:
        code = app(prog_name=NAME, standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as wish:
        return int(wish.code or ExitCode.DONE)
    except BenchError as fault:
        return _refuse(fault)
    except typer.TyperException as fault:
        return _refuse_usage(fault)
    except Interrupted:
        return _refuse(
            _Interruption(
                "Interrupted",
                "the end was asked for",
                "What was measured before is kept; `bench resume RUN` goes on from there.",
            )
        )
    except MemoryError:
        raise
    except Exception as bug:  # the one place where an unknown failure becomes exit code 1
        if isinstance(bug, ImportError) and UNMAPPED in str(bug):
            raise MemoryError from bug
        if known := explain_scarcity(bug):
            return _refuse(known)
        traceback.print_exc()
        return _refuse(
            BenchError(
                "Running bench", repr(bug), "This is a bug of bench: please report it with the lines above."
            )
        )
    return int(code or ExitCode.DONE)


def _refuse_for_want_of_memory() -> int:
    """Without a library: what prints in colours wants memory too."""
    said = (
        "Running bench: there is not enough memory. Raise the limit (`ulimit -v`, the control group's), or"
        " free some; what was measured before is kept.\n"
    )
    os.write(2, said.encode())
    return ExitCode.ENVIRONMENT


class _Interruption(BenchError):
    exit_code = ExitCode.INTERRUPTED


def _refuse(fault: BenchError) -> int:
    """Say why there is no result: a paragraph for a person, and JSON where a script asked for some."""
    err.print(str(fault), style="red", soft_wrap=True)
    if "--json" in sys.argv[1:]:
        print_json({"error": fault.as_dict()})
        sys.stdout.flush()
    return fault.exit_code


def _refuse_usage(fault: typer.TyperException) -> int:
    """What typer cannot make a command of."""
    context: typer.Context | None = getattr(fault, "ctx", None)
    command = context.command_path if context else NAME
    said = fault.format_message() or "there is no command"  # `bench scenario` alone, after its help
    return _refuse(InputError("Reading the command line", said, f"`{command} --help` says what there is."))
