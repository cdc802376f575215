"""The load generator: a Locust process in the client host's network, one order a line.

    python -m bench.load_generator --network /proc/<pid>/ns/net [--web-ui PORT]

Orders come on standard input and answers leave on standard output, JSON, one a line, in turn:

    {"do": "probe", "address", "port", "path", "timeout_s"}  -> {"first_200_ns", "attempts"}
    {"do": "load", "engine", "name", "address", ..., "output"} -> {"window_start_ns", ...}
    {"do": "report", "path"}                                  -> {"requests": Locust's own count}
"""

import argparse
import ctypes
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

# First: importing locust patches select and socket, which the load path needs as they are.
from bench.load_generator.connections import await_ready  # isort: skip
from bench.load_generator.users import ENGINES, Order, pause  # isort: skip

import gevent
import gevent.queue
from gevent.fileobject import FileObjectPosix
from locust.env import Environment
from locust.html import get_html_report
from locust.log import setup_logging
from locust.stats import stats_history

from bench.load_generator.statistics_feed import feed

CLONE_NEWNET = 0x40000000
SPAWN_S = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load_generator")
    parser.add_argument("--network", required=True, help="network namespace to send the load from")
    parser.add_argument("--web-ui", type=int, help="port on the machine's loopback for Locust's web UI")
    options = parser.parse_args()
    setup_logging("WARNING")
    environment = Environment(user_classes=list(ENGINES.values()))
    runner = environment.create_local_runner()
    environment.orders = gevent.queue.Queue()
    if options.web_ui:
        # Its socket is made before this process moves, so that it stays in the machine's network.
        environment.create_web_ui("127.0.0.1", options.web_ui)
        gevent.sleep(0.2)
        gevent.spawn(stats_history, runner)
    _enter(options.network)
    # No collection inside a window: what the load path allocates is freed by reference counts.
    gc.freeze()
    gc.disable()
    generator = Generator(environment)
    for line in FileObjectPosix(sys.stdin, "rb"):
        order = json.loads(line)
        answer = getattr(generator, order.pop("do"))(**order)
        print(json.dumps(answer), flush=True)
    runner.quit()


class Generator:
    """Carries out one order at a time."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._fed = 0
        environment.feed = self._feed
        self._engine, self._users = "", 0

    def probe(self, address: str, port: int, path: str, timeout_s: float) -> dict[str, Any]:
        """Wait until three requests in a row, a connection each, are answered with 200."""
        first_200_ns, attempts = await_ready(address, port, path, timeout_s)
        return {"first_200_ns": first_200_ns, "attempts": attempts}

    def load(self, engine: str, output: str, **settings: Any) -> dict[str, Any]:
        """Drive one slot's load; its records are written to `output`, raw."""
        users = 1 if engine == "raw" else settings["connections"]
        self._spawn(engine, users)
        counted = self._environment.stats.total.num_requests
        order = Order(users=users, **settings)
        self._fed = 0
        cpu_ns, begun_ns = time.process_time_ns(), time.monotonic_ns()
        for _ in range(users):
            self._environment.orders.put(order)
        order.finished.wait()
        cpu_share = (time.process_time_ns() - cpu_ns) / (time.monotonic_ns() - begun_ns)
        if engine == "raw":
            self._feed(order)
        records = order.log.records()
        records.tofile(output)
        return {
            "window_start_ns": order.window_start_ns,
            "window_end_ns": order.window_end_ns,
            "opened": order.opened,
            "records": len(records),
            "locust_requests": self._environment.stats.total.num_requests - counted,
            "cpu_share": cpu_share,
            "failure": order.failure,
        }

    def report(self, path: str) -> dict[str, Any]:
        """Write Locust's own HTML report of everything so far."""
        Path(path).write_text(get_html_report(self._environment, show_download_link=False))
        return {"requests": self._environment.stats.total.num_requests}

    def _feed(self, order: Order) -> None:
        self._fed += feed(self._environment, order.name, order.log.records()[self._fed :])

    def _spawn(self, engine: str, users: int) -> None:
        """Have exactly `users` users of the engine's class, waiting for orders."""
        if (self._engine, self._users) == (engine, users):
            return
        runner = self._environment.runner
        if self._engine not in ("", engine):
            runner.stop()
        runner.start(users, spawn_rate=users, wait=True, user_classes=[ENGINES[engine]])
        deadline = time.monotonic() + SPAWN_S
        while runner.user_count != users and time.monotonic() < deadline:
            pause()
        self._engine, self._users = engine, users


def _enter(network: str) -> None:
    """Move this process into a network namespace (setns(2); os.setns comes with Python 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(network, os.O_RDONLY | os.O_CLOEXEC)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"entering {network}: {os.strerror(ctypes.get_errno())}")
    os.close(descriptor)


if __name__ == "__main__":
    main()
