"""Path attestation: what a slot's counters must show for its load to have taken the declared path.

Counters are read on the Docker host before and after the load. A mode names those that its
traffic moves; every other one must stay still, so that a path that is not the declared one is
caught from both sides.
"""

from collections.abc import Mapping
from enum import StrEnum


class Counter(StrEnum):
    """What is counted on the Docker host over a slot's load."""

    DNAT = "dnat_connections"
    """Hits of the nat table's port mappings, IPv4 and IPv6: the first packet of a connection only."""
    FILTER = "filter_accepts"
    """Packets that a rule of the filter table's forwarding chains accepted."""
    FORWARDED = "forwarded_packets"
    """Packets that the host's IP layer forwarded (SNMP ipForwDatagrams, ip6OutForwDatagrams)."""
    BRIDGE = "bridge_packets"
    """Received and sent by Docker's bridges."""
    VETH = "veth_packets"
    """Received and sent by the host's ends of the containers' links."""
    VXLAN = "vxlan_packets"
    """Received and sent by the VXLAN links of overlay networks: put on, or taken off."""
    UPLINK = "uplink_packets"
    """Received and sent by the host's link to the switch."""
    LOOPBACK = "loopback_packets"
    """Received and sent by the host's own loopback link: each packet on it counts twice."""
    ACCEPTED = "accepted_connections"
    """TCP connections accepted in the host's own namespace (SNMP tcpPassiveOpens)."""
    OPENED = "opened_connections"
    """TCP connections opened from the host's own namespace (SNMP tcpActiveOpens)."""
    SERVED = "served_connections"
    """TCP connections accepted in the namespace that the arm's Apache lives in."""
    PROXY_CPU = "proxy_cpu_ns"
    """Time that docker-proxy processes ran."""
    ROOTLESSKIT_CPU = "rootlesskit_cpu_ns"
    """Of a rootless engine, as all below: time that RootlessKit ran, whose builtin port driver copies."""
    USER_STACK_CPU = "user_stack_cpu_ns"
    """Time that the network stack in user space ran, slirp4netns or pasta."""
    TAP = "tap_packets"
    """Received and sent by the tap device between that stack and RootlessKit's namespace."""
    ROOTLESS_DNAT = "rootless_dnat_connections"
    """Hits of port mappings in RootlessKit's namespace."""
    ROOTLESS_BRIDGE = "rootless_bridge_packets"
    """Received and sent by Docker's bridges in RootlessKit's namespace."""
    CONNTRACK = "conntrack_entries"
    """Connections that the host tracks; old ones expire meanwhile, so it is kept but never judged."""


class Expected(StrEnum):
    """How much of a counter a load must move."""

    EACH_CONNECTION = "exactly one a connection"
    TWICE_A_CONNECTION = "exactly two a connection"
    EACH_REQUEST = "at least two a request"
    SOME = "more than none"
    ANY = "any number"
    """Not judged: what a kernel does or does not, as it was built."""


Path = Mapping[Counter, Expected]
"""The counters that a path moves. Those that are absent must stay still."""

STILL_SHARE = 0.01
"""Packets a request below which a packet counter is still: a bridge sends a multicast report now and then."""

STILL_PROXY_NS = 1_000
"""CPU a request below which a process that copies is still. A request through docker-proxy takes 60,000; its
runtime's own clockwork was seen to take 97,000 in a minute without one."""

CPU_OF: Mapping[Counter, tuple[str, ...]] = {
    Counter.PROXY_CPU: ("docker-proxy",),
    Counter.ROOTLESSKIT_CPU: ("rootlesskit",),
    Counter.USER_STACK_CPU: ("slirp4netns", "pasta", "pasta.avx2"),
}
"""Counters of time -> the programs that ran, by the names that the kernel has of them (comm)."""

OF_ROOTLESS = (
    Counter.ROOTLESSKIT_CPU,
    Counter.USER_STACK_CPU,
    Counter.TAP,
    Counter.ROOTLESS_DNAT,
    Counter.ROOTLESS_BRIDGE,
)
"""Counters that only the host of a rootless engine has."""

EXACT = {Counter.DNAT, Counter.ACCEPTED, Counter.OPENED, Counter.SERVED, Counter.ROOTLESS_DNAT}
"""Counters that stay at nothing on a path that does not move them."""

UNITS = {
    Counter.DNAT: "port-mapping hits",
    Counter.FILTER: "packets accepted by forwarding rules",
    Counter.FORWARDED: "packets forwarded",
    Counter.BRIDGE: "packets on Docker's bridges",
    Counter.VETH: "packets on containers' links",
    Counter.VXLAN: "packets on VXLAN links",
    Counter.UPLINK: "packets on the uplink",
    Counter.LOOPBACK: "packets on the host's loopback",
    Counter.ACCEPTED: "connections accepted by the host itself",
    Counter.OPENED: "connections opened by the host itself",
    Counter.SERVED: "connections accepted where the server lives",
    Counter.PROXY_CPU: "ns of docker-proxy",
    Counter.ROOTLESSKIT_CPU: "ns of RootlessKit",
    Counter.USER_STACK_CPU: "ns of the network stack in user space",
    Counter.TAP: "packets on the tap device",
    Counter.ROOTLESS_DNAT: "port-mapping hits in RootlessKit's namespace",
    Counter.ROOTLESS_BRIDGE: "packets on Docker's bridges in RootlessKit's namespace",
}
