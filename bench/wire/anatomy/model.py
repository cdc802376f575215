"""What an anatomy holds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.records.run import TapRecord
from bench.wire.anatomy.waterfall import HopRow, Interval, Waterfall
from bench.wire.hops import Group, Hops

TAPS = "lab.taps"
"""The factor whose changes are what taps cost."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Captured:
    """One valid capture slot, read."""

    arm: str
    condition: int
    """Index into `conditions(scenario)`."""
    hops: Hops
    service_ns: NDArray[np.int64]
    """Of each row of the hops: done minus sent, by the load generator's own stamps."""
    taps: tuple[TapRecord, ...]


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean in us, over captures; where they are of several sessions, over these."""

    us: float
    ci95: Interval | None
    """None where there is one capture: it knows nothing of others."""


@dataclass(frozen=True, kw_only=True)
class NamedHop:
    """A hop of an arm with what happens in it."""

    row: HopRow
    """Its median."""
    title: str
    mean: Mean
    """Of the middle half of the requests by wire latency: what the waterfalls' steps are made of."""


@dataclass(frozen=True, kw_only=True)
class Shares:
    """A request's time from sent to done in four parts, as means of the middle half; they add up to it."""

    service: Mean
    client: Mean
    """Before the first tap and after the last: the generator, its socket, its waking up."""
    request: Mean
    server: Mean
    response: Mean

    @property
    def network_us(self) -> float:
        """Both ways, server excluded."""
        return self.request.us + self.response.us


@dataclass(frozen=True, kw_only=True)
class Handshake:
    """First SYN to first SYN-ACK at one tap: the median of all connections seen there."""

    tap: str
    median_us: float
    ci95: Interval
    connections: int


@dataclass(frozen=True, kw_only=True)
class ArmAnatomy:
    """One arm under one condition with taps."""

    arm: str
    condition: int
    captures: int
    requests: int
    """Matched at every tap, and of how many."""
    expected: int
    taps: tuple[str, ...]
    hops: tuple[NamedHop, ...]
    """In the order of time."""
    wire: Mean
    """Of the middle half: what the means of the hops add up to."""
    shares: Shares
    handshakes: tuple[Handshake, ...]
    """A tap each, where any was seen."""
    packets: int
    """Of all taps and captures together, as what follows."""
    dropped: int
    losses: Mapping[str, int]
    """Signs of loss, or of a bad capture, by name."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One change on the way from one latency to another."""

    title: str
    group: Group
    us: float
    ci95: Interval | None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """From one arm's time on the wire to another's, or to its own under another condition."""

    baseline: str
    candidate: str
    reference: int
    """The baseline's condition, by index; both have taps."""
    condition: int
    factor: str | None
    """In which the conditions differ; None where the arms do."""
    waterfall: Waterfall
    bars: tuple[Bar, ...]
    """The steps, those that only one arm has hops for divided into these."""
    measured_ci95: Interval | None
    client_us: float
    """How much more time the candidate's requests spent at the client, before and after the taps."""
    taps_us: float | None
    """How much more the taps cost the candidate than the baseline, at the p50, by the run's changes."""

    @property
    def remainder_us(self) -> float | None:
        """What is left of the unexplained when the client's side and the taps' cost are taken out of it."""
        unexplained = self.waterfall.unexplained_us
        if unexplained is None or self.taps_us is None:
            return None
        return unexplained - self.client_us + self.taps_us


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """All that the capture slots of a run tell."""

    arms: tuple[ArmAnatomy, ...]
    """By condition, then in the scenario's order."""
    explanations: tuple[Explanation, ...]
    """Of each other arm against the baseline, under each condition with taps."""
    contrasts: tuple[Explanation, ...]
    """Of each arm against itself under another condition with taps."""
    left_out: Mapping[str, int]
    """Arm -> its capture slots that are INVALID, or without a matched request."""

    def of(self, arm: str, condition: int) -> ArmAnatomy:
        """The anatomy of an arm. Raises KeyError where it has no valid capture under that condition."""
        for found in self.arms:
            if (found.arm, found.condition) == (arm, condition):
                return found
        raise KeyError(f"{arm} has no valid capture under condition {condition}")
