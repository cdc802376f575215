"""How quiet the machine is: what ran beside the lab over an interval."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.edges.host import Host

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
WORTH_NAMING = 0.005
"""Core-share below which a process is not named."""


@dataclass(frozen=True)
class Activity:
    """What ran on the machine over an interval."""

    stray_cpu: dict[str, float]
    """`name (pid)` -> share of one core, of processes that are neither the lab's nor ours."""
    new_processes_per_s: float
    steal_share: float


@dataclass(frozen=True)
class ActivityStart:
    """Counters at the start of an interval."""

    at_s: float
    cpu_ticks: dict[int, int]
    forks: int
    steal_ticks: int


def begin_activity() -> ActivityStart:
    """Read the counters from which `end_activity` takes the difference."""
    forks, steal = _stat_counters()
    return ActivityStart(time.monotonic(), _cpu_ticks(), forks, steal)


def end_activity(start: ActivityStart, own_pids: Iterable[int], hosts: Iterable[Host]) -> Activity:
    """Activity since `start`. A process in a host's pid namespace is the lab's; so are `own_pids`.

    Kernel threads are left out: those that are busy do the lab's packet work.
    """
    seconds = time.monotonic() - start.at_s
    own = {*own_pids, os.getpid()}
    lab_namespaces = {_pid_namespace(host.init_pid) for host in hosts}
    stray = {}
    for pid, ticks in _cpu_ticks().items():
        share = (ticks - start.cpu_ticks.get(pid, 0)) / CLOCK_TICKS / seconds
        if share > WORTH_NAMING and pid not in own and _pid_namespace(pid) not in lab_namespaces:
            stray[f"{_name(pid)} ({pid})"] = share
    forks, steal = _stat_counters()
    cores = os.cpu_count() or 1
    return Activity(
        stray_cpu=stray,
        new_processes_per_s=(forks - start.forks) / seconds,
        steal_share=(steal - start.steal_ticks) / CLOCK_TICKS / seconds / cores,
    )


def _cpu_ticks() -> dict[int, int]:
    """CPU ticks (user and system, all threads) of every process but kernel threads."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[1] != "2" and folder.name != "2":  # Parent 2 is kthreadd.
            found[int(folder.name)] = int(fields[11]) + int(fields[12])
    return found


def _stat_counters() -> tuple[int, int]:
    lines = {line.split()[0]: line.split()[1:] for line in Path("/proc/stat").read_text().splitlines()}
    return int(lines["processes"][0]), int(lines["cpu"][7])


def _pid_namespace(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return None


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended"
