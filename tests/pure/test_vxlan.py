"""Captures on the way of an overlay network, written by scapy: inside of VXLAN is what was sent."""

import io
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

from bench.results.decoding import decode
from bench.wire.packets import Kind, read_packets
from bench.wire.pcap import read_records
from bench.wire.vxlan import see_through
from tests.pure.packet_oracle import write_pcap
from tests.pure.wire import HOST_PATH, Seen, make_world

OUTER = IP(src="198.18.0.101", dst="198.18.0.100") / UDP(sport=50_000, dport=4789, chksum=0)
SHORT = [packet for packet in make_world(HOST_PATH).packets["client"] if len(packet.content) <= 206]
"""Of which a tap captures all, inside of VXLAN too."""


def put_on(inner: bytes) -> bytes:
    """As an engine's VXLAN link sends it."""
    return bytes(Ether(src="02:00:00:00:01:01", dst="02:00:00:00:01:02") / OUTER / VXLAN(vni=4097) / inner)


def read(contents: list[bytes]) -> np.ndarray:
    stream = io.BytesIO(write_pcap([(number, content) for number, content in enumerate(contents)]))
    return np.concatenate([read_packets(see_through(records)) for records in read_records(stream, "tap")])


def test_requests_are_followed_hop_by_hop_from_a_tap_without_vxlan_to_one_inside_of_it() -> None:
    world = make_world(HOST_PATH)
    plain = world.match()
    world.packets["uplink"] = [
        Seen(packet.ts_ns, put_on(packet.content), packet.label) for packet in world.packets["uplink"]
    ]
    through = world.match()

    assert len(through.rows) == through.expected == 5
    assert (through.rows == plain.rows).all()


def test_a_packet_inside_of_vxlan_is_read_as_if_it_had_been_captured_by_itself() -> None:
    contents = [packet.content for packet in SHORT]
    inside, plain = read([put_on(content) for content in contents]), read(contents)

    assert (inside["kind"] == Kind.TCP).all()
    assert (inside == plain).all()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("another port", bytes(Ether() / IP(dst="198.18.0.1") / UDP(dport=4790) / bytes(80))),
        ("no network's number", put_on(bytes(60)).replace(bytes(VXLAN(vni=4097)), bytes(8))),
        (
            "a tagged outer packet",
            bytes(Ether() / Dot1Q(vlan=7) / OUTER / VXLAN(vni=1) / Ether() / IP(dst="198.18.0.1")),
        ),
        (
            "a piece of a larger packet",
            bytes(Ether() / IP(dst="198.18.0.1", frag=10) / UDP(dport=4789) / bytes(80)),
        ),
    ],
)
def test_what_is_no_whole_vxlan_stays_as_it_is(name: str, content: bytes) -> None:
    [packet] = read([content])
    assert packet["captured_bytes"] == len(content), name


def test_a_packet_cut_within_the_outer_headers_stays_one_and_within_the_inner_ones_is_cut() -> None:
    whole = put_on(make_world(HOST_PATH).packets["client"][0].content)
    for length in range(len(whole)):
        stream = io.BytesIO(write_pcap([(0, whole[:length])]))
        [records] = [found for found in read_records(stream, "tap") if len(found.starts)]
        [packet] = read_packets(see_through(records))
        assert bool(packet["kind"] == Kind.TCP) is (length >= 50 + 14 + 20 + 20)


def test_a_sample_s_packets_are_decoded_as_what_vxlan_carries(tmp_path: Path) -> None:
    plain, tunnelled = tmp_path / "plain.pcap", tmp_path / "tunnelled.pcap"
    plain.write_bytes(write_pcap([(packet.ts_ns, packet.content) for packet in SHORT]))
    tunnelled.write_bytes(write_pcap([(packet.ts_ns, put_on(packet.content)) for packet in SHORT]))

    assert decode(tunnelled) == decode(plain)
    assert len(decode(plain)) == len(SHORT)
