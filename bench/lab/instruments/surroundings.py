"""What a server finds around it, seen from inside: link, offloads, sysctls, limits, configuration.

Arms may differ in nothing but the network, so this is read in every slot and compared between arms.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.lab.hosts.host import Host, network_of, read_one
from bench.procfs import parse_limits
from bench.slots.surroundings import ACCEPT_QUEUE, SERVING_LINK, Facts

CGROUPS = Path("/sys/fs/cgroup")
LIMITS = ("cpu.max", "cpu.weight", "memory.max", "memory.high", "pids.max", "cpuset.cpus.effective")
LIMITS_V1 = (
    "cpu.cfs_quota_us",
    "cpu.shares",
    "memory.limit_in_bytes",
    "pids.max",
    "cpuset.effective_cpus",
)
PROCESS_FACTS = ("Cpus_allowed_list", "CapEff", "Seccomp", "NoNewPrivs", "Uid")
COUNTERS = {"net.netfilter.nf_conntrack_count"}
"""Read-only sysctls that count, and so differ from moment to moment."""
SEPARATOR = "=== bench\n"
IN_NETWORK = f"""
ip -j -d address; printf '{SEPARATOR}'
ethtool -k "$0" 2>/dev/null || true; printf '{SEPARATOR}'
grep -rs . /proc/sys/net || true; printf '{SEPARATOR}'
ss -Hltn "sport = :$1" 2>/dev/null || true
"""
CONTAINER_LINK = "eth0"
"""As Docker calls a container's own."""


def describe_cores(host: Host, pid: int) -> str:
    """The cores that the process `pid` of `host` may run on, as a kernel cpu list."""
    return dict(_process_facts(read_one(host, f"/proc/{pid}/status")))["process Cpus_allowed_list"]


def read_surroundings(host: Host, pid: int, port: int, files: Mapping[str, str]) -> Facts:
    """Facts by name around the process `pid` of `host`, in its own network namespace.

    `port`: at which it listens there. `files`: of its configuration, as it sees them, by what they are
    called.
    """
    process = f"/proc/{pid}"
    link = host.uplink if host.namespace(pid) == network_of(host) else CONTAINER_LINK
    text = host.run(["nsenter", "-t", str(pid), "--net", "sh", "-c", IN_NETWORK, link, f"{port}"])
    links, offloads, sysctls, listening = text.split(SEPARATOR)
    return {
        **{name: _digest_tree(host, f"{process}/root{path}") for name, path in files.items()},
        **dict(_process_facts(read_one(host, f"{process}/status"))),
        **{
            f"process limit, {name}": value
            for name, value in parse_limits(read_one(host, f"{process}/limits"))
        },
        **dict(_limits(host, read_one(host, f"{process}/cgroup"))),
        **dict(_link_facts(links, link)),
        **dict(_offloads(offloads)),
        **dict(_sysctls(sysctls, link)),
        **dict(_accept_queue(listening)),
    }


def _digest_tree(host: Host, path: str) -> str:
    """Of the file or of all files of the folder `path`, by their names in it; `absent` without one."""
    found = host.read(path) or host.read(f"{path}/**")
    if not found:
        return "absent"
    whole = json.dumps({name.removeprefix(path): text for name, text in found.items()}, sort_keys=True)
    return hashlib.sha256((found.get(path, whole)).encode()).hexdigest()


def _process_facts(status: str) -> Iterator[tuple[str, str]]:
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name in PROCESS_FACTS:
            yield f"process {name}", value.strip()


def _limits(host: Host, groups: str) -> Iterator[tuple[str, str]]:
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        for name in LIMITS_V1 if controllers else LIMITS:
            # Version 1 has a hierarchy a controller, each under its own name; version 2 has one.
            for value in host.read(str(CGROUPS / controllers / path.lstrip("/") / name)).values():
                yield f"limit {name}", value.strip()


def _link_facts(links: str, serving: str) -> Iterator[tuple[str, str]]:
    for link in json.loads(links):
        if link["ifname"] == serving:
            yield "link kind", str(link.get("linkinfo", {}).get("info_kind", "none"))
            for name in ("mtu", "qdisc", "txqlen", "gso_max_size", "gro_max_size"):
                yield f"link {name}", str(link.get(name))


def _offloads(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines()[1:]:
        name, _, value = line.strip().partition(": ")
        yield f"offload {name}", value.removesuffix(" [fixed]")


def _accept_queue(listening: str) -> Iterator[tuple[str, str]]:
    """By the third column that ss prints of a listening socket (Send-Q)."""
    lengths = sorted({int(line.split()[2]) for line in listening.splitlines()})
    if lengths:
        yield ACCEPT_QUEUE, ", ".join(map(str, lengths))


def _sysctls(text: str, serving: str) -> Iterator[tuple[str, str]]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        path, _, value = line.removeprefix("/proc/sys/").partition(":")
        parts = path.split("/")
        if parts[2:3] in (["conf"], ["neigh"]) and parts[3] not in ("all", "default", serving):
            continue  # Of a link that does not serve.
        if ".".join(parts) in COUNTERS:
            continue
        name = ".".join(SERVING_LINK if part == serving else part for part in parts)
        found[name] = f"{found[name]} {value}" if name in found else value
    yield from found.items()
