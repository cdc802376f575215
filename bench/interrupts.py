"""An interrupt is a request: noted when it comes, looked at where it can be borne.

SIGINT, SIGTERM and SIGHUP ask for the end. An exception raised by their handler would come between any
two bytecodes: where a lock changes hands, so that the next wait hangs for ever, or in a finaliser, where
it is lost. So the handler notes the request and nothing else; `check` raises Interrupted, and so does
every wait of this module (docs/decisions/0018).

While nothing is `held` there is nothing to take back, and a request ends the process at once.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from bench.errors import ExitCode, Interrupted

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONE_WISH_S = 0.3
"""Signals within it are one request: a terminal that closes sends two, and so may who stops a service."""
AT_ONCE = 3
"""The request that ends the process at once. The second cuts short what tidies up; so far it can wait."""
SLICE_S = 0.2
"""Of a wait in another thread than the main one, which the kernel wakes for no signal."""


@dataclass
class _State:
    """Signals are the process's, and so is this."""

    asked: int = 0
    """Requests so far."""
    told: int = 0
    """Of them, those for which Interrupted was raised in the main thread."""
    last_s: float = float("-inf")
    held: int = 0
    wake: int = -1
    """Readable as soon as a signal has come, before its handler has run. -1: nothing is heeded."""


_state = _State()


def heed() -> None:
    """Take the three signals as requests from here on. For the main thread of a process of bench's own."""
    _state.wake, notice = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(notice, warn_on_full_buffer=False)
    for each in ENDING:
        # nohup ignores the hang-up for its command, and it stays so.
        if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _note)


@contextmanager
def held() -> Iterator[None]:
    """What is made within is taken back within: requests wait until they are looked at.

    Raises Interrupted at its end where one came too late to be looked at before.
    """
    _state.held += 1
    try:
        yield
    finally:
        _state.held -= 1
    check()


def check() -> None:
    """Raise Interrupted where the end was asked for and it was not raised yet."""
    if threading.current_thread() is not threading.main_thread():
        if _state.asked:
            raise Interrupted
    elif _state.told < _state.asked:
        _state.told = _state.asked
        raise Interrupted


def sleep(seconds: float) -> None:
    """Wait. Raises Interrupted."""
    _wait(None, seconds)


def wait_readable(file: int, timeout_s: float | None = None) -> bool:
    """Wait until `file` can be read; whether it can within `timeout_s`. Raises Interrupted."""
    return _wait(file, timeout_s)


def _wait(file: int | None, timeout_s: float | None) -> bool:
    end = None if timeout_s is None else time.monotonic() + timeout_s
    # Only the main thread empties the pipe: another might take what it is to see.
    is_main = threading.current_thread() is threading.main_thread()
    waiting = select.poll()
    if file is not None:
        waiting.register(file, select.POLLIN)
    if is_main and _state.wake >= 0:
        waiting.register(_state.wake, select.POLLIN)
    while True:
        check()
        left_s = None if end is None else max(end - time.monotonic(), 0)
        slice_s = left_s if is_main else min(SLICE_S, SLICE_S if left_s is None else left_s)
        ready = {number for number, _ in waiting.poll(None if slice_s is None else slice_s * 1e3)}
        if _state.wake in ready:
            with suppress(BlockingIOError):
                os.read(_state.wake, 4096)
        if file in ready:
            return True
        if left_s is not None and left_s <= (slice_s or 0) and not ready:
            return False


def _note(_number: int, _frame: FrameType | None) -> None:
    now = time.monotonic()
    if now - _state.last_s > ONE_WISH_S:
        _state.asked, _state.last_s = _state.asked + 1, now
    if not _state.held or _state.asked >= AT_ONCE:
        _end_at_once()


def _end_at_once() -> None:
    """Without a further line of Python: the kernel ends what was started, a journal tells what is left."""
    left = b" `bench clean` removes what is left on this machine." if _state.held else b""
    with suppress(OSError):  # The terminal may be gone.
        os.write(2, b"Interrupted." + left + b"\n")
    os._exit(ExitCode.INTERRUPTED)
