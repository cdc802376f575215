"""Idle states of the cores, held off for as long as something is measured."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command
from bench.lab.hosts.journal import CGROUP_ROOT, Journal
from bench.lab.hosts.machine import IDLE_DRIVER
from bench.lab.hosts.waiting import wait_until

CPU_DMA_LATENCY = Path("/dev/cpu_dma_latency")
READY_S = 5.0
LOOP = """import os
while True:
    for _ in range(500): pass
    os.sched_yield()
"""


class IdleStates(StrEnum):
    """What idle cores do, the worst first. The words stand in the evidence of slots."""

    FREE = "free"
    LOOPED = "held by a loop"
    """They are never idle: a process on each takes what nobody else wants."""
    HELD = "held"
    """They wait awake."""


@contextmanager
def hold_idle_states(loops: Journal | None) -> Iterator[IdleStates]:
    """Keep the cores out of their idle states for the duration; yields what they do.

    Linux's PM QoS: 0 us written to /dev/cpu_dma_latency holds for as long as the file is open, so
    it ends with this process whatever happens (Documentation/power/pm_qos_interface.rst). Where no driver
    heeds it, by a loop on each core, whose control group is in the journal `loops`; None: not by loops.
    """
    with ExitStack() as stack:
        idle = IdleStates.FREE
        try:
            if _has_driver():
                _request(stack)
                idle = IdleStates.HELD
            elif loops:
                group = _make_idle_group(loops)
                started = [_loop(core, group, stack) for core in os.sched_getaffinity(0)]
                _require_looping(started)
                idle = IdleStates.LOOPED
        except (OSError, EnvironmentLacks):
            stack.close()
        yield idle


def _has_driver() -> bool:
    """Whether anybody heeds `CPU_DMA_LATENCY`."""
    try:
        return IDLE_DRIVER.read_text().strip() != "none"
    except OSError:
        return False


def _request(stack: ExitStack) -> None:
    request = os.open(CPU_DMA_LATENCY, os.O_WRONLY | os.O_CLOEXEC)
    stack.callback(os.close, request)
    os.write(request, (0).to_bytes(4, "little"))


def _make_idle_group(journal: Journal) -> Path:
    """A control group that gets what no other wants (`cpu.idle`, Linux 5.15 on); both versions have it.

    A policy of the process's own would not do: the scheduler weighs groups first, and without a control group
    a session is one (sched(7), autogroup). Measured with SCHED_IDLE alone: p99 of 3.5 ms in place of 0.2 ms.
    """
    name = f"bench-{journal.run_id}-awake"
    version_1 = CGROUP_ROOT / "cpu"
    group = (version_1 if version_1.is_dir() else CGROUP_ROOT) / name
    if not group.exists():
        journal.write("cgroup", name=name)
        group.mkdir()
    (group / "cpu.idle").write_text("1")
    return group


def _loop(core: int, group: Path, stack: ExitStack) -> command.Process:
    """By its nice value it is told apart in /proc/stat.

    It offers its core every few microseconds (sched_yield(2)). The scheduler picks it, the least of all,
    where the only other that could run has just had more than its share, and would take it off at the next
    tick, 4 ms later: with a third process that sleeps and wakes, 14 % of requests' time (decision 32).
    It counts in between, for each offer takes the lock that whoever wakes here needs.
    """
    process = command.start(
        ["nice", "-n", "19", "taskset", "--cpu-list", str(core), sys.executable, "-I", "-S", "-c", LOOP]
    )
    stack.callback(command.stop, process)
    (group / "cgroup.procs").write_text(str(process.pid))
    return process


def _require_looping(processes: list[command.Process]) -> None:
    """Wait until each is the interpreter that loops. Raises OSError where one does not become that."""
    wanted = Path(sys.executable).name[:15] + "\n"  # As much of a name as the kernel keeps.
    names = [Path(f"/proc/{process.pid}/comm") for process in processes]
    if not wait_until(lambda: all(name.read_text() == wanted for name in names), READY_S, step_s=0.001):
        raise OSError("a loop that keeps a core awake did not begin")
