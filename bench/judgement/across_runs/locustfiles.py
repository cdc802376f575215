"""Runs whose load is a locustfile: its text is part of their question, and they are on no map with others."""

from collections.abc import Sequence

from bench.errors import InputError
from bench.records.run import RunRecord


def list_locustfiles(record: RunRecord) -> list[str]:
    """What drove the slots of a run whose load is a locustfile, by name and digest; empty of another load."""
    if not record.scenario.load.by_locustfile:
        return []
    found = (slot.evidence.get("load loop") for slot in record.slots if slot.measured)
    return sorted({loop for loop in found if loop})


def describe_locustfile(record: RunRecord) -> dict[str, str]:
    """The text of a run's locustfile, which is a part of its question; nothing of another load."""
    found = list_locustfiles(record)
    return {"locustfile": "; ".join(found)} if found else {}


def require_mappable(records: Sequence[RunRecord]) -> None:
    """Raise InputError where runs of a locustfile and of other loads would be on one map."""
    own = [record.id for record in records if record.scenario.load.by_locustfile]
    if own and len(own) < len(records):
        raise InputError(
            "Mapping several runs",
            f"the load of {', '.join(own)} is a locustfile, and that of the others is not",
            "Latencies of Locust's clients are comparable with no other engine's: map them by themselves.",
        )
