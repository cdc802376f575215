"""Slots and turns beside one another: the same question by either design, run in turn.

`make benchmark-interleaving` (root) runs `quick` as it is and by slots, three times each, and prints of every
run the ratio, the difference and the half-width of the 95 % interval of each comparison, A/A pairs
included, and of each change between conditions; and the half-width that a minute of measuring would have
given. Another scenario whose arms take turns is run beside itself by slots:

    python benchmarks/interleaving.py interleaving --tries 1
"""

import argparse
import secrets
from collections.abc import Iterator
from math import log, sqrt
from pathlib import Path

from bench.cli.publishing import publish_run
from bench.cli.scenario_files import read_asked
from bench.judgement.change import Change
from bench.judgement.comparison import Compared, Comparison
from bench.judgement.splits import SplitKind
from bench.measure.progress import Watch
from bench.measure.run import Wanted, begin_run
from bench.records.run import SlotRecord
from bench.results.run import Run
from bench.scenario.metric import Metric
from bench.scenario.scenario import Scenario

SHOWN = (Metric.P10_LATENCY_US, Metric.P50_LATENCY_US, Metric.P99_LATENCY_US)
BY_SLOTS_S = 0.75
"""Window of a slot, of a scenario that has none of its own."""
SLOTS_BLOCKS = 1.2
"""Blocks by slots for a set: about as much time."""


class Silence:
    """Shows only where a run is."""

    def stage(self, what: str) -> None:
        """Say nothing of parts."""

    def slot(self, record: SlotRecord, done: int, planned: int, seconds_left: float) -> None:
        """Overwrite the line."""
        print(f"\r{done}/{planned} {record.slot.arm:<20} {seconds_left:4.0f} s left", end="", flush=True)


def main() -> None:
    """Run the designs in turn, and print what each says."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("scenarios", nargs="*", default=["quick"])
    arguments.add_argument("--tries", type=int, default=3)
    arguments.add_argument("--results", type=Path, default=Path("results"))
    given = arguments.parse_args()
    designs = [scenario for _, scenario in read_asked(given.scenarios).scenarios]
    if len(designs) == 1 and designs[0].schedule.interleave:
        designs.append(by_slots(designs[0]))
    head = f"{'design':<28} {'comparison':<44} {'metric':<16} {'ratio':>7} {'difference':>11} {'95 %':>8}"
    print(f"{head} {'in 60 s':>8}  sets or blocks")
    for number in range(given.tries):
        # Either may be the first, so that neither has always the machine as it is later.
        for scenario in designs if number % 2 == 0 else reversed(designs):
            wanted = Wanted(scenario, secrets.randbits(32))
            run = begin_run(wanted, given.results, Watch(Silence(), publish_run))
            print("\r" + " " * 60 + "\r", end="")
            for line in describe(run):
                print(line, flush=True)


def by_slots(scenario: Scenario) -> Scenario:
    """The same arms, load and conditions, each slot measured by itself."""
    return scenario.model_copy(
        update={
            "name": f"{scenario.name}-by-slots",
            "schedule": scenario.schedule.model_copy(
                update={"interleave": None, "blocks": round(SLOTS_BLOCKS * scenario.schedule.blocks)}
            ),
            "load": scenario.load.model_copy(update={"measure_s": BY_SLOTS_S, "warm_up_s": 0.15}),
        }
    )


def describe(run: Run) -> Iterator[str]:
    """A line a comparison and change."""
    minutes = sum(record.seconds for record in run.record.slots) / 60
    said: list[Comparison | Change] = [*run.verdict.comparisons, *run.verdict.changes]
    for found in said:
        if found.metric not in SHOWN or found.ratio is None or found.ci95 is None:
            continue
        half = 100 * (log(found.ci95[1]) - log(found.ci95[0])) / 2
        yield (
            f"{run.record.scenario.name:<28} {name(found):<44} {found.metric.label:<16} {found.ratio:>7.4f}"
            f" {found.difference or 0:>+8.2f} us {half:>6.2f} % {half * sqrt(minutes):>6.2f} %"
            f"  {found.blocks}"
        )
    splits = run.splits
    for split in splits[splits["kind"] == SplitKind.PREDECESSOR].itertuples():
        yield (
            f"{run.record.scenario.name:<28} {f'{split.arm} after {split.after}':<44} {'carry-over, p50':<16}"
            f" {split.ratio:>7.4f} [{split.ci95_low:.4f}, {split.ci95_high:.4f}]  {split.blocks}"
        )


def name(found: Comparison | Change) -> str:
    """Of what it is, in a few words."""
    if isinstance(found, Comparison):
        of = "A/A" if found.kind is Compared.ITSELF else f"against {found.baseline}"
        return f"{found.candidate} {of} {found.condition}".rstrip()
    level = found.factor.split(".")[1]
    held = " ".join(found.held)
    return f"{found.candidate} {found.kind} {level} {found.reference} -> {found.level} {held}".rstrip()


if __name__ == "__main__":
    main()
