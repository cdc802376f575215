"""Records of a pcap file, a piece of the file at a time: where each packet lies, when it passed.

What is refused, with an InputError that names the offset: a file that begins with no pcap header,
a link type that `bench.wire.packets` cannot read, and a record that claims more bytes than any
capture may hold (from there on, nothing tells where the next record begins). A last record that
was cut short, as a killed tcpdump leaves it, is left out and counted. What a packet's bytes mean
is `bench.wire.packets`' job; pcapng is nobody's.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bench.errors import InputError

MAX_CAPTURED_BYTES = 262_144
"""The most that libpcap writes of one packet (MAXIMUM_SNAPLEN in pcap-int.h)."""
CHUNK_BYTES = 1 << 20
"""Read at a time: about 8,000 packets, whose columns then fit into a core's cache."""
SLACK_BYTES = 128
"""Zeros behind the records, so that headers may be read at any packet's place: link header, two tags,
the longest IPv4 header and a TCP header come to 108 bytes.
"""
FILE_HEADER_BYTES, RECORD_HEADER_BYTES = 24, 16
LINK_TYPE_BITS = 0x03FF_FFFF
"""Of the header's last word; above them stands the length of the frame check sequence."""
MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""Byte order, and ns a unit of the second half of a time stamp, by a file's first four bytes."""


class Link(IntEnum):
    """Link types that can be read: https://www.tcpdump.org/linktypes.html."""

    ETHERNET = 1
    RAW = 101
    LINUX_SLL = 113
    IPV4 = 228
    IPV6 = 229
    LINUX_SLL2 = 276


@dataclass(frozen=True, kw_only=True, eq=False)
class Records:
    """Some records of a file, in the file's order."""

    link: Link
    data: bytes
    """Part of the file, with SLACK_BYTES of zeros behind it."""
    starts: NDArray[np.int64]
    """Where in `data` each packet's first byte is."""
    ts_ns: NDArray[np.int64]
    captured_bytes: NDArray[np.uint32]
    original_bytes: NDArray[np.uint32]
    truncated_bytes: int
    """Of a last record that the file does not hold whole; never more than 0 but at the file's end."""


def read_records(stream: BinaryIO, name: str, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Records]:
    """Give the records of a pcap file called `name`, in memory that the file's size has no part in.

    Raises InputError where the file is no pcap file or cannot be followed any further.
    """
    header = stream.read(FILE_HEADER_BYTES)
    if header[:4] not in MAGIC or len(header) < FILE_HEADER_BYTES:
        raise _refusal(
            name, 0, f"no pcap header: {header[:4].hex(' ') or 'nothing'}, {len(header)} bytes of 24"
        )
    order, ns_per_unit = MAGIC[header[:4]]
    link_type = struct.unpack(f"{order}20xI", header)[0] & LINK_TYPE_BITS
    if link_type not in list(Link):
        raise _refusal(name, 20, f"link type {link_type}")
    layout = np.dtype([(part, f"{order}u4") for part in ("seconds", "units", "captured", "original")])
    offset, rest, ended = FILE_HEADER_BYTES, b"", False
    while not ended:
        piece = stream.read(chunk_bytes)
        ended = not piece
        end = len(rest) + len(piece)
        data = b"".join((rest, piece, bytes(SLACK_BYTES)))
        places = np.fromiter(_walk(data, end, order), np.int64)
        heads = headers_at(data, layout, places)
        following = places + RECORD_HEADER_BYTES + heads["captured"]
        too_long = np.flatnonzero(heads["captured"] > MAX_CAPTURED_BYTES)
        if len(too_long):
            first = too_long[0]
            raise _refusal(
                name, offset + int(places[first]), f"a record of {heads['captured'][first]} captured bytes"
            )
        whole = len(places) - int(len(places) > 0 and following[-1] > end)
        done = int(following[whole - 1]) if whole else 0
        rest = data[done:end]
        offset += done
        heads = heads[:whole]
        yield Records(
            link=Link(link_type),
            data=data,
            starts=places[:whole] + RECORD_HEADER_BYTES,
            ts_ns=heads["seconds"].astype(np.int64) * 1_000_000_000
            + heads["units"].astype(np.int64) * ns_per_unit,
            captured_bytes=heads["captured"].astype(np.uint32),
            original_bytes=heads["original"].astype(np.uint32),
            truncated_bytes=len(rest) if ended else 0,
        )


def headers_at(data: bytes, layout: np.dtype[np.void], places: NDArray[np.int64]) -> NDArray[np.void]:
    """Read a `layout` at each of `places`, of an array that has one at every byte of `data`."""
    plain = np.dtype(f"V{layout.itemsize}")  # Without fields, a third of the time to take.
    everywhere: NDArray[np.void] = np.ndarray(
        (len(data) - layout.itemsize + 1,), plain, buffer=data, strides=(1,)
    )
    return everywhere[places].view(layout)


def _walk(data: bytes, end: int, order: str) -> Iterator[int]:
    # A record's length is known only once the one before it is, so this is one step a record: 0.2 us.
    captured = struct.Struct(f"{order}8xI4x").unpack_from
    place, last = 0, end - RECORD_HEADER_BYTES
    while place <= last:
        yield place
        place += captured(data, place)[0] + RECORD_HEADER_BYTES


def _refusal(name: str, offset: int, seen: str) -> InputError:
    return InputError(
        f"Reading {name}",
        f"{seen}, at byte {offset}",
        f"Write it with tcpdump -w, as pcap of link type {', '.join(str(link.value) for link in Link)}.",
    )
