"""The lab's addresses, every one of them. None is anybody's: RFC 2544 (appendix C.2.2) and RFC 5180
(with its erratum 1752) reserve both ranges for benchmarking, so that no packet
of a lab can be meant for a network that is there.
"""

from ipaddress import IPv4Network, IPv6Network

BENCHMARK_RANGES = (IPv4Network("198.18.0.0/15"), IPv6Network("2001:2::/48"))
"""All else on this page lies inside them."""

LAN, LAN_IPV6 = "198.18.0.0/24", "2001:2::/64"
"""The lab's wire."""
CLIENT, CLIENT_IPV6 = "198.18.0.10/24", "2001:2::10/64"
"""The client host's, on the wire."""
DEAD_UPSTREAM, REFUSING_UPSTREAM = "198.18.0.53", "198.18.0.54"
"""Two more of the client host's where names are looked up: servers that answer nothing, and REFUSED."""
LAN_CONTAINER = "198.18.0.50"
"""Of a container that stands on the lab's wire itself."""
ADDRESSES = ("198.18.0.100", "198.18.0.200")
"""The two addresses of the article's docker1; further Docker hosts have two of their own."""
MAX_DOCKER_HOSTS = 50
"""Addresses .100 to .149 and .200 to .249 of the lab's wire."""

DOCKER0, DOCKER0_IPV6 = "198.19.0.0/24", "2001:2:0:1::/64"
"""Subnet of each engine's default bridge."""
DOCKER0_HOST = "198.19.0.1"
"""The Docker host's own end of it."""
BRIDGE_ADDRESS = f"{DOCKER0_HOST}/24"
"""Of docker0 (`--bip`)."""
USER_NETWORK = "198.19.1.0/24"
"""Of the user-defined bridge network that an arm may have."""
WIRED_NETWORK = "198.19.2.0/30"
"""Of a veth pair that is wired by hand, with both of its ends:"""
WIRED_HOST, WIRED_CONTAINER = "198.19.2.1", "198.19.2.2"
ROOTLESS_NETWORK = "198.19.3.0/24"
"""Between RootlessKit's namespace and the program that is its network stack (`--cidr`)."""
OVERLAY_NETWORK = "198.19.4.0/24"
"""Of the overlay network that an arm may have."""
SWARM_POOL, SWARM_POOL_BITS = "198.19.64.0/18", 24
"""Of what a swarm makes by itself, its ingress network (`--default-addr-pool`; Docker's is 10.0.0.0/8)."""
VXLAN_PORT = 4789
"""UDP port of overlay networks (RFC 7348, 5), which Docker uses unless a swarm is told another."""
ADDRESS_POOL = "base=198.19.128.0/17,size=24"
"""Of networks that a user defines without a subnet (`--default-address-pool`)."""


def bystander_network(number: int) -> str:
    """Subnet of the user-defined network `number`, counted from 0, that bystanders are in."""
    return f"198.19.{100 + number}.0/24"


def docker_host_addresses(number: int) -> tuple[str, str]:
    """Both IPv4 addresses on the wire of Docker host `number`, counted from 0, without prefix length."""
    return f"198.18.0.{100 + number}", f"198.18.0.{200 + number}"


def docker_host_ipv6(number: int) -> str:
    """IPv6 address on the wire of Docker host `number`, counted from 0, without prefix length."""
    return f"2001:2::1:{number + 1}"
