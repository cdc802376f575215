"""A request as it is kept: its stamps, and how it ended."""

import struct
from enum import IntEnum

import numpy as np

RECORD = struct.Struct("<qqqqqHHhh")


RECORD_DTYPE = np.dtype(
    [
        ("intended_ns", "<i8"),
        ("sent_ns", "<i8"),
        ("first_byte_ns", "<i8"),
        ("done_ns", "<i8"),
        ("bytes", "<i8"),
        ("connection", "<u2"),
        ("request", "<u2"),
        ("status", "<i2"),
        ("outcome", "<i2"),
    ]
)
"""A request as it is kept. Stamps are CLOCK_MONOTONIC; 0 where the moment never came. `bytes`: of the
answer's body, or as much as had come. `request`: which of its load's requests it was, from 0."""
NO_CONNECTION = 65_535
"""In the record of a request that was never sent; a load has fewer connections than that."""


TURN_DTYPE = np.dtype(
    [("cell", "<i4"), ("after", "<i4"), ("start_ns", "<i8"), ("settled_ns", "<i8"), ("end_ns", "<i8")]
)
"""A turn of a slot: its number among all cells of its set, the slot whose cell was before it (-1: none),
and its stamps (CLOCK_MONOTONIC), between whose last two it counts."""


class Outcome(IntEnum):
    """How a request ended."""

    OK = 0
    HTTP_ERROR = 1
    """A complete response of another status than its request is to have."""
    FRAMING_ERROR = 2
    """Bytes that are not one response whose end it states itself: never guessed at."""
    CONNECTION_ERROR = 3
    """The server closed or reset the connection."""
    UNFINISHED = 4
    """Still in flight when the drain's time was up; or, in an open loop, not even sent by then."""
    STALLED = 5
    """The same, and for STALL_NS or longer nothing had moved on its connection."""


STALL_NS = 1_000_000_000
"""So long nothing came and nothing could be sent: TCP's timer, whose least is 200 ms (tcp(7), RTO_MIN of the
kernel's tcp.h), has run out twice by then, and what was sent again did not come through either."""
