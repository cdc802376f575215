"""How many firewall rules the packets of a connection look at: the chains that iptables-save prints, walked.

A rule costs whoever looks at it, whether it matches or not; other containers' rules stand in the same chains.
"""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

from bench.stored import Count, Stored

ENDS = frozenset({"ACCEPT", "DROP", "REJECT"})
TRANSLATES = frozenset({"DNAT", "SNAT", "MASQUERADE", "REDIRECT"})
"""Targets that end the walk through a table as well."""
HOOKS = {
    "PREROUTING": ("raw", "mangle", "nat"),
    "INPUT": ("mangle", "filter", "nat"),
    "FORWARD": ("mangle", "filter"),
    "OUTPUT": ("raw", "mangle", "nat", "filter"),
    "POSTROUTING": ("mangle", "nat"),
}
"""Built-in chain -> tables that have it, in the order of their priorities (netfilter_ipv4.h)."""


class RulesMet(Stored):
    """Rules that the packets of one connection look at on the Docker host: `nat DOCKER` (table and chain) ->
    how many. Without chains in which there are none."""

    connection: Mapping[str, Count]
    """The first packet of a new connection, towards the server."""
    request: Mapping[str, Count]
    """Every later packet towards it: the nat table is asked once a connection."""
    response: Mapping[str, Count]
    """Every packet back."""
    unknown: tuple[str, ...] = ()
    """Rules whose match is not known here, and which were taken not to match."""


@dataclass(frozen=True, kw_only=True)
class Packet:
    """As a rule sees it."""

    source: str
    source_port: int
    to: str
    port: int
    in_link: str = ""
    out_link: str = ""
    is_new: bool = False


@dataclass
class Firewall:
    """The rules and routes of a host, and what was met of them."""

    saved: str
    """What iptables-save printed, of one or both of the kernel's firewalls."""
    addresses: Sequence[str]
    """The host's own."""
    routes: Sequence[tuple[str, str]]
    """(destination with prefix length, link)."""
    met: Counter[str] = field(default_factory=Counter)
    unknown: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tables: list[tuple[str, dict[str, list[list[str]]]]] = []
        for line in self.saved.splitlines():
            if line.startswith("*"):
                self._tables.append((line[1:].strip(), {}))
            elif line.startswith(":"):
                self._tables[-1][1][line[1:].split()[0]] = []
            elif line.startswith("-A"):
                _, chain, *words = shlex.split(line)
                self._tables[-1][1][chain].append(words)

    def link_to(self, address: str) -> str:
        """By the longest route; `lo` to the host itself."""
        if address in self.addresses:
            return "lo"
        found = [(ip_network(to), link) for to, link in self.routes if ip_address(address) in ip_network(to)]
        return max(found, key=lambda route: route[0].prefixlen)[1] if found else ""

    def arrive(self, packet: Packet) -> Packet:
        """A packet from a link: through, or up to the host itself; as it is then."""
        packet = self._hook("PREROUTING", packet)
        if self.link_to(packet.to) == "lo":
            return self._hook("INPUT", packet)
        packet = self._hook("FORWARD", replace(packet, out_link=self.link_to(packet.to)))
        return self._hook("POSTROUTING", packet)

    def leave(self, packet: Packet) -> Packet:
        """A packet of a process of the host; as it is then."""
        packet = self._hook("OUTPUT", replace(packet, out_link=self.link_to(packet.to)))
        return self._hook("POSTROUTING", replace(packet, out_link=self.link_to(packet.to)))

    def _hook(self, chain: str, packet: Packet) -> Packet:
        for wanted in HOOKS[chain]:
            for table, chains in self._tables:
                if table == wanted and chain in chains and (table != "nat" or packet.is_new):
                    # What a source becomes (-j MASQUERADE) is behind all that is counted.
                    found = self._walk(table, chains, chain, packet)
                    if chain in ("PREROUTING", "OUTPUT") and found.partition(":")[2]:
                        to, _, port = found.rpartition(":")
                        packet = replace(packet, to=to, port=int(port))
        return packet

    def _walk(self, table: str, chains: Mapping[str, list[list[str]]], chain: str, packet: Packet) -> str:
        """How `packet` leaves: `ACCEPT`, ..., an address and port that it is sent to instead; empty where it
        goes on behind the jump to here."""
        for words in chains[chain]:
            self.met[f"{table} {chain}"] += 1
            target = next((words[at + 1] for at, word in enumerate(words) if word in ("-j", "-g")), "")
            if target == "" or not self._matches(words, packet):
                continue
            if target == "RETURN":
                return ""
            if target in ENDS or target in TRANSLATES:
                to = words[words.index("--to-destination") + 1] if "--to-destination" in words else ""
                return to if ":" in to else f"{to}:{packet.port}" if to else target
            found = self._walk(table, chains, target, packet) if target in chains else ""
            if found or "-g" in words:
                return found
        return ""

    def _matches(self, words: Sequence[str], packet: Packet) -> bool:
        said, known = list(words[: next(at for at, word in enumerate(words) if word in ("-j", "-g"))]), True
        while said:
            negated = said[0] == "!"
            option, *said = said[negated:]
            values = said[: next((at for at, word in enumerate(said) if word[0] in "-!"), len(said))]
            said = said[len(values) :]
            holds = self._holds(option, values[0] if values else "", packet)
            if holds is None:
                known = False
            elif holds is negated:
                return False
        if not known:
            self.unknown[" ".join(words)] = None
        return known

    def _holds(self, option: str, value: str, packet: Packet) -> bool | None:
        """Whether one match does; None of one that is not known here."""
        holds: bool | None = None
        match option:
            case "-m" | "--comment":
                holds = True
            case "-s":
                holds = ip_address(packet.source) in ip_network(value)
            case "-d":
                holds = ip_address(packet.to) in ip_network(value)
            case "-i" | "-o":
                link = packet.in_link if option == "-i" else packet.out_link
                holds = link.startswith(value[:-1]) if value.endswith("+") else link == value
            case "-p":
                holds = value == "tcp"
            case "--dport" | "--sport":
                first, _, last = value.partition(":")
                port = packet.port if option == "--dport" else packet.source_port
                holds = int(first) <= port <= int(last or first)
            case "--ctstate" | "--state":
                holds = ("NEW" if packet.is_new else "ESTABLISHED") in value.split(",")
            case "--dst-type" | "--src-type":
                address = packet.to if option == "--dst-type" else packet.source
                own = address in self.addresses or ip_address(address).is_loopback
                holds = own is (value == "LOCAL")
        return holds


def count_rules(firewall: Firewall, client: str, endpoint: tuple[str, int], uplink: str) -> RulesMet:
    """Walk a connection from `client` to `endpoint`, by `uplink`, or from the host itself where `client` is
    one of its addresses."""
    is_local = client in firewall.addresses or ip_address(client).is_loopback
    asked = Packet(source=client, source_port=49152, to=endpoint[0], port=endpoint[1], is_new=True)
    send = firewall.leave if is_local else firewall.arrive
    asked = asked if is_local else replace(asked, in_link=uplink)
    there = send(asked)
    connection = _take(firewall)
    # Conntrack translates what follows, before a rule of the filter table sees it and without the nat table.
    to = there.to
    if firewall.link_to(to) == "lo":
        (firewall.leave if is_local else firewall.arrive)(replace(asked, is_new=False))
        request = _take(firewall)
        back = Packet(source=endpoint[0], source_port=endpoint[1], to=client, port=49152)
        firewall.leave(back)
        return RulesMet(
            connection=connection, request=request, response=_take(firewall), unknown=tuple(firewall.unknown)
        )
    send(replace(asked, to=to, port=there.port, is_new=False))
    request = _take(firewall)
    link = firewall.link_to(to)
    firewall.arrive(Packet(source=to, source_port=there.port, to=client, port=49152, in_link=link))
    return RulesMet(
        connection=connection, request=request, response=_take(firewall), unknown=tuple(firewall.unknown)
    )


def _take(firewall: Firewall) -> dict[str, int]:
    """What was met since the last time."""
    met = dict(firewall.met)
    firewall.met.clear()
    return met
