"""Sampled packets, decoded by scapy: a few hundred a tap, to be looked at one by one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.core.errors import InputError
from bench.core.trace import Packet


def decode(sample: Path) -> list[Packet]:
    """The TCP packets of a pcap file, in its order. Raises InputError for what is no pcap file."""
    # Half a second, which only a report of captures pays.
    from scapy.error import Scapy_Exception
    from scapy.utils import PcapReader

    try:
        with PcapReader(str(sample)) as packets:
            return list(_read(packets))
    except (Scapy_Exception, OSError, EOFError) as fault:
        raise InputError(
            f"Decoding {sample}", str(fault), "Remove the file: without it there is no sample of this tap."
        ) from fault


def _read(packets: Iterator[Any]) -> Iterator[Packet]:
    from scapy.layers.inet import IP, TCP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether

    for packet in packets:
        if TCP not in packet:
            continue
        ip, tcp = packet[IPv6] if IPv6 in packet else packet[IP], packet[TCP]
        bracketed = "[{}]:{}" if IPv6 in packet else "{}:{}"
        ether = packet.getlayer(Ether)
        yield Packet(
            source_mac=ether.src if ether else "",
            destination_mac=ether.dst if ether else "",
            source=bracketed.format(ip.src, tcp.sport),
            destination=bracketed.format(ip.dst, tcp.dport),
            ttl=ip.hlim if IPv6 in packet else ip.ttl,
            seq=tcp.seq,
            ack=tcp.ack,
            payload=bytes(tcp.payload),
        )
