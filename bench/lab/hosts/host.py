"""A host as the rest of bench sees it: an address, cores, and a way to run a command there.

In the lab it is a set of namespaces; this is the seam at which a real machine can stand later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.lab.hosts import command


@dataclass(frozen=True)
class Endpoint:
    """Where a client finds a server."""

    address: str
    port: int


@dataclass(frozen=True)
class Host:
    """A living host of the lab."""

    name: str
    addresses: tuple[str, ...]
    cpus: str
    init_pid: int
    folder: Path
    """Of the machine's own file system, and visible inside the host as well."""

    @property
    def network_inode(self) -> int:
        """Identity of the host's network namespace."""
        return Path(f"/proc/{self.init_pid}/ns/net").stat().st_ino

    @property
    def proc(self) -> Path:
        """/proc as the host sees it, processes numbered as there; read from outside, without entering."""
        return Path(f"/proc/{self.init_pid}/root/proc")

    def link_state(self, link: str) -> str:
        """`up`, `down`, ...: the kernel's word on a link of this host."""
        path = Path(f"/proc/{self.init_pid}/root/run/sysfs/class/net/{link}/operstate")
        return path.read_text().strip() if path.exists() else "gone"

    def argv(self, argv: Sequence[str]) -> list[str]:
        """`argv` as it must be started to run on this host, on this host's cores."""
        return [
            *("nsenter", "-t", str(self.init_pid), "--net", "--mount", "--pid", "--ipc", "--uts"),
            *("taskset", "-c", self.cpus),
            *argv,
        ]

    def run_in_network(self, argv: Sequence[str]) -> str:
        """Standard output of `argv`, run in the host's network alone: process ids are the machine's."""
        return command.run(["nsenter", "-t", str(self.init_pid), "--net", *argv])

    def run(self, argv: Sequence[str], *, timeout_s: float = 60.0) -> str:
        """Standard output of `argv`, run on this host."""
        return command.run(self.argv(argv), timeout_s=timeout_s)

    @property
    def cpu_mask(self) -> int:
        """The host's cores as the kernel's bit mask."""
        return sum(1 << cpu for cpu in parse_cpus(self.cpus))


def parse_cpus(cpus: str) -> list[int]:
    """Numbers of a kernel cpu list ("0-2,5"), in order."""
    found: set[int] = set()
    for part in cpus.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return sorted(found)
