"""A worker of the load generator: Locust's own, on a core of its own, for its share of each load.

    python -m bench.generator.worker [--network FILE] --master PORT --name NAME --cpu N [--watched]

Orders and answers (protocol.py) are messages between Locust's master and its worker.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

# First: importing locust patches select and socket, which the load path needs as they are.
from bench.generator.executor import Executor  # isort: skip
from bench.generator.users import ENGINES, OrderedEnvironment  # isort: skip

import gevent
from gevent.queue import Queue
from locust.env import Environment
from locust.log import setup_logging
from locust.runners import WorkerRunner

from bench.generator.heap import keep_collector_away
from bench.generator.membership import Armed, Clock, Start
from bench.generator.message import Message
from bench.generator.networks import enter
from bench.generator.protocol import ORDERS, Driven, DrivenCells

ORDER, START, CLOCK, ANSWER = "bench order", "bench start", "bench clock", "bench answer"
"""Messages to a worker, and from it. All but the question for its clock carry a line of the protocol."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BLOCKED_S = 0.002
"""The last of the wait for a start is a sleep of the whole process, which ends more exactly than gevent's."""


class Worker:
    """Carries out its share of what the master is asked."""

    def __init__(self, environment: OrderedEnvironment, runner: WorkerRunner, name: str) -> None:
        self._environment, self._runner, self._name = environment, runner, name
        self._starts: Queue[Start] = Queue()
        self._executor = Executor(environment, runner, self._await_start)
        runner.register_message(ORDER, self._carry_out, concurrent=True)
        runner.register_message(START, self._take_start)
        runner.register_message(CLOCK, self._tell_clock)
        self._tell_clock()  # By which the master learns who this is.

    def _tell_clock(self, **_: object) -> None:
        self._say(Clock(monotonic_ns=time.monotonic_ns(), boot_id=BOOT_ID.read_text().strip()))

    def _say(self, message: Message) -> None:
        self._runner.send_message(ANSWER, {"name": self._name, "line": message.line()})

    def _carry_out(self, environment: Environment, msg: Any) -> None:  # noqa: ARG002
        answer = self._executor.answer(ORDERS.validate_json(msg.data["line"]))
        if isinstance(answer, Driven | DrivenCells):
            # Locust's own message, now and before the answer: so the master's sum is whole with the last.
            report: dict[str, object] = {}
            events = self._environment.events
            events.report_to_master.fire(client_id=self._runner.client_id, data=report)  # type: ignore[no-untyped-call]
            self._runner.send_message("stats", report)
        self._say(answer)

    def _take_start(self, environment: Environment, msg: Any) -> None:  # noqa: ARG002
        self._starts.put(Start.model_validate_json(msg.data["line"]))

    def _await_start(self) -> int:
        self._say(Armed())
        at_ns: int | None = self._starts.get().at_ns
        if at_ns is None:
            raise OSError("another worker could not begin")
        gevent.sleep(max((at_ns - time.monotonic_ns()) / 1e9 - BLOCKED_S, 0))
        time.sleep(max((at_ns - time.monotonic_ns()) / 1e9, 0))
        return at_ns


def main() -> None:
    """Join the master and carry out its orders until it says that there are no more."""
    parser = argparse.ArgumentParser(prog="python -m bench.generator.worker")
    parser.add_argument("--network", help="network namespace to send the load from, if another one")
    parser.add_argument("--master", type=int, required=True, help="port of Locust's master on loopback there")
    parser.add_argument("--name", required=True, help="what the master calls this worker")
    parser.add_argument("--cpu", type=int, required=True, help="core to run on")
    parser.add_argument("--watched", action="store_true", help="show figures while a load lasts")
    options = parser.parse_args()
    del sys.argv[1:]
    os.sched_setaffinity(0, {options.cpu})
    setup_logging("WARNING")  # type: ignore[no-untyped-call]
    environment = OrderedEnvironment(is_watched=options.watched, user_classes=list(ENGINES.values()))
    if options.network:
        enter(options.network)
    runner = environment.create_worker_runner("127.0.0.1", options.master)
    Worker(environment, runner, options.name)
    keep_collector_away()
    runner.greenlet.join()


if __name__ == "__main__":
    main()
