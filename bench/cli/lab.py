"""Commands about the machine and its lab: `clean`, `doctor`, `calibrate`, `walkthrough`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import HostsOption, JsonOption, ResultsOption, read_engines, read_hosts
from bench.cli.terminal import err, out, print_json, print_table
from bench.errors import ExitCode

if TYPE_CHECKING:
    from bench.measure.doctor import Availability, Examination
    from bench.records.calibration import Calibration
    from bench.scenario.hosts import HostsFile

app = typer.Typer()


@app.command(epilog="Example: bench clean")
def clean(hosts: HostsOption = None) -> None:
    """Remove what dead runs left on this machine, from their journals, and nothing else; with --hosts on
    those machines too, by its label, and the images that runs keep there.
    """
    from bench.lab.hosts.journal import undo_dead_runs
    from bench.lab.hosts.lock import machine_lock

    machines = read_hosts(hosts)
    with machine_lock("bench clean"):
        removed = undo_dead_runs()
        if machines:
            from bench.measure.real_hosts import clean_hosts

            removed += clean_hosts(machines, _tell)
    for line in removed:
        out.print(f"removed {line}")
    out.print(f"{len(removed)} things removed" if removed else "nothing was left behind")


@app.command(epilog="Example: bench doctor --json")
def doctor(hosts: HostsOption = None, as_json: JsonOption = False) -> None:
    """Say what this machine, or those of --hosts, can measure: what a run needs, and each network mode, by
    trying it.
    """
    from bench.measure.doctor import examine

    if machines := read_hosts(hosts):
        _examine_hosts(machines, as_json)
        return
    found = examine(_tell)
    if as_json:
        print_json(asdict(found))
    else:
        _print_examination(found)
    if not found.can_run:
        raise typer.Exit(ExitCode.ENVIRONMENT)


def _examine_hosts(hosts: "HostsFile", as_json: bool) -> None:
    from bench.measure.real_hosts import examine_hosts

    found = examine_hosts(hosts, _tell)
    if as_json:
        print_json({**asdict(found), "hosts": {n: each.model_dump() for n, each in found.hosts.items()}})
    else:
        if found.hosts:
            from bench.report.run.hosts import describe_vantage, tabulate_hosts

            table = tabulate_hosts(found.hosts)
            print_table(table.columns, table.rows)
            out.print(f"\n{describe_vantage(found.vantage, found.hosts)}", soft_wrap=True)
        _print_available("modes", found.modes)
    if found.fault:
        err.print(found.fault, soft_wrap=True)
        raise typer.Exit(ExitCode.ENVIRONMENT)


def _print_available(title: str, things: "Sequence[Availability]") -> None:
    out.print(f"\n{title}", style="bold")
    for thing in things:
        state = "available" if thing.available else f"NOT AVAILABLE: {thing.reason}"
        out.print(f"{thing.name:16} {state}{f' ({thing.what})' if thing.what else ''}")


def _print_examination(found: "Examination") -> None:
    for need in found.requirements:
        remedy = "" if need.met else f", for {need.purpose}  ->  {need.remedy}"
        state = "ok" if need.met else "MISSING" if need.always else "absent"
        out.print(f"{state:8}{need.name}: {need.seen}{remedy}")
    _print_available("modes", found.modes)
    _print_available("engines besides the machine's own", found.engines)


@app.command(epilog="Example: bench calibrate --seconds 1 --rounds 3")
def calibrate(
    seconds: Annotated[int, typer.Option(min=1, max=60, help="Of each load against the null server.")] = 2,
    rounds: Annotated[int, typer.Option(min=3, max=50, help="Of every engine, in random order.")] = 5,
    blocks: Annotated[int, typer.Option(min=6, max=1000, help="Of the two arms that are the same.")] = 12,
    as_json: JsonOption = False,
) -> None:
    """Find what this machine can tell: ceilings, noise floor, smallest effect. Later reports quote it."""
    from bench.measure.calibrate import calibrate as calibrate_machine

    found = calibrate_machine(seconds, rounds, blocks, _tell)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print_calibration(found)


def _print_calibration(found: "Calibration") -> None:
    from bench.report.run.instrument import describe_instrument, list_ceilings, list_floors, list_lateness

    titles = ("N", "engine", "req/s", "raw / this [95 %]", "recorded", "Locust's count")
    print_table(titles, list_ceilings(found))
    out.print(f"N connections; medians; null server and generator on a core each; {found.scope}\n")
    print_table(("rate", "engine", "late p50 us", "p99 us", "answered/s"), list_lateness(found))
    out.print(f"Open loops; the raw engine's loop is: {found.loop}\n")
    print_table(("metric", "A/A ratio [95 %]", "1 min", "5 min", "30 min"), list_floors(found))
    out.print("Minutes: the smallest effect that a run of two arms finds in 80 of 100 tries.\n")
    for line in describe_instrument(found):
        out.print(line)


@app.command(epilog="Example: bench walkthrough --engine machine --engine debian:trixie")
def walkthrough(
    engine: Annotated[
        list[str] | None,
        typer.Option(
            metavar="machine|debian:SUITE",
            help="Engine to try it under; give it again for several to compare. [default: machine]",
        ),
    ] = None,
    results: ResultsOption = Path("results"),
    as_json: JsonOption = False,
) -> None:
    """Try every statement of the article in its lab: confirmed or refuted, with the evidence."""
    from bench.records import findings
    from bench.scenario.engine_source import OWN_ENGINE
    from bench.walkthrough import begin_walkthrough

    folder, record = begin_walkthrough(read_engines(engine) if engine else [OWN_ENGINE], results, _tell)
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
        out.print(f"engine {source}: cannot be had: {reason}")
    out.print("\nThe article's claim about performance is judged by `bench run article`.")
    out.print(f"evidence: {folder / 'walkthrough.md'}")


def _tell(what: str) -> None:
    err.print(what, soft_wrap=True)
