"""What controller and agent say: a line of JSON, and the bytes after it that it announces.

One order at a time, each with a number; an answer carries the order's. Docker puts a header before each
part of what a container says on a stream without a terminal, and `Streams` takes it away.
"""

import json
import os
import select
from collections.abc import Iterator
from typing import Any

from bench import errors
from bench.errors import BenchError
from bench.lab.hosts.command import CommandFailed

LEASE_S = 45.0
"""Without a word from its controller an agent gives up: three heartbeats and more were missed."""
HEARTBEAT_S = 10.0
STDOUT = 1
PIPE_BYTES = 4096
"""That a pipe takes at once where it takes anything (PIPE_BUF)."""
HEADER_BYTES = 8


class Parser:
    """Messages out of bytes, however they are cut."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, part: bytes) -> None:
        """Take more of them."""
        self._bytes += part

    def messages(self) -> Iterator[tuple[int, dict[str, Any], bytes]]:
        """Number, content and body of each message that is whole. Raises ValueError for what is none."""
        while (end := self._bytes.find(b"\n")) >= 0:
            line = bytes(self._bytes[:end])
            try:
                told = json.loads(line)
                number, size = int(told.pop("number")), int(told.pop("body_bytes", 0))
            except (
                ArithmeticError,
                AttributeError,
                LookupError,
                RecursionError,
                TypeError,
                ValueError,
            ) as fault:
                raise ValueError(f"no message: {line[:80]!r}") from fault
            if size < 0:
                raise ValueError(f"no message: {line[:80]!r}")
            if len(self._bytes) < end + 1 + size:
                return
            body = bytes(self._bytes[end + 1 : end + 1 + size])
            del self._bytes[: end + 1 + size]
            yield number, told, body


def write_message(number: int, content: dict[str, Any], body: bytes = b"") -> bytes:
    """One message as it is sent."""
    return json.dumps({"number": number, **content, "body_bytes": len(body)}).encode() + b"\n" + body


class Framer:
    """Sends messages to a file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)

    def send(self, number: int, content: dict[str, Any], body: bytes = b"") -> None:
        """All of it. Raises OSError where nobody reads any more: for as long as the lease is."""
        left = memoryview(write_message(number, content, body))
        while left:
            if not select.select([], [self._descriptor], [], LEASE_S)[1]:
                raise TimeoutError("nobody reads")
            left = left[os.write(self._descriptor, left[:PIPE_BYTES]) :]


class Streams:
    """A container's output, told apart: parts of its standard output, and the end of its other."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.messages = b""
        """The last of what it wrote to standard error."""

    def feed(self, part: bytes) -> bytes:
        """Take more, and return what of standard output is whole."""
        self._bytes += part
        told = b""
        while len(self._bytes) >= HEADER_BYTES:
            size = int.from_bytes(self._bytes[4:HEADER_BYTES], "big")
            if len(self._bytes) < HEADER_BYTES + size:
                break
            content = bytes(self._bytes[HEADER_BYTES : HEADER_BYTES + size])
            if self._bytes[0] == STDOUT:
                told += content
            else:
                self.messages = (self.messages + content)[-2000:]
            del self._bytes[: HEADER_BYTES + size]
        return told


def say_fault(fault: Exception) -> dict[str, Any]:
    """A failure as it is sent."""
    if isinstance(fault, BenchError):
        told = [fault.doing, fault.seen, fault.advice]
    else:
        told = [str(fault) or type(fault).__name__]
    return {"fault": type(fault).__name__, "told": told}


def raise_fault(name: str, told: list[str]) -> None:
    """Raise a failure of the agent's here, as the same class where it is one that callers know.

    What they do not know is a MeasurementInvalid: it voids a slot, and ends no run.
    """
    kinds = (FileNotFoundError, ProcessLookupError, CommandFailed)
    known: dict[str, type[Exception]] = {kind.__name__: kind for kind in kinds}
    kind = known.get(name) or getattr(errors, name, None)
    if kind is not None and len(told) in (1, 3):
        raise kind(*told)
    seen = f"its agent could not do it: {name}: {'; '.join(told)}"
    raise errors.MeasurementInvalid("Asking a host", seen, "The slot is void.")
