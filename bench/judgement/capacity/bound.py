"""What bounds a knee, and what knees are worth against one another."""

from enum import StrEnum
from statistics import median
from typing import NamedTuple

from bench.judgement.capacity.curve import fit_ratio
from bench.judgement.capacity.knee import Outcome
from bench.judgement.capacity.record import (
    MAX_ADDED,
    MAX_CLIENT_BUSY,
    MAX_CLIENT_VOTES,
    MAX_WRK,
    MIN_HEADROOM,
    MIN_SERVER_BUSY,
    NULL_SERVER,
    CapacityRecord,
    Workload,
)
from bench.scenario.scenario import Scenario


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
    ratio: float | None
    """By the curves of both; None where a knee has not both of its ends."""
    ci95: tuple[float, float] | None
    word: str
    """`higher`, `lower`, `not told apart` (of the baseline's, by the interval), or `INVALID: <reason>`."""


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
        fitted = None
        if all(end is not None for end in ends) and base in record.workloads:
            fitted = fit_ratio(record.trials(base), record.trials(workload))
        faults = [
            f"{one.arm} is {bound}"
            for one in (base, workload)
            if (bound := find_bound(record, one)) is not Bound.SERVER
        ]
        if fitted is None:
            word = "INVALID: a knee has not both of its ends"
        elif faults:
            word = f"INVALID: {', '.join(faults)}"
        else:
            low, high = fitted.ci95
            word = "higher" if low > 1 else "lower" if high < 1 else "not told apart"
        ratio, ci95 = (fitted.ratio, fitted.ci95) if fitted else (None, None)
        found.append(KneeRatio(workload.arm, workload.keep_alive, ratio, ci95, word))
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


def name_workload(keep_alive: bool) -> str:
    """As a person writes it."""
    return "kept-alive connections" if keep_alive else "a new connection a request"
