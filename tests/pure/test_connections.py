"""The load path against real servers on the loopback: what it sends, what it keeps, what it refuses."""

import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from bench.generator.closed_loop import Connections
from bench.generator.compiled_loop import CompiledLoop
from bench.generator.request_log import RequestLog
from bench.slots.requests import STALL_NS, Outcome

from .servers import (
    ADDRESS,
    PATIENCE_S,
    UNFRAMED,
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


@pytest.fixture(params=[Connections, CompiledLoop], ids=["python", "compiled"], autouse=True)
def _each_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test of this file is of both loops."""
    monkeypatch.setattr(sys.modules[__name__], "Connections", request.param)


@contextmanager
def connected(port: int, count: int = 1) -> Iterator[tuple[Connections, RequestLog]]:
    log = RequestLog()
    opened = Connections(at(port), page(), count, log, connect_s=PATIENCE_S)
    try:
        yield opened, log
    finally:
        opened.close()


def send_one_each(connections: Connections) -> None:
    """Send one request on every idle connection: the window is over before an answer is looked for."""
    connections.drive(after(0), do_nothing)


def take_rounds(
    port: int, rounds: int = 1, count: int = 1, drain_s: float = PATIENCE_S
) -> tuple[np.ndarray, int]:
    """Requests of `rounds` rounds of one request a connection, and the connections opened."""
    with connected(port, count) as (connections, log):
        for _ in range(rounds):
            send_one_each(connections)
            connections.drain(after(drain_s), do_nothing)
    return log.records(), connections.opened


def take_window(port: int, seconds: float, count: int = 1) -> tuple[np.ndarray, int]:
    """Requests of a window with its drain, and the connections opened."""
    with connected(port, count) as (connections, log):
        connections.drive(after(seconds), do_nothing)
        connections.drain(after(PATIENCE_S), do_nothing)
    return log.records(), connections.opened


# A server that behaves.


def test_every_request_that_the_server_answered_is_recorded_once_as_good() -> None:
    seen: list[bytes] = []
    with serving(answering(response(), seen=seen)) as port:
        records, opened = take_window(port, 0.1, count=3)

    assert opened == 3
    assert len(records) == len(seen) > 3
    assert set(outcomes(records)) == {Outcome.OK}
    assert set(records["status"].tolist()) == {200}
    assert set(records["bytes"].tolist()) == {1024}
    assert set(records["connection"].tolist()) == {0, 1, 2}
    assert_stamps_in_order(records)
    assert set(seen) == {f"GET /1024 HTTP/1.1\r\nHost: {ADDRESS}:{port}\r\n\r\n".encode()}


def test_the_next_request_of_a_connection_is_intended_when_the_last_one_is_done() -> None:
    with serving(answering(response())) as port:
        records, _ = take_window(port, 0.1, count=2)

    for number in (0, 1):
        own = records[records["connection"] == number]
        assert len(own) > 1
        assert own["intended_ns"][1:].tolist() == own["done_ns"][:-1].tolist()


def test_records_come_in_the_order_in_which_requests_ended() -> None:
    with serving(answering(response())) as port:
        records, _ = take_window(port, 0.1, count=8)

    assert (np.diff(records["done_ns"]) >= 0).all()


def test_nothing_is_sent_after_the_window_and_what_was_sent_is_waited_for() -> None:
    with serving(answering(response())) as port, connected(port, 4) as (connections, log):
        end_ns = after(0.05)
        connections.drive(end_ns, do_nothing)
        connections.drain(after(PATIENCE_S), do_nothing)

    assert set(outcomes(log.records())) == {Outcome.OK}
    assert (log.records()["intended_ns"] < end_ns).all()


def test_a_window_goes_on_where_the_last_one_ended_with_the_same_connections() -> None:
    seen: list[bytes] = []
    with serving(answering(response(), seen=seen)) as port, connected(port, 2) as (connections, log):
        for _ in range(3):
            connections.drive(after(0.02), do_nothing)
        connections.drain(after(PATIENCE_S), do_nothing)

    assert connections.opened == 2
    assert set(outcomes(log.records())) == {Outcome.OK}
    assert len(log.records()) == len(seen)


def test_fifty_connections_are_all_driven() -> None:
    with serving(answering(response())) as port:
        records, opened = take_rounds(port, rounds=3, count=50)

    assert opened == 50
    assert Counter(records["connection"].tolist()) == dict.fromkeys(range(50), 3)
    assert set(outcomes(records)) == {Outcome.OK}


def test_a_server_that_dribbles_byte_by_byte_is_understood() -> None:
    answer = response(b"0123456789")

    def handle(connection: socket.socket, number: int) -> None:
        while read_request(connection):
            for byte in answer:
                connection.sendall(bytes([byte]))

    with serving(handle) as port:
        records, opened = take_rounds(port, rounds=3)

    assert (outcomes(records), opened) == ([Outcome.OK] * 3, 1)
    assert records["bytes"].tolist() == [10] * 3
    assert_stamps_in_order(records)


def test_a_response_may_be_cut_in_two_at_any_byte_whether_its_head_is_known_or_not() -> None:
    answer = response(b"0123456789")

    def handle(connection: socket.socket, number: int) -> None:
        for cut in range(len(answer)):
            read_request(connection)
            connection.sendall(answer[:cut])
            time.sleep(0.001)  # Long enough, as a rule, for the first part to be read alone.
            connection.sendall(answer[cut:])
        read_request(connection)

    with serving(handle) as port:
        records, opened = take_rounds(port, rounds=len(answer))

    assert (outcomes(records), opened) == ([Outcome.OK] * len(answer), 1)
    assert set(records["bytes"].tolist()) == {10}
    assert_stamps_in_order(records)


def test_the_first_byte_is_stamped_when_it_comes_and_not_when_the_last_one_does() -> None:
    first_is_sent, may_go_on = threading.Event(), threading.Event()

    def handle(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(response()[:1])
        first_is_sent.set()
        may_go_on.wait(PATIENCE_S)
        connection.sendall(response()[1:])
        read_request(connection)

    with serving(handle) as port, connected(port) as (connections, log):
        send_one_each(connections)
        assert first_is_sent.wait(PATIENCE_S)
        connections.drain(after(0.05), do_nothing)
        between_ns = time.monotonic_ns()
        may_go_on.set()
        connections.drain(after(PATIENCE_S), do_nothing)
        [record] = log.records()

    assert record["outcome"] == Outcome.OK
    assert record["sent_ns"] <= record["first_byte_ns"] < between_ns < record["done_ns"]


def test_a_page_of_a_mebibyte_is_read_to_its_end() -> None:
    with serving(answering(response(b"m" * 1_048_576))) as port:
        records, opened = take_rounds(port, rounds=3, count=2)

    assert (outcomes(records), opened) == ([Outcome.OK] * 6, 2)
    assert set(records["bytes"].tolist()) == {1_048_576}
    assert_stamps_in_order(records)


def test_bytes_are_those_of_the_body_whatever_the_length_of_the_head() -> None:
    answers = [response(b"x" * size, headers=f"A: {'b' * size}\r\n") for size in (0, 1, 300, 70_000)]
    with serving(answering(*answers)) as port:
        records, opened = take_rounds(port, rounds=4)

    assert records["bytes"].tolist() == [0, 1, 300, 70_000]
    assert (set(outcomes(records)), opened) == ({Outcome.OK}, 1)


def test_a_head_that_changes_every_second_is_no_error() -> None:
    answers = [response(b"x" * 9, headers=f"Date: {second}\r\n") for second in range(6)]
    with serving(answering(*answers)) as port:
        records, _ = take_rounds(port, rounds=8)

    assert outcomes(records) == [Outcome.OK] * 8


def test_a_body_that_looks_like_a_head_is_a_body() -> None:
    with serving(answering(response(response(b"x")))) as port:
        records, opened = take_rounds(port, rounds=3)

    assert (outcomes(records), opened) == ([Outcome.OK] * 3, 1)
    assert records["bytes"].tolist() == [len(response(b"x"))] * 3


@pytest.mark.parametrize(
    "status", ["500 Internal Server Error", "404 Not Found", "206 Partial Content", "301 Moved"]
)
def test_a_complete_answer_other_than_200_is_an_http_error_on_a_connection_that_lives_on(status: str) -> None:
    with serving(answering(response(), response(b"sorry", status=status), response())) as port:
        records, opened = take_rounds(port, rounds=3)

    assert outcomes(records) == [Outcome.OK, Outcome.HTTP_ERROR, Outcome.OK]
    assert records["status"].tolist() == [200, int(status[:3]), 200]
    assert (records["bytes"].tolist(), opened) == ([1024, 5, 1024], 1)
    assert_stamps_in_order(records)


# Servers that do not.


@pytest.mark.parametrize("answer", UNFRAMED.values(), ids=UNFRAMED)
def test_an_answer_without_one_stated_length_is_a_framing_error_on_a_connection_that_ends(
    answer: bytes,
) -> None:
    with serving(answering(answer)) as port:
        records, opened = take_rounds(port, rounds=2)

    assert outcomes(records) == [Outcome.FRAMING_ERROR] * 2
    assert opened == 3
    assert_stamps_in_order(records)


def test_bytes_after_the_body_are_a_framing_error_whether_the_head_is_known_or_not() -> None:
    with serving(answering(response(), response() + b"!")) as port:
        known, opened = take_rounds(port, rounds=2)
    with serving(answering(response() + b"!")) as port:
        new, _ = take_rounds(port)

    assert (outcomes(known), opened) == ([Outcome.OK, Outcome.FRAMING_ERROR], 2)
    assert outcomes(new) == [Outcome.FRAMING_ERROR]


def test_two_answers_to_one_request_are_a_framing_error() -> None:
    with serving(answering(response(), response() * 2)) as port:
        records, _ = take_rounds(port, rounds=2)

    assert outcomes(records) == [Outcome.OK, Outcome.FRAMING_ERROR]


def test_bytes_that_come_after_an_answer_spoil_the_next_one() -> None:
    first_is_taken, is_sent = threading.Event(), threading.Event()

    def handle(connection: socket.socket, number: int) -> None:
        if number == 0:
            read_request(connection)
            connection.sendall(response())
            first_is_taken.wait(PATIENCE_S)
            connection.sendall(b"!")
            is_sent.set()
        answering(response())(connection, number)

    with serving(handle) as port, connected(port) as (connections, log):
        send_one_each(connections)
        connections.drain(after(PATIENCE_S), do_nothing)
        first_is_taken.set()
        assert is_sent.wait(PATIENCE_S)
        for _ in range(2):
            send_one_each(connections)
            connections.drain(after(PATIENCE_S), do_nothing)

    assert outcomes(log.records()) == [Outcome.OK, Outcome.FRAMING_ERROR, Outcome.OK]
    assert connections.opened == 2


def test_an_answer_that_nobody_asked_for_is_not_a_request() -> None:
    first_is_taken, is_sent, may_answer = threading.Event(), threading.Event(), threading.Event()

    def handle(connection: socket.socket, number: int) -> None:
        read_request(connection)
        if number == 0:
            connection.sendall(response())
            first_is_taken.wait(PATIENCE_S)
            connection.sendall(response())
            is_sent.set()
        elif number == 1:
            may_answer.wait(PATIENCE_S)
            connection.sendall(response())
        read_request(connection)

    with serving(handle) as port, connected(port, 2) as (connections, log):
        send_one_each(connections)
        give_up_ns = after(PATIENCE_S)
        while len(log.records()) < 1 and time.monotonic_ns() < give_up_ns:
            connections.drain(after(0.02), do_nothing)
        first_is_taken.set()
        assert is_sent.wait(PATIENCE_S)
        connections.drain(after(0.05), do_nothing)
        may_answer.set()
        connections.drain(after(PATIENCE_S), do_nothing)

    assert outcomes(log.records()) == [Outcome.OK] * 2
    assert log.records()["connection"].tolist() == [0, 1]
    assert_stamps_in_order(log.records())


@pytest.mark.parametrize("part", [0, 1, 20, -1], ids=["nothing", "a byte", "half a head", "all but a byte"])
def test_a_connection_that_closes_in_an_answer_is_an_error_and_is_opened_anew(part: int) -> None:
    def handle(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(response()[:part])

    with serving(handle) as port:
        records, opened = take_rounds(port, rounds=3)

    assert outcomes(records) == [Outcome.CONNECTION_ERROR] * 3
    assert opened == 4
    assert records["bytes"].tolist() == [0] * 3
    assert ((records["first_byte_ns"] > 0) == (part != 0)).all()
    assert (records["done_ns"] >= records["sent_ns"]).all()


def test_a_connection_that_is_reset_in_an_answer_is_an_error_and_is_opened_anew() -> None:
    def handle(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(response()[:100])
        reset(connection)

    with serving(handle) as port:
        records, opened = take_rounds(port, rounds=3)

    assert outcomes(records) == [Outcome.CONNECTION_ERROR] * 3
    assert opened == 4


def test_a_window_goes_on_after_each_connection_that_the_server_closes() -> None:
    with serving(closing_after(response(), response())) as port:
        records, opened = take_window(port, 0.1)
    count = Counter(outcomes(records))

    assert set(count) == {Outcome.OK, Outcome.CONNECTION_ERROR}
    assert count[Outcome.CONNECTION_ERROR] > 1
    assert 0 <= count[Outcome.OK] - 2 * count[Outcome.CONNECTION_ERROR] <= 2
    assert opened == 1 + count[Outcome.CONNECTION_ERROR]


def test_a_window_goes_on_after_a_reset_between_two_requests() -> None:
    is_reset = threading.Event()

    def handle(connection: socket.socket, number: int) -> None:
        if number == 0:
            read_request(connection)
            connection.sendall(response())
            reset(connection)
            is_reset.set()
        else:
            answering(response())(connection, number)

    with serving(handle) as port, connected(port) as (connections, log):
        send_one_each(connections)
        assert is_reset.wait(PATIENCE_S)
        connections.drive(after(0.1), do_nothing)
        connections.drain(after(PATIENCE_S), do_nothing)
    found = outcomes(log.records())

    assert found[:2] == [Outcome.OK, Outcome.CONNECTION_ERROR]
    assert Outcome.OK in found[2:]
    assert connections.opened == 2


def test_a_server_that_went_away_ends_the_window_with_one_error_a_connection() -> None:
    with socket.create_server((ADDRESS, 0)) as listener:
        listener.settimeout(PATIENCE_S)
        with connected(listener.getsockname()[1], 3) as (connections, log):
            accepted = [listener.accept()[0] for _ in range(3)]
            send_one_each(connections)
            listener.close()
            for connection in accepted:
                connection.settimeout(PATIENCE_S)
                assert read_request(connection)
                connection.close()
            connections.drive(after(PATIENCE_S), do_nothing)

    assert outcomes(log.records()) == [Outcome.CONNECTION_ERROR] * 3
    assert sorted(log.records()["connection"].tolist()) == [0, 1, 2]
    assert connections.opened == 3


def test_a_request_that_is_never_answered_is_recorded_as_unfinished_and_its_connection_is_reset() -> None:
    resets: list[int] = []

    def handle(connection: socket.socket, number: int) -> None:
        read_request(connection)
        try:
            connection.recv(1)
        except ConnectionResetError:
            resets.append(number)

    with serving(handle) as port:
        records, opened = take_rounds(port, count=2, drain_s=0.05)

    assert (outcomes(records), opened) == ([Outcome.UNFINISHED] * 2, 2)
    assert sorted(resets) == [0, 1]
    assert (records["sent_ns"] >= records["intended_ns"]).all()
    for column in ("first_byte_ns", "done_ns", "bytes", "status"):
        assert records[column].tolist() == [0, 0]


@pytest.mark.parametrize("begun", [b"", response()[:-1]], ids=["nothing", "all but a byte"])
def test_a_connection_on_which_nothing_moves_for_a_second_has_stalled_at_what_it_had(begun: bytes) -> None:
    def handle(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(begun)
        read_request(connection)

    with serving(handle) as port:
        [record], _ = take_rounds(port, drain_s=STALL_NS / 1e9 + 0.3)

    assert (record["outcome"], record["done_ns"]) == (Outcome.STALLED, 0)
    assert record["bytes"] == (1023 if begun else 0)


def test_an_answer_that_dribbles_until_the_end_is_unfinished_and_has_not_stalled() -> None:
    def handle(connection: socket.socket, number: int) -> None:
        read_request(connection)
        for byte in response()[:300]:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    with serving(handle) as port:
        [record], _ = take_rounds(port, drain_s=STALL_NS / 1e9 + 0.3)

    assert record["outcome"] == Outcome.UNFINISHED


def test_an_answer_that_has_begun_and_does_not_end_is_unfinished() -> None:
    with serving(answering(response()[:-1])) as port:
        [record], _ = take_rounds(port, drain_s=0.1)

    assert record["outcome"] == Outcome.UNFINISHED
    assert (record["done_ns"], record["bytes"], record["status"]) == (0, 1023, 200)
    assert record["first_byte_ns"] >= record["sent_ns"]


def test_the_status_of_the_last_answer_is_not_that_of_a_request_without_one() -> None:
    def handle(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(response())
        while read_request(connection):
            pass

    with serving(handle) as port:
        records, _ = take_rounds(port, rounds=2, drain_s=0.1)

    assert outcomes(records) == [Outcome.OK, Outcome.UNFINISHED]
    assert records["status"].tolist() == [200, 0]


def test_a_connection_that_is_refused_is_an_operating_system_error() -> None:
    with socket.create_server((ADDRESS, 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(OSError, match="refused"):
        Connections(at(port), page("/"), 1, RequestLog(), connect_s=PATIENCE_S)


@pytest.mark.parametrize("answers", [(response(),), ()], ids=["answers", "silence"])
def test_other_tasks_get_their_turn_during_a_window(answers: tuple[bytes, ...]) -> None:
    def handle(connection: socket.socket, number: int) -> None:
        while read_request(connection):
            for answer in answers:
                connection.sendall(answer)

    pauses: list[int] = []
    with serving(handle) as port, connected(port) as (connections, _):
        connections.drive(after(0.2), lambda: pauses.append(1))

    assert pauses
