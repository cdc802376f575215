"""Captures: every packet that passed a tap was kept."""

from collections.abc import Mapping

from bench.slots.gates.gate import Gate, GateKind


def check_captures(missing: Mapping[str, int]) -> Gate:
    """Gate on captures: `missing` packets of each tap, dropped by the kernel or not handed over."""
    lost = {tap: packets for tap, packets in missing.items() if packets}
    return Gate(
        name=GateKind.CAPTURE_DROPS,
        passed=not lost,
        seen=sum(lost.values()),
        limit=0,
        unit="packets that passed a tap and were not captured, at most",
        detail=", ".join(f"{tap} {packets:,}" for tap, packets in lost.items()),
    )
