"""Lookups of a name: found, and asked of whom the scenario says.

No number of them is asked for: behind a dead server a lookup takes seconds, and a slot has time for one.
What is compared is the median, whose interval is that of slots; a p99 has its own demand (`Metric.about`).
"""

from bench.slots.gates.gate import Demand, Gate, GateKind
from bench.slots.gates.load import MAX_ERROR_SHARE

STRAY_PACKETS = 40
"""That a link may carry beside a few lookups in many seconds: neighbours find one another."""


def check_lookups(lookups: int, errors: int, trouble: str = "") -> Gate:
    """Gate on the lookups of a window; `trouble`: what the C library said of those that failed."""
    share = errors / max(lookups, 1)
    return Gate(
        name=GateKind.ERRORS,
        passed=share <= MAX_ERROR_SHARE,
        seen=share,
        limit=MAX_ERROR_SHARE,
        unit="failed lookups a lookup, at most",
        detail=f"{errors} of {lookups} found no address, or another{trouble and '; '}{trouble}",
    )


def check_queries(found: int, received: int, *, upstream: bool) -> Gate:
    """Gate that the lab's name servers were asked for each of the lookups that `found` the name, one question
    at least; or, where it is not theirs (`upstream` False), for none."""
    demand = Demand.AT_LEAST if upstream else Demand.EXACTLY
    limit = found if upstream else 0
    return Gate(
        name=GateKind.NAMES_ASKED,
        passed=demand.is_met(received, limit),
        seen=received,
        limit=limit,
        unit=f"queries that reached the lab's name servers, {demand}",
        demand=demand,
    )
