"""TLS on the loops' own sockets: handshakes that do not block, sessions that are resumed, and both counted.

A session's ticket comes after its handshake (TLS 1.3), with the first answer: it is kept when a connection has
been of use. Every name of `ssl` and `select` is taken here before gevent patches the modules.
"""

import socket
import time
from collections.abc import Sequence
from select import EPOLLIN, EPOLLOUT, POLLIN, POLLOUT, poll
from ssl import (
    PROTOCOL_TLS_CLIENT,
    SSLContext,
    SSLSession,
    SSLSocket,
    SSLWantReadError,
    SSLWantWriteError,
)

from bench.generator.protocol import Tls

RECORD_BYTES = 16_384
"""The most that a record holds (RFC 8446, 5.1), and that is encrypted at once: what one call could not send
is what the next one begins with, as OpenSSL demands."""


class TlsSocket:
    """A connection that encrypts, with the calls of a socket that does not block."""

    def __init__(self, made: SSLSocket) -> None:
        self._made = made

    @property
    def is_resumed(self) -> bool:
        """Whether its handshake went on with an earlier session."""
        return bool(self._made.session_reused)

    @property
    def session(self) -> SSLSession | None:
        """By which another connection can be resumed, so far."""
        return self._made.session

    def fileno(self) -> int:
        """Its descriptor."""
        return self._made.fileno()

    def close(self) -> None:
        """End it, as a client does that has all that it wanted: without a last word."""
        self._made.close()

    def shake(self) -> int:
        """Go on with the handshake: what it waits for (EPOLLIN, EPOLLOUT), 0 where it is done. Raises OSError."""
        try:
            self._made.do_handshake()
        except SSLWantReadError:
            return EPOLLIN
        except SSLWantWriteError:
            return EPOLLOUT
        return 0

    def recv_into(self, buffer: bytearray) -> int:
        """What has come, decrypted, at most a record: epoll tells of the next one, which is in the kernel yet.

        Raises BlockingIOError where there is none: what came was a ticket, or a part of a record.
        """
        try:
            return self._made.recv_into(buffer)
        except (SSLWantReadError, SSLWantWriteError):
            raise BlockingIOError from None

    def send(self, content: bytes | memoryview) -> int:
        """Encrypt and send as much as there is room for. Raises BlockingIOError where there is none."""
        view, sent = memoryview(content), 0
        try:
            while sent < len(view):
                sent += self._made.send(view[sent : sent + RECORD_BYTES])
        except (SSLWantReadError, SSLWantWriteError):
            if not sent:
                raise BlockingIOError from None
        return sent


class TlsClient:
    """What the connections of a load share: whom they trust, the session that they resume, and the counts."""

    def __init__(self, tls: Tls) -> None:
        """Raises OSError where `tls.ca` is no certificate."""
        self._tls = tls
        self._context = SSLContext(PROTOCOL_TLS_CLIENT)
        self._context.load_verify_locations(cadata=tls.ca)
        self._session: SSLSession | None = None
        self.handshakes = 0
        """That came to their end."""
        self.resumed = 0
        """Of them, those that went on with an earlier session."""

    def wrap(self, connected: socket.socket) -> TlsSocket:
        """Take over a connection, whose handshake is to come. Raises OSError."""
        made = self._context.wrap_socket(
            connected,
            do_handshake_on_connect=False,
            server_hostname=self._tls.server_name,
            session=self._session,
        )
        return TlsSocket(made)

    def count(self, shaken: TlsSocket) -> None:
        """Take note of a handshake that is done."""
        self.handshakes += 1
        self.resumed += shaken.is_resumed

    def keep(self, used: TlsSocket | socket.socket) -> None:
        """Keep the session of a connection that was of use, where sessions are resumed."""
        if self._tls.resume and isinstance(used, TlsSocket):
            session = used.session
            if session and (session.has_ticket or session.id):
                self._session = session

    def secure(self, connected: socket.socket, within_s: float) -> TlsSocket:
        """Do the whole handshake. Raises OSError, and closes the connection, where it fails or takes longer."""
        deadline = time.monotonic() + within_s
        try:
            made = self.wrap(connected)
        except OSError:
            connected.close()
            raise
        waiter = poll()
        try:
            while wanted := made.shake():
                waiter.register(made.fileno(), POLLIN if wanted == EPOLLIN else POLLOUT)
                if not waiter.poll(max(deadline - time.monotonic(), 0) * 1e3):
                    raise TimeoutError(f"the TLS handshake took longer than {within_s:g} s")
        except OSError:
            made.close()
            raise
        self.count(made)
        return made

    def secure_many(self, connected: Sequence[socket.socket], within_s: float) -> list[TlsSocket]:
        """Those whose handshake came to its end, until one failed. Raises OSError where that is none."""
        found: list[TlsSocket] = []
        for number, one in enumerate(connected):
            try:
                found.append(self.secure(one, within_s))
            except OSError:
                for other in connected[number + 1 :]:
                    other.close()
                if not found:
                    raise
                break
        return found
