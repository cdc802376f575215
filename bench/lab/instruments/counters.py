"""Counters of the hosts' network stacks: which path packets took, and what was lost."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from bench.lab.hosts.command import CommandFailed
from bench.lab.hosts.host import Host, network_of
from bench.procfs import parse_named_columns
from bench.scenario.modes.footprint import CPU_OF, OF_ROOTLESS, Counter
from bench.scenario.modes.model import TAP
from bench.slots.gates.network import Losses, Room

FORWARDING_CHAINS = ("FORWARD", "DOCKER")
"""A rule of the filter table counts if its chain's name begins with one of these."""
DOCKER_CHAIN = ":DOCKER "
"""In what iptables-save prints, where Docker writes its rules by iptables and not by nftables itself."""
LEGACY = "legacy tables present"
OVERLAYS = "exec/netns/1-*"
"""Below an engine's folder: an overlay network's own namespace, with its bridge and its VXLAN link."""
VXLAN_LINKS = "vxlan"
"""With which the names of VXLAN links begin there."""
STACK = ("dev", "snmp", "snmp6", "netstat", "stat/nf_conntrack", "tcp", "tcp6", "softnet_stat")
"""Of /proc/<pid>/net: what is read of a network."""
Stack = Mapping[str, str]
"""Name in /proc/<pid>/net -> its text; without those that the kernel does not have."""


@dataclass(frozen=True)
class NetworkCounters:
    """Counters of the hosts' network stacks at one moment."""

    path: Mapping[Counter, int]
    """Without those that could not be read."""
    losses: Losses
    room: Room
    unread: Mapping[Counter, str]
    """Counters that could not be read -> why."""

    def without(self, shared: Collection[Counter], reason: str) -> "NetworkCounters":
        """These, as if the counters `shared` could not be read, for that `reason`."""
        path = {counter: value for counter, value in self.path.items() if counter not in shared}
        return replace(self, path=path, unread={**self.unread, **dict.fromkeys(shared, reason)})

    def since(self, start: "NetworkCounters") -> "NetworkCounters":
        """What was counted from `start` to here, and the room that is left here."""
        return NetworkCounters(
            {
                counter: value - start.path[counter]
                for counter, value in self.path.items()
                if counter in start.path
            },
            # At least 0: what was sent again before may be reported as needless after.
            Losses(*(max(now - before, 0) for now, before in zip(self.losses, start.losses, strict=True))),
            self.room,
            {**start.unread, **self.unread},
        )


def read_network_counters(
    sender: Host,
    docker_host: Host,
    server_pid: int,
    *,
    ipv6: bool,
    writes_rules: bool,
    rootless_pid: int | None = None,
) -> NetworkCounters:
    """Counters of the load's host, the Docker host, and the namespace of the server (`server_pid` there).

    `writes_rules`: whether the engine writes firewall rules there, which must then be seen. `rootless_pid`:
    of a rootless engine's dockerd there, in whose network it writes them instead.

    Nothing enters a namespace but iptables. Only with `ipv6` are the IPv6 rules read: reading them loads
    their tables, which would then cost every packet. Raises ProcessLookupError where the server ended.
    """
    host, server = _read_stack(docker_host, 1), _read_stack(docker_host, server_pid)
    links = _links(host)
    tcp, ip, ip6 = _snmp(host, "Tcp"), _snmp(host, "Ip"), _snmp6(host)
    hits, lacks = read_rules(docker_host, ipv6=ipv6, writes_rules=writes_rules)
    tracked, trackable, vxlan = _read_inside(docker_host)
    # Two or three of them may be one.
    own = network_of(docker_host)
    sending = host if network_of(sender) == own else _read_stack(sender, 1)
    networks = {network_of(sender): sending, own: host, docker_host.namespace(server_pid): server}
    is_carried = docker_host.namespace(server_pid) != own and (rootless_pid or not writes_rules)
    unread = dict.fromkeys((Counter.DNAT, Counter.FILTER), lacks) if lacks else {}
    programs = CPU_OF
    if rootless_pid:
        inside = _read_stack(docker_host, rootless_pid)
        networks[docker_host.namespace(rootless_pid)] = inside
        found, fault = _read_rootless(docker_host, rootless_pid, inside)
        hits, unread = {**hits, **found}, {**unread, **fault}
    else:
        programs = {counter: names for counter, names in CPU_OF.items() if counter not in OF_ROOTLESS}
    ports = _ephemeral_ports(sender)
    return NetworkCounters(
        path={
            **hits,
            Counter.FORWARDED: ip["ForwDatagrams"] + ip6.get("Ip6OutForwDatagrams", 0),
            Counter.BRIDGE: _on_bridges(links),
            Counter.VETH: sum(packets for link, packets in links.items() if link.startswith("veth")),
            Counter.VXLAN: vxlan,
            Counter.UPLINK: links[docker_host.uplink],
            Counter.LOOPBACK: links["lo"],
            Counter.ACCEPTED: tcp["PassiveOpens"],
            Counter.OPENED: tcp["ActiveOpens"],
            Counter.SERVED: _snmp(server, "Tcp")["PassiveOpens"],
            **_cpu_ns(docker_host, programs),
            Counter.CONNTRACK: tracked,
        },
        losses=Losses(
            retransmits=sum(lost_segments(stack) for stack in networks.values()),
            conntrack_drops=_conntrack_drops(host),
            listen_drops=_listen_drops(server),
            # Of a kernel, not of a network: hosts of one kernel show the same.
            queue_drops=max(queue_drops(stack) for stack in networks.values()),
            listen_overflows=_netstat(server)["ListenOverflows"],
            carrier_drops=_listen_drops(host) if is_carried else 0,
        ),
        room=Room(
            ports_in_use=ports_in_use(sending, ports),
            # To itself, a host sends from the address that it sends to.
            ports=len(ports) * (1 if sending is host else sum(":" not in at for at in sender.addresses)),
            tracked=tracked,
            trackable=trackable,
        ),
        unread=unread,
    )


def _read_rootless(host: Host, pid: int, stack: Stack) -> tuple[dict[Counter, int], dict[Counter, str]]:
    """What is counted in the network of a rootless engine, of dockerd `pid`; what cannot be, and why."""
    links = _links(stack)
    hits, lacks = read_rules(host, ipv6=False, writes_rules=True, pid=pid)
    found = {Counter.TAP: links.get(TAP, 0), Counter.ROOTLESS_BRIDGE: _on_bridges(links)}
    if lacks:
        return found, {Counter.ROOTLESS_DNAT: lacks}
    return {**found, Counter.ROOTLESS_DNAT: hits[Counter.DNAT]}, {}


def _read_stack(host: Host, pid: int) -> Stack:
    """What the kernel tells of the network in which the process `pid` of `host` is."""
    folder = f"/proc/{pid}/net/"
    found = host.read(*(folder + name for name in STACK))
    if folder + "dev" not in found:
        raise ProcessLookupError(f"process {pid} of {host.name}")
    return {path.removeprefix(folder): text for path, text in found.items()}


def _listen_drops(stack: Stack) -> int:
    """Connections that listening sockets of a network had no room for."""
    found = _netstat(stack)
    return found["ListenDrops"] + found["TCPReqQFullDrop"]


def _links(stack: Stack) -> dict[str, int]:
    """Packets received and sent by each link."""
    found = {}
    for line in stack["dev"].splitlines()[2:]:
        name, _, numbers = line.partition(":")
        fields = numbers.split()
        found[name.strip()] = int(fields[1]) + int(fields[9])
    return found


def read_rules(host: Host, *, ipv6: bool, writes_rules: bool, pid: int = 1) -> tuple[dict[Counter, int], str]:
    """Hits of the firewall rules in the network of the host's process `pid`; none, and why, where they cannot
    be read.
    """
    enter = ["nsenter", "-t", str(pid), "--net"] if pid != 1 else []
    dnat, accepts = 0, 0
    for tool in ("iptables", *(["ip6tables"] if ipv6 else [])):
        try:
            saved = host.run([*enter, f"{tool}-save", "-c"])
            if LEGACY in saved:  # That program sees one of the kernel's two firewalls, and says so.
                saved += host.run([*enter, f"{tool}-legacy-save", "-c"])
        except CommandFailed as fault:
            return {}, f"{tool}-save: {fault.seen[:200]}"
        # Of IPv6, an engine may well write none.
        if tool == "iptables" and writes_rules and DOCKER_CHAIN not in saved:
            return {}, f"{tool} shows no rule of Docker's"
        found = _rules(saved)
        dnat, accepts = dnat + found[0], accepts + found[1]
    return {Counter.DNAT: dnat, Counter.FILTER: accepts}, ""


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


def queue_drops(stack: Stack) -> int:
    """Packets that a core's receive queue had no room for: the second column, hexadecimal, of a line a core
    (net/core/net-procfs.c, softnet_seq_show).
    """
    return sum(int(line.split()[1], 16) for line in stack["softnet_stat"].splitlines())


def _snmp(stack: Stack, protocol: str) -> dict[str, int]:
    return parse_named_columns(stack["snmp"], protocol)


def _netstat(stack: Stack) -> dict[str, int]:
    return parse_named_columns(stack["netstat"], "TcpExt")


def _snmp6(stack: Stack) -> dict[str, int]:
    # A kernel without IPv6 has no such file.
    return {name: int(value) for name, value in map(str.split, stack.get("snmp6", "").splitlines())}


def _on_bridges(links: Mapping[str, int]) -> int:
    """Packets on Docker's bridges."""
    return sum(packets for link, packets in links.items() if link == "docker0" or link.startswith("br-"))


def _cpu_ns(host: Host, programs: Mapping[Counter, Collection[str]]) -> dict[Counter, int]:
    """Time that the threads of each counter's programs ran on `host` so far (schedstat's first field)."""
    names = host.read("/proc/[0-9]*/comm")
    found = {}
    for counter, wanted in programs.items():
        folders = [path.removesuffix("/comm") for path, name in names.items() if name.strip() in wanted]
        threads = host.read(*(f"{folder}/task/*/schedstat" for folder in folders))
        found[counter] = sum(int(text.split()[0]) for text in threads.values())
    return found


def _read_inside(host: Host) -> tuple[int, int, int]:
    """(connections that are tracked, that can be, packets on VXLAN links); zeros where there are none."""
    # Of the reader's namespace, whoever's /proc it is: so it must be read from inside.
    script = f"""
    (cd /proc/sys/net/netfilter 2>/dev/null && cat nf_conntrack_count nf_conntrack_max || echo 0 0)
    for network in {host.scratch}/{OVERLAYS}; do
        [ ! -e "$network" ] || nsenter --net="$network" cat /proc/net/dev 2>/dev/null || true
    done"""
    lines = host.run(["sh", "-c", script]).splitlines()
    numbers = [line for line in lines if line.replace(" ", "").isdigit()]
    tracked, trackable = " ".join(numbers).split()
    links = [line.split(":") for line in lines if line.lstrip().startswith(VXLAN_LINKS)]
    packets = [(int(columns.split()[1]), int(columns.split()[9])) for _, columns in links]
    return int(tracked), int(trackable), sum(map(sum, packets))


def _ephemeral_ports(sender: Host) -> range:
    first, last = sender.run(["cat", "/proc/sys/net/ipv4/ip_local_port_range"]).split()
    return range(int(first), int(last) + 1)


def ports_in_use(stack: Stack, ports: range) -> int:
    """Sockets of the network at an ephemeral port, those in TIME_WAIT included, which hold it for a minute.

    Not by number alone: where the server is in the same namespace, its own ends are no such sockets.
    """
    lines = [line for table in ("tcp", "tcp6") for line in stack.get(table, "").splitlines()[1:]]
    return sum(int(line.split(maxsplit=2)[1].rpartition(":")[2], 16) in ports for line in lines)


def lost_segments(stack: Stack) -> int:
    """Segments sent again, less those that the receiver reported to have had already (RFC 2883).

    Where a large response is in flight and the receiver's core is busy for some milliseconds, the
    sender probes for a lost tail, though nothing is lost.
    """
    return _snmp(stack, "Tcp")["RetransSegs"] - _netstat(stack).get("TCPDSACKRecvSegs", 0)


def _conntrack_drops(stack: Stack) -> int:
    lines = stack.get("stat/nf_conntrack", "").splitlines()
    if len(lines) < 2 or "drop" not in lines[0]:
        return 0  # No connection tracking in this namespace, so nothing that it could drop.
    names = lines[0].split()
    wanted = [names.index(name) for name in ("drop", "early_drop", "insert_failed")]
    return sum(int(line.split()[index], 16) for line in lines[1:] for index in wanted)
