"""TCP packets as segments of connections: which bytes each carries, and whether they had passed before.

A connection is two addresses and ports between two opening SYNs; each of its two directions is a
flow. A segment's key is its flow and its sequence number in one integer, so that segments are found
and ordered by whole-number search.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.errors import InputError
from bench.wire.packets import Flag

HALF = 1 << 31
"""Sequence numbers are compared by their distance from a flow's first, which must be below this."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Segments:
    """One entry a packet, in the packets' order."""

    flows: NDArray[np.int64]
    """The other direction of flow f is f ^ 1."""
    keys: NDArray[np.int64]
    """flow << 32 | distance of the first byte."""
    ends: NDArray[np.int64]
    """The key that the byte after the last one would have."""
    once: NDArray[np.bool_]
    """Data whose first byte had begun no segment before."""
    again: NDArray[np.bool_]
    """Data that was sent again: seen before, and no copy of one packet."""
    twice: NDArray[np.bool_]
    """One packet of data that the tap saw a second time: same bytes, same IPv4 identification, which Linux
    counts up for every packet of a connection. IPv6 has none, so there a repeated segment was sent again."""
    behind: NDArray[np.bool_]
    """Data, not seen before, that begins before the end of what had passed."""
    opening: NDArray[np.bool_]
    """The SYN of a connection, the first time."""
    opening_again: NDArray[np.bool_]
    """A SYN or SYN-ACK that was seen before."""
    firsts: NDArray[np.uint32]
    """A flow's first sequence number."""
    furthest: NDArray[np.int64]
    """A flow's greatest end; its key 0 where it carried no data."""

    def key_of(self, flows: NDArray[np.int64], numbers: NDArray[np.uint32]) -> NDArray[np.int64]:
        """The key of a sequence number in a flow."""
        return (flows << 32) + (numbers - self.firsts[flows]).astype(np.int32) + HALF

    def last_end(self, flows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The greatest end of each of `flows`."""
        return self.furthest[flows]


def sort_segments(packets: NDArray[np.void], name: str) -> Segments:
    """Tell apart the connections and segments of TCP packets that are in order of time.

    Raises InputError where a flow carried as many bytes as sequence numbers can tell apart.
    """
    pairs, opposites = _number_pairs(packets)
    flags = packets["flags"]
    syn = (flags & Flag.SYN) != 0
    opening, opening_again = _find_first(pairs, packets["seq"], syn)
    opening &= (flags & Flag.ACK) == 0
    flows = _number_flows(pairs, opposites, opening)
    present, first = np.unique(flows, return_index=True)
    count = int(flows.max(initial=-1) + 1) + 1 & ~1  # Both directions, though one may not have been seen.
    firsts = np.zeros(count, np.uint32)
    firsts[present] = packets["seq"][first]
    carried = np.bincount(flows, packets["payload_bytes"], minlength=count)
    if carried.max(initial=0) >= HALF:
        raise InputError(
            f"Matching {name}", "a connection carried 2 GiB", "Capture fewer requests or a smaller page."
        )
    keys = (flows << 32) + (packets["seq"] - firsts[flows]).astype(np.int32) + HALF
    ends = keys + packets["payload_bytes"]
    data = packets["payload_bytes"] > 0
    once, repeated = _find_first(flows, packets["seq"], data)
    _, copy = _find_first(keys, packets["identification"], data)
    twice = copy & repeated & (packets["identification"] != 0)
    furthest = np.arange(count) << 32
    np.maximum.at(furthest, flows[data], ends[data])
    return Segments(
        flows=flows,
        keys=keys,
        ends=ends,
        once=once,
        again=repeated & ~twice,
        twice=twice,
        behind=once & _is_behind(flows, keys, ends, data),
        opening=opening,
        opening_again=opening_again,
        firsts=firsts,
        furthest=furthest,
    )


def _number(*columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """One whole number a row, equal exactly where all `columns` are."""
    numbers: NDArray[np.int64] = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, places = np.unique(column, return_inverse=True)
        numbers = np.unique(numbers * (len(values) + 1) + places, return_inverse=True)[1]
    return numbers


def _number_pairs(packets: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A number a packet for its addresses and ports, and the number that the other direction has."""
    ends = _number(
        *(
            np.concatenate([packets[f"source_{part}"], packets[f"destination_{part}"]])
            for part in ("high", "low", "port")
        )
    )
    sources, destinations = ends[: len(packets)], ends[len(packets) :]
    count = int(ends.max(initial=0)) + 1
    return sources * count + destinations, destinations * count + sources


def _number_flows(
    pairs: NDArray[np.int64], opposites: NDArray[np.int64], opening: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Two numbers a connection, the even one for the direction whose pair is the smaller."""
    connections = np.minimum(pairs, opposites)
    order = np.argsort(connections, kind="stable")
    begins = opening[order]
    begins[1:] |= np.diff(connections[order]) != 0
    begins[:1] = True
    flows = np.empty(len(pairs), np.int64)
    flows[order] = np.cumsum(begins) - 1
    return flows * 2 + (pairs > opposites)


def _find_first(
    groups: NDArray[np.int64], values: NDArray[np.unsignedinteger], among: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(first, later) occurrences of each value in its group, among those packets."""
    rows = np.flatnonzero(among)
    numbers = _number(groups[rows], values[rows].astype(np.int64))
    first = np.zeros(len(groups), bool)
    first[rows[np.unique(numbers, return_index=True)[1]]] = True
    return first, among & ~first


def _is_behind(
    flows: NDArray[np.int64], keys: NDArray[np.int64], ends: NDArray[np.int64], data: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    rows = np.flatnonzero(data)
    rows = rows[np.argsort(flows[rows], kind="stable")]
    # Keys grow with their flow, so a flow's first segment is never behind what the flow before it carried.
    before = np.maximum.accumulate(ends[rows])[:-1]
    behind = np.zeros(len(flows), bool)
    behind[rows[1:]] = keys[rows[1:]] < before
    return behind
