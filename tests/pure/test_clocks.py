"""A clock that somebody sets must move no figure: how long anything took is asked of another one."""

from pathlib import Path

import bench

SETTABLE = ("time.time()", "time.time_ns()", "CLOCK_REALTIME)")
OFFSETS = ("- time.monotonic_ns()",)
"""What joins a stamp for people to a clock that counts."""


def test_no_time_that_passed_is_asked_of_a_clock_that_can_be_set() -> None:
    asking = [
        f"{path.name}: {line.strip()}"
        for path in Path(bench.__file__).parent.rglob("*.py")
        for line in path.read_text().splitlines()
        if any(clock in line for clock in SETTABLE) and not any(offset in line for offset in OFFSETS)
    ]

    assert asking == []
