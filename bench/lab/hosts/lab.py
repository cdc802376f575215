"""The lab: hosts on one machine, joined by a switch, with no way out.

No interface is ever made in the machine's own network namespace, so nothing there needs undoing.

    client (eth0) --veth-- (p-client) switch (p-docker1) --veth-- (eth0) docker1
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from bench.errors import EnvironmentLacks
from bench.lab.hosts.journal import Journal
from bench.lab.hosts.namespaces import HostPlan, NamespaceHost, namespace_host
from bench.records.environment import SAME_KERNEL_LAB, HostFacts, LabFacts
from bench.scenario.modes.addresses import BENCHMARK_RANGES, CLIENT, CLIENT_IPV6
from bench.scenario.modes.catalogue import UPLINK
from bench.scenario.placement import DockerHost

SWITCH = "sw0"


def hosts_of_lab(
    client_cpus: str, docker_cpus: str, docker_hosts: Sequence[DockerHost], *, ipv6: bool
) -> tuple[HostPlan, ...]:
    """The client and the Docker hosts, with the article's addresses; IPv6 where an arm needs it."""
    client = (CLIENT, *([CLIENT_IPV6] if ipv6 else []))
    return (
        HostPlan("client", client, client_cpus),
        *(
            HostPlan(
                host.name,
                (
                    *(f"{address}/24" for address in host.addresses),
                    *([f"{host.address_ipv6}/64"] if ipv6 else []),
                ),
                # From a peer the load comes: its kernel's work is the client's.
                client_cpus if host.peer_of else docker_cpus,
            )
            for host in docker_hosts
        ),
    )


@dataclass(frozen=True)
class Lab:
    """The living lab."""

    client: NamespaceHost
    docker: Mapping[str, NamespaceHost]
    """Docker hosts by name: docker1, docker2, ..."""
    switch: NamespaceHost

    @property
    def hosts(self) -> tuple[NamespaceHost, ...]:
        """All of them, the switch included."""
        return self.client, *self.docker.values(), self.switch

    def describe(self) -> LabFacts:
        """As it is stored."""
        hosts = {host.name: HostFacts(addresses=host.addresses, cores=host.cpus) for host in self.hosts}
        return LabFacts(hosts=hosts, vantage=SAME_KERNEL_LAB)


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
            plan.name: hosts.enter_context(namespace_host(plan, journal))
            for plan in (*plans, HostPlan("switch", (), plans[0].cpus))
        }
        for name, argv in wiring(plans):
            living[name].run_in_network(
                [part.format(**{n: h.init_pid for n, h in living.items()}) for part in argv]
            )
        docker = {name: host for name, host in living.items() if name.startswith("docker")}
        found = Lab(living["client"], docker, living["switch"])
        # A switch forwards frames; it must not show them to a firewall as br_netfilter would.
        setting = "/proc/sys/net/bridge/bridge-nf-call-iptables"
        found.switch.run(["sh", "-c", f"[ ! -e {setting} ] || echo 0 > {setting}"])
        verify_sealed(found)
        yield found


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
