"""Captures with a known truth: scapy's packets of one load at every tap of a path, and their times."""

import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from bench.wire.exchanges import Sight, find_exchanges, read_tap, request_target
from bench.wire.hops import Hops, list_hops, match
from tests.pure.packet_oracle import write_pcap

PATH = "/1024"


class Side(NamedTuple):
    """One end of a connection as a tap sees it."""

    address: str
    port: int
    first_seq: int
    """Of the data; near the end of the numbers, so that they wrap."""


@dataclass(frozen=True)
class View:
    """How a connection looks at a tap."""

    tap: str
    client: Side
    server: Side


CLIENT, HOST = Side("198.18.0.2", 40_000, 4_294_967_000), Side("198.18.0.3", 8080, 1_000)
CONTAINER = Side("172.17.0.2", 80, 1_000)
PROXY, PROXIED = Side("172.17.0.1", 51_000, 77), Side("172.17.0.2", 80, 4_294_966_000)
CLIENT6, HOST6 = Side("fd00::2", 40_000, 5), Side("fd00::3", 8080, 6)

HOST_PATH = [View(tap, CLIENT, HOST) for tap in ("client", "uplink")]
MACVLAN_PATH = [View(tap, CLIENT, HOST) for tap in ("client", "uplink", "server")]
BRIDGE_PATH = HOST_PATH + [View(tap, CLIENT, CONTAINER) for tap in ("bridge", "veth", "server")]
PROXY_PATH = HOST_PATH + [View(tap, PROXY, PROXIED) for tap in ("bridge", "veth", "server")]
HOST6_PATH = [View(tap, CLIENT6, HOST6) for tap in ("client", "uplink")]
PATHS = {
    "host": HOST_PATH,
    "macvlan": MACVLAN_PATH,
    "bridge": BRIDGE_PATH,
    "docker-proxy": PROXY_PATH,
    "host, IPv6": HOST6_PATH,
}


class Seen(NamedTuple):
    """A packet at a tap."""

    ts_ns: int
    content: bytes
    label: str
    """Such as `request 3`."""


@dataclass
class World:
    """Packets by tap, to be disturbed by tests, and the hops that they were made of."""

    packets: dict[str, list[Seen]]
    truth_ns: dict[str, list[int]] = field(default_factory=dict)

    def sights(self) -> list[Sight]:
        """What each tap saw, by way of pcap files."""
        return [
            find_exchanges(
                read_tap(tap, io.BytesIO(write_pcap([(p.ts_ns, p.content) for p in packets])), PATH)
            )
            for tap, packets in self.packets.items()
        ]

    def match(self) -> Hops:
        return match(self.sights())

    def at(self, tap: str, label: str) -> int:
        """The place of a packet among a tap's."""
        return [packet.label for packet in self.packets[tap]].index(label)


def segment(
    view: View,
    *,
    to_server: bool,
    seq: int,
    ack: int,
    payload: bytes = b"",
    flags: str = "PA",
    number: int = 1,
) -> bytes:
    """One packet, `number` being its IPv4 identification."""
    source, destination = (view.client, view.server) if to_server else (view.server, view.client)
    tcp = TCP(
        sport=source.port, dport=destination.port, seq=seq % (1 << 32), ack=ack % (1 << 32), flags=flags
    ) / Raw(payload)
    ethernet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    if ":" in source.address:
        return bytes(ethernet / IPv6(src=source.address, dst=destination.address) / tcp)
    return bytes(ethernet / IP(src=source.address, dst=destination.address, id=number) / tcp)


def make_world(
    path: Sequence[View],
    requests: int = 5,
    *,
    seed: int = 1,
    first: int = 0,
    segments: int = 2,
    handshake: bool = True,
    longer: Mapping[str, int] | None = None,
) -> World:
    """`requests`, numbered from `first`, on one connection, each answered in `segments` packets.

    Each hop takes a random time of its own, and `longer[hop]` ns more.
    """
    dice, now = random.Random(seed), 1_700_000_000_000_000_000 + first * 1_000_000_000
    taps = [view.tap for view in path]
    hops = list_hops(taps)
    world = World({tap: [] for tap in taps}, {hop.name: [] for hop in hops})
    if handshake:
        for step, (to_server, flags) in enumerate(((True, "S"), (False, "SA"), (True, "A"))):
            for view in path:
                seq, ack = view.client.first_seq, view.server.first_seq
                content = (
                    segment(
                        view, to_server=True, seq=seq - (flags == "S"), ack=ack * (flags == "A"), flags=flags
                    )
                    if to_server
                    else segment(view, to_server=False, seq=ack - 1, ack=seq, flags=flags)
                )
                world.packets[view.tap].append(Seen(now + step * 1_000, content, flags))
    asked = answered = 0
    body = b"x" * 700
    for number in range(first, first + requests):
        now += 1_000_000
        request = f"GET {request_target(PATH, number)} HTTP/1.1\r\nHost: it\r\n\r\n".encode()
        times = {f"{taps[0]}_request_ns": now}
        for hop in hops:
            took = dice.randrange(100, 5_000) + (longer or {}).get(hop.name, 0)
            if hop.name == "response: rest":
                took = took if segments > 1 else 0
                # The response's other packets follow the first at that distance at every tap.
                times |= {f"{tap}_last_ns": times[f"{tap}_first_ns"] + took for tap in taps}
            else:
                times[hop.later] = times[hop.earlier] + took
            world.truth_ns[hop.name].append(took)
        for view in path:
            seq, ack = view.client.first_seq + asked, view.server.first_seq + answered
            seen = world.packets[view.tap]
            content = segment(view, to_server=True, seq=seq, ack=ack, payload=request, number=1 + number)
            seen.append(Seen(times[f"{view.tap}_request_ns"], content, f"request {number}"))
            begin, end = times[f"{view.tap}_first_ns"], times[f"{view.tap}_last_ns"]
            for part in range(segments):
                content = segment(
                    view,
                    to_server=False,
                    seq=ack + part * len(body),
                    ack=seq + len(request),
                    payload=body,
                    number=1 + number * segments + part,
                )
                seen.append(
                    Seen(
                        begin + (end - begin) * part // max(segments - 1, 1),
                        content,
                        f"response {number}.{part}",
                    )
                )
        asked, answered = asked + len(request), answered + segments * len(body)
    return world
