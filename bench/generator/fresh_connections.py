"""A new connection for every request: what a client without keep-alive does.

The request asks the server to close (`Connection: close`, RFC 9112, 9.6), so the server ends the
connection and keeps its TIME_WAIT, and the client's ports are free again at once. Latency counts
from just before the connection is asked for: the handshake is part of it.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from errno import EADDRNOTAVAIL, EINPROGRESS
from select import EPOLLIN, EPOLLOUT, epoll  # Before gevent patches the module, as in connections.py.

from bench.generator.answer import BUFFER_BYTES, Answer
from bench.generator.asks import Asked, Mix
from bench.generator.closed_loop import POLL_S, YIELD_NS
from bench.generator.connecting import Destination, break_off
from bench.generator.heads import Framing
from bench.generator.kept_connection import name_end
from bench.generator.looking import count_look
from bench.generator.request_log import RequestLog
from bench.generator.tls import TlsClient, TlsSocket
from bench.slots.requests import Outcome


@dataclass(slots=True)
class _Request:
    """One request on its own connection."""

    number: int
    """Of the client that makes it, from 0."""
    socket: socket.socket | TlsSocket
    descriptor: int
    asked: Asked
    intended_ns: int
    sent_ns: int
    unsent: memoryview
    """What of it has not left."""
    is_connected: bool = False
    """The connection is there, its TLS handshake included."""
    first_byte_ns: int = 0
    moved_ns: int = 0
    """When it last took some of its answer, or sent some of itself."""
    answer: Answer = field(default_factory=Answer)
    is_done: bool = False
    """The whole response is here; only the server's end of the connection is awaited."""


class FreshConnections:
    """N clients in a closed loop, each of which opens a connection a request."""

    def __init__(
        self, destination: Destination, mix: Mix, count: int, log: RequestLog, *, think_ns: int = 0
    ) -> None:
        """`think_ns`: from the end of a client's request to its next, as `Load.think_us`."""
        self._think_ns = think_ns
        self.spun_ns = 0
        """Time spent looking in vain while clients think: no work, though the core was busy."""
        self._target = (destination.address, destination.port)
        self._family = socket.AF_INET6 if ":" in destination.address else socket.AF_INET
        self._tls = TlsClient(destination.tls) if destination.tls else None
        self._turns = mix.turns(mix.prepare(*self._target, keep_alive=False))
        """Whose turn it is, of all clients together."""
        self._log = log
        self._epoll = epoll()
        self._open: dict[int, _Request] = {}
        self._resting = dict.fromkeys(range(count), 0)
        """Client without a request -> when its next one is due, in a closed loop; 0 before its first."""
        self._buffer = bytearray(BUFFER_BYTES)
        self.connected = count
        """Clients, each of which opens a connection when it asks."""
        self.opened = 0
        """Connections asked for so far."""
        self.without_port = 0
        """Of them, those for which the client had no port left."""

    @property
    def handshakes(self) -> tuple[int, int]:
        """Those of TLS so far, and how many of them went on with an earlier session."""
        return self._tls.counts if self._tls else (0, 0)

    def drive(self, until_ns: int, pause: Callable[[], None]) -> None:
        """Let every client make request after request, until `until_ns`; `pause` as in Connections."""
        self._turn(until_ns, until_ns, pause)

    def drain(self, until_ns: int, pause: Callable[[], None]) -> None:
        """Begin nothing more; wait for what is in flight, at most until `until_ns`."""
        self._turn(0, until_ns, pause)

    def close(self) -> None:
        """Close every connection; a request that is not answered is recorded as unfinished, or as stalled."""
        for request in list(self._open.values()):
            if not request.is_done:
                self._record(request, 0, name_end(time.monotonic_ns(), request.sent_ns, request.moved_ns))
                break_off(request.socket)
            self._end(request)
        self._epoll.close()

    def _turn(self, begin_until_ns: int, until_ns: int, pause: Callable[[], None]) -> None:
        clock = time.monotonic_ns
        now = clock()
        pause_at_ns = now + YIELD_NS
        while now < until_ns:
            if now < begin_until_ns:
                for number in [number for number, due_ns in self._resting.items() if due_ns <= now]:
                    self._begin(number, self._resting.pop(number))
            elif not self._open:
                break
            thinks = self._resting and now < begin_until_ns
            begun_ns = clock()
            events = self._epoll.poll(0 if thinks else POLL_S)
            if thinks and not events:
                self.spun_ns += count_look(begun_ns, clock())
            for fd, event in events:
                self._turn_to(self._open[fd], event)
            now = clock()
            if now >= pause_at_ns:
                pause()
                now = clock()
                pause_at_ns = now + YIELD_NS

    def _turn_to(self, request: _Request, event: int) -> None:
        """Do what is next, where the connection has something to say."""
        if self._tls and not request.is_connected:
            self._shake(request, self._tls)
            return  # What else is to be done is reported again.
        if event & EPOLLOUT or not request.is_connected:
            self._send(request)
        if event != EPOLLOUT and request.is_connected:
            self._receive(request)

    def _begin(self, number: int, intended_ns: int) -> None:
        """Ask for a connection, for a request that was intended at `intended_ns` (0: now)."""
        connecting = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent_ns = time.monotonic_ns()
        asked = next(self._turns)
        unsent = memoryview(asked.request)
        descriptor = connecting.fileno()
        request = _Request(number, connecting, descriptor, asked, intended_ns or sent_ns, sent_ns, unsent)
        self._open[descriptor] = request
        self._epoll.register(descriptor, EPOLLOUT)
        self.opened += 1
        failure = connecting.connect_ex(self._target)
        if failure not in (0, EINPROGRESS):
            self.without_port += failure == EADDRNOTAVAIL
            self._fail(request, Outcome.CONNECTION_ERROR)

    def _shake(self, request: _Request, tls: TlsClient) -> None:
        """Begin the TLS handshake, or go on with it; then send."""
        try:
            if not isinstance(request.socket, TlsSocket):
                _require_connection(request.socket)
                request.socket = tls.wrap(request.socket)
            wanted = request.socket.shake()
        except OSError:
            self._fail(request, Outcome.CONNECTION_ERROR)
            return
        if wanted:
            self._epoll.modify(request.descriptor, wanted)
            return
        tls.count(request.socket)
        self._send(request)

    def _send(self, request: _Request) -> None:
        """Send the request, or more of it, on a connection that is there or was refused."""
        try:
            sent = request.socket.send(request.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            if not request.is_connected:
                self._fail(request, Outcome.CONNECTION_ERROR)
                return
            # The server has enough of it. It may have said why: the next read shows that, or its end.
            self._epoll.modify(request.descriptor, EPOLLIN)
            return
        request.is_connected = True
        request.moved_ns = time.monotonic_ns() if sent else request.moved_ns
        request.unsent = request.unsent[sent:]
        self._epoll.modify(request.descriptor, EPOLLIN | EPOLLOUT if request.unsent else EPOLLIN)

    def _receive(self, request: _Request) -> None:
        try:
            received = request.socket.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            received = 0
        now = time.monotonic_ns()
        if request.is_done:
            if received:
                # Its record is written: that more came than was stated is an error of its own.
                self._record(request, now, Outcome.FRAMING_ERROR)
            self._rest(request)
        elif not received:
            self._fail(request, Outcome.CONNECTION_ERROR)
        else:
            self._take(request, bytes(self._buffer[:received]), now)

    def _take(self, request: _Request, received: bytes, now: int) -> None:
        request.first_byte_ns = request.first_byte_ns or now
        request.moved_ns = now
        answer, asked = request.answer, request.asked
        try:
            answer.take(received, asked)
        except Framing:
            self._fail(request, Outcome.FRAMING_ERROR)
            return
        if not answer.is_done:
            return
        self._record(request, now, Outcome.OK if answer.status == asked.status else Outcome.HTTP_ERROR)
        if self._tls:
            self._tls.keep(request.socket)
        has_ended = isinstance(request.socket, TlsSocket) and request.socket.is_ended
        if request.unsent or has_ended or not asked.asks_end:
            self._rest(request)  # The server does not know that this was all, or has said its last word.
        else:
            request.is_done = True

    def _fail(self, request: _Request, failure: Outcome) -> None:
        self._record(request, time.monotonic_ns(), failure)
        self._rest(request)

    def _record(self, request: _Request, done_ns: int, outcome: Outcome) -> None:
        self._log.write(
            request.intended_ns,
            request.sent_ns,
            request.first_byte_ns,
            done_ns,
            request.answer.length if done_ns else request.answer.received,
            request.number,
            request.asked.index,
            request.answer.status,
            outcome,
        )

    def _rest(self, request: _Request) -> None:
        self._end(request)
        self._resting[request.number] = time.monotonic_ns() + self._think_ns

    def _end(self, request: _Request) -> None:
        del self._open[request.descriptor]
        request.socket.close()


def _require_connection(asked_for: socket.socket) -> None:
    """Raise OSError where the connection was refused."""
    if failure := asked_for.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(failure, "the connection was refused")
