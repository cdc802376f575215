"""When a server is ready: it answers on the load's own path, again and again."""

import time

from bench.generator.asks import Mix
from bench.generator.closed_loop import Connections
from bench.generator.connecting import Destination
from bench.generator.protocol import Ask
from bench.generator.request_log import RequestLog
from bench.slots.requests import Outcome

READY_IN_A_ROW = 3
PROBE_PAUSE_S = 0.001
PROBE_ANSWER_S = 0.05
"""A probe's patience for a connection and for an answer: docker-proxy may accept before the path
behind it is complete (moby issue 48132), and a lost SYN is sent again only after a second.
"""
LONG_AFTER_S = 2.0
PROBE_LONG_ANSWER_S = 2.0
"""Where nothing was ready for that long, the server may be one whose every answer takes longer."""


def await_ready(destination: Destination, ask: Ask, timeout_s: float) -> tuple[int, int]:
    """Wait for a server: (CLOCK_MONOTONIC ns of the first of three answers in a row as `ask` is to have one,
    attempts made).

    A connection each, so that a listener that accepts before its path is complete does not pass.
    The stamp is 0 where `timeout_s` was over first.
    """
    begun_ns = time.monotonic_ns()
    deadline_ns = begun_ns + round(timeout_s * 1e9)
    attempts, first_ns, in_a_row = 0, 0, 0
    while time.monotonic_ns() < deadline_ns:
        attempts += 1
        is_early = time.monotonic_ns() < begun_ns + round(LONG_AFTER_S * 1e9)
        if _answers(destination, ask, PROBE_ANSWER_S if is_early else PROBE_LONG_ANSWER_S):
            first_ns = first_ns or time.monotonic_ns()
            in_a_row += 1
            if in_a_row == READY_IN_A_ROW:
                return first_ns, attempts
        else:
            first_ns = in_a_row = 0
            time.sleep(PROBE_PAUSE_S)
    return 0, attempts


def _answers(destination: Destination, ask: Ask, patience_s: float) -> bool:
    log = RequestLog()
    try:
        connections = Connections(destination, Mix((ask,)), 1, log, patience_s)
    except OSError:
        return False
    connections.drive(time.monotonic_ns() + 1, lambda: None)
    connections.drain(time.monotonic_ns() + round(patience_s * 1e9), lambda: None)
    connections.close()
    return bool((log.records()["outcome"] == Outcome.OK).any())
