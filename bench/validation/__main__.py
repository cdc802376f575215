"""`python -m bench.validation`: count false verdicts, and write docs/false-verdicts.md with its figure."""

import argparse
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from multiprocessing import Pool
from pathlib import Path

from bench.results.run import Run, load
from bench.validation.error_rates import (
    Rate,
    count_experiments,
    count_families,
    count_planned,
    count_relabelled,
)
from bench.validation.page import (
    read_csv,
    read_rules_csv,
    render_figure,
    write_csv,
    write_page,
    write_rules_csv,
)
from bench.validation.rules import RuleRate, count_rule, list_rules
from bench.validation.simulation import NOISES, SETTINGS, Setting

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
    """Count what is asked for, and write after every setting; what is not asked for stays as it is."""
    options = _parse(arguments)
    csv_file = options.docs / "false-verdicts.csv"
    rules_file = options.docs / "false-verdict-rules.csv"
    if options.rules:
        rules_file.write_text(write_rules_csv(list(_count_rules(options.rules, options.processes))))
    rules = read_rules_csv(rules_file.read_text()) if rules_file.exists() else []
    rates = {_key(rate): rate for rate in read_csv(csv_file.read_text())} if csv_file.exists() else {}
    if options.experiments and not options.resume:
        rates = {key: rate for key, rate in rates.items() if rate.part == "recorded"}
    if options.runs:
        rates = {key: rate for key, rate in rates.items() if rate.part != "recorded"}
    counted = chain(
        _simulate(options.experiments, options.processes, set(rates)) if options.experiments else (),
        (list(relabel_run(load(run), options.relabellings)) for run in options.runs),
    )
    for new in counted:
        rates |= {_key(rate): rate for rate in new}
        csv_file.write_text(write_csv(_sort(rates.values())))
    _write(options.docs, _sort(rates.values()), rules)


def _key(rate: Rate) -> tuple[str, str, int, int, str]:
    return rate.part, rate.setting, rate.blocks, rate.slots_per_arm, rate.measure


def _sort(rates: Iterable[Rate]) -> list[Rate]:
    """In the order of the settings, whatever the order in which they were counted."""
    parts, names = ["simulated", "family", "recorded"], [noise.name for noise in NOISES]

    def place(rate: Rate) -> tuple[int, int]:
        return parts.index(rate.part), names.index(rate.setting) if rate.setting in names else 0

    return sorted(rates, key=lambda rate: (*place(rate), rate.setting, rate.slots_per_arm, rate.blocks))


def _write(docs: Path, rates: Sequence[Rate], rules: Sequence[RuleRate]) -> None:
    (docs / "images").mkdir(parents=True, exist_ok=True)
    missing = len(_plan({_key(rate) for rate in rates}))
    (docs / "false-verdicts.md").write_text(write_page(rates, missing, rules))
    (docs / "images" / "false-verdicts.svg").write_text(render_figure(rates))
    off = [rate for rate in rates if rate.is_off]
    for rate in off:
        print(f"off: {rate.setting}, {rate.blocks} x {rate.slots_per_arm}, {rate.measure}: {rate.share:.1%}")
    print(f"{docs / 'false-verdicts.md'}: {len(rates)} rates, {len(off)} off target")


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


def _plan(known: Collection[tuple[str, str, int, int, str]]) -> list[tuple[str, Setting]]:
    """The settings that are to be counted and are not `known`, small ones first."""
    done = {key[:4] for key in known}
    wanted = [("simulated", setting) for setting in SETTINGS] + [("family", setting) for setting in FAMILIES]
    return [
        (part, setting)
        for part, setting in sorted(wanted, key=lambda item: item[1].blocks * item[1].slots_per_arm)
        if (part, setting.noise.name, setting.blocks, setting.slots_per_arm) not in done
    ]


def _simulate(
    experiments: int, processes: int, known: Collection[tuple[str, str, int, int, str]]
) -> Iterator[list[Rate]]:
    """The rates of every setting that is not `known`, small ones first; the same whoever counts them."""
    counts = {"simulated": count_experiments, "family": count_families}
    work: list[Callable[[], list[Rate]]] = [
        partial(counts[part], setting, experiments) for part, setting in _plan(known)
    ]
    with Pool(processes) as pool:
        for number, rates in enumerate(pool.imap(_call, work), 1):
            about = rates[0]
            doing = f"{about.part}, {about.setting}, {about.blocks} x {about.slots_per_arm}"
            print(f"{number} of {len(work)}: {doing}", file=sys.stderr, flush=True)
            yield rates


def _count_rules(experiments: int, processes: int) -> Iterator[RuleRate]:
    """Every case of every rule."""
    with Pool(processes) as pool:
        work = partial(count_rule, experiments=experiments)
        for rate in pool.imap(work, range(len(list(list_rules())))):
            print(
                f"{rate.name}, {rate.case}: {rate.now_hits} of {rate.now_trials}", file=sys.stderr, flush=True
            )
            yield rate


def _call(work: Callable[[], list[Rate]]) -> list[Rate]:
    return work()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.validation", description=__doc__)
    parser.add_argument(
        "--experiments", type=int, default=1000, help="simulated, a rate; 0 keeps the numbers there are"
    )
    parser.add_argument("--rules", type=int, default=0, help="of each rule; 0 keeps the numbers there are")
    parser.add_argument("--resume", action="store_true", help="keep settings that are counted already")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="folders of runs to relabel")
    parser.add_argument("--relabellings", type=int, default=200, help="of each arm and condition of a run")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="the folder to write to")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
