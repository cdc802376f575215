"""tcpdump at every link that an arm's packets pass: the taps of a capture slot.

All taps are on one machine, so their time stamps are of one clock and may be subtracted.
"""

import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import MeasurementInvalid
from bench.lab.hosts import command, waiting
from bench.lab.hosts.host import Endpoint, Host
from bench.scenario.modes.catalogue import CONTAINER_PORT, UPLINK

SNAP_BYTES = 256
"""All headers and the beginning of a request, its number included."""
BUFFER_KIB = 16_384
"""Of the kernel's ring, a tap: seconds of packets, so that tcpdump need not be there at once."""
READY_S = 5.0
HANDED_OVER_S = 1.1
"""The kernel hands packets to tcpdump by the block, at the latest after the second (libpcap's time-out of
1,000 ms) that tcpdump asks for; what lies in a block that is not full when tcpdump is ended is lost.
"""
END_S = 10.0
STAMP_BEFORE_QUEUE = Path("/proc/sys/net/core/netdev_tstamp_prequeue")
"""Whether a received packet is stamped before it waits in a core's queue, or after (the kernel's
Documentation/admin-guide/sysctl/net.rst). One setting for the whole machine; it alters no packet's way.
"""
_COUNT = re.compile(r"^([0-9]+) packets? (captured|received by filter|dropped by kernel)$", re.MULTILINE)


@dataclass(frozen=True)
class TapPlace:
    """Where a tap is."""

    name: str
    host: str
    """A host of the lab, or `container`."""
    network: Path
    """The network namespace, as a file."""
    link: str
    port: int
    """Of the server, as packets carry it here."""


@dataclass(frozen=True)
class Captured:
    """What one tap wrote, and its tcpdump's own account."""

    place: TapPlace
    file: Path
    received: int
    """Packets that passed the filter, by the kernel's count."""
    captured: int
    """Of them, those that tcpdump was given."""
    dropped: int
    """Of them, those that the kernel had no room for."""


def set_stamp_before_queue(before: bool) -> None:
    """Have taps see received packets before they wait in a core's queue, or after."""
    STAMP_BEFORE_QUEUE.write_text(f"{before:d}")


def find_taps(client: Host, docker_host: Host, server_pid: int, endpoint: Endpoint) -> tuple[TapPlace, ...]:
    """The taps of the path to the server, in the order in which requests pass them.

    `server_pid` is Apache's first process, as the Docker host numbers it. What lies between the uplink
    and the server is read off the links themselves: no veth, no bridge, no tap there.
    """
    outside, inside = docker_host.proc / "1/ns/net", docker_host.proc / f"{server_pid}/ns/net"
    client_side = TapPlace("client", client.name, client.proc / "1/ns/net", UPLINK, endpoint.port)
    uplink = TapPlace("uplink", docker_host.name, outside, UPLINK, endpoint.port)
    if inside.stat().st_ino == outside.stat().st_ino:
        return client_side, uplink
    of_host = {link["ifindex"]: link for link in _links(outside)}
    [own] = [link for link in _links(inside) if "link_index" in link and "UP" in link["flags"]]
    between = []
    if own["linkinfo"]["info_kind"] == "veth":
        far_end = of_host[own["link_index"]]
        if "master" in far_end:
            between.append(TapPlace("bridge", docker_host.name, outside, far_end["master"], CONTAINER_PORT))
        between.append(TapPlace("veth", docker_host.name, outside, far_end["ifname"], CONTAINER_PORT))
    return (
        client_side,
        uplink,
        *between,
        TapPlace("container", "container", inside, own["ifname"], CONTAINER_PORT),
    )


def _links(network: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_run_in(network, ["ip", "-j", "-d", "link"]))
    return found


def _run_in(network: Path, argv: list[str]) -> str:
    return command.run(["nsenter", f"--net={network}", *argv])


@dataclass
class Capture:
    """tcpdumps that run."""

    places: tuple[TapPlace, ...]
    folder: Path
    processes: list[command.Process]

    def end(self) -> list[Captured]:
        """End every tcpdump when it has been given all; what each wrote and counted."""
        waiting.sleep(HANDED_OVER_S)
        for process in self.processes:
            process.send_signal(signal.SIGINT)
        return [
            self._account(place, process) for place, process in zip(self.places, self.processes, strict=True)
        ]

    def _account(self, place: TapPlace, process: command.Process) -> Captured:
        ended = command.has_ended(process, END_S)
        said = (self.folder / f"{place.name}.log").read_text()
        counts = {what: int(number) for number, what in _COUNT.findall(said)}
        if not ended or process.returncode != 0 or len(counts) < 3:
            raise _failure(place, said)
        return Captured(
            place=place,
            file=self.folder / f"{place.name}.pcap",
            received=counts["received by filter"],
            captured=counts["captured"],
            dropped=counts["dropped by kernel"],
        )


@contextmanager
def capture(places: tuple[TapPlace, ...], folder: Path, cpus: str) -> Iterator[Capture]:
    """Capture at `places` into `folder`, on the cores `cpus`, until the `with` ends or `Capture.end`.

    Every tap listens before this yields. Raises MeasurementInvalid where one does not.
    """
    folder.mkdir(exist_ok=True)
    running = Capture(places, folder, [])
    try:
        for place in places:
            for old in (folder / f"{place.name}.log", folder / f"{place.name}.pcap"):
                old.unlink(missing_ok=True)
            running.processes.append(
                command.start(_argv(place, folder, cpus), log=folder / f"{place.name}.log")
            )
        for place, process in zip(places, running.processes, strict=True):
            _await_listening(place, process, folder / f"{place.name}.log")
        yield running
    finally:
        for process in running.processes:
            command.stop(process)


def _argv(place: TapPlace, folder: Path, cpus: str) -> list[str]:
    options = ["-s", str(SNAP_BYTES), "-B", str(BUFFER_KIB), "--time-stamp-precision=nano", "-Z", "root"]
    return [
        *("nsenter", f"--net={place.network}", "taskset", "-c", cpus),
        *("tcpdump", "-i", place.link, *options, "-w", str(folder / f"{place.name}.pcap")),
        *("tcp", "port", str(place.port)),
    ]


def _await_listening(place: TapPlace, process: command.Process, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while "listening on" not in (said := log.read_text()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise _failure(place, said)
        time.sleep(0.005)


def _failure(place: TapPlace, said: str) -> MeasurementInvalid:
    return MeasurementInvalid(
        f"Capturing at {place.name} ({place.link} of {place.host})",
        f"tcpdump said: {said.strip()[-500:] or 'nothing'}",
        "The slot is INVALID.",
    )
