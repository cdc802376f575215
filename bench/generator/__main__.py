"""The load generator: a Locust process in the network of the host that sends, one order a line.

    python -m bench.generator --network /proc/<pid>/ns/net [--web-ui PORT]

Orders come on standard input and answers leave on standard output: see protocol.py.
"""

import argparse
import gc
import sys
import time
from functools import partial
from pathlib import Path

# First: importing locust patches select and socket, which the load path needs as they are.
from bench.generator.closed_loop import await_ready  # isort: skip
from bench.generator.cells import Target  # isort: skip
from bench.generator.request_log import RequestLog  # isort: skip
from bench.generator.orders import CellsOrder, Order  # isort: skip
from bench.generator.users import ENGINES, OrderedEnvironment  # isort: skip

from bench.generator import protocol  # isort: skip
import gevent
from gevent.fileobject import FileObjectPosix
from locust.html import get_html_report
from locust.log import setup_logging
from locust.runners import Runner
from locust.stats import stats_history

from bench.generator.networks import enter  # isort: skip
from bench.generator.protocol import (
    ORDERS,
    Drive,
    DriveCells,
    Driven,
    DrivenCells,
    DrivenTarget,
    Enter,
    Entered,
    Message,
    Probe,
    Probed,
    Report,
    Reported,
)  # isort: skip
from bench.scenario.model import RAW_ENGINES


def main() -> None:
    """Start Locust, enter the client host's network, and carry out orders until there are no more."""
    parser = argparse.ArgumentParser(prog="python -m bench.generator")
    parser.add_argument("--network", required=True, help="network namespace to send the load from")
    parser.add_argument("--web-ui", type=int, help="port on the machine's loopback for Locust's web UI")
    options = parser.parse_args()
    del sys.argv[1:]  # Locust's web UI reads the command line as if it were Locust's own.
    setup_logging("WARNING")  # type: ignore[no-untyped-call]
    environment = OrderedEnvironment(user_classes=list(ENGINES.values()))
    runner = environment.create_local_runner()
    if options.web_ui:
        # Its socket is made before this process moves, so that it stays in the machine's network.
        environment.create_web_ui("127.0.0.1", options.web_ui)
        gevent.sleep(0.2)
        gevent.spawn(stats_history, runner)
    enter(options.network)
    # No collection inside a window: what the load path allocates is freed by reference counts.
    gc.freeze()
    gc.disable()
    generator = Generator(environment, runner)
    for line in FileObjectPosix(sys.stdin, "rb"):
        print(generator.answer(ORDERS.validate_json(line)).line(), end="", flush=True)
    runner.quit()


class Generator:
    """Carries out one order at a time."""

    def __init__(self, environment: OrderedEnvironment, runner: Runner) -> None:
        self._environment = environment
        self._runner = runner
        self._users = {"raw": 1}
        # Locust then says "running", in its web UI as well, for as long as the process lives.
        runner.start(1, spawn_rate=1, user_classes=[ENGINES["raw"]])

    def answer(self, order: protocol.Order) -> Message:
        """Carry out `order`."""
        match order:
            case Enter():
                enter(order.network)
                return Entered(network=order.network)
            case Probe():
                first_200_ns, attempts = await_ready(order.address, order.port, order.path, order.timeout_s)
                return Probed(first_200_ns=first_200_ns, attempts=attempts)
            case Drive():
                return self._drive(order)
            case DriveCells():
                return self._drive_cells(order)
            case Report():
                page = get_html_report(self._environment, show_download_link=False)  # type: ignore[no-untyped-call]
                Path(order.path).write_text(page)
                return Reported(requests=self._environment.stats.total.num_requests)

    def _drive(self, asked: Drive) -> Driven:
        environment, engine = self._environment, asked.engine
        users = 1 if engine in RAW_ENGINES else asked.connections
        self._spawn(engine, users)
        counted = environment.stats.total.num_requests
        log = RequestLog(Path(asked.output))
        order = Order(users=users, log=log, **asked.model_dump(exclude={"do", "engine", "output"}))
        environment.fed = 0
        cpu_ns, begun_ns = time.process_time_ns(), time.monotonic_ns()
        for _ in range(users):
            environment.orders[engine].put(order)
        order.finished.wait()
        worked_ns = time.process_time_ns() - cpu_ns - order.spun_ns
        cpu_share = worked_ns / (time.monotonic_ns() - begun_ns)
        if engine in RAW_ENGINES:
            environment.feed(order)
        order.log.finish()
        return Driven(
            window_start_ns=order.window_start_ns,
            window_end_ns=order.window_end_ns,
            opened=order.opened,
            without_port=order.without_port,
            core_busy=order.core_busy,
            locust_requests=environment.stats.total.num_requests - counted,
            cpu_share=cpu_share,
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
                target.address,
                target.port,
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
            environment.feed(target)
            target.log.finish()
            answers.append(
                DrivenTarget(
                    connected=target.connected,
                    opened=target.opened,
                    without_port=target.without_port,
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
        missing = users - self._users.get(engine, 0)
        if missing > 0:
            self._runner.spawn_users({ENGINES[engine].__name__: missing})
            self._users[engine] = users


if __name__ == "__main__":
    main()
