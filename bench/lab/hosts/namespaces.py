"""A host as one process tree: network, mount, process, IPC and host-name namespaces of its own.

`unshare` makes them, and their init dies with the controller, taking the whole host along.
"""

import glob
import os
import shlex
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command
from bench.lab.hosts.host import LocalHandle, Program, pid_file
from bench.lab.hosts.journal import Journal
from bench.lab.hosts.leader import start_leader
from bench.lab.hosts.waiting import wait_until
from bench.scenario.modes.catalogue import UPLINK

READY_S = 10.0
DATA_SHARE = "50%"
"""Of the machine's memory, room for an engine's data: the built-in image takes 0.2 GB, the rest is untouched.
Who brings a larger image is told beforehand where it does not fit (own_image.py)."""
ENTER = ("--net", "--mount", "--pid", "--ipc", "--uts")


@dataclass(frozen=True)
class HostPlan:
    """A host before it exists. `addresses` carry their prefix length; `cpus` is a kernel cpu list."""

    name: str
    addresses: tuple[str, ...]
    cpus: str


@dataclass(frozen=True)
class NamespaceHost:
    """A living host of the lab: see the protocol `Host` for what its members promise."""

    name: str
    addresses: tuple[str, ...]
    cpus: str
    init_pid: int
    folder: Path
    """Of the machine's own file system, and visible inside the host as well."""

    @property
    def scratch(self) -> str:
        """The same path here and there."""
        return str(self.folder)

    @property
    def sysfs(self) -> str:
        """A mount of its own: a container in host mode mounts /sys read-only."""
        return "/run/sysfs"

    @property
    def uplink(self) -> str:
        """The lab gives all of them one name."""
        return UPLINK

    @property
    def roots(self) -> frozenset[int]:
        """Its init."""
        return frozenset({self.init_pid})

    @property
    def network_file(self) -> Path:
        """For setns(2)."""
        return Path(f"/proc/{self.init_pid}/ns/net")

    def on_cores(self, cpus: str) -> "NamespaceHost":
        """The same process tree."""
        return replace(self, cpus=cpus)

    def run(self, argv: Sequence[str], *, timeout_s: float = 60.0) -> str:
        """By nsenter, which takes two milliseconds."""
        return command.run(self._entered(argv, self.cpus), timeout_s=timeout_s)

    def attempt(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        environment: Mapping[str, str],
        text_in: str | None = None,
    ) -> command.Done:
        """By nsenter as well."""
        entered = self._entered(argv, self.cpus)
        return command.attempt(entered, timeout_s=timeout_s, environment=environment, text_in=text_in)

    def start(self, argv: Sequence[str], name: str, *, cpus: str | None = None) -> Program:
        """As the leader of a group of its own, with its process id in a file."""
        log = self.folder / f"{name}.log"

        def enter(inside: list[str]) -> list[str]:
            return self._entered(["setsid", *inside], cpus or self.cpus)

        outer = start_leader(argv, Path(pid_file(self, name)), log, enter)
        return Program(self, name, LocalHandle(outer, log))

    def read(self, *patterns: str) -> dict[str, str]:
        """Through /proc, so that nothing enters a namespace."""
        found = {}
        for pattern in patterns:
            inside = self._here(pattern)
            names = sorted(glob.glob(inside)) if glob.has_magic(pattern) else [inside]  # noqa: PTH207
            for name in names:
                try:
                    found["/" + name.removeprefix(self._here("/"))] = Path(name).read_text()
                except OSError:
                    continue  # It ended, or never was.
        return found

    def has(self, path: str) -> bool:
        """Through /proc."""
        return Path(self._here(path)).exists()

    def put(self, path: str, content: Iterable[bytes]) -> None:
        """Through /proc."""
        with Path(self._here(path)).open("wb") as stream:
            stream.writelines(content)

    def get(self, path: str) -> Path:
        """The file itself."""
        return Path(self._here(path))

    def namespace(self, pid: int, kind: str = "net") -> int:
        """By the inode of the process's own file."""
        return Path(self._here(f"/proc/{pid}/ns/{kind}")).stat().st_ino

    def numbered_here(self, program: str) -> list[int]:
        """Those whose process namespace is the host's."""
        own = Path(f"/proc/{self.init_pid}/ns/pid").stat().st_ino
        found = []
        for comm in Path("/proc").glob("[0-9]*/comm"):
            try:
                same = (comm.parent / "ns" / "pid").stat().st_ino == own
                if same and comm.read_text().strip() == program:
                    found.append(int(comm.parent.name))
            except OSError:
                continue  # It ended meanwhile.
        return found

    def local_socket(self, path: str) -> Path:
        """The socket itself."""
        return self.get(path)

    def monotonic_ns(self) -> int:
        """One kernel, one clock."""
        return time.monotonic_ns()

    def run_in_network(self, argv: Sequence[str]) -> str:
        """Standard output of `argv`, run in the host's network alone: process ids are the machine's."""
        return command.run(["nsenter", "-t", str(self.init_pid), "--net", *argv])

    def _here(self, path: str) -> str:
        return f"/proc/{self.init_pid}/root{path}"

    def _entered(self, argv: Sequence[str], cpus: str) -> list[str]:
        return ["nsenter", "-t", str(self.init_pid), *ENTER, "taskset", "-c", cpus, *argv]


@contextmanager
def namespace_host(plan: HostPlan, journal: Journal) -> Iterator[NamespaceHost]:
    """Start a host without links; end it and all that runs in it on the way out."""
    folder = journal.folder / plan.name
    (folder / "data").mkdir(parents=True)
    script = _set_up(plan.name, shlex.quote(str(folder)))
    own = [*ENTER, "--fork", "--kill-child", "--mount-proc"]
    outer = command.start(["unshare", *own, "tini", "-s", "--", "sh", "-c", script], log=folder / "init.log")
    try:
        journal.write_process(outer.pid, f"host {plan.name}")
        init_pid = _wait_for_init(outer, folder)
        journal.write_process(init_pid, f"init of host {plan.name}")
        try:
            yield NamespaceHost(plan.name, plan.addresses, plan.cpus, init_pid, folder)
        finally:
            # The end of a pid namespace's init is the end of all that is in it; unshare reaps it.
            os.kill(init_pid, signal.SIGKILL)
            outer.wait(READY_S)
    finally:
        _end(outer)


def _end(outer: command.Process) -> None:
    """End what is left of a host, one included that was interrupted before its init was known."""
    try:
        for child in _children(outer):
            os.kill(child, signal.SIGKILL)
            # unshare ends when it has reaped it, and only then its namespaces are gone.
            command.has_ended(outer, READY_S)
    finally:
        outer.kill()
        outer.wait()


def _children(outer: command.Process) -> list[int]:
    path = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    try:
        return [int(pid) for pid in path.read_text().split()]
    except OSError:
        return []  # It has ended.


def _set_up(name: str, folder: str) -> str:
    # An engine's data lies in memory: on a disk, writing back the image of 170 MB went on beside the
    # first ten seconds of slots and moved their p50 by a fifth.
    # A /run of its own hides the machine's containerd and docker sockets and the xtables lock. The
    # sysfs is mounted while it still may be written: a container in host mode mounts it read-only.
    return (
        "set -e; mount -t tmpfs -o mode=755 tmpfs /run; mkdir /run/sysfs /run/lock;"
        f" mount -t tmpfs -o mode=711,size={DATA_SHARE} tmpfs {folder}/data;"
        " mount -t sysfs sysfs /run/sysfs;"
        # Docker 28 looks in /sys for a container's link, and waits for 20 ms where it does not find it.
        " mkdir /run/cgroup; mount --rbind /sys/fs/cgroup /run/cgroup; mount -t sysfs sysfs /sys;"
        " mount --rbind /run/cgroup /sys/fs/cgroup; umount -l /run/cgroup; ip link set lo up;"
        # dockerd writes a key to /etc/docker, its containerd makes /opt/containerd: in memory, not there.
        " for tree in etc opt; do mkdir -p /run/written/$tree /run/work/$tree; mount -t overlay -o"
        " lowerdir=/$tree,upperdir=/run/written/$tree,workdir=/run/work/$tree written /$tree; done;"
        f" echo {name} > /proc/sys/kernel/hostname; touch {folder}/ready; exec sleep infinity"
    )


def _wait_for_init(outer: command.Process, folder: Path) -> int:
    wait_until(lambda: (folder / "ready").exists() or outer.poll() is not None, READY_S)
    if not (folder / "ready").exists():
        raise EnvironmentLacks(
            f"Starting the lab's host {folder.name}",
            f"its namespaces were not ready within {READY_S:g} s: {(folder / 'init.log').read_text()[-500:]}",
            "A lab needs root with the right to make namespaces and mounts (not an unprivileged container).",
        )
    return _children(outer)[0]
