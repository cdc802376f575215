"""Scripted servers on the loopback, for tests of the load path."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ssl import SSLContext

import numpy as np

from bench.generator.ask import Ask
from bench.generator.asks import Mix
from bench.generator.connecting import Destination
from bench.slots.requests import Outcome

ADDRESS = "127.0.0.1"
PATIENCE_S = 10.0
"""Bound of every wait of these tests; none of them comes near it unless it fails."""


def at(port: int, address: str = ADDRESS) -> Destination:
    return Destination(address, port)


def page(path: str = "/1024") -> Mix:
    """The load of one page, as of bench's own server."""
    return Mix((Ask(path=path, numbered=True),))


Handler = Callable[[socket.socket, int], None]
"""What a server does with an accepted connection and its number (from 0); it is closed afterwards."""


@contextmanager
def serving(
    handle: Handler, address: str = ADDRESS, *, room_bytes: int = 0, context: SSLContext | None = None
) -> Iterator[int]:
    """A server in threads on a port of the loopback's own choice; yields the port.

    `room_bytes`: of what is sent and nobody reads, by default as much as the kernel gives. `context`: of a
    server that speaks TLS.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    faults: list[BaseException] = []
    accepted: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def carry_out(connection: socket.socket, number: int) -> None:
        with connection, suppress(OSError):  # The client may leave at any time.
            try:
                if context:
                    connection = context.wrap_socket(connection, server_side=True)
                with connection:
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
        if room_bytes:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room_bytes)
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


def read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """The head of the next request, and what came with it of the rest; empty where the client has closed."""
    request = b""
    while b"\r\n\r\n" not in request:
        received = connection.recv(65_536)
        if not received:
            return b"", b""
        request += received
    head, separator, rest = request.partition(b"\r\n\r\n")
    return head + separator, rest


def read_body(connection: socket.socket, head: bytes, begun: bytes) -> bytes:
    """The body that `head` states, of which some has come; less of it where the client has closed."""
    stated = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    length = int(stated[0].split(b":")[1]) if stated else 0
    body = bytearray(begun)
    while len(body) < length and (received := connection.recv(1_048_576)):
        body += received
    return bytes(body)


def read_request(connection: socket.socket) -> bytes:
    """The next request, or nothing where the client has closed."""
    head, begun = read_head(connection)
    return head + read_body(connection, head, begun)


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


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNFRAMED = {
    "no length": b"HTTP/1.1 200 OK\r\nServer: unit\r\n\r\n",
    "chunked beside a length": response(b"x", headers="Transfer-Encoding: chunked\r\n"),
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "two codings": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked of an older version": CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n",
    "two lengths": response(b"x", headers="Content-Length: 1\r\n"),
    "two lengths that differ": response(b"x", headers="Content-Length: 2\r\n"),
    "two lengths, one of them no number": response(b"x", headers="Content-Length: x\r\n"),
    "two lengths, one of them a list": response(b"x", headers="Content-Length: 1, 1\r\n"),
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "a length with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
    "a hexadecimal length": b"HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\nx",
    "a length of 40 digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\nx",
    "no length of an older version": b"HTTP/1.0 200 OK\r\n\r\nx",
    "a still older version": b"HTTP/0.9 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "a newer version": b"HTTP/2 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "a status of four digits": response(b"x", status="2000 OK"),
    "a status below 100": response(b"x", status="099 OK"),
    "an answer before the answer": b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"x"),
    "an answer before the answer, with a length": response(b"x", status="103 Early Hints"),
    "no content, and a length": response(b"x", status="204 No Content"),
    "no content, in chunks": CHUNKED.replace(b"200 OK", b"204 No") + b"0\r\n\r\n",
    "a blank before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\nContent-Length: 1\r\n\r\nx",
    "a line that goes on": response(b"x", headers="A: b\r\n c\r\n"),
    "a line without a colon": response(b"x", headers="A\r\n"),
    "a line feed alone": response(b"x", headers="A: b\nC: d\r\n"),
    "no status line": b"\r\nContent-Length: 1\r\n\r\nx",
    "something before the status line": b"x" + response(b"x"),
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
}
"""Answers to GET that are refused by their heads."""
MISCHUNKED = {
    "no size": b"\r\nx\r\n0\r\n\r\n",
    "a size that is no number": b"g\r\nx\r\n0\r\n\r\n",
    "a size with a sign": b"+1\r\nx\r\n0\r\n\r\n",
    "a size with a prefix": b"0x1\r\nx\r\n0\r\n\r\n",
    "a size of 16 digits": b"0000000000000001\r\nx\r\n0\r\n\r\n",
    "a blank before the size": b" 1\r\nx\r\n0\r\n\r\n",
    "two sizes": b"1 1\r\nx\r\n0\r\n\r\n",
    "a size that ends in a line feed alone": b"1\nx\r\n0\r\n\r\n",
    "a size that ends in a carriage return alone": b"1\rx\r\n0\r\n\r\n",
    "a line feed in an extension": b"1;a\nb\r\nx\r\n0\r\n\r\n",
    "an extension without end": b"1;" + b"a" * 20_000 + b"\r\nx\r\n0\r\n\r\n",
    "more than the size": b"1\r\nxy\r\n0\r\n\r\n",
    "data that ends in another byte": b"1\r\nxy\n0\r\n\r\n",
    "data that ends in a line feed alone": b"1\r\nx\n0\r\n\r\n",
    "a line feed in a trailer": b"1\r\nx\r\n0\r\nA: b\nC: d\r\n\r\n",
    "a line feed for an end": b"1\r\nx\r\n0\r\n\n",
    "trailers without end": b"1\r\nx\r\n0\r\n" + b"A: b\r\n" * 4_000 + b"\r\n",
    "bytes behind the end": b"1\r\nx\r\n0\r\n\r\n!",
}
"""Bodies that are refused behind the head CHUNKED."""


def chunked(*parts: bytes, extension: str = "", trailers: str = "") -> bytes:
    """A whole answer in chunks."""
    body = b"".join(f"{len(part):x}{extension}\r\n".encode() + part + b"\r\n" for part in parts)
    return CHUNKED + body + f"0\r\n{trailers}\r\n".encode()
