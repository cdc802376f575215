"""Standard output and error as they may be: closed, full, a lost terminal, a pipe whose reader has gone."""

import errno
import io
import os
import sys
from typing import Any, TextIO

from bench.errors import EnvironmentLacks


class _Stream(io.FileIO):
    """A standard stream. What nobody reads any more is dropped, and the command goes on to its exit code.

    Where a `vital` one cannot take what it is to hold, EnvironmentLacks is raised, once.
    """

    def __init__(self, number: int, *, vital: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._vital, self._lost = vital, False
        # A terminal that is gone answers EIO, as a broken disk does.
        self._unread = (errno.EPIPE, errno.EIO) if self.isatty() else (errno.EPIPE,)

    def write(self, data: "bytes | memoryview", /) -> int | None:  # type: ignore[override]
        if not self._lost:
            try:
                return super().write(data)
            except OSError as fault:
                self._lost = True
                if self._vital and fault.errno not in self._unread:
                    raise EnvironmentLacks(
                        "Writing to standard output", str(fault), "Make room there, or send it elsewhere."
                    ) from fault
        return memoryview(data).nbytes


def open_streams() -> None:
    """Make standard output and error take whatever comes. Of a process of bench's own, before it prints."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Or the next file that is opened would get this number, and what is printed.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _open(1, sys.stdout, vital=True)
    sys.stderr = _open(2, sys.stderr, vital=False)


def _open(number: int, before: TextIO | None, *, vital: bool) -> TextIO:
    raw: Any = _Stream(number, vital=vital)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before else "utf-8",
        errors="backslashreplace",  # Of a terminal without Unicode.
        line_buffering=raw.isatty() or not vital,
    )
