"""One answer as it comes, read after read."""

from dataclasses import dataclass, field

from bench.generator.asks import Asked
from bench.generator.chunks import Chunks
from bench.generator.heads import CHUNKED, Framing, parse_head

BUFFER_BYTES = 262_144
"""Of one read, and of a head."""


@dataclass(slots=True)
class Answer:
    """What has come of an answer."""

    head: bytearray = field(default_factory=bytearray)
    """What has come of a head that needs several reads."""
    status: int = 0
    """0 until the head is complete."""
    length: int = 0
    """Of the body: as stated, or once it is complete."""
    closes: bool = False
    remaining: int = 0
    """Bytes still to come of a body of a stated length."""
    chunks: Chunks | None = None
    """Of a body that is chunked."""

    @property
    def is_done(self) -> bool:
        """Whether all of it is here."""
        return bool(self.status) and not self.remaining and (self.chunks is None or self.chunks.is_done)

    @property
    def received(self) -> int:
        """Bytes of the body that are here."""
        return self.length - self.remaining if self.chunks is None else self.chunks.length

    def take(self, received: bytes | memoryview, asked: Asked) -> None:
        """Take the bytes of one read, of an answer to `asked`. Raises Framing, where more come as well."""
        if self.status:
            self._take_body(bytes(received))
            return
        self.head += received
        head, separator, body = bytes(self.head).partition(b"\r\n\r\n")
        if not separator:
            if len(head) > BUFFER_BYTES:
                raise Framing("a head without end")
            return
        self.head.clear()
        content = head + separator
        found = asked.known if content == asked.known_head else parse_head(content, to_head=asked.is_head)
        self.status, length, self.closes = found
        asked.know(content, found)
        if length == CHUNKED:
            self.chunks = Chunks()
        else:
            self.length = self.remaining = length
        self._take_body(body)

    def _take_body(self, received: bytes) -> None:
        if self.chunks:
            try:
                self.chunks.take(received)
            finally:
                if self.chunks.is_done:
                    self.length = self.chunks.length
            return
        self.remaining -= len(received)
        if self.remaining < 0:
            raise Framing("more than was stated")
