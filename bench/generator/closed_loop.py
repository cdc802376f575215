"""The load path: N connections driven by one epoll loop, four stamps kept for every request.

This is the product's instrument, so it is small and does nothing that is not HTTP: literal
address, request bytes built once, TCP_NODELAY, one send a request, strict HTTP/1.1 framing, no
retry. Imports nothing of Locust, whose import patches `select` and `socket`: import this first.
"""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from select import EPOLLIN, epoll  # Fails, as it should, once gevent has patched the module.

from bench.generator.connecting import CONNECT_S, connect, connect_many
from bench.generator.heads import Framing, parse_head
from bench.generator.request_log import RequestLog
from bench.slots.requests import Outcome

BUFFER_BYTES = 262_144
YIELD_NS = 20_000_000
"""Time between two yields to other tasks. A yield delays what is in flight, so it must be rare."""
POLL_S = 0.02
READY_IN_A_ROW = 3
PROBE_PAUSE_S = 0.001
PROBE_ANSWER_S = 0.05
"""A probe's patience for a connection and for an answer: docker-proxy may accept before the path
behind it is complete (moby issue 48132), and a lost SYN is sent again only after a second.
"""


@dataclass(slots=True)
class _Connection:
    number: int
    socket: socket.socket
    intended_ns: int = 0
    sent_ns: int = 0
    """0 while no request is in flight."""
    first_byte_ns: int = 0
    """0 until the first byte of a response that takes several reads."""
    head: bytearray = field(default_factory=bytearray)
    status: int = 0
    length: int = 0
    remaining: int = 0
    """Bytes of the body still to come, once the head is complete."""


def authority(address: str, port: int) -> str:
    """`address:port` as it stands in a URL: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Connections:
    """N keep-alive connections to one server, with one request in flight on each (closed loop).

    `_waiter`, `_wake_idle` and `_go_on` are what an open loop does differently: see open_loop.py.
    """

    without_port = 0
    """Of connections that last, none is asked for again and again: see FreshConnections."""
    spun_ns = 0
    """A loop whose clients do not think never looks in vain: see ThinkingConnections and Arrivals."""

    def __init__(
        self, address: str, port: int, path: str, count: int, log: RequestLog, connect_s: float = CONNECT_S
    ) -> None:
        """Open `count` connections, or as many as can be; raises OSError where that is none."""
        self._connect_s = connect_s
        self._target = (address, port)
        self._request = f"GET {path} HTTP/1.1\r\nHost: {authority(address, port)}\r\n\r\n".encode()
        self._log = log
        self._epoll = epoll()
        self._open: dict[int, _Connection] = {}
        self._idle: list[_Connection] = []
        """Open connections without a request in flight."""
        self._in_flight = 0
        self._known_head = b""
        """Head of the last response, to its empty line: it changes once a second, with its Date."""
        self._known: tuple[int, int] = 0, 0
        """Its status and body length."""
        self._known_bytes = -1
        """Length of that whole response; no read is as long while none is known."""
        self._buffer = bytearray(BUFFER_BYTES)
        self.opened = 0
        """Connections opened so far, reconnects included."""
        sockets = connect_many(address, port, count, connect_s)
        self.connected = len(sockets)
        """Connections that were open when the load could begin."""
        for number, connected in enumerate(sockets):
            self._add(number, connected)

    def drive(self, until_ns: int, pause: Callable[[], None]) -> None:
        """Send the next request on every connection as its last one ends, until `until_ns`.

        At least one request leaves on every idle connection. `pause` lets other tasks of the process
        run; it is called every YIELD_NS.
        """
        self._wake_idle()
        self._turn(send_until_ns=until_ns, until_ns=until_ns, pause=pause)

    def drain(self, until_ns: int, pause: Callable[[], None]) -> None:
        """Send nothing more; wait for what is in flight, at most until `until_ns`."""
        self._turn(send_until_ns=0, until_ns=until_ns, pause=pause)

    def close(self) -> None:
        """Close every connection; what is still in flight is recorded as unfinished."""
        for connection in list(self._open.values()):
            if connection.sent_ns:
                self._record_failure(connection, Outcome.UNFINISHED, 0)
            self._disconnect(connection)
        self._epoll.close()

    def _turn(  # noqa: C901, PLR0912 - the hot path: a call costs what a branch does not
        self, send_until_ns: int, until_ns: int, pause: Callable[[], None]
    ) -> None:
        clock, poll, write = time.monotonic_ns, self._waiter(), self._log.write
        buffer, view = self._buffer, memoryview(self._buffer)
        ok, http_error = int(Outcome.OK), int(Outcome.HTTP_ERROR)  # A member costs 0.3 us to pack.
        now = clock()
        pause_at_ns = now + YIELD_NS
        while now < until_ns:
            if self._idle and now < send_until_ns:
                if not self._wake_idle():
                    break
            elif not self._in_flight:
                break
            for fd, _ in poll(POLL_S):
                connection = self._open[fd]
                try:
                    received = connection.socket.recv_into(buffer)
                except OSError:
                    received = 0
                now = clock()
                # The common case by far: one whole response in one read, with the head of the one before.
                if (
                    received == self._known_bytes
                    and connection.sent_ns
                    and not connection.first_byte_ns
                    and buffer.startswith(self._known_head)
                ):
                    status, length = self._known
                    first_byte_ns = now
                else:
                    failure = self._take(connection, view[:received], now)
                    if failure is not None:
                        self._replace(connection, failure, now)
                        continue
                    if connection.remaining or connection.head:
                        continue
                    status, length = connection.status, connection.length
                    first_byte_ns = connection.first_byte_ns
                    connection.first_byte_ns = connection.status = 0
                write(
                    connection.intended_ns,
                    connection.sent_ns,
                    first_byte_ns,
                    now,
                    length,
                    connection.number,
                    status,
                    ok if status == 200 else http_error,
                )
                connection.intended_ns = now
                if now >= pause_at_ns:
                    # Between two requests of this connection: its own latency holds no pause.
                    pause()
                    now = clock()
                    pause_at_ns = now + YIELD_NS
                connection.sent_ns = 0
                self._in_flight -= 1
                if now < send_until_ns:
                    self._go_on(connection)
                else:
                    self._idle.append(connection)
            if (now := clock()) >= pause_at_ns:
                pause()
                now = clock()
                pause_at_ns = now + YIELD_NS

    def _waiter(self) -> Callable[[float], list[tuple[int, int]]]:
        """What `_turn` waits with: seconds at most -> events."""
        return self._epoll.poll

    def _wake_idle(self) -> bool:
        """Send on idle connections; returns whether there is anything to go on for."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.intended_ns = connection.intended_ns or time.monotonic_ns()
            self._send(connection)
        return True

    def _send(self, connection: _Connection) -> None:
        self._in_flight += 1
        connection.sent_ns = time.monotonic_ns()
        try:
            complete = connection.socket.send(self._request) == len(self._request)
        except OSError:
            complete = False
        if not complete:
            self._replace(connection, Outcome.CONNECTION_ERROR, connection.sent_ns)

    _go_on = _send
    """What a connection does as soon as it is free. The same function, so that it costs no call more."""

    def _take(self, connection: _Connection, received: memoryview, now: int) -> Outcome | None:
        """Take bytes of a response that needs several reads or whose head is new; returns a failure."""
        if not received:
            return Outcome.CONNECTION_ERROR
        if not connection.sent_ns:
            return Outcome.FRAMING_ERROR  # Nobody asked for it.
        if not connection.first_byte_ns:
            connection.first_byte_ns = now
        if connection.remaining:
            connection.remaining -= len(received)
        else:
            connection.head += received
            head, separator, body = connection.head.partition(b"\r\n\r\n")
            if not separator:
                return Outcome.FRAMING_ERROR if len(head) > BUFFER_BYTES else None
            try:
                connection.status, connection.length = parse_head(bytes(head + separator))
            except Framing:
                return Outcome.FRAMING_ERROR
            self._known_head = bytes(head + separator)
            self._known = connection.status, connection.length
            self._known_bytes = len(self._known_head) + connection.length
            connection.remaining = connection.length - len(body)
            connection.head.clear()
        return Outcome.FRAMING_ERROR if connection.remaining < 0 else None

    def _replace(self, connection: _Connection, failure: Outcome, now: int) -> None:
        """Record the failure of what was in flight, if anything was, and open the connection anew."""
        if connection.sent_ns:
            self._record_failure(connection, failure, now)
            self._in_flight -= 1
        else:
            self._idle.remove(connection)
        self._disconnect(connection)
        # Where it cannot be opened it stays closed; its requests stay unmade, and the rate shows it.
        with suppress(OSError):
            self._add(connection.number, connect(*self._target, self._connect_s))

    def _record_failure(self, connection: _Connection, failure: Outcome, now: int) -> None:
        done_ns = 0 if failure is Outcome.UNFINISHED else now
        self._log.write(
            connection.intended_ns,
            connection.sent_ns,
            connection.first_byte_ns,
            done_ns,
            0,
            connection.number,
            connection.status,
            failure,
        )

    def _add(self, number: int, connected: socket.socket) -> None:
        self._epoll.register(connected.fileno(), EPOLLIN)
        connection = _Connection(number, connected)
        self._open[connected.fileno()] = connection
        self._idle.append(connection)
        self.opened += 1

    def _disconnect(self, connection: _Connection) -> None:
        del self._open[connection.socket.fileno()]
        connection.socket.close()


def await_ready(address: str, port: int, path: str, timeout_s: float) -> tuple[int, int]:
    """Wait for a server: (CLOCK_MONOTONIC ns of the first of three 200s in a row, attempts made).

    A connection each, so that a listener that accepts before its path is complete does not pass.
    The stamp is 0 where `timeout_s` was over first.
    """
    deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
    attempts, first_200_ns, in_a_row = 0, 0, 0
    while time.monotonic_ns() < deadline_ns:
        attempts += 1
        if _answers_200(address, port, path):
            first_200_ns = first_200_ns or time.monotonic_ns()
            in_a_row += 1
            if in_a_row == READY_IN_A_ROW:
                return first_200_ns, attempts
        else:
            first_200_ns = in_a_row = 0
            time.sleep(PROBE_PAUSE_S)
    return 0, attempts


def _answers_200(address: str, port: int, path: str) -> bool:
    log = RequestLog()
    try:
        connections = Connections(address, port, path, 1, log, PROBE_ANSWER_S)
    except OSError:
        return False
    connections.drive(time.monotonic_ns() + 1, lambda: None)
    connections.drain(time.monotonic_ns() + round(PROBE_ANSWER_S * 1e9), lambda: None)
    connections.close()
    return bool((log.records()["outcome"] == Outcome.OK).any())
