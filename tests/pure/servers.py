"""Scripted servers on the loopback, for tests of the load path."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np

from bench.slots.requests import Outcome

ADDRESS = "127.0.0.1"
PATIENCE_S = 10.0
"""Bound of every wait of these tests; none of them comes near it unless it fails."""

Handler = Callable[[socket.socket, int], None]
"""What a server does with an accepted connection and its number (from 0); it is closed afterwards."""


@contextmanager
def serving(handle: Handler, address: str = ADDRESS) -> Iterator[int]:
    """A server in threads on a port of the loopback's own choice; yields the port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    faults: list[BaseException] = []
    accepted: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def carry_out(connection: socket.socket, number: int) -> None:
        with connection, suppress(OSError):  # The client may leave at any time.
            try:
                handle(connection, number)
            except OSError:
                raise
            except BaseException as fault:  # noqa: BLE001 - raised by the test's own thread, below.
                faults.append(fault)

    def accept() -> None:
        with suppress(OSError):  # The end of the test shuts the listener down.
            while True:
                connection, _ = listener.accept()
                connection.settimeout(PATIENCE_S)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                accepted.append(connection)
                thread = threading.Thread(target=carry_out, args=(connection, len(accepted) - 1), daemon=True)
                threads.append(thread)
                thread.start()

    with socket.create_server((address, 0), family=family, backlog=256) as listener:
        accepter = threading.Thread(target=accept, daemon=True)
        accepter.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepter.join(PATIENCE_S)
            for connection in accepted:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(PATIENCE_S)
    assert not faults, faults


def read_request(connection: socket.socket) -> bytes:
    """The next request, or nothing where the client has closed."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        received = connection.recv(65_536)
        if not received:
            return b""
        request += received
    return request


def response(body: bytes = b"x" * 1024, status: str = "200 OK", headers: str = "Server: unit\r\n") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def answering(*answers: bytes, seen: list[bytes] | None = None) -> Handler:
    """Answer each request of a connection with the next of `answers`, the last one again and again."""

    def handle(connection: socket.socket, number: int) -> None:
        turn = 0
        while request := read_request(connection):
            if seen is not None:
                seen.append(request)
            connection.sendall(answers[min(turn, len(answers) - 1)])
            turn += 1

    return handle


def closing_after(*answers: bytes) -> Handler:
    """Answer as many requests as there are `answers`, read one more, and close."""

    def handle(connection: socket.socket, number: int) -> None:
        for answer in answers:
            if not read_request(connection):
                return
            connection.sendall(answer)
        read_request(connection)

    return handle


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def do_nothing() -> None:
    pass


def after(seconds: float) -> int:
    return time.monotonic_ns() + round(seconds * 1e9)


def outcomes(records: np.ndarray) -> list[Outcome]:
    return [Outcome(outcome) for outcome in records["outcome"].tolist()]


def assert_stamps_in_order(records: np.ndarray) -> None:
    assert len(records)
    assert (records["intended_ns"] > 0).all()
    assert (records["intended_ns"] <= records["sent_ns"]).all()
    assert (records["sent_ns"] <= records["first_byte_ns"]).all()
    assert (records["first_byte_ns"] <= records["done_ns"]).all()


UNFRAMED = {
    "no length": b"HTTP/1.1 200 OK\r\nServer: unit\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "chunked beside a length": response(b"x", headers="Transfer-Encoding: chunked\r\n"),
    "to be closed": response(b"x", headers="Connection: close\r\n"),
    "to be closed, in capitals": response(b"x", headers="CONNECTION:\tClose\r\n"),
    "two lengths": response(b"x", headers="Content-Length: 1\r\n"),
    "two lengths that differ": response(b"x", headers="Content-Length: 2\r\n"),
    "two lengths, one of them no number": response(b"x", headers="Content-Length: x\r\n"),
    "two lengths, one of them a list": response(b"x", headers="Content-Length: 1, 1\r\n"),
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "a length with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
    "a hexadecimal length": b"HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\nx",
    "a length of 40 digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\nx",
    "an older version": b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "a newer version": b"HTTP/2 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "a status of four digits": response(b"x", status="2000 OK"),
    "a status below 100": response(b"x", status="099 OK"),
    "no status line": b"\r\nContent-Length: 1\r\n\r\nx",
    "something before the status line": b"x" + response(b"x"),
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
}
