"""Latencies of a run by what was asked for, where it was several things."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.results import columns
from bench.statistics.histogram import count_latencies, find_quantiles

if TYPE_CHECKING:
    from bench.records.run import SlotRecord
    from bench.results.run import Run

COLUMN = "request"
"""Of requests.parquet, in runs of several requests: an index into `scenario.asked`."""


@dataclass(frozen=True)
class Answered:
    """Answered requests of one kind, of an arm's valid slots together."""

    condition: int
    arm: str
    request: int
    """An index into `scenario.asked`."""
    count: int
    p50_us: float
    p99_us: float


def read_by_request(run: "Run") -> list[Answered]:
    """By condition, request and arm, in the scenario's order; empty where no slot says what was asked for.

    Reads the requests of every valid slot, one slot after another; raises InputError where it cannot.
    """
    counts: dict[tuple[int, int, str], np.ndarray] = {}
    for record in run.record.slots:
        if record.valid and record.requests:
            for request, latencies_us in _read_slot(run, record).items():
                place = record.slot.condition, request, record.slot.arm
                counted = count_latencies(latencies_us)
                counts[place] = counts[place] + counted if place in counts else counted
    arms = [arm.name for arm in run.record.scenario.arms]
    order = sorted(counts, key=lambda place: (*place[:2], arms.index(place[2])))
    levels = np.array([0.5, 0.99])
    return [
        Answered(
            condition, arm, request, int(found.sum()), *(float(us) for us in find_quantiles(found, levels))
        )
        for condition, request, arm in order
        for found in [counts[condition, request, arm]]
    ]


def _read_slot(run: "Run", record: "SlotRecord") -> dict[int, np.ndarray]:
    """Request -> us of those that were answered as they should, and count."""
    place = run.path, record.slot.directory
    if COLUMN not in columns.list_columns(*place):
        return {}
    begun = run.conditions[record.slot.condition].load.begin_column
    wanted = [begun, "done_ns", "outcome", COLUMN, *(["cell"] if record.turns else [])]
    sealed = run.sum_of(record, columns.REQUESTS_FILE)
    frame = columns.to_frame(columns.read_requests(*place, wanted, sealed))
    inside = frame[begun].between(record.window_start_ns, record.window_end_ns, inclusive="left")
    counted = inside & (frame["outcome"] == "ok")
    if record.turns:
        counted &= frame["cell"] >= 0
    kept = frame[counted]
    latencies_us = (kept["done_ns"] - kept[begun]) / 1e3
    known = len(run.record.scenario.asked)
    return {
        int(request): of_one.to_numpy()
        for request, of_one in latencies_us.groupby(kept[COLUMN])
        if 0 <= int(request) < known  # Whatever a file says that was not written here.
    }
