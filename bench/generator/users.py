"""Locust users, one class an engine: each waits for an order, drives its load, and waits again.

RawHttpUser is one Locust user that drives every connection of a slot by itself. The others are
Locust's own clients, a user a connection, to cross-check it with.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

# First: importing locust patches select and socket, which the load path needs as they are.
from bench.generator.cells import CellTimes, Target, Turns, drive_cells
from bench.generator.closed_loop import Connections, authority
from bench.generator.cores import read_cores
from bench.slots.requests import Outcome, RequestLog

from bench.generator.fresh_connections import FreshConnections  # isort: skip
from bench.generator.open_loop import OpenConnections, OpenFreshConnections  # isort: skip
from bench.lab.hosts.readings import Reading, read_files  # isort: skip

import gevent
from gevent.event import Event
from gevent.queue import Queue
from locust import HttpUser, User, task
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment

from bench.generator.arrivals import draw_arrivals
from bench.generator.locust_feed import feed
from bench.procfs import busy_shares

DRAIN_NS = 2_000_000_000
"""Time that requests in flight at the end of a window have to finish."""
CLIENT_TIMEOUT_S = 5.0
TIMER_SLACK = Path("/proc/self/timerslack_ns")


@dataclass
class Order:
    """One slot's load, and what came of it. Stamps are CLOCK_MONOTONIC."""

    name: str
    """Under which Locust's own statistics list it: the arm."""
    address: str
    port: int
    path: str
    connections: int
    warm_up_s: float
    measure_s: float
    users: int
    keep_alive: bool = True
    rate_rps: float | None = None
    """Of an open loop; None: closed."""
    arrivals: Literal["poisson", "uniform"] = "poisson"
    arrival_seed: int = 0
    pacing: Literal["spin", "sleep"] = "spin"
    """Of an open loop."""
    watched: Sequence[str] = ()
    """Files that are read as the window opens and as it closes; of an open loop."""
    readings: list[Reading] = field(default_factory=list)
    log: RequestLog = field(default_factory=RequestLog)
    window_start_ns: int = 0
    window_end_ns: int = 0
    opened: int = 0
    """Connections opened, reconnects included; as far as the engine shows them."""
    spun_ns: int = 0
    """Time in which an open loop looked in vain for something to do, on the core all the while."""
    without_port: int = 0
    """Connections for which the client had no port left."""
    core_busy: dict[int, float] = field(default_factory=dict)
    """Core -> busy share, from the warm-up's begin to the window's end; of the raw engine."""
    finished: Event = field(default_factory=Event)
    failure: str = ""

    def begin(self) -> None:
        """Fix the window: it opens after the warm-up, whose requests are kept as well."""
        self.window_start_ns = time.monotonic_ns() + round(self.warm_up_s * 1e9)
        self.window_end_ns = self.window_start_ns + round(self.measure_s * 1e9)


@dataclass
class CellsOrder:
    """Servers that take turns, and what came of it."""

    asked: Turns
    targets: Sequence[Target]
    go_home: Callable[[], None]
    """Has this thread send from where it sent before."""
    times: list[CellTimes] = field(default_factory=list)
    core_busy: dict[int, float] = field(default_factory=dict)
    users: int = 1
    finished: Event = field(default_factory=Event)
    failure: str = ""


class OrderedEnvironment(Environment):
    """Locust's environment, with the queue that users take their orders from."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.orders = {engine: Queue() for engine in ENGINES}
        self.fed = 0
        """Records of the current order that Locust's statistics have already."""

    def feed(self, order: Order) -> None:
        """Add what is new in the order's log to Locust's statistics."""
        since = "sent_ns" if order.rate_rps is None else "intended_ns"
        self.fed += feed(self, order.name, order.log.records()[self.fed :], since)


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

    def drive(self, order: Order) -> None:
        """Drive every connection of the slot."""
        if order.rate_rps is not None:
            self._drive_open(order, order.rate_rps)
            return
        kind = Connections if order.keep_alive else FreshConnections
        connections = kind(order.address, order.port, order.path, order.connections, order.log)
        cores = read_cores()
        try:
            order.begin()
            until_ns = order.window_start_ns
            while until_ns < order.window_end_ns:
                connections.drive(until_ns, pause)
                # A person who watches the web UI wants a batch a second; it costs a pause each.
                batch_ns = 1_000_000_000 if self.environment.web_ui else order.window_end_ns
                until_ns = min(until_ns + batch_ns, order.window_end_ns)
                self.environment.feed(order)
            connections.drive(order.window_end_ns, pause)
            order.core_busy = busy_shares(cores, read_cores())
            connections.drain(time.monotonic_ns() + DRAIN_NS, pause)
        finally:
            connections.close()
            order.opened = connections.opened
            if isinstance(connections, FreshConnections):
                order.without_port = connections.without_port

    def _drive_open(self, order: Order, rate_rps: float) -> None:
        """Drive them by arrivals; Locust's statistics are fed at the end, for a batch takes milliseconds."""
        seconds = order.warm_up_s + order.measure_s
        offsets_ns = draw_arrivals(order.arrivals, rate_rps, seconds, order.arrival_seed)
        sleeps = order.pacing == "sleep"
        if sleeps:
            # A sleep may end 50 us late by default: that would be this process's lateness.
            TIMER_SLACK.write_text("1")
        kind = OpenConnections if order.keep_alive else OpenFreshConnections
        connections = kind(order.address, order.port, order.path, order.connections, order.log, sleeps=sleeps)
        cores = read_cores()
        try:
            order.begin()
            connections.schedule(order.window_start_ns - round(order.warm_up_s * 1e9) + offsets_ns)
            for moment_ns in (order.window_start_ns, order.window_end_ns):
                connections.drive(moment_ns, pause)
                if order.watched:
                    order.readings.append(read_files(order.watched))
            order.core_busy = busy_shares(cores, read_cores())
            connections.drain(time.monotonic_ns() + DRAIN_NS, pause)
        finally:
            connections.close()
            order.opened, order.spun_ns = connections.opened, connections.spun_ns
            if isinstance(connections, FreshConnections):
                order.without_port = connections.without_port


class TurnsUser(OrderedUser):
    """All connections to all servers of a set, which take turns; Locust's statistics are fed afterwards."""

    engine = "raw, in turns"

    def drive(self, order: CellsOrder) -> None:
        """Drive every cell of the set."""
        try:
            driven = drive_cells(order.asked, order.targets, pause)
        finally:
            order.go_home()
        order.times, order.core_busy = driven.cells, busy_shares(*driven.cores)


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

    def drive(self, order: Order) -> None:
        """Drive one connection, as far as the client keeps to one."""
        if not order.window_start_ns:
            order.begin()
        number, order.opened = order.opened, order.opened + 1
        clock = time.monotonic_ns
        url = f"http://{authority(order.address, order.port)}{order.path}"
        done_ns = clock()
        while (intended_ns := done_ns) < order.window_end_ns:
            sent_ns = clock()
            response = self.client.get(url, name=order.name, timeout=CLIENT_TIMEOUT_S)
            done_ns = clock()
            status = response.status_code or 0
            outcome = (
                Outcome.OK if status == 200 else Outcome.HTTP_ERROR if status else Outcome.CONNECTION_ERROR
            )
            length = len(response.content or b"")
            order.log.write(intended_ns, sent_ns, done_ns, done_ns, length, number, status, outcome)


class HttpClientUser(ClientUser, HttpUser):
    """Engine `http`: Locust's HttpUser (requests)."""

    engine = "http"
    host = "http://unused"


class FastHttpClientUser(ClientUser, FastHttpUser):
    """Engine `fasthttp`: Locust's FastHttpUser (geventhttpclient)."""

    engine = "fasthttp"
    host = "http://unused"


ENGINES: dict[str, type[OrderedUser]] = {
    user.engine: user for user in (RawHttpUser, TurnsUser, HttpClientUser, FastHttpClientUser)
}
