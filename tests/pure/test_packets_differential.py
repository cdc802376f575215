"""Bench's reader against scapy's, on captures that scapy built and mutations of them; and against tshark's.

`make differential` runs it on more: DIFFERENTIAL_PACKETS sets how many packets are compared.
"""

import io
import logging
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest
from scapy.error import Scapy_Exception
from scapy.utils import RawPcapReader

from bench.errors import InputError
from bench.wire.packets import PACKET_DTYPE, Kind, read_packets
from bench.wire.pcap import MAX_CAPTURED_BYTES, Link, read_records
from tests.pure.packet_oracle import expected_row, mutate, random_packet, write_capture

PACKETS = int(os.environ.get("DIFFERENTIAL_PACKETS", "3000"))
PACKETS_A_FILE = 25
MUTANTS_A_FILE = 2
REFUSED = "refused"
Rows = list[tuple[int, ...]]


def read_with_bench(content: bytes, chunk_bytes: int) -> Rows | str:
    try:
        batches = [read_packets(records) for records in read_records(io.BytesIO(content), "it", chunk_bytes)]
    except InputError:
        return REFUSED
    return [tuple(map(int, row)) for row in np.concatenate(batches)]


def read_with_scapy(content: bytes) -> Rows | str:
    """Scapy's reading, less what the reader leaves out (a last record cut short) or refuses."""
    try:
        reader = RawPcapReader.__new__(RawPcapReader)
        reader.__init__("it", io.BytesIO(content[4:]), content[:4])  # type: ignore[misc]
    except Scapy_Exception:
        return REFUSED
    if reader.linktype & 0x03FF_FFFF not in list(Link):
        return REFUSED
    link, rows = Link(reader.linktype & 0x03FF_FFFF), []
    for packet, meta in _records(reader):
        if meta.caplen > MAX_CAPTURED_BYTES:
            return REFUSED
        if len(packet) == meta.caplen:
            ts_ns = meta.sec * 1_000_000_000 + meta.usec * (1 if reader.nano else 1000)
            row = {"ts_ns": ts_ns, "captured_bytes": meta.caplen, "original_bytes": meta.wirelen}
            row |= expected_row(link, packet)
            rows.append(tuple(int(row[name]) for name in PACKET_DTYPE.names or ()))
    return rows


def _records(reader: RawPcapReader) -> Iterator[tuple[bytes, "RawPcapReader.PacketMetadata"]]:
    try:
        while True:
            yield reader._read_packet(MAX_CAPTURED_BYTES)
    except EOFError:
        return


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_scapy_and_the_reader_say_the_same_of_random_packets_and_of_their_mutations() -> None:
    logging.getLogger("scapy.runtime").setLevel(logging.CRITICAL)
    dice, seen = random.Random(20261124), Counter[str]()
    while seen["packets"] < PACKETS:
        link = dice.choice([Link.ETHERNET, Link.ETHERNET, *Link])
        packets = [random_packet(dice, link) for _ in range(PACKETS_A_FILE)]
        mutants = [mutate(dice, packet) for packet in packets]
        order, unit, snaplen = dice.choice("<>"), dice.choice((1, 1000)), dice.choice((262_144, 256, 96, 60))
        files = [
            write_capture(batch, link, order=order, ns_per_unit=unit, snaplen=snaplen)
            for batch in (packets, mutants)
        ]
        files += [mutate(dice, dice.choice(files)) for _ in range(MUTANTS_A_FILE)]
        seen["mutated packets"] += len(mutants)
        seen["mutated files"] += MUTANTS_A_FILE
        for content in files:
            by_scapy = read_with_scapy(content)
            assert read_with_bench(content, dice.choice((100, 5_000, 1 << 20))) == by_scapy
            if isinstance(by_scapy, str):
                seen["refused files"] += 1
            else:
                seen["packets"] += len(by_scapy)
                seen.update(Kind(row[3]).name for row in by_scapy)
    print(dict(seen))

    assert all(seen[kind.name] for kind in Kind)
    assert seen["refused files"]
    assert seen["TCP"] > seen["packets"] / 4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("link", Link)
def test_a_packet_that_is_cut_at_any_byte_is_the_same_to_both(link: Link) -> None:
    logging.getLogger("scapy.runtime").setLevel(logging.CRITICAL)
    dice = random.Random(link.value)
    for _ in range(8):
        packet = random_packet(dice, link)
        content = write_capture([packet[:captured] for captured in range(min(len(packet), 112))], link)

        assert read_with_bench(content, 1 << 20) == read_with_scapy(content)


TAGS_OF_TSHARK = ("vlan.id", "ieee8021ad.id", "ieee8021ad.svid", "ieee8021ad.cvid")
OF_TSHARK = (
    *("frame.time_epoch", "frame.cap_len", "frame.len", *TAGS_OF_TSHARK),
    *(
        "ip.src",
        "ipv6.src",
        "ip.dst",
        "ipv6.dst",
        "ip.ttl",
        "ipv6.hlim",
        "ip.id",
        "tcp.srcport",
        "tcp.dstport",
    ),
    *("tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.window_size_value", "tcp.len"),
)


def read_with_tshark(file: Path) -> list[dict[str, str]]:
    """Each packet's fields: of one that stands there again, in what the packet carries, the first."""
    fields = [word for field in OF_TSHARK for word in ("-e", field)]
    whole = ["-o", "ip.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE"]
    argv = ["tshark", "-n", "-r", str(file), *whole, "-T", "fields", "-E", "separator=;", *fields]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    return [dict(zip(OF_TSHARK, line.split(";"), strict=True)) for line in lines]


@pytest.mark.skipif(not shutil.which("tshark"), reason="no tshark here: apt-get install tshark")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@pytest.mark.parametrize("link", Link)
def test_tshark_reads_every_tcp_packet_as_the_reader_does(link: Link, tmp_path: Path) -> None:
    """Dissectors that nobody of ours and nobody of scapy's wrote."""
    dice = random.Random(link.value)
    packets = [random_packet(dice, link) for _ in range(PACKETS // 3)]
    file = tmp_path / "it.pcap"
    file.write_bytes(write_capture(packets, link))
    rows = read_with_bench(file.read_bytes(), 1 << 20)
    by_tshark = read_with_tshark(file)
    assert isinstance(rows, list)
    assert len(rows) == len(by_tshark)

    compared = 0
    for values, found in zip(rows, by_tshark, strict=True):
        row = dict(zip(PACKET_DTYPE.names or (), values, strict=True))
        if row["kind"] != Kind.TCP:
            continue
        said = {name: text.partition(",")[0] for name, text in found.items()}
        tags = [int(tag) for name in TAGS_OF_TSHARK for tag in found[name].split(",") if tag]
        seconds, _, ns = said["frame.time_epoch"].partition(".")
        four = row["version"] == 4
        mapped = "::ffff:" if four else ""
        expected = {
            "ts_ns": int(seconds) * 1_000_000_000 + int(ns),
            "captured_bytes": int(said["frame.cap_len"]),
            "original_bytes": int(said["frame.len"]),
            "ttl": int(said["ip.ttl" if four else "ipv6.hlim"]),
            "identification": int(said["ip.id"], 16) if four else 0,
            "source_port": int(said["tcp.srcport"]),
            "destination_port": int(said["tcp.dstport"]),
            "seq": int(said["tcp.seq_raw"]),
            "ack": int(said["tcp.ack_raw"]),
            "flags": int(said["tcp.flags"], 16) & 0xFF,
            "window": int(said["tcp.window_size_value"]),
            "payload_bytes": int(said["tcp.len"]),
        }
        for side, field in (("source", "src"), ("destination", "dst")):
            address = int(ip_address(mapped + said[f"{'ip' if four else 'ipv6'}.{field}"]))
            expected |= {f"{side}_high": address >> 64, f"{side}_low": address & (1 << 64) - 1}
        assert {name: row[name] for name in expected} == expected
        assert sorted(tag for tag in (row["vlan"], row["inner_vlan"]) if tag >= 0) == sorted(tags)
        compared += 1
    assert compared > len(packets) / 4
