"""TLS on the loops' own sockets: handshakes that do not block, sessions that are resumed, and both counted.

A session's ticket comes after its handshake (TLS 1.3), with the first answer: it is kept once a connection
was of use. OpenSSL works in memory, and what goes over the wire goes through a plain socket: the classes of
`ssl` that hold a socket are gevent's in the generator. `ssl` is imported on first use: gevent, which patches
it, warns of whoever has it before.
"""

import socket
import time
from collections.abc import Sequence
from select import EPOLLIN, EPOLLOUT, POLLIN, POLLOUT, poll  # Before gevent patches the module.
from typing import TYPE_CHECKING

from bench.generator.answer import BUFFER_BYTES
from bench.generator.protocol import Tls

if TYPE_CHECKING:
    from ssl import SSLContext, SSLSession

WANT_READ = 2
"""errno of an SSLWantReadError: SSL_ERROR_WANT_READ of OpenSSL."""
RECORD_BYTES = 16_384
"""The most that a record holds (RFC 8446, 5.1)."""
ENCRYPTED_BYTES = BUFFER_BYTES - 2 * RECORD_BYTES
"""Of one read: with what the last one left of a record, it is decrypted into one buffer."""


class TlsSocket:
    """A connection that encrypts, with the calls of a socket that does not block."""

    def __init__(
        self, connected: socket.socket, context: "SSLContext", name: str, session: "SSLSession | None"
    ) -> None:
        from ssl import MemoryBIO  # noqa: PLC0415 - see above

        self._socket = connected
        self._incoming, self._outgoing = MemoryBIO(), MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name, session=session)
        self._unsent = b""
        """Encrypted, but the socket had no room for it."""
        self._owed = 0
        """Bytes of the caller's that are in it, and that it has not been told of as sent."""
        self.is_ended = False
        """Whether the server has said that nothing more comes."""

    @property
    def is_resumed(self) -> bool:
        """Whether its handshake went on with an earlier session."""
        return bool(self._tls.session_reused)

    @property
    def session(self) -> "SSLSession | None":
        """By which another connection can be resumed, so far."""
        return self._tls.session

    def fileno(self) -> int:
        """Its descriptor."""
        return self._socket.fileno()

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Set an option of the plain socket."""
        self._socket.setsockopt(level, option, value)

    def close(self) -> None:
        """End it, as a client does that has all that it wanted: without a last word."""
        self._socket.close()

    def shake(self) -> int:
        """Go on with the handshake: what it waits for (EPOLLIN, EPOLLOUT), 0 where it is done.

        Raises OSError where it fails.
        """
        while True:
            is_done = self._step()
            if not self._flush():
                return EPOLLOUT
            if is_done:
                return 0
            try:
                received = self._socket.recv(ENCRYPTED_BYTES)
            except BlockingIOError:
                return EPOLLIN
            if not received:
                raise ConnectionError("the server ended the connection in its TLS handshake")
            self._incoming.write(received)

    def _step(self) -> bool:
        """One step of the handshake; whether it was the last."""
        try:
            self._tls.do_handshake()
        except OSError as fault:
            if fault.errno == WANT_READ:
                return False
            self._flush()  # The server is told why.
            raise
        return True

    def recv_into(self, buffer: bytearray) -> int:
        """What has come, decrypted; 0: the end.

        Raises BlockingIOError where it is nothing yet: a ticket, or a part of a record.
        """
        received = self._socket.recv(ENCRYPTED_BYTES)
        if not received:
            return 0
        self._incoming.write(received)
        taken = 0
        while more := self._read(memoryview(buffer)[taken:]):
            taken += more
        if more is None and not taken:
            raise BlockingIOError
        self.is_ended = more is not None
        return taken

    def _read(self, room: memoryview) -> int | None:
        """Bytes of one record, decrypted; 0: the server ends the connection; None: there is no whole one."""
        try:
            return int(self._tls.read(RECORD_BYTES, room))
        except OSError as fault:
            if fault.errno != WANT_READ:
                raise
            return None

    def send(self, content: bytes | memoryview) -> int:
        """Encrypt and send as much as there is room for. Raises BlockingIOError where there is none.

        What was encrypted and did not leave is not sent yet: the next call begins with the same bytes.
        """
        view, sent = memoryview(content), 0
        while sent < len(view):
            if not self._owed:
                self._owed = self._tls.write(view[sent : sent + RECORD_BYTES])
            if not self._flush():
                break
            sent, self._owed = sent + self._owed, 0
        if not sent:
            raise BlockingIOError
        return sent

    def _flush(self) -> bool:
        """Send what is encrypted; whether all of it left."""
        self._unsent += self._outgoing.read()
        while self._unsent:
            try:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            except BlockingIOError:
                return False
        return True


class TlsClient:
    """What the connections of a load share: whom they trust, the session that they resume, and the counts."""

    def __init__(self, tls: Tls) -> None:
        """Raises OSError where `tls.ca` is no certificate."""
        from ssl import PROTOCOL_TLS_CLIENT, SSLContext  # noqa: PLC0415 - see above

        self._tls = tls
        self._context = SSLContext(PROTOCOL_TLS_CLIENT)
        self._context.load_verify_locations(cadata=tls.ca)
        self._session: SSLSession | None = None
        self.handshakes = 0
        """That came to their end."""
        self.resumed = 0
        """Of them, those that went on with an earlier session."""

    @property
    def counts(self) -> tuple[int, int]:
        """Handshakes, and of them those that were resumed."""
        return self.handshakes, self.resumed

    def wrap(self, connected: socket.socket) -> TlsSocket:
        """Take over a connection, whose handshake is to come."""
        return TlsSocket(connected, self._context, self._tls.server_name, self._session)

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
        """Do the whole handshake. Raises OSError, and closes the connection, where it fails or is late."""
        deadline, made, waiter = time.monotonic() + within_s, self.wrap(connected), poll()
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
