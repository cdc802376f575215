"""A host as the rest of bench sees it: somewhere to run, start and read, with addresses and cores.

It is a process tree in namespaces of this machine (namespaces.py), or a machine of its own behind SSH
(remote.py). Nothing outside these modules knows which: paths are the host's own, processes are numbered as
it numbers them, and a folder may be far away.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.lab.hosts import command
from bench.lab.hosts.waiting import wait_until
from bench.records.environment import LabFacts

GONE_S = 1.0
"""After which a program that could not be signalled has been taken notice of, if it is gone."""
KILLED_S = 10.0
WORDS = 1500
"""Characters of a program's messages that are worth quoting: their end."""


@dataclass(frozen=True)
class Endpoint:
    """Where a client finds a server."""

    address: str
    port: int


class Host(Protocol):
    """A living host."""

    @property
    def name(self) -> str:
        """`client`, `docker1`, ..."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of its uplink, with prefix lengths; none of the switch."""

    @property
    def cpus(self) -> str:
        """Its cores, as a kernel cpu list."""

    @property
    def scratch(self) -> str:
        """A folder on the host, this run's own, that ends with the run."""

    @property
    def sysfs(self) -> str:
        """Where the host's own sysfs can be written for as long as it lives."""

    @property
    def uplink(self) -> str:
        """Its link to where the load comes from, or goes to."""

    @property
    def roots(self) -> frozenset[int]:
        """Processes, as the controller numbers them, from which all of the host's descend; none of a
        host whose processes the controller does not see."""

    @property
    def network_file(self) -> Path | None:
        """The file by which a process of the controller enters its network; None where it cannot."""

    def on_cores(self, cpus: str) -> "Host":
        """The same host; what is run there from here on is run on `cpus`."""

    def run(self, argv: Sequence[str], *, timeout_s: float = 60.0) -> str:
        """Standard output of `argv`, run there on its cores. Raises CommandFailed."""

    def attempt(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        environment: Mapping[str, str],
        text_in: str | None = None,
    ) -> command.Done:
        """Run `argv` there, whose failure is as good an answer as its success."""

    def start(self, argv: Sequence[str], name: str, *, cpus: str | None = None) -> "Program":
        """Start `argv` there, on its cores or on `cpus`; it ends with the controller or the host.

        `name` is that of its log, which is begun anew.
        """

    def read(self, *patterns: str) -> dict[str, str]:
        """Path -> text of every file there that one of `patterns` (glob, absolute) names and that can
        be read, in order. Of /proc, what concerns the reader itself (self, sys/net) is not to be asked for.
        """

    def has(self, path: str) -> bool:
        """Whether there is a file or folder `path` there."""

    def put(self, path: str, content: Iterable[bytes]) -> None:
        """Make the file `path` there, or replace it; its `content` may come in pieces."""

    def get(self, path: str) -> Path:
        """A file here with the content of `path` there: the same file where both are one."""

    def namespace(self, pid: int, kind: str = "net") -> int:
        """Inode of the `kind` namespace of the process `pid`. Raises FileNotFoundError without it."""

    def numbered_here(self, program: str) -> list[int]:
        """Living processes of that name there, as the controller numbers them."""

    def local_socket(self, path: str) -> Path:
        """A socket here behind which `path` there listens."""

    def monotonic_ns(self) -> int:
        """CLOCK_MONOTONIC there, now."""


class Hosts(Protocol):
    """All that a measurement takes place on."""

    @property
    def client(self) -> Host:
        """From which the load comes; the first of several."""

    @property
    def docker(self) -> Mapping[str, Host]:
        """Docker hosts by name."""

    def describe(self) -> LabFacts:
        """As it is stored."""


def network_of(host: Host) -> int:
    """Identity of the host's network: the inode of its namespace."""
    return host.namespace(1)


def link_state(host: Host, link: str) -> str:
    """`up`, `down`, ...: the kernel's word on a link of this host."""
    return "".join(host.read(f"{host.sysfs}/class/net/{link}/operstate").values()).strip() or "gone"


def read_one(host: Host, path: str) -> str:
    """Text of the file `path` of `host`. Raises FileNotFoundError where there is none to be read."""
    found = host.read(path)
    if path not in found:
        raise FileNotFoundError(f"{path} of {host.name}")
    return found[path]


class Handle(Protocol):
    """What stands for a program that was started on a host, and ends when it ends."""

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""

    def ends(self, timeout_s: float) -> bool:
        """Wait for its end; whether it came within `timeout_s`."""

    def let_go(self) -> None:
        """End what is left of it at once, and wait for that. Idempotent."""

    def read_log(self) -> str:
        """All that the program wrote."""


@dataclass(frozen=True)
class LocalHandle:
    """A process here, and the file that takes what it says."""

    process: command.Process
    log: Path

    @property
    def is_alive(self) -> bool:
        """By its exit status."""
        return self.process.poll() is None

    def ends(self, timeout_s: float) -> bool:
        """By its file descriptor."""
        return command.has_ended(self.process, timeout_s)

    def let_go(self) -> None:
        """By SIGTERM, then SIGKILL."""
        command.stop(self.process)

    def read_log(self) -> str:
        """Empty before it said anything."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@dataclass
class Program:
    """A program that was started on a host and may still run."""

    host: Host
    name: str
    outer: Handle

    @property
    def pid(self) -> int:
        """Its process id, as its host numbers them; also that of its process group."""
        return int(read_one(self.host, pid_file(self.host, self.name)))

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.outer.is_alive

    def words(self, most: int = WORDS) -> str:
        """The end of what it wrote to its log."""
        return self.outer.read_log()[-most:]

    def signal(self, name: str) -> None:
        """Send it and its group the signal `name`; nothing where it has ended."""
        # Not to `outer`, which hands no signal on; and by the shell's own `kill`, as that of procps takes a
        # group of a small number (-65) for a signal.
        try:
            self.host.run(["sh", "-c", f"kill -s {name} -- -{self.pid}"])
        except (command.CommandFailed, FileNotFoundError):
            if not self.ends(GONE_S):
                raise

    def ends(self, timeout_s: float) -> bool:
        """Wait for it to end; whether it did within `timeout_s`."""
        return self.outer.ends(timeout_s)

    def kill(self) -> None:
        """End what lives of its group at once, and wait for the last of them.

        Only then its ports are free: a process of thousands of threads takes a while, and one that ended
        by itself may have left others.
        """
        self.signal("KILL")
        wait_until(lambda: not self._group_lives(), KILLED_S)
        self.outer.let_go()

    def _group_lives(self) -> bool:
        try:
            self.host.run(["sh", "-c", f"kill -0 -- -{self.pid}"])
        except (command.CommandFailed, FileNotFoundError):
            return False
        return True

    def stop(self, timeout_s: float = command.STOP_S) -> None:
        """End it and all of its group: SIGTERM, then SIGKILL after `timeout_s`. Idempotent."""
        if self.is_alive:
            self.signal("TERM")
            if not self.ends(timeout_s):
                self.kill()
        self.outer.let_go()


def pid_file(host: Host, name: str) -> str:
    """Where the program of that name keeps its process id on `host`."""
    return f"{host.scratch}/{name}.started"


def parse_cpus(cpus: str) -> list[int]:
    """Numbers of a kernel cpu list ("0-2,5"), in order."""
    found: set[int] = set()
    for part in cpus.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return sorted(found)


def cpu_mask(cpus: str) -> int:
    """Cores of a kernel cpu list as the kernel's bit mask."""
    return sum(1 << cpu for cpu in parse_cpus(cpus))
