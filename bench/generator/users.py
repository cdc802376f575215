"""Locust users, one class an engine: each waits for an order, drives its load, and waits again.

RawHttpUser is one Locust user that drives every connection of a slot by itself. The others are
Locust's own clients, a user a connection, to cross-check it with.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from bench.generator.asks import Mix, authority

# First: importing locust patches select and socket, which the load path needs as they are.
from bench.generator.cells import Loop, Target, drive_cells
from bench.generator.closed_loop import Connections
from bench.generator.connecting import Destination
from bench.generator.cores import read_cores
from bench.slots.requests import Outcome

from bench.generator.compiled_loop import CompiledLoop, provide_library  # isort: skip
from bench.generator.fresh_connections import FreshConnections  # isort: skip
from bench.generator.open_loop import OpenConnections, OpenFreshConnections  # isort: skip
from bench.generator.ask import Ask  # isort: skip
from bench.generator.protocol import Tls  # isort: skip
from bench.generator.request_log import RequestLog  # isort: skip
from bench.generator.thinking import ThinkingConnections  # isort: skip
from bench.generator.orders import CellsOrder, Order  # isort: skip
from bench.lab.hosts.readings import read_files  # isort: skip

import gevent
from gevent.queue import Queue
from locust import HttpUser, User, task
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment

from bench.generator.arrivals import draw_arrivals
from bench.generator.locust_feed import feed
from bench.generator.locustfile import drive_locustfile
from bench.procfs import busy_shares

DRAIN_NS = 2_000_000_000
"""Time that requests in flight at the end of a window have to finish."""
CLIENT_TIMEOUT_S = 5.0
COMPILED_LOOP, PYTHON_LOOP = "compiled", "Python ({})"
NO_TLS = "TLS is not in the compiled loop"
FED_AT_ONCE = 1_000_000
"""Requests that Locust's statistics are given at a time: each batch takes some hundred bytes a request."""
TIMER_SLACK = Path("/proc/self/timerslack_ns")


class OrderedEnvironment(Environment):
    """Locust's environment, with the queue that users take their orders from."""

    def __init__(self, *, is_watched: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.is_watched = is_watched
        """Whether a person may look at Locust's web UI."""
        self.orders = {engine: Queue() for engine in ENGINES}
        self.fed = 0
        """Records of the current order that Locust's statistics have already."""

    def feed(self, order: Order | Target, asks: Sequence[Ask]) -> None:
        """Add what is new in the log of an order of `asks` to Locust's statistics."""
        methods = ", ".join(sorted({ask.method for ask in asks}))
        is_open = isinstance(order, Order) and order.rate_rps is not None
        records = order.log.records()
        while self.fed < len(records):
            batch = records[self.fed : self.fed + FED_AT_ONCE]
            since = "intended_ns" if is_open else "sent_ns"
            self.fed += feed(self, order.name, batch, since, methods)


class OrderedUser(User):
    """Takes one order after another from `environment.orders` for as long as the run lasts."""

    abstract = True
    environment: OrderedEnvironment
    engine: str
    """Whose orders this class takes."""

    @task
    def carry_out(self) -> None:
        """Take an order, drive it, and wait until every user has done its share."""
        order: Order | CellsOrder = self.environment.orders[self.engine].get()
        try:
            self.drive(order)
        except OSError as fault:
            order.failure = str(fault)
        order.users -= 1
        if order.users == 0:
            order.finished.set()
        # All users wait for the slowest, so that none takes two shares of the next order.
        order.finished.wait()

    def drive(self, order: Any) -> None:
        """Drive this user's share of the load."""
        raise NotImplementedError


class RawHttpUser(OrderedUser):
    """All connections of the slot in one epoll loop; Locust's statistics are fed afterwards, in batches."""

    engine = "raw"

    def drive(self, order: Order | CellsOrder) -> None:
        """Drive every connection of the slot, or of the slots that take turns."""
        if isinstance(order, CellsOrder):
            self._drive_in_turns(order)
        elif order.rate_rps is not None:
            self._drive_open(order, order.rate_rps)
        else:
            self._drive_closed(order)

    def _drive_closed(self, order: Order) -> None:
        loop = self._open_for(order)
        cores = read_cores()
        try:
            order.begin()
            until_ns = order.window_start_ns
            while until_ns < order.window_end_ns:
                loop.drive(until_ns, pause)
                # A person who watches the web UI wants a batch a second; it costs a pause each.
                batch_ns = 1_000_000_000 if self.environment.is_watched else order.window_end_ns
                until_ns = min(until_ns + batch_ns, order.window_end_ns)
                self.environment.feed(order, order.asks)
            loop.drive(order.window_end_ns, pause)
            order.core_busy = busy_shares(cores, read_cores())
            loop.drain(time.monotonic_ns() + DRAIN_NS, pause)
        finally:
            _end(loop, order)

    def _drive_open(self, order: Order, rate_rps: float) -> None:
        """Drive them by arrivals; Locust's statistics are fed at the end, for a batch takes milliseconds."""
        seconds = order.warm_up_s + order.measure_s
        offsets_ns = draw_arrivals(order.arrivals, rate_rps, seconds, order.arrival_seed)
        offsets_ns = offsets_ns[order.worker :: order.workers]
        if order.pacing == "sleep":
            # A sleep may end 50 us late by default: that would be this process's lateness.
            TIMER_SLACK.write_text("1")
        loop = self._open_for(order)
        cores = read_cores()
        try:
            order.begin()
            begun_ns = order.window_start_ns - round(order.warm_up_s * 1e9)
            loop.schedule(begun_ns + offsets_ns)
            for moment_ns in (order.window_start_ns, order.window_end_ns):
                loop.drive(moment_ns, pause)
                if order.watched:
                    order.readings.append(read_files(order.watched))
            order.core_busy = busy_shares(cores, read_cores())
            loop.drain(time.monotonic_ns() + DRAIN_NS, pause)
        finally:
            _end(loop, order)

    def _drive_in_turns(self, order: CellsOrder) -> None:
        """Drive every cell of a set; Locust's statistics are fed afterwards."""
        asked, order.loop = order.asked, self._name_loop(order.asked.tls)

        def open_loop(target: Target) -> Loop:
            mix = Mix(asked.asks, asked.arrival_seed)
            at = (target.destination, mix, asked.connections, target.log)
            think_ns = round(asked.think_us * 1e3)
            found: Loop = self._open(at, keep_alive=asked.keep_alive, think_ns=think_ns)
            return found

        try:
            driven = drive_cells(asked, order.targets, open_loop, pause)
        finally:
            order.go_home()
        order.turns, order.core_busy = driven.cells, busy_shares(*driven.cores)

    def _open_for(self, order: Order) -> Any:
        order.loop = self._name_loop(order.tls)
        at = (Destination(order.address, order.port, order.tls), order.mix, order.connections, order.log)
        is_open, sleeps = order.rate_rps is not None, order.pacing == "sleep"
        think_ns = round(order.think_us * 1e3)
        return self._open(at, keep_alive=order.keep_alive, is_open=is_open, sleeps=sleeps, think_ns=think_ns)

    def _open(
        self,
        at: tuple[Destination, Mix, int, RequestLog],
        *,
        keep_alive: bool,
        is_open: bool = False,
        sleeps: bool = False,
        think_ns: int = 0,
    ) -> Any:
        """The compiled loop, or the one in Python that does the same; `at`: its arguments."""
        if not self._lacks_compiled_loop(at[0].tls):
            return CompiledLoop(*at, keep_alive=keep_alive, is_open=is_open, sleeps=sleeps, think_ns=think_ns)
        if is_open:
            return (OpenConnections if keep_alive else OpenFreshConnections)(*at, sleeps=sleeps)
        if not keep_alive:
            return FreshConnections(*at, think_ns=think_ns)
        return ThinkingConnections(*at, think_ns=think_ns) if think_ns else Connections(*at)

    def _name_loop(self, tls: Tls | None) -> str:
        lacks = self._lacks_compiled_loop(tls)
        return PYTHON_LOOP.format(lacks) if lacks else COMPILED_LOOP

    def _lacks_compiled_loop(self, tls: Tls | None) -> str:
        """Why the load is none for the compiled loop; empty where it is."""
        return NO_TLS if tls else provide_library().lacks


class RawPythonHttpUser(RawHttpUser):
    """Engine `raw-python`: the same with the loop in Python, the compiled one's oracle."""

    engine = "raw-python"

    def _lacks_compiled_loop(self, tls: Tls | None) -> str:
        return NO_TLS if tls else "asked for"


def _end(loop: Any, order: Order) -> None:
    loop.close()
    order.connected, order.opened = loop.connected, loop.opened
    order.without_port, order.spun_ns = loop.without_port, loop.spun_ns
    order.handshakes = loop.handshakes


def pause() -> None:
    """Let Locust's other tasks (web UI, heartbeats, stop requests) run once."""
    gevent.sleep(0)


class ClientUser(OrderedUser):
    """A request after another through a client of Locust's, stamped around the call.

    The client shows no first byte, so `first_byte_ns` is `done_ns`; nor does it show its retries
    and reconnects, which is one of the reasons for RawHttpUser.
    """

    abstract = True
    client: Any
    patience: ClassVar[Mapping[str, float]] = {}
    """By which a call is told how long to wait, of a client that is told so with each."""

    def drive(self, order: Order) -> None:
        """Drive one connection, as far as the client keeps to one."""
        if order.tls:
            raise OSError(f"engine {self.engine} has no TLS here: the raw engines have")
        if not order.window_start_ns:
            order.begin()
        number, order.opened = order.opened, order.opened + 1
        clock = time.monotonic_ns
        root = f"http://{authority(order.address, order.port)}"
        how = {"name": order.name, "allow_redirects": False, **self.patience}
        done_ns = clock()
        while (intended_ns := done_ns) < order.window_end_ns:
            turn = next(order.turns)
            ask = order.asks[turn]
            sent_ns = clock()
            response = self.client.request(
                ask.method, root + ask.path, data=ask.body, headers=dict(ask.headers), **how
            )
            done_ns = clock()
            status = response.status_code or 0
            wrong = Outcome.HTTP_ERROR if status else Outcome.CONNECTION_ERROR
            outcome = Outcome.OK if status == ask.status else wrong
            length = len(response.content or b"")
            order.log.write(intended_ns, sent_ns, done_ns, done_ns, length, number, turn, status, outcome)


class HttpClientUser(ClientUser, HttpUser):
    """Engine `http`: Locust's HttpUser (requests)."""

    engine = "http"
    host = "http://unused"
    patience: ClassVar[Mapping[str, float]] = {"timeout": CLIENT_TIMEOUT_S}


class FastHttpClientUser(ClientUser, FastHttpUser):
    """Engine `fasthttp`: Locust's FastHttpUser (geventhttpclient)."""

    engine = "fasthttp"
    host = "http://unused"
    connection_timeout = network_timeout = CLIENT_TIMEOUT_S


class LocustfileUser(OrderedUser):
    """Engine `locustfile`: one user that has those of a person's own file run."""

    engine = "locustfile"

    def drive(self, order: Order) -> None:
        """Run them for the window."""
        drive_locustfile(order, self.environment.stats, DRAIN_NS)


ENGINES: dict[str, type[OrderedUser]] = {
    user.engine: user
    for user in (RawHttpUser, RawPythonHttpUser, HttpClientUser, FastHttpClientUser, LocustfileUser)
}
