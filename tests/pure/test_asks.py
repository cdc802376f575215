"""A load's requests: their bytes, and in which order they are sent."""

import sys
from collections import Counter
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bench.generator.ask import Ask
from bench.generator.asks import DRAWN, Mix, draw_order, page_asks, render
from bench.generator.closed_loop import Connections
from bench.generator.compiled_loop import CompiledLoop
from bench.generator.fresh_connections import FreshConnections
from bench.generator.open_loop import OpenConnections
from bench.generator.protocol import ORDERS, Probe
from bench.generator.request_log import RequestLog
from bench.scenario.load import Load
from bench.slots.requests import Outcome

from .servers import (
    PATIENCE_S,
    after,
    answering,
    at,
    chunked,
    do_nothing,
    outcomes,
    read_body,
    read_head,
    read_request,
    response,
    serving,
)

BIG = bytes(range(256)) * 49_152
"""12 MiB: more than fits between a client and a server that does not read."""


@pytest.fixture(params=["python", "compiled"], autouse=True)
def _each_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test of this file is of both loops."""
    if request.param == "compiled":
        here = sys.modules[__name__]
        monkeypatch.setattr(here, "Connections", CompiledLoop)
        monkeypatch.setattr(here, "FreshConnections", partial(CompiledLoop, keep_alive=False))
        monkeypatch.setattr(here, "OpenConnections", partial(CompiledLoop, is_open=True))


def take_rounds(port: int, asks: tuple[Ask, ...], rounds: int, count: int = 1) -> tuple[np.ndarray, int]:
    """Records of `rounds` requests on each of `count` connections, and how many connections that took."""
    log = RequestLog()
    loop = Connections(at(port), Mix(asks), count, log, PATIENCE_S)
    for _ in range(rounds):
        loop.drive(after(0), do_nothing)
        loop.drain(after(PATIENCE_S), do_nothing)
    loop.close()
    return log.records(), loop.opened


# Bytes.


@pytest.mark.parametrize(
    ("ask", "kept"),
    [
        (Ask(path="/1024", numbered=True), "GET /1024 HTTP/1.1\r\nHost: h\r\n\r\n"),
        (Ask(path="/", method="POST"), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
        (Ask(path="/", body=b"ab"), "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"),
        (
            Ask(path="/?q", headers=(("A", "\u00e4"), ("host", "other"))),
            "GET /?q HTTP/1.1\r\nA: \u00e4\r\nhost: other\r\n\r\n",
        ),
    ],
    ids=["a page", "a method with a body", "a body", "a host of its own"],
)
def test_a_request_is_sent_as_it_was_asked(ask: Ask, kept: str) -> None:
    assert render(ask, "h", keep_alive=True) == kept.encode()


def test_a_request_on_a_connection_of_its_own_asks_for_its_end_unless_it_says_something_else() -> None:
    assert b"\r\nConnection: close\r\n\r\n" in render(Ask(path="/"), "h", keep_alive=False)
    own = Ask(path="/", headers=(("connection", "keep-alive"),))
    assert render(own, "h", keep_alive=False).count(b"onnection") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "/ x"},
        {"path": ""},
        {"path": "/", "method": "GE T"},
        {"path": "/", "method": "CONNECT"},
        {"path": "/", "headers": (("A", "b\r\nC: d"),)},
        {"path": "/", "headers": (("A:", "b"),)},
        {"path": "/", "headers": (("content-length", "1"),)},
        {"path": "/", "body": b"x" * (16_777_216 + 1)},
        {"path": "/", "weight": 0},
        {"path": "/", "status": 100},
    ],
    ids=str,
)
def test_what_is_no_request_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        Ask(**wrong)


def test_a_body_of_any_bytes_is_carried_by_an_order() -> None:
    order = Probe(address="a", port=1, ask=Ask(path="/", body=bytes(range(256))), timeout_s=1)
    assert ORDERS.validate_json(order.line()) == order


# The order.


def test_every_round_has_each_ask_as_often_as_its_weight_says() -> None:
    order = draw_order((6, 2, 4), seed=1)

    assert len(order) >= DRAWN
    rounds = order.reshape(-1, 6)
    assert all(Counter(one.tolist()) == {0: 3, 1: 1, 2: 2} for one in rounds)
    assert len({tuple(one) for one in rounds.tolist()}) > 10


def test_the_order_is_the_same_from_the_same_seed_and_of_one_ask_there_is_but_one() -> None:
    assert draw_order((1, 2), 7).tolist() == draw_order((1, 2), 7).tolist()
    assert draw_order((1, 2), 7).tolist() != draw_order((1, 2), 8).tolist()
    assert draw_order((5,), 7).tolist() == [0]
    # Drawn once, and the same since: arms of runs that are stored were asked so.
    assert draw_order((1, 2, 3), 7)[:12].tolist() == FIRST


FIRST = [2, 2, 0, 1, 2, 1, 0, 2, 2, 2, 1, 1]


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_workers_share_the_order_as_they_share_the_arrivals(workers: int) -> None:
    asks = (Ask(path="/a", weight=3), Ask(path="/b"))
    order = draw_order((3, 1), 5)
    for worker in range(workers):
        mix = Mix(asks, 5, worker, workers)
        sent = [asked.index for asked in islice(mix.turns(mix.prepare("h", 1)), 40_000)]
        assert sent == [int(order[(worker + number * workers) % len(order)]) for number in range(40_000)]


def test_all_connections_together_send_the_asks_in_their_order() -> None:
    seen: list[bytes] = []
    asks = (Ask(path="/a", weight=3), Ask(path="/b", method="POST", body=b"x"), Ask(path="/c", status=404))
    with serving(answering(response(b"ok"), seen=seen)) as port:
        records, _ = take_rounds(port, asks, rounds=20, count=5)

    wanted = Counter(draw_order((3, 1, 1), 0)[:100].tolist())
    assert Counter(records["request"].tolist()) == wanted == {0: 60, 1: 20, 2: 20}
    assert Counter(request.split(b" ")[1] for request in seen) == {b"/a": 60, b"/b": 20, b"/c": 20}
    good = records["request"] != 2
    assert set(outcomes(records[good])) == {Outcome.OK}
    assert set(outcomes(records[~good])) == {Outcome.HTTP_ERROR}, "404 was wanted, and 200 came"


def test_a_page_carries_its_number_in_an_open_loop_and_what_a_person_asks_does_not() -> None:
    for asks in (page_asks(Load()), (Ask(path="/1024"),)):
        seen: list[bytes] = []
        with serving(answering(response(), seen=seen)) as port:
            loop = OpenConnections(at(port), Mix(asks), 1, RequestLog())
            loop.schedule(np.array([after(0), after(0.001)]))
            loop.drive(after(0.05), do_nothing)
            loop.close()
        targets = [request.split(b" ")[1] for request in seen]
        numbered = [b"/1024?id=0000000000", b"/1024?id=0000000001"]
        assert targets == (numbered if asks[0].numbered else [b"/1024"] * 2)


def test_an_arrival_that_is_never_sent_is_of_the_ask_whose_turn_it_was() -> None:
    asks = (Ask(path="/a"), Ask(path="/b"))
    log = RequestLog()
    with serving(lambda connection, _: do_nothing() if read_request(connection) else None) as port:
        loop = OpenConnections(at(port), Mix(asks, 3), 1, log)
        loop.schedule(np.full(6, after(3_600)))
        loop.close()

    assert log.records()["request"].tolist() == draw_order((1, 1), 3)[:6].tolist()


# Answers.


def test_a_connection_whose_answer_ends_it_is_opened_anew_and_the_answer_counts() -> None:
    closing = response(headers="Connection: close\r\n")
    with serving(answering(closing)) as port:
        records, opened = take_rounds(port, (Ask(path="/"),), rounds=3)

    assert (outcomes(records), opened) == ([Outcome.OK] * 3, 4)
    assert records["bytes"].tolist() == [1024] * 3


def test_an_answer_of_an_older_version_ends_its_connection_unless_it_says_that_it_does_not() -> None:
    old = response().replace(b"HTTP/1.1", b"HTTP/1.0")
    staying = response(headers="Connection: Keep-Alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0")
    with serving(answering(staying, staying, old)) as port:
        records, opened = take_rounds(port, (Ask(path="/"),), rounds=3)

    assert (outcomes(records), opened) == ([Outcome.OK] * 3, 2)


def test_the_length_of_a_chunked_answer_is_that_of_its_decoded_body() -> None:
    answers = [chunked(), chunked(b"abc", b"d" * 5_000, extension=";e"), chunked(*[b"m" * 65_536] * 20)]
    with serving(answering(*answers)) as port:
        records, opened = take_rounds(port, (Ask(path="/"),), rounds=3)

    assert (outcomes(records), opened) == ([Outcome.OK] * 3, 1)
    assert records["bytes"].tolist() == [0, 5_003, 1_310_720]


def test_answers_that_have_no_body_are_complete_with_their_heads() -> None:
    asks = (Ask(path="/", method="HEAD"),)
    head = response().partition(b"x")[0]
    with serving(answering(head)) as port:
        records, opened = take_rounds(port, asks, rounds=3)
    with serving(answering(b"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n")) as port:
        unchanged, _ = take_rounds(port, (Ask(path="/", status=304),), rounds=2)

    assert (outcomes(records), opened) == ([Outcome.OK] * 3, 1)
    assert records["bytes"].tolist() == [0] * 3
    assert outcomes(unchanged) == [Outcome.OK] * 2


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "fresh"])
def test_a_body_that_does_not_fit_at_once_is_sent_to_its_end(kept: bool) -> None:
    seen: list[bytes] = []

    def handle(connection: Any, _: int) -> None:
        while request := read_request(connection):
            seen.append(request)
            connection.sendall(response(headers="" if kept else "Connection: close\r\n"))
            if not kept:
                return

    log = RequestLog()
    asks = (Ask(path="/", method="POST", body=BIG),)
    with serving(handle, room_bytes=65_536) as port:
        loop = (
            Connections(at(port), Mix(asks), 1, log)
            if kept
            else FreshConnections(at(port), Mix(asks), 1, log)
        )
        loop.drive(after(0.1), do_nothing)
        loop.drain(after(PATIENCE_S), do_nothing)
        loop.close()

    assert set(outcomes(log.records())) == {Outcome.OK}
    assert all(request.endswith(BIG) for request in seen)
    assert len(seen) == len(log.records()) > 0


def test_an_answer_before_the_request_is_sent_counts_by_its_status_and_the_connection_is_replaced() -> None:
    def handle(connection: Any, number: int) -> None:
        head, begun = read_head(connection)
        if number:
            read_body(connection, head, begun)
        connection.sendall(response(status="200 OK" if number else "413 Too Large"))
        if not number:
            while connection.recv(65_536):  # So that the end of the test is not a reset.
                pass
        read_request(connection)

    with serving(handle, room_bytes=65_536) as port:
        records, opened = take_rounds(port, (Ask(path="/", method="PUT", body=BIG),), rounds=2)

    assert (records["status"].tolist(), opened) == ([413, 200], 2)
    assert outcomes(records) == [Outcome.HTTP_ERROR, Outcome.OK]


def test_a_request_on_a_connection_of_its_own_that_does_not_ask_for_its_end_is_ended_by_the_client() -> None:
    log = RequestLog()
    asks = (Ask(path="/", headers=(("Connection", "keep-alive"),)),)
    with serving(answering(response())) as port:
        loop = FreshConnections(at(port), Mix(asks), 1, log)
        loop.drive(after(0.05), do_nothing)
        loop.drain(after(PATIENCE_S), do_nothing)
        loop.close()

    assert set(outcomes(log.records())) == {Outcome.OK}
    assert len(log.records()) == loop.opened > 1
