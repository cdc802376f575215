"""What one tap saw: requests with their responses, handshakes, and what was sent twice or lost.

A request carries a number in its target, `GET /1024?id=0000000123 HTTP/1.1`, which survives every
address translation and docker-proxy's second connection. A response carries none: with one request
in flight on a connection, it begins at the sequence number that the request acknowledges, and ends
at the one that the next request does. Bytes count from when they first passed; a request is
never given a time that is in doubt, it is given a fault.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bench.errors import InputError
from bench.wire.packets import PACKET_DTYPE, Flag, Kind, read_packets, read_payloads
from bench.wire.pcap import SLACK_BYTES, read_records
from bench.wire.segments import Segments, sort_segments
from bench.wire.vxlan import see_through

ID_DIGITS = 10
"""Always all of them, so that every request has the same length and the number always the same place."""

EXCHANGE_DTYPE = np.dtype(
    [
        ("id", "<i8"),
        ("request_ns", "<i8"),
        ("first_ns", "<i8"),
        ("last_ns", "<i8"),
        ("response_bytes", "<i8"),
        ("fault", "u1"),
    ]
)
"""A request at one tap: when it passed, when its response's first and last packets did. Times and bytes
are 0 where the fault says that they are not known."""
HANDSHAKE_DTYPE = np.dtype([("syn_ns", "<i8"), ("syn_ack_ns", "<i8"), ("ack_ns", "<i8")])
"""First SYN, first SYN-ACK and first packet after it of a connection; 0 where it never came."""


class Fault(IntEnum):
    """Why a request's times at a tap are in doubt. The last of these that holds."""

    NONE = 0
    OUT_OF_ORDER = 1
    """A segment of the response came behind a later one."""
    RETRANSMITTED = 2
    """The request or a segment of its response was sent again: which copy went where is not known."""
    NO_RESPONSE = 3
    """The response's first or last packet was not seen."""
    AMBIGUOUS = 4
    """The number was seen at two places: on two connections, in two requests, or beside another in flight."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tap:
    """The TCP packets of a capture, in the order of their time stamps."""

    name: str
    packets: NDArray[np.void]
    request_ids: NDArray[np.int64]
    """The number of the request that each packet begins, -1 where it begins none."""
    not_tcp: int = 0
    """Packets of any other kind."""
    truncated_bytes: int = 0
    """Of a last record that the file does not hold whole."""
    backwards: int = 0
    """Packets whose time stamp is before that of the packet captured before."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sight:
    """What a tap saw of the load."""

    name: str
    exchanges: NDArray[np.void]
    """One row of EXCHANGE_DTYPE a number, ascending."""
    handshakes: NDArray[np.void]
    """One row of HANDSHAKE_DTYPE a connection whose SYN was seen."""
    counts: dict[str, int]
    """Packets, and those among them that are a sign of loss or of a bad capture, by name."""


def request_target(path: str, number: int) -> str:
    """The target of request `number` in a capture slot."""
    return f"{_before_number(path)}{number:0{ID_DIGITS}d}"


def _before_number(path: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}id="


def read_tap(name: str, stream: BinaryIO, path: str) -> Tap:
    """Read a capture of requests for `path`. Raises InputError as `read_records` does, or for a long path."""
    before = np.frombuffer(f"GET {_before_number(path)}".encode(), np.uint8)
    size = len(before) + ID_DIGITS + 1
    if size > SLACK_BYTES:
        raise InputError(
            f"Reading {name}",
            f"the path has {len(path)} bytes",
            f"Capture a path under {SLACK_BYTES - 30} bytes.",
        )
    packets, ids, others, truncated = [np.zeros(0, PACKET_DTYPE)], [np.zeros(0, np.int64)], 0, 0
    for records in map(see_through, read_records(stream, name)):
        found = read_packets(records)
        tcp = found["kind"] == Kind.TCP
        packets.append(found[tcp])
        ids.append(_read_ids(read_payloads(records, found, size), before)[tcp])
        others += len(found) - len(packets[-1])
        truncated = records.truncated_bytes
    return sort_tap(
        name, np.concatenate(packets), np.concatenate(ids), not_tcp=others, truncated_bytes=truncated
    )


def sort_tap(
    name: str,
    packets: NDArray[np.void],
    request_ids: NDArray[np.int64],
    *,
    not_tcp: int = 0,
    truncated_bytes: int = 0,
) -> Tap:
    """A tap of TCP packets in the order of their capture."""
    backwards = np.diff(packets["ts_ns"]) < 0
    if backwards.any():
        order = np.argsort(packets["ts_ns"], kind="stable")
        packets, request_ids = packets[order], request_ids[order]
    return Tap(
        name=name,
        packets=packets,
        request_ids=request_ids,
        not_tcp=not_tcp,
        truncated_bytes=truncated_bytes,
        backwards=int(backwards.sum()),
    )


def _read_ids(payloads: NDArray[np.uint8], before: NDArray[np.uint8]) -> NDArray[np.int64]:
    digits = payloads[:, len(before) : -1] - np.uint8(ord("0"))  # Wraps: what is no digit is above 9.
    numbered = (
        (payloads[:, : len(before)] == before).all(1) & (digits < 10).all(1) & (payloads[:, -1] == ord(" "))
    )
    powers = 10 ** np.arange(ID_DIGITS - 1, -1, -1, dtype=np.int64)
    ids = np.full(len(payloads), -1, np.int64)
    ids[numbered] = digits[numbered].astype(np.int64) @ powers
    return ids


def find_exchanges(tap: Tap) -> Sight:
    """Requests, responses and handshakes of a tap. Raises InputError where a connection carried 2 GiB."""
    segments = sort_segments(tap.packets, tap.name)
    flags = tap.packets["flags"]
    return Sight(
        name=tap.name,
        exchanges=_pair(tap, segments),
        handshakes=_find_handshakes(tap.packets, segments.flows),
        counts={
            "packets": len(tap.packets),
            "other packets": tap.not_tcp,
            "connections": int(segments.opening.sum()),
            "handshakes sent again": int(segments.opening_again.sum()),
            "resets": int(((flags & Flag.RST) != 0).sum()),
            "retransmitted": int(segments.again.sum()),
            "seen twice": int(segments.twice.sum()),
            "out of order": int(segments.behind.sum()),
            "backwards in time": tap.backwards,
            "truncated bytes": tap.truncated_bytes,
        },
    )


def _pair(tap: Tap, segments: Segments) -> NDArray[np.void]:
    packets, keys = tap.packets, segments.keys
    asked = np.flatnonzero(tap.request_ids >= 0)
    ids, first, copies = np.unique(tap.request_ids[asked], return_index=True, return_inverse=True)
    rows = asked[first]
    exchanges = np.zeros(len(ids), EXCHANGE_DTYPE)
    exchanges["id"], exchanges["request_ns"] = ids, packets["ts_ns"][rows]
    ambiguous = np.zeros(len(ids), bool)
    ambiguous[copies[keys[asked] != keys[rows][copies]]] = True

    # What each response begins and ends with, as keys: flow and sequence number in one.
    begins = segments.key_of(segments.flows[rows] ^ 1, packets["ack"][rows])
    order = np.argsort(begins, kind="stable")
    sorted_begins = begins[order]
    last_seen = segments.last_end(begins >> 32)
    ends = last_seen.copy()
    ends[order[:-1]] = np.where(
        sorted_begins[1:] >> 32 == sorted_begins[:-1] >> 32, sorted_begins[1:], last_seen[order[:-1]]
    )
    in_flight_together = np.flatnonzero(sorted_begins[1:] == sorted_begins[:-1])
    ambiguous[order[in_flight_together]] = ambiguous[order[in_flight_together + 1]] = True

    once = np.flatnonzero(segments.once)
    first_row, first_found = _look_up(keys[once], begins)
    last_row, last_found = _look_up(segments.ends[once], ends)
    answered = first_found & last_found & (ends > begins)
    exchanges["first_ns"][answered] = packets["ts_ns"][once[first_row[answered]]]
    exchanges["last_ns"][answered] = packets["ts_ns"][once[last_row[answered]]]
    exchanges["response_bytes"][answered] = (ends - begins)[answered]

    fault = exchanges["fault"]
    for doubtful, reason in ((segments.behind, Fault.OUT_OF_ORDER), (segments.again, Fault.RETRANSMITTED)):
        fault[_within(keys[doubtful], sorted_begins, ends[order], order)] = reason
        fault[np.isin(keys[rows], keys[doubtful])] = reason
    fault[~answered] = Fault.NO_RESPONSE
    fault[ambiguous] = Fault.AMBIGUOUS
    for column in ("first_ns", "last_ns", "response_bytes"):
        exchanges[column][fault != Fault.NONE] = 0
    return exchanges


def _look_up(
    among: NDArray[np.int64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each of `wanted` first stands in `among`, and whether it does."""
    order = np.argsort(among, kind="stable")
    places = np.searchsorted(among[order], wanted)
    found = places < len(among)
    found[found] = among[order[places[found]]] == wanted[found]
    return order[np.where(found, places, 0)] if len(among) else np.zeros(len(wanted), np.int64), found


def _within(
    keys: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The responses, of those that begin and end so, that one of `keys` is part of."""
    places = np.searchsorted(begins, keys, side="right") - 1
    inside = (places >= 0) & (keys < ends[places]) if len(begins) else np.zeros(len(keys), bool)
    return order[places[inside]]


def _find_handshakes(packets: NDArray[np.void], flows: NDArray[np.int64]) -> NDArray[np.void]:
    flags = packets["flags"]
    syn = np.flatnonzero((flags & (Flag.SYN | Flag.ACK)) == Flag.SYN)
    syn_ack = np.flatnonzero((flags & (Flag.SYN | Flag.ACK)) == Flag.SYN | Flag.ACK)
    ack = np.flatnonzero((flags & (Flag.SYN | Flag.ACK | Flag.RST)) == Flag.ACK)
    opened, first = np.unique(flows[syn], return_index=True)
    handshakes = np.zeros(len(opened), HANDSHAKE_DTYPE)
    handshakes["syn_ns"] = packets["ts_ns"][syn[first]]
    for column, among, flow in (("syn_ack_ns", syn_ack, opened ^ 1), ("ack_ns", ack, opened)):
        places, found = _look_up(flows[among], flow)
        handshakes[column][found] = packets["ts_ns"][among[places[found]]]
    return handshakes
