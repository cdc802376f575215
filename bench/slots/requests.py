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
