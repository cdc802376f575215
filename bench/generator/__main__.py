"""The load generator: a Locust process in the network of the host that sends, one order a line.

    python -m bench.generator --network /proc/<pid>/ns/net [--workers N] [--web-ui PORT]
    python -m bench.generator --elsewhere [--web-ui PORT]

Orders come on standard input and answers leave on standard output: see protocol.py. With several workers
it is Locust's master, and drives no load itself; nor does it with workers that are `elsewhere`, which others
start, and for which it says first where it listens.
"""

import argparse
import sys

# First: importing locust patches select and socket, which the load path needs as they are.
from bench.generator.executor import Executor  # isort: skip
from bench.generator.team import Team  # isort: skip
from bench.generator.users import ENGINES, OrderedEnvironment  # isort: skip

import gevent
from gevent.fileobject import FileObjectPosix
from locust.log import setup_logging
from locust.runners import Runner
from locust.stats import stats_history

from bench.generator.heap import keep_collector_away
from bench.generator.membership import Listening
from bench.generator.networks import enter
from bench.generator.protocol import ORDERS


def main() -> None:
    """Start Locust, enter the client host's network, and carry out orders until there are no more."""
    parser = argparse.ArgumentParser(prog="python -m bench.generator")
    sending = parser.add_mutually_exclusive_group(required=True)
    sending.add_argument("--network", help="network namespace to send the load from")
    sending.add_argument("--elsewhere", action="store_true", help="the load is sent by workers elsewhere")
    parser.add_argument("--workers", type=int, default=1, help="processes that share a load, at most")
    parser.add_argument("--web-ui", type=int, help="port on the machine's loopback for Locust's web UI")
    options = parser.parse_args()
    del sys.argv[1:]  # Locust's web UI reads the command line as if it were Locust's own.
    setup_logging("WARNING")  # type: ignore[no-untyped-call]
    is_watched = options.web_ui is not None
    environment = OrderedEnvironment(is_watched=is_watched, user_classes=list(ENGINES.values()))
    is_alone = options.workers == 1 and not options.elsewhere
    runner: Runner | None = environment.create_local_runner() if is_alone else None
    if is_watched:
        # Its socket is made before this process moves, so that it stays in the machine's network.
        environment.create_web_ui("127.0.0.1", options.web_ui)
        gevent.sleep(0.2)
    if options.network:
        enter(options.network)
    carrier: Executor | Team
    if runner:
        # Locust then says "running", in its web UI as well, for as long as the process lives.
        runner.start(1, spawn_rate=1, user_classes=[ENGINES["raw"]])
        carrier = Executor(environment, runner)
    else:
        count = 0 if options.elsewhere else options.workers
        carrier = Team(environment, count, options.network)
        runner = carrier.runner
        if options.elsewhere:
            print(Listening(port=runner.server.port).line(), end="", flush=True)
    if is_watched:
        gevent.spawn(stats_history, runner)
    keep_collector_away()
    for line in FileObjectPosix(sys.stdin, "rb"):
        print(carrier.answer(ORDERS.validate_json(line)).line(), end="", flush=True)
    runner.quit()


if __name__ == "__main__":
    main()
