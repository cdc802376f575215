"""The open loop: requests leave at times drawn beforehand, whatever became of those before them.

A closed loop waits with a stalled server and so asks it less, just when it is slow: the stall is one
slow request a connection, however many people would have met it (coordinated omission). Here the
arrivals are fixed. One that finds no connection free waits for one, and its response time counts from
the moment at which it was intended.
"""

import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator
from select import epoll, select  # Before gevent patches the module, as in connections.py.

import numpy as np

from bench.generator.asks import Asked, Mix
from bench.generator.closed_loop import POLL_S, YIELD_NS, Connections
from bench.generator.connecting import CONNECT_S, Destination
from bench.generator.fresh_connections import FreshConnections
from bench.generator.kept_connection import KeptConnection
from bench.generator.looking import count_look
from bench.generator.request_log import RequestLog
from bench.slots.requests import NO_CONNECTION, Outcome

NEVER_NS = 1 << 62
SPIN_NS = 2_000_000
"""So long before an arrival, and while an answer is awaited, the loop looks again and again instead of
sleeping: epoll counts whole milliseconds, and its timer fires late. The generator owns its core.
"""
AT_ONCE = 1
"""Answers taken between two looks at the arrivals: after a stall dozens come together, 5 us each, which
would make as many requests late.
"""
PAUSE_ROOM_NS = 200_000
"""Other tasks get their turn where nothing is in flight and the next arrival is farther off than this."""
PAUSE_OVERDUE_NS = 80_000_000
"""After YIELD_NS and this time without such a gap, they get it all the same."""


class Arrivals:
    """When requests are due, and how the loop waits for them: the same over either kind of connections.

    Every scheduled request is recorded once, those too that were never sent.
    """

    _epoll: epoll
    _log: RequestLog
    _turns: Iterator[Asked]
    _turn: Callable[[int, int, Callable[[], None]], None]
    _idle: Collection[object]
    """What can take a request now."""
    _in_flight: int

    def __init__(self, *, sleeps: bool) -> None:
        """`sleeps`: wait asleep, not looking; the kernel then wakes the process as late as its timer
        slack allows, which is for the caller to set.
        """
        self._sleeps = sleeps
        self._arrivals = array("q")
        self._taken = 0
        """Arrivals that were sent; the next one is due at `_next_ns`."""
        self._next_ns = NEVER_NS
        self._limit = 0
        """Arrivals that may be sent: none that comes after the drain's begin."""
        self._until_ns = 0
        self._draining = False
        self._pause: Callable[[], None] = _do_nothing
        self._pause_at_ns = 0
        self.spun_ns = 0
        """Time spent looking in vain instead of sleeping: no work, though the core was busy."""

    def schedule(self, arrivals_ns: np.ndarray) -> None:
        """Have a request arrive at each of `arrivals_ns` (CLOCK_MONOTONIC, ascending). Call it once."""
        self._arrivals = array("q", np.ascontiguousarray(arrivals_ns, dtype=np.int64).tobytes())
        self._limit = len(self._arrivals)
        self._look_ahead()

    def drive(self, until_ns: int, pause: Callable[[], None]) -> None:
        """Send each request at its time, or as soon after it as a connection is free, until `until_ns`.

        `pause` lets other tasks of the process run: every YIELD_NS, where no request is delayed by it.
        """
        self._turn_until(until_ns, pause)

    def drain(self, until_ns: int, pause: Callable[[], None]) -> None:
        """Work off the requests whose time has come, and wait for their answers, at most until `until_ns`.

        To leave those that wait would cut off just the slowest.
        """
        self._limit = bisect_right(self._arrivals, time.monotonic_ns(), lo=self._taken)
        self._draining = True
        self._look_ahead()
        self._turn_until(until_ns, pause)

    def _record_unsent(self) -> None:
        for arrival_ns, asked in zip(self._arrivals[self._taken :], self._turns, strict=False):
            self._log.write(arrival_ns, 0, 0, 0, 0, NO_CONNECTION, asked.index, 0, Outcome.UNFINISHED)

    def _turn_until(self, until_ns: int, pause: Callable[[], None]) -> None:
        self._until_ns, self._pause = until_ns, pause
        self._pause_at_ns = time.monotonic_ns() + YIELD_NS
        # The pauses are made by `_wait`, which knows when they delay nothing.
        self._turn(until_ns, until_ns, _do_nothing)

    def _look_ahead(self) -> None:
        self._next_ns = self._arrivals[self._taken] if self._taken < self._limit else NEVER_NS

    def _wait(self, timeout_s: float) -> list[tuple[int, int]]:
        """The next event of a connection; none where a request can be sent first, or the time is up."""
        clock, poll = time.monotonic_ns, self._epoll.poll
        due_ns = min(self._next_ns, self._until_ns) if self._idle else self._until_ns
        now = clock()
        while True:
            left_ns = due_ns - now
            if now >= self._pause_at_ns and (
                (left_ns > PAUSE_ROOM_NS and not self._in_flight)
                or now >= self._pause_at_ns + PAUSE_OVERDUE_NS
            ):
                self._pause()
                now = clock()
                self._pause_at_ns = now + YIELD_NS
                continue
            if self._sleeps:
                # select waits to the microsecond, where epoll counts whole milliseconds.
                select([self._epoll], [], [], min(max(left_ns, 0) / 1e9, timeout_s))
                events = poll(0, AT_ONCE)
                now = clock()
            elif left_ns > SPIN_NS and not self._in_flight:
                events = poll(min((left_ns - SPIN_NS) / 1e9, timeout_s), AT_ONCE)
                now = clock()
            else:
                events = poll(0, AT_ONCE)
                then, now = now, clock()
                if not events:
                    self.spun_ns += count_look(then, now)
            if events or now >= due_ns:
                return events


class OpenConnections(Arrivals, Connections):
    """N keep-alive connections that take requests at given times, first come, first served.

    A numbered one carries its number, from 0 in the order of the arrivals, by which captures find it.
    """

    _idle: list[KeptConnection]
    _in_flight: int
    _turns: Iterator[Asked]

    def __init__(
        self,
        destination: Destination,
        mix: Mix,
        count: int,
        log: RequestLog,
        connect_s: float = CONNECT_S,
        *,
        sleeps: bool = False,
    ) -> None:
        """Open `count` connections, or as many as can be; raises OSError where that is none."""
        Arrivals.__init__(self, sleeps=sleeps)
        Connections.__init__(self, destination, mix, count, log, connect_s)

    def _prepare(self, mix: Mix) -> list[Asked]:
        return mix.prepare(self._destination.address, self._destination.port, is_open=True)

    def close(self) -> None:
        """Close every connection; what is in flight, or was never sent, is recorded as unfinished."""
        self._record_unsent()
        Connections.close(self)

    def _wake_idle(self) -> bool:
        """Send the next request if its time has come, on the connection that has rested longest.

        One at a time, so that an answer does not wait behind a queue of requests; by turns, so that
        no connection rests until the server closes it.
        """
        if self._next_ns > time.monotonic_ns():
            return self._in_flight > 0 or not self._draining
        connection = self._idle.pop(0)
        connection.intended_ns = self._next_ns
        self._taken += 1
        self._look_ahead()
        self._send(connection)
        return True

    def _go_on(self, connection: KeptConnection) -> None:
        self._idle.append(connection)

    def _waiter(self) -> Callable[[float], list[tuple[int, int]]]:
        return self._wait


class OpenFreshConnections(Arrivals, FreshConnections):
    """A new connection for every request, at given times; at most N at a time."""

    def __init__(
        self, destination: Destination, mix: Mix, count: int, log: RequestLog, *, sleeps: bool = False
    ) -> None:
        Arrivals.__init__(self, sleeps=sleeps)
        FreshConnections.__init__(self, destination, mix, count, log)

    @property
    def _idle(self) -> Collection[object]:  # type: ignore[override]
        return self._resting

    @property
    def _in_flight(self) -> int:  # type: ignore[override]
        return len(self._open)

    def close(self) -> None:
        """Close every connection; what is not answered, or was never sent, is recorded as unfinished."""
        self._record_unsent()
        FreshConnections.close(self)

    def _turn(self, begin_until_ns: int, until_ns: int, pause: Callable[[], None]) -> None:  # noqa: ARG002
        clock, resting = time.monotonic_ns, self._resting
        now = clock()
        while now < until_ns:
            if self._next_ns <= now and resting:
                number, intended_ns = next(iter(resting)), self._next_ns
                del resting[number]
                self._taken += 1
                self._look_ahead()
                self._begin(number, intended_ns)
            elif self._draining and self._next_ns == NEVER_NS and not self._open:
                break
            for fd, event in self._wait(POLL_S):
                self._turn_to(self._open[fd], event)
            now = clock()


def _do_nothing() -> None:
    pass
