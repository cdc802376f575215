"""A capacity measurement: what it stores, what it does next, and what its knees mean.

The next step follows from what is stored alone, so one that was interrupted goes on where it was.
"""

import random
from collections.abc import Iterator, Mapping
from enum import StrEnum
from statistics import median
from typing import Literal, NamedTuple

from bench.judgement.capacity.knee import (
    Knee,
    Outcome,
    Trial,
    is_given_up,
    locate,
    locate_by_search,
    next_rate,
    rates_to_confirm,
)
from bench.records.run import SlotRecord, Status, Stored
from bench.scenario.model import Capacity, Scenario
from bench.slots.gates.gate import MAX_GENERATOR_CPU, MIN_ACHIEVED_SHARE

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
OVERLOAD = {
    "requests",
    "errors",
    "achieved",
    "generator",
    "generator lateness",
    "generator lateness, median",
    "retransmits",
    "listen drops",
    "conntrack drops",
    "conntrack room",
}
"""Gates that fail where a server has too much to do: what a probe is there to find out."""
CLIENT = {"client ports", "ports found"}
"""Gates that fail where the client has nothing left to send from."""


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


class Probe(Stored):
    """One rate, offered to one arm (or to the null server) for PROBE_S."""

    arm: str
    keep_alive: bool
    rate_rps: float
    confirming: bool
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    """Why it is not `sustained`."""
    achieved_share: float | None = None
    """Done in the window, by what arrived in it."""
    error_share: float | None = None
    p99_ms: float | None = None
    """Response time, of those answered with 200."""
    generator_busy: float | None = None
    """Share of its core that the generator worked."""
    server_busy: float | None = None
    """Mean busy share of the Docker host's cores."""
    slot: SlotRecord | None = None
    """The whole slot; None of the null server."""


class WrkReading(Stored):
    """A closed loop of wrk's on an arm."""

    arm: str
    keep_alive: bool
    throughput_rps: float | None
    """None: it could not be had, for the `reason`."""
    reason: str = ""


class SecondWorker(Stored):
    """The generator at a rate that the arm did not sustain, and wrk beside it."""

    arm: str
    keep_alive: bool
    rate_rps: float
    generator_rps: float = 0.0
    """Done by the generator, over the time that wrk was there."""
    wrk_rps: float = 0.0
    alone_rps: float = 0.0
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
    started_at: str
    finished_at: str | None = None
    scenario: Scenario
    seed: int
    machine: Mapping[str, str]
    tools: Mapping[str, str]
    lab: Mapping[str, str] = {}
    engines: Mapping[str, Mapping[str, str]] = {}
    image: Mapping[str, str] = {}
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


def expected_search_seconds(scenario: Scenario) -> float:
    """Expected seconds of search, confirmation and wrk, without the comparison at equal service."""
    settings = scenario.capacity or Capacity()
    arms, votes = len(scenario.compared), settings.confirmations
    probe_s = scenario.load.warm_up_s + PROBE_S + PROBE_OVERHEAD_S
    searched_s = (arms + 1) * SEARCH_PROBES * probe_s
    confirmed_s = arms * votes * (2 * probe_s + settings.wrk_s + PROBE_OVERHEAD_S)
    return len(settings.keep_alive) * (searched_s + confirmed_s)


def judge_probe(
    probe: Probe, failed_gates: Mapping[str, str], lateness_us: float | None, settings: Capacity
) -> Probe:
    """`probe` with its outcome and why. `failed_gates`: name of each -> what it saw.

    `lateness_us` is the generator's own, at the p99. A probe that sustained its rate did so however
    disturbed it was; one that did not counts against the server only if nothing else explains it.
    """
    faults = []
    if probe.achieved_share is None or probe.p99_ms is None or probe.error_share is None:
        faults.append("nothing was answered")
    else:
        if probe.achieved_share < MIN_ACHIEVED_SHARE:
            faults.append(f"{probe.achieved_share:.1%} of the rate was achieved")
        if probe.error_share > settings.max_error_share:
            faults.append(f"{probe.error_share:.2%} of the requests failed")
        if probe.p99_ms > settings.limit_ms:
            faults.append(f"p99 was {probe.p99_ms:.3g} ms")
    limits = [f"{name}: {seen}" for name, seen in failed_gates.items() if name in CLIENT]
    if probe.generator_busy is not None and probe.generator_busy > MAX_GENERATOR_CPU:
        limits.append(f"the generator's core was {probe.generator_busy:.0%} busy")
    if lateness_us is not None and lateness_us > MAX_LATE_SHARE * settings.limit_ms * 1e3:
        limits.append(f"the generator was {lateness_us / 1e3:.3g} ms late")
    # A wrong image or core is no measurement of this arm, whether it was fast or slow. Nor is a wrong path,
    # but a server with too much to do leaves connections unserved and requests without an answer, so that
    # its counters cannot agree; every knee has sustained probes below it, whose counters must.
    foreign = [
        f"{name}: {seen}"
        for name, seen in failed_gates.items()
        if name in {"namespace", "image", "cpuset"} or (name.startswith("path: ") and not faults)
    ]
    disturbed = [
        f"{name}: {seen}"
        for name, seen in failed_gates.items()
        if name not in OVERLOAD | CLIENT and not name.startswith("path: ")
    ]
    if foreign:
        outcome, reasons = Outcome.VOID, foreign
    elif not faults:
        outcome, reasons = Outcome.SUSTAINED, []
    elif disturbed:
        outcome, reasons = Outcome.VOID, [*faults, *disturbed]
    else:
        outcome, reasons = Outcome.CLIENT if limits else Outcome.REFUSED, [*faults, *limits]
    return probe.model_copy(update={"outcome": outcome, "reasons": tuple(reasons)})


def next_step(record: CapacityRecord) -> Step | None:
    """What to measure next; None where all is known, or given up.

    wrk on every arm (a search begins at half of it), the searches in turn, the confirmations in random
    order, wrk between them as often, and a second worker last.
    """
    searched = [
        *record.workloads,
        *(Workload(NULL_SERVER, kept) for kept in record.settings.keep_alive),
    ]
    for workload in record.workloads:
        if not _readings(record, workload):
            return Step("wrk", workload, 0.0, 0)
    # The one with the fewest probes: the machine's drift falls on all arms alike.
    for workload in sorted(searched, key=lambda one: len(record.trials(one))):
        rate_rps = _rate_to_search(record, workload)
        if rate_rps is not None:
            # A rate that is tried again has other arrivals: the first may have been unlucky.
            tried = sum(trial.rate_rps == rate_rps for trial in record.trials(workload))
            return Step("search", workload, rate_rps, tried)
    pending = list(_to_confirm(record))
    if pending:
        return min(pending, key=lambda step: (step.repeat, _lot(record.seed, step)))
    for workload in record.workloads:
        refuted_rps = record.knee(workload).refuted_rps
        if refuted_rps and not any((w.arm, w.keep_alive) == workload for w in record.second_workers):
            return Step("second worker", workload, refuted_rps, 0)
    return None


def _readings(record: CapacityRecord, workload: Workload) -> int:
    return sum((reading.arm, reading.keep_alive) == workload for reading in record.wrk)


def _rate_to_search(record: CapacityRecord, workload: Workload) -> float | None:
    trials = record.trials(workload)
    same = [other for other in record.workloads if other.keep_alive == workload.keep_alive]
    seen_rps = [rate for other in same for rate in record.wrk_rps(other)]
    own_rps = record.wrk_rps(workload)
    start_rps = median(own_rps) / 2 if own_rps else max(seen_rps, default=2_000.0)
    if is_given_up(trials):
        return None
    # A ceiling has to be high enough; where exactly it is does not matter.
    resolution = record.settings.resolution * (2 if workload.arm == NULL_SERVER else 1)
    return next_rate(trials, max(start_rps, 20.0), resolution, record.settings.confirmations)


def _to_confirm(record: CapacityRecord) -> Iterator[Step]:
    votes = record.settings.confirmations
    for workload in record.workloads:
        trials = record.trials(workload)
        if not is_given_up(trials):
            for rate_rps in rates_to_confirm(trials, votes):
                done = sum(trial.confirming and trial.rate_rps == rate_rps for trial in trials)
                yield Step("confirm", workload, rate_rps, done)
        if (read := _readings(record, workload)) < votes:
            yield Step("wrk", workload, 0.0, read - 1)


def _lot(seed: int, step: Step) -> float:
    return random.Random(f"{seed} {step}").random()


class Bound(StrEnum):
    """What kept an arm from more."""

    SERVER = "server-bound"
    CLIENT = "client-bound"
    """The figure is no capacity: the arm's is at least as much."""
    UNDECIDED = "undecided"


class Check(NamedTuple):
    """One piece of the evidence for a bound."""

    what: str
    seen: float | None
    """None: not measured."""
    limit: float
    passed: bool
    """Whether it speaks for the server as the bound."""


def find_checks(record: CapacityRecord, workload: Workload) -> tuple[Check, ...]:
    """The evidence that the server is the bound, all of which it takes."""
    refuted_rps = record.knee(workload).refuted_rps
    ceiling_rps = record.knee(Workload(NULL_SERVER, workload.keep_alive)).confirmed_rps
    failed = [
        probe
        for probe in record.probes
        if (probe.arm, probe.keep_alive) == workload
        and probe.confirming
        and probe.rate_rps == refuted_rps
        and probe.outcome in (Outcome.REFUSED, Outcome.CLIENT)
    ]
    client = [probe.generator_busy for probe in failed if probe.generator_busy is not None]
    server = [probe.server_busy for probe in failed if probe.server_busy is not None]
    added = [
        worker.added_share
        for worker in record.second_workers
        if (worker.arm, worker.keep_alive) == workload and worker.added_share is not None
    ]
    blamed = sum(probe.outcome is Outcome.CLIENT for probe in failed) / len(failed) if failed else None
    headroom = ceiling_rps / refuted_rps if ceiling_rps and refuted_rps else None
    busy, served, more = (median(found) if found else None for found in (client, server, added))
    wrk_rps = record.wrk_rps(workload)
    through = median(wrk_rps) / refuted_rps if wrk_rps and refuted_rps else None
    return (
        Check(
            "the generator's ceiling against the null server, by the rate not sustained, at least",
            headroom,
            MIN_HEADROOM,
            headroom is not None and headroom >= MIN_HEADROOM,
        ),
        Check(
            "busy share of the generator's core at that rate, at most",
            busy,
            MAX_CLIENT_BUSY,
            busy is not None and busy <= MAX_CLIENT_BUSY,
        ),
        Check(
            "busy share of the server's cores at that rate, at least",
            served,
            MIN_SERVER_BUSY,
            served is not None and served >= MIN_SERVER_BUSY,
        ),
        Check(
            "what a second worker added to the better of the two alone, at most",
            more,
            MAX_ADDED,
            more is not None and more <= MAX_ADDED,
        ),
        Check(
            "wrk's throughput, by the rate not sustained, at most",
            through,
            MAX_WRK,
            through is not None and through <= MAX_WRK,
        ),
        Check(
            "share of the probes that failed there with the client late, full or out of ports, at most",
            blamed,
            MAX_CLIENT_VOTES,
            blamed is not None and blamed <= MAX_CLIENT_VOTES,
        ),
    )


def find_bound(record: CapacityRecord, workload: Workload) -> Bound:
    """Which side kept `workload` from more: the server, only if all of the evidence says so.

    The client, where most of the probes that failed failed for it, where its ceiling is no higher than
    the knee, or where its core was full and the server's were not.
    """
    ceiling, client, server, *_, blamed = checks = find_checks(record, workload)
    full = client.seen is not None and not client.passed and not server.passed
    at_limit = blamed.seen is not None and not blamed.passed
    if at_limit or full or (ceiling.seen is not None and ceiling.seen <= 1):
        return Bound.CLIENT
    return Bound.SERVER if all(check.passed for check in checks) else Bound.UNDECIDED


class KneeRatio(NamedTuple):
    """The baseline's knee by another arm's."""

    arm: str
    keep_alive: bool
    lowest: float | None
    highest: float | None
    """The ratio is between the two, by the ends of both knees; None where an end is missing."""
    word: str
    """`higher`, `lower`, `not told apart` (of the baseline's), or `INVALID: <reason>`."""


def compare_knees(record: CapacityRecord) -> tuple[KneeRatio, ...]:
    """The baseline's knee by each other arm's, of each workload. Above 1: the baseline's is higher.

    INVALID unless both are proved to be the server's: a figure that the client may have bounded is no
    capacity, and two such figures are not equal because they are alike.
    """
    found = []
    for workload in record.workloads:
        if workload.arm == record.scenario.baseline:
            continue
        base = Workload(record.scenario.baseline, workload.keep_alive)
        ours, other = record.knee(base), record.knee(workload)
        ends = (ours.confirmed_rps, ours.refuted_rps, other.confirmed_rps, other.refuted_rps)
        lowest = highest = None
        if all(end is not None for end in ends) and base in record.workloads:
            low, high, other_low, other_high = (end or 0.0 for end in ends)
            lowest, highest = low / other_high, high / other_low
        faults = [
            f"{one.arm} is {bound}"
            for one in (base, workload)
            if (bound := find_bound(record, one)) is not Bound.SERVER
        ]
        if lowest is None or highest is None:
            word = "INVALID: a knee has not both of its ends"
        elif faults:
            word = f"INVALID: {', '.join(faults)}"
        else:
            word = "higher" if lowest > 1 else "lower" if highest < 1 else "not told apart"
        found.append(KneeRatio(workload.arm, workload.keep_alive, lowest, highest, word))
    return tuple(found)


def plan_comparisons(record: CapacityRecord) -> tuple[Scenario, ...]:
    """The comparison of all arms at equal service, a scenario a workload whose knees are all confirmed.

    Its rates are shares of the weakest arm's knee, so that no arm is near its own.
    """
    found = []
    for kept in record.settings.keep_alive:
        knees = [record.knee(one).confirmed_rps for one in record.workloads if one.keep_alive is kept]
        if len(knees) < 2 or not all(knees):
            continue
        weakest_rps = min(knee for knee in knees if knee is not None)
        scenario = record.scenario.model_dump() | {
            "name": f"{record.scenario.name[:24]}-{'kept-alive' if kept else 'new'}",
            "arms": [arm.model_dump() for arm in record.scenario.arms],
            "capacity": None,
            "load": record.scenario.load.model_dump() | {"keep_alive": kept},
            "factors": {
                "load.rate_rps": tuple(float(round(share * weakest_rps)) for share in record.settings.shares)
            },
        }
        found.append(Scenario.model_validate(scenario, strict=False))
    return tuple(found)
