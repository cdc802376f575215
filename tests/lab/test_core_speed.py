"""What a machine's cores give, on this machine's real ones."""

import os
import subprocess
import sys

from bench.lab.instruments.core_speed import measure_pauses, time_fixed_work

HOLD_MS, EVERY_MS = 60, 500
HOG = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
while True:
    end = time.monotonic() + float(sys.argv[2]) / 1000
    while time.monotonic() < end: pass
    time.sleep(float(sys.argv[3]) / 1000)
"""


def test_a_core_that_is_taken_away_shows_as_a_pause_of_that_core_as_long_as_it_was_gone() -> None:
    held, *_ = cores = sorted(os.sched_getaffinity(0))
    # Again and again, for nobody knows when the watchers, which are new processes, have begun.
    hog = subprocess.Popen([sys.executable, "-c", HOG, str(held), str(HOLD_MS), str(EVERY_MS)])
    try:
        gaps = measure_pauses(cores, 2.0)
    finally:
        hog.kill()
        hog.wait()
    assert len(gaps) == len(cores)
    assert max(gaps[0]) >= HOLD_MS * 0.8
    assert all(gap > 0 for one in gaps for gap in one)


def test_timing_fixed_work_leaves_the_thread_where_it_was() -> None:
    before = os.sched_getaffinity(0)
    assert time_fixed_work() > 0
    assert os.sched_getaffinity(0) == before
