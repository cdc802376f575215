"""Several workers that share a load: Locust's master, and what it says to each of them.

A load is armed on every worker before it starts on any, at one moment by each one's own clock. A worker
that is lost meanwhile, or that joins, makes the load none: it is said, and the team is whole again for
the next. Workers elsewhere are started by the controller, who knows their hosts, and are gathered here.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, Union

# First: importing locust patches select and socket, which the load path needs as they are.
from bench.generator.executor import write_report  # isort: skip
from bench.generator.users import OrderedEnvironment  # isort: skip
from bench.generator.worker import ANSWER, BOOT_ID, CLOCK, ORDER, START  # isort: skip

from gevent.queue import Empty, Queue
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner
from pydantic import TypeAdapter

from bench.generator import protocol
from bench.generator.connecting import CONNECT_S
from bench.generator.fetch import FETCH_S
from bench.generator.locust_report import Report
from bench.generator.membership import Armed, Clock, Gather, Gathered, Start
from bench.generator.message import Message
from bench.generator.protocol import (
    Drive,
    DriveCells,
    Driven,
    DrivenCells,
    Enter,
    Entered,
    Fetch,
    Fetched,
    Probe,
    Probed,
    Prove,
    Proved,
)
from bench.generator.shares import SAME_CLOCK, Offset, share, shift_turn, sum_up
from bench.lab.hosts import command

JOIN_S = 30.0
"""For a new process to import Locust and to join."""
ROUNDS = 20
"""Comparisons of two clocks, of which the quickest counts."""
LEAD_NS = 50_000_000
"""From the master's word to the common start: as long as a loop may keep a worker from hearing it, and not
so long that somebody would wait for it."""
PATIENCE_S = 30.0
"""Beyond what a load lasts, for its connections, its drain and the feeding of its records to Locust."""
LOOK_S = 0.25
"""Between two looks at whether a silent worker is still there."""
MISSING_S = 15.0
"""Of heartbeats that stay away, as Locust counts them, after which a worker elsewhere is lost: a connection
that is cut shows in nothing else."""
Said = TypeVar("Said")


class WorkerLostError(Exception):
    """A worker ended, or fell silent."""


@dataclass
class Member:
    """A worker, as the master knows it."""

    number: int
    """Its share."""
    process: command.Process | None = None
    """None of one that others started, elsewhere."""
    client_id: str = ""
    """Locust's name for it; empty until it has joined."""
    inbox: "Queue[str]" = field(default_factory=Queue)
    """Lines that it sent and nobody has taken."""
    missing_looks: int = 0
    """In a row at which Locust took it for missing."""


class Team:
    """Carries out one order at a time, by its workers."""

    def __init__(self, environment: OrderedEnvironment, count: int, network: str | None) -> None:
        """Hire `count` workers, and wait until all have joined; raises WorkerLostError.

        Without a `network` to send from, all are elsewhere.
        """
        self._environment, self._network = environment, network
        self.runner: MasterRunner = environment.create_master_runner("127.0.0.1", 0)
        self._cores = sorted(os.sched_getaffinity(0))
        self._joined = self._hires = 0
        self._hired: dict[str, Member] = {}
        """By the name that each has in its messages: a successor is not taken for who was lost."""
        self._early: dict[str, list[tuple[str, str]]] = {}
        """What workers elsewhere said before they were gathered, and Locust's names for them."""
        environment.events.worker_connect.add_listener(self._count_joining)  # type: ignore[no-untyped-call]
        self.runner.register_message(ANSWER, self._receive)
        self._members = [self._hire(number) for number in range(count)]
        for member in self._members:
            self._hear(member, JOIN_S, Clock)
        # The runner is not started: each worker has the users that its orders need, and Locust, which would
        # share them out anew whenever a worker comes or goes, would stop some in the middle of a load.

    def answer(self, order: protocol.Order) -> Message:
        """Carry out `order`."""
        carry_out: dict[type[Message], Callable[[Any], Message]] = {
            Drive: self._drive,
            DriveCells: self._drive_cells,
            Enter: self._enter,
            Gather: self._gather,
            Probe: self._probe,
            Prove: self._prove,
            Fetch: self._fetch,
            Report: partial(write_report, self._environment),
        }
        return carry_out[type(order)](order)

    def _enter(self, asked: Enter) -> Entered:
        self._network = asked.network
        for member in self._members:
            entered = self._ask(member, asked, PATIENCE_S, Entered)
        return entered

    def _gather(self, asked: Gather) -> Gathered:
        """Wait for workers that were started elsewhere, each in the place of who had its number before."""
        for number, name in sorted(asked.names.items()):
            member = self._hired[name] = Member(number)
            for client_id, line in self._early.pop(name, []):
                member.client_id = client_id
                member.inbox.put(line)
            # In the place of a predecessor, or at the end.
            for old in self._members[number : number + 1]:
                self._forget(old)
            self._members[number : number + 1] = [member]
        missing = []
        for number in asked.names:
            try:
                self._hear(self._members[number], JOIN_S, Clock)
            except WorkerLostError:
                missing.append(number)
        known = list(self._hired.values())
        given_up = [each.number for each in self._members if not any(each is other for other in known)]
        return Gathered(missing=sorted({*missing, *given_up}))

    def _probe(self, asked: Probe) -> Probed:
        try:
            return self._ask(self._members[0], asked, asked.timeout_s + PATIENCE_S, Probed)
        except WorkerLostError as fault:
            self._replace_lost()
            return Probed(first_200_ns=0, attempts=0, failure=str(fault))

    def _fetch(self, asked: Fetch) -> Fetched:
        try:
            return self._ask(self._members[0], asked, FETCH_S + PATIENCE_S, Fetched)
        except WorkerLostError as fault:
            self._replace_lost()
            return Fetched(status=0, headers=(), body=b"", failure=str(fault))

    def _prove(self, asked: Prove) -> Proved:
        """By every worker: each is somewhere else."""
        for member in self._members:
            try:
                proved = self._ask(member, asked, PATIENCE_S, Proved)
            except WorkerLostError as fault:
                self._replace_lost()
                return Proved(stranger="", failure=str(fault))
            if proved.stranger or proved.failure:
                return proved
        return Proved(stranger="")

    def _drive_cells(self, asked: DriveCells) -> DrivenCells:
        """By the first worker alone: arms that take turns need one hand."""
        member = self._members[0]
        warm_ups_ns = len(asked.targets) * asked.warm_up_ns
        lasts_s = (warm_ups_ns + len(asked.cells) * asked.cell_ns) / 1e9 + CONNECT_S + PATIENCE_S
        try:
            offset = self._compare_clocks(member)
            driven = self._ask(member, asked, lasts_s, DrivenCells)
        except WorkerLostError as fault:
            self._replace_lost()
            failed = {"turns": [], "targets": [], "core_busy": {}, "loop": "", "failure": str(fault)}
            return DrivenCells(**failed)
        return driven.model_copy(
            update={
                "turns": [shift_turn(turn, offset.offset_ns) for turn in driven.turns],
                "clock_offset_ns": offset.offset_ns,
                "clock_error_ns": offset.error_ns,
            }
        )

    def _drive(self, asked: Drive) -> Driven:
        team = self._members[: asked.workers]
        counted, joined = self._environment.stats.total.num_requests, self._joined
        faults: list[str] = []

        def of_each(members: list[Member], do: Callable[[Member], Said]) -> dict[int, Said]:
            """What `do` returns of each of `members`, by number; who is lost is a fault."""
            done = {}
            for member in members:
                try:
                    done[member.number] = do(member)
                except WorkerLostError as fault:
                    faults.append(str(fault))
            return done

        offsets = of_each(team, self._compare_clocks)
        present = [member for member in team if member.number in offsets]
        for member in present:
            self._send(member, ORDER, _share_of(asked, member.number))
        first = of_each(present, lambda member: self._hear(member, CONNECT_S + PATIENCE_S, Armed, Driven))
        # Who could not be armed has ended the order with the reason.
        answers = {number: said for number, said in first.items() if isinstance(said, Driven)}
        armed = [member for member in present if isinstance(first.get(member.number), Armed)]
        start_ns = time.monotonic_ns() + LEAD_NS
        for member in armed:
            at_ns = start_ns - offsets[member.number].offset_ns
            self._send(member, START, Start(at_ns=None if faults or answers else at_ns))
        lasts_s = asked.warm_up_s + asked.measure_s + PATIENCE_S
        answers |= of_each(armed, lambda member: self._hear(member, lasts_s, Driven))
        faults += [answer.failure for answer in answers.values() if answer.failure]
        if self._joined != joined:
            faults.append("a worker joined while the load lasted")
        if faults:
            self._replace_lost()  # Now: to start a process in the next load would disturb it.
            return Driven.failed("; ".join(dict.fromkeys(faults)))
        return sum_up(
            [answers[member.number] for member in team],
            [offsets[member.number] for member in team],
            self._environment.stats.total.num_requests - counted,
        )

    def _compare_clocks(self, member: Member) -> Offset:
        """How far the worker's clock is behind this process's."""
        own_boot = BOOT_ID.read_text().strip()
        found = []
        for _ in range(ROUNDS):
            asked_ns = time.monotonic_ns()
            self.runner.send_message(CLOCK, None, member.client_id)
            told = self._hear(member, PATIENCE_S, Clock)
            round_ns = time.monotonic_ns() - asked_ns
            if told.boot_id == own_boot:
                return SAME_CLOCK
            found.append(Offset(asked_ns + round_ns // 2 - told.monotonic_ns, round_ns // 2))
        return min(found, key=lambda offset: offset.error_ns)

    def _ask(self, member: Member, order: Message, timeout_s: float, kind: type[Said]) -> Said:
        self._send(member, ORDER, order)
        return self._hear(member, timeout_s, kind)

    def _send(self, member: Member, kind: str, message: Message) -> None:
        if not member.client_id:
            raise WorkerLostError(f"worker {member.number + 1} of {len(self._members)} has not joined")
        self.runner.send_message(kind, {"line": message.line()}, member.client_id)

    def _hear(self, member: Member, timeout_s: float, *kinds: type[Said]) -> Said:
        """The worker's next word, one of `kinds`. Raises WorkerLostError: it is never heard again."""
        until_s = time.monotonic() + timeout_s
        while True:
            try:
                line = member.inbox.get(timeout=LOOK_S)
            except Empty:
                if reason := self._find_lost(member, until_s):
                    self._dismiss(member)
                    raise WorkerLostError(
                        f"worker {member.number + 1} of {len(self._members)} was lost: {reason}"
                    ) from None
                continue
            return _read(line, kinds)

    def _find_lost(self, member: Member, until_s: float) -> str:
        """Why the worker is lost; empty where it is not."""
        status = member.process.poll() if member.process else None
        if status is not None:
            return f"its process ended ({f'by signal {-status}' if status < 0 else f'exit {status}'})"
        if member.process is None and self._is_silent(member):
            return "its heartbeats stay away"
        return "it does not answer" if time.monotonic() > until_s else ""

    def _is_silent(self, member: Member) -> bool:
        """Whether Locust has taken a worker elsewhere for missing, for a while."""
        client = self.runner.clients.get(member.client_id) if member.client_id else None
        is_missing = client is not None and client.state == STATE_MISSING
        member.missing_looks = member.missing_looks + 1 if is_missing else 0
        return member.missing_looks * LOOK_S > MISSING_S

    def _dismiss(self, member: Member) -> None:
        self._forget(member)
        if member.process:
            member.process.kill()
            member.process.wait()

    def _forget(self, member: Member) -> None:
        self._hired = {name: hired for name, hired in self._hired.items() if hired is not member}

    def _replace_lost(self) -> None:
        """Have every share a worker again, between two loads; elsewhere others do."""
        hired = list(self._hired.values())
        for number, member in enumerate(self._members):
            if member.process is None:
                continue
            if member.process.poll() is not None or not any(member is other for other in hired):
                self._dismiss(member)
                self._members[number] = self._hire(number)
                self._hear(self._members[number], JOIN_S, Clock)

    def _hire(self, number: int) -> Member:
        assert self._network
        self._hires += 1
        name = f"{number}, hired as number {self._hires}"
        options = {
            "--network": self._network,
            "--master": f"{self.runner.server.port}",
            "--name": name,
            "--cpu": f"{self._cores[number % len(self._cores)]}",
        }
        argv = [sys.executable, "-m", "bench.generator.worker"]
        argv += [word for option in options.items() for word in option]
        argv += ["--watched"] * self._environment.is_watched
        self._hired[name] = Member(number, command.start(argv, log=Path("/dev/stderr")))
        return self._hired[name]

    def _receive(self, environment: Environment, msg: Any) -> None:  # noqa: ARG002
        name, line = msg.data["name"], msg.data["line"]
        member = self._hired.get(name)
        if member:
            member.client_id = msg.node_id
            member.inbox.put(line)
        elif self._network is None:
            self._early.setdefault(name, []).append((msg.node_id, line))

    def _count_joining(self, client_id: str, **_: object) -> None:  # noqa: ARG002
        self._joined += 1


def _read(line: str, kinds: tuple[type[Said], ...]) -> Said:
    said: Said = TypeAdapter(Union[kinds]).validate_json(line)  # type: ignore[arg-type]  # noqa: UP007
    return said


def _share_of(asked: Drive, number: int) -> Drive:
    """What of `asked` is for one worker."""
    return asked.model_copy(
        update={
            "worker": number,
            "connections": len(share(asked.connections, number, asked.workers)),
            "output": f"{asked.output}.{number}",
            "watched": asked.watched if number == 0 else (),
        }
    )
