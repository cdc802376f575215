"""What the kernel's files of CPU time say: one parser a file, text in, numbers out.

Two ways of counting meet in them. Exact: a core's idle time, which the kernel stamps as the core goes
idle and back (and counts in 10 ms), and the run time of processes and control groups, stamped as they
are switched. Sampled: user, system, irq, softirq and steal, where each tick (4 ms at 250 Hz) counts
whole for what it happens to interrupt. See docs/decisions/0015-cpu-per-request.md.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
"""USER_HZ: the unit of every time in /proc/stat and /proc/<pid>/stat, whatever the kernel's own tick."""
TICK_US = 1e6 / TICKS_PER_S


class CoreTime(NamedTuple):
    """Columns of a core's line in /proc/stat, in clock ticks since the machine's start.

    A guest's time, in two more columns, is in `user` and `nice` already.
    """

    user: int
    nice: int
    system: int
    idle: int
    iowait: int
    """Idle while something waits for a disk. It may go back: no core waits, tasks do (proc_stat(5))."""
    irq: int
    softirq: int
    steal: int
    """What a hypervisor took: the core was not ours."""

    @property
    def unused(self) -> int:
        """Waiting for a disk is idle too."""
        return self.idle + self.iowait

    @property
    def spare(self) -> int:
        """`unused`, and what niced processes took, as the loop is that keeps a core awake: they take what
        nobody else wants."""
        return self.unused + self.nice

    @property
    def ours(self) -> int:
        """All of it but what was stolen."""
        return sum(self) - self.steal


@dataclass(frozen=True, kw_only=True)
class Stat:
    """The text of /proc/stat."""

    whole: CoreTime
    """Of all cores together."""
    cores: Mapping[int, CoreTime]
    """By the core's number."""
    context_switches: int
    forks: int
    """Processes and threads that were started."""


def parse_stat(text: str) -> Stat:
    """/proc/stat: Documentation/filesystems/proc.rst, 1.7; fs/proc/stat.c, show_stat()."""
    lines = {line.split()[0]: [int(word) for word in line.split()[1:]] for line in text.splitlines()}
    times = {name: CoreTime(*found[:8]) for name, found in lines.items() if name.startswith("cpu")}
    return Stat(
        whole=times.pop("cpu"),
        cores={int(name.removeprefix("cpu")): time for name, time in times.items()},
        context_switches=lines["ctxt"][0],
        forks=lines["processes"][0],
    )


def parse_net_rx(text: str) -> dict[int, int]:
    """/proc/softirqs, whose head names the cores: core -> times that it took up receive work."""
    head, *lines = text.splitlines()
    [counts] = [line.split()[1:] for line in lines if line.split()[0] == "NET_RX:"]
    cores = [int(name.removeprefix("CPU")) for name in head.split()]
    return dict(zip(cores, map(int, counts), strict=True))


class Process(NamedTuple):
    """The text of /proc/<pid>/stat."""

    state: str
    """R, S, D, ...; Z: it has ended, and its parent has not asked yet."""
    parent: int
    cpu_ticks: int
    """User and system of all of its threads, ended ones too; of its children nothing. The two are exact
    together: the kernel makes them add up to the time that the threads ran, and only divides it by what
    ticks saw (kernel/sched/cputime.c, cputime_adjust())."""
    started_ticks: int
    """After the machine's start."""

    @property
    def cpu_us(self) -> float:
        """`cpu_ticks` in microseconds."""
        return self.cpu_ticks * TICK_US


def parse_process(text: str) -> Process:
    """/proc/<pid>/stat: proc_pid_stat(5), fields 3, 4, 14, 15 and 22 (fs/proc/array.c, do_task_stat()).

    The second field, the program's name, may hold blanks and parentheses: the last one ends it.
    """
    fields = text.rpartition(")")[2].split()
    return Process(fields[0], int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[19]))


def parse_group_us(text: str) -> float:
    """Run time of a control group: cpuacct.usage (v1, ns: Documentation/admin-guide/cgroup-v1/cpuacct.rst),
    or usage_usec, the first line of cpu.stat (v2: Documentation/admin-guide/cgroup-v2.rst).
    """
    words = text.split()
    return int(words[1]) if words[0] == "usage_usec" else int(words[0]) / 1e3


def busy_shares(before: Mapping[int, CoreTime], after: Mapping[int, CoreTime]) -> dict[int, float]:
    """Core -> share of its own time between two readings in which anybody wanted it, 0 to 1.

    Without a core on which no tick passed. Waiting for a disk may go back, which makes more than all busy,
    or, with less of other time, less than nothing: neither can be.
    """
    shares = {}
    for core, then in before.items():
        if core in after and after[core].ours > then.ours:
            now = after[core]
            share = 1 - (now.spare - then.spare) / (now.ours - then.ours)
            shares[core] = min(max(share, 0.0), 1.0)
    return shares


LISTEN = "0A"
"""State of a listening socket (TCP_LISTEN of include/net/tcp_states.h)."""


def parse_listeners(text: str) -> Iterator[tuple[str, int]]:
    """(address, port) of each listening socket of /proc/PID/net/tcp or tcp6, as
    Documentation/networking/proc_net_tcp.rst has them: words of 32 bits in the machine's own byte order.
    """
    for line in text.splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if state == LISTEN:
            address, port = local.split(":")
            words = [bytes.fromhex(address[at : at + 8]) for at in range(0, len(address), 8)]
            packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
            yield str(ip_address(packed)), int(port, 16)


def parse_named_columns(text: str, protocol: str) -> dict[str, int]:
    """Name -> value of the two lines of `protocol` in /proc/PID/net/snmp or netstat: one of names, one of
    numbers."""
    names, values = [line.split()[1:] for line in text.splitlines() if line.startswith(f"{protocol}:")]
    return dict(zip(names, map(int, values), strict=True))


LIMITS = ("open files", "processes", "stack size", "locked memory", "core file size")


def parse_limits(text: str) -> Iterator[tuple[str, str]]:
    """Those of /proc/PID/limits that a server can meet (proc_pid_limits(5)), each as `1024 (hard 4096)`."""
    for line in text.splitlines():
        for name in LIMITS:
            if line.startswith(f"Max {name} "):
                soft, hard = line.removeprefix(f"Max {name} ").split()[:2]
                yield name, f"{soft} (hard {hard})"


def parse_memory_mb(text: str, field: str) -> float:
    """`Rss` or `Pss` of /proc/PID/smaps_rollup, in MB of 10^6 bytes (it says kB, and means 1,024 bytes);
    0 of a process that has ended."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024 / 1e6
    return 0.0


def available_memory(text: str) -> int:
    """Bytes that programs can have without swapping: MemAvailable of /proc/meminfo (proc_meminfo(5))."""
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable:"))
