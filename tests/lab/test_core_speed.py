"""What a machine's cores give, on this machine's real ones."""

import os
import subprocess
import sys
import time
from threading import Thread

from bench.lab.instruments.core_speed import measure_pauses, time_fixed_work

HOLD_MS = 60
HOG = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
end = time.monotonic() + float(sys.argv[2]) / 1000
while time.monotonic() < end: pass
"""


def test_a_core_that_is_taken_away_shows_as_a_pause_of_that_core_as_long_as_it_was_gone() -> None:
    held, *_ = cores = sorted(os.sched_getaffinity(0))
    found: list[list[list[float]]] = []
    watch = Thread(target=lambda: found.append(measure_pauses(cores, 4.0)))
    watch.start()
    time.sleep(3.0)  # Watchers are new processes, which take a second to begin.
    subprocess.run([sys.executable, "-c", HOG, str(held), str(HOLD_MS)], check=True)
    watch.join()
    [gaps] = found
    assert len(gaps) == len(cores)
    assert max(gaps[0]) >= HOLD_MS * 0.8
    assert all(gap > 0 for one in gaps for gap in one)


def test_timing_fixed_work_leaves_the_thread_where_it_was() -> None:
    before = os.sched_getaffinity(0)
    assert time_fixed_work() > 0
    assert os.sched_getaffinity(0) == before
