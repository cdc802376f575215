"""What is set of a host's links, and put back: MTU, offloads, queueing discipline, ICMP errors."""

import json
from contextlib import suppress
from typing import Any

from bench.errors import EnvironmentLacks
from bench.lab.hosts.command import CommandFailed
from bench.lab.hosts.host import Host, network_of
from bench.scenario.links import OFFLOADS, parse_offloads, parse_queue

USUAL_MTU = 1_500
"""Of a link that is new: a veth's and a bridge's (the kernel's ETH_DATA_LEN)."""
LONG_NAMES = {
    "gro": "generic-receive-offload",
    "gso": "generic-segmentation-offload",
    "tso": "tcp-segmentation-offload",
    "rx": "rx-checksumming",
    "tx": "tx-checksumming",
}
"""As `ethtool -k` tells the features that `ethtool -K` is told by their short names."""
TOO_BIG = {
    "iptables": ("-p", "icmp", "--icmp-type", "fragmentation-needed"),
    "ip6tables": ("-p", "ipv6-icmp", "--icmpv6-type", "packet-too-big"),
}
"""Which packets tell a sender of a path's MTU: RFC 1191 (type 3, code 4), RFC 8201 (type 2)."""


def list_links(host: Host, pid: int = 1) -> list[dict[str, Any]]:
    """Links as `ip -j -d link` has them, in the network of the process `pid` (1: the host's own)."""
    found: list[dict[str, Any]] = json.loads(host.run([*_enter(pid), "ip", "-j", "-d", "link"]))
    return found


def find_veth(host: Host, pid: int) -> tuple[str, str] | None:
    """The link of the container's process `pid`: the host's end and its own; None where it has no veth."""
    if host.namespace(pid) == network_of(host):
        return None
    of_host = {link["ifindex"]: link["ifname"] for link in list_links(host)}
    for link in list_links(host, pid):
        if link.get("linkinfo", {}).get("info_kind") == "veth" and link.get("link_index") in of_host:
            return of_host[link["link_index"]], link["ifname"]
    return None


def set_mtu(host: Host, link: str, mtu: int, pid: int = 1) -> None:
    """`mtu` in bytes; 0: that of a new link."""
    host.run([*_enter(pid), "ip", "link", "set", link, "mtu", str(mtu or USUAL_MTU)])


def set_offloads_off(host: Host, link: str, text: str, pid: int = 1) -> None:
    """Have the offloads of `text` off (see `parse_offloads`), and all others as they were at first.

    Raises EnvironmentLacks where the link keeps one on.
    """
    wanted = {short for word in parse_offloads(text) for short in OFFLOADS[word]}
    levels = {short: "off" if short in wanted else was for short, was in _remember(host, link, pid).items()}
    now = read_offloads(host, link, pid)
    changed = [word for short, level in levels.items() if level != now[short] for word in (short, level)]
    if not changed:
        return
    with suppress(CommandFailed):  # What counts is what it then has: ethtool fails of one of several, too.
        host.run([*_enter(pid), "ethtool", "-K", link, *changed])
    found = read_offloads(host, link, pid)
    if kept := [short for short in wanted if found[short] != "off"]:
        raise EnvironmentLacks(
            f"Turning off {', '.join(sorted(wanted))} of {link} on {host.name}",
            f"{', '.join(kept)} stays on",
            "Leave it out of the scenario: this kernel does not let that be changed.",
        )


def set_queue(host: Host, link: str, text: str, pid: int = 1) -> None:
    """Give the link the queueing discipline `text` (see `parse_queue`); empty: the kernel's own.

    Raises EnvironmentLacks where this kernel has it not.
    """
    queue = [*_enter(pid), "tc", "qdisc"]
    if not text:
        with suppress(CommandFailed):  # Where there is none of one's own, there is nothing to delete.
            host.run([*queue, "delete", "dev", link, "root"])
        return
    try:
        host.run([*queue, "replace", "dev", link, "root", *parse_queue(text)])
    except CommandFailed as fault:
        raise EnvironmentLacks(
            f"Giving {link} of {host.name} the queueing discipline {text}",
            fault.seen,
            "Name one that this kernel has (`modprobe sch_...`), with options that tc(8) knows.",
        ) from fault


def set_too_big_icmp(host: Host, on: bool) -> None:
    """Let `host` tell senders that a packet was too big for its next link, or drop what would tell them."""
    for tables, match in TOO_BIG.items():
        if tables == "ip6tables" and not any(":" in address for address in host.addresses):
            continue
        rule = ["OUTPUT", *match, "-j", "DROP"]
        if not on:
            host.run([tables, "-w", "-I", *rule])
            continue
        with suppress(CommandFailed):  # There is none.
            host.run([tables, "-w", "-D", *rule])


def read_offloads(host: Host, link: str, pid: int = 1) -> dict[str, str]:
    """Short name -> `on` or `off`; without those that the link has not."""
    lines = host.run([*_enter(pid), "ethtool", "-k", link]).splitlines()
    told = dict(line.strip().split(": ", 1) for line in lines if ": " in line)
    return {short: told[long].split()[0] for short, long in LONG_NAMES.items() if long in told}


def _enter(pid: int) -> list[str]:
    return ["nsenter", "-t", str(pid), "--net"] if pid != 1 else []


def _remember(host: Host, link: str, pid: int) -> dict[str, str]:
    """What the link's offloads were at first: of the host's own links, before one was first changed."""
    if pid != 1:
        return read_offloads(host, link, pid)  # It is as old as its container, and set once.
    path = f"{host.scratch}/offloads-{link}.json"
    if not host.has(path):
        host.put(path, [json.dumps(read_offloads(host, link, pid)).encode()])
    found: dict[str, str] = json.loads("".join(host.read(path).values()))
    return found
