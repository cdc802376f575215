"""One, two and four workers against a server that rests: what they share, and how evenly they do.

`make benchmark-workers` (root). The server rests 10 ms before each answer, so that neither its core nor the
client's is the limit: a closed loop's rate then follows from its connections, and arrivals of an open one
from their schedule, however many processes share them. Each line is the median of a few windows in random
order.
"""

import argparse
import random
from collections import defaultdict
from contextlib import ExitStack
from datetime import UTC, datetime

import numpy as np

from bench.generator.asks import page_asks
from bench.generator.client import Generator, generator
from bench.generator.results import LoadResult
from bench.lab.hosts import machine, requirements
from bench.lab.hosts.host import Endpoint
from bench.lab.hosts.journal import Journal, undo, undo_dead_runs
from bench.lab.hosts.lab import hosts_of_lab, lab
from bench.lab.hosts.lock import machine_lock
from bench.lab.instruments.idle_states import hold_idle_states
from bench.lab.servers.null_server import null_server
from bench.paths import CACHE
from bench.results import files
from bench.scenario.load import Load
from bench.scenario.placement import DOCKER1

WORKERS = (1, 2, 4)
WAIT_MS = 10
CLOSED = Load(connections=64, warm_up_s=0.25, measure_s=2.0)
OPEN = CLOSED.model_copy(update={"model": "open", "rate_rps": 4_000.0, "connections": 256, "pacing": "sleep"})
"""Asleep between arrivals: here may be fewer cores than workers, and two that look out fight for one."""


def main() -> None:
    """Load in turn, and print what each number of workers did."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    requirements.require_all()
    with machine_lock("the demonstration of workers"):
        undo_dead_runs()
        journal = Journal(files.new_run_id(datetime.now(UTC)))
        try:
            with ExitStack() as stack:
                client_cpus, docker_cpus = machine.divide_cores()
                plans = hosts_of_lab(client_cpus, docker_cpus, [DOCKER1], ipv6=False)
                found = stack.enter_context(lab(plans, journal))
                load = stack.enter_context(generator(found.client, journal, workers=max(WORKERS)))
                server = stack.enter_context(null_server(found.docker[DOCKER1.name], CACHE, WAIT_MS))
                stack.enter_context(hold_idle_states(journal))
                assert load.first_200_ns(server, "/") is not None
                measure(load, server, given.rounds)
        finally:
            undo(journal.run_id)


def measure(load: Generator, server: Endpoint, rounds: int) -> None:
    """Every number of workers under both loops, in random order in each round."""
    lines = [(kind, workers) for kind in (CLOSED, OPEN) for workers in WORKERS]
    seen: dict[tuple[str, int], list[list[float]]] = defaultdict(list)
    for number in range(rounds):
        for kind, workers in random.sample(lines, len(lines)):
            asked = kind.model_copy(update={"workers": workers})
            result = load.load(asked, server, f"{kind.model}, {workers}", page_asks(asked), number)
            seen[kind.model, workers].append(describe(result, kind))
    print(
        "load    workers  requests/s  rows - Locust  spacing: mean, sd/mean  late p50, p99 us  answer p50 ms"
    )
    for (model, workers), values in sorted(seen.items()):
        rate, beside, mean_us, spread, late50, late99, p50_ms = np.median(values, axis=0)
        print(
            f"{model:<7} {workers:>7} {rate:>11,.0f} {beside:>14.0f} {mean_us:>12.1f} us, {spread:.3f}"
            f" {late50:>13.1f}, {late99:>6.1f} {p50_ms:>14.2f}"
        )


def describe(result: LoadResult, load: Load) -> list[float]:
    """Of the window: rate, rows beyond Locust's count, spacing of the sends, lateness, answers."""
    records = result.records
    begun = records[load.begin_column]
    inside = records[
        (begun >= result.window_start_ns) & (begun < result.window_end_ns) & (records["outcome"] == 0)
    ]
    gaps_us = np.diff(np.sort(inside["sent_ns"])) / 1e3
    late_us = (inside["sent_ns"] - inside["intended_ns"]) / 1e3
    return [
        len(inside) / load.measure_s,
        len(records) - result.locust_requests,
        gaps_us.mean(),
        gaps_us.std() / gaps_us.mean(),
        *np.percentile(late_us, [50, 99]),
        float(np.median(inside["done_ns"] - inside["sent_ns"])) / 1e6,
    ]


if __name__ == "__main__":
    main()
