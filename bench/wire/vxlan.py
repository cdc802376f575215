"""Packets inside of packets: what an overlay network's VXLAN carries, as if it had been captured by itself.

Of Ethernet over IPv4 without VLAN tags, as an engine's own VXLAN is (RFC 7348, 5). Time stamps stay: the
inner packet passed when the outer one did.
"""

from dataclasses import replace

import numpy as np

from bench.scenario.modes.addresses import VXLAN_PORT
from bench.wire.packets import IPV4, MORE_OR_OFFSET
from bench.wire.pcap import Link, Records, headers_at

UDP = 17
HAS_NETWORK = 0x08
"""VXLAN's flag I: the network's number is valid."""
_OUTER = np.dtype(
    {
        "names": ["ethertype", "version_length", "fragment", "protocol"],
        "formats": [">u2", "u1", ">u2", "u1"],
        "offsets": [12, 14, 20, 23],
        "itemsize": 34,
    }
)
"""Of Ethernet's and IPv4's headers."""
_TUNNEL = np.dtype({"names": ["port", "flags"], "formats": [">u2", "u1"], "offsets": [2, 8], "itemsize": 16})
"""Of UDP's header and VXLAN's, eight bytes each."""
ETHERNET_BYTES = 14


def see_through(records: Records) -> Records:
    """The records, each that carries a packet by VXLAN replaced by what it carries.

    One whose headers were not captured whole stays as it is.
    """
    if records.link is not Link.ETHERNET:
        return records
    outer = headers_at(records.data, _OUTER, records.starts)
    tunnels = ETHERNET_BYTES + (outer["version_length"] & 15).astype(np.int64) * 4
    tunnel = headers_at(records.data, _TUNNEL, records.starts + tunnels)
    carries = (
        (outer["ethertype"] == IPV4)
        & (outer["protocol"] == UDP)
        & (outer["fragment"] & MORE_OR_OFFSET == 0)
        & (tunnel["port"] == VXLAN_PORT)
        & (tunnel["flags"] & HAS_NETWORK != 0)
    )
    around = tunnels + _TUNNEL.itemsize
    around[~carries | (around > records.captured_bytes)] = 0
    return replace(
        records,
        starts=records.starts + around,
        captured_bytes=(records.captured_bytes - around).astype(np.uint32),
        original_bytes=(records.original_bytes - around).astype(np.uint32),
    )
