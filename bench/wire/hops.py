"""Where each request's microseconds went: its times at every tap, and the hops between them.

Taps are named in the order in which requests pass them; responses pass them the other way round. The
hops of a request add up to its latency on the wire, from the request at the first tap to the last
packet of the response there, exactly: all are differences of the same whole nanoseconds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import InputError
from bench.slots.gates.gate import Gate, GateKind
from bench.wire.exchanges import Fault, Sight

MIN_MATCHED_SHARE = 0.999
"""Of the requests, found whole at every tap. What is missing is not missing at random."""

_FAULT_WORDS = {
    Fault.OUT_OF_ORDER: "out of order",
    Fault.RETRANSMITTED: "retransmitted",
    Fault.NO_RESPONSE: "response not seen whole",
    Fault.AMBIGUOUS: "ambiguous",
}


class Group(StrEnum):
    """The part of a request's way that a hop belongs to."""

    REQUEST = "request"
    SERVER = "server"
    RESPONSE = "response"


SERVER_HOP = "server"
REST_HOP = "response: rest"
"""From a response's first packet to its last, at the first tap."""
Ends = tuple[str, str]
"""The tap that a stretch of the way begins at and the one that it ends at, as the packets go."""


def name_stretch(group: Group, ends: Ends) -> str:
    """The name of a hop between two taps: `request: client to uplink`."""
    return f"{group}: {' to '.join(ends)}"


class Hop(NamedTuple):
    """The time between two columns of a row."""

    name: str
    group: Group
    earlier: str
    later: str
    ends: Ends | None = None
    """None of the server, and of what follows a response's first packet."""


class Place(NamedTuple):
    """Of a capture in its run."""

    session: int
    block: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Hops:
    """The requests of one capture that were matched at every tap."""

    taps: tuple[str, ...]
    rows: NDArray[np.void]
    """One row a request: `id`, then `<tap>_request_ns`, `<tap>_first_ns`, `<tap>_last_ns` (the response's
    first and last packet) for each tap, in the clock of the captures."""
    expected: int
    """Requests that were to be matched."""
    unmatched: dict[str, int]
    """Requests that were not, by the first reason found, `<tap>: <reason>`."""
    backwards: dict[str, int]
    """Requests, left out as well, with a negative hop, by the first such hop's name."""
    place: Place | None = None
    """Where in the run's order, by which captures of several arms are paired."""

    @property
    def gates(self) -> list[Gate]:
        """Whether the capture counts."""
        share = len(self.rows) / self.expected if self.expected else 0.0
        return [
            Gate(
                name=GateKind.CAPTURE_MATCHED,
                passed=share >= MIN_MATCHED_SHARE,
                seen=share,
                limit=MIN_MATCHED_SHARE,
                unit="of the requests, matched at every tap, at least",
                detail=_list(self.unmatched | self.backwards),
            ),
            Gate(
                name=GateKind.CAPTURE_ORDER,
                passed=not self.backwards,
                seen=sum(self.backwards.values()),
                limit=0,
                unit="requests seen at a later tap before an earlier one, at most",
                detail=_list(self.backwards),
            ),
        ]


def match(sights: Sequence[Sight], expected_ids: NDArray[np.int64] | None = None) -> Hops:
    """Match requests over taps, given in the order in which requests pass them.

    `expected_ids` are the requests of the window, by the generator's own account. Without them, every
    number that any tap saw is expected, so a request that no tap saw is not missed.
    """
    taps = tuple(sight.name for sight in sights)
    if not taps or len(set(taps)) < len(taps):
        raise InputError("Matching captures", f"taps {', '.join(taps) or 'none'}", "Name each tap once.")
    seen = [sight.exchanges["id"] for sight in sights]
    ids = np.unique(np.concatenate(seen) if expected_ids is None else expected_ids)
    rows = np.zeros(len(ids), [("id", "<i8"), *((column, "<i8") for column in tap_columns(taps))])
    rows["id"] = ids
    reasons, kept = np.full(len(ids), "", object), np.ones(len(ids), bool)
    response_bytes = np.full(len(ids), -1, np.int64)
    for sight in sights:
        places = np.searchsorted(sight.exchanges["id"], ids)
        found = places < len(sight.exchanges)
        found[found] = sight.exchanges["id"][places[found]] == ids[found]
        _note(reasons, kept, ~found, f"{sight.name}: not seen")
        there = np.zeros(len(ids), sight.exchanges.dtype)
        there[found] = sight.exchanges[places[found]]
        for fault, words in _FAULT_WORDS.items():
            _note(reasons, kept, there["fault"] == fault, f"{sight.name}: {words}")
        # Every tap sees the same bytes. If not, one of them lost the last packet or the next request.
        differs = kept & (response_bytes >= 0) & (there["response_bytes"] != response_bytes)
        _note(reasons, kept, differs, f"{sight.name}: another response length")
        response_bytes[kept] = there["response_bytes"][kept]
        for column in ("request_ns", "first_ns", "last_ns"):
            rows[f"{sight.name}_{column}"] = there[column]
    unmatched = Counter(reasons[~kept])
    reasons, ordered = np.full(len(ids), "", object), kept.copy()
    for hop in [*list_hops(taps), *_last_hops(taps)]:
        _note(reasons, ordered, rows[hop.later] < rows[hop.earlier], hop.name)
    return Hops(
        taps=taps,
        rows=rows[ordered],
        expected=len(ids),
        unmatched=dict(unmatched.most_common()),
        backwards=dict(Counter(reasons[kept & ~ordered]).most_common()),
    )


def list_hops(taps: Sequence[str]) -> list[Hop]:
    """The hops of a path in the order of time; each begins where the one before it ends."""
    last, first = taps[-1], taps[0]
    return [
        *(_between(Group.REQUEST, ends, "request") for ends in pairwise(taps)),
        Hop(SERVER_HOP, Group.SERVER, f"{last}_request_ns", f"{last}_first_ns"),
        *(_between(Group.RESPONSE, ends, "first") for ends in pairwise(reversed(taps))),
        Hop(REST_HOP, Group.RESPONSE, f"{first}_first_ns", f"{first}_last_ns"),
    ]


def _between(group: Group, ends: Ends, packet: str) -> Hop:
    earlier, later = (f"{tap}_{packet}_ns" for tap in ends)
    return Hop(name_stretch(group, ends), group, earlier, later, ends)


def hop_ns(rows: NDArray[np.void], hop: Hop) -> NDArray[np.int64]:
    """What a hop took, for every row."""
    took: NDArray[np.int64] = rows[hop.later] - rows[hop.earlier]
    return took


def wire_latency_ns(hops: Hops) -> NDArray[np.int64]:
    """From the request to the response's last packet, both at the first tap, for every row."""
    first = hops.taps[0]
    return hop_ns(hops.rows, Hop("wire", Group.SERVER, f"{first}_request_ns", f"{first}_last_ns"))


def tap_columns(taps: Sequence[str]) -> list[str]:
    """The columns of a row behind its `id`."""
    return [f"{tap}_{column}" for tap in taps for column in ("request_ns", "first_ns", "last_ns")]


def _last_hops(taps: Sequence[str]) -> list[Hop]:
    """The way of the response's last packet: part of no latency, but it cannot run backwards either."""
    return [
        Hop(f"response's end: {far} to {near}", Group.RESPONSE, f"{far}_last_ns", f"{near}_last_ns")
        for far, near in pairwise(reversed(taps))
    ]


def _note(
    reasons: NDArray[np.object_], kept: NDArray[np.bool_], failed: NDArray[np.bool_], reason: str
) -> None:
    reasons[kept & failed] = reason
    kept &= ~failed


def _list(counts: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in counts.items())
