"""`python -m bench.rates`: count false verdicts, and write docs/false-verdicts.md, its numbers and figure."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path

from bench.core.rates import (
    Rate,
    count_experiments,
    count_families,
    count_planned,
    count_relabelled,
)
from bench.core.simulation import NOISES, SETTINGS, Setting
from bench.report.false_verdicts import read_csv, render_figure, write_csv, write_page
from bench.results import Run, load

FAMILIES = tuple(
    Setting(noise=noise, blocks=blocks, slots_per_arm=2)
    for noise in NOISES
    for blocks in {
        "normal, 1.5 %": (12,),
        "outliers: 2 % of slots, +50 %": (12,),
        "as here: all but sessions": (6, 12),
    }.get(noise.name, ())
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Count what is asked for; what is not is taken from the numbers that are there."""
    options = _parse(arguments)
    csv_file = options.docs / "false-verdicts.csv"
    kept = read_csv(csv_file.read_text()) if csv_file.exists() else []
    rates = list(_simulate(options.experiments, options.processes)) if options.experiments else []
    rates = rates or [rate for rate in kept if rate.part != "recorded"]
    recorded = [rate for run in options.runs for rate in relabel_run(load(run), options.relabellings)]
    rates += recorded or [rate for rate in kept if rate.part == "recorded"]
    (options.docs / "images").mkdir(parents=True, exist_ok=True)
    csv_file.write_text(write_csv(rates))
    (options.docs / "false-verdicts.md").write_text(write_page(rates))
    (options.docs / "images" / "false-verdicts.svg").write_text(render_figure(rates))
    off = [rate for rate in rates if rate.is_off]
    for rate in off:
        print(f"off: {rate.setting}, {rate.blocks} x {rate.slots_per_arm}, {rate.measure}: {rate.share:.1%}")
    print(f"{options.docs / 'false-verdicts.md'}: {len(rates)} rates, {len(off)} off target")


def relabel_run(run: Run, relabellings: int) -> Iterator[Rate]:
    """The rates of a recorded run's A/A experiments: as it planned them, and relabelled."""
    record = run.record
    name, schedule = f"{record.scenario.name} {record.id}", record.scenario.schedule
    slots = [slot.metrics() for slot in record.slots]
    yield from count_planned(name, run.verdict, schedule.blocks, schedule.slots_per_arm)
    compared = {arm.name for arm in record.scenario.compared}
    yield from count_relabelled(
        name, record.scenario, [slot for slot in slots if slot.arm in compared], relabellings
    )


def _simulate(experiments: int, processes: int) -> Iterator[Rate]:
    """In the same order and with the same counts whatever the number of processes."""
    work: list[Callable[[], list[Rate]]] = [
        *(partial(count_experiments, setting, experiments) for setting in SETTINGS),
        *(partial(count_families, setting, experiments) for setting in FAMILIES),
    ]
    with Pool(processes) as pool:
        yield from _report_progress(pool.imap(_call, work), len(work))


def _call(work: Callable[[], list[Rate]]) -> list[Rate]:
    return work()


def _report_progress(results: Iterable[list[Rate]], count: int) -> Iterator[Rate]:
    for number, rates in enumerate(results, 1):
        first = rates[0]
        doing = f"{number} of {count}: {first.part}, {first.setting}, {first.blocks} x {first.slots_per_arm}"
        print(doing, file=sys.stderr, flush=True)
        yield from rates


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.rates", description=__doc__)
    parser.add_argument(
        "--experiments", type=int, default=1000, help="simulated, a rate; 0 keeps the numbers there are"
    )
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="folders of runs to relabel")
    parser.add_argument("--relabellings", type=int, default=200, help="of each arm and condition of a run")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="the folder to write to")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
