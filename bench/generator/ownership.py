"""Whose the server is at an address: no load is sent to one that this run did not start."""

import socket

from bench.generator.closed_loop import authority

ABSENT = "/bench-word"
"""Of no server of ours: so it answers with its word."""
ANSWER_S = 5.0
MOST_BYTES = 4096


def ask_word(address: str, port: int) -> str:
    """The body with which the server answers to a path that it does not have.

    Raises OSError where none answers.
    """
    answer = b""
    with socket.create_connection((address, port), ANSWER_S) as connection:
        connection.sendall(f"GET {ABSENT} HTTP/1.0\r\nHost: {authority(address, port)}\r\n\r\n".encode())
        while len(answer) < MOST_BYTES and (part := connection.recv(MOST_BYTES)):
            answer += part
    return answer.partition(b"\r\n\r\n")[2].decode(errors="replace")


def find_stranger(address: str, port: int, word: str) -> str:
    """Who answers there where it is not the server of that `word`; empty where it is.

    Raises OSError where nobody does.
    """
    told = ask_word(address, port)
    return "" if told == word else f"somebody else answers there, and says {told.strip()[:80]!r}"
