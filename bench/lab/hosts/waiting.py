"""Waiting for something to become so: on the monotonic clock, and never for ever."""

import time
from collections.abc import Callable

STEP_S = 0.005


def wait_until(happened: Callable[[], object], timeout_s: float, step_s: float = STEP_S) -> bool:
    """Ask `happened` every `step_s` until it says yes; whether it did within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not happened():
        if time.monotonic() >= deadline:
            return False
        time.sleep(step_s)
    return True
