"""Commands that judge stored runs: `compare`, `history`, `check`. They need no root and no Docker."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.terminal import print_json
from bench.errors import EnvironmentLacks, ExitCode, InputError
from bench.judgement.claim import ClaimWord
from bench.scenario.metric import Metric
from bench.scenario.scenario import Scenario

if TYPE_CHECKING:
    from bench.judgement.across_runs.demands import Demand
    from bench.results.run import Run

app = typer.Typer()

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
FORMS = {".html": "html", ".md": "md"}


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

    pages = [(path, _form_of(path)) for path in output or []]
    runs = load(before), load(after)
    found = compare_runs(runs[0].record, runs[1].record, across or ())
    found = found.model_copy(update={"faults": tuple(_faults_of(*runs))})
    for path, form in pages:
        write_output(path, render_page(found, form).encode())
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        for caution in warn(found):
            typer.echo(caution)
        typer.echo("\n".join(describe(found)))
        for table in summarise(found):
            typer.echo("\n" + lay_out(table))
        typer.echo(
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

    if output is not None and _form_of(output) != "html":
        raise InputError("Reading the options", f"--output is {output}", "Give a file .html.")
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
        typer.echo(lay_out(table) + "\n")
    typer.echo("\n".join(describe_turns(lines)) or "No change point was found.")


def _load_or_say(folder: Path) -> "Run | None":
    """The run in `folder`, judged; one that cannot be, or that was changed, is named, and left out."""
    from bench.results.run import load

    try:
        run = load(folder)
        if not run.faults and run.verdict:
            return run
        typer.echo(f"left out: {folder} is not as it was measured: {'; '.join(run.faults)}", err=True)
    except InputError as fault:
        typer.echo(f"left out: {fault}", err=True)
    except (ArithmeticError, LookupError, TypeError, ValueError) as fault:
        typer.echo(f"left out: {folder} holds what cannot be judged: {fault!r}", err=True)
    return None


def _faults_of(*runs: "Run") -> "Iterator[str]":
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

    pages = [(path, _form_of(path)) for path in output or []]
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
        typer.echo("\n".join((*_faults_of(*runs), *describe(runs, cells))))
        typer.echo("\n" + lay_out(tabulate_cells(cells)))
        typer.echo("\nWords hold for all cells together, by Holm's correction.")
    if all(cell.region is Region.INVALID for cell in cells):
        raise typer.Exit(ExitCode.INVALID_MEASUREMENT)


@app.command(
    epilog="Example: bench check results/quick/20261124T202906Z-d62b --claim article --max-cost 1.25"
)
def check(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    claim: Annotated[
        list[str] | None,
        typer.Option(metavar="ID[=WORD]", help="Ask that this claim is SUPPORTED, or has that word."),
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(metavar="RATIO", min=0, help="Ask that costs are wholly below this: 1.05.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Ask that no cost grew by its margin since that run.")
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="With --max-cost, --baseline: this arm only; may be repeated.")
    ] = None,
    metric: Annotated[
        list[Metric] | None, typer.Option(help="With those: this metric, not the p50; may be repeated.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.")] = None,
    as_json: JsonOption = False,
) -> None:
    """A gate for CI: exit code 10 where a demand is not met, 4 where the run cannot be judged."""
    from bench.judgement.across_runs.demands import demand_claim, demand_cost, demand_integrity, exit_code
    from bench.report.pages.check import describe_demand, render_junit
    from bench.results.files import write_output
    from bench.results.run import load

    found = load(run)
    doing = f"Checking the run {run}"
    scope = _choose_arms(found, arm or []), _choose_metrics(found, metric or [])
    claims = _read_claims(found.record.scenario, claim or [])
    if not claims and max_cost is None and baseline is None:
        claims = {known.id: ClaimWord.SUPPORTED for known in found.record.scenario.claims}
    demands = [demand_integrity(found.faults)] if found.faults else []
    demands += [
        demand for name, word in claims.items() for demand in demand_claim(found.verdict.claims, name, word)
    ]
    if max_cost is not None:
        demands += demand_cost(found.verdict.comparisons, max_cost, *scope)
    if baseline is not None:
        since = load(baseline)
        demands += [demand_integrity(since.faults, f"baseline {since.record.id}")] if since.faults else []
        demands += _since(found, since, arm or [], scope)
    if not demands:
        raise InputError(
            doing,
            "there is nothing to check",
            "Say what to ask: --claim ID, --max-cost 1.05, --baseline RUN.",
        )
    if junit is not None:
        seconds = sum(slot.seconds for slot in found.record.slots)
        text = render_junit(found.record.id, found.record.scenario.name, seconds, demands)
        write_output(junit, text.encode())
    code = exit_code(demands)
    if as_json:
        shown = [demand.model_dump(mode="json") for demand in demands]
        print_json({"run": found.record.id, "exit_code": int(code), "demands": shown})
    else:
        for demand in demands:
            typer.echo(describe_demand(demand))
    if code:
        raise typer.Exit(code)


def _since(
    run: "Run", baseline: "Run", asked: list[str], scope: tuple[list[str], list[Metric]]
) -> Iterator["Demand"]:
    """The demands that no cost in `scope` grew; what `baseline` lacks is said, or refused if asked for."""
    from bench.judgement.across_runs.demands import demand_no_regression
    from bench.judgement.across_runs.two_runs import compare_runs

    found = compare_runs(baseline.record, run.record)
    for sentence in found.comparability.left_out:
        typer.echo(f"not compared with {baseline.path}: {sentence}", err=True)
    for name in asked:
        if name not in found.comparability.arms:
            raise InputError(
                f"Checking {name} against the run {baseline.path}",
                "it was not measured there",
                "Give a run that has this arm.",
            )
    yield from demand_no_regression(found, *scope)


def _choose_arms(run: "Run", asked: list[str]) -> list[str]:
    scenario, unavailable = run.record.scenario, run.record.unavailable
    known = [arm.name for arm in scenario.compared if arm.name != scenario.baseline]
    for name in asked:
        if name not in known:
            raise InputError(
                "Reading the options", f"--arm is {name}", f"Say one of these: {', '.join(known)}."
            )
        if name in unavailable:
            raise EnvironmentLacks(
                f"Checking the arm {name}",
                f"it was NOT AVAILABLE in this run: {unavailable[name]}",
                "Check another arm, or run on a machine that has it.",
            )
    return asked or known


def _choose_metrics(run: "Run", asked: list[Metric]) -> list[Metric]:
    known = run.record.scenario.metrics
    for metric in asked:
        if metric not in known:
            raise InputError(
                "Reading the options", f"--metric is {metric}", f"This run compares {', '.join(known)}."
            )
    return asked or [Metric.P50_LATENCY_US]


def _read_claims(scenario: Scenario, asked: list[str]) -> dict[str, ClaimWord]:
    """Claim -> the word that it should have, of `article` or `article=NO PRACTICAL DIFFERENCE`."""
    known = {claim.id for claim in scenario.claims}
    wanted = {}
    for text in asked:
        name, _, word = text.partition("=")
        if name not in known or (word and word not in list(ClaimWord)):
            raise InputError(
                "Reading the options",
                f"--claim is {text}",
                f"The scenario's claims are: {', '.join(sorted(known)) or 'none'};"
                f" the words: {', '.join(ClaimWord)}.",
            )
        wanted[name] = ClaimWord(word) if word else ClaimWord.SUPPORTED
    return wanted


def append_job_summary(run: "Run", output: Path | None) -> None:
    """Append the run's summary to `output`, or to the file that GitHub names for the step.

    Raises InputError where neither is given, EnvironmentLacks where it cannot be written.
    """
    from bench.report.run.job_summary import LIMIT_BYTES, render_job_summary

    named = os.environ.get(SUMMARY_VARIABLE)
    if output is None and not named:
        raise InputError(
            "Writing the summary of a job",
            f"{SUMMARY_VARIABLE} is not set",
            "Run it in a step of a GitHub workflow, or give --output FILE.",
        )
    path = output or Path(named or "")
    try:
        with path.open("ab") as stream:
            # What the step wrote before counts for the limit too.
            stream.write(render_job_summary(run, LIMIT_BYTES - stream.tell()).encode())
    except OSError as fault:
        raise EnvironmentLacks(
            f"Writing the summary {path}", str(fault), "Give another file with --output."
        ) from fault


def _form_of(path: Path) -> str:
    if path.suffix not in FORMS:
        raise InputError("Reading the options", f"--output is {path}", "Give a file .html or .md.")
    return FORMS[path.suffix]
