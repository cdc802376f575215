"""What is stored of stalls: connections on which nothing moved any more, after how much, last seen where.

A mean over them says nothing, for they have no end: they are counted, and the slot is void.
"""

from collections.abc import Mapping

from pydantic import Field

from bench.stored import Count, Stored

PLACES = {
    "container": "the container's own link",
    "veth": "the host's end of the container's link",
    "bridge": "the bridge",
    "uplink": "the Docker host's uplink",
    "client": "the client's link",
}
"""Taps in the order in which answers pass them, in words."""


class LostSegment(Stored):
    """The segment of an answer that a server sent again and again, as captures saw it."""

    payload_bytes: Count
    sent: Count
    """How often at the server's own tap: once, and again."""
    last_seen_at: str
    """The tap farthest from the server that saw a segment as large."""
    too_big: Mapping[str, Count]
    """Tap -> ICMP errors that it saw which say that a packet was too big; without taps that saw none."""

    def describe(self) -> str:
        """A clause: `a segment of 1,448 bytes, sent 4 times, was last seen at the bridge; no ICMP ...`."""
        told = ", ".join(f"{count:,} at {PLACES.get(tap, tap)}" for tap, count in self.too_big.items())
        return (
            f"a segment of {self.payload_bytes:,} bytes, sent {self.sent:,} times, was last seen at"
            f" {PLACES.get(self.last_seen_at, self.last_seen_at)};"
            f" {f'ICMP said that it was too big: {told}' if told else 'no ICMP said that it was too big'}"
        )


class Stalls(Stored):
    """Of a slot, the connections that stood still for `requests.STALL_NS` or longer until its end."""

    stalled: Count = Field(ge=1)
    connections: Count
    """On which the slot asked for anything; of a connection a request, clients that did."""
    asked_bytes: Count | None
    """Of an answer's body; None where not all requests ask for as much."""
    received_bytes: tuple[Count, Count]
    """Of the body, fewest and most of the stalled connections."""
    unanswered: Count
    """Of the stalled, those on which nothing at all of the answer had come."""
    lost: LostSegment | None = None
    """Of a slot with taps, where its captures show a segment that was sent again and again."""

    def describe(self) -> str:
        """A clause: `12 of 12 connections stalled after 0 of 65,536 bytes of the answer`."""
        fewest, most = self.received_bytes
        received = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
        of = f" of {self.asked_bytes:,}" if self.asked_bytes is not None else ""
        hop = f"; {self.lost.describe()}" if self.lost else ""
        return (
            f"{self.stalled:,} of {self.connections:,} connections stalled after {received}{of} bytes of the"
            f" answer{hop}"
        )
