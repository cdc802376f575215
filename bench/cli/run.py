"""`bench run`, `resume` and `plan`: measure a scenario or a suite, go on with one, say what one would do."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import (
    HostsOption,
    JsonOption,
    ResultsOption,
    RunArgument,
    ScenariosArgument,
    SeedOption,
    WebUiOption,
    parse_duration,
    parse_percent,
    read_hosts,
)
from bench.cli.publishing import publish_run
from bench.cli.scenario_files import folder_of, read_asked
from bench.cli.terminal import err, out, print_json, print_prose, print_whole
from bench.errors import ExitCode, InputError
from bench.results import files

if TYPE_CHECKING:
    from bench.measure.preview import Preview
    from bench.results.run import Run

app = typer.Typer()


@app.command(epilog="Example: bench run quick --budget 90s; a suite: bench run scenarios/*.toml")
def run(
    scenario: ScenariosArgument,
    results: ResultsOption = Path("results"),
    seed: SeedOption = None,
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
    decide: Annotated[
        bool,
        typer.Option(
            "--decide",
            help="Measure until it is told whether every p50 difference is beyond its margin or inside it.",
        ),
    ] = False,
    hosts: HostsOption = None,
    web_ui: WebUiOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a scenario and judge its claim; the report lies in the run's folder."""
    from bench.cli.progress import show_progress
    from bench.measure.progress import Watch
    from bench.measure.run import Wanted, begin_run

    asked, machines = read_asked(scenario), read_hosts(hosts)
    budget_s = parse_duration(budget) if budget else None
    precise_to = parse_percent(precision) if precision else None
    if decide and (precise_to or asked.is_suite):
        advice = "Give --decide for one scenario, or --precision."
        raise InputError("Reading the options", "--decide goes with neither --precision nor a suite", advice)
    if asked.is_suite:
        from bench.cli.suite import run_suite

        run_suite(asked, seed, budget_s, precise_to, results, web_ui, machines, as_json)
        return
    [(source, single)] = asked.scenarios
    drawn = secrets.randbelow(2**31) if seed is None else seed
    wanted = Wanted(single, drawn, budget_s, precise_to, decide, machines, folder_of(source))
    with show_progress(err) as progress:
        found = begin_run(wanted, results, Watch(progress, publish_run, web_ui))
    print_verdict(found, as_json)


@app.command(epilog="Example: bench resume results/quick/20261124T202906Z-d62b")
def resume(
    run: RunArgument, hosts: HostsOption = None, web_ui: WebUiOption = None, as_json: JsonOption = False
) -> None:
    """Go on with a run that was interrupted, killed, or stopped by its budget; or with a suite."""
    if files.is_suite(run):
        from bench.cli.suite import go_on

        go_on(run, web_ui, read_hosts(hosts), as_json)
        return
    if files.is_capacity(run):
        from bench.cli.capacity import go_on as go_on_with_capacity

        go_on_with_capacity(run, as_json)
        return
    from bench.cli.progress import show_progress
    from bench.measure.progress import Watch
    from bench.measure.run import resume_run

    with show_progress(err) as progress:
        found = resume_run(run, Watch(progress, publish_run, web_ui), read_hosts(hosts))
    print_verdict(found, as_json)


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
    hosts: HostsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a run would do: arms, slots, time, and every change to this machine or to the hosts."""
    from bench.measure.preview import preview

    asked, machines = read_asked(scenario), read_hosts(hosts)
    precise_to = parse_percent(precision) if precision else None
    budget_s = parse_duration(budget) if budget else None
    if asked.is_suite:
        from bench.cli.suite import print_plan

        print_plan(asked, precise_to, budget_s, results, as_json)
        return
    [(_, single)] = asked.scenarios
    if machines:
        from bench.measure.real_hosts import find_unavailable, planned_changes

        there = partial(planned_changes, machines)
        found = preview(single, seed, precise_to, results, budget_s, there)
        found = replace(found, unavailable=find_unavailable(single))
    else:
        found = preview(single, seed, precise_to, results, budget_s)
    if as_json:
        print_json(found.as_dict())
    else:
        _print_plan(found)


def _print_plan(found: "Preview") -> None:
    from bench.cli.progress import clock

    out.print(f"{found.scenario}: {found.question}\n")
    out.print(f"  served: {found.served}")
    for name, what in found.arms.items():
        out.print(f"  arm {name}: {what}")
    for label in found.conditions:
        out.print(f"  condition {label}")
    out.print(
        f"\n{found.blocks} blocks in {found.sessions} session(s), {found.slots} slots,"
        f" about {clock(found.expected_s)} (m:ss) in all"
    )
    out.print(f"with --seed {found.seed} the plan's SHA-256 is {found.plan_sha256}", soft_wrap=True)
    if found.turns:
        out.print(found.turns)
    if found.budget_blocks is not None:
        out.print(f"the budget is enough for about {found.budget_blocks} of the blocks")
    if found.forecast:
        out.print(found.forecast)
    if found.first_block:
        out.print("first block: " + ", ".join(found.first_block))
    for name, reason in found.unavailable.items():
        out.print(f"NOT AVAILABLE on real hosts: {name} ({reason})", soft_wrap=True)
    out.print("\nChanges, in order:")
    for change in found.changes:
        out.print(f"  - {change}")


def print_verdict(found: "Run", as_json: bool) -> None:
    """What came of a run; exits with the contract's code where that is not 0."""
    from bench.measure.run import exit_code_of
    from bench.report.run.answer import answer_sentence
    from bench.report.run.meaning import headline_meaning
    from bench.report.run.summary import list_claims, list_gaps, summarise
    from bench.results.verification import attest

    if as_json:
        print_json({"run": str(found.path), "verdict": attest(found).model_dump(mode="json")})
    else:
        print_prose(answer_sentence(found))
        for line in headline_meaning(found):
            print_prose(line)
        for table in summarise(found):
            out.print()
            print_whole(table.columns, table.rows, table.caption)
        for lines in (list_gaps(found), list_claims(found), [f"report: {found.path / 'report.html'}"]):
            _print_lines(lines)
    if (code := exit_code_of(found)) is not ExitCode.DONE:
        raise typer.Exit(code)


def _print_lines(lines: Sequence[str]) -> None:
    out.print("".join(f"\n{line}" for line in lines), end="\n" if lines else "")
