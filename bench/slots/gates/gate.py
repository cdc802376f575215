"""What a slot must show to count: each gate holds the number that was seen and its limit.

A slot that fails a gate is INVALID and says why; it stays in the run and in the report.
"""

from enum import StrEnum

from bench.stored import Stored


class Voids(StrEnum):
    """What a failed gate makes unusable."""

    SLOT = "slot"
    THROUGHPUT = "throughput"
    LATENCY = "latency"
    TAIL = "p99 latency"
    CPU = "CPU per request"


class Gate(Stored):
    """One check of a slot. `seen` and `limit` are in the unit that `unit` names."""

    name: str
    passed: bool
    seen: float | str
    limit: float | str
    unit: str
    voids: Voids = Voids.SLOT
    detail: str = ""


def is_valid(gates: list[Gate]) -> bool:
    """Whether no gate failed that voids the whole slot."""
    return all(gate.passed or gate.voids is not Voids.SLOT for gate in gates)
