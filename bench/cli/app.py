"""The `bench` command: reads options, calls one function, prints, and exits with the contract's code.

The only module that prints and exits. Data goes to standard output, everything else to standard error.
"""

import os
import re
import secrets
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from typer._completion_classes import completion_init

from bench import __version__
from bench.cli import compare, listing, verify
from bench.cli.publishing import publish_capacity, publish_run
from bench.cli.scenario import scenario_app
from bench.cli.scenario_files import read_asked, read_scenario
from bench.cli.terminal import err, out, print_json, print_prose, print_table, print_whole
from bench.errors import BenchError, ExitCode, InputError, Interrupted
from bench.results.files import is_capacity, is_suite
from bench.results.sums import NotAsWritten
from bench.scenario.model import ENGINE_PATTERN, OWN_ENGINE

if TYPE_CHECKING:
    from bench.results.run import Run

app = typer.Typer(
    add_completion=False,  # `bench completion` prints it; typer's own writes to the shell's start-up file.
    pretty_exceptions_enable=False,
    help="What does a Docker network mode cost an HTTP service, on this machine? Answers with evidence.",
    epilog="Begin with: bench run quick. Each command has an example: bench run --help",
)
app.add_typer(scenario_app, name="scenario")
app.add_typer(compare.app)
listing.register(app)
verify.register(app)

ScenariosArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="SCENARIO",
        autocompletion=listing.complete_scenarios,
        help="A scenario file, or the name of one that comes with bench. Several, or a suite: one index.",
    ),
]
RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        autocompletion=listing.complete_runs,
        help="Folder of a run, results/<scenario>/<time>-<id>, or of a suite, results/suite/<time>-<id>.",
    ),
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


COMPLETION = "_BENCH_COMPLETE"
"""Set by the shell's completion when it asks what may follow."""


def main() -> NoReturn:
    """Run the command line and exit with a code of the contract."""
    sys.exit(run_app())


def run_app() -> int:
    """Run the command line; returns the exit code."""
    if COMPLETION in os.environ:
        completion_init()
    # Every output says it itself, before its numbers.
    warnings.simplefilter("ignore", NotAsWritten)
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


@app.command(epilog="Example: bench run quick --budget 90s; a suite: bench run scenarios/*.toml")
def run(
    scenario: ScenariosArgument,
    results: Annotated[Path, typer.Option(help="Folder that runs are written to.")] = Path("results"),
    seed: Annotated[
        int | None, typer.Option(min=0, help="Order of the slots; drawn and recorded if absent.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Begin no block that would end later: 90s, 5m, 1h. Of a suite: for all of it, divided.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="Measure until every p50 ratio is known to +- this, as 1%; at most 50 times the blocks.",
        ),
    ] = None,
    web_ui: WebUiOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a scenario and judge its claim; the report lies in the run's folder."""
    from bench.cli.progress import show_progress
    from bench.measure.progress import Watch
    from bench.measure.run import Wanted, begin_run

    asked = read_asked(scenario)
    budget_s = parse_duration(budget) if budget else None
    precise_to = parse_percent(precision) if precision else None
    if asked.is_suite:
        from bench.cli.suite import run_suite

        run_suite(asked, seed, budget_s, precise_to, results, web_ui, as_json)
        return
    [(_, single)] = asked.scenarios
    drawn = secrets.randbelow(2**31) if seed is None else seed
    wanted = Wanted(single, drawn, budget_s, precise_to)
    with show_progress(err) as progress:
        found = begin_run(wanted, results, Watch(progress, publish_run, web_ui))
    _print_verdict(found, as_json)


@app.command(epilog="Example: bench capacity capacity")
def capacity(
    scenario: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO",
            autocompletion=listing.complete_scenarios,
            help="A scenario file with a table [capacity], or the name of one that comes with bench.",
        ),
    ],
    results: Annotated[Path, typer.Option(help="Folder that it is written to.")] = Path("results"),
    seed: Annotated[
        int | None, typer.Option(min=0, help="Order and arrivals; drawn and recorded if absent.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the highest rate that each arm serves in time, what bounds it, and compare all below it."""
    from bench.cli.progress import show_progress
    from bench.measure.capacity import begin_capacity
    from bench.measure.progress import Watch

    asked = read_scenario(scenario)
    drawn = secrets.randbelow(2**31) if seed is None else seed
    with show_progress(err) as progress:
        watch = Watch(progress, publish_run)
        folder = begin_capacity(asked, drawn, results, watch, publish_capacity)
    _print_capacity(folder, as_json)


@app.command(epilog="Example: bench resume results/quick/20261124T202906Z-d62b")
def resume(run: RunArgument, web_ui: WebUiOption = None, as_json: JsonOption = False) -> None:
    """Go on with a run that was interrupted, killed, or stopped by its budget; or with a suite."""
    from bench.cli.progress import show_progress
    from bench.measure.capacity import resume_capacity
    from bench.measure.progress import Watch
    from bench.measure.run import resume_run

    if is_suite(run):
        from bench.cli.suite import go_on

        go_on(run, web_ui, as_json)
        return
    if is_capacity(run):
        with show_progress(err) as progress:
            resume_capacity(run, Watch(progress, publish_run), publish_capacity)
        _print_capacity(run, as_json)
        return
    with show_progress(err) as progress:
        found = resume_run(run, Watch(progress, publish_run, web_ui))
    _print_verdict(found, as_json)


@app.command(epilog="Example: bench plan ladder; all of them: bench plan scenarios/*.toml")
def plan(
    scenario: ScenariosArgument,
    seed: Annotated[int, typer.Option(min=0, help="Order of the slots.")] = 0,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Say what it is enough for: 30m.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Say how long that takes, by an earlier run: 1%.")
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder that has the earlier runs.")] = Path("results"),
    as_json: JsonOption = False,
) -> None:
    """Say what a run would do: arms, slots, time, and every change to this machine."""
    from bench.cli.progress import clock
    from bench.measure.preview import preview

    asked = read_asked(scenario)
    precise_to = parse_percent(precision) if precision else None
    budget_s = parse_duration(budget) if budget else None
    if asked.is_suite:
        from bench.cli.suite import print_plan

        print_plan(asked, precise_to, budget_s, results, as_json)
        return
    [(_, single)] = asked.scenarios
    found = preview(single, seed, precise_to, results, budget_s)
    if as_json:
        print_json(found.as_dict())
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
    if found.budget_blocks is not None:
        out.print(f"the budget is enough for about {found.budget_blocks} of the blocks")
    if found.forecast:
        out.print(found.forecast, markup=False)
    if found.first_block:
        out.print("first block: " + ", ".join(found.first_block), markup=False)
    out.print("\nChanges to this machine, in order:")
    for change in found.changes:
        out.print(f"  - {change}", markup=False)


@app.command(epilog="Example: bench report results/quick/20261124T202906Z-d62b --format md")
def report(
    run: RunArgument,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="html|md|json", help="Print one form instead of writing all."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="A file to write one form to: by --format, or by its ending.")
    ] = None,
    github_summary: Annotated[
        bool,
        typer.Option(
            "--github-summary", help="Append it to the summary of a GitHub job, or to the file of --output."
        ),
    ] = False,
) -> None:
    """Judge a stored run again and write its report. Needs no root and no Docker."""
    from bench.measure.capacity import write_capacity_results
    from bench.report.run.page import render_html, render_markdown
    from bench.results.derived import write_results
    from bench.results.files import write_output
    from bench.results.run import Run, load
    from bench.results.verification import attest

    def render_json(found: Run) -> str:
        return attest(found).model_dump_json(indent=1) + "\n"

    forms = {"html": render_html, "md": render_markdown, "json": render_json}
    if github_summary:
        if form:
            raise InputError(
                "Reading the options", "--github-summary has a form of its own", "Leave --format out."
            )
        compare.append_job_summary(load(run), output)
        return
    form = form or (output.suffix.removeprefix(".") if output else None)
    if form not in (None, *forms):
        raise InputError(
            "Reading the options", f"the form of report is {form!r}", "Say --format html, md or json."
        )
    if is_suite(run):
        from bench.cli.suite import write_report

        write_report(run, form, output)
        return
    if is_capacity(run):
        if form is not None:
            raise InputError(
                "Reading the options", f"{run} is a capacity measurement", "Leave --format away."
            )
        write_capacity_results(run, publish_capacity)
        out.print(str(run / "report.html"), markup=False)
        return
    if form is None:
        write_results(load(run), publish_run)
        out.print(str(run / "report.html"), markup=False)
        return
    text = forms[form](load(run))
    if output is None:
        sys.stdout.write(text)
    else:
        write_output(output, text.encode())


@app.command(epilog="Example: bench clean")
def clean() -> None:
    """Remove what dead runs left on this machine, from their journals, and nothing else."""
    from bench.lab.hosts.journal import undo_dead_runs
    from bench.lab.hosts.lock import machine_lock

    with machine_lock("bench clean"):
        removed = undo_dead_runs()
    for line in removed:
        out.print(f"removed {line}", markup=False)
    out.print(f"{len(removed)} things removed" if removed else "nothing was left behind")


@app.command(epilog="Example: bench doctor --json")
def doctor(as_json: JsonOption = False) -> None:
    """Say what this machine can measure: what a run needs, and each network mode, by trying it."""
    from bench.measure.doctor import examine

    found = examine(lambda what: err.print(what, markup=False, soft_wrap=True))
    if as_json:
        print_json(asdict(found))
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


@app.command(epilog="Example: bench calibrate --seconds 1 --rounds 3")
def calibrate(
    seconds: Annotated[int, typer.Option(min=1, max=60, help="Of each load against the null server.")] = 2,
    rounds: Annotated[int, typer.Option(min=3, max=50, help="Of every engine, in random order.")] = 5,
    blocks: Annotated[int, typer.Option(min=6, max=1000, help="Of the two arms that are the same.")] = 12,
    as_json: JsonOption = False,
) -> None:
    """Find what this machine can tell: ceilings, noise floor, smallest effect. Later reports quote it."""
    from bench.measure.calibrate import calibrate as calibrate_machine
    from bench.report.run.instrument import describe_instrument, list_ceilings, list_floors

    found = calibrate_machine(seconds, rounds, blocks, lambda what: err.print(what, markup=False))
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    titles = ("N", "engine", "req/s", "raw / this [95 %]", "recorded", "Locust's count")
    print_table(titles, list_ceilings(found))
    out.print(
        f"N connections; medians; null server and generator on a core each; {found.scope}\n", markup=False
    )
    print_table(("metric", "A/A ratio [95 %]", "1 min", "5 min", "30 min"), list_floors(found))
    out.print("Minutes: the smallest effect that a run of two arms finds in 80 of 100 tries.\n")
    for line in describe_instrument(found):
        out.print(line, markup=False)


@app.command(epilog="Example: bench walkthrough --engine machine --engine debian:trixie")
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
    from bench.records import findings
    from bench.walkthrough import begin_walkthrough

    folder, record = begin_walkthrough(
        read_engines(engine or [OWN_ENGINE]), results, lambda what: err.print(what, markup=False)
    )
    if as_json:
        print_json({"walkthrough": str(folder), "record": record.model_dump(mode="json")})
        return
    for walk in record.walks:
        heading = f"Docker {walk.version} ({walk.engine}): {findings.summarise(walk)}"
        print_table(findings.FINDING_COLUMNS, findings.finding_rows(walk), heading, wrap_last=True)
    if len(record.walks) > 1:
        rows = findings.comparison_rows(record)
        print_table(findings.comparison_columns(record), rows, "Engines compared")
    for source, reason in record.unavailable.items():
        out.print(f"engine {source}: cannot be had: {reason}", markup=False)
    out.print("\nThe article's claim about performance is judged by `bench run article`.", markup=False)
    out.print(f"evidence: {folder / 'walkthrough.md'}", markup=False)


@app.callback(invoke_without_command=True)
def _without_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        out.print(__version__)
    elif context.invoked_subcommand is None:
        listing.say_next(Path("results"))


def _print_verdict(found: "Run", as_json: bool) -> None:
    from bench.measure.run import exit_code_of
    from bench.report.run.answer import answer_sentence
    from bench.report.run.summary import list_claims, list_gaps, summarise
    from bench.results.verification import attest

    if as_json:
        print_json({"run": str(found.path), "verdict": attest(found).model_dump(mode="json")})
    else:
        print_prose(answer_sentence(found))
        for table in summarise(found):
            out.print()
            print_whole(table.columns, table.rows, table.caption)
        for lines in (list_gaps(found), list_claims(found), [f"report: {found.path / 'report.html'}"]):
            out.print("".join(f"\n{line}" for line in lines), end="\n" if lines else "", markup=False)
    if (code := exit_code_of(found)) is not ExitCode.DONE:
        raise typer.Exit(code)


def _print_capacity(folder: Path, as_json: bool) -> None:
    from bench.judgement.capacity.bound import compare_knees, find_bound
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
                "bound": find_bound(record, workload),
                "wrk_rps": record.wrk_rps(workload),
            }
            for workload in record.workloads
        ]
        print_json(
            {
                "capacity": str(folder),
                "faults": faults,
                "knees": knees,
                "ratios": [ratio._asdict() for ratio in ratios],
                "record": record.model_dump(mode="json"),
            }
        )
    else:
        said = f"{describe_faults(f'measurement {record.id}', faults)} {answer_capacity(record)}"
        out.print(said.strip(), markup=False)
        for table in (*summarise_capacity(record), tabulate_checks(record)):
            out.print()
            print_whole(table.columns, table.rows, table.caption)
        for line in (*list_cautions(record), *(f"comparison: {run}" for run in record.comparisons.values())):
            out.print(f"\n{line}", markup=False)
        out.print(f"\nreport: {folder / 'report.html'}", markup=False)
    if all(ratio.word.startswith(Word.INVALID) for ratio in ratios):
        raise typer.Exit(ExitCode.INVALID_MEASUREMENT)


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
