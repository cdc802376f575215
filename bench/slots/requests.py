"""A request as it is kept: its stamps, and how it ended."""

import struct
from enum import IntEnum

import numpy as np

RECORD = struct.Struct("<qqqqqihh")


RECORD_DTYPE = np.dtype(
    [
        ("intended_ns", "<i8"),
        ("sent_ns", "<i8"),
        ("first_byte_ns", "<i8"),
        ("done_ns", "<i8"),
        ("bytes", "<i8"),
        ("connection", "<i4"),
        ("status", "<i2"),
        ("outcome", "<i2"),
    ]
)
"""A request as it is kept. Stamps are CLOCK_MONOTONIC; 0 where the moment never came."""


TURN_DTYPE = np.dtype(
    [("cell", "<i4"), ("after", "<i4"), ("start_ns", "<i8"), ("settled_ns", "<i8"), ("end_ns", "<i8")]
)
"""A turn of a slot: its number among all cells of its set, the slot whose cell was before it (-1: none),
and its stamps (CLOCK_MONOTONIC), between whose last two it counts."""

CHUNK_BYTES = 65_536 * RECORD.size


class Outcome(IntEnum):
    """How a request ended."""

    OK = 0
    HTTP_ERROR = 1
    """A complete response whose status is not 200."""
    FRAMING_ERROR = 2
    """Bytes that are not one response of a stated length: never guessed at."""
    CONNECTION_ERROR = 3
    """The server closed or reset the connection."""
    UNFINISHED = 4
    """Still in flight when the drain's time was up; or, in an open loop, not even sent by then."""


class RequestLog:
    """Records of all requests, in memory that is allocated a chunk at a time."""

    def __init__(self) -> None:
        self._chunks: list[bytearray] = []
        self._offset = CHUNK_BYTES
        """Of the next record in the last chunk."""

    def write(self, *record: int) -> None:
        """Keep one request: the values of RECORD_DTYPE in order."""
        if self._offset == CHUNK_BYTES:
            self._chunks.append(bytearray(CHUNK_BYTES))
            self._offset = 0
        RECORD.pack_into(self._chunks[-1], self._offset, *record)
        self._offset += RECORD.size

    def records(self) -> np.ndarray:
        """All requests so far, in the order in which they ended."""
        kept = b"".join([*self._chunks[:-1], *(chunk[: self._offset] for chunk in self._chunks[-1:])])
        return np.frombuffer(kept, dtype=RECORD_DTYPE)
