"""Stalls: no connection stood still until the slot's end."""

from bench.slots.gates.gate import Gate, GateKind
from bench.slots.stalls_record import Stalls


def check_stalls(stalls: Stalls | None) -> Gate:
    """Gate on stalls: one that never ends is in no mean, and what is left of the slot is not the slot."""
    return Gate(
        name=GateKind.STALLS,
        passed=stalls is None,
        seen=stalls.stalled if stalls else 0,
        limit=0,
        unit="connections on which nothing moved for a second or more until the end, at most",
        detail=stalls.describe() if stalls else "",
    )
