"""Idle states of the cores, held off for as long as something is measured."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command
from bench.lab.hosts.waiting import wait_until

CPU_DMA_LATENCY = Path("/dev/cpu_dma_latency")
DRIVER = Path("/sys/devices/system/cpu/cpuidle/current_driver")
"""Who puts idle cores to sleep, and reads what is written to `CPU_DMA_LATENCY`: `none` where nobody does
(Documentation/admin-guide/pm/cpuidle.rst), as in a virtual machine, whose idle cores are its hypervisor's."""
READY_S = 5.0


class IdleStates(StrEnum):
    """What idle cores do, the least first. The words stand in the evidence of slots."""

    FREE = "free"
    LOOPED = "held by a loop"
    """A process on each that takes what nobody else wants: the core never becomes idle."""
    HELD = "held"
    """They wait awake, and are idle."""


@contextmanager
def hold_idle_states(*, by_loop: bool) -> Iterator[IdleStates]:
    """Keep the cores out of their idle states for the duration; yields what they do.

    Linux's PM QoS: 0 us written to /dev/cpu_dma_latency holds for as long as the file is open, so
    it ends with this process whatever happens (Documentation/power/pm_qos_interface.rst). Where no driver
    reads it, and `by_loop`, a loop on each core, which ends with this thread.
    """
    with ExitStack() as stack:
        try:
            if _has_driver():
                stack.callback(os.close, _request())
                held = IdleStates.HELD
            elif by_loop:
                for core in os.sched_getaffinity(0):
                    _loop(core, stack)
                held = IdleStates.LOOPED
            else:
                held = IdleStates.FREE
        except (OSError, EnvironmentLacks):
            stack.close()
            held = IdleStates.FREE
        yield held


def _has_driver() -> bool:
    try:
        return DRIVER.read_text().strip() != "none"
    except OSError:
        return False


def _request() -> int:
    request = os.open(CPU_DMA_LATENCY, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(request, (0).to_bytes(4, "little"))
    except OSError:
        os.close(request)
        raise
    return request


def _loop(core: int, stack: ExitStack) -> None:
    """Of SCHED_IDLE (sched(7)): whoever wakes up on the core displaces it. /proc/stat counts it as `nice`."""
    least = ["nice", "-n", "19", "chrt", "--idle", "0", "taskset", "--cpu-list", str(core)]
    process = command.start([*least, "sh", "-c", "while :; do :; done"])
    stack.callback(command.stop, process)
    name = Path(f"/proc/{process.pid}/comm")
    wait_until(lambda: name.read_text() == "sh\n" or process.poll() is not None, READY_S, step_s=0.001)
    if process.poll() is not None:
        raise OSError(f"no loop on core {core}")
