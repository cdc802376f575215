"""A body in chunks, each of which says its length (RFC 9112, 7.1), decoded strictly as it comes."""

from enum import Enum, auto

from bench.generator.heads import Framing

HEX_DIGITS = "0123456789abcdefABCDEF"
SIZE_DIGITS = 15
SKIPPED_BYTES = 16_384
"""Of the extensions of one chunk, or of all trailers: nobody here reads them, and a body must end."""


class _At(Enum):
    """What the next byte is part of."""

    SIZE = auto()
    BLANKS = auto()
    EXTENSION = auto()
    SIZE_END = auto()
    DATA = auto()
    DATA_CR = auto()
    DATA_LF = auto()
    LINE = auto()
    """The begin of a trailer, or the line that ends the body."""
    TRAILER = auto()
    TRAILER_LF = auto()
    LAST_LF = auto()
    END = auto()


_NEXT = {
    (_At.SIZE, "\r"): _At.SIZE_END,
    (_At.BLANKS, "\r"): _At.SIZE_END,
    (_At.EXTENSION, "\r"): _At.SIZE_END,
    (_At.DATA_CR, "\r"): _At.DATA_LF,
    (_At.DATA_LF, "\n"): _At.SIZE,
    (_At.LINE, "\r"): _At.LAST_LF,
    (_At.TRAILER, "\r"): _At.TRAILER_LF,
    (_At.TRAILER_LF, "\n"): _At.LINE,
    (_At.LAST_LF, "\n"): _At.END,
}
"""What follows the bytes that a line ends with."""
_SKIPPED = {_At.EXTENSION: _At.EXTENSION, _At.LINE: _At.TRAILER, _At.TRAILER: _At.TRAILER}
"""What follows any other byte, where any may come."""
_BEFORE_EXTENSION = {" ": _At.BLANKS, "\t": _At.BLANKS, ";": _At.EXTENSION}
"""What follows those that may stand behind a size."""


class Chunks:
    """A decoder of one body: what it holds is counted, not kept."""

    def __init__(self) -> None:
        self._at = _At.SIZE
        self._size = self._digits = self._skipped = 0
        self.length = 0
        """Bytes of the decoded body so far."""

    @property
    def is_done(self) -> bool:
        """Whether the body has ended."""
        return self._at is _At.END

    def take(self, received: bytes) -> None:
        """Take what comes next. Raises Framing at the first byte that is wrong, one behind the end too."""
        place = 0
        while place < len(received):
            if self._at is _At.DATA:
                taken = min(self._size, len(received) - place)
                self._size -= taken
                self.length += taken
                place += taken
                self._at = _At.DATA if self._size else _At.DATA_CR
            else:
                self._at = self._step(received[place])
                place += 1

    def _step(self, byte: int) -> _At:
        """What comes behind a byte that is no data."""
        at, sign = self._at, chr(byte)
        if at is _At.SIZE and sign in HEX_DIGITS:
            return self._take_digit(int(sign, 16))
        if at is _At.SIZE and not self._digits:
            raise Framing("a chunk without a size")
        if at is _At.SIZE_END and sign == "\n":
            self._digits = self._skipped = 0
            return _At.DATA if self._size else _At.LINE
        if (at, sign) in _NEXT:
            return _NEXT[at, sign]
        if at in (_At.SIZE, _At.BLANKS) and sign in _BEFORE_EXTENSION:
            return self._skip(_BEFORE_EXTENSION[sign])
        if at in _SKIPPED and sign != "\n":
            return self._skip(_SKIPPED[at])
        raise Framing(f"byte {byte} in {at.name}")

    def _take_digit(self, digit: int) -> _At:
        self._digits += 1
        if self._digits > SIZE_DIGITS:
            raise Framing("the size of a chunk has too many digits")
        self._size = self._size * 16 + digit
        return _At.SIZE

    def _skip(self, then: _At) -> _At:
        self._skipped += 1
        if self._skipped > SKIPPED_BYTES:
            raise Framing("extensions or trailers without end")
        return then
