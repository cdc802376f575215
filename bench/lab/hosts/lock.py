"""One measurement at a time on a machine: a lock that the kernel lets go with its holder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from bench import interrupts, paths
from bench.errors import EnvironmentLacks


@contextmanager
def machine_lock(holder: str) -> Iterator[None]:
    """Hold the one lock of this machine's lab; the kernel frees it when this process ends.

    Raises EnvironmentLacks, naming the holder, while another run has it: two loads on one
    machine would spoil each other. Whatever makes something on a machine does so under it, so an
    interrupt waits here until it is looked at.
    """
    with interrupts.held():
        yield from _lock(holder)


def _lock(holder: str) -> Iterator[None]:
    try:
        paths.STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(paths.STATE / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise EnvironmentLacks(
            f"Taking the lock of this machine's lab in {paths.STATE}",
            str(fault),
            "What a run makes is written down there: make room, and let it be written to.",
        ) from fault
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            other = os.pread(lock, 1000, 0).decode(errors="replace").strip() or "another process"
            raise EnvironmentLacks(
                "Taking the lock of this machine's lab",
                f"it is held by {other}",
                "Two measurements on one machine spoil each other: wait for that one to end, or stop it.",
            ) from fault
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{holder} (pid {os.getpid()})".encode(), 0)
        yield
        os.ftruncate(lock, 0)
    finally:
        os.close(lock)
