"""A connection of a load that keeps its connections."""

import socket
from dataclasses import dataclass, field

from bench.generator.answer import Answer
from bench.generator.asks import Asked
from bench.generator.tls import TlsSocket

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
    answer: Answer = field(default_factory=Answer)
