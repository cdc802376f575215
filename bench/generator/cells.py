"""Servers that take turns: the load goes from one to the next, a cell each, on connections that stay open.

Like the load path itself, this imports nothing of Locust.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.generator.closed_loop import Connections
from bench.generator.cores import read_cores
from bench.generator.fresh_connections import FreshConnections
from bench.procfs import CoreTime
from bench.slots.requests import RequestLog

DRAIN_NS = 2_000_000_000
"""Time that requests in flight at the end of a cell have to finish: longer than TCP takes to send a lost
segment again, so that one loss is a gate's matter and not the end of the set."""


@dataclass
class Target:
    """One of the servers, and what its turns were."""

    name: str
    address: str
    port: int
    enter: Callable[[], None]
    """Has this thread send from where the load on it comes from; called before each of its turns."""
    log: RequestLog = field(default_factory=RequestLog)
    opened: int = 0
    """Connections opened, reconnects included."""
    without_port: int = 0
    """Connections for which the client had no port left."""
    worked_ns: int = 0
    """CPU time of this process in its turns, of `lasted_ns`."""
    lasted_ns: int = 0


@dataclass(frozen=True)
class CellTimes:
    """One turn. Stamps are CLOCK_MONOTONIC."""

    target: int
    """Index of the server."""
    start_ns: int
    settled_ns: int
    """From here on it counts."""
    end_ns: int
    """Nothing is sent after; what was in flight ended before the next turn."""


@dataclass(frozen=True, kw_only=True)
class Turns:
    """What is asked: the order of cells, and what they have in common."""

    path: str
    connections: int
    keep_alive: bool
    warm_up_ns: int
    """Of each server, alone, on the connections of its turns; kept, and not measured."""
    cell_ns: int
    settle_ns: int
    cells: Sequence[int]
    """Indexes of servers."""


@dataclass(frozen=True)
class Driven:
    """What was done."""

    cells: list[CellTimes]
    cores: tuple[dict[int, CoreTime], dict[int, CoreTime]]
    """Each core's time at the begin of the warm-ups and at the end of the cells."""


class StillInFlight(OSError):
    """A server left a request unanswered for so long that no other could have its turn."""


def drive_cells(asked: Turns, targets: Sequence[Target], pause: Callable[[], None]) -> Driven:
    """Open every server's connections, warm each up, and let them take turns.

    `pause` lets other tasks of the process run; it is called between two turns only. Raises OSError
    where a connection cannot be opened, StillInFlight where a turn does not end.
    """
    kind = Connections if asked.keep_alive else FreshConnections
    with ExitStack() as closing:
        opened: list[Connections | FreshConnections] = []
        for target in targets:
            target.enter()
            connections = kind(target.address, target.port, asked.path, asked.connections, target.log)
            opened.append(connections)
            closing.callback(_close, connections, target)
        cores = read_cores()
        for target, connections in zip(targets, opened, strict=True):
            target.enter()
            _take_turn(connections, target, time.monotonic_ns() + asked.warm_up_ns)
        times = []
        for index in asked.cells:
            pause()
            target = targets[index]
            target.enter()
            start_ns, worked_ns = time.monotonic_ns(), time.process_time_ns()
            end_ns = start_ns + asked.cell_ns
            _take_turn(opened[index], target, end_ns)
            target.worked_ns += time.process_time_ns() - worked_ns
            target.lasted_ns += time.monotonic_ns() - start_ns
            times.append(CellTimes(index, start_ns, start_ns + asked.settle_ns, end_ns))
        return Driven(times, (cores, read_cores()))


def _take_turn(connections: Connections | FreshConnections, target: Target, until_ns: int) -> None:
    """Drive until `until_ns`, and leave nothing in flight that would end in another's turn."""
    connections.drive(until_ns, _stay)
    drained_ns = time.monotonic_ns() + DRAIN_NS
    connections.drain(drained_ns, _stay)
    if time.monotonic_ns() >= drained_ns:
        raise StillInFlight(
            f"{target.name} left a request unanswered for {DRAIN_NS // 1_000_000_000} s after its turn"
        )


def _stay() -> None:
    """No pause within a turn."""


def _close(connections: Connections | FreshConnections, target: Target) -> None:
    connections.close()
    target.opened = connections.opened
    if isinstance(connections, FreshConnections):
        target.without_port = connections.without_port
