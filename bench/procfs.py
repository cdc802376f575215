"""How busy each core of the machine is over a load, its own process included."""

from pathlib import Path

IDLE, IOWAIT, STEAL = 3, 4, 7
"""Columns of a core's line in /proc/stat (proc(5)), in clock ticks; 8 and 9 are part of 0 and 1."""
COUNTED = 8


def read_cores() -> dict[int, tuple[int, int]]:
    """Core -> (idle ticks, all ticks) so far. Stolen time is neither: the core was not ours."""
    found = {}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *columns = line.split()
        if name.startswith("cpu") and name != "cpu":
            ticks = [int(column) for column in columns[:COUNTED]]
            found[int(name[3:])] = ticks[IDLE] + ticks[IOWAIT], sum(ticks) - ticks[STEAL]
    return found


def busy_shares(before: dict[int, tuple[int, int]], after: dict[int, tuple[int, int]]) -> dict[int, float]:
    """Core -> share of the time between two readings in which it was not idle; a tick is 10 ms."""
    return {
        core: 1 - (after[core][0] - idle) / (after[core][1] - ticks)
        for core, (idle, ticks) in before.items()
        if core in after and after[core][1] > ticks
    }
