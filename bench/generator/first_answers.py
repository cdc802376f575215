"""When each of several servers answers for the first time: all of them are asked at once."""

import os
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from select import EPOLLIN, EPOLLOUT, epoll  # Fails, as it should, once gevent has patched the module.

from bench.generator.answer import BUFFER_BYTES, Answer
from bench.generator.asks import Asked, Mix
from bench.generator.connecting import begin_connecting
from bench.generator.heads import Framing
from bench.generator.protocol import AwaitAll, AwaitedAll
from bench.generator.readiness import GROWS, MOST_ANSWER_S, PROBE_ANSWER_S, PROBE_PAUSE_S, READY_IN_A_ROW

LOOK_S = 0.001
"""Between two looks at what has come, where nothing wakes: the resolution of a retry."""
STOP = "stop"


@dataclass
class _Server:
    """One that is waited for."""

    address: str
    port: int
    asked: Asked
    connection: socket.socket | None = None
    answer: Answer | None = None
    """Of the connection; None while it is being opened."""
    first_ns: int = 0
    in_a_row: int = 0
    patience_s: float = PROBE_ANSWER_S
    until_ns: int = 0
    """When the patience with this connection ends."""
    again_ns: int = 0
    """Not asked before."""

    @property
    def is_ready(self) -> bool:
        return self.in_a_row == READY_IN_A_ROW


def await_all(order: AwaitAll) -> AwaitedAll:
    """Ask every server as soon as it is known where it is, again and again, until each has answered three
    times in a row, a connection each: the first of these counts."""
    news = os.open(order.news, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        with epoll() as poll:
            poll.register(news, EPOLLIN)
            waiting = _Waiting(order, poll)
            until_ns = time.monotonic_ns() + round(order.timeout_s * 1e9)
            while not waiting.is_over and time.monotonic_ns() < until_ns:
                ready = [descriptor for descriptor, _ in poll.poll(LOOK_S)]
                if news in ready:
                    waiting.hear(os.read(news, 65536).decode())
                waiting.go_on(descriptor for descriptor in ready if descriptor != news)
            waiting.close()
    finally:
        os.close(news)
    return AwaitedAll(first_ns=waiting.first_ns())


@dataclass
class _Waiting:
    """All servers of an order, and the connections to them."""

    order: AwaitAll
    poll: epoll
    servers: dict[int, _Server] = field(default_factory=dict)
    """By number, of those that are known."""
    open: dict[int, _Server] = field(default_factory=dict)
    """By descriptor."""
    stopped: bool = False
    rest: str = ""
    """Of the news, a line that has not come whole."""

    @property
    def is_over(self) -> bool:
        ready = sum(server.is_ready for server in self.servers.values())
        return self.stopped or ready == self.order.count

    def first_ns(self) -> tuple[int, ...]:
        """By number; 0 of those that did not become ready."""
        found = (self.servers.get(number) for number in range(self.order.count))
        return tuple(server.first_ns if server and server.is_ready else 0 for server in found)

    def hear(self, text: str) -> None:
        """Take note of servers that may be asked."""
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            if line == STOP:
                self.stopped = True
                return
            number, address, port = line.split()
            [asked] = Mix((self.order.ask,)).prepare(address, int(port))
            self.servers[int(number)] = server = _Server(address, int(port), asked)
            self._begin(server)

    def go_on(self, descriptors: Iterable[int]) -> None:
        """Deal with what has come, with what did not come in time, and with whose turn it is again."""
        for descriptor in descriptors:
            if server := self.open.get(descriptor):
                self._deal_with(server)
        now_ns = time.monotonic_ns()
        for server in self.servers.values():
            if server.connection and now_ns >= server.until_ns:
                # Not refused, but waited for in vain: it may be slow, and need not be ill.
                server.patience_s = min(server.patience_s * GROWS, MOST_ANSWER_S)
                self._fail(server)
            elif not server.connection and not server.is_ready and now_ns >= server.again_ns:
                self._begin(server)

    def close(self) -> None:
        """Let go of every connection."""
        for server in list(self.open.values()):
            self._let_go(server)

    def _begin(self, server: _Server) -> None:
        family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
        try:
            server.connection = begin_connecting(family, server.address, server.port)
        except OSError:
            self._fail(server)
            return
        server.answer = None
        server.until_ns = time.monotonic_ns() + round(server.patience_s * 1e9)
        self.open[server.connection.fileno()] = server
        self.poll.register(server.connection.fileno(), EPOLLOUT)

    def _deal_with(self, server: _Server) -> None:
        assert server.connection
        try:
            if server.answer is None:
                if server.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise ConnectionError
                server.connection.send(server.asked.request)
                server.answer = Answer()
                self.poll.modify(server.connection.fileno(), EPOLLIN)
                return
            received = server.connection.recv(BUFFER_BYTES)
            if not received:
                raise ConnectionError
            server.answer.take(received, server.asked)
        except BlockingIOError:
            return
        except (OSError, Framing):
            self._fail(server)
            return
        if server.answer.is_done:
            self._count(server, server.answer.status)

    def _count(self, server: _Server, status: int) -> None:
        """A whole answer."""
        if status != server.asked.status:
            self._fail(server)
            return
        server.first_ns = server.first_ns or time.monotonic_ns()
        server.in_a_row += 1
        self._let_go(server)
        if not server.is_ready:
            self._begin(server)

    def _fail(self, server: _Server) -> None:
        self._let_go(server)
        server.first_ns = server.in_a_row = 0
        server.again_ns = time.monotonic_ns() + round(PROBE_PAUSE_S * 1e9)

    def _let_go(self, server: _Server) -> None:
        if server.connection:
            del self.open[server.connection.fileno()]
            self.poll.unregister(server.connection.fileno())
            server.connection.close()
            server.connection = None
