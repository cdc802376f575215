"""A machine of a person's own as a host: what the protocol `Host` promises, by its agent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.lab.hosts.command import Done
from bench.lab.hosts.host import Program
from bench.lab.remote.agent_link import AgentLink, HostGone

SCRATCH = "/run/bench"
"""In the agent's container, in memory."""


@dataclass(frozen=True)
class RemoteHost:
    """See the protocol `Host` for what its members promise."""

    name: str
    addresses: tuple[str, ...]
    cpus: str
    uplink: str
    link: AgentLink
    folder: Path
    """Here, for what is fetched from there."""

    @property
    def scratch(self) -> str:
        """Of the agent's container."""
        return SCRATCH

    @property
    def sysfs(self) -> str:
        """The agent's container is privileged."""
        return "/sys"

    @property
    def roots(self) -> frozenset[int]:
        """The controller sees none of its processes."""
        return frozenset()

    @property
    def network_file(self) -> None:
        """Nobody here can enter it."""
        return

    def on_cores(self, cpus: str) -> "RemoteHost":
        """By the same agent."""
        return replace(self, cpus=cpus)

    def run(self, argv: Sequence[str], *, timeout_s: float = 60.0) -> str:
        """In the agent's container, which has the tools."""
        order = {"argv": self._placed(argv, self.cpus), "timeout_s": timeout_s}
        return str(self.link.ask("run", order, timeout_s=timeout_s))

    def attempt(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        environment: Mapping[str, str],
        text_in: str | None = None,
    ) -> Done:
        """There as well."""
        order = {
            "argv": self._placed(argv, self.cpus),
            "timeout_s": timeout_s,
            "environment": dict(environment),
            "text_in": text_in,
        }
        status, output = self.link.ask("attempt", order, timeout_s=timeout_s)
        return Done(status, output)

    def start(self, argv: Sequence[str], name: str, *, cpus: str | None = None) -> Program:
        """As a child of the agent, with which it ends."""
        self.link.ask("start", {"argv": self._placed(argv, cpus or self.cpus), "name": name})
        return Program(self, name, RemoteHandle(self.link, name))

    def read(self, *patterns: str) -> dict[str, str]:
        """In one order."""
        found: dict[str, str] = self.link.ask("read", {"patterns": patterns})
        return found

    def has(self, path: str) -> bool:
        """In the agent's container; what is of the machine, below /proc/1/root."""
        return bool(self.link.ask("has", {"path": path}))

    def put(self, path: str, content: Iterable[bytes]) -> None:
        """Whole."""
        self.link.ask("put", {"path": path}, body=b"".join(content))

    def get(self, path: str) -> Path:
        """A copy, new each time: who reads an older one keeps it."""
        here = self.folder / Path(path).name
        here.unlink(missing_ok=True)
        here.write_bytes(self.link.ask("get", {"path": path}) or b"")
        return here

    def namespace(self, pid: int, kind: str = "net") -> int:
        """By the inode of the process's own file."""
        return int(self.link.ask("namespace", {"pid": pid, "kind": kind}))

    def numbered_here(self, program: str) -> list[int]:  # noqa: ARG002 - the protocol's
        """None is numbered here."""
        return []

    def local_socket(self, path: str) -> Path:
        """Nothing of the machine is reached but its engine, whose socket is the connection's own."""
        raise NotImplementedError(f"a socket of {self.name}: {path}")

    def monotonic_ns(self) -> int:
        """Its own, as the question reached it."""
        return int(self.link.ask("clock")["monotonic_ns"])

    @staticmethod
    def _placed(argv: Sequence[str], cpus: str) -> list[str]:
        return ["taskset", "-c", cpus, *argv]


@dataclass(frozen=True)
class RemoteHandle:
    """What stands for a program of the agent's."""

    link: AgentLink
    name: str

    @property
    def is_alive(self) -> bool:
        """No program outlives its agent."""
        try:
            return bool(self.link.ask("is_alive", {"name": self.name}))
        except HostGone:
            return False

    def ends(self, timeout_s: float) -> bool:
        """Asked once; the agent waits."""
        order = {"name": self.name, "timeout_s": timeout_s}
        return bool(self.link.ask("ends", order, timeout_s=timeout_s))

    def let_go(self) -> None:
        """Idempotent; a host that is gone has nothing to let go."""
        if self.link.is_alive:
            self.link.ask("let_go", {"name": self.name}, timeout_s=30.0)

    def read_log(self) -> str:
        """Empty where the host is gone."""
        try:
            found: dict[str, str] = self.link.ask("read", {"patterns": [f"{SCRATCH}/{self.name}.log"]})
        except HostGone:
            return ""
        return "".join(found.values())
