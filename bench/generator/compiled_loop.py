"""The compiled loop (loop.c) behind the interface of the Python loops, which are its oracle.

It is compiled on first use (docs/decisions/0022). ctypes releases the interpreter's lock during a call.
Imported before Locust, as closed_loop is.
"""

import ctypes
import os
import shutil
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from bench.errors import EnvironmentLacks
from bench.generator import open_loop
from bench.generator.answer import BUFFER_BYTES
from bench.generator.asks import Asked, Mix
from bench.generator.chunks import SIZE_DIGITS, SKIPPED_BYTES
from bench.generator.closed_loop import POLL_S, YIELD_NS
from bench.generator.connecting import CONNECT_S, Destination, connect, connect_many
from bench.generator.looking import LONGEST_LOOK_NS
from bench.generator.request_log import RequestLog
from bench.lab.hosts.compiler import compile_once
from bench.paths import CACHE
from bench.slots.requests import NO_CONNECTION, RECORD, STALL_NS
from bench.wire.exchanges import ID_DIGITS

SOURCE = Path(__file__).with_name("loop.c")
MACROS = {
    "BUFFER_BYTES": BUFFER_BYTES,
    "POLL_MS": round(POLL_S * 1e3),
    "SPIN_NS": open_loop.SPIN_NS,
    "LONGEST_LOOK_NS": LONGEST_LOOK_NS,
    "PAUSE_ROOM_NS": open_loop.PAUSE_ROOM_NS,
    "PAUSE_OVERDUE_NS": open_loop.PAUSE_OVERDUE_NS,
    "ID_DIGITS": ID_DIGITS,
    "SIZE_DIGITS": SIZE_DIGITS,
    "SKIPPED_BYTES": SKIPPED_BYTES,
    "NO_CONNECTION": NO_CONNECTION,
    "STALL_NS": STALL_NS,
}
"""What both loops go by, said once."""
FLAGS = ("-std=gnu11", "-O2", "-shared", "-fPIC", *(f"-D{name}={value}" for name, value in MACROS.items()))
ROOM = 2
"""Records that a step of the loop may write: `is_full` in loop.c."""
DONE, PAUSE, FULL, BROKEN = range(4)
"""Why a call of `turn` ended; anything else: an error of the operating system."""


class ResponseHead(ctypes.Structure):
    """`struct head`: what `parse_head` fills."""

    _fields_ = (("status", ctypes.c_int), ("closes", ctypes.c_int), ("length", ctypes.c_int64))


class _Shared(ctypes.Structure):
    """Begin of `struct loop`: what is read and written between two calls."""

    _fields_ = (
        ("next", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("pause_at_ns", ctypes.c_int64),
        ("arrivals", ctypes.c_uint64),
        ("arrivals_count", ctypes.c_int64),
        ("taken", ctypes.c_int64),
        ("limit", ctypes.c_int64),
        ("first_number", ctypes.c_int64),
        ("number_step", ctypes.c_int64),
        ("order", ctypes.c_uint64),
        ("order_length", ctypes.c_int64),
        ("order_at", ctypes.c_int64),
        ("draining", ctypes.c_int64),
        ("think_ns", ctypes.c_int64),
        ("to_wake", ctypes.c_int64),
        ("idle", ctypes.c_int64),
        ("opened", ctypes.c_int64),
        ("without_port", ctypes.c_int64),
        ("spun_ns", ctypes.c_int64),
        ("broken", ctypes.c_int64),
        ("error", ctypes.c_int64),
    )


@dataclass(frozen=True)
class Library:
    """The compiled loop, or why there is none."""

    functions: ctypes.CDLL | None
    lacks: str = ""


@cache
def provide_library(folder: Path = CACHE) -> Library:
    """Compile and load the loop, once a process; where that cannot be done, the Python loop does the work."""
    if sys.byteorder != "little" or struct.calcsize("P") != 8:
        return Library(None, "this is no 64-bit little-endian machine")
    try:
        made = compile_once(SOURCE, FLAGS, folder)
        functions = load_library(made)
    except EnvironmentLacks as fault:
        return Library(None, f"cc: {fault.seen.splitlines()[0]}")
    except OSError as fault:
        return Library(None, str(fault))
    if made.parent != folder:
        shutil.rmtree(made.parent)
    return Library(functions)


def load_library(made: Path) -> ctypes.CDLL:
    """Load the compiled loop and name its functions' types."""
    functions = ctypes.CDLL(str(made), use_errno=True)
    number, pointer, small = ctypes.c_int64, ctypes.c_void_p, ctypes.c_int
    content = [ctypes.c_char_p, ctypes.c_size_t]
    for name, result, arguments in (
        ("create", pointer, [small, small, small, small, *content]),
        ("give_ask", small, [pointer, small, *content, number, small, small, small]),
        ("attach", small, [pointer, small, small]),
        ("turn", small, [pointer, number, number]),
        ("finish", small, [pointer]),
        ("destroy", None, [pointer]),
        ("parse_head", small, [*content, small, pointer]),
    ):
        function = getattr(functions, name)
        function.restype, function.argtypes = result, arguments
    return functions


class CompiledLoop:
    """One of the four Python loops, compiled: Connections, FreshConnections or, where it is `open`, their
    like in open_loop.
    """

    handshakes = (0, 0)
    """It has no TLS: see closed_loop."""

    def __init__(
        self,
        destination: Destination,
        mix: Mix,
        count: int,
        log: RequestLog,
        connect_s: float = CONNECT_S,
        *,
        keep_alive: bool = True,
        is_open: bool = False,
        sleeps: bool = False,
        think_ns: int = 0,
        functions: ctypes.CDLL | None = None,
    ) -> None:
        """Open `count` connections, or as many as can be; raises OSError where that is none.

        `think_ns`: of a closed loop, as `Load.think_us`.
        `functions`: of `provide_library`, which must have some, unless they are given.
        """
        functions = functions or provide_library().functions
        assert functions
        self._functions, self._log = functions, log
        self._target = destination.address, destination.port
        self._connect_s = connect_s
        self._keep_alive, self._is_open = keep_alive, is_open
        sockets = connect_many(*self._target, count, connect_s) if keep_alive else []
        asked = mix.prepare(*self._target, keep_alive=keep_alive, is_open=is_open)
        server = _pack_address(*self._target)
        self._loop = functions.create(count, len(asked), keep_alive, sleeps, server, len(server))
        if not self._loop:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._shared = _Shared.from_address(self._loop)
        self._shared.think_ns = think_ns
        self._give(mix, asked)
        for number, connected in enumerate(sockets):
            self._attach(number, connected.detach())
        self.connected = len(sockets) if keep_alive else count
        """Connections, or clients that open one when they ask, with which the load can begin."""
        self.opened = self._shared.opened
        """Connections opened so far, reconnects included."""
        self.without_port = 0
        """Of fresh connections, those for which the client had no port left."""
        self.spun_ns = 0
        """Of an open loop: time spent looking in vain instead of sleeping."""
        if is_open:
            self.schedule(np.zeros(0, np.int64))

    def _give(self, mix: Mix, asked: list[Asked]) -> None:
        """Have it send what is `asked`, in the order of the mix."""
        for one in asked:
            failure = self._functions.give_ask(
                self._loop,
                one.index,
                one.request,
                len(one.request),
                one.number_at,
                one.status,
                one.is_head,
                one.asks_end,
            )
            if failure:
                raise OSError(failure, os.strerror(failure))
        self._order = mix.order()
        self._shared.order, self._shared.order_length = self._order.ctypes.data, len(self._order)
        self._shared.first_number, self._shared.number_step = mix.worker, mix.workers

    def schedule(self, arrivals_ns: np.ndarray) -> None:
        """Have a request arrive at each of `arrivals_ns` (CLOCK_MONOTONIC, ascending): of an open loop."""
        # One more, so that a schedule of none has an address too.
        self._arrivals = np.append(np.asarray(arrivals_ns, dtype=np.int64), 0)
        self._shared.arrivals = self._arrivals.ctypes.data
        self._shared.arrivals_count = self._shared.limit = len(self._arrivals) - 1

    def drive(self, until_ns: int, pause: Callable[[], None]) -> None:
        """Drive the load until `until_ns`; `pause` lets other tasks of the process run, every YIELD_NS."""
        if self._keep_alive and not self._is_open and not self._shared.think_ns:
            self._shared.to_wake = self._shared.idle  # At least one request leaves on every connection.
        self._turn(until_ns, until_ns, pause)

    def drain(self, until_ns: int, pause: Callable[[], None]) -> None:
        """Begin nothing whose time has not come; wait for what is in flight, at most until `until_ns`."""
        if self._is_open:
            due = int(np.searchsorted(self._arrivals[:-1], time.monotonic_ns(), side="right"))
            self._shared.limit, self._shared.draining = max(due, self._shared.taken), 1
        self._turn(0, until_ns, pause)

    def close(self) -> None:
        """Close every connection; what is in flight, or was never sent, is recorded as unfinished."""
        while self._call(self._functions.finish) == FULL:
            pass
        self._functions.destroy(self._loop)
        del self._shared

    def _turn(self, send_until_ns: int, until_ns: int, pause: Callable[[], None]) -> None:
        shared = self._shared
        shared.pause_at_ns = time.monotonic_ns() + YIELD_NS
        while (reason := self._call(self._functions.turn, send_until_ns, until_ns)) != DONE:
            if reason == PAUSE:
                pause()
                shared.pause_at_ns = time.monotonic_ns() + YIELD_NS
            elif reason == BROKEN:
                # Where it cannot be opened it stays closed; its requests stay unmade, and the rate shows it.
                with suppress(OSError):
                    self._attach(shared.broken, connect(*self._target, self._connect_s).detach())
            elif reason != FULL:
                raise OSError(shared.error, os.strerror(shared.error))

    def _call(self, function: Callable[..., int], *arguments: int) -> int:
        """One call, with room for what it records."""
        shared = self._shared
        first, room = self._log.room(ROOM)
        shared.next, shared.end = first, first + room * RECORD.size
        reason = function(self._loop, *arguments)
        self._log.wrote((shared.next - first) // RECORD.size)
        self.opened, self.without_port = shared.opened, shared.without_port
        self.spun_ns = shared.spun_ns
        return reason

    def _attach(self, number: int, descriptor: int) -> None:
        failure = self._functions.attach(self._loop, number, descriptor)
        if failure:
            os.close(descriptor)
            raise OSError(failure, os.strerror(failure))


def _pack_address(address: str, port: int) -> bytes:
    """The C library's sockaddr_in, or sockaddr_in6 (ip(7), ipv6(7)), of a literal address."""
    if ":" in address:
        family, flow_and_scope = socket.AF_INET6, (bytes(4), bytes(4))
    else:
        family, flow_and_scope = socket.AF_INET, (b"", bytes(8))
    before, behind = flow_and_scope
    return (
        struct.pack("=H", family)
        + struct.pack("!H", port)
        + before
        + socket.inet_pton(family, address)
        + behind
    )
