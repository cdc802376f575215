"""The firewall rules of a Docker host beside its addresses and routes: what its packets can meet."""

import json

from bench.lab.hosts.command import CommandFailed
from bench.lab.hosts.host import Host
from bench.lab.instruments.counters import LEGACY
from bench.slots.rules import Firewall

SEPARATOR = "=== bench\n"
READ = f"""
ip -j -4 address; printf '{SEPARATOR}'; ip -j -4 route; printf '{SEPARATOR}'; iptables-save
"""


def read_firewall(host: Host) -> Firewall | None:
    """Of IPv4, as it is now; None where it cannot be read. Makes no table that is not there."""
    try:
        addresses, routes, saved = host.run(["sh", "-c", READ]).split(SEPARATOR)
        if LEGACY in saved:
            saved += host.run(["iptables-legacy-save"])
    except CommandFailed:
        return None
    return Firewall(
        saved,
        [at["local"] for link in json.loads(addresses) for at in link["addr_info"]],
        [
            (route["dst"].replace("default", "0.0.0.0/0"), route.get("dev", ""))
            for route in json.loads(routes)
        ],
    )
