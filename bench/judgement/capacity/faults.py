"""What of a stored capacity measurement does not go together: a line a fault, all at once."""

from collections.abc import Iterator

from bench.judgement.capacity.record import NULL_SERVER, CapacityRecord
from bench.records.faults import find_slot_faults


def find_capacity_faults(record: CapacityRecord) -> list[str]:
    """Every fault of `record`, by dotted field."""
    return [*_faults_of_arms(record), *_faults_of_probes(record), *_faults_of_workers(record)]


def _faults_of_arms(record: CapacityRecord) -> Iterator[str]:
    arms = {arm.name for arm in record.scenario.arms}
    named = {
        "unavailable": list(record.unavailable),
        "probes": [probe.arm for probe in record.probes if probe.arm != NULL_SERVER],
        "wrk": [reading.arm for reading in record.wrk],
        "second_workers": [worker.arm for worker in record.second_workers],
    }
    for field, names in named.items():
        for name in dict.fromkeys(names):
            if name not in arms:
                yield f"{field}: the scenario has no arm {name:.60}"


def _faults_of_probes(record: CapacityRecord) -> Iterator[str]:
    for place, probe in enumerate(record.probes):
        if probe.slot:
            measured = probe.slot.slot.arm
            if measured != probe.arm:
                yield f"probes.{place}.slot: is of {measured:.60}, and the probe of {probe.arm:.60}"
            yield from find_slot_faults(probe.slot, f"probes.{place}.slot")


def _faults_of_workers(record: CapacityRecord) -> Iterator[str]:
    for place, worker in enumerate(record.second_workers):
        if not worker.reason and not worker.alone_rps:
            yield f"second_workers.{place}.alone_rps: is nothing, and no reason says why"
