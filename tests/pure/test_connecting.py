"""Opening the connections of a load."""

import socket
import threading
import time

import pytest

from bench.generator.closed_loop import Connections
from bench.generator.compiled_loop import CompiledLoop
from bench.generator.connecting import connect_many
from bench.generator.request_log import RequestLog

from .servers import ADDRESS, PATIENCE_S, after, answering, at, do_nothing, outcomes, page, response, serving


def test_a_thousand_connections_are_opened_and_each_is_driven() -> None:
    with serving(answering(response(b"x"))) as port:
        log = RequestLog()
        loop = CompiledLoop(at(port), page("/"), 1_000, log)
        loop.drive(after(0), do_nothing)
        loop.drain(after(PATIENCE_S), do_nothing)
        loop.close()

    assert (loop.connected, loop.opened) == (1_000, 1_000)
    assert sorted(log.records()["connection"].tolist()) == list(range(1_000))
    assert {outcome.name for outcome in outcomes(log.records())} == {"OK"}


@pytest.mark.parametrize("kind", [Connections, CompiledLoop])
def test_a_load_begins_with_those_connections_that_could_be_opened_in_time(
    kind: type[Connections] | type[CompiledLoop],
) -> None:
    with socket.create_server((ADDRESS, 0), backlog=2) as listener:  # Nobody accepts.
        loop = kind(at(listener.getsockname()[1]), page("/"), 20, RequestLog(), connect_s=0.2)
        loop.close()

    assert 0 < loop.connected == loop.opened < 20


def test_a_server_that_goes_away_ends_the_opening() -> None:
    with socket.create_server((ADDRESS, 0), backlog=2) as listener:
        port = listener.getsockname()[1]
        closing = threading.Timer(0.1, listener.shutdown, [socket.SHUT_RDWR])
        closing.start()
        begun = time.monotonic()
        opened = connect_many(ADDRESS, port, 50, within_s=PATIENCE_S)
        closing.join()

    assert 0 < len(opened) < 50
    assert time.monotonic() - begun < PATIENCE_S
    for connection in opened:
        connection.close()
