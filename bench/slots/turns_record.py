"""What is stored of a slot's turns; what they are worked out by is in turns.py, which needs numpy."""

from bench.stored import Amount, Count, Stored


class After(Stored):
    """A slot's turns that came after those of one other arm (or its own)."""

    arm: str
    """Of the cell before."""
    turns: Count
    requests: Count
    p50_latency_us: Amount
    otherwise_p50_us: Amount
    """Of all its other turns."""


class TurnsRecord(Stored):
    """What a slot's turns were, in its set. The turns themselves are in the slot's turns.parquet."""

    turns: Count
    settled_s: Amount
    """Of all of them, what was measured."""
    proof_requests: Count
    """In the warm-up, alone, over which the path was proved."""
    proof_connections: Count
    after: tuple[After, ...]
    """By the arm of the cell before."""
