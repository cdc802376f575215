"""What a slot is worth to a comparison."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from bench.scenario.metric import Metric


class SlotMetrics(BaseModel):
    """What a verdict needs to know of one slot."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    session: int
    block: int
    arm: str
    condition: int
    repeat: int
    valid: bool
    values: Mapping[Metric, float | None]
    """None where the slot could not give that metric (too few requests for a p99, for example)."""
