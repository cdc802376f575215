"""A connection a request, against real servers on the loopback."""

import socket
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from bench.generator.arrivals import draw_arrivals
from bench.generator.compiled_loop import CompiledLoop
from bench.generator.fresh_connections import FreshConnections
from bench.generator.open_loop import OpenFreshConnections
from bench.generator.request_log import RequestLog
from bench.slots.requests import Outcome

from .servers import ADDRESS, CHUNKED, MISCHUNKED, Handler, at, chunked, page, read_request, serving


@pytest.fixture(params=["python", "compiled"], autouse=True)
def _each_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test of this file is of both loops."""
    if request.param == "compiled":
        fresh = partial(CompiledLoop, keep_alive=False)
        monkeypatch.setattr(sys.modules[__name__], "FreshConnections", fresh)
        monkeypatch.setattr(sys.modules[__name__], "OpenFreshConnections", partial(fresh, is_open=True))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"


def answer(*parts: bytes, after_s: float = 0.0) -> Handler:
    """Answer one request with `parts`, a send each, and close."""

    def handle(connection: socket.socket, _: int) -> None:
        if read_request(connection):
            for part in parts:
                connection.sendall(part)
                time.sleep(after_s)

    return handle


def load(port: int, clients: int = 1, seconds: float = 0.2) -> tuple[np.ndarray, FreshConnections]:
    log = RequestLog()
    connections = FreshConnections(at(port), page(), clients, log)
    connections.drive(time.monotonic_ns() + round(seconds * 1e9), lambda: None)
    connections.drain(time.monotonic_ns() + 2_000_000_000, lambda: None)
    connections.close()
    return log.records(), connections


@pytest.mark.parametrize("clients", [1, 7])
def test_every_request_has_a_connection_of_its_own_and_asks_for_its_end(clients: int) -> None:
    asked: list[bytes] = []

    def closing(connection: socket.socket, number: int) -> None:
        asked.append(read_request(connection))
        connection.sendall(HEAD + b"bench")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""

    with serving(closing) as port:
        records, connections = load(port, clients)

    assert len(records) == connections.opened == len(asked) > clients
    assert set(records["outcome"]) == {Outcome.OK}
    assert set(records["bytes"]) == {5}
    assert set(records["connection"]) == set(range(clients))
    assert all(b"\r\nConnection: close\r\n" in request for request in asked)


def test_the_stamps_of_a_request_are_in_order_and_count_from_before_its_handshake() -> None:
    with serving(answer(HEAD, b"ben", b"ch", after_s=0.002)) as port:
        records, _ = load(port, 2)

    for earlier, later in (
        ("intended_ns", "sent_ns"),
        ("sent_ns", "first_byte_ns"),
        ("first_byte_ns", "done_ns"),
    ):
        assert (records[earlier] <= records[later]).all()
    of_one = records[records["connection"] == 0]
    assert (of_one["intended_ns"][1:] >= of_one["done_ns"][:-1]).all()


@pytest.mark.parametrize(
    ("handle", "outcome"),
    [
        (answer(HEAD + b"be"), Outcome.CONNECTION_ERROR),
        (answer(b""), Outcome.CONNECTION_ERROR),
        (answer(HEAD + b"bench!"), Outcome.FRAMING_ERROR),
        (answer(b"HTTP/1.1 200 OK\r\n\r\nbench"), Outcome.FRAMING_ERROR),
        (answer(chunked(b"bench")[:-2]), Outcome.CONNECTION_ERROR),
        (answer(CHUNKED + MISCHUNKED["more than the size"]), Outcome.FRAMING_ERROR),
        (answer(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), Outcome.HTTP_ERROR),
    ],
    ids=[
        "cut off",
        "no answer",
        "more than was stated",
        "of no stated length",
        "chunks that are cut off",
        "chunks that are none",
        "another status",
    ],
)
def test_what_is_not_one_whole_response_is_a_counted_error(handle: Handler, outcome: Outcome) -> None:
    with serving(handle) as port:
        records, connections = load(port, seconds=0.05)

    assert set(records["outcome"]) == {outcome}
    assert len(records) == connections.opened


def test_a_server_that_refuses_connections_is_a_counted_error() -> None:
    with socket.create_server((ADDRESS, 0)) as listener:
        port = listener.getsockname()[1]
    records, connections = load(port, seconds=0.02)

    assert set(records["outcome"]) == {Outcome.CONNECTION_ERROR}
    assert len(records) == connections.opened > 0


def test_a_request_that_is_never_answered_is_recorded_as_unfinished_and_its_connection_is_reset() -> None:
    resets: list[int] = []

    def silent(connection: socket.socket, number: int) -> None:
        read_request(connection)
        try:
            connection.recv(1)
        except ConnectionResetError:
            resets.append(number)

    log = RequestLog()
    with serving(silent) as port:
        connections = FreshConnections(at(port), page(), 3, log)
        connections.drive(time.monotonic_ns() + 50_000_000, lambda: None)
        connections.drain(time.monotonic_ns() + 50_000_000, lambda: None)
        connections.close()

    assert list(log.records()["outcome"]) == [Outcome.UNFINISHED] * 3
    assert sorted(resets) == [0, 1, 2]
    assert (log.records()["done_ns"] == 0).all()


def test_an_address_may_be_of_either_family() -> None:
    asked: list[bytes] = []

    def closing(connection: socket.socket, _: int) -> None:
        asked.append(read_request(connection))
        connection.sendall(HEAD + b"bench")

    log = RequestLog()
    with serving(closing, "::1") as port:
        connections = FreshConnections(at(port, "::1"), page(), 2, log)
        connections.drive(time.monotonic_ns() + 50_000_000, lambda: None)
        connections.drain(time.monotonic_ns() + 2_000_000_000, lambda: None)
        connections.close()

    assert set(log.records()["outcome"]) == {Outcome.OK}
    assert all(f"\r\nHost: [::1]:{port}\r\n".encode() in request for request in asked)


def test_a_head_without_end_is_no_response_however_long_it_grows() -> None:
    with serving(answer(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 600_000)) as port:
        records, _ = load(port, seconds=0.05)

    assert set(records["outcome"]) == {Outcome.FRAMING_ERROR}


def test_other_tasks_get_their_turn() -> None:
    turns: list[Callable[[], None]] = []
    log = RequestLog()
    with serving(answer(HEAD + b"bench")) as port:
        connections = FreshConnections(at(port), page(), 1, log)
        connections.drive(time.monotonic_ns() + 100_000_000, lambda: turns.append(print))
        connections.close()

    assert turns


# At given times.


def take_arrivals(
    port: int, arrivals: np.ndarray, clients: int = 4, drain_s: float = 2.0
) -> tuple[np.ndarray, OpenFreshConnections]:
    """Records of a window that ends with the last arrival (CLOCK_MONOTONIC ns)."""
    log = RequestLog()
    connections = OpenFreshConnections(at(port), page(), clients, log)
    connections.schedule(arrivals)
    connections.drive(int(arrivals.max()) + 1, lambda: None)
    connections.drain(time.monotonic_ns() + round(drain_s * 1e9), lambda: None)
    connections.close()
    return log.records(), connections


def test_each_arrival_has_a_connection_of_its_own_and_its_time_is_kept() -> None:
    arrivals = time.monotonic_ns() + 20_000_000 + draw_arrivals("poisson", 500, 0.3, seed=1)
    with serving(answer(HEAD + b"bench")) as port:
        records, connections = take_arrivals(port, arrivals)

    assert sorted(records["intended_ns"].tolist()) == arrivals.tolist()
    assert set(records["outcome"]) == {Outcome.OK}
    assert connections.opened == len(arrivals)
    assert (records["intended_ns"] <= records["sent_ns"]).all()
    assert (records["sent_ns"] < records["first_byte_ns"]).all()


def test_an_arrival_that_finds_all_clients_busy_waits_and_its_latency_says_so() -> None:
    slow_s = 0.05
    arrivals = time.monotonic_ns() + np.array([20, 21, 22]) * 1_000_000
    with serving(answer(b"", HEAD + b"bench", after_s=slow_s)) as port:
        records, _ = take_arrivals(port, arrivals, clients=1)

    by_arrival = records[np.argsort(records["intended_ns"])]
    assert set(records["outcome"]) == {Outcome.OK}
    assert (by_arrival["sent_ns"][1:] >= by_arrival["done_ns"][:-1]).all()
    assert by_arrival["done_ns"][2] - by_arrival["intended_ns"][2] >= 2 * slow_s * 1e9


def test_arrivals_that_were_never_sent_are_recorded_as_unfinished() -> None:
    def silent(connection: socket.socket, _: int) -> None:
        read_request(connection)
        connection.recv(1)

    arrivals = time.monotonic_ns() + np.array([10, 11, 12]) * 1_000_000
    with serving(silent) as port:
        records, connections = take_arrivals(port, arrivals, clients=1, drain_s=0.05)

    assert sorted(records["intended_ns"].tolist()) == arrivals.tolist()
    assert set(records["outcome"]) == {Outcome.UNFINISHED}
    assert connections.opened == 1
    assert list(records["sent_ns"] > 0).count(True) == 1
