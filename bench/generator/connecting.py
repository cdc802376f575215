"""Opens a load's connections: one anew, or thousands before a window begins."""

import socket
import struct
import time
from dataclasses import dataclass
from errno import EINPROGRESS
from select import EPOLLOUT, epoll  # Fails, as it should, once gevent has patched the module.
from typing import TYPE_CHECKING

from bench.generator.protocol import Tls

if TYPE_CHECKING:
    from bench.generator.tls import TlsSocket

CONNECT_S = 5.0
OPENING_AT_ONCE = 128
"""Below any server's backlog: a SYN that finds it full is sent again only after a second."""
MORE_S = 0.001
"""Further patience for each connection of many."""


@dataclass(frozen=True)
class Destination:
    """The server of a load."""

    address: str
    """A literal one."""
    port: int
    tls: Tls | None = None


def connect(address: str, port: int, within_s: float = CONNECT_S) -> socket.socket:
    """One connection, ready for the loop. Raises OSError where it cannot be opened in time."""
    return _prepare(socket.create_connection((address, port), timeout=within_s))


def connect_many(address: str, port: int, count: int, within_s: float = CONNECT_S) -> list[socket.socket]:
    """`count` connections, or those that came before one failed or the time was up.

    Raises OSError where there is not one: the first one's failure.
    """
    first = connect(address, port, within_s)
    found: list[socket.socket | None] = [first]
    deadline = time.monotonic() + within_s + count * MORE_S
    pending: dict[int, int] = {}
    """Descriptor -> its place in `found`, of those that are asked for."""
    failed = False
    with epoll() as poll:
        while time.monotonic() < deadline:
            while len(found) < count and len(pending) < OPENING_AT_ONCE and not failed:
                try:
                    opening = begin_connecting(first.family, address, port)
                except OSError:
                    failed = True
                    break
                poll.register(opening.fileno(), EPOLLOUT)
                pending[opening.fileno()] = len(found)
                found.append(opening)
            if not pending:
                break
            for descriptor, _ in poll.poll(0.02):
                poll.unregister(descriptor)
                place = pending.pop(descriptor)
                opened = found[place]
                assert opened
                if opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    failed = True
                    opened.close()
                    found[place] = None
        for place in pending.values():
            late = found[place]
            assert late
            late.close()
            found[place] = None
    return [opened for opened in found if opened]


def begin_connecting(family: int, address: str, port: int) -> socket.socket:
    """A connection that is being opened: once it can be written to, SO_ERROR says whether it is. Raises
    OSError where it cannot even begin."""
    opening = _prepare(socket.socket(family, socket.SOCK_STREAM))
    failure = opening.connect_ex((address, port))
    if failure not in (0, EINPROGRESS):
        opening.close()
        raise OSError(failure, f"connecting to {address}")
    return opening


def break_off(connection: "socket.socket | TlsSocket") -> None:
    """Have its close end it at once, by a reset (socket(7), SO_LINGER).

    Else the kernel goes on to send what was not acknowledged, seconds into whatever is measured next.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _prepare(made: socket.socket) -> socket.socket:
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setblocking(False)
    return made
