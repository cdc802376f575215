"""The machine: nobody else was busy on its cores."""

from collections.abc import Mapping

from bench.scenario.metric import Voids
from bench.slots.gates.gate import Gate, GateKind

MAX_STRAY_CPU = 0.05
"""Core-share of one foreign process. Measured: a busy neighbour makes a p99 effect of 3x from nothing."""


MAX_NEW_PROCESSES_PER_S = 25.0
"""Processes started on the machine during a slot: a build next door is many short ones."""


MAX_IDLE_CORES = 0.1
"""A tenth of a core, at 3,000 requests a second, is 33 us of each: what comes and goes must be far less."""


PATIENCE_S, PATIENCE_A_REQUEST_S, PATIENCE_A_CONNECTION_S = 3.0, 5e-6, 0.001
"""Around a load, from its order to its records: connecting, the last answers, handing the records over."""


def check_still(
    around_s: float, load_s: float, slept_s: float, requests: int, connections: int
) -> list[Gate]:
    """Gate on who measures: neither stopped nor asleep during the load.

    `around_s`: from ordering the load to having its records; `load_s`: from its first request to the last.
    """
    patience_s = PATIENCE_S + PATIENCE_A_REQUEST_S * requests + PATIENCE_A_CONNECTION_S * connections
    still_s = max(around_s - load_s, 0.0) + slept_s
    return [
        Gate(
            name=GateKind.STOOD_STILL,
            passed=still_s <= patience_s,
            seen=round(still_s, GateKind.STOOD_STILL.decimals),
            limit=round(patience_s, GateKind.STOOD_STILL.decimals),
            unit="seconds around the load with the machine asleep or bench stopped, at most",
        )
    ]


def check_idle(idle_cores: float) -> list[Gate]:
    """Gate on the idle baseline: what is subtracted as the idle machine's must have been one's."""
    return [
        Gate(
            name=GateKind.IDLE_BASELINE,
            passed=idle_cores <= MAX_IDLE_CORES,
            seen=round(idle_cores, GateKind.IDLE_BASELINE.decimals),
            limit=MAX_IDLE_CORES,
            unit="cores busy in the second before the load, at most",
            voids=Voids.CPU,
        )
    ]


def check_quiet(
    stray_cpu: Mapping[str, float], new_processes_per_s: float, steal_share: float, max_steal: float
) -> list[Gate]:
    """Gates on the machine during the slot. `stray_cpu`: process -> share of one core; `steal_share`,
    `max_steal`: of the cores' time."""
    busiest = max(stray_cpu, key=stray_cpu.__getitem__, default="")
    seen = stray_cpu.get(busiest, 0.0)
    return [
        Gate(
            name=GateKind.QUIET_CORES,
            passed=seen <= MAX_STRAY_CPU,
            seen=round(seen, GateKind.QUIET_CORES.decimals),
            limit=MAX_STRAY_CPU,
            unit="share of a core used by one process outside the lab, at most",
            detail=busiest,
        ),
        Gate(
            name=GateKind.NEW_PROCESSES,
            passed=new_processes_per_s <= MAX_NEW_PROCESSES_PER_S,
            seen=round(new_processes_per_s, GateKind.NEW_PROCESSES.decimals),
            limit=MAX_NEW_PROCESSES_PER_S,
            unit="processes started a second, at most",
        ),
        Gate(
            name=GateKind.STEAL,
            passed=steal_share <= max_steal,
            seen=round(steal_share, GateKind.STEAL.decimals),
            limit=max_steal,
            unit="share of the cores' time taken by the hypervisor, at most",
        ),
    ]
