"""Feeds recorded requests into Locust's own statistics, a batch at a time instead of one by one."""

import time
from typing import Any

import numpy as np
from locust.env import Environment
from locust.stats import StatsEntry

from bench.slots.requests import Outcome


def feed(
    environment: Environment, name: str, records: np.ndarray, since: str = "sent_ns", method: str = "GET"
) -> int:
    """Add `records` (RECORD_DTYPE) to the entry `name` and to the total; returns how many there were.

    `method`: as Locust shows it beside the name, of a load of several all of theirs.

    Response times count from the stamp `since`: in an open loop from `intended_ns`.
    Response times keep three significant digits, not Locust's whole milliseconds: at 20 us a
    request its own rounding would show 0.
    """
    if len(records) == 0:
        return 0
    # Locust's time is the wall clock's; the offset of the two clocks is taken once a batch.
    to_wall_ns = time.time_ns() - time.monotonic_ns()
    begun = np.maximum(records["sent_ns"], records["intended_ns"])  # Not all were sent.
    ended = np.where(records["done_ns"] > 0, records["done_ns"], begun)
    ok = records["outcome"] == Outcome.OK
    times_ms = (ended - records[since]) / 1e6
    # One that never ended counts as a failure; a time of 0 for it would be a lie in the percentiles.
    times_ms = times_ms[records["done_ns"] > 0]
    seconds = (ended + to_wall_ns) // 1_000_000_000
    stats = environment.stats
    for entry in (stats.total, stats.entries[(name, method)]):
        batch: Any = StatsEntry(stats, entry.name, entry.method)
        batch.start_time = float(seconds.min())
        batch.last_request_timestamp = float(seconds.max())
        batch.num_requests = len(records)
        batch.num_none_requests = len(records) - len(times_ms)
        batch.num_failures = int((~ok).sum())
        if len(times_ms):
            batch.total_response_time = float(times_ms.sum())
            batch.min_response_time = float(times_ms.min())
            batch.max_response_time = float(times_ms.max())
        batch.total_content_length = int(records["bytes"].sum())
        batch.response_times = _counts(_three_digits(times_ms))
        batch.num_reqs_per_sec = _counts(seconds)
        batch.num_fail_per_sec = _counts(seconds[~ok])
        entry.extend(batch)
    return len(records)


def _three_digits(values: np.ndarray) -> np.ndarray:
    scale: np.ndarray = 10.0 ** (np.floor(np.log10(np.maximum(values, 1e-6))) - 2)
    rounded: np.ndarray = np.round(np.round(values / scale) * scale, 9)
    return rounded


def _counts(values: np.ndarray) -> dict[int, int]:
    unique, counts = np.unique(values, return_counts=True)
    return dict(zip(unique.tolist(), counts.tolist(), strict=True))
