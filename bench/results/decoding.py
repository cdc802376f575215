"""Sampled packets, decoded by scapy: a few hundred a tap, to be looked at one by one."""

from pathlib import Path

from bench.errors import InputError
from bench.wire.trace import Packet


def decode(sample: Path) -> list[Packet]:
    """The TCP packets of a pcap file, in its order; of VXLAN, those that it carries.

    Raises InputError for what is no pcap file.
    """
    # A fifth of a second, which only a report of captures pays. The layers come before the reader: it
    # knows the link types that they have registered.
    from scapy.error import Scapy_Exception
    from scapy.layers.inet import IP, TCP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether
    from scapy.layers.vxlan import VXLAN
    from scapy.utils import PcapReader

    packets = []
    try:
        with PcapReader(str(sample)) as reader:
            for captured in reader:
                packet = captured[VXLAN].payload if VXLAN in captured else captured
                if TCP not in packet:
                    continue
                ether, ipv6, tcp = packet.getlayer(Ether), packet.getlayer(IPv6), packet[TCP]
                ip = ipv6 or packet[IP]
                name = "[{}]:{}" if ipv6 else "{}:{}"
                packets.append(
                    Packet(
                        source_mac=ether.src if ether else "",
                        destination_mac=ether.dst if ether else "",
                        source=name.format(ip.src, tcp.sport),
                        destination=name.format(ip.dst, tcp.dport),
                        ttl=ipv6.hlim if ipv6 else ip.ttl,
                        seq=tcp.seq,
                        ack=tcp.ack,
                        payload=bytes(tcp.payload),
                    )
                )
    except (Scapy_Exception, OSError, EOFError) as fault:
        raise InputError(
            f"Decoding {sample}", str(fault), "Remove the file: without it there is no sample of this tap."
        ) from fault
    return packets
