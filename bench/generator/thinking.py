"""A closed loop whose clients rest between two requests, as people's programs do."""

import time
from collections.abc import Callable

from bench.generator.asks import Mix
from bench.generator.closed_loop import Connections
from bench.generator.connecting import CONNECT_S, Destination
from bench.generator.kept_connection import KeptConnection
from bench.generator.looking import count_look
from bench.generator.request_log import RequestLog


class ThinkingConnections(Connections):
    """N keep-alive connections, each of which asks again `think_ns` after its answer.

    The loop looks again and again until then: a rest of microseconds is shorter than any sleep.
    """

    def __init__(
        self,
        destination: Destination,
        mix: Mix,
        count: int,
        log: RequestLog,
        connect_s: float = CONNECT_S,
        *,
        think_ns: int,
    ) -> None:
        """Open `count` connections, or as many as can be; raises OSError where that is none."""
        super().__init__(destination, mix, count, log, connect_s)
        self._think_ns = think_ns
        self._send_until_ns = 0

    def drive(self, until_ns: int, pause: Callable[[], None]) -> None:
        """As `Connections.drive`; a connection that thinks as it begins goes on thinking."""
        self._send_until_ns = until_ns
        super().drive(until_ns, pause)

    def drain(self, until_ns: int, pause: Callable[[], None]) -> None:
        """As `Connections.drain`."""
        self._send_until_ns = 0
        super().drain(until_ns, pause)

    def _go_on(self, connection: KeptConnection) -> None:
        connection.intended_ns += self._think_ns
        self._idle.append(connection)

    def _renew(self, connection: KeptConnection) -> None:
        if connection.intended_ns:
            connection.intended_ns += self._think_ns
        super()._renew(connection)

    def _wake_idle(self) -> bool:
        """Send on the connection that has rested longest, where its rest is over."""
        now = time.monotonic_ns()
        if self._idle and self._idle[0].intended_ns <= now:
            connection = self._idle.pop(0)
            connection.intended_ns = connection.intended_ns or now
            self._send(connection)
        return True

    def _waiter(self) -> Callable[[float], list[tuple[int, int]]]:
        return self._look

    def _look(self, timeout_s: float) -> list[tuple[int, int]]:
        begun_ns = time.monotonic_ns()
        if not self._idle or begun_ns >= self._send_until_ns:
            return self._epoll.poll(timeout_s)
        events = self._epoll.poll(0)
        if not events:
            self.spun_ns += count_look(begun_ns, time.monotonic_ns())
        return events
