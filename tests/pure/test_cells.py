"""Servers on the loopback that take turns: whose requests are whose, and when."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import numpy as np
import pytest

from bench.generator import cells
from bench.generator.asks import Mix
from bench.generator.cells import Driven, Loop, StillInFlight, Target, drive_cells
from bench.generator.closed_loop import Connections
from bench.generator.compiled_loop import CompiledLoop
from bench.generator.fresh_connections import FreshConnections
from bench.generator.protocol import DriveCells
from bench.scenario.interleaving import order_cells
from bench.slots.requests import Outcome

from .servers import ADDRESS, PATIENCE_S, at, page, read_request, serving

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MS = 1_000_000


class Counting:
    """A server that counts what it is asked, on each of its connections, and when."""

    def __init__(self) -> None:
        self.asked_ns: list[int] = []
        self.connections = 0
        self.port = 0

    def handle(self, connection: socket.socket, _: int) -> None:
        self.connections += 1
        while request := read_request(connection):
            self.asked_ns.append(time.monotonic_ns())
            connection.sendall(RESPONSE)
            if b"Connection: close" in request:
                return


@pytest.fixture
def servers() -> Iterator[list[Counting]]:
    found = [Counting(), Counting()]
    with ExitStack() as stack:
        for server in found:
            server.port = stack.enter_context(serving(server.handle))
        yield found


def list_targets(servers: list[Counting]) -> list[Target]:
    return [
        Target(name, at(server.port), lambda: None)
        for name, server in zip(("first", "second"), servers, strict=True)
    ]


def ask(order: tuple[int, ...], *, keep_alive: bool = True, connections: int = 3) -> DriveCells:
    return DriveCells(
        engine="raw",
        targets=(),
        asks=page("/").asks,
        arrival_seed=0,
        connections=connections,
        keep_alive=keep_alive,
        think_us=0,
        warm_up_ns=5 * MS,
        cell_ns=10 * MS,
        settle_ns=2 * MS,
        cells=order,
    )


def open_python(asked: DriveCells, target: Target) -> Loop:
    kind = Connections if asked.keep_alive else FreshConnections
    return kind(target.destination, Mix(asked.asks), asked.connections, target.log)


def open_compiled(asked: DriveCells, target: Target) -> Loop:
    given = (target.destination, Mix(asked.asks), asked.connections, target.log)
    return CompiledLoop(*given, keep_alive=asked.keep_alive)


Drive = Callable[[DriveCells, list[Target], Callable[[], None]], Driven]


@pytest.fixture(params=[open_python, open_compiled], ids=["python", "compiled"])
def drive(request: pytest.FixtureRequest) -> Drive:
    """Every test of this file is of both loops."""
    return lambda asked, targets, pause: drive_cells(asked, targets, partial(request.param, asked), pause)


ORDER = order_cells(seed=1, block=0, condition=0, slots=2, rounds=4)


def within(stamps_ns: np.ndarray, driven: Driven, target: int, begin: str) -> int:
    """How many of the stamps lie in a cell of `target`, from its `begin` on."""
    return sum(
        int(((stamps_ns >= getattr(turn, begin)) & (stamps_ns < turn.end_ns)).sum())
        for turn in driven.cells
        if turn.target == target
    )


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_targets_records_are_what_its_server_was_asked(
    drive: Drive, servers: list[Counting], keep_alive: bool
) -> None:
    targets = list_targets(servers)

    drive(ask(ORDER, keep_alive=keep_alive), targets, lambda: None)

    for target, server in zip(targets, servers, strict=True):
        records = target.log.records()
        assert (records["outcome"] == Outcome.OK).all()
        # At least one on each connection, in the warm-up and in each turn.
        assert len(records) == len(server.asked_ns) >= 3 * (1 + len(ORDER) // 2)
        assert target.opened == server.connections
    assert [target.opened == 3 for target in targets] == [keep_alive] * 2


def test_no_request_of_one_is_in_anothers_cell(drive: Drive, servers: list[Counting]) -> None:
    targets = list_targets(servers)

    driven = drive(ask(ORDER), targets, lambda: None)

    for own, other in ((0, 1), (1, 0)):
        records = targets[own].log.records()
        for stamps in ("sent_ns", "done_ns"):
            assert within(records[stamps], driven, other, "start_ns") == 0
            assert within(records[stamps], driven, own, "settled_ns") > 0
        assert within(np.array(servers[own].asked_ns), driven, other, "start_ns") == 0


def test_turns_come_in_the_order_that_was_asked_for_each_as_long(
    drive: Drive, servers: list[Counting]
) -> None:
    driven = drive(ask(ORDER), list_targets(servers), lambda: None)

    assert [turn.target for turn in driven.cells] == list(ORDER)
    assert {(turn.settled_ns - turn.start_ns, turn.end_ns - turn.start_ns) for turn in driven.cells} == {
        (2 * MS, 10 * MS)
    }
    ends = [turn.end_ns for turn in driven.cells]
    assert all(turn.start_ns >= end for turn, end in zip(driven.cells[1:], ends, strict=False))


def test_connections_are_opened_once_and_every_one_of_them_takes_every_turn(
    drive: Drive, servers: list[Counting]
) -> None:
    targets = list_targets(servers)

    driven = drive(ask(ORDER), targets, lambda: None)

    starts = [*(turn.start_ns for turn in driven.cells), time.monotonic_ns()]
    for number, turn in enumerate(driven.cells):
        records = targets[turn.target].log.records()
        inside = (records["sent_ns"] >= turn.start_ns) & (records["sent_ns"] < starts[number + 1])
        assert set(records["connection"][inside]) == {0, 1, 2}, number


def test_other_tasks_run_between_turns_and_never_within_one(drive: Drive, servers: list[Counting]) -> None:
    pauses: list[int] = []

    driven = drive(ask(ORDER), list_targets(servers), lambda: pauses.append(time.monotonic_ns()))

    assert len(pauses) == len(ORDER)
    for target in (0, 1):
        assert within(np.array(pauses), driven, target, "start_ns") == 0


def test_each_target_is_asked_from_its_own_network(drive: Drive, servers: list[Counting]) -> None:
    entered: list[int] = []
    targets = list_targets(servers)
    for number, target in enumerate(targets):
        target.enter = lambda number=number: entered.append(number)  # type: ignore[misc]

    drive(ask(ORDER), targets, lambda: None)

    # As the connections are opened, as each is warmed up, and before each turn.
    assert entered == [0, 1, 0, 1, *ORDER]


def test_a_server_that_does_not_answer_gives_nobody_its_turn(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "DRAIN_NS", 50 * MS)
    silent = threading.Event()

    def keep_silent(connection: socket.socket, _: int) -> None:
        read_request(connection)
        silent.wait(PATIENCE_S)

    with serving(keep_silent) as port:
        target = Target("silent", at(port), lambda: None)
        try:
            with pytest.raises(StillInFlight, match="silent left a request unanswered"):
                drive(ask((0,), connections=1), [target], lambda: None)
        finally:
            silent.set()
    assert list(target.log.records()["outcome"]) == [Outcome.UNFINISHED]
    assert target.opened == 1


def test_a_server_that_is_not_there_is_an_error(drive: Drive, servers: list[Counting]) -> None:
    with socket.create_server((ADDRESS, 0)) as listener:
        free = listener.getsockname()[1]
    targets = [*list_targets(servers), Target("gone", at(free), lambda: None)]

    with pytest.raises(OSError, match="refused"):
        drive(ask((0, 1, 2)), targets, lambda: None)
