"""Several workers that share a load: Locust's master, and what it says to each of them.

A load is armed on every worker before it starts on any, at one moment by each one's own clock. A worker
that is lost meanwhile, or that joins, makes the load none: it is said, and the team is whole again for
the next.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, Union

# First: importing locust patches select and socket, which the load path needs as they are.
from bench.generator.executor import write_report  # isort: skip
from bench.generator.users import OrderedEnvironment  # isort: skip
from bench.generator.worker import ANSWER, BOOT_ID, CLOCK, ORDER, START  # isort: skip

from gevent.queue import Empty, Queue
from locust.env import Environment
from locust.runners import MasterRunner
from pydantic import TypeAdapter

from bench.generator import protocol
from bench.generator.connecting import CONNECT_S
from bench.generator.protocol import (
    Armed,
    Clock,
    Drive,
    DriveCells,
    Driven,
    Enter,
    Entered,
    Message,
    Probe,
    Probed,
    Report,
    Start,
)
from bench.generator.shares import SAME_CLOCK, Offset, share, sum_up
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
Said = TypeVar("Said")


class WorkerLostError(Exception):
    """A worker ended, or fell silent."""


@dataclass
class Member:
    """A worker, as the master knows it."""

    number: int
    """Its share."""
    process: command.Process
    client_id: str = ""
    """Locust's name for it; empty until it has joined."""
    inbox: "Queue[str]" = field(default_factory=Queue)
    """Lines that it sent and nobody has taken."""


class Team:
    """Carries out one order at a time, by its workers."""

    def __init__(self, environment: OrderedEnvironment, count: int, network: str) -> None:
        """Hire `count` workers, and wait until all have joined; raises WorkerLostError."""
        self._environment, self._network = environment, network
        self.runner: MasterRunner = environment.create_master_runner("127.0.0.1", 0)
        self._cores = sorted(os.sched_getaffinity(0))
        self._joined = self._hires = 0
        self._hired: dict[str, Member] = {}
        """By the name that each has in its messages: a successor is not taken for who was lost."""
        environment.events.worker_connect.add_listener(self._count_joining)  # type: ignore[no-untyped-call]
        self.runner.register_message(ANSWER, self._receive)
        self._members = [self._hire(number) for number in range(count)]
        for member in self._members:
            self._hear(member, JOIN_S, Clock)
        # The runner is not started: each worker has the users that its orders need, and Locust, which would
        # share them out anew whenever a worker comes or goes, would stop some in the middle of a load.

    def answer(self, order: protocol.Order) -> Message:
        """Carry out `order`."""
        match order:
            case Drive():
                return self._drive(order)
            case Enter():
                self._network = order.network
                for member in self._members:
                    entered = self._ask(member, order, PATIENCE_S, Entered)
                return entered
            case Probe():
                return self._ask(self._members[0], order, order.timeout_s + PATIENCE_S, Probed)
            case Report():
                return write_report(self._environment, order)
            case DriveCells():
                raise NotImplementedError("arms take turns with one worker")

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
        status = member.process.poll()
        if status is not None:
            return f"its process ended ({f'by signal {-status}' if status < 0 else f'exit {status}'})"
        return "it does not answer" if time.monotonic() > until_s else ""

    def _dismiss(self, member: Member) -> None:
        self._hired = {name: hired for name, hired in self._hired.items() if hired is not member}
        member.process.kill()
        member.process.wait()

    def _replace_lost(self) -> None:
        """Have every share a worker again, between two loads."""
        hired = list(self._hired.values())
        for number, member in enumerate(self._members):
            if member.process.poll() is not None or not any(member is other for other in hired):
                self._dismiss(member)
                self._members[number] = self._hire(number)
                self._hear(self._members[number], JOIN_S, Clock)

    def _hire(self, number: int) -> Member:
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
        member = self._hired.get(msg.data["name"])
        if member:
            member.client_id = msg.node_id
            member.inbox.put(msg.data["line"])

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
