"""Waiting: on the monotonic clock, and looking at interrupts all the while."""

import select
import time
from collections.abc import Callable

from bench import interrupts

STEP_S = 0.005
SLICE_S = 0.2
"""Of a wait in another thread than the main one, which no signal wakes."""


def wait_until(happened: Callable[[], object], timeout_s: float, step_s: float = STEP_S) -> bool:
    """Ask `happened` every `step_s` until it says yes; whether it did within `timeout_s`.

    Raises Interrupted.
    """
    deadline = time.monotonic() + timeout_s
    while not happened():
        if time.monotonic() >= deadline:
            return False
        sleep(step_s)
    return True


def sleep(seconds: float) -> None:
    """Wait. Raises Interrupted."""
    _wait(None, seconds)


def wait_readable(file: int, timeout_s: float | None = None) -> bool:
    """Wait until `file` can be read; whether it can within `timeout_s`. Raises Interrupted."""
    return _wait(file, timeout_s)


def _wait(file: int | None, timeout_s: float | None) -> bool:
    end = None if timeout_s is None else time.monotonic() + timeout_s
    wake = interrupts.wake_file()
    watched = select.poll()
    for number in (file, wake):
        if number is not None:
            watched.register(number, select.POLLIN)
    while True:
        interrupts.check()
        left_s = None if end is None else max(end - time.monotonic(), 0)
        slice_s = left_s if wake is not None else min(SLICE_S, SLICE_S if left_s is None else left_s)
        ready = {number for number, _ in watched.poll(None if slice_s is None else slice_s * 1e3)}
        if file in ready:
            return True
        if wake in ready:
            interrupts.forget_waking()
        elif left_s is not None and left_s == slice_s:
            return False
