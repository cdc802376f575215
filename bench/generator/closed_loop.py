"""The load path: N connections driven by one epoll loop, four stamps kept for every request.

This is the product's instrument, so it is small and does nothing that is not HTTP: literal
address, request bytes built once, TCP_NODELAY, one send a request where it fits, strict HTTP/1.1 framing,
no retry. Imports nothing of Locust, whose import patches `select` and `socket`: import this first.
"""

import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from select import EPOLLIN, EPOLLOUT, epoll  # Fails, as it should, once gevent has patched the module.

from bench.generator.answer import BUFFER_BYTES, Answer
from bench.generator.asks import Asked, Mix
from bench.generator.connecting import CONNECT_S, Destination, break_off, connect, connect_many
from bench.generator.heads import Framing
from bench.generator.kept_connection import KeptConnection, name_end
from bench.generator.request_log import RequestLog
from bench.generator.tls import TlsClient, TlsSocket
from bench.slots.requests import Outcome

YIELD_NS = 20_000_000
"""Time between two yields to other tasks. A yield delays what is in flight, so it must be rare."""
POLL_S = 0.02


class Connections:
    """N keep-alive connections to one server, with one request in flight on each (closed loop).

    `_waiter`, `_wake_idle` and `_go_on` are what an open loop does differently: see open_loop.py.
    """

    without_port = 0
    """Of connections that last, none is asked for again and again: see FreshConnections."""
    spun_ns = 0
    """A loop whose clients do not think never looks in vain: see ThinkingConnections and Arrivals."""

    def __init__(
        self,
        destination: Destination,
        mix: Mix,
        count: int,
        log: RequestLog,
        connect_s: float = CONNECT_S,
    ) -> None:
        """Open `count` connections, or as many as can be; raises OSError where that is none."""
        self._connect_s = connect_s
        self._destination = destination
        self._asked = self._prepare(mix)
        self._turns = mix.turns(self._asked)
        """Whose turn it is, of all connections together."""
        self._log = log
        self._epoll = epoll()
        self._open: dict[int, KeptConnection] = {}
        self._idle: list[KeptConnection] = []
        """Open connections without a request in flight."""
        self._in_flight = 0
        self._buffer = bytearray(BUFFER_BYTES)
        self.opened = 0
        """Connections opened so far, reconnects included."""
        self._tls = TlsClient(destination.tls) if destination.tls else None
        opened = connect_many(destination.address, destination.port, count, connect_s)
        sockets: Sequence[socket.socket | TlsSocket] = opened
        if self._tls:
            sockets = self._tls.secure_many(opened, connect_s)
        self.connected = len(sockets)
        """Connections that were open when the load could begin."""
        for number, connected in enumerate(sockets):
            self._add(number, connected)

    def _prepare(self, mix: Mix) -> list[Asked]:
        return mix.prepare(self._destination.address, self._destination.port)

    @property
    def handshakes(self) -> tuple[int, int]:
        """Those of TLS so far, and how many of them went on with an earlier session."""
        return self._tls.counts if self._tls else (0, 0)

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
        """Close every connection; what is still in flight is recorded as unfinished, or as stalled."""
        for connection in list(self._open.values()):
            if connection.sent_ns:
                end = name_end(time.monotonic_ns(), connection.sent_ns, connection.moved_ns)
                self._record_failure(connection, end, 0)
                break_off(connection.socket)
            self._disconnect(connection)
        self._epoll.close()

    def _turn(  # noqa: C901, PLR0912, PLR0915 - the hot path: a call costs what a branch does not
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
            for fd, event in poll(POLL_S):
                connection = self._open[fd]
                if event != EPOLLIN and not self._is_readable(connection, event):
                    continue
                try:
                    received = connection.socket.recv_into(buffer)
                except BlockingIOError:
                    continue
                except OSError:
                    received = 0
                now = clock()
                asked = connection.asked
                # The common case by far: one whole response in one read, with the head of the one before.
                if (
                    received == asked.known_bytes
                    and connection.is_awaited
                    and buffer.startswith(asked.known_head)
                ):
                    status, length, closes = asked.known
                    first_byte_ns = now
                else:
                    failure = self._take(connection, view[:received], now)
                    if failure is not None:
                        self._replace(connection, failure, now)
                        continue
                    answer = connection.answer
                    if not answer.is_done:
                        continue
                    status, length = answer.status, answer.length
                    # A server that answers without having read the whole request reads no next one.
                    closes = answer.closes or bool(connection.unsent)
                    first_byte_ns = connection.first_byte_ns
                    connection.first_byte_ns = 0
                    connection.answer = Answer()
                write(
                    connection.intended_ns,
                    connection.sent_ns,
                    first_byte_ns,
                    now,
                    length,
                    connection.number,
                    asked.index,
                    status,
                    ok if status == asked.status else http_error,
                )
                connection.intended_ns = now
                if now >= pause_at_ns:
                    # Between two requests of this connection: its own latency holds no pause.
                    pause()
                    now = clock()
                    pause_at_ns = now + YIELD_NS
                connection.sent_ns = 0
                connection.is_awaited = False
                self._in_flight -= 1
                if closes:
                    self._renew(connection)
                elif now < send_until_ns:
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

    def _send(self, connection: KeptConnection) -> None:
        asked = connection.asked = next(self._turns)
        self._in_flight += 1
        connection.sent_ns = time.monotonic_ns()
        try:
            sent = connection.socket.send(asked.request)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._replace(connection, Outcome.CONNECTION_ERROR, connection.sent_ns)
            return
        if sent == len(asked.request):
            connection.is_awaited = True
        else:
            connection.unsent = memoryview(asked.request)[sent:]
            self._epoll.modify(connection.socket.fileno(), EPOLLIN | EPOLLOUT)

    _go_on = _send
    """What a connection does as soon as it is free. The same function, so that it costs no call more."""

    def _is_readable(self, connection: KeptConnection, event: int) -> bool:
        """Whether there is anything to read; having sent more of a request, where there was room for it."""
        if event & EPOLLOUT:
            self._send_more(connection)
        return event != EPOLLOUT

    def _send_more(self, connection: KeptConnection) -> None:
        if len(connection.unsent) == len(connection.asked.request):
            connection.sent_ns = time.monotonic_ns()  # Its first byte leaves now.
        try:
            sent = connection.socket.send(connection.unsent)
        except BlockingIOError:
            return
        except OSError:
            # The server has enough of it. It may have said why: the next read shows that, or its end.
            self._epoll.modify(connection.socket.fileno(), EPOLLIN)
            return
        connection.unsent = connection.unsent[sent:]
        connection.moved_ns = time.monotonic_ns()
        if not connection.unsent:
            self._epoll.modify(connection.socket.fileno(), EPOLLIN)
            connection.is_awaited = not connection.first_byte_ns

    def _take(self, connection: KeptConnection, received: memoryview, now: int) -> Outcome | None:
        """Take bytes of a response that needs several reads or whose head is new; returns a failure."""
        if not received:
            return Outcome.CONNECTION_ERROR
        if not connection.sent_ns:
            return Outcome.FRAMING_ERROR  # Nobody asked for it.
        connection.is_awaited = False
        connection.first_byte_ns = connection.first_byte_ns or now
        connection.moved_ns = now
        try:
            connection.answer.take(received, connection.asked)
        except Framing:
            return Outcome.FRAMING_ERROR
        return None

    def _replace(self, connection: KeptConnection, failure: Outcome, now: int) -> None:
        """Record the failure of what was in flight, if anything was, and open the connection anew."""
        if connection.sent_ns:
            self._record_failure(connection, failure, now)
            self._in_flight -= 1
        else:
            self._idle.remove(connection)
        connection.intended_ns = 0
        self._renew(connection)

    def _renew(self, connection: KeptConnection) -> None:
        """Open the connection anew; its next request is intended when it was."""
        if self._tls:
            self._tls.keep(connection.socket)
        self._disconnect(connection)
        # Where it cannot be opened it stays closed; its requests stay unmade, and the rate shows it.
        with suppress(OSError):
            made = connect(self._destination.address, self._destination.port, self._connect_s)
            secured = self._tls.secure(made, self._connect_s) if self._tls else made
            self._add(connection.number, secured, connection.intended_ns)

    def _record_failure(self, connection: KeptConnection, failure: Outcome, done_ns: int) -> None:
        self._log.write(
            connection.intended_ns,
            connection.sent_ns,
            connection.first_byte_ns,
            done_ns,
            0 if done_ns else connection.answer.received,
            connection.number,
            connection.asked.index,
            connection.answer.status,
            failure,
        )

    def _add(self, number: int, connected: socket.socket | TlsSocket, intended_ns: int = 0) -> None:
        self._epoll.register(connected.fileno(), EPOLLIN)
        connection = KeptConnection(number, connected, self._asked[0], intended_ns)
        self._open[connected.fileno()] = connection
        self._idle.append(connection)
        self.opened += 1

    def _disconnect(self, connection: KeptConnection) -> None:
        del self._open[connection.socket.fileno()]
        connection.socket.close()
