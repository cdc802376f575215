"""Carries orders out: what the generator does by itself, and each of its workers for its share."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

# First: importing locust patches select and socket, which the load path needs as they are.
from bench.generator.readiness import await_ready  # isort: skip
from bench.generator.first_answers import await_all  # isort: skip
from bench.generator.cells import Target  # isort: skip
from bench.generator.request_log import RequestLog  # isort: skip
from bench.generator.connecting import Destination  # isort: skip
from bench.generator.orders import CellsOrder, Order  # isort: skip
from bench.generator.users import ENGINES, OrderedEnvironment  # isort: skip

from bench.generator import protocol  # isort: skip
from locust.html import get_html_report
from locust.runners import Runner

from bench.generator.fetch import fetch  # isort: skip
from bench.generator.networks import enter  # isort: skip
from bench.generator.ownership import await_word, find_stranger  # isort: skip
from bench.generator.locust_report import Report, Reported  # isort: skip
from bench.generator.message import Message  # isort: skip
from bench.generator.protocol import (
    AwaitAll,
    Drive,
    DriveCells,
    Driven,
    DrivenCells,
    DrivenTarget,
    Enter,
    Entered,
    Fetch,
    Probe,
    Probed,
    Prove,
    Proved,
    Records,
)  # isort: skip
from bench.scenario.load import RAW_ENGINES


class Executor:
    """Carries out one order at a time."""

    def __init__(
        self,
        environment: OrderedEnvironment,
        runner: Runner,
        start: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`start`: as an `Order`'s."""
        self._environment = environment
        self._runner = runner
        self._start = start

    def answer(self, order: protocol.Order) -> Message:
        """Carry out `order`; raises OSError where its network cannot be entered."""
        carry_out: dict[type[Message], Callable[[Any], Message]] = {
            Enter: _enter,
            Probe: _probe,
            AwaitAll: await_all,
            Prove: _prove,
            Fetch: fetch,
            Drive: self._drive,
            DriveCells: self._drive_cells,
            Report: partial(write_report, self._environment),
        }
        return carry_out[type(order)](order)  # Who carries out a load by itself gathers no workers.

    def _drive(self, asked: Drive) -> Driven:
        environment, engine = self._environment, asked.engine
        users = 1 if engine in RAW_ENGINES or asked.locustfile else asked.connections
        self._spawn(engine, users)
        counted = environment.stats.total.num_requests
        log = RequestLog(Path(asked.output))
        given = {name: value for name, value in asked if name not in ("do", "engine", "output")}
        order = Order(users=users, log=log, start=self._start, **given)
        environment.fed = 0
        cpu_ns, begun_ns = time.process_time_ns(), time.monotonic_ns()
        for _ in range(users):
            environment.orders[engine].put(order)
        order.finished.wait()
        worked_ns = time.process_time_ns() - cpu_ns - order.spun_ns
        cpu_share = worked_ns / (time.monotonic_ns() - begun_ns)
        if engine in RAW_ENGINES:
            environment.feed(order, order.asks)
        order.log.finish()
        return Driven(
            parts=[Records(path=asked.output, connections=asked.connections)],
            window_start_ns=order.window_start_ns,
            window_end_ns=order.window_end_ns,
            opened=order.opened,
            without_port=order.without_port,
            handshakes=order.handshakes[0],
            resumed=order.handshakes[1],
            core_busy=order.core_busy,
            locust_requests=environment.stats.total.num_requests - counted,
            cpu_share=cpu_share if order.cpu_share is None else order.cpu_share,
            readings=order.readings,
            connected=order.connected,
            loop=order.loop,
            failure=order.failure,
        )

    def _drive_cells(self, asked: DriveCells) -> DrivenCells:
        environment, engine = self._environment, asked.engine
        self._spawn(engine, 1)
        network = [asked.targets[0].network]

        def send_from(wanted: str) -> None:
            if wanted != network[0]:
                enter(wanted)
                network[0] = wanted

        targets = [
            Target(
                target.name,
                Destination(target.address, target.port, asked.tls),
                partial(send_from, target.network),
                RequestLog(Path(target.output)),
            )
            for target in asked.targets
        ]
        order = CellsOrder(asked, targets, partial(send_from, network[0]))
        environment.orders[engine].put(order)
        order.finished.wait()
        answers = []
        for target in targets:
            counted, environment.fed = environment.stats.total.num_requests, 0
            environment.feed(target, asked.asks)
            target.log.finish()
            answers.append(
                DrivenTarget(
                    connected=target.connected,
                    opened=target.opened,
                    without_port=target.without_port,
                    handshakes=target.handshakes[0],
                    resumed=target.handshakes[1],
                    cpu_share=target.worked_ns / max(target.lasted_ns, 1),
                    locust_requests=environment.stats.total.num_requests - counted,
                )
            )
        return DrivenCells(
            turns=order.turns,
            targets=answers,
            core_busy=order.core_busy,
            loop=order.loop,
            failure=order.failure,
        )

    def _spawn(self, engine: str, users: int) -> None:
        """Have at least `users` users of the engine's class; those without an order wait, at no cost."""
        name = ENGINES[engine].__name__
        missing = users - self._runner.user_classes_count[name]
        if missing > 0:
            self._runner.spawn_users({name: missing})


def _enter(order: Enter) -> Entered:
    enter(order.network)
    return Entered(network=order.network)


def _probe(order: Probe) -> Probed:
    until_s = time.monotonic() + order.timeout_s
    if order.secret is not None and not await_word(order.address, order.port, order.secret, until_s):
        return Probed(first_200_ns=0, attempts=0)
    left_s = max(until_s - time.monotonic(), 0.0)
    first_200_ns, attempts = await_ready(Destination(order.address, order.port, order.tls), order.ask, left_s)
    return Probed(first_200_ns=first_200_ns, attempts=attempts)


def _prove(order: Prove) -> Proved:
    try:
        return Proved(stranger=find_stranger(order.address, order.port, order.secret))
    except OSError as fault:
        return Proved(stranger="", failure=f"nobody answers ({fault})")


def write_report(environment: OrderedEnvironment, order: Report) -> Reported:
    """Locust's own page of everything so far."""
    page = get_html_report(environment, show_download_link=False)  # type: ignore[no-untyped-call]
    Path(order.path).write_text(page)
    return Reported(requests=environment.stats.total.num_requests)
