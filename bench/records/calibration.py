"""What an instrument can tell: this machine's load generator, its noise, the smallest effect it resolves."""

from collections.abc import Sequence
from math import exp, sqrt
from statistics import stdev
from typing import Self

from pydantic import Field, model_validator

from bench.records.environment import MachineFacts
from bench.scenario.metric import Metric
from bench.statistics.components import Components
from bench.stored import Amount, Count, Moment, Stored

POWER = 0.8
"""Chance that an effect of the smallest resolvable size is found by a run of the given time."""
TIMES_S = (60, 300, 1800)


class Ceiling(Stored):
    """What one engine reaches against a server that does nothing, at one number of connections."""

    connections: Count
    engine: str
    rates_rps: tuple[Amount, ...] = Field(min_length=1)
    """Of each round."""
    requests: Count = 0
    locust_requests: Count = 0
    """Locust's own count of the same requests; 0 for wrk, which Locust does not see."""
    raw_ratio: float | None = None
    """How many times as fast the raw engine is, over paired rounds."""
    raw_ratio_ci95: tuple[float, float] | None = None


class Floor(Stored):
    """What two arms that are the same show as a difference, on one metric."""

    metric: Metric
    ratio: float = Field(gt=0)
    """Of the two; its truth is 1."""
    ci95: tuple[float, float]
    spread: Amount
    """Standard deviation of a block's log-ratio: two slots of each arm."""
    blocks: int

    def smallest_effect(self, block_s: float, seconds: float) -> float | None:
        """Smallest ratio, less 1, that `seconds` of blocks of two arms find with POWER; None for too few.

        (t(0.975, n - 1) + t(POWER, n - 1)) s / sqrt(n), on the logarithm: the usual approximation of the
        noncentral t (Chow, Shao & Wang, Sample Size Calculations in Clinical Research, 2008, 3.1.1).
        """
        from scipy.special import stdtrit

        n = int(seconds // block_s)
        if n < 2:
            return None
        return exp((stdtrit(n - 1, 0.975) + stdtrit(n - 1, POWER)) * self.spread / sqrt(n)) - 1


class BeyondWire(Stored):
    """What the load generator's latency holds besides the wire's, by captures at its own interface."""

    p50_us: float
    p99_us: float
    requests: int
    spread_us: float | None = None
    """Between the quartiles. None, as all that follows, of a version that did not look."""
    share: float | None = None
    """Of the whole latency, at the median of requests."""


class Lateness(Stored):
    """How late an open loop sent its requests, where a connection was free: us at p50 and p99."""

    engine: str
    rate_rps: float
    p50_us: float
    p99_us: float
    """Both are medians of the rounds'."""
    achieved_rps: float
    """Answered a second: less than the rate where the loop is full."""


class Pauses(Stored):
    """Times that a core ran nothing of ours though it had only us to run: the hypervisor's, or firmware's.

    What `steal` should show and on many virtual machines does not.
    """

    seconds: float
    longest_ms: float
    """Of all cores."""
    long_per_s: float
    """Pauses of a millisecond or more, a second, on the core that has most."""
    lost_share: float
    """Share of the time, on the core that lost most; interrupts' own work is part of it."""


class Calibration(Stored):
    """All of it, and the machine that it is of."""

    measured_at: Moment
    bench_version: str
    machine: MachineFacts
    scope: str
    ceilings: tuple[Ceiling, ...]
    floors: tuple[Floor, ...]
    block_s: float = Field(gt=0)
    """Seconds of a block of two arms, as the floors were measured."""
    beyond_wire: BeyondWire | None
    """None where no capture was valid."""
    pauses: Pauses | None = None
    """None of a version that did not look."""
    loop: str = ""
    """Which loop the raw engine had; empty of a version that had but one, in Python."""
    beyond_wire_python: BeyondWire | None = None
    """The same of the engine raw-python."""
    latenesses: tuple[Lateness, ...] = ()
    """Of both raw engines, against the server that does nothing."""
    components: Components | None = None
    """Of the p50's contrast of two like arms that take turns, over several sessions; None of a version that
    did not look, or of a machine on which no set was valid."""
    set_s: float = 0.0
    """Seconds of such a set."""

    def is_of(self, machine: MachineFacts) -> bool:
        """Whether it was made on a machine like `machine`."""
        return not self.machine.differing(machine)

    @model_validator(mode="after")
    def _has_one_floor_a_metric(self) -> Self:
        metrics = [floor.metric for floor in self.floors]
        if len(set(metrics)) < len(metrics) or Metric.P50_LATENCY_US not in metrics:
            raise ValueError("floors: there must be one of each metric, and one of the p50")
        return self

    def smallest_effects(self, metric: Metric) -> dict[int, float | None]:
        """Seconds of measuring -> smallest ratio, less 1, that they resolve between two arms."""
        [floor] = [floor for floor in self.floors if floor.metric is metric]
        return {seconds: floor.smallest_effect(self.block_s, seconds) for seconds in TIMES_S}


def find_pauses(gaps_ms: Sequence[Sequence[float]], seconds: float) -> Pauses:
    """`gaps_ms`: of each core, what its clock jumped by while it did nothing but read it."""
    return Pauses(
        seconds=seconds,
        longest_ms=max((gap for gaps in gaps_ms for gap in gaps), default=0.0),
        long_per_s=max(sum(gap >= 1 for gap in gaps) for gaps in gaps_ms) / seconds,
        lost_share=max(map(sum, gaps_ms)) / (seconds * 1e3),
    )


def find_floor(metric: Metric, logs: Sequence[float]) -> Floor:
    """The floor of `metric` from the log-ratio of each block of two like arms; needs two blocks or more."""
    from bench.statistics.estimate import estimate

    found = estimate(logs, [0] * len(logs))
    return Floor(
        metric=metric,
        ratio=exp(found.mean),
        ci95=(exp(found.ci95[0]), exp(found.ci95[1])),
        spread=stdev(logs),
        blocks=len(logs),
    )
