"""A load that several workers share: whose connections, whose arrivals, and their records as one."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.generator.asks import Mix
from bench.generator.protocol import Driven, Records
from bench.generator.request_log import RequestLog
from bench.generator.shares import Offset, count_workers, merge, share, sum_up
from bench.scenario.load import Load
from bench.slots.requests import NO_CONNECTION, RECORD_DTYPE, Outcome
from bench.wire.exchanges import request_target

from .servers import after, answering, at, do_nothing, page, response, serving


@pytest.mark.parametrize(("count", "workers"), [(1, 1), (7, 3), (4, 4), (10_000, 64), (3, 2)])
def test_every_connection_is_of_one_worker_and_no_worker_has_many_more(count: int, workers: int) -> None:
    shares = [share(count, worker, workers) for worker in range(workers)]
    assert [number for mine in shares for number in mine] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    ("workers", "connections", "expected"), [(1, 1, 1), (3, 8, 3), ("cores", 64, 8), ("cores", 2, 2)]
)
def test_there_is_a_worker_a_core_and_none_without_a_connection(
    workers: Any, connections: int, expected: int
) -> None:
    client: Any = SimpleNamespace(cpus="0-3,8-11")
    assert count_workers(Load(workers=workers, connections=connections), client) == expected


def record(done_ns: int, connection: int, sent_ns: int = 5) -> tuple[int, ...]:
    return (3 if sent_ns else 9, sent_ns, done_ns and done_ns - 1, done_ns, 7, connection, 0, 200, Outcome.OK)


def test_records_of_workers_are_one_array_by_their_ends_with_one_clock_and_one_numbering() -> None:
    first = np.array([record(10, 0), record(30, 1), record(0, 0)], RECORD_DTYPE)
    second = np.array([record(15, 0), record(0, NO_CONNECTION, sent_ns=0)], RECORD_DTYPE)

    merged = merge([first, second], connections=[2, 1], offsets_ns=[0, 100])

    assert merged["done_ns"].tolist() == [10, 30, 115, 0, 0]
    assert merged["first_byte_ns"].tolist() == [9, 29, 114, 0, 0]
    assert merged["sent_ns"].tolist() == [5, 5, 105, 5, 0]
    assert merged["intended_ns"].tolist() == [3, 3, 103, 3, 109]
    assert merged["connection"].tolist() == [0, 1, 2, 0, NO_CONNECTION]
    assert first["done_ns"].tolist() == [10, 30, 0]


def test_one_worker_s_records_are_not_copied() -> None:
    alone = np.array([record(10, 0)], RECORD_DTYPE)
    assert merge([alone], [1], [0]) is alone


def driven(**changes: object) -> Driven:
    given = Driven.failed("").model_dump() | {
        "parts": [Records(path="a", connections=1)],
        "window_start_ns": 100,
        "window_end_ns": 200,
        "opened": 2,
        "core_busy": {0: 0.5},
        "cpu_share": 0.1,
        "connected": 1,
        "loop": "compiled",
    }
    return Driven.model_validate(given | changes)


def test_the_window_of_all_is_what_each_had_by_the_master_s_clock() -> None:
    later = driven(
        window_start_ns=1_130,
        window_end_ns=1_180,
        core_busy={0: 0.2, 1: 0.9},
        cpu_share=0.3,
        connected=3,
        handshakes=3,
        resumed=1,
    )
    found = sum_up([driven(), later], [Offset(0, 0), Offset(-1_000, 7)], locust_requests=42)

    assert (found.window_start_ns, found.window_end_ns) == (130, 180)
    assert (found.opened, found.connected, found.locust_requests) == (4, 4, 42)
    assert (found.handshakes, found.resumed) == (3, 1)
    assert (found.core_busy, found.cpu_share, found.loop) == ({0: 0.5, 1: 0.9}, 0.3, "compiled")
    assert [(part.clock_offset_ns, part.clock_error_ns) for part in found.parts] == [(0, 0), (-1_000, 7)]


def test_a_worker_that_shows_no_connections_leaves_their_number_unknown() -> None:
    assert sum_up([driven(), driven(connected=None)], [Offset(0, 0)] * 2, 0).connected is None


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "Python"])
def test_a_worker_numbers_its_requests_as_all_arrivals_together_are(compiled: bool) -> None:
    # Imported here: these two patch nothing, and the tests above need neither.
    from bench.generator.compiled_loop import CompiledLoop
    from bench.generator.open_loop import OpenConnections

    seen: list[bytes] = []
    with serving(answering(response(), seen=seen)) as port:
        given = (at(port), Mix(page().asks, worker=2, workers=4), 1, RequestLog())
        loop = CompiledLoop(*given, is_open=True) if compiled else OpenConnections(*given)
        loop.schedule(np.array([after(0), after(0.001), after(0.002)]))
        loop.drive(after(0.05), do_nothing)
        loop.close()
    targets = [request.split(b" ")[1].decode() for request in seen]
    assert targets == [request_target("/1024", number) for number in (2, 6, 10)]
