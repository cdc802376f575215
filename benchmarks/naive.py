"""How often the usual ways of comparing are wrong: on two containers that are the same.

`make benchmark-naive` (root). Each try measures all of A, then all of B, both Apache in host mode, as one
does by hand: with stock Locust (FastHttpUser, one user), with wrk (one connection), and with bench's own
generator whose requests are then taken for independent samples. A has no advantage over B, so every
word for one of them is wrong.
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from math import log

import numpy as np
from scipy import stats

from bench.generator.asks import page_asks
from bench.generator.wrk import measure_with_wrk
from bench.lab.hosts import requirements
from bench.lab.hosts.journal import undo_dead_runs
from bench.lab.hosts.lock import machine_lock
from bench.measure.lab_testbed import prepare_bed
from bench.measure.testbed import Bed
from bench.results import files
from bench.scenario.conditions import Condition, conditions
from bench.scenario.load import Load
from bench.scenario.model import Arm
from bench.scenario.scenario import Scenario

THRESHOLD = 0.01
"""Difference of two rates that is taken for one: what `bench run --precision 1%` resolves."""


@dataclass(frozen=True)
class Measured:
    """One container, as each of the three ways saw it."""

    locust_rps: float
    locust_p50_ms: int
    """As stock Locust's table prints it: whole milliseconds."""
    wrk_rps: float
    latency_us: np.ndarray


@dataclass(frozen=True)
class Way:
    """One way of comparing."""

    name: str
    is_different: Callable[[Measured, Measured], bool]


WAYS = (
    Way("stock Locust, requests/s, 1 % apart", lambda a, b: apart(a.locust_rps, b.locust_rps)),
    Way("stock Locust, p50 in whole ms", lambda a, b: a.locust_p50_ms != b.locust_p50_ms),
    Way("wrk, requests/s, 1 % apart", lambda a, b: apart(a.wrk_rps, b.wrk_rps)),
    Way("Welch's t-test over requests, p < 0.05", lambda a, b: differ(a.latency_us, b.latency_us)),
)


def apart(one: float, other: float) -> bool:
    """Whether two rates differ by more than the threshold."""
    return abs(log(one / other)) > THRESHOLD


def differ(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether requests, taken for independent samples, have different means."""
    return bool(stats.ttest_ind(one, other, equal_var=False).pvalue < 0.05)


def main() -> None:
    """Make the tries, print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tries", type=int, default=20)
    arguments.add_argument("--seconds", type=int, default=3, help="of each measurement")
    given = arguments.parse_args()
    requirements.require_all()
    scenario = Scenario(
        name="naive",
        question="What do two arms that are the same show as a difference?",
        baseline="a",
        arms=(Arm(name="a", mode="host"), Arm(name="b", mode="host", port=8080)),
    )
    run_id = files.new_run_id(datetime.now(UTC))
    with machine_lock("the naive comparison"):
        undo_dead_runs()
        with prepare_bed(scenario, run_id, print) as bed:
            bed.arrange(scenario.lab)
            tries = [compare(bed, given.seconds, number) for number in range(given.tries)]
    print(f"\n{'way':<40} wrong   A/B as it saw them: least, median, most")
    ratios: dict[str, list[float]] = {
        WAYS[0].name: [a.locust_rps / b.locust_rps for a, b in tries],
        WAYS[2].name: [a.wrk_rps / b.wrk_rps for a, b in tries],
        WAYS[3].name: [float(a.latency_us.mean() / b.latency_us.mean()) for a, b in tries],
    }
    for way in WAYS:
        wrong = sum(way.is_different(a, b) for a, b in tries)
        seen = ratios.get(way.name)
        spread = f"{min(seen):.3f}  {np.median(seen):.3f}  {max(seen):.3f}" if seen else "0 or 1 ms"
        print(f"{way.name:<40} {wrong:>2}/{len(tries)}   {spread}")


def compare(bed: Bed, seconds: int, number: int) -> tuple[Measured, Measured]:
    """All of A, then all of B."""
    [condition] = conditions(bed.scenario)
    a, b = (measure(bed, arm, condition, seconds) for arm in bed.scenario.arms)
    rates = f"Locust {a.locust_rps:,.0f} {b.locust_rps:,.0f}, wrk {a.wrk_rps:,.0f} {b.wrk_rps:,.0f}"
    print(f"try {number + 1}: {rates}", flush=True)
    return a, b


def measure(bed: Bed, arm: Arm, condition: Condition, seconds: int) -> Measured:
    """One container, measured in all three ways, one after the other."""
    with ExitStack() as stack:
        stack.enter_context(bed.hold_idle_states(condition))
        server = stack.enter_context(bed.serve(arm, condition, f"bench-naive-{arm.name}"))
        path = f"/{condition.load.page_bytes}"
        bed.generator.first_200_ns(server.endpoint, path)
        asked = Load(warm_up_s=0.2, measure_s=seconds)
        asks = page_asks(asked)
        stock = bed.generator.load(
            asked.model_copy(update={"engine": "fasthttp"}), server.endpoint, arm.name, asks
        )
        raw = bed.generator.load(asked, server.endpoint, arm.name, asks)
        rate_rps = measure_with_wrk(bed.lab.client, server.endpoint, path, 1, seconds)
    of_stock, of_raw = (found.records[found.records["outcome"] == 0] for found in (stock, raw))
    window_s = (stock.window_end_ns - stock.window_start_ns) / 1e9
    inside = (of_stock["done_ns"] >= stock.window_start_ns) & (of_stock["done_ns"] < stock.window_end_ns)
    return Measured(
        locust_rps=float(inside.sum()) / window_s,
        locust_p50_ms=round(float(np.median(of_stock["done_ns"] - of_stock["sent_ns"])) / 1e6),
        wrk_rps=rate_rps,
        latency_us=(of_raw["done_ns"] - of_raw["sent_ns"]) / 1e3,
    )


if __name__ == "__main__":
    main()
