"""The search for the highest rate: which probe comes next."""

import random
from collections.abc import Iterator, Mapping
from statistics import median

from bench.judgement.capacity.knee import Outcome, is_given_up, next_rate, rates_to_confirm
from bench.judgement.capacity.record import (
    MAX_LATE_SHARE,
    NULL_SERVER,
    PROBE_OVERHEAD_S,
    PROBE_S,
    SEARCH_PROBES,
    CapacityRecord,
    Probe,
    Step,
    Workload,
)
from bench.records.run import SlotRecord
from bench.scenario.model import Capacity
from bench.scenario.scenario import Scenario
from bench.slots.gates.gate import Blame, GateKind
from bench.slots.gates.load import MAX_GENERATOR_CPU, MIN_ACHIEVED_SHARE


def expected_search_seconds(scenario: Scenario) -> float:
    """Expected seconds of search, confirmation and wrk, without the comparison at equal service."""
    settings = scenario.capacity or Capacity()
    arms, votes = len(scenario.compared), settings.confirmations
    probe_s = scenario.load.warm_up_s + PROBE_S + PROBE_OVERHEAD_S
    searched_s = (arms + 1) * SEARCH_PROBES * probe_s
    confirmed_s = arms * votes * (2 * probe_s + settings.wrk_s + PROBE_OVERHEAD_S)
    return len(settings.keep_alive) * (searched_s + confirmed_s)


def judge_slot(probe: Probe, slot: SlotRecord, settings: Capacity) -> Probe:
    """`probe` with its slot and all that follows from that one: shares, outcome and why."""
    changes: dict[str, object] = {"slot": slot, "generator_busy": slot.generator_busy}
    if slot.p99_latency_us is not None and slot.requests:
        changes |= {
            "achieved_share": slot.achieved_share,
            "error_share": (slot.errors + slot.unfinished) / slot.requests,
            "p99_ms": slot.p99_latency_us / 1e3,
        }
    failed = {gate.name: f"{gate.seen} {gate.detail}".strip() for gate in slot.failed_gates}
    return judge_probe(probe.model_copy(update=changes), failed, slot.lateness_p99_us, settings)


def judge_probe(
    probe: Probe, failed_gates: Mapping[GateKind, str], lateness_us: float | None, settings: Capacity
) -> Probe:
    """`probe` with its outcome and why. `failed_gates`: each -> what it saw.

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
    blamed = {
        blame: [f"{k}: {seen}" for k, seen in failed_gates.items() if k.blame is blame] for blame in Blame
    }
    limits = blamed[Blame.CLIENT]
    if probe.generator_busy is not None and probe.generator_busy > MAX_GENERATOR_CPU:
        limits.append(f"the generator's core was {probe.generator_busy:.0%} busy")
    if lateness_us is not None and lateness_us > MAX_LATE_SHARE * settings.limit_ms * 1e3:
        limits.append(f"the generator was {lateness_us / 1e3:.3g} ms late")
    # A wrong image or core is no measurement of this arm, whether it was fast or slow. Nor is a wrong path,
    # but a server with too much to do leaves connections unserved and requests without an answer, so that
    # its counters cannot agree; every knee has sustained probes below it, whose counters must.
    foreign = blamed[Blame.OTHER_SUBJECT] + ([] if faults else blamed[Blame.PATH])
    disturbed = blamed[Blame.DISTURBED]
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
