"""A container's network as a host: the Docker host that it is on, but for the network."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.lab.hosts import command
from bench.lab.hosts.host import Host, Program

OWN = "/proc/1/"
"""By which the rest of bench names the network of a host."""


@dataclass(frozen=True)
class Guest:
    """See the protocol `Host` for what its members promise. Files and processes are the Docker host's."""

    outer: Host
    """The Docker host."""
    pid: int
    """A process of the container, as `outer` numbers it."""
    name: str
    addresses: tuple[str, ...]
    uplink: str

    @property
    def cpus(self) -> str:
        """Those on which things are run there, not the container's own."""
        return self.outer.cpus

    @property
    def scratch(self) -> str:
        """The Docker host's."""
        return self.outer.scratch

    @property
    def sysfs(self) -> str:
        """The Docker host's."""
        return self.outer.sysfs

    @property
    def roots(self) -> frozenset[int]:
        """They are the Docker host's, and counted there."""
        return frozenset()

    @property
    def network_file(self) -> Path | None:
        """For setns(2)."""
        return self.outer.network_file and self.outer.get(f"/proc/{self.pid}/ns/net")

    def on_cores(self, cpus: str) -> "Guest":
        """The same container."""
        return replace(self, outer=self.outer.on_cores(cpus))

    def run(self, argv: Sequence[str], *, timeout_s: float = 60.0) -> str:
        """The Docker host's own programs, in the container's network."""
        return self.outer.run(self._entered(argv), timeout_s=timeout_s)

    def attempt(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        environment: Mapping[str, str],
        text_in: str | None = None,
    ) -> command.Done:
        """In the container's network as well."""
        entered = self._entered(argv)
        return self.outer.attempt(entered, timeout_s=timeout_s, environment=environment, text_in=text_in)

    def start(self, argv: Sequence[str], name: str, *, cpus: str | None = None) -> Program:
        """As a program of the Docker host's."""
        return self.outer.start(self._entered(argv), name, cpus=cpus)

    def read(self, *patterns: str) -> dict[str, str]:
        """Where the first process is asked for, that is the container's."""
        there = f"/proc/{self.pid}/"
        found = self.outer.read(*(self._there(pattern) for pattern in patterns))
        return {path.replace(there, OWN, 1): text for path, text in found.items()}

    def has(self, path: str) -> bool:
        """The Docker host's."""
        return self.outer.has(self._there(path))

    def put(self, path: str, content: Iterable[bytes]) -> None:
        """The Docker host's."""
        self.outer.put(path, content)

    def get(self, path: str) -> Path:
        """The Docker host's."""
        return self.outer.get(path)

    def namespace(self, pid: int, kind: str = "net") -> int:
        """Of the first process, the container's."""
        return self.outer.namespace(self.pid if pid == 1 else pid, kind)

    def numbered_here(self, program: str) -> list[int]:
        """The Docker host's."""
        return self.outer.numbered_here(program)

    def local_socket(self, path: str) -> Path:
        """The Docker host's."""
        return self.outer.local_socket(path)

    def monotonic_ns(self) -> int:
        """The Docker host's."""
        return self.outer.monotonic_ns()

    def _there(self, path: str) -> str:
        return path.replace(OWN, f"/proc/{self.pid}/", 1) if path.startswith(OWN) else path

    def _entered(self, argv: Sequence[str]) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "--net", *argv]
