"""What captured bytes say: records in, one row a packet out.

A packet whose TCP header cannot be had is no error: its row says why (`kind`), and every column
behind `inner_vlan` is 0. Checksums are not looked at: with offloads, a sender's are never right.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from bench.wire.pcap import Link, Records, headers_at

PACKET_DTYPE = np.dtype(
    [
        ("ts_ns", "<i8"),
        ("captured_bytes", "<u4"),
        ("original_bytes", "<u4"),
        ("kind", "u1"),
        ("vlan", "<i2"),
        ("inner_vlan", "<i2"),
        ("version", "u1"),
        ("ttl", "u1"),
        ("identification", "<u2"),
        ("source_high", "<u8"),
        ("source_low", "<u8"),
        ("destination_high", "<u8"),
        ("destination_low", "<u8"),
        ("source_port", "<u2"),
        ("destination_port", "<u2"),
        ("seq", "<u4"),
        ("ack", "<u4"),
        ("flags", "u1"),
        ("window", "<u2"),
        ("payload_offset", "<u2"),
        ("payload_bytes", "<u4"),
    ]
)
"""A packet. Addresses are the two halves of an IPv6 address; an IPv4 address is its mapped form,
::ffff:a.b.c.d (RFC 4291, 2.5.5.2). `vlan` is the outer tag's, `inner_vlan` the second's, -1 without.
`ttl` is IPv6's hop limit, `identification` IPv4's (0 in IPv6), `flags` RFC 9293's eight, `window` as sent,
unscaled. `payload_offset` counts from the packet's first byte; `payload_bytes` is what was on the wire,
by IP's own length, whatever was captured of it.
"""
BLANK_UNLESS_TCP = PACKET_DTYPE.names[PACKET_DTYPE.names.index("version") :] if PACKET_DTYPE.names else ()


class Kind(IntEnum):
    """What a packet turned out to be. The first of these that holds, in the order of the headers."""

    TCP = 1
    """At least the 20 fixed bytes of the TCP header were captured, and its lengths fit into each other."""
    NOT_IP = 2
    """Another protocol, a third VLAN tag or an IEEE 802.3 length."""
    NOT_TCP = 3
    """IP with another protocol, or an IPv6 extension header other than the fragment's."""
    FRAGMENT = 4
    """Part of an IP packet, the first part included: its payload's length is not the segment's."""
    CUT = 5
    """Captured bytes end within a header that is needed."""
    MALFORMED = 6
    """A version that is not the one announced, or a header length that cannot be."""


class Flag(IntEnum):
    """TCP flags, as bits of `flags`."""

    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16


IPV4, IPV6, FRAGMENT_HEADER, TCP = 0x0800, 0x86DD, 44, 6
TAGS = (0x8100, 0x88A8)
"""EtherTypes of VLAN tags (IEEE 802.1Q-2018, table 9-1)."""
LINK_LAYOUT = {Link.ETHERNET: (12, 14), Link.LINUX_SLL: (14, 16), Link.LINUX_SLL2: (0, 20)}
"""Where a link header holds its protocol, and its length."""
IP_LINKS = {
    Link.RAW: np.array([0, 0, 0, 0, IPV4, 0, IPV6, *[0] * 9], np.uint16),
    Link.IPV4: np.full(16, IPV4, np.uint16),
    Link.IPV6: np.full(16, IPV6, np.uint16),
}
"""The protocol by the first four bits, where there is no link header."""
MORE_OR_OFFSET = 0x3FFF
"""Of IPv4's fragment word: the bit "more fragments", and the offset."""
MAPPED = np.uint64(0xFFFF << 32)

Rows = slice | NDArray[np.int64]

_PROTOCOL = np.dtype([("protocol", ">u2")])
_NIBBLE = np.dtype([("version", "u1")])
_TAG = np.dtype([("control", ">u2"), ("protocol", ">u2")])
_IPV4 = np.dtype(
    [
        ("version_length", "u1"),
        ("service", "u1"),
        ("total", ">u2"),
        ("identification", ">u2"),
        ("fragment", ">u2"),
        ("ttl", "u1"),
        ("protocol", "u1"),
        ("checksum", ">u2"),
        ("source", ">u4"),
        ("destination", ">u4"),
    ]
)
_IPV6 = np.dtype(
    [
        ("version", "u1"),
        ("flow", "3u1"),
        ("payload", ">u2"),
        ("next", "u1"),
        ("hops", "u1"),
        ("source_high", ">u8"),
        ("source_low", ">u8"),
        ("destination_high", ">u8"),
        ("destination_low", ">u8"),
    ]
)
_TCP = np.dtype(
    [
        ("source_port", ">u2"),
        ("destination_port", ">u2"),
        ("seq", ">u4"),
        ("ack", ">u4"),
        ("length", "u1"),
        ("flags", "u1"),
        ("window", ">u2"),
        ("checksum", ">u2"),
        ("urgent", ">u2"),
    ]
)


def read_packets(records: Records) -> NDArray[np.void]:
    """One row of PACKET_DTYPE a record."""
    packets = np.zeros(len(records.starts), PACKET_DTYPE)
    packets["ts_ns"] = records.ts_ns
    packets["captured_bytes"] = records.captured_bytes
    packets["original_bytes"] = records.original_bytes
    ends = records.starts + records.captured_bytes
    protocols, places = _read_link(records, packets, ends)
    kinds = packets["kind"]
    kinds[:] = Kind.NOT_IP
    segments, segment_bytes = places.copy(), np.zeros(len(packets), np.int64)
    for protocol, read_ip in ((IPV4, _read_ipv4), (IPV6, _read_ipv6)):
        rows = _select(protocols == protocol)
        if rows is not None:
            read_ip(records.data, packets, rows, places, ends, segments, segment_bytes)
    kinds[places > ends] = Kind.CUT
    rows = _select(kinds == Kind.TCP)
    if rows is not None:
        _read_tcp(records, packets, rows, segments[rows], ends[rows], segment_bytes[rows])
    others = np.flatnonzero(kinds != Kind.TCP)
    if len(others):
        for column in BLANK_UNLESS_TCP:
            packets[column][others] = 0
    return packets


def read_payloads(records: Records, packets: NDArray[np.void], size: int) -> NDArray[np.uint8]:
    """The first `size` captured bytes of each packet's payload, a row each; 0 where there is none.

    `size` is at most SLACK_BYTES.
    """
    layout = np.dtype([("bytes", f"{size}u1")])
    taken: NDArray[np.uint8] = headers_at(records.data, layout, records.starts + packets["payload_offset"])[
        "bytes"
    ]
    present = packets["captured_bytes"].astype(np.int64) - packets["payload_offset"]
    present = np.minimum(np.where(packets["kind"] == Kind.TCP, present, 0), packets["payload_bytes"])
    short = np.flatnonzero(present < size)
    taken[short] *= np.arange(size) < present[short, None]
    return taken


def _select(chosen: NDArray[np.bool_]) -> Rows | None:
    """Where `chosen` holds; None where it never does. Everything is a slice, which costs a fifth."""
    if chosen.all():
        return slice(None) if len(chosen) else None
    return np.flatnonzero(chosen) if chosen.any() else None


def _read_link(
    records: Records, packets: NDArray[np.void], ends: NDArray[np.int64]
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Protocol of each packet, and where its header begins; past the packet's end where that is cut off."""
    data, starts = records.data, records.starts
    packets["vlan"] = packets["inner_vlan"] = -1
    if records.link not in LINK_LAYOUT:
        versions = headers_at(data, _NIBBLE, starts)["version"] >> 4
        protocols = IP_LINKS[records.link][versions]
        return protocols, np.where(starts < ends, starts, ends + 1)
    protocol_at, length = LINK_LAYOUT[records.link]
    protocols = headers_at(data, _PROTOCOL, starts + protocol_at)["protocol"].astype(np.uint16)
    places = starts + length
    for column in ("vlan", "inner_vlan"):
        tagged = np.flatnonzero(np.isin(protocols, TAGS) & (places <= ends))
        if not len(tagged):
            break
        tags = headers_at(data, _TAG, places[tagged])
        places[tagged] += _TAG.itemsize
        protocols[tagged] = tags["protocol"]
        packets[column][tagged] = np.where(places[tagged] <= ends[tagged], tags["control"] & 0xFFF, -1)
    return protocols, places


def _read_ipv4(
    data: bytes,
    packets: NDArray[np.void],
    rows: Rows,
    places: NDArray[np.int64],
    ends: NDArray[np.int64],
    segments: NDArray[np.int64],
    segment_bytes: NDArray[np.int64],
) -> None:
    header = headers_at(data, _IPV4, places[rows])
    length = (header["version_length"] & 15).astype(np.int64) * 4
    total = header["total"].astype(np.int64)
    kinds = np.full(len(header), Kind.TCP, np.uint8)
    kinds[header["protocol"] != TCP] = Kind.NOT_TCP
    kinds[(header["fragment"] & MORE_OR_OFFSET) != 0] = Kind.FRAGMENT
    kinds[(header["version_length"] >> 4 != 4) | (length < _IPV4.itemsize) | (total < length)] = (
        Kind.MALFORMED
    )
    kinds[places[rows] + _IPV4.itemsize > ends[rows]] = Kind.CUT
    packets["kind"][rows] = kinds
    packets["version"][rows] = 4
    packets["ttl"][rows] = header["ttl"]
    packets["identification"][rows] = header["identification"]
    packets["source_low"][rows] = header["source"] | MAPPED
    packets["destination_low"][rows] = header["destination"] | MAPPED
    segments[rows] += length
    segment_bytes[rows] = total - length


def _read_ipv6(
    data: bytes,
    packets: NDArray[np.void],
    rows: Rows,
    places: NDArray[np.int64],
    ends: NDArray[np.int64],
    segments: NDArray[np.int64],
    segment_bytes: NDArray[np.int64],
) -> None:
    header = headers_at(data, _IPV6, places[rows])
    kinds = np.full(len(header), Kind.TCP, np.uint8)
    kinds[header["next"] != TCP] = Kind.NOT_TCP
    kinds[header["next"] == FRAGMENT_HEADER] = Kind.FRAGMENT
    kinds[header["version"] >> 4 != 6] = Kind.MALFORMED
    kinds[places[rows] + _IPV6.itemsize > ends[rows]] = Kind.CUT
    packets["kind"][rows] = kinds
    packets["version"][rows] = 6
    packets["ttl"][rows] = header["hops"]
    for column in ("source_high", "source_low", "destination_high", "destination_low"):
        packets[column][rows] = header[column]
    segments[rows] += _IPV6.itemsize
    segment_bytes[rows] = header["payload"]


def _read_tcp(
    records: Records,
    packets: NDArray[np.void],
    rows: Rows,
    places: NDArray[np.int64],
    ends: NDArray[np.int64],
    segment_bytes: NDArray[np.int64],
) -> None:
    header = headers_at(records.data, _TCP, places)
    length = (header["length"] >> 4).astype(np.int64) * 4
    kinds = np.full(len(header), Kind.TCP, np.uint8)
    kinds[(length < _TCP.itemsize) | (length > segment_bytes)] = Kind.MALFORMED
    kinds[places + _TCP.itemsize > ends] = Kind.CUT
    packets["kind"][rows] = kinds
    for column in ("source_port", "destination_port", "seq", "ack", "flags", "window"):
        packets[column][rows] = header[column]
    packets["payload_offset"][rows] = places + length - records.starts[rows]
    packets["payload_bytes"][rows] = np.maximum(segment_bytes - length, 0)
