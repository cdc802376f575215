"""How long this machine's cores stand still, seen from a program that only reads the clock."""

import gc
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter_ns

SMALLEST_NS = 50_000
"""A gap worth keeping. Two readings are 0.1 us apart, and an interrupt's work takes some microseconds."""


def measure_pauses(cores: list[int], seconds: float) -> list[list[float]]:
    """Milliseconds of every gap of each of `cores`, all watched at the same time for `seconds`."""
    with ProcessPoolExecutor(len(cores), mp_context=get_context("spawn")) as watchers:
        return list(watchers.map(_watch, cores, [seconds] * len(cores)))


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
