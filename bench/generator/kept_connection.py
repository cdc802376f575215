"""A connection of a load that keeps its connections."""

import socket
from dataclasses import dataclass, field

from bench.generator.answer import Answer
from bench.generator.asks import Asked
from bench.generator.tls import TlsSocket
from bench.slots.requests import STALL_NS, Outcome

NOTHING = memoryview(b"")


@dataclass(slots=True)
class KeptConnection:
    """One that lasts, and the request on it."""

    number: int
    socket: socket.socket | TlsSocket
    asked: Asked
    """Whose answer it awaits, or had last."""
    intended_ns: int = 0
    sent_ns: int = 0
    """0 while no request is in flight."""
    is_awaited: bool = False
    """Whether a whole request is in flight, and nothing of its answer is here."""
    unsent: memoryview = NOTHING
    """What the socket had no room for."""
    first_byte_ns: int = 0
    """0 until the first byte of a response that takes several reads."""
    moved_ns: int = 0
    """When it last took some of such a response, or of a request that the socket had no room for."""
    answer: Answer = field(default_factory=Answer)


def name_end(now_ns: int, *moved_ns: int) -> Outcome:
    """What became of a request that is in flight at the end, whose connection did something at `moved_ns`."""
    return Outcome.STALLED if now_ns - max(moved_ns) >= STALL_NS else Outcome.UNFINISHED
