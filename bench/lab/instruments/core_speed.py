"""What this machine's cores give: how long they stand still, and how fast they are when they do not."""

import gc
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter_ns

from bench import interrupts

SMALLEST_NS = 50_000
"""A gap worth keeping. Two readings are 0.1 us apart, and an interrupt's work takes some microseconds."""

PART_S = 0.5
"""Watched at a time."""

LOOP = range(10_000)
TRIES = 3
"""Of the fixed work, the fastest of which counts: a pause or an interrupt in it is no slow core."""


def time_fixed_work() -> float:
    """Microseconds that a fixed loop takes on the slowest of the cores that this thread may use.

    Its frequency, throttling, and what another does on the same physical core all show in it, on a
    virtual machine too, which is told none of them. Takes about a millisecond a core.
    """
    cores = os.sched_getaffinity(0)
    try:
        return max(map(_time_on, cores))
    finally:
        os.sched_setaffinity(0, cores)


def _time_on(core: int) -> float:
    os.sched_setaffinity(0, {core})
    return min(_time_loop() for _ in range(TRIES))


def _time_loop() -> float:
    begun, total = perf_counter_ns(), 0
    for number in LOOP:
        total += number
    return (perf_counter_ns() - begun) / 1e3


def measure_pauses(cores: list[int], seconds: float) -> list[list[float]]:
    """Milliseconds of every gap of each of `cores`, all watched at the same time for `seconds`."""
    gaps_ms: list[list[float]] = [[] for _ in cores]
    # Ctrl-C is this process's to see, between two parts: while they watch, nothing else runs.
    with ProcessPoolExecutor(len(cores), get_context("spawn"), _ignore_ctrl_c) as watchers:
        for _ in range(max(round(seconds / PART_S), 1)):
            interrupts.check()
            parts = watchers.map(_watch, cores, [min(PART_S, seconds)] * len(cores))
            for gaps, part in zip(gaps_ms, parts, strict=True):
                gaps.extend(part)
    return gaps_ms


def _ignore_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _watch(core: int, seconds: float) -> list[float]:
    os.sched_setaffinity(0, {core})
    gc.disable()
    gaps_ms = []
    before = perf_counter_ns()
    end = before + int(seconds * 1e9)
    while before < end:
        now = perf_counter_ns()
        if now - before >= SMALLEST_NS:
            gaps_ms.append((now - before) / 1e6)
        before = now
    return gaps_ms
