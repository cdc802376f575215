"""Whose the server is at an address: no load is sent to one that this run did not start."""

import socket
import time
from contextlib import suppress

from bench.generator.asks import authority
from bench.scenario.service import Secret

ANSWER_S = 5.0
MOST_BYTES = 4096
PAUSE_S = 0.001


def ask_word(address: str, port: int, path: str) -> str:
    """The body with which the server answers at `path`.

    Raises OSError where none answers, or not in HTTP.
    """
    answer = b""
    with socket.create_connection((address, port), ANSWER_S) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {authority(address, port)}\r\n\r\n".encode())
        while len(answer) < MOST_BYTES and (part := connection.recv(MOST_BYTES)):
            answer += part
    if not answer.startswith(b"HTTP/"):
        raise ConnectionError("no answer in HTTP")
    return answer.partition(b"\r\n\r\n")[2].decode(errors="replace")


def await_word(address: str, port: int, secret: Secret, until_s: float) -> bool:
    """Whether the server there says its `secret` by then (`time.monotonic`); not once somebody says
    another."""
    begun_s = time.monotonic()
    while (now_s := time.monotonic()) < until_s:
        with suppress(OSError):
            return ask_word(address, port, secret.path).strip() == secret.word
        # The longer it takes, the less often: who is not ours and says nothing is not pestered.
        time.sleep(max(PAUSE_S, (now_s - begun_s) / 20))
    return False


def find_stranger(address: str, port: int, secret: Secret) -> str:
    """Who answers there where it is not the server of that `secret`; empty where it is.

    Raises OSError where nobody does.
    """
    told = ask_word(address, port, secret.path).strip()
    return "" if told == secret.word else f"somebody else answers there, and says {told[:80]!r}"
