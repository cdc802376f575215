"""`bench verify`: whether a stored run is as it was written, and its values follow from its requests."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import JsonOption
from bench.cli.terminal import out, print_json
from bench.errors import ExitCode

app = typer.Typer()


@app.command(epilog="Example: bench verify results/quick/20261124T202906Z-d62b --deep")
def verify(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run's folder, a capacity measurement's, or a suite's.")
    ],
    deep: Annotated[
        bool, typer.Option("--deep", help="Compute each slot's stored values again from its requests.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Hold every file against its sum from when it was written. Exit code 4 where one was changed since."""
    from bench.results.verification import verify_all

    checked = verify_all(run, deep=deep)
    if as_json:
        print_json([{"folder": str(each.folder), **each.findings} for each in checked])
    for each in () if as_json else checked:
        for findings in each.findings.values():
            for finding in findings:
                out.print(f"{each.folder}: {finding}")
        if each.is_whole:
            values = ", and its values follow from its requests" if deep else ""
            out.print(f"{each.folder}: as it was written ({each.summed:,} files){values}")
    if not all(each.is_whole for each in checked):
        raise typer.Exit(ExitCode.INVALID_MEASUREMENT)
