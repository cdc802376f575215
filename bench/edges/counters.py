"""Counters of the hosts' network stacks: which path packets took, and what was lost."""

from dataclasses import dataclass
from pathlib import Path

from bench.core.gates import PathCounters
from bench.edges.host import Host


@dataclass(frozen=True)
class NetworkCounters:
    """Counters of the hosts' network stacks at one moment."""

    bridge_packets: int
    dnat_connections: int
    retransmits: int
    conntrack_drops: int

    def path_since(self, start: "NetworkCounters") -> PathCounters:
        """Path counters of the interval from `start` to here."""
        return PathCounters(
            bridge_packets=self.bridge_packets - start.bridge_packets,
            dnat_connections=self.dnat_connections - start.dnat_connections,
        )


def read_network_counters(client: Host, docker_host: Host) -> NetworkCounters:
    """Counters of both ends, read through /proc so that nothing enters a namespace but iptables."""
    docker0 = [
        line.split()
        for line in Path(f"/proc/{docker_host.init_pid}/net/dev").read_text().splitlines()
        if line.strip().startswith("docker0:")
    ]
    rules = docker_host.run(["iptables", "-w", "-t", "nat", "-nvxL", "DOCKER"]).splitlines()
    return NetworkCounters(
        bridge_packets=sum(int(fields[2]) + int(fields[10]) for fields in docker0),
        dnat_connections=sum(int(rule.split()[0]) for rule in rules if " DNAT " in rule),
        retransmits=sum(_retransmits(host.init_pid) for host in (client, docker_host)),
        conntrack_drops=_conntrack_drops(docker_host.init_pid),
    )


def _retransmits(pid: int) -> int:
    names, values = [
        line.split()
        for line in Path(f"/proc/{pid}/net/snmp").read_text().splitlines()
        if line.startswith("Tcp:")
    ]
    return int(values[names.index("RetransSegs")])


def _conntrack_drops(pid: int) -> int:
    lines = Path(f"/proc/{pid}/net/stat/nf_conntrack").read_text().splitlines()
    if len(lines) < 2 or "drop" not in lines[0]:
        return 0  # No connection tracking in this namespace, so nothing that it could drop.
    names = lines[0].split()
    wanted = [names.index(name) for name in ("drop", "early_drop", "insert_failed")]
    return sum(int(line.split()[index], 16) for line in lines[1:] for index in wanted)
