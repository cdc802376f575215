"""The traffic of bystanders: GETs at a given rate, of one server after the other, on kept-alive connections.

A program of its own, with nothing but the standard library, so that it starts at once and nothing of it is
in the measuring generator: `bystander_traffic.py RATE SECONDS FILE ADDRESS:PORT ...`. It ends after
RATE x SECONDS requests, when a server fails, or with its host; FILE holds how many it has done.
"""

import os
import socket
import sys
import time

PATIENCE_S = 20.0
"""With a server that starts."""
BEHIND_S = 0.1
"""Later than this it catches up with nothing: a pause becomes no burst."""
REQUEST = b"GET /1024 HTTP/1.1\r\nHost: bystander\r\n\r\n"


def main(rate: float, seconds: float, counter: str, *servers: str) -> None:
    """Ask until the end."""
    connections = [_connect(server) for server in servers]
    done = os.open(counter, os.O_WRONLY | os.O_CREAT)
    due = time.monotonic()
    for number in range(int(rate * seconds)):
        due = max(due + 1 / rate, time.monotonic() - BEHIND_S)
        time.sleep(max(due - time.monotonic(), 0))
        _ask(connections[number % len(connections)])
        os.pwrite(done, b"%d" % (number + 1), 0)


def _connect(server: str) -> socket.socket:
    address, _, port = server.rpartition(":")
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            found = socket.create_connection((address, int(port)), timeout=PATIENCE_S)
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _ask(found)  # What docker-proxy took, with no server behind it yet, is closed again.
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return found


def _ask(connection: socket.socket) -> None:
    connection.sendall(REQUEST)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _receive(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    missing = int(head.lower().partition(b"content-length:")[2].split()[0]) - len(body)
    while missing > 0:
        missing -= len(_receive(connection))


def _receive(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise ConnectionError("a bystander closed its connection")
    return received


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:])
