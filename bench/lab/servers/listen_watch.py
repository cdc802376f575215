"""When containers begin to listen: looked at on this machine, from their first process on.

What Docker says of a container comes later than that, the later the more of them are started.
"""

from pathlib import Path

from bench.lab.hosts.host import Host, network_of
from bench.lab.servers.listening import read_listeners
from bench.procfs import parse_listeners

CGROUPS = Path("/sys/fs/cgroup")
TABLES = ("tcp", "tcp6")


class ListenWatch:
    """The containers of one engine of the lab's, whose control groups are all in `cgroup`."""

    def __init__(self, host: Host, cgroup: str) -> None:
        groups = (CGROUPS / "pids" / cgroup, CGROUPS / cgroup)  # Of version 1, and of version 2.
        self._group = next((group for group in groups if cgroup and group.exists()), None)
        self._host, self._host_network = host, network_of(host)

    def host_ports(self) -> set[int]:
        """Ports that are listened on in the Docker host's own network."""
        return {port for _, port in read_listeners(self._host, 1)}

    def ports(self, container: str, pid: int) -> set[int]:
        """Ports that are listened on in the network of a container, by its id; none before it has one.

        `pid`: of its first process, as its host numbers them, where that is known; needed only where the
        engine's containers have no control group in common.
        """
        if self._group is None:
            return {port for _, port in read_listeners(self._host, pid)} if pid else set()
        try:
            processes = (self._group / container / "cgroup.procs").read_text().split()
            # What is to become the container begins in its host's network.
            process = Path("/proc") / processes[0]
            if (process / "ns" / "net").stat().st_ino == self._host_network:
                return set()
            tables = [process / "net" / table for table in TABLES]
            texts = [table.read_text() for table in tables if table.exists()]
        except (OSError, IndexError):
            return set()  # Not begun yet, or it has ended.
        return {port for text in texts for _, port in parse_listeners(text)}
