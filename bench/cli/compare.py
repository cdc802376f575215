"""Commands that lay stored runs side by side: `compare`, `history`, `map`. Neither root nor Docker needed."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import DOING, JsonOption, form_of_page
from bench.cli.terminal import err, out, print_json
from bench.errors import ExitCode, InputError

if TYPE_CHECKING:
    from bench.results.run import Run

app = typer.Typer()


@app.command(
    epilog="Example: bench compare results/quick/20261124T202906Z-d62b results/quick/20261125T202906Z-a1b2"
)
def compare(
    before: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder: the earlier one.")],
    after: Annotated[Path, typer.Argument(metavar="RUN", help="The run that is compared with it.")],
    across: Annotated[
        list[str] | None,
        typer.Option(metavar="SETTING", help="A setting whose difference is the subject: lab.forward_rules."),
    ] = None,
    output: Annotated[
        list[Path] | None, typer.Option(help="Write a report: FILE.html or FILE.md; may be repeated.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what changed between two runs, with intervals; first what else differs between them."""
    from bench.judgement.across_runs.two_runs import compare_runs
    from bench.judgement.change import ChangeWord
    from bench.report.pages.two_runs import describe, render_page, summarise, warn
    from bench.report.table import lay_out
    from bench.results.files import write_output
    from bench.results.run import load

    pages = [(path, form_of_page(path)) for path in output or []]
    runs = load(before), load(after)
    found = compare_runs(runs[0].record, runs[1].record, across or ())
    found = found.model_copy(update={"faults": tuple(_faults_of(*runs))})
    for path, form in pages:
        write_output(path, render_page(found, form).encode())
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        for caution in warn(found):
            out.print(caution)
        out.print("\n".join(describe(found)))
        for table in summarise(found):
            out.print("\n" + lay_out(table))
        out.print(
            "\nA ratio above 1: worse in the second run. Arms by themselves include the machine's drift."
        )
    if all(change.word is ChangeWord.INVALID for change in found.changes):
        raise typer.Exit(ExitCode.INVALID_MEASUREMENT)


@app.command(epilog="Example: bench history results --output history.html")
def history(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Folders of runs, or with runs below them: results/."),
    ],
    output: Annotated[Path | None, typer.Option(help="Write a page: FILE.html.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a row a run and line.")] = None,
    as_json: JsonOption = False,
) -> None:
    """What became of each cost over many runs, and since which run: a table, a figure, change points."""
    from bench.judgement.across_runs.history import trace_lines
    from bench.report.pages.history import describe_turns, render_page, tabulate_lines, write_csv
    from bench.report.table import lay_out
    from bench.results.files import write_output
    from bench.results.store import find_runs

    if output is not None and form_of_page(output) != "html":
        raise InputError(DOING, f"--output is {output}", "Give a file .html.")
    folders = find_runs(paths)
    runs = [run for folder in folders if (run := _load_or_say(folder))]
    lines = trace_lines([(run.record, run.verdict.comparisons) for run in runs])
    if not lines:
        raise InputError(
            f"Reading the runs in {', '.join(map(str, paths))}",
            f"of {len(folders)} none compares an arm with a baseline",
            "Give folders that bench run has written: results/.",
        )
    if output is not None:
        write_output(output, render_page(lines).encode())
    if csv is not None:
        write_output(csv, write_csv(lines).encode())
    if as_json:
        print_json([line.model_dump(mode="json") for line in lines])
        return
    for table in tabulate_lines(lines):
        out.print(lay_out(table) + "\n")
    out.print("\n".join(describe_turns(lines)) or "No change point was found.")


def _load_or_say(folder: Path) -> "Run | None":
    """The run in `folder`, judged; one that cannot be, or that was changed, is named, and left out."""
    from bench.results.run import load

    try:
        run = load(folder)
        if not run.faults and run.verdict:
            return run
        err.print(f"left out: {folder} is not as it was measured: {'; '.join(run.faults)}", soft_wrap=True)
    except InputError as fault:
        err.print(f"left out: {fault}", soft_wrap=True)
    except (ArithmeticError, LookupError, TypeError, ValueError) as fault:
        err.print(f"left out: {folder} holds what cannot be judged: {fault!r}", soft_wrap=True)
    return None


def _faults_of(*runs: "Run") -> Iterator[str]:
    """For each run that is not as it was measured, a sentence that says so."""
    from bench.results.verification import describe_faults

    return (said for run in runs if (said := describe_faults(f"run {run.record.id}", run.faults)))


@app.command(
    "map",
    epilog="Example: bench map results/payload/20261124T202906Z-d62b results/vantage/20261124T211906Z-a1b2",
)
def map_command(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs.")],
    output: Annotated[
        list[Path] | None, typer.Option(help="Write a page: FILE.html or FILE.md; may be repeated.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Where host is better, equivalent or worse, over all conditions of several runs, corrected together."""
    from bench.judgement.regions import Region
    from bench.report.pages.region_map import describe, render_page, tabulate_cells
    from bench.report.table import lay_out
    from bench.results.files import write_output
    from bench.results.run import find_cells, load

    pages = [(path, form_of_page(path)) for path in output or []]
    runs = [load(folder) for folder in folders]
    twice = {run.label for run in runs if sum(run.label == other.label for other in runs) > 1}
    if twice:
        raise InputError(
            "Mapping several runs", f"{', '.join(sorted(twice))} is named twice", "Name each run once."
        )
    cells = find_cells(runs)
    if not cells:
        raise InputError(
            f"Reading the runs in {', '.join(map(str, folders))}",
            "none compares an arm with a baseline",
            "Give folders of runs of two arms or more.",
        )
    for path, form in pages:
        write_output(path, render_page(runs, cells, form, list(_faults_of(*runs))).encode())
    if as_json:
        faults = {run.label: run.faults for run in runs}
        print_json([cell.model_dump(mode="json") | {"faults": faults.get(cell.run, ())} for cell in cells])
    else:
        out.print("\n".join((*_faults_of(*runs), *describe(runs, cells))))
        out.print("\n" + lay_out(tabulate_cells(cells)))
        out.print("\nWords hold for all cells together, by Holm's correction.")
    if all(cell.region is Region.INVALID for cell in cells):
        raise typer.Exit(ExitCode.INVALID_MEASUREMENT)
