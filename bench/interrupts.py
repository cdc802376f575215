"""An interrupt is a request: noted when it comes, looked at where it can be borne.

SIGINT, SIGTERM and SIGHUP ask for the end. An exception raised by their handler would come between any
two bytecodes: where a lock changes hands, so that the next wait hangs for ever, or in a finaliser, where
it is lost. So the handler notes the request and nothing else; `check` raises Interrupted, and whatever
waits for a program, an answer or a time looks at it (bench/lab/hosts/waiting.py; docs/decisions/0018).

While nothing is `held` there is nothing to take back, and a request ends the process at once.
"""

import os
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


def heed_no_more() -> None:
    """Let no signal alter how this process ends, which is decided.

    The interpreter gives signals that a handler had back to the kernel while it takes itself apart, and one
    that came then would be the exit code.
    """
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)


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


def wake_file() -> int | None:
    """What a wait of this thread watches beside its own file: readable as soon as a signal has come.

    None in another thread than the main one, and where nothing is heeded.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return _state.wake if is_main and _state.wake >= 0 else None


def forget_waking() -> None:
    """Let `wake_file` wake nobody before the next signal."""
    with suppress(BlockingIOError):
        os.read(_state.wake, 4096)


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
        # A bar hides the cursor for as long as it is drawn.
        os.write(2, b"Interrupted." + left + (b"\x1b[?25h\n" if os.isatty(2) else b"\n"))
    os._exit(ExitCode.INTERRUPTED)
