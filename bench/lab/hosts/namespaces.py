"""The lab: hosts in namespaces of their own on one machine, joined by a switch, with no way out.

A host is one process tree: `unshare` gives it network, mount, process, IPC and host-name
namespaces, and its init dies with the controller, taking the whole host along. No interface is
ever made in the machine's own network namespace, so nothing there needs undoing.

    client (eth0) --veth-- (p-client) switch (p-docker1) --veth-- (eth0) docker1
"""

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command
from bench.lab.hosts.host import Host
from bench.lab.hosts.journal import Journal
from bench.scenario.modes.catalogue import UPLINK
from bench.scenario.placement import DockerHost

BENCHMARK_RANGES = (IPv4Network("198.18.0.0/15"), IPv6Network("2001:2::/48"))
"""RFC 2544, appendix C.2.2, and RFC 5180 (erratum 1752): reserved for benchmarking; no other address
is ever used."""
SWITCH = "sw0"
READY_S = 10.0
FIRST_PORT, LAST_PORT = 1024, 65535
"""The client's ephemeral ports: all that are nobody's. One address is enough: the server closes first and
keeps the TIME_WAIT, so a port is free at once; and more addresses would fill a Docker host's table of
tracked connections, which holds each for two minutes after its end and is smaller than a day's tuples.
"""
DATA_BYTES = 2 * 2**30
"""Room for an engine's data: about 0.2 GB are used by one image, the rest is never touched."""


@dataclass(frozen=True)
class HostPlan:
    """A host before it exists. `addresses` carry their prefix length; `cpus` is a kernel cpu list."""

    name: str
    addresses: tuple[str, ...]
    cpus: str


def hosts_of_lab(
    client_cpus: str, docker_cpus: str, docker_hosts: Sequence[DockerHost], *, ipv6: bool
) -> tuple[HostPlan, ...]:
    """The client and the Docker hosts, with the article's addresses; IPv6 where an arm needs it."""
    client = ("198.18.0.10/24", *(["2001:2::10/64"] if ipv6 else []))
    return (
        HostPlan("client", client, client_cpus),
        *(
            HostPlan(
                host.name,
                (
                    *(f"{address}/24" for address in host.addresses),
                    *([f"{host.address_ipv6}/64"] if ipv6 else []),
                ),
                docker_cpus,
            )
            for host in docker_hosts
        ),
    )


@dataclass(frozen=True)
class Lab:
    """The living lab."""

    client: Host
    docker: Mapping[str, Host]
    """Docker hosts by name: docker1, docker2, ..."""
    switch: Host

    @property
    def hosts(self) -> tuple[Host, ...]:
        """All of them, the switch included."""
        return self.client, *self.docker.values(), self.switch


def port_of(host: str) -> str:
    """Name of the switch's end of the link to `host`."""
    return f"p-{host}"


def wiring(plans: Sequence[HostPlan]) -> list[tuple[str, list[str]]]:
    """(host, argv) of every command that joins the hosts: the same list that `bench plan` prints."""
    steps = [("switch", ["ip", "link", "add", SWITCH, "type", "bridge"])]
    for plan in plans:
        port = port_of(plan.name)
        # fmt: off
        steps.append(("switch", ["ip", "link", "add", port, "type", "veth",
                                 "peer", "name", UPLINK, "netns", "{" + plan.name + "}"]))
        # fmt: on
        steps.append(("switch", ["ip", "link", "set", port, "master", SWITCH, "up"]))
        for address in plan.addresses:
            # Nobody else can have it: an IPv6 address need not wait a second for that to be found out.
            nodad = ["nodad"] if ":" in address else []
            steps.append((plan.name, ["ip", "address", "add", address, "dev", UPLINK, *nodad]))
        steps.append((plan.name, ["ip", "link", "set", UPLINK, "up"]))
    steps.append(("switch", ["ip", "link", "set", SWITCH, "up"]))
    return steps


@contextmanager
def lab(plans: Sequence[HostPlan], journal: Journal) -> Iterator[Lab]:
    """Start the hosts, join them, prove that the lab is sealed; end them all on the way out."""
    with ExitStack() as hosts:
        living = {
            plan.name: hosts.enter_context(_host(plan, journal))
            for plan in (*plans, HostPlan("switch", (), plans[0].cpus))
        }
        for name, argv in wiring(plans):
            living[name].run_in_network(
                [part.format(**{n: h.init_pid for n, h in living.items()}) for part in argv]
            )
        docker = {name: host for name, host in living.items() if name.startswith("docker")}
        found = Lab(living["client"], docker, living["switch"])
        # A switch forwards frames; it must not show them to a firewall as br_netfilter would.
        _write_if_there(found.switch, "/proc/sys/net/bridge/bridge-nf-call-iptables", "0")
        verify_sealed(found)
        yield found


@contextmanager
def _host(plan: HostPlan, journal: Journal) -> Iterator[Host]:
    folder = journal.folder / plan.name
    (folder / "data").mkdir(parents=True)
    # An engine's data lies in memory: on a disk, writing back the image of 170 MB went on beside the
    # first ten seconds of slots and moved their p50 by a fifth.
    # A /run of its own hides the machine's containerd and docker sockets and the xtables lock. The
    # sysfs is mounted while it still may be written: a container in host mode mounts it read-only.
    script = (
        "set -e; mount -t tmpfs -o mode=755 tmpfs /run; mkdir /run/sysfs /run/lock;"
        f" mount -t tmpfs -o mode=711,size={DATA_BYTES} tmpfs {folder}/data;"
        " mount -t sysfs sysfs /run/sysfs;"
        # Docker 28 looks in /sys for a container's link, and waits for 20 ms where it does not find it.
        " mkdir /run/cgroup; mount --rbind /sys/fs/cgroup /run/cgroup; mount -t sysfs sysfs /sys;"
        " mount --rbind /run/cgroup /sys/fs/cgroup; umount -l /run/cgroup; ip link set lo up;"
        f" echo {plan.name} > /proc/sys/kernel/hostname; touch {folder}/ready; exec sleep infinity"
    )
    namespaces = ("--net", "--mount", "--pid", "--ipc", "--uts")
    outer = command.start(
        [
            "unshare",
            *namespaces,
            "--fork",
            "--kill-child",
            "--mount-proc",
            "tini",
            "-s",
            "--",
            "sh",
            "-c",
            script,
        ],
        log=folder / "init.log",
    )
    try:
        journal.write_process(outer.pid, f"host {plan.name}")
        init_pid = _wait_for_init(outer, folder)
        journal.write_process(init_pid, f"init of host {plan.name}")
        try:
            yield Host(plan.name, plan.addresses, plan.cpus, init_pid, folder)
        finally:
            # The end of a pid namespace's init is the end of all that is in it; unshare reaps it.
            os.kill(init_pid, signal.SIGKILL)
            outer.wait(READY_S)
    finally:
        _end(outer)


def _end(outer: command.Process) -> None:
    """End what is left of a host, one included that was interrupted before its init was known."""
    try:
        for child in _children(outer):
            os.kill(child, signal.SIGKILL)
            # unshare ends when it has reaped it, and only then its namespaces are gone.
            command.has_ended(outer, READY_S)
    finally:
        outer.kill()
        outer.wait()


def _children(outer: command.Process) -> list[int]:
    path = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    try:
        return [int(pid) for pid in path.read_text().split()]
    except OSError:
        return []  # It has ended.


def _wait_for_init(outer: command.Process, folder: Path) -> int:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and outer.poll() is None:
        if (folder / "ready").exists():
            return _children(outer)[0]
        time.sleep(0.005)
    raise EnvironmentLacks(
        f"Starting the lab's host {folder.name}",
        f"its namespaces were not ready within {READY_S:g} s: {(folder / 'init.log').read_text()[-500:]}",
        "A lab needs root with the right to make namespaces and mounts (not an unprivileged container).",
    )


def set_receive_steering(host: Host, on: bool) -> None:
    """Let the host's own cores do the receive work of its uplink (RPS), or the sender's core.

    veth delivers a packet on the CPU that sent it. Without steering, the client's core would do
    the Docker host's bridge and DNAT work, which a separate machine would pay for itself.
    """
    mask = f"{host.cpu_mask:x}" if on else "0"
    host.run(["sh", "-c", f"echo {mask} > /run/sysfs/class/net/{UPLINK}/queues/rx-0/rps_cpus"])


def set_client_ports(client: Host, count: int) -> None:
    """Let the client open connections from `count` ports at a time; 0: from all of them.

    TIME_WAITs that are the client's own (it gave a connection up) are reused after a second
    (tcp_tw_reuse): without timestamps' help they would hold their port for a minute.
    """
    last = FIRST_PORT + count - 1 if count else LAST_PORT
    folder = "/proc/sys/net/ipv4"
    client.run(["sh", "-c", f"echo {FIRST_PORT} {last} > {folder}/ip_local_port_range"])
    client.run(["sh", "-c", f"echo 1 > {folder}/tcp_tw_reuse"])


def verify_sealed(found: Lab) -> None:
    """Refuse to go on unless every route and every link of the lab ends inside it."""
    links = {
        host.name: [
            link
            for link in json.loads(host.run_in_network(["ip", "-j", "-d", "link"]))
            if "UP" in link["flags"]
        ]
        for host in found.hosts
    }
    ends = {(link["ifindex"], link.get("link_index")) for of_host in links.values() for link in of_host}
    faults = []
    for host in found.hosts:
        for link in links[host.name]:
            kind = link.get("linkinfo", {}).get("info_kind")
            peer_inside = kind == "veth" and (link.get("link_index"), link["ifindex"]) in ends
            if not (link["ifname"] == "lo" or kind == "bridge" or peer_inside):
                faults.append(f"{host.name} has the link {link['ifname']}, which leads out")
        routes = [
            route
            for family in ("-4", "-6")
            for route in json.loads(
                host.run_in_network(["ip", "-j", family, "route", "show", "table", "all"])
            )
        ]
        faults += [
            f"{host.name} has a route to {route['dst']}" for route in routes if not _stays_inside(route)
        ]
    if faults:
        raise EnvironmentLacks(
            "Proving that the lab is sealed",
            "; ".join(faults),
            "No load is sent from a lab with a way out. This is a bug of bench, or a very unusual machine:"
            " report it.",
        )


def _stays_inside(route: dict[str, str]) -> bool:
    if route.get("type") in ("unreachable", "blackhole", "prohibit"):
        return True
    if route["dst"] == "default":
        return False
    target = ip_network(route["dst"], strict=False)
    return (
        target.is_loopback
        or target.is_link_local
        or target.is_multicast
        or any(_lies_in(target, benchmarking) for benchmarking in BENCHMARK_RANGES)
    )


def _lies_in(target: IPv4Network | IPv6Network, range_: IPv4Network | IPv6Network) -> bool:
    return target.version == range_.version and target.subnet_of(range_)  # type: ignore[arg-type]


def _write_if_there(host: Host, path: str, value: str) -> None:
    host.run(["sh", "-c", f"[ ! -e {path} ] || echo {value} > {path}"])
