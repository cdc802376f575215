"""Busy shares of cores from two readings of /proc/stat."""

import os
import time

from bench.procfs import busy_shares, read_cores


def test_a_core_is_busy_for_what_is_not_idle_of_its_time() -> None:
    before = {0: (100, 1_000), 1: (50, 1_000), 2: (0, 1_000)}
    after = {0: (150, 1_200), 1: (250, 1_200), 2: (0, 1_200)}
    assert busy_shares(before, after) == {0: 0.75, 1: 0.0, 2: 1.0}


def test_a_core_that_no_time_passed_on_has_no_share() -> None:
    assert busy_shares({0: (1, 1)}, {0: (1, 1)}) == {}
    assert busy_shares({0: (1, 1), 1: (1, 1)}, {0: (2, 2)}) == {0: 0.0}


def test_a_core_of_this_machine_that_works_is_read_as_busy() -> None:
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        before, until = read_cores(), time.thread_time() + 0.2
        while time.thread_time() < until:
            pass
        after = read_cores()
    finally:
        os.sched_setaffinity(0, cores)
    assert before.keys() == after.keys() >= cores
    # Of at least 20 ticks, one at either end may be counted for what happened outside of them.
    assert busy_shares(before, after)[min(cores)] >= 0.9
