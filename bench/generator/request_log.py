"""Where the load path keeps its records: a file that is mapped, a stretch at a time, as they come."""

import mmap
import os
import weakref
from contextlib import suppress
from pathlib import Path

import numpy as np

from bench.slots.requests import RECORD, RECORD_DTYPE

CHUNK_BYTES = 16_384 * RECORD.size
POPULATE_WRITE = 23
"""MADV_POPULATE_WRITE (madvise(2), Linux 5.14): have the pages now, not one by one as records come."""


class RequestLog:
    """Records of all requests, in the order in which they ended.

    They exist once, in the pages of a file: one without a name, or `path`, which the controller maps too.
    Room on the disk is taken before it is written to: a full disk is an OSError and no SIGBUS.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path:
            path.unlink(missing_ok=True)  # Who still maps the last one keeps it.
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        else:
            self._file = os.memfd_create("requests")
        self._close = weakref.finalize(self, os.close, self._file)
        self._has_name = path is not None
        self._chunk: mmap.mmap | bytes = b""
        self._first = 0
        """Byte of the file at which the chunk begins."""
        self._end = 0
        """Byte of the file at which the next record begins."""

    def __len__(self) -> int:
        return self._end // RECORD.size

    def write(self, *record: int) -> None:
        """Keep one request: the values of RECORD_DTYPE in order."""
        offset = self._end - self._first
        if offset + RECORD.size > len(self._chunk):
            self._map_more()
            offset = self._end - self._first
        RECORD.pack_into(self._chunk, offset, *record)
        self._end += RECORD.size

    def room(self, at_least: int) -> tuple[int, int]:
        """(address of the next record, how many fit there, `at_least` so many); `wrote` says what came."""
        if self._end - self._first + at_least * RECORD.size > len(self._chunk):
            self._map_more()
        begin = np.frombuffer(self._chunk, np.uint8).ctypes.data + self._end - self._first
        return begin, (len(self._chunk) - self._end + self._first) // RECORD.size

    def wrote(self, count: int) -> None:
        """So many records were written from the address that `room` gave."""
        self._end += count * RECORD.size

    def records(self) -> np.ndarray:
        """All requests so far (RECORD_DTYPE, read-only): the file's own pages, not a copy."""
        if not self._end:
            return np.zeros(0, RECORD_DTYPE)
        return np.frombuffer(mmap.mmap(self._file, self._end, prot=mmap.PROT_READ), RECORD_DTYPE)

    def finish(self) -> None:
        """Cut the file to its records. There will be no more."""
        self._chunk = b""
        os.ftruncate(self._file, self._end)

    def _map_more(self) -> None:
        page = mmap.ALLOCATIONGRANULARITY
        self._first = self._end // page * page
        length = page + CHUNK_BYTES
        if self._has_name:
            os.posix_fallocate(self._file, self._first, length)
        else:
            os.ftruncate(self._file, self._first + length)
        chunk = mmap.mmap(self._file, length, offset=self._first)
        if self._has_name:
            with suppress(OSError):  # An older kernel: they come one by one.
                chunk.madvise(POPULATE_WRITE)
        self._chunk = chunk


def read_records(path: Path) -> np.ndarray:
    """The records that a finished log left in `path` (RECORD_DTYPE, read-only): mapped, not copied."""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if not size:
            return np.zeros(0, RECORD_DTYPE)
        return np.frombuffer(mmap.mmap(stream.fileno(), size, prot=mmap.PROT_READ), RECORD_DTYPE)
