"""What a closed loop hides: a server that stands still for 200 ms, as each load model sees it.

`make benchmark-stall` (root). Apache in host mode is frozen (docker pause) once within a window, under a
closed loop and under an open one of half the rate that the closed one reached, each a few times in turn.
"""

import argparse
import time
from datetime import UTC, datetime
from threading import Timer

import numpy as np
from docker.models.containers import Container

from bench.generator.asks import page_asks
from bench.lab.hosts import requirements
from bench.lab.hosts.journal import undo_dead_runs
from bench.lab.hosts.lock import machine_lock
from bench.measure.lab_testbed import prepare_bed
from bench.measure.testbed import Bed
from bench.results import files
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.model import Arm, Schedule
from bench.scenario.scenario import Scenario
from bench.slots.metrics import measure_requests

STALL_S = 0.2
WINDOW_S = 4.0
CONNECTIONS = 4
SHARE = 0.5
"""Of the closed loop's rate, offered by the open one: far from where a queue would build up by itself."""


def main() -> None:
    """Load, freeze, load, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tries", type=int, default=3)
    given = arguments.parse_args()
    requirements.require_all()
    scenario = Scenario(
        name="stall",
        question="Which load model sees a server that stands still?",
        baseline="host",
        arms=(Arm(name="host", mode="host"), Arm(name="bridge", mode="bridge")),
        schedule=Schedule(blocks=2),
    )
    closed = Load(connections=CONNECTIONS, warm_up_s=0.25, measure_s=WINDOW_S)
    print(f"{'load':<7} {'stall':<7} requests     p50        p99      p99.9   met the stall")
    with machine_lock("the stall demonstration"):
        undo_dead_runs()
        with prepare_bed(scenario, files.new_run_id(datetime.now(UTC)), lambda _: None) as bed:
            bed.arrange(scenario.lab)
            for _ in range(given.tries):
                done = show(bed, closed, freeze=False)
                rate_rps = float(round(SHARE * done / WINDOW_S))
                open_loop = closed.model_copy(update={"model": "open", "rate_rps": rate_rps})
                show(bed, open_loop, freeze=False)
                show(bed, closed, freeze=True)
                show(bed, open_loop, freeze=True)


def show(bed: Bed, load: Load, *, freeze: bool) -> int:
    """Print one window's percentiles of response time; returns how many requests it had."""
    arm, [condition] = bed.scenario.arm("host"), conditions(bed.scenario)
    with bed.hold_idle_states(condition), bed.serve(arm, condition, "bench-stall") as server:
        bed.generator.first_200_ns(server.endpoint, f"/{load.page_bytes}")
        stall = Timer(load.warm_up_s + WINDOW_S / 2, freeze_for_a_while, [server.container])
        if freeze:
            stall.start()
        result = bed.generator.load(load, server.endpoint, arm.name, page_asks(load))
        if freeze:
            stall.join()
    found = measure_requests(result.records, result.window_start_ns, result.window_end_ns, load)
    answered = result.records[result.records["outcome"] == 0]
    start = answered["sent_ns" if load.model == "closed" else "intended_ns"]
    inside = (start >= result.window_start_ns) & (start < result.window_end_ns)
    waited_us = (answered["done_ns"] - start)[inside] / 1e3
    p50, p99, p999 = np.percentile(waited_us, [50, 99, 99.9])
    met = int((waited_us > STALL_S * 1e6 / 2).sum())
    print(
        f"{load.model:<7} {'200 ms' if freeze else 'none':<7} {found.requests:>8,} {p50:>7,.0f} us"
        f" {p99:>7,.0f} us {p999:>7,.0f} us   {met:,} waited for half of it or more",
        flush=True,
    )
    return found.requests


def freeze_for_a_while(container: Container) -> None:
    """Let nothing of the container run for STALL_S."""
    container.pause()
    time.sleep(STALL_S)
    container.unpause()


if __name__ == "__main__":
    main()
