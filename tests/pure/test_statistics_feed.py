"""What Locust's own statistics make of recorded requests.

Importing Locust patches the interpreter, so each of these runs in one of its own, once for all tests.
"""

import json
import sys
from typing import Any

import pytest

from bench.lab.hosts import command

PROGRAM = """
import json, sys, time
from bench.generator import closed_loop  # before Locust patches select
from bench.slots.requests import RECORD_DTYPE, Outcome
import numpy as np
from locust.env import Environment
from bench.generator.locust_feed import feed

now = time.monotonic_ns()

def records(*rows):
    # (nanoseconds since the first, latency in ns, bytes, outcome)
    found = np.zeros(len(rows), RECORD_DTYPE)
    for index, (at, latency, size, outcome) in enumerate(rows):
        found[index]["sent_ns"] = now + at
        found[index]["done_ns"] = 0 if outcome == Outcome.UNFINISHED else now + at + latency
        found[index]["bytes"], found[index]["outcome"] = size, outcome
    return found

def describe(entry):
    return {
        "requests": entry.num_requests, "failures": entry.num_failures,
        "sum": entry.total_response_time, "least": entry.min_response_time, "most": entry.max_response_time,
        "median": entry.median_response_time, "bytes": entry.total_content_length,
        "times": sorted(entry.response_times.items()),
        "seconds": [key - time.time() for key in entry.num_reqs_per_sec],
        "each_second": list(entry.num_reqs_per_sec.values()),
        "failed_each_second": list(entry.num_fail_per_sec.values()),
        "last": entry.last_request_timestamp - time.time(),
    }

environment = Environment()
returned = [
    feed(environment, "host", records()),
    feed(environment, "host", records((0, 20_123, 1024, 0), (0, 20_149, 1024, 0), (10, 1_234_567, 1024, 0))),
    feed(environment, "host", records((3 * 10**9, 98_765_432, 5, int(Outcome.HTTP_ERROR)))),
    feed(environment, "bridge", records((0, 50_000, 1024, 0))),
]
# Of an open loop: one that waited, and one that was never sent.
waited = records((2_000_000, 50_000, 1024, 0), (0, 0, 0, int(Outcome.UNFINISHED)))
waited["intended_ns"] = now
waited["sent_ns"][1] = 0
open_loop = Environment()
feed(open_loop, "open", waited, "intended_ns")
entries = environment.stats.entries
print(json.dumps({
    "returned": returned,
    "names": sorted(entries),
    "host": describe(entries["host", "GET"]),
    "bridge": describe(entries["bridge", "GET"]),
    "total": describe(environment.stats.total),
    "open": describe(open_loop.stats.total),
}))
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """Locust's statistics after three good requests and a failed one of host, and one of bridge."""
    answer: dict[str, Any] = json.loads(command.run([sys.executable, "-c", PROGRAM], timeout_s=60))
    return answer


def test_a_batch_says_how_many_requests_it_held(seen: dict[str, Any]) -> None:
    assert seen["returned"] == [0, 3, 1, 1]


def test_each_arm_has_an_entry_of_its_own_and_all_are_in_the_total(seen: dict[str, Any]) -> None:
    assert seen["names"] == [["bridge", "GET"], ["host", "GET"]]
    assert [seen[name]["requests"] for name in ("host", "bridge", "total")] == [4, 1, 5]
    assert [seen[name]["failures"] for name in ("host", "bridge", "total")] == [1, 0, 1]
    assert [seen[name]["bytes"] for name in ("host", "bridge", "total")] == [3077, 1024, 4101]


def test_response_times_are_milliseconds_of_three_significant_digits(seen: dict[str, Any]) -> None:
    assert seen["host"]["times"] == [[0.0201, 2], [1.23, 1], [98.8, 1]]
    assert seen["total"]["times"] == [[0.0201, 2], [0.05, 1], [1.23, 1], [98.8, 1]]
    assert seen["total"]["median"] == 0.05


def test_sums_and_extremes_are_not_rounded(seen: dict[str, Any]) -> None:
    host = seen["host"]

    assert host["sum"] == pytest.approx(0.020123 + 0.020149 + 1.234567 + 98.765432)
    assert (host["least"], host["most"]) == (pytest.approx(0.020123), pytest.approx(98.765432))


def test_requests_are_counted_in_the_second_of_the_wall_clock_in_which_they_ended(
    seen: dict[str, Any],
) -> None:
    host = seen["host"]

    assert sum(host["each_second"]) == 4
    assert sum(host["failed_each_second"]) == 1
    # The stamps are of this process's own start and of three seconds later.
    assert all(-60 < second < 60 for second in host["seconds"])
    assert 2 <= max(host["seconds"]) - min(host["seconds"]) <= 4
    assert host["last"] == pytest.approx(max(host["seconds"]), abs=1)


def test_a_response_counts_from_its_intended_time_and_one_never_sent_is_a_failure_of_that_time(
    seen: dict[str, Any],
) -> None:
    found = seen["open"]

    assert (found["requests"], found["failures"], found["times"]) == (2, 1, [[2.05, 1]])
    assert all(-60 < second < 60 for second in found["seconds"])
