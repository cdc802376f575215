"""Idle states of the cores, held off for as long as something is measured."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CPU_DMA_LATENCY = Path("/dev/cpu_dma_latency")


@contextmanager
def hold_idle_states(wanted: bool) -> Iterator[bool]:
    """Keep the cores out of their idle states for the duration; yields whether they are held.

    Linux's PM QoS: 0 us written to /dev/cpu_dma_latency holds for as long as the file is open, so
    it ends with this process whatever happens (Documentation/power/pm_qos_interface.rst).
    """
    if not wanted:
        yield False
        return
    try:
        request = os.open(CPU_DMA_LATENCY, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        yield _writes(request)
    finally:
        os.close(request)


def _writes(request: int) -> bool:
    try:
        return os.write(request, (0).to_bytes(4, "little")) == 4
    except OSError:
        return False
