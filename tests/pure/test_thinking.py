"""Clients that think between two requests, in either loop."""

import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from bench.generator.compiled_loop import CompiledLoop
from bench.generator.fresh_connections import FreshConnections
from bench.generator.request_log import RequestLog
from bench.generator.thinking import ThinkingConnections

from .servers import (
    after,
    answering,
    assert_stamps_in_order,
    at,
    do_nothing,
    page,
    read_request,
    response,
    serving,
)

THINK_NS = 300_000
LOOPS: dict[str, tuple[Callable[..., Any], bool]] = {
    "compiled, kept": (partial(CompiledLoop, think_ns=THINK_NS), False),
    "compiled, fresh": (partial(CompiledLoop, think_ns=THINK_NS, keep_alive=False), True),
    "Python, kept": (partial(ThinkingConnections, think_ns=THINK_NS), False),
    "Python, fresh": (partial(FreshConnections, think_ns=THINK_NS), True),
}
"""How each is made, and whether it opens a connection a request."""


def answer_once(connection: socket.socket, _: int) -> None:
    if read_request(connection):
        connection.sendall(response(headers="Connection: close\r\n"))


@pytest.mark.parametrize(("make", "fresh"), LOOPS.values(), ids=LOOPS.keys())
@pytest.mark.parametrize("count", [1, 3])
def test_the_next_request_of_a_connection_leaves_when_it_has_thought(
    count: int, make: Callable[..., Any], fresh: bool
) -> None:
    log = RequestLog()
    with serving(answer_once if fresh else answering(response())) as port:
        begun_ns = time.monotonic_ns()
        loop = make(at(port), page(), count, log)
        loop.drive(after(0.1), do_nothing)
        loop.drain(after(1.0), do_nothing)
        took_ns = time.monotonic_ns() - begun_ns
        loop.close()

    records = log.records()
    assert_stamps_in_order(records)
    assert (records["outcome"] == 0).all()
    assert set(records["connection"].tolist()) == set(range(count))
    for number in range(count):
        own = records[records["connection"] == number]
        assert len(own) > 1
        assert (own["sent_ns"][1:] - own["done_ns"][:-1] >= THINK_NS).all()
        assert (own["intended_ns"][1:] - own["done_ns"][:-1] >= THINK_NS).all()
    assert 0 < loop.spun_ns < took_ns
