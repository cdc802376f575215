"""Busy shares of cores from two readings of /proc/stat."""

import time

from bench.procfs import busy_shares, read_cores


def test_a_core_is_busy_for_what_is_not_idle_of_its_time() -> None:
    before = {0: (100, 1_000), 1: (50, 1_000), 2: (0, 1_000)}
    after = {0: (150, 1_200), 1: (250, 1_200), 2: (0, 1_200)}
    assert busy_shares(before, after) == {0: 0.75, 1: 0.0, 2: 1.0}


def test_a_core_that_no_time_passed_on_has_no_share() -> None:
    assert busy_shares({0: (1, 1)}, {0: (1, 1)}) == {}
    assert busy_shares({0: (1, 1), 1: (1, 1)}, {0: (2, 2)}) == {0: 0.0}


def test_this_machines_cores_are_read() -> None:
    before = read_cores()
    time.sleep(0.05)
    assert before
    assert all(0 <= share <= 1 for share in busy_shares(before, read_cores()).values())
