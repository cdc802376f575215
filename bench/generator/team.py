"""Several workers that share a load: Locust's master, and what it says to each of them.

A load is armed on every worker before it starts on any, at one moment by each one's own clock. A worker
that is lost meanwhile, or that joins, makes the load none: it is said, and the team is whole again for
the next. Workers elsewhere are started by the controller, who knows their hosts, and are gathered here.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

# First: importing locust patches select and socket, which the load path needs as they are.
from bench.generator.executor import write_report  # isort: skip
from bench.generator.staff import JOIN_S, PATIENCE_S, Member, Said, Staff, WorkerLostError  # isort: skip
from bench.generator.worker import ORDER, START  # isort: skip

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
from bench.generator.shares import share, shift_turn, sum_up

LEAD_NS = 50_000_000
"""From the master's word to the common start: as long as a loop may keep a worker from hearing it, and not
so long that somebody would wait for it."""


class Team(Staff):
    """Carries out one order at a time, by its workers."""

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
