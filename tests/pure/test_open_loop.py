"""The open loop against real servers on the loopback: what arrives is sent, waits or is recorded, once."""

import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.generator.arrivals import draw_arrivals
from bench.generator.closed_loop import Connections
from bench.generator.compiled_loop import CompiledLoop
from bench.generator.open_loop import OpenConnections
from bench.generator.request_log import RequestLog
from bench.lab.hosts import command
from bench.scenario.load import Load
from bench.slots.metrics import find_free, measure_requests, number_requests
from bench.slots.requests import NO_CONNECTION, Outcome
from bench.wire.exchanges import request_target

from .servers import (
    ADDRESS,
    PATIENCE_S,
    Handler,
    after,
    answering,
    assert_stamps_in_order,
    at,
    closing_after,
    do_nothing,
    outcomes,
    page,
    read_request,
    reset,
    response,
    serving,
)

MS = 1_000_000


@pytest.fixture(params=["python", "compiled"], autouse=True)
def _each_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test of this file is of both loops."""
    if request.param == "compiled":
        monkeypatch.setattr(sys.modules[__name__], "Connections", CompiledLoop)
        monkeypatch.setattr(sys.modules[__name__], "OpenConnections", partial(CompiledLoop, is_open=True))


def take_arrivals(
    port: int,
    offsets_ns: Sequence[int] | np.ndarray,
    count: int = 1,
    window_s: float = 0.0,
    drain_s: float = PATIENCE_S,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Records, arrivals and opened connections of a window, by default until the last arrival."""
    log = RequestLog()
    connections = OpenConnections(at(port), page(), count, log, connect_s=PATIENCE_S)
    arrivals = np.asarray(offsets_ns, dtype=np.int64) + time.monotonic_ns()
    try:
        connections.schedule(arrivals)
        end_ns = after(window_s) if window_s else int(arrivals.max(initial=0)) + 1
        connections.drive(end_ns, do_nothing)
        connections.drain(after(drain_s), do_nothing)
    finally:
        connections.close()
    return log.records(), arrivals, connections.opened


def silence(connection: socket.socket, number: int) -> None:
    """Read, and never answer."""
    while read_request(connection):
        pass


# A server that behaves.


def test_every_request_is_sent_at_or_after_its_time_and_is_answered() -> None:
    with serving(answering(response())) as port:
        records, arrivals, opened = take_arrivals(port, draw_arrivals("poisson", 500, 0.3, seed=1), count=4)

    assert opened == 4
    assert sorted(records["intended_ns"].tolist()) == arrivals.tolist()
    assert set(outcomes(records)) == {Outcome.OK}
    assert_stamps_in_order(records)


def test_requests_carry_their_numbers_in_the_order_of_the_arrivals() -> None:
    seen: list[bytes] = []
    with serving(answering(response(), seen=seen)) as port:
        records, _, _ = take_arrivals(port, range(0, 20 * MS, 2 * MS), count=3)

    targets = [request.split(b" ")[1].decode() for request in seen]
    assert sorted(targets) == [request_target("/1024", number) for number in range(10)]
    by_number = np.argsort(number_requests(records))
    assert (np.diff(records["intended_ns"][by_number]) > 0).all()


def test_a_generator_that_sleeps_sends_every_request_at_or_after_its_time_and_never_looks_in_vain() -> None:
    log = RequestLog()
    offsets_ns = draw_arrivals("poisson", 500, 0.3, seed=1)
    with serving(answering(response())) as port:
        connections = OpenConnections(at(port), page("/"), 4, log, connect_s=PATIENCE_S, sleeps=True)
        arrivals = offsets_ns + time.monotonic_ns()
        connections.schedule(arrivals)
        connections.drive(int(arrivals.max()) + 1, do_nothing)
        connections.drain(after(PATIENCE_S), do_nothing)
        connections.close()
    records = log.records()

    assert sorted(records["intended_ns"].tolist()) == arrivals.tolist()
    assert set(outcomes(records)) == {Outcome.OK}
    assert_stamps_in_order(records)
    assert connections.spun_ns == 0


def test_a_generator_that_sleeps_works_off_what_waits_for_a_connection() -> None:
    with serving(answering(response())) as port:
        log = RequestLog()
        connections = OpenConnections(at(port), page("/"), 1, log, connect_s=PATIENCE_S, sleeps=True)
        arrivals = np.full(50, time.monotonic_ns(), dtype=np.int64)
        connections.schedule(arrivals)
        connections.drive(after(0.05), do_nothing)
        connections.drain(after(PATIENCE_S), do_nothing)
        connections.close()

    assert outcomes(log.records()) == [Outcome.OK] * 50


def test_connections_take_turns() -> None:
    with serving(answering(response())) as port:
        records, _, _ = take_arrivals(port, range(0, 120 * MS, 20 * MS), count=3)
    by_time = records[np.argsort(records["intended_ns"])]

    assert Counter(by_time["connection"].tolist()) == {0: 2, 1: 2, 2: 2}


def test_a_window_in_parts_is_one_window() -> None:
    offsets_ns = draw_arrivals("uniform", 400, 0.2, seed=1)
    log = RequestLog()
    with serving(answering(response())) as port:
        connections = OpenConnections(at(port), page("/"), 2, log, connect_s=PATIENCE_S)
        start_ns = time.monotonic_ns()
        connections.schedule(start_ns + offsets_ns)
        for part in (50, 100, 150, 200):
            connections.drive(start_ns + part * MS, do_nothing)
        connections.drain(after(PATIENCE_S), do_nothing)
        connections.close()

    assert sorted(log.records()["intended_ns"].tolist()) == (start_ns + offsets_ns).tolist()
    assert set(outcomes(log.records())) == {Outcome.OK}


def test_a_window_lasts_to_its_end_though_nothing_arrives_any_more() -> None:
    with serving(answering(response())) as port:
        before_ns = time.monotonic_ns()
        records, _, _ = take_arrivals(port, [0], window_s=0.1)

    assert time.monotonic_ns() - before_ns >= 100 * MS
    assert outcomes(records) == [Outcome.OK]


def test_a_window_without_arrivals_has_no_records() -> None:
    with serving(answering(response())) as port:
        records, _, _ = take_arrivals(port, [], window_s=0.01)

    assert len(records) == 0


# Waiting.


def test_a_request_without_a_free_connection_waits_and_counts_from_its_own_time() -> None:
    may_answer = threading.Event()

    def handle(connection: socket.socket, number: int) -> None:
        while read_request(connection):
            may_answer.wait(PATIENCE_S)
            connection.sendall(response())

    with serving(handle) as port:
        timer = threading.Timer(0.1, may_answer.set)
        timer.start()
        records, arrivals, _ = take_arrivals(port, [0, 1 * MS, 2 * MS, 3 * MS], count=1)
        timer.join()

    assert records["intended_ns"].tolist() == arrivals.tolist(), "first come, first served"
    assert (records["sent_ns"][1:] >= records["done_ns"][:-1]).all()
    assert find_free(records, connections=1).tolist() == [True, False, False, False]
    assert_stamps_in_order(records)


class Stall:
    """A server that answers at once, but for one time of `seconds`, in which it answers nobody."""

    def __init__(self, after_requests: int, seconds: float) -> None:
        self._lock = threading.Lock()
        self._left, self._seconds = after_requests, seconds
        self.begin_ns = self.end_ns = 0

    def handle(self, connection: socket.socket, number: int) -> None:
        while read_request(connection):
            with self._lock:
                self._left -= 1
                if self._left == 0:
                    self.begin_ns = time.monotonic_ns()
                    time.sleep(self._seconds)  # The lock is held, so that the others wait as well.
                    self.end_ns = time.monotonic_ns()
            connection.sendall(response())

    def intended_inside(self, records: np.ndarray) -> np.ndarray:
        intended_ns = records["intended_ns"]
        found: np.ndarray = records[(intended_ns > self.begin_ns) & (intended_ns < self.end_ns)]
        return found


def test_a_closed_loop_hides_a_stall_that_an_open_loop_shows() -> None:
    """200 ms of silence in a second at 500/s: a hundred people would have met it, four connections did."""
    count, rate, stall_s = 4, 500, 0.2
    closed_stall, open_stall = Stall(50, stall_s), Stall(50, stall_s)
    log = RequestLog()
    with serving(closed_stall.handle) as port:
        connections = Connections(at(port), page("/"), count, log, connect_s=PATIENCE_S)
        connections.drive(after(1), do_nothing)
        connections.drain(after(PATIENCE_S), do_nothing)
        connections.close()
    closed = log.records()
    with serving(open_stall.handle) as port:
        opened, arrivals, _ = take_arrivals(port, draw_arrivals("uniform", rate, 1, seed=1), count=count)

    # The closed loop stops asking while it is not answered: a request a connection saw the stall.
    assert 1 <= closed_stall.begin_ns < closed_stall.end_ns
    assert len(closed_stall.intended_inside(closed)) <= count
    # The open loop's requests arrived all the same, and not one was answered before the stall's end.
    met = open_stall.intended_inside(opened)
    assert len(met) >= rate * stall_s - 2
    assert (met["done_ns"] >= open_stall.end_ns).all()
    # But for those few that were in flight, only the response time knows: service began afterwards.
    assert (met["sent_ns"] < open_stall.end_ns).sum() <= count
    # So the p99 of responses is of the stall: a tenth of all waited for more than half of it.
    load = Load(model="open", rate_rps=rate, connections=count)
    found = measure_requests(opened, int(arrivals[0]), int(arrivals[-1]) + 1, load)
    waited_us = (met["done_ns"] - met["intended_ns"]) / 1e3
    assert (waited_us > stall_s * 1e6 / 2).sum() >= rate * stall_s / 2 - 2
    assert found.requests == len(arrivals)
    assert found.open_loop is not None
    assert found.open_loop.waited >= rate * stall_s - 2 - count


# Servers that do not behave.


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 20 * MS), max_size=40).map(sorted),
    st.integers(1, 3),
    st.one_of(st.none(), st.integers(0, 5)),
)
def test_every_arrival_is_recorded_exactly_once(
    offsets_ns: list[int], count: int, answers: int | None
) -> None:
    """Whatever the server does: it answers all, or a number of requests a connection, and closes."""
    handle = answering(response()) if answers is None else closing_after(*[response()] * answers)
    with serving(handle) as port:
        records, arrivals, _ = take_arrivals(port, offsets_ns, count)

    assert sorted(records["intended_ns"].tolist()) == arrivals.tolist()
    if answers is None:
        assert set(outcomes(records)) <= {Outcome.OK}


@settings(max_examples=10)
@given(st.lists(st.integers(0, 5 * MS), max_size=12).map(sorted), st.integers(1, 3))
def test_every_arrival_is_recorded_once_though_nobody_answers(offsets_ns: list[int], count: int) -> None:
    with serving(silence) as port:
        records, arrivals, _ = take_arrivals(port, offsets_ns, count, drain_s=0.01)

    assert sorted(records["intended_ns"].tolist()) == arrivals.tolist()
    assert set(outcomes(records)) <= {Outcome.UNFINISHED}


def test_what_was_never_sent_is_unfinished_without_a_sending() -> None:
    with serving(silence) as port:
        records, arrivals, _ = take_arrivals(port, [0, 1, 2, 3, 4], count=2, drain_s=0.05)
    unsent = records[records["sent_ns"] == 0]

    assert outcomes(records) == [Outcome.UNFINISHED] * 5
    assert unsent["intended_ns"].tolist() == arrivals[2:].tolist()
    assert set(unsent["connection"].tolist()) == {NO_CONNECTION}
    for column in ("first_byte_ns", "done_ns", "bytes", "status"):
        assert records[column].tolist() == [0] * 5


def test_the_drain_sends_nothing_whose_time_has_not_come() -> None:
    seen: list[bytes] = []
    with serving(answering(response(), seen=seen)) as port:
        records, _, _ = take_arrivals(port, [0, 3_600_000 * MS], window_s=0.01)

    assert sorted(outcomes(records)) == [Outcome.OK, Outcome.UNFINISHED]
    assert len(seen) == 1


def test_a_reset_half_way_is_one_error_and_the_arrivals_go_on() -> None:
    def handle(connection: socket.socket, number: int) -> None:
        if number == 0:
            for _ in range(3):
                read_request(connection)
                connection.sendall(response())
            read_request(connection)
            connection.sendall(response()[:100])
            reset(connection)
        else:
            answering(response())(connection, number)

    with serving(handle) as port:
        records, arrivals, opened = take_arrivals(port, range(0, 100 * MS, 5 * MS))

    assert sorted(records["intended_ns"].tolist()) == arrivals.tolist()
    assert Counter(outcomes(records)) == {Outcome.OK: 19, Outcome.CONNECTION_ERROR: 1}
    assert opened == 2


def test_a_server_that_went_away_leaves_the_rest_unfinished() -> None:
    log = RequestLog()
    with socket.create_server((ADDRESS, 0)) as listener:
        listener.settimeout(PATIENCE_S)
        connections = OpenConnections(at(listener.getsockname()[1]), page("/"), 2, log, connect_s=PATIENCE_S)
        for _ in range(2):
            listener.accept()[0].close()
    connections.schedule(time.monotonic_ns() + np.arange(0, 50 * MS, 10 * MS))
    connections.drive(after(PATIENCE_S), do_nothing)
    connections.drain(after(PATIENCE_S), do_nothing)
    connections.close()

    assert len(log.records()) == 5
    assert set(outcomes(log.records())) <= {Outcome.UNFINISHED, Outcome.CONNECTION_ERROR}
    assert Outcome.UNFINISHED in outcomes(log.records())


@pytest.mark.parametrize("handle", [answering(response()), silence], ids=["answers", "silence"])
def test_other_tasks_get_their_turn_during_a_window(handle: Handler) -> None:
    pauses: list[int] = []
    log = RequestLog()
    with serving(handle) as port:
        connections = OpenConnections(at(port), page("/"), 1, log, connect_s=PATIENCE_S)
        connections.schedule(time.monotonic_ns() + np.arange(0, 300 * MS, 5 * MS))
        connections.drive(after(0.3), lambda: pauses.append(1))
        connections.close()

    assert pauses


def test_looking_out_for_an_arrival_is_told_apart_from_work() -> None:
    log = RequestLog()
    with serving(answering(response())) as port:
        connections = OpenConnections(at(port), page("/"), 1, log, connect_s=PATIENCE_S)
        connections.schedule(time.monotonic_ns() + np.arange(0, 50 * MS, MS))
        begun_ns = time.monotonic_ns()
        connections.drive(after(0.05), do_nothing)
        took_ns = time.monotonic_ns() - begun_ns
        connections.close()

    assert 0 < connections.spun_ns < took_ns


# Under Locust.

PROGRAM = """
import json, sys
from bench.generator.users import ENGINES, Order, OrderedEnvironment
from bench.generator.ask import Ask

User = ENGINES[sys.argv[2]]
environment = OrderedEnvironment(user_classes=[User])
asks = (Ask(path="/1024"),)
order = Order("host", "127.0.0.1", int(sys.argv[1]), asks, 2, 0.1, 0.3, 1, rate_rps=200.0, arrival_seed=7)
User(environment).drive(order)
environment.feed(order, asks)
records = order.log.records()
print(json.dumps({
    "offsets_ns": sorted((records["intended_ns"] - order.window_start_ns).tolist()),
    "window_ns": order.window_end_ns - order.window_start_ns,
    "opened": order.opened,
    "spun": order.spun_ns > 0,
    "connected": order.connected,
    "loop": order.loop,
    "response_ms": float((records["done_ns"] - records["intended_ns"]).sum() / 1e6),
    "locust": [environment.stats.total.num_requests, environment.stats.total.total_response_time],
}))
"""


@pytest.mark.parametrize(
    ("engine", "loop"), [("raw", "compiled"), ("raw-python", "Python (asked for)")], ids=["raw", "raw-python"]
)
def test_an_order_with_a_rate_is_an_open_loop_whose_responses_locust_counts(engine: str, loop: str) -> None:
    with serving(answering(response())) as port:
        seen = json.loads(command.run([sys.executable, "-c", PROGRAM, str(port), engine], timeout_s=60))
    expected = draw_arrivals("poisson", 200, 0.4, seed=7) - 100 * MS

    assert seen["offsets_ns"] == expected.tolist()
    assert (seen["connected"], seen["loop"]) == (2, loop)
    assert (seen["window_ns"], seen["opened"], seen["spun"]) == (300 * MS, 2, True)
    assert seen["locust"] == [len(expected), pytest.approx(seen["response_ms"])]
