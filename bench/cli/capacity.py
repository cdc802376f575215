"""`bench capacity`: find what each arm can serve, and say it."""

import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bench import interrupts
from bench.cli.options import JsonOption, ResultsOption, SeedOption, complete_scenarios
from bench.cli.publishing import publish_capacity, publish_run
from bench.cli.scenario_files import read_scenario
from bench.cli.terminal import err, out, print_json, print_whole
from bench.errors import ExitCode

app = typer.Typer()


@app.command(epilog="Example: bench capacity capacity")
def capacity(
    scenario: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO",
            autocompletion=complete_scenarios,
            help="A scenario file with a table [capacity], or the name of one that comes with bench.",
        ),
    ],
    results: ResultsOption = Path("results"),
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the highest rate that each arm serves in time, what bounds it, and compare all below it."""
    from bench.cli.progress import show_progress
    from bench.measure.capacity import begin_capacity
    from bench.measure.progress import Watch

    asked = read_scenario(scenario)
    drawn = secrets.randbelow(2**31) if seed is None else seed
    with interrupts.held(), show_progress(err) as progress:
        watch = Watch(progress, publish_run)
        folder = begin_capacity(asked, drawn, results, watch, publish_capacity)
    _print_capacity(folder, as_json)


def go_on(folder: Path, as_json: bool) -> None:
    """Resume the capacity measurement in `folder` and print what it found."""
    from bench.cli.progress import show_progress
    from bench.measure.capacity import resume_capacity
    from bench.measure.progress import Watch

    with interrupts.held(), show_progress(err) as progress:
        resume_capacity(folder, Watch(progress, publish_run), publish_capacity)
    _print_capacity(folder, as_json)


def write_report(folder: Path) -> None:
    """Write the report of the capacity measurement in `folder` again."""
    from bench.measure.capacity import write_capacity_results

    write_capacity_results(folder, publish_capacity)
    out.print(str(folder / "report.html"))


def _print_capacity(folder: Path, as_json: bool) -> None:
    from bench.judgement.capacity.bound import compare_knees, find_bound
    from bench.judgement.capacity.curve import fit_knee
    from bench.judgement.comparison import Word
    from bench.report.pages.capacity import (
        answer_capacity,
        list_cautions,
        summarise_capacity,
        tabulate_checks,
    )
    from bench.results.store import read_capacity
    from bench.results.verification import describe_faults, find_capacity_faults

    record = read_capacity(folder)
    faults = tuple(find_capacity_faults(folder, record))
    ratios = compare_knees(record)
    if as_json:
        knees = [
            {
                **workload._asdict(),
                **asdict(record.knee(workload)),
                "fitted": fitted.model_dump() if (fitted := fit_knee(record.trials(workload))) else None,
                "bound": find_bound(record, workload),
                "wrk_rps": record.wrk_rps(workload),
            }
            for workload in record.workloads
        ]
        print_json(
            {
                "capacity": str(folder),
                "knees": knees,
                "ratios": [ratio._asdict() for ratio in ratios],
                "faults": faults,
                "record": record.model_dump(mode="json"),
            }
        )
    else:
        said = f"{describe_faults(f'measurement {record.id}', faults)} {answer_capacity(record)}"
        out.print(said.strip())
        for table in (*summarise_capacity(record), tabulate_checks(record)):
            out.print()
            print_whole(table.columns, table.rows, table.caption)
        for line in (*list_cautions(record), *(f"comparison: {run}" for run in record.comparisons.values())):
            out.print(f"\n{line}")
        out.print(f"\nreport: {folder / 'report.html'}")
    if all(ratio.word.startswith(Word.INVALID) for ratio in ratios):
        raise typer.Exit(ExitCode.INVALID_MEASUREMENT)
