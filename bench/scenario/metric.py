"""What is measured of a slot: one entry a metric, from which everything that lists metrics is made."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol

MIN_REQUESTS_P99 = 10_000
"""Of an arm in a block: a p99 wants at least 100 samples beyond it."""


class Voids(StrEnum):
    """What a failed gate makes unusable."""

    SLOT = "slot"
    THROUGHPUT = "throughput"
    LATENCY = "latency"
    TAIL = "p99 latency"
    CPU = "CPU per request"


class _Load(Protocol):
    """Of `Load`, what decides which metrics there are."""

    @property
    def is_open(self) -> bool: ...
    @property
    def is_lookup(self) -> bool: ...
    @property
    def measures_cpu(self) -> bool: ...
    @property
    def is_start(self) -> bool: ...


def _has_requests(load: _Load) -> bool:
    return not load.is_start


def _is_start(load: _Load) -> bool:
    return load.is_start


class _About(NamedTuple):
    label: str
    """As a person writes it."""
    unit: str
    """Of the value itself (not of its ratio, which has none)."""
    margin: float
    """The smallest ratio that matters where a scenario declares none, as a fraction."""
    describes: str
    """What its margin is of, for the scenario's schema."""
    column: str
    """The head of its column in a table of slots, with the unit."""
    is_measured: Callable[[_Load], bool] = _has_requests
    """Whether a slot under a load has it."""
    is_compared: Callable[[_Load], bool] = lambda _: True
    """Whether arms under a load that has it are compared on it."""
    higher_is_better: bool = False
    voided_by: tuple[Voids, ...] = ()
    """Failed gates that leave the slot valid and take this metric from it."""
    needs_requests: int = 0
    """Of an arm in a typical block. Fewer give no comparison: of all blocks or of none, since a slot that
    has fewer requests in its window is a slower one, and to leave it out is to choose by the outcome."""
    least: float | None = 0.001
    """Smallest value that there can be, a ns of a time in us; None: what is the difference of two
    measurements may have any sign."""
    claimed: bool = False
    """Whether a claim that names no metric is about it."""


class Metric(StrEnum):
    """The endpoints that a comparison is made on; the unit is part of the name."""

    # A slot's value stands under it in `SlotRecord.values`, and is measured by `bench.slots.metrics`.

    P50_LATENCY_US = "p50_latency_us"
    P10_LATENCY_US = "p10_latency_us"
    """What the path costs a request that meets nothing else: no queue, no pause, no slower core."""
    P99_LATENCY_US = "p99_latency_us"
    THROUGHPUT_RPS = "throughput_rps"
    CPU_US_PER_REQUEST = "cpu_us_per_request"
    """Of all cores together, client and server; only where `Load.measures_cpu`."""

    # Of containers that are started together (`Load.is_start`): until the last of them is so far, from the
    # moment when the first was asked for. See `bench.slots.starts`.
    FIRST_ANSWER_MS = "first_answer_ms"
    CREATED_MS = "created_ms"
    STARTED_MS = "started_ms"
    LISTENING_MS = "listening_ms"
    REMOVED_MS = "removed_ms"
    """From the moment when the first removal was asked for."""
    ENGINE_MEMORY_MB = "engine_memory_mb"
    """Resident memory of dockerd and of all its docker-proxies while all containers are up."""

    @property
    def about(self) -> _About:
        """Its entry in the table."""
        return _TABLE[self]

    @property
    def unit(self) -> str:
        """Unit of the value itself."""
        return self.about.unit

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is better (throughput) or less (latency, CPU)."""
        return self.about.higher_is_better

    @property
    def label(self) -> str:
        """As a person writes it."""
        return self.about.label

    @property
    def short(self) -> str:
        """Its name where there is little room: `p50`, `first answer`."""
        return self.about.column.rpartition(", ")[0] or self.about.column


def _time_of_start(label: str, column: str, describes: str) -> _About:
    """A time of containers that are started together."""
    return _About(
        label=label, unit="ms", margin=0.10, describes=describes, column=column, is_measured=_is_start
    )


_TABLE = {
    Metric.P50_LATENCY_US: _About(
        label="p50 latency",
        unit="us",
        margin=0.05,
        describes="Of the median latency.",
        column="p50, us",
        voided_by=(Voids.LATENCY,),
        claimed=True,
    ),
    Metric.P10_LATENCY_US: _About(
        label="p10 latency",
        unit="us",
        margin=0.05,
        describes="Of the latency that nine requests in ten exceed: the path's own cost.",
        column="p10, us",
        voided_by=(Voids.LATENCY,),
    ),
    Metric.P99_LATENCY_US: _About(
        label="p99 latency",
        unit="us",
        margin=0.10,
        describes="Of the latency that one request in a hundred exceeds.",
        column="p99, us",
        voided_by=(Voids.LATENCY, Voids.TAIL),
        needs_requests=MIN_REQUESTS_P99,
        claimed=True,
    ),
    Metric.THROUGHPUT_RPS: _About(
        label="throughput",
        unit="req/s",
        margin=0.05,
        describes="Of requests a second.",
        column="req/s",
        # In an open loop the rate is given: all arms have it. Of lookups, which are made one after the other
        # and may take seconds each, it is the latency again, and a count of two or three.
        is_compared=lambda load: not load.is_open and not load.is_lookup,
        higher_is_better=True,
        least=0.0,
        voided_by=(Voids.THROUGHPUT,),
        claimed=True,
    ),
    Metric.CPU_US_PER_REQUEST: _About(
        label="CPU per request",
        unit="us",
        margin=0.05,
        describes="Of the whole machine's CPU time a request.",
        column="CPU, us",
        is_measured=lambda load: load.measures_cpu,
        voided_by=(Voids.CPU,),
        least=None,
    ),
    Metric.FIRST_ANSWER_MS: _time_of_start(
        "time to the first answer",
        "first answer, ms",
        "Of the time from asking for the first container to the last one's first right answer.",
    ),
    Metric.CREATED_MS: _time_of_start(
        "time to created",
        "created, ms",
        "Of the time until Docker says that the last container is created.",
    ),
    Metric.STARTED_MS: _time_of_start(
        "time to started",
        "started, ms",
        "Of the time until Docker says that the last container is started.",
    ),
    Metric.LISTENING_MS: _time_of_start(
        "time to listening",
        "listening, ms",
        "Of the time until the last container's server is seen to listen.",
    ),
    Metric.REMOVED_MS: _time_of_start(
        "time of removal",
        "removal, ms",
        "Of the time from asking for the first removal to the last one's end.",
    ),
    Metric.ENGINE_MEMORY_MB: _About(
        label="engine's memory",
        unit="MB",
        margin=0.05,
        describes="Of the resident memory of dockerd and its docker-proxies, all containers up.",
        column="engine, MB",
        is_measured=_is_start,
    ),
}

PERFORMANCE = tuple(metric for metric in Metric if metric.about.claimed)
"""What a claim that names no metric is about."""


def measured_metrics(load: _Load) -> tuple[Metric, ...]:
    """Metrics that a slot under `load` has."""
    return tuple(metric for metric in Metric if metric.about.is_measured(load))


def compared_metrics(load: _Load) -> tuple[Metric, ...]:
    """Of these, the metrics that arms under `load` are compared on."""
    return tuple(metric for metric in measured_metrics(load) if metric.about.is_compared(load))
