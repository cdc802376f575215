"""The workers of a team: hired, asked and heard one by one, and replaced where they are lost."""

import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, Union

# First: importing locust patches select and socket, which the load path needs as they are.
from bench.generator.worker import ANSWER, BOOT_ID, CLOCK, ORDER  # isort: skip
from bench.generator.users import OrderedEnvironment  # isort: skip

from gevent.queue import Empty, Queue
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner
from pydantic import TypeAdapter

from bench.generator.membership import Clock
from bench.generator.message import Message
from bench.generator.shares import SAME_CLOCK, Offset
from bench.lab.hosts import command

JOIN_S = 30.0
"""For a new process to import Locust and to join."""
ROUNDS = 20
"""Comparisons of two clocks, of which the quickest counts."""
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


class Staff:
    """The workers, each in the place of its number."""

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
