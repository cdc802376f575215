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
    """None where the slot could not give that metric (too few requests for a p99, for example)."""
