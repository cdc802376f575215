"""What a slot is worth to a comparison."""

from collections.abc import Mapping

from bench.scenario.metric import Metric
from bench.stored import Stored


class SlotMetrics(Stored):
    """What a verdict needs to know of one slot."""

    session: int
    block: int
    arm: str
    condition: int
    repeat: int
    valid: bool
    values: Mapping[Metric, float | None]
    """None where the slot could not give that metric (the generator was late for it, for example)."""
    requests: int | None = None
    """In its window; None where nobody counted them."""
    index: int = 0
    """Place in the order of measuring."""
    stalled: bool = False
    """Whether connections stood still until its end."""
    after_turn_of: Mapping[str, float] = {}
    """Of a slot that took turns: arm of the turn before -> its p50 then, by that after all others."""
