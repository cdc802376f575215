"""Counters of the hosts' network stacks: which path packets took, and what was lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.lab.hosts.host import Host
from bench.scenario.modes.catalogue import UPLINK
from bench.scenario.modes.footprint import Counter
from bench.slots.gates.network import Losses, Room

FORWARDING_CHAINS = ("FORWARD", "DOCKER")
"""A rule of the filter table counts if its chain's name begins with one of these."""


@dataclass(frozen=True)
class NetworkCounters:
    """Counters of the hosts' network stacks at one moment."""

    path: Mapping[Counter, int]
    losses: Losses
    room: Room

    def since(self, start: "NetworkCounters") -> "NetworkCounters":
        """What was counted from `start` to here, and the room that is left here."""
        return NetworkCounters(
            {counter: value - start.path[counter] for counter, value in self.path.items()},
            # At least 0: what was sent again before may be reported as needless after.
            Losses(*(max(now - before, 0) for now, before in zip(self.losses, start.losses, strict=True))),
            self.room,
        )


def read_network_counters(sender: Host, docker_host: Host, server_pid: int, *, ipv6: bool) -> NetworkCounters:
    """Counters of the load's host, the Docker host, and the namespace of the server (`server_pid` there).

    Read through /proc, so that nothing enters a namespace but iptables. Only with `ipv6` are the IPv6
    rules read: reading them loads their tables, which would then cost every packet.
    """
    host = docker_host.proc / "1"
    server = docker_host.proc / str(server_pid)
    links = _links(host)
    tcp, ip, ip6 = _snmp(host, "Tcp"), _snmp(host, "Ip"), _snmp6(host)
    dnat, accepts = 0, 0
    for tool in ("iptables-save", *(["ip6tables-save"] if ipv6 else [])):
        found = _rules(docker_host.run([tool, "-c"]))
        dnat, accepts = dnat + found[0], accepts + found[1]
    bridges = _bridges(docker_host)
    tracked, trackable = _tracking(docker_host)
    # Two or three of them may be one.
    networks = {_network(process): process for process in (sender.proc / "1", host, server)}
    ports = _ephemeral_ports(sender)
    return NetworkCounters(
        path={
            Counter.DNAT: dnat,
            Counter.FILTER: accepts,
            Counter.FORWARDED: ip["ForwDatagrams"] + ip6.get("Ip6OutForwDatagrams", 0),
            Counter.BRIDGE: sum(packets for link, packets in links.items() if link in bridges),
            Counter.VETH: sum(packets for link, packets in links.items() if link.startswith("veth")),
            Counter.UPLINK: links[UPLINK],
            Counter.LOOPBACK: links["lo"],
            Counter.ACCEPTED: tcp["PassiveOpens"],
            Counter.OPENED: tcp["ActiveOpens"],
            Counter.SERVED: _snmp(server, "Tcp")["PassiveOpens"],
            Counter.PROXY_CPU: _cpu_ns(docker_host, "docker-proxy"),
            Counter.CONNTRACK: tracked,
        },
        losses=Losses(
            retransmits=sum(lost_segments(process) for process in networks.values()),
            conntrack_drops=_conntrack_drops(host),
            listen_drops=_netstat(server)["ListenDrops"] + _netstat(server)["TCPReqQFullDrop"],
        ),
        room=Room(
            ports_in_use=ports_in_use(sender.proc / "1", ports),
            ports=len(ports) * _source_addresses(sender, docker_host),
            tracked=tracked,
            trackable=trackable,
        ),
    )


def _network(process: Path) -> int:
    """Inode of its network namespace."""
    return (process / "ns" / "net").stat().st_ino


def _links(process: Path) -> dict[str, int]:
    """Packets received and sent by each link of the namespace of `process`."""
    found = {}
    for line in (process / "net" / "dev").read_text().splitlines()[2:]:
        name, _, numbers = line.partition(":")
        fields = numbers.split()
        found[name.strip()] = int(fields[1]) + int(fields[9])
    return found


def _bridges(host: Host) -> set[str]:
    """Names of Docker's bridges: docker0, and br-<id> of networks that a user defines."""
    return {link for link in _links(host.proc / "1") if link == "docker0" or link.startswith("br-")}


def _rules(saved: str) -> tuple[int, int]:
    """(DNAT hits, packets accepted by forwarding rules) of what iptables-save -c printed."""
    table, dnat, accepts = "", 0, 0
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("["):
            counted, _, rule = line.partition("] ")
            packets = int(counted[1:].split(":")[0])
            words = rule.split()
            target = words[words.index("-j") + 1] if "-j" in words else ""
            if table == "nat" and target == "DNAT":
                dnat += packets
            elif table == "filter" and target == "ACCEPT" and words[1].startswith(FORWARDING_CHAINS):
                accepts += packets
    return dnat, accepts


def _snmp(process: Path, protocol: str) -> dict[str, int]:
    names, values = [
        line.split()[1:]
        for line in (process / "net" / "snmp").read_text().splitlines()
        if line.startswith(f"{protocol}:")
    ]
    return dict(zip(names, map(int, values), strict=True))


def _snmp6(process: Path) -> dict[str, int]:
    path = process / "net" / "snmp6"
    if not path.exists():
        return {}  # A kernel without IPv6.
    return {name: int(value) for name, value in map(str.split, path.read_text().splitlines())}


def _cpu_ns(host: Host, program: str) -> int:
    """Time that the threads of `program` ran on `host` so far (schedstat's first field)."""
    total = 0
    for comm in host.proc.glob("[0-9]*/comm"):
        try:
            if comm.read_text().strip() == program:
                total += sum(
                    int(stat.read_text().split()[0]) for stat in (comm.parent / "task").glob("*/schedstat")
                )
        except (FileNotFoundError, ProcessLookupError):
            continue  # It ended meanwhile.
    return total


def _tracking(host: Host) -> tuple[int, int]:
    """(connections that are tracked, that can be); zeros where the kernel tracks none."""
    # Of the reader's namespace, whoever's /proc it is: so it must be read from inside.
    script = "cd /proc/sys/net/netfilter 2>/dev/null && cat nf_conntrack_count nf_conntrack_max || echo 0 0"
    tracked, trackable = host.run(["sh", "-c", script]).split()
    return int(tracked), int(trackable)


def _ephemeral_ports(sender: Host) -> range:
    first, last = sender.run(["cat", "/proc/sys/net/ipv4/ip_local_port_range"]).split()
    return range(int(first), int(last) + 1)


def _source_addresses(sender: Host, docker_host: Host) -> int:
    """IPv4 addresses that a load can come from: to itself, a host sends from the address that it sends to."""
    if sender.init_pid == docker_host.init_pid:
        return 1
    return sum(":" not in address for address in sender.addresses)


def ports_in_use(process: Path, ports: range) -> int:
    """Sockets of the namespace at an ephemeral port, those in TIME_WAIT included, which hold it for a minute.

    Not by number alone: where the server is in the same namespace, its own ends are no such sockets.
    """
    lines = [
        line
        for table in (process / "net" / "tcp", process / "net" / "tcp6")
        if table.exists()  # A kernel without IPv6 has one of them.
        for line in table.read_text().splitlines()[1:]
    ]
    return sum(int(line.split(maxsplit=2)[1].rpartition(":")[2], 16) in ports for line in lines)


def lost_segments(process: Path) -> int:
    """Segments sent again, less those that the receiver reported to have had already (RFC 2883).

    Where a large response is in flight and the receiver's core is busy for some milliseconds, the
    sender probes for a lost tail, though nothing is lost.
    """
    return _snmp(process, "Tcp")["RetransSegs"] - _netstat(process).get("TCPDSACKRecvSegs", 0)


def _netstat(process: Path) -> dict[str, int]:
    names, values = [
        line.split()[1:]
        for line in (process / "net" / "netstat").read_text().splitlines()
        if line.startswith("TcpExt:")
    ]
    return dict(zip(names, map(int, values), strict=True))


def _conntrack_drops(process: Path) -> int:
    path = process / "net" / "stat" / "nf_conntrack"
    lines = path.read_text().splitlines() if path.exists() else []
    if len(lines) < 2 or "drop" not in lines[0]:
        return 0  # No connection tracking in this namespace, so nothing that it could drop.
    names = lines[0].split()
    wanted = [names.index(name) for name in ("drop", "early_drop", "insert_failed")]
    return sum(int(line.split()[index], 16) for line in lines[1:] for index in wanted)
