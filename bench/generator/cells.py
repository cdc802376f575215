"""Servers that take turns: the load goes from one to the next, a cell each, on connections that stay open.

Like the load path itself, this imports nothing of Locust.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol

from bench.generator.connecting import Destination
from bench.generator.cores import read_cores
from bench.generator.protocol import DriveCells, Turn
from bench.generator.request_log import RequestLog
from bench.procfs import CoreTime

DRAIN_NS = 2_000_000_000
"""Time that requests in flight at the end of a cell have to finish: longer than TCP takes to send a lost
segment again, so that one loss is a gate's matter and not the end of the set."""


class Loop(Protocol):
    """A closed loop on one server's connections: the compiled one, or one in Python."""

    connected: int
    opened: int
    without_port: int

    @property
    def handshakes(self) -> tuple[int, int]:
        """Those of TLS, and how many of them were resumed."""

    def drive(self, until_ns: int, pause: Callable[[], None]) -> None:
        """Send until then."""

    def drain(self, until_ns: int, pause: Callable[[], None]) -> None:
        """Wait for what is in flight, until then."""

    def close(self) -> None:
        """Close every connection."""


@dataclass
class Target:
    """One of the servers, and what its turns were."""

    name: str
    destination: Destination
    enter: Callable[[], None]
    """Has this thread send from where the load on it comes from; called before each of its turns."""
    log: RequestLog = field(default_factory=RequestLog)
    connected: int = 0
    """Connections with which its turns began."""
    opened: int = 0
    """Connections opened, reconnects included."""
    without_port: int = 0
    """Connections for which the client had no port left."""
    handshakes: tuple[int, int] = (0, 0)
    """Those of TLS, and how many of them were resumed."""
    worked_ns: int = 0
    """CPU time of this process in its turns, of `lasted_ns`."""
    lasted_ns: int = 0


@dataclass(frozen=True)
class Driven:
    """What was done."""

    cells: list[Turn]
    cores: tuple[dict[int, CoreTime], dict[int, CoreTime]]
    """Each core's time at the begin of the warm-ups and at the end of the cells."""


class StillInFlight(OSError):
    """A server left a request unanswered for so long that no other could have its turn."""


def drive_cells(
    asked: DriveCells,
    targets: Sequence[Target],
    open_loop: Callable[[Target], Loop],
    pause: Callable[[], None],
) -> Driven:
    """Open every server's connections, warm each up, and let them take turns.

    `open_loop` opens a target's. `pause` lets other tasks of the process run; it is called between two
    turns only. Raises OSError where a connection cannot be opened, StillInFlight where a turn does not end.
    """
    with ExitStack() as closing:
        loops: list[Loop] = []
        for target in targets:
            target.enter()
            loops.append(open_loop(target))
            closing.callback(_close, loops[-1], target)
        cores = read_cores()
        for target, loop in zip(targets, loops, strict=True):
            target.enter()
            _take_turn(loop, target, time.monotonic_ns() + asked.warm_up_ns)
        turns = []
        for index in asked.cells:
            pause()
            target = targets[index]
            target.enter()
            start_ns, worked_ns = time.monotonic_ns(), time.process_time_ns()
            end_ns = start_ns + asked.cell_ns
            _take_turn(loops[index], target, end_ns)
            target.worked_ns += time.process_time_ns() - worked_ns
            target.lasted_ns += time.monotonic_ns() - start_ns
            settled_ns = start_ns + asked.settle_ns
            turns.append(Turn(target=index, start_ns=start_ns, settled_ns=settled_ns, end_ns=end_ns))
        return Driven(turns, (cores, read_cores()))


def _take_turn(loop: Loop, target: Target, until_ns: int) -> None:
    """Drive until `until_ns`, and leave nothing in flight that would end in another's turn."""
    loop.drive(until_ns, _stay)
    drained_ns = time.monotonic_ns() + DRAIN_NS
    loop.drain(drained_ns, _stay)
    if time.monotonic_ns() >= drained_ns:
        raise StillInFlight(
            f"{target.name} left a request unanswered for {DRAIN_NS // 1_000_000_000} s after its turn"
        )


def _stay() -> None:
    """No pause within a turn."""


def _close(loop: Loop, target: Target) -> None:
    loop.close()
    target.connected, target.opened, target.without_port = loop.connected, loop.opened, loop.without_port
    target.handshakes = loop.handshakes
