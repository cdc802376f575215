"""tcpdump at every link that an arm's packets pass: the taps of a capture slot.

All taps are on one machine, so their time stamps are of one clock and may be subtracted. Where the client is
another machine, there is none at its link.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.errors import MeasurementInvalid
from bench.lab.hosts import waiting
from bench.lab.hosts.command import CommandFailed
from bench.lab.hosts.guest import Guest
from bench.lab.hosts.host import Endpoint, Host, Program, network_of
from bench.lab.hosts.links import list_links
from bench.lab.hosts.waiting import wait_until
from bench.lab.instruments.counters import OVERLAYS
from bench.scenario.modes.addresses import VXLAN_PORT
from bench.scenario.modes.catalogue import CONTAINER_PORT
from bench.scenario.modes.model import LOOPBACK

SNAP_BYTES = 256
"""All headers and the beginning of a request, its number included."""
BUFFER_KIB = 16_384
"""Of the kernel's ring, a tap: seconds of packets, so that tcpdump need not be there at once."""
TOO_BIG = "(icmp[0] == 3 and icmp[1] == 4) or (icmp6 and ip6[40] == 2)"
"""ICMP errors that tell a sender of the path's MTU (RFC 1191, RFC 8201), in pcap-filter(7)'s words."""
READY_S = 5.0
HANDED_OVER_S = 10.0
"""The kernel hands packets to tcpdump by the block: one that is not full, after the second (libpcap's
time-out) that tcpdump asks for, and when a core has time for it. What lies there when tcpdump is ended is
lost. So it is asked until it was given all that the kernel had kept when it was first asked; what comes
later, as a connection's last word, is of no request.
"""
ASK_S = 0.1
END_S = 10.0
LISTENS = "listening on"
ROOTLESS = "rootless"
"""The tap where requests come into RootlessKit's namespace, and that namespace."""
STAMP_BEFORE_QUEUE = Path("/proc/sys/net/core/netdev_tstamp_prequeue")
"""Whether a received packet is stamped before it waits in a core's queue, or after (the kernel's
Documentation/admin-guide/sysctl/net.rst). One setting for the whole machine; it alters no packet's way.
"""
_COUNTS = re.compile(
    r"([0-9]+) packets? captured, ([0-9]+) packets? received by filter, ([0-9]+) packets? dropped by kernel"
)
"""What tcpdump says when it is sent SIGUSR1. libpcap counts what the kernel had no room for as received, on
Linux (pcap_stats(3))."""


@dataclass(frozen=True)
class TapPlace:
    """Where a tap is."""

    name: str
    on: Host
    """Where its tcpdump runs."""
    pid: int
    """A process in whose network it is, as `on` numbers them: 1 of the host itself."""
    link: str
    port: int
    """Of the server, as packets carry it here."""
    inside: str = "container"
    """Whose network it is where it is not the host's."""
    network: str = ""
    """A network's file on `on`, where no process is in it: then `pid` says nothing."""
    in_vxlan: bool = False
    """Whether packets pass here inside of VXLAN's."""

    @property
    def host(self) -> str:
        """The host, `container`, `rootless`, or `overlay network`."""
        return self.on.name if self.pid == 1 and not self.network else self.inside

    @property
    def filter(self) -> list[str]:
        """What is captured, as tcpdump's words."""
        return ["udp" if self.in_vxlan else "tcp", "port", str(VXLAN_PORT if self.in_vxlan else self.port)]

    @property
    def enter(self) -> list[str]:
        """The command by which another is run in its network; empty where that is `on`'s own."""
        if self.network:
            return ["nsenter", f"--net={self.network}"]
        return ["nsenter", "-t", str(self.pid), "--net"] if self.pid != 1 else []

    @property
    def file(self) -> str:
        """Where `on` keeps what it captures."""
        return f"{self.on.scratch}/tap-{self.name}.pcap"


@dataclass(frozen=True)
class RootlessNetwork:
    """Between a Docker host and the containers of a rootless engine."""

    pid: int
    """Of its dockerd, as the Docker host numbers it."""
    link: str
    """On which requests come."""


@dataclass(frozen=True)
class Captured:
    """What one tap wrote, and its tcpdump's own account."""

    place: TapPlace
    file: Path
    received: int
    """Packets that passed the filter before the end, by the kernel's count."""
    captured: int
    """Of them, those that tcpdump was given."""

    @property
    def missing(self) -> int:
        """Those for which the kernel had no room, or which it had not handed over."""
        return self.received - self.captured


def set_stamp_before_queue(before: bool) -> None:
    """Have taps see received packets before they wait in a core's queue, or after."""
    STAMP_BEFORE_QUEUE.write_text(f"{before:d}")


def find_taps(
    sender: Host | None,
    docker_host: Host,
    server_pid: int,
    endpoint: Endpoint,
    rootless: RootlessNetwork | None = None,
) -> tuple[TapPlace, ...]:
    """The taps of the path to the server, in the order in which requests pass them.

    `sender`: of the load; None where its clock is another than the Docker host's. `server_pid`: of the
    server's first process, as the Docker host numbers it. What lies between the uplink and the server is read
    off the links themselves: no veth, no bridge, no tap there.
    """
    overlay = _find_overlay(docker_host, server_pid, endpoint)
    client_side = [TapPlace("client", sender, 1, sender.uplink, endpoint.port)] if sender else []
    if isinstance(sender, Guest):
        peer = sender.outer
        client_side.append(TapPlace("peer", peer, 1, peer.uplink, endpoint.port, in_vxlan=bool(overlay)))
    uplink = TapPlace("uplink", docker_host, 1, docker_host.uplink, endpoint.port, in_vxlan=bool(overlay))
    if overlay:
        return *client_side, uplink, *overlay
    if docker_host.namespace(server_pid) == network_of(docker_host):
        return *client_side, uplink
    pid, zone = (rootless.pid, ROOTLESS) if rootless else (1, docker_host.name)
    of_host = {link["ifindex"]: link for link in list_links(docker_host, pid)}
    inside = list_links(docker_host, server_pid)
    [own] = [link for link in inside if "link_index" in link and "UP" in link["flags"]]
    between = []
    if rootless:
        between.append(TapPlace(ROOTLESS, docker_host, pid, rootless.link, endpoint.port, zone))
    if own["linkinfo"]["info_kind"] == "veth":
        far_end = of_host[own["link_index"]]
        if "master" in far_end:
            between.append(TapPlace("bridge", docker_host, pid, far_end["master"], CONTAINER_PORT, zone))
        between.append(TapPlace("veth", docker_host, pid, far_end["ifname"], CONTAINER_PORT, zone))
    container = TapPlace("container", docker_host, server_pid, own["ifname"], CONTAINER_PORT)
    return *client_side, uplink, *between, container


def _find_overlay(docker_host: Host, server_pid: int, endpoint: Endpoint) -> tuple[TapPlace, ...]:
    """The taps of an overlay network's own namespace, and the container's; none where it is in no such one.

    The container's link in it is the one that has the address at which the server is asked.
    """
    listed = f"ls {docker_host.scratch}/{OVERLAYS} 2>/dev/null || true"
    networks = docker_host.run(["sh", "-c", listed]).split()
    inside = _links(docker_host, "nsenter", "-t", str(server_pid), "--net") if networks else []
    for own in inside:
        if endpoint.address not in [address.get("local") for address in own["addr_info"]]:
            continue
        for network in networks:
            there = TapPlace("vxlan", docker_host, 1, "", CONTAINER_PORT, "overlay network", network)
            links = _links(docker_host, *there.enter)
            ends = [link for link in links if _is_pair(link, own)]
            tunnels = [link for link in links if link.get("linkinfo", {}).get("info_kind") == "vxlan"]
            if ends and tunnels:
                return (
                    replace(there, link=tunnels[0]["ifname"]),
                    replace(there, name="veth", link=ends[0]["ifname"]),
                    TapPlace("container", docker_host, server_pid, own["ifname"], CONTAINER_PORT),
                )
    return ()


def _is_pair(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether they are the two ends of a veth pair."""
    return (one["ifindex"], one.get("link_index")) == (other.get("link_index"), other["ifindex"])


def _links(host: Host, *enter: str) -> list[dict[str, Any]]:
    """With their addresses. A network's file may have been left behind: then there are none."""
    try:
        found: list[dict[str, Any]] = json.loads(host.run([*enter, "ip", "-j", "-d", "address"]))
    except CommandFailed:
        return []
    return found


@dataclass
class Capture:
    """tcpdumps that run."""

    places: tuple[TapPlace, ...]
    programs: list[Program]

    def end(self) -> list[Captured]:
        """End every tcpdump when it has been given all that came until now; what each wrote and counted."""
        return [_end(place, program) for place, program in zip(self.places, self.programs, strict=True)]


@dataclass
class _Account:
    """Of one tcpdump, by its own answers."""

    place: TapPlace
    received: int | None = None
    """When it was first asked."""
    kept: int = 0
    """Of them, those for which the kernel had room."""
    captured: int = 0

    def was_given_all(self, program: Program) -> bool:
        """By its last answer; it is asked again."""
        if answers := _COUNTS.findall(program.words()):
            self.captured, received, dropped = map(int, answers[-1])
            if self.received is None:
                times_shown = _times_shown(self.place)
                self.received, self.kept = received // times_shown, (received - dropped) // times_shown
        program.signal("USR1")
        return self.received is not None and self.captured >= self.kept


def _end(place: TapPlace, program: Program) -> Captured:
    account = _Account(place)
    waiting.wait_until(lambda: account.was_given_all(program), HANDED_OVER_S, ASK_S)
    program.signal("INT")
    if not program.ends(END_S) or account.received is None:
        raise _failure(place, program)
    captured = min(account.captured, account.kept)  # Some may have come since.
    return Captured(place, place.on.get(place.file), account.received, captured)


def _times_shown(place: TapPlace) -> int:
    """A loopback link shows a packet as it goes out and as it comes in.

    The kernel counts both, and libpcap leaves the first one out (pcap-linux.c).
    """
    return 2 if place.link == LOOPBACK else 1


@contextmanager
def capture(places: tuple[TapPlace, ...], cpus: str) -> Iterator[Capture]:
    """Capture at `places`, on the cores `cpus`, until the `with` ends or `Capture.end`.

    Every tap listens before this yields. Raises MeasurementInvalid where one does not.
    """
    running = Capture(places, [])
    try:
        for place in places:
            running.programs.append(place.on.start(_argv(place), f"tap-{place.name}", cpus=cpus))
        for place, program in zip(places, running.programs, strict=True):
            if not wait_until(lambda: LISTENS in program.words() or not program.is_alive, READY_S) or (  # noqa: B023
                not program.is_alive
            ):
                raise _failure(place, program)
        yield running
    finally:
        for program in running.programs:
            program.stop()


def _argv(place: TapPlace) -> list[str]:
    options = ["-s", str(SNAP_BYTES), "-B", str(BUFFER_KIB), "--time-stamp-precision=nano", "-Z", "root"]
    what = " ".join(place.filter) if place.in_vxlan else f"{' '.join(place.filter)} or {TOO_BIG}"
    return [*place.enter, "tcpdump", "-i", place.link, *options, "-w", place.file, what]


def _failure(place: TapPlace, program: Program) -> MeasurementInvalid:
    return MeasurementInvalid(
        f"Capturing at {place.name} ({place.link} of {place.host})",
        f"tcpdump said: {program.words(500).strip() or 'nothing'}",
        "The slot is INVALID.",
    )
