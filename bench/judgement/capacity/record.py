"""A capacity measurement: what it stores, what it does next, and what its knees mean.

The next step follows from what is stored alone, so one that was interrupted goes on where it was.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from bench.judgement.capacity.knee import (
    Knee,
    Outcome,
    Trial,
    locate,
    locate_by_search,
)
from bench.records.environment import EngineFacts, ImageFacts, LabFacts, MachineFacts
from bench.records.run import SlotRecord, Status
from bench.scenario.model import Capacity
from bench.scenario.scenario import Scenario
from bench.stored import Amount, Moment, Stored

SCHEMA_VERSION = 1
"""Of capacity.json."""
NULL_SERVER = "null server"
"""Stands where an arm does, for the generator's own ceiling. No arm can have a name with a blank."""
PROBE_S = 1.5
"""Window of one probe. A queue that grows by 1 % of 10,000/s has 150 requests after it: 15 ms."""
MIN_HEADROOM = 1.2
"""Of the generator's ceiling over the rate that an arm did not sustain."""
MAX_CLIENT_BUSY = 0.9
MIN_SERVER_BUSY = 0.9
"""Of the server's cores, where an arm did not sustain a rate; the rest is waiting, for whatever it be."""
MAX_ADDED = 0.1
"""Share that a second worker adds to what the better of the two does alone, where the server is the bound:
more connections alone get some percent more out of it. Twice as many programs get far more where one is
the bound and its core has room.
"""
MAX_WRK = 1.5
"""wrk's throughput by the rate that was not sustained. A knee lies below saturation, but where another
client gets half as much again out of the arm, its server was not at its end.
"""
MAX_CLIENT_VOTES = 0.5
"""Share of the probes at the rate not sustained in which the client was at its limit."""
MAX_LATE_SHARE = 0.1
"""Of the limit, the generator's own lateness at the p99: more than that is a good part of what was judged."""
SEARCH_PROBES = 10
"""Of one arm and workload, the null server's as well: for time estimates only."""
PROBE_OVERHEAD_S = 0.8
"""Start and removal of a container, and the end of a queue: for time estimates only."""


class Workload(NamedTuple):
    """What an arm is asked for."""

    arm: str
    keep_alive: bool


class Step(NamedTuple):
    """The next thing to measure."""

    kind: Literal["wrk", "search", "confirm", "second worker"]
    workload: Workload
    rate_rps: float
    """Offered; 0 for wrk, which sends as fast as it is answered."""
    repeat: int


Rate = Annotated[float, Field(gt=0, le=1e9)]
"""Offered: requests a second."""


class Probe(Stored):
    """One rate, offered to one arm (or to the null server) for PROBE_S."""

    arm: str
    keep_alive: bool
    rate_rps: Rate
    confirming: bool
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    """Why it is not `sustained`."""
    achieved_share: Amount | None = None
    """Done in the window, by what arrived in it."""
    error_share: Amount | None = None
    p99_ms: Amount | None = None
    """Response time, of those answered with 200."""
    generator_busy: Amount | None = None
    """Share of its core that the generator worked."""
    server_busy: float | None = None
    """Mean busy share of the Docker host's cores."""
    slot: SlotRecord | None = None
    """The whole slot; None of the null server."""


class WrkReading(Stored):
    """A closed loop of wrk's on an arm."""

    arm: str
    keep_alive: bool
    throughput_rps: Amount | None
    """None: it could not be had, for the `reason`."""
    reason: str = ""


class SecondWorker(Stored):
    """The generator at a rate that the arm did not sustain, and wrk beside it."""

    arm: str
    keep_alive: bool
    rate_rps: Rate
    generator_rps: Amount = 0.0
    """Done by the generator, over the time that wrk was there."""
    wrk_rps: Amount = 0.0
    alone_rps: Amount = 0.0
    """The better of what the generator (at this rate) and wrk did, each alone."""
    reason: str = ""
    """Why it could not be had."""

    @property
    def added_share(self) -> float | None:
        """What both did together, by what the better of them did alone, less 1; None where not had."""
        return None if self.reason else (self.generator_rps + self.wrk_rps) / self.alone_rps - 1


class CapacityRecord(Stored):
    """The whole of capacity.json."""

    schema_version: int
    id: str
    bench_version: str
    status: Status
    started_at: Moment
    finished_at: Moment | None = None
    scenario: Scenario
    seed: int = Field(ge=0)
    machine: MachineFacts
    tools: Mapping[str, str]
    lab: LabFacts = LabFacts()
    engines: Mapping[str, EngineFacts] = {}
    image: ImageFacts = ImageFacts()
    unavailable: Mapping[str, str] = {}
    probes: tuple[Probe, ...] = ()
    """In the order of measuring, as are the next two."""
    wrk: tuple[WrkReading, ...] = ()
    second_workers: tuple[SecondWorker, ...] = ()
    comparisons: Mapping[str, str] = {}
    """Scenario of a comparison at equal service -> its run, from the folder of all runs."""

    @property
    def settings(self) -> Capacity:
        """What the scenario says of the search; its defaults where it says nothing."""
        return self.scenario.capacity or Capacity()

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Of every arm that can be had, the baseline's first."""
        names = [arm.name for arm in self.scenario.compared if arm.name not in self.unavailable]
        names.sort(key=lambda name: name != self.scenario.baseline)
        return tuple(Workload(name, kept) for kept in self.settings.keep_alive for name in names)

    def trials(self, workload: Workload) -> list[Trial]:
        """What the search for a workload's knee has to go by."""
        return [
            Trial(probe.rate_rps, probe.outcome, probe.confirming)
            for probe in self.probes
            if (probe.arm, probe.keep_alive) == workload
        ]

    def knee(self, workload: Workload) -> Knee:
        """Where a workload's knee lies; the null server's is not confirmed."""
        if workload.arm == NULL_SERVER:
            return locate_by_search(self.trials(workload))
        return locate(self.trials(workload), self.settings.confirmations)

    def wrk_rps(self, workload: Workload) -> list[float]:
        """wrk's throughputs on a workload's arm."""
        return [
            reading.throughput_rps
            for reading in self.wrk
            if (reading.arm, reading.keep_alive) == workload and reading.throughput_rps is not None
        ]
