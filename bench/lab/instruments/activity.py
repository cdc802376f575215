"""How quiet the machine is: what ran beside the lab over an interval."""

import os
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.procfs import TICKS_PER_S, Process, Stat, parse_process, parse_stat

KTHREADD = 2
"""Parent of all kernel threads."""
WORTH_NAMING = 0.005
"""Core-share below which a process is not named."""


@dataclass(frozen=True)
class Activity:
    """What ran on the machine over an interval."""

    stray_cpu: dict[str, float]
    """`name (pid)` -> share of one core, of processes that are neither the lab's nor ours."""
    new_processes_per_s: float
    steal_share: float
    seconds: float
    slept_s: float
    """Of it, what the machine slept through: CLOCK_MONOTONIC does not count that, and CLOCK_BOOTTIME does."""


@dataclass(frozen=True)
class ActivityStart:
    """Counters at the start of an interval."""

    at_s: float
    asleep_s: float
    """Since the machine's boot."""
    processes: dict[int, Process]
    stat: Stat


def begin_activity() -> ActivityStart:
    """Read the counters from which `end_activity` takes the difference."""
    stat = _read_stat()
    return ActivityStart(time.monotonic(), _asleep_s(), _processes(), stat)


def end_activity(start: ActivityStart, own_pids: Iterable[int], own_names: Collection[str] = ()) -> Activity:
    """Activity since `start`. What descends from `own_pids`, or is called as one of `own_names`, is ours.

    Kernel threads are left out: those that are busy do the hosts' packet work.
    """
    seconds = time.monotonic() - start.at_s
    now = _processes()
    ours = {*own_pids, os.getpid(), KTHREADD}
    stray = {}
    for pid, process in now.items():
        before = start.processes[pid].cpu_ticks if pid in start.processes else 0
        share = (process.cpu_ticks - before) / TICKS_PER_S / seconds
        if share > WORTH_NAMING and not ours.intersection(_ancestry(pid, now)):
            name = _name(pid)
            if name not in own_names:
                stray[f"{name} ({pid})"] = share
    stat, cores = _read_stat(), os.cpu_count() or 1
    stolen = stat.whole.steal - start.stat.whole.steal
    return Activity(
        stray_cpu=stray,
        new_processes_per_s=(stat.forks - start.stat.forks) / seconds,
        steal_share=stolen / TICKS_PER_S / seconds / cores,
        seconds=seconds,
        slept_s=_asleep_s() - start.asleep_s,
    )


def _asleep_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


def _ancestry(pid: int, processes: dict[int, Process]) -> list[int]:
    """`pid` and its parents, as far as they are known."""
    line = [pid]
    while line[-1] in processes and processes[line[-1]].parent not in (0, line[-1]):
        line.append(processes[line[-1]].parent)
    return line


def _processes() -> dict[int, Process]:
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            found[int(folder.name)] = parse_process((folder / "stat").read_text())
        except OSError:
            continue  # It ended between the listing and the reading.
    return found


def _read_stat() -> Stat:
    return parse_stat(Path("/proc/stat").read_text())


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended"
