"""When a server is ready: it answers on the load's own path, again and again."""

import time

from bench.generator.ask import Ask
from bench.generator.asks import Mix
from bench.generator.closed_loop import Connections
from bench.generator.connecting import Destination
from bench.generator.request_log import RequestLog
from bench.slots.requests import Outcome

READY_IN_A_ROW = 3
PROBE_PAUSE_S = 0.001
PROBE_ANSWER_S = 0.05
"""A probe's patience for a connection and for an answer, at first: docker-proxy may accept before the path
behind it is complete (moby issue 48132), and a lost SYN is sent again only after a second."""
MOST_ANSWER_S = 5.0
GROWS = 1.5
"""With every probe in vain the next has more patience: a server may be slow, and need not be ill."""


def await_ready(destination: Destination, ask: Ask, timeout_s: float) -> tuple[int, int]:
    """Wait for a server: (CLOCK_MONOTONIC ns of the first of three answers in a row as `ask` is to have one,
    attempts made).

    A connection each, so that a listener that accepts before its path is complete does not pass.
    The stamp is 0 where `timeout_s` was over first.
    """
    deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
    attempts, first_ns, in_a_row, patience_s = 0, 0, 0, PROBE_ANSWER_S
    while time.monotonic_ns() < deadline_ns:
        attempts, begun_ns = attempts + 1, time.monotonic_ns()
        if _answers(destination, ask, patience_s):
            first_ns = first_ns or time.monotonic_ns()
            in_a_row += 1
            if in_a_row == READY_IN_A_ROW:
                return first_ns, attempts
        else:
            first_ns = in_a_row = 0
            now_ns = time.monotonic_ns()
            if now_ns - begun_ns >= patience_s * 1e9:  # It was not refused, but waited for in vain.
                left_s = (deadline_ns - now_ns) / 1e9
                patience_s = min(patience_s * GROWS, MOST_ANSWER_S, max(left_s, PROBE_ANSWER_S))
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
