"""The containerd of every engine of the lab, while nothing is asked of it."""

import re
import time
from itertools import pairwise
from pathlib import Path

from bench.measure.testbed import Bed

WINDOW_S = 0.5
WINDOWS = 8
FEW = 25
"""Switches in a window. One that looks for what to collect every 5 to 10 ms makes 50 to 400."""


def switches(process: int) -> int:
    """Times that a thread of `process` slept (proc_pid_status(5))."""
    text = "".join(path.read_text() for path in Path(f"/proc/{process}/task").glob("*/status"))
    return sum(map(int, re.findall(r"^voluntary\w+:\s+(\d+)", text, re.MULTILINE)))


def fewest_switches(processes: list[int]) -> dict[int, int]:
    """Process -> the fewest of any window: an engine has work now and then."""
    counts = []
    for _ in range(WINDOWS + 1):
        counts.append([switches(process) for process in processes])
        time.sleep(WINDOW_S)
    windows = [[b - a for a, b in zip(*pair, strict=True)] for pair in pairwise(counts)]
    return dict(zip(processes, map(min, zip(*windows, strict=True)), strict=True))


def test_the_containerd_of_no_engine_looks_all_the_time_for_what_it_could_collect(bed: Bed) -> None:
    found = {name: bed.lab.docker[name].numbered_here("containerd") for name in bed.engines}
    assert all(len(processes) == 1 for processes in found.values()), found
    fewest = fewest_switches([process for [process] in found.values()])
    assert all(count < FEW for count in fewest.values()), f"{found} {fewest}"
