"""One request followed through the taps of a capture: its addresses at each, and what was rewritten.

Of a sample of decoded packets. A response carries no number: it begins at the sequence number that
its request acknowledges.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.wire.hops import Group

NUMBERED = re.compile(rb"GET [^ ]*[?&]id=(\d{10}) ")
"""The head of a request of a capture slot (`taps.request_target`)."""


@dataclass(frozen=True, kw_only=True)
class Packet:
    """What a decoder says of one TCP packet. MAC addresses are empty where the link has none."""

    source_mac: str
    destination_mac: str
    source: str
    """Address and port, as `198.18.0.2:40000` or `[2001:2::2]:40000`."""
    destination: str
    ttl: int
    seq: int
    ack: int
    payload: bytes
    """As much of it as was captured."""


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """The request, or its response's first packet, at one tap."""

    number: int
    group: Group
    tap: str
    packet: Packet
    rewritten: tuple[str, ...]
    """What is not as it was at the tap before; empty where it begins."""


def follow(samples: Mapping[str, Sequence[Packet]]) -> list[Sighting]:
    """The first request that every tap's sample holds, there and back; empty where there is none.

    `samples`: tap -> packets, in the order in which requests pass the taps.
    """
    numbered = {tap: _number(packets) for tap, packets in samples.items()}
    common = set.intersection(*(set(found) for found in numbered.values())) if numbered else set()
    ways = []
    for number in sorted(common):
        requests = [(tap, numbered[tap][number]) for tap in samples]
        responses = [(tap, _find_response(samples[tap], request)) for tap, request in reversed(requests)]
        seen = [(tap, response) for tap, response in responses if response]
        ways.append((number, requests, seen))
        if len(seen) == len(requests):
            break
    if not ways:
        return []
    # The sample may end before a response: then of all the request with the most of its way back.
    number, requests, seen = max(ways, key=lambda way: len(way[2]))
    return [*_compare(number, Group.REQUEST, requests), *_compare(number, Group.RESPONSE, seen)]


def _number(packets: Sequence[Packet]) -> dict[int, Packet]:
    found: dict[int, Packet] = {}
    for packet in packets:
        head = NUMBERED.match(packet.payload)
        if head:
            found.setdefault(int(head[1]), packet)
    return found


def _find_response(packets: Sequence[Packet], request: Packet) -> Packet | None:
    for packet in packets:
        ends = packet.source, packet.destination
        if packet.payload and packet.seq == request.ack and ends == (request.destination, request.source):
            return packet
    return None


def _compare(number: int, group: Group, way: Sequence[tuple[str, Packet]]) -> Iterator[Sighting]:
    before: Packet | None = None
    for tap, packet in way:
        rewritten = tuple(_list_rewritten(before, packet)) if before else ()
        yield Sighting(number=number, group=group, tap=tap, packet=packet, rewritten=rewritten)
        before = packet


def _list_rewritten(before: Packet, after: Packet) -> Iterator[str]:
    if before.source != after.source and before.destination != after.destination:
        yield "source and destination: another connection"
    elif before.source != after.source:
        yield "source"
    elif before.destination != after.destination:
        yield "destination"
    if (before.source_mac, before.destination_mac) != (after.source_mac, after.destination_mac):
        yield "MAC addresses"
    if before.ttl != after.ttl:
        yield f"TTL {after.ttl - before.ttl:+d}"
