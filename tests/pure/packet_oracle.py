"""Scapy as the oracle of the packet reader: random captures, mutations of them, and what scapy reads.

The rules by which a packet is no TCP packet are written here a second time, over the values that
scapy finds; where they say TCP, scapy must have found TCP as well, and every column is its value.
"""

import random
import struct
from ipaddress import ip_address
from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_RR
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from bench.wire.packets import BLANK_UNLESS_TCP, Kind
from bench.wire.pcap import Link

LINK_CLASSES: dict[Link, type[Packet]] = {
    Link.ETHERNET: Ether,
    Link.LINUX_SLL: CookedLinux,
    Link.LINUX_SLL2: CookedLinuxV2,
}
LINK_BYTES = {Link.ETHERNET: 14, Link.LINUX_SLL: 16, Link.LINUX_SLL2: 20}
MAGIC = {("<", 1000): 0xA1B2C3D4, (">", 1000): 0xA1B2C3D4, ("<", 1): 0xA1B23C4D, (">", 1): 0xA1B23C4D}


def random_packet(dice: random.Random, link: Link) -> bytes:
    """One whole packet: mostly TCP over IPv4 or IPv6, with tags, options, padding; sometimes another."""
    packet = _network(dice, link) / _transport(dice)
    if link not in LINK_CLASSES:
        return bytes(packet)
    for _ in range(dice.choice((0, 0, 0, 1, 2, 3))):
        # Scapy binds no 802.1ad tag to a cooked header.
        tag = dice.choice((Dot1Q, Dot1AD)) if link is Link.ETHERNET else Dot1Q
        packet = tag(vlan=dice.randrange(4096), prio=dice.randrange(8)) / packet
    if dice.random() < 0.05:
        packet = ARP()
    # With addresses, or scapy asks the network for them.
    header = (
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        if link is Link.ETHERNET
        else LINK_CLASSES[link]()
    )
    return bytes(header / packet) + bytes(dice.choice((0, 0, 0, 6, 14)))


def _network(dice: random.Random, link: Link) -> Packet:
    if link is Link.IPV6 or (link is not Link.IPV4 and dice.random() < 0.4):
        six: Packet = IPv6(
            src=str(ip_address(dice.randbytes(16))),
            dst=str(ip_address(dice.randbytes(16))),
            hlim=dice.randrange(256),
        )
        if (extension := dice.random()) < 0.1:
            six = six / (IPv6ExtHdrFragment() if extension < 0.05 else IPv6ExtHdrHopByHop())
        return six
    fragment = dice.choice(((0, 0),) * 12 + ((0, "MF"), (8, 0)))
    return IP(
        src=str(ip_address(dice.randbytes(4))),
        dst=str(ip_address(dice.randbytes(4))),
        ttl=dice.randrange(256),
        id=dice.randrange(1 << 16),
        frag=fragment[0],
        flags=fragment[1],
        options=dice.choice(
            ([], [], [IPOption_NOP()], [IPOption_RR(routers=["1.2.3.4"] * dice.randrange(9))])
        ),
    )


def _transport(dice: random.Random) -> Packet:
    payload = Raw(dice.randbytes(dice.choice((0, 1, 46, 300, 1400))))
    if dice.random() < 0.15:
        return dice.choice((UDP(), ICMP())) / payload
    stamps = ("Timestamp", (dice.getrandbits(32), dice.getrandbits(32)))
    return (
        TCP(
            sport=dice.randrange(1 << 16),
            dport=dice.randrange(1 << 16),
            seq=dice.getrandbits(32),
            ack=dice.getrandbits(32),
            flags=dice.randrange(256),
            window=dice.randrange(1 << 16),
            options=dice.choice(([], [("NOP", None), ("NOP", None), stamps], [("MSS", 1460), ("WScale", 7)])),
        )
        / payload
    )


def mutate(dice: random.Random, content: bytes) -> bytes:
    """`content` with some bits flipped, its end cut off, or bytes of it cut out or put in twice."""
    match dice.randrange(4) if content else 4:
        case 0:
            mutant = bytearray(content)
            for _ in range(dice.randint(1, 4)):
                mutant[dice.randrange(len(mutant))] ^= 1 << dice.randrange(8)
            return bytes(mutant)
        case 1:
            return content[: dice.randrange(len(content))]
        case 2:
            mutant = bytearray(content)
            # Where the headers are: a byte anywhere would mostly hit the payload.
            mutant[dice.randrange(min(len(mutant), 80))] = dice.randrange(256)
            return bytes(mutant)
        case 3:
            first, second = dice.randrange(len(content)), dice.randrange(len(content))
            return content[:first] + content[second : second + dice.randrange(40)] + content[first:]
        case _:
            return content


def write_capture(
    packets: list[bytes], link: Link, *, order: str = "<", ns_per_unit: int = 1, snaplen: int = 262_144
) -> bytes:
    """A pcap file, packet i at i seconds and i units."""
    head = struct.pack(f"{order}IHHIIII", MAGIC[order, ns_per_unit], 2, 4, 0, 0, snaplen, link)
    records = (
        struct.pack(f"{order}IIII", i, i, len(packet[:snaplen]), len(packet)) + packet[:snaplen]
        for i, packet in enumerate(packets)
    )
    return head + b"".join(records)


def write_pcap(packets: list[tuple[int, bytes]]) -> bytes:
    """An Ethernet pcap file of packets with time stamps in ns, 256 bytes captured of each."""
    head = struct.pack("<IHHIIII", MAGIC["<", 1], 2, 4, 0, 0, 256, Link.ETHERNET)
    records = (
        struct.pack("<IIII", *divmod(ts_ns, 1_000_000_000), len(packet[:256]), len(packet)) + packet[:256]
        for ts_ns, packet in packets
    )
    return head + b"".join(records)


def expected_row(link: Link, content: bytes) -> dict[str, int]:
    """What the reader must say about one packet, from `kind` on."""
    row = {"kind": 0, "vlan": -1, "inner_vlan": -1} | dict.fromkeys(BLANK_UNLESS_TCP, 0)
    announced, network, place = _find_network(link, content, row)
    if network is None:
        row["kind"] = announced
        return row
    if announced == 4:
        row["kind"], length, segment = _judge_ipv4(network, len(content) - place)
    else:
        row["kind"], length, segment = _judge_ipv6(network, len(content) - place)
    if row["kind"] != Kind.TCP:
        return row
    place += length
    if place + 20 > len(content):
        row["kind"] = Kind.CUT
        return row
    tcp: Any = network.payload if isinstance(network.payload, TCP) else TCP(content[place:])
    if tcp.dataofs < 5 or tcp.dataofs * 4 > segment:
        row["kind"] = Kind.MALFORMED
        return row
    assert isinstance(network.payload, TCP), "scapy must find what the rules allow"
    if place + segment <= len(content):
        assert len(tcp.original) == segment, "scapy hands TCP what IP's length says"
    source, destination = (
        (ip_address(f"::ffff:{side}") if announced == 4 else ip_address(side))
        for side in (network.src, network.dst)
    )
    return row | {
        "version": announced,
        "ttl": network.ttl if announced == 4 else network.hlim,
        "identification": network.id if announced == 4 else 0,
        "source_high": int(source) >> 64,
        "source_low": int(source) & (1 << 64) - 1,
        "destination_high": int(destination) >> 64,
        "destination_low": int(destination) & (1 << 64) - 1,
        "source_port": tcp.sport,
        "destination_port": tcp.dport,
        "seq": tcp.seq,
        "ack": tcp.ack,
        "flags": int(tcp.flags) & 0xFF,
        "window": tcp.window,
        "payload_offset": place + tcp.dataofs * 4,
        "payload_bytes": segment - tcp.dataofs * 4,
    }


def _find_network(  # noqa: PLR0911 - a header after another
    link: Link, content: bytes, row: dict[str, int]
) -> tuple[int, Any, int]:
    """(IP version, scapy's IP layer, where it begins), or (kind, None, 0)."""
    if link not in LINK_CLASSES:
        if not content:
            return Kind.CUT, None, 0
        version = {Link.IPV4: 4, Link.IPV6: 6}.get(link, content[0] >> 4)
        return _dissect_network(version, content) if version in (4, 6) else (Kind.NOT_IP, None, 0)
    place = LINK_BYTES[link]
    if len(content) < place:
        return Kind.CUT, None, 0
    layer: Any = LINK_CLASSES[link](content)
    protocol = (
        layer.type if link is Link.ETHERNET and isinstance(layer, Ether) else getattr(layer, "proto", 0)
    )
    for column in ("vlan", "inner_vlan"):
        if protocol not in (0x8100, 0x88A8):
            break
        if len(content) < place + 4:
            return Kind.CUT, None, 0
        tag = Dot1Q(content[place : place + 4])
        row[column], protocol, place = tag.vlan, tag.type, place + 4
        layer = layer.payload
    if protocol not in (0x0800, 0x86DD):
        return Kind.NOT_IP, None, 0
    found = layer.payload
    if isinstance(found, IP | IPv6):
        return (4 if protocol == 0x0800 else 6), found, place
    version, network, _ = _dissect_network(4 if protocol == 0x0800 else 6, content[place:])
    return version, network, place


def _dissect_network(version: int, content: bytes) -> tuple[int, Any, int]:
    if len(content) < (20 if version == 4 else 40):
        return Kind.CUT, None, 0
    network = IP if version == 4 else IPv6
    try:
        return version, network(content), 0
    except IndexError:  # Scapy 2.8 looks for an IPv6 jumbo option behind the packet's end.
        return version, network(content[:40]), 0


def _judge_ipv4(network: Any, captured: int) -> tuple[int, int, int]:
    length, total = network.ihl * 4, network.len
    kind = Kind.TCP
    if captured < 20:
        kind = Kind.CUT
    elif network.version != 4 or length < 20 or total < length:
        kind = Kind.MALFORMED
    elif network.flags.MF or network.frag:
        kind = Kind.FRAGMENT
    elif network.proto != 6:
        kind = Kind.NOT_TCP
    return kind, length, total - length


def _judge_ipv6(network: Any, captured: int) -> tuple[int, int, int]:
    kind = Kind.TCP
    if captured < 40:
        kind = Kind.CUT
    elif network.version != 6:
        kind = Kind.MALFORMED
    elif network.nh == 44:
        kind = Kind.FRAGMENT
    elif network.nh != 6:
        kind = Kind.NOT_TCP
    return kind, 40, network.plen
