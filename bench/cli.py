"""The `bench` command: reads options, calls one function, prints, and exits with the contract's code.

The only module that prints and exits. Data goes to standard output, everything else to standard error.
"""

import json
import re
import secrets
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Column, Table

from bench import __version__
from bench.core.comparison import Word
from bench.core.errors import BenchError, ExitCode, InputError, Interrupted
from bench.core.scenario import ENGINE_PATTERN, OWN_ENGINE, Scenario, parse_scenario

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="What does a Docker network mode cost an HTTP service, on this machine? Answers with evidence.",
    epilog="Begin with: bench run quick",
)
# A file or a pipe has no width of its own; a cell that is cut for one can be neither read nor parsed.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, highlight=False)

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="A scenario file, or the name of one that comes with bench.")
]
RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's folder: results/<scenario>/<time>-<id>.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
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


def main() -> NoReturn:
    """Run the command line and exit with a code of the contract."""
    sys.exit(run_app())


def run_app() -> int:
    """Run the command line; returns the exit code."""
    try:
        with interruptible():
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


@app.command()
def run(
    scenario: ScenarioArgument,
    results: Annotated[Path, typer.Option(help="Folder that runs are written to.")] = Path("results"),
    seed: Annotated[
        int | None, typer.Option(min=0, help="Order of the slots; drawn and recorded if absent.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Begin no block that would end later: 90s, 5m, 1h.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="Measure until every p50 ratio is known to +- this, as 1%; at most ten times the blocks.",
        ),
    ] = None,
    web_ui: WebUiOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a scenario and judge its claim; the report lies in the run's folder."""
    from bench.progress import show_progress
    from bench.run import begin_run

    asked = read_scenario(scenario)
    budget_s = parse_duration(budget) if budget else None
    precise_to = parse_percent(precision) if precision else None
    drawn = secrets.randbelow(2**31) if seed is None else seed
    with show_progress(err) as progress:
        folder = begin_run(asked, drawn, budget_s, results, progress, web_ui, precise_to)
    _print_verdict(folder, as_json)


@app.command()
def capacity(
    scenario: ScenarioArgument,
    results: Annotated[Path, typer.Option(help="Folder that it is written to.")] = Path("results"),
    seed: Annotated[
        int | None, typer.Option(min=0, help="Order and arrivals; drawn and recorded if absent.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the highest rate that each arm serves in time, what bounds it, and compare all below it."""
    from bench.capacity import begin_capacity
    from bench.progress import show_progress

    asked = read_scenario(scenario)
    drawn = secrets.randbelow(2**31) if seed is None else seed
    with show_progress(err) as progress:
        folder = begin_capacity(asked, drawn, results, progress)
    _print_capacity(folder, as_json)


@app.command()
def resume(run: RunArgument, web_ui: WebUiOption = None, as_json: JsonOption = False) -> None:
    """Go on with a run that was interrupted, killed, or stopped by its budget."""
    from bench.capacity import resume_capacity
    from bench.edges.store import CAPACITY_FILE
    from bench.progress import show_progress
    from bench.run import resume_run

    if (run / CAPACITY_FILE).exists():
        with show_progress(err) as progress:
            resume_capacity(run, progress)
        _print_capacity(run, as_json)
        return
    with show_progress(err) as progress:
        resume_run(run, progress, web_ui)
    _print_verdict(run, as_json)


@app.command()
def plan(
    scenario: ScenarioArgument,
    seed: Annotated[int, typer.Option(min=0, help="Order of the slots.")] = 0,
    precision: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Say how long that takes, by an earlier run: 1%.")
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder that has the earlier runs.")] = Path("results"),
    as_json: JsonOption = False,
) -> None:
    """Say what a run would do: arms, slots, time, and every change to this machine."""
    from bench.preview import preview
    from bench.progress import clock

    found = preview(read_scenario(scenario), seed, parse_percent(precision) if precision else None, results)
    if as_json:
        _print_json(found.as_dict())
        return
    out.print(f"{found.scenario}: {found.question}\n", markup=False)
    for name, what in found.arms.items():
        out.print(f"  arm {name}: {what}", markup=False)
    for label in found.conditions:
        out.print(f"  condition {label}", markup=False)
    out.print(
        f"\n{found.blocks} blocks in {found.sessions} session(s), {found.slots} slots,"
        f" about {clock(found.expected_s)} (m:ss) in all"
    )
    if found.forecast:
        out.print(found.forecast, markup=False)
    if found.first_block:
        out.print("first block: " + ", ".join(found.first_block), markup=False)
    out.print("\nChanges to this machine, in order:")
    for change in found.changes:
        out.print(f"  - {change}", markup=False)


@app.command()
def report(
    run: RunArgument,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="html|md|json", help="Print one form instead of writing all."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="With --format: a file to write it to.")] = None,
) -> None:
    """Judge a stored run again and write its report. Needs no root and no Docker."""
    from bench.capacity import write_capacity_results
    from bench.edges.store import CAPACITY_FILE, write_atomically
    from bench.report.page import render_html, render_markdown
    from bench.results import Run, load
    from bench.run import write_results

    def render_json(found: Run) -> str:
        return found.verdict.model_dump_json(indent=1) + "\n"

    forms = {"html": render_html, "md": render_markdown, "json": render_json}
    if form not in (None, *forms) or (output and not form):
        raise InputError("Reading the options", f"--format is {form}", "Say --format html, md or json.")
    if (run / CAPACITY_FILE).exists():
        if form is not None:
            raise InputError(
                "Reading the options", f"{run} is a capacity measurement", "Leave --format away."
            )
        write_capacity_results(run)
        out.print(str(run / "report.html"), markup=False)
        return
    if form is None:
        write_results(run)
        out.print(str(run / "report.html"), markup=False)
        return
    text = forms[form](load(run))
    if output is None:
        sys.stdout.write(text)
    else:
        write_atomically(output, text.encode())


@app.command()
def clean() -> None:
    """Remove what dead runs left on this machine, from their journals, and nothing else."""
    from bench.edges.journal import machine_lock, undo_dead_runs

    with machine_lock("bench clean"):
        removed = undo_dead_runs()
    for line in removed:
        out.print(f"removed {line}", markup=False)
    out.print(f"{len(removed)} things removed" if removed else "nothing was left behind")


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Say what this machine can measure: what a run needs, and each network mode, by trying it."""
    from bench.doctor import examine

    found = examine(lambda what: err.print(what, markup=False, soft_wrap=True))
    if as_json:
        _print_json(asdict(found))
    else:
        for need in found.requirements:
            remedy = "" if need.met else f"  ->  {need.remedy}"
            state = "ok" if need.met else "MISSING"
            out.print(f"{state:8}{need.name}: {need.seen}{remedy}", markup=False)
        for title, things in (("modes", found.modes), ("engines besides the machine's own", found.engines)):
            out.print(f"\n{title}", style="bold")
            for thing in things:
                state = "available" if thing.available else f"NOT AVAILABLE: {thing.reason}"
                out.print(f"{thing.name:16} {state}{f' ({thing.what})' if thing.what else ''}", markup=False)
    if not found.can_run:
        raise typer.Exit(ExitCode.ENVIRONMENT)


@app.command()
def calibrate(
    seconds: Annotated[int, typer.Option(min=1, max=60, help="Of each load.")] = 2,
    rounds: Annotated[int, typer.Option(min=3, max=50, help="Of every engine, in random order.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Find the ceiling of this machine's load generators against a server that does nothing."""
    from bench.calibrate import measure_ceilings

    found = measure_ceilings(seconds, rounds, lambda what: err.print(what, markup=False))
    if as_json:
        _print_json(found.as_dict())
        return
    titles = ("N", "engine", "req/s", "raw / this [95 %]", "recorded", "Locust's count")
    _print_table(titles, [row.as_text() for row in found.rows])
    out.print(
        f"N connections; medians; null server and generator on a core each; {found.scope}", markup=False
    )


@app.command()
def walkthrough(
    engine: Annotated[
        list[str] | None,
        typer.Option(
            metavar="machine|debian:SUITE",
            help="Engine to try it under; give it again for several to compare.",
        ),
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder that it is written to.")] = Path("results"),
    as_json: JsonOption = False,
) -> None:
    """Try every statement of the article in its lab: confirmed or refuted, with the evidence."""
    from bench.core import findings
    from bench.walkthrough import begin_walkthrough

    folder, record = begin_walkthrough(
        read_engines(engine or [OWN_ENGINE]), results, lambda what: err.print(what, markup=False)
    )
    if as_json:
        _print_json({"walkthrough": str(folder), "record": record.model_dump(mode="json")})
        return
    for walk in record.walks:
        heading = f"Docker {walk.version} ({walk.engine}): {findings.summarise(walk)}"
        _print_table(findings.FINDING_COLUMNS, findings.finding_rows(walk), heading, wrap_last=True)
    if len(record.walks) > 1:
        rows = findings.comparison_rows(record)
        _print_table(findings.comparison_columns(record), rows, "Engines compared")
    for source, reason in record.unavailable.items():
        out.print(f"engine {source}: cannot be had: {reason}", markup=False)
    out.print("\nThe article's claim about performance is judged by `bench run article`.", markup=False)
    out.print(f"evidence: {folder / 'walkthrough.md'}", markup=False)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        out.print(__version__)
        raise typer.Exit


def _print_verdict(folder: Path, as_json: bool) -> None:
    import bench
    from bench.report.summary import list_claims, list_gaps, summarise
    from bench.report.text import answer_sentence

    found = bench.load(folder)
    if as_json:
        _print_json({"run": str(folder), "verdict": found.verdict.model_dump(mode="json")})
    else:
        out.print(answer_sentence(found), markup=False)
        for table in summarise(found):
            out.print()
            _print_whole(table.columns, table.rows, table.caption)
        for lines in (list_gaps(found), list_claims(found), [f"report: {folder / 'report.html'}"]):
            out.print("".join(f"\n{line}" for line in lines), end="\n" if lines else "", markup=False)
    compared = [c for c in found.verdict.comparisons if c.kind == "arms"]
    usable = any(comparison.word is not Word.INVALID for comparison in compared)
    if not usable:
        raise typer.Exit(ExitCode.INVALID_MEASUREMENT)


def _print_capacity(folder: Path, as_json: bool) -> None:
    from bench.core.capacity import compare_knees, find_bound
    from bench.edges.store import read_capacity
    from bench.report.capacity import answer_capacity, list_cautions, summarise_capacity, tabulate_checks

    record = read_capacity(folder)
    ratios = compare_knees(record)
    if as_json:
        knees = [
            {
                **workload._asdict(),
                **asdict(record.knee(workload)),
                "bound": find_bound(record, workload),
                "wrk_rps": record.wrk_rps(workload),
            }
            for workload in record.workloads
        ]
        _print_json(
            {
                "capacity": str(folder),
                "knees": knees,
                "ratios": [ratio._asdict() for ratio in ratios],
                "record": record.model_dump(mode="json"),
            }
        )
    else:
        out.print(answer_capacity(record), markup=False)
        for table in (*summarise_capacity(record), tabulate_checks(record)):
            out.print()
            _print_whole(table.columns, table.rows, table.caption)
        for line in (*list_cautions(record), *(f"comparison: {run}" for run in record.comparisons.values())):
            out.print(f"\n{line}", markup=False)
        out.print(f"\nreport: {folder / 'report.html'}", markup=False)
    if all(ratio.word.startswith(Word.INVALID) for ratio in ratios):
        raise typer.Exit(ExitCode.INVALID_MEASUREMENT)


def read_scenario(named: str) -> Scenario:
    """The scenario in the file `named`, or the one of that name that comes with bench."""
    path = Path(named)
    if not path.exists() and re.fullmatch(r"[a-z0-9-]+", named):
        path = bundled_scenarios() / f"{named}.toml"
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as fault:
        known = ", ".join(sorted(found.stem for found in bundled_scenarios().glob("*.toml")))
        raise InputError(
            f"Reading the scenario {named}", str(fault), f"Give a TOML file, or one of: {known}."
        ) from fault
    return parse_scenario(text, named)


def read_engines(named: Sequence[str]) -> list[str]:
    """Engines by name, each once. Raises InputError for one that no lab could have."""
    wrong = [name for name in named if not re.fullmatch(ENGINE_PATTERN, name)]
    if wrong:
        raise InputError(
            "Reading the options",
            f"--engine is {wrong[0]}",
            "Say --engine machine, or --engine debian:trixie.",
        )
    return list(dict.fromkeys(named))


def bundled_scenarios() -> Path:
    """Folder of the scenarios that come with bench: in an installed package, or in a checkout."""
    package = Path(__file__).parent
    installed = package / "scenarios"
    return installed if installed.exists() else package.parent / "scenarios"


def parse_duration(text: str) -> float:
    """Seconds of `90s`, `5m`, `1h` or a plain number."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|h|)", text.strip())
    seconds = float(match[1]) * {"s": 1, "": 1, "m": 60, "h": 3600}[match[2]] if match else 0
    if not 0 < seconds <= 7 * 86400:
        raise InputError("Reading the options", f"{text!r} is not a time", "Write 90s, 5m or 1h.")
    return seconds


def parse_percent(text: str) -> float:
    """Fraction that `1%`, `0.5 %` or `0.5` (all in percent) say."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*%?", text.strip())
    fraction = float(match[1]) / 100 if match else 0
    if not 0.0001 <= fraction <= 0.5:
        raise InputError("Reading the options", f"{text!r} is not a precision", "Write 1% (0.01% to 50%).")
    return fraction


@contextmanager
def interruptible() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end a run as Ctrl-C does, and let nothing interrupt its tidying up."""
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for each in ending:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted

    before = {each: signal.signal(each, interrupt) for each in ending}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _print_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], heading: str = "", *, wrap_last: bool = False
) -> None:
    if heading:
        out.print(heading, style="bold", markup=False)
    columns = [Column(title, no_wrap=True) for title in titles]
    columns[-1].no_wrap = not wrap_last
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*row)
    out.print(table)


def _print_whole(titles: Sequence[str], rows: Iterable[Sequence[str]], heading: str) -> None:
    """Columns as wide as their longest cell: where the terminal is narrower it wraps, and nothing is cut."""
    lines = [tuple(titles), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if heading:
        out.print(heading, style="bold", markup=False)
    for number, line in enumerate(lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        out.print(text, style=None if number else "bold", markup=False)


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")
