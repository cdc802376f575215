"""A locustfile of the person's own as the load: its users run for a window, each request becomes a record.

They run in an Environment of their own within the generator's process: a Locust beside the generator's, with
its own events and users, so that nothing of one load is left for the next. The file and what it imports from
its folder are loaded anew for every load, for the same reason: what a module remembers would make slots
unlike.

Imported by users.py alone, after the load path: importing locust patches select and socket.
"""

import errno
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import gevent
import numpy as np
from gevent import socket
from locust import User
from locust.env import Environment
from locust.runners import LocalRunner
from locust.stats import RequestStats
from locust.user.task import LOCUST_STATE_WAITING

from bench.generator.asks import authority
from bench.generator.cores import read_cores
from bench.generator.loaded_locustfile import Loaded, LocustfileError, describe_fault, loaded
from bench.generator.orders import Order
from bench.procfs import busy_shares
from bench.slots.requests import RECORD_DTYPE, Outcome

ON_STOP_S = 1.0
"""For users that were stopped by force to carry out their on_stop."""
MOST_STATUS = 999


class Recorder:
    """Every request event of Locust's becomes a record of the order's log.

    Locust tells of a request when its client is done with it, or of one with `catch_response` when its
    with-block ends: that is `done_ns`, and the response time before it `sent_ns`. The clients show no first
    byte. Who thinks does so before a request: it is intended as it is sent.
    """

    def __init__(self, order: Order, stats: RequestStats, runner: LocalRunner) -> None:
        """`stats`: where Locust's own figures of all loads are kept."""
        self._order, self._runner = order, runner
        self._stats: Any = stats
        self._numbers: dict[Any, int] = {}
        """Of users, by greenlet, in the order of their first requests."""
        self._is_over = False
        self.fault: OSError | None = None
        """Why a request could not be recorded."""

    def note(
        self,
        request_type: str,
        name: str,
        response_time: float | None,
        response_length: int | None,
        exception: BaseException | None = None,
        response: object = None,
        **_: object,
    ) -> None:
        """Listen to `events.request`. `response_time` in ms."""
        done_ns = time.monotonic_ns()
        if self._is_over:
            return  # Who could not be stopped has no part in it: the log is finished.
        status = getattr(response, "status_code", 0)
        record = np.zeros((), RECORD_DTYPE)
        record["done_ns"] = record["first_byte_ns"] = done_ns
        record["sent_ns"] = record["intended_ns"] = done_ns - round((response_time or 0.0) * 1e6)
        record["bytes"] = response_length or 0
        record["connection"] = self._find_user()
        record["status"] = status if isinstance(status, int) and 0 <= status <= MOST_STATUS else 0
        record["outcome"] = (
            Outcome.OK
            if not exception
            else Outcome.HTTP_ERROR
            if record["status"]
            else Outcome.CONNECTION_ERROR
        )
        try:
            self._order.log.write(*record.item())
        except OSError as fault:  # Locust would log it, and go on without the record.
            self.fault = self.fault or fault
        label = f"{self._order.name}: {name}"
        self._stats.log_request(request_type, label, response_time, response_length or 0)
        if exception:
            self._stats.log_error(request_type, label, exception)

    def end(self) -> None:
        """Record no more."""
        self._is_over = True
        self._numbers.clear()

    def _find_user(self) -> int:
        """Number of the user that asks, itself or by a greenlet of its own; of nobody's request one more than
        the users have."""
        greenlet = gevent.getcurrent()
        while greenlet is not None and greenlet not in self._runner.user_greenlets:
            if greenlet in self._numbers:  # It has ended, and what it spawned has not.
                break
            spawner = getattr(greenlet, "spawning_greenlet", None)
            greenlet = spawner() if spawner else None
        if greenlet is None:
            return self._order.connections
        return self._numbers.setdefault(greenlet, len(self._numbers))


class Faults:
    """What the person's own code raised, the first of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.first = ""

    def note(self, exception: BaseException, **_: object) -> None:
        """Listen to `events.user_error`."""
        self.first = self.first or describe_fault(exception, self._path)

    def after(self, said: str) -> LocustfileError:
        """`said`, and why."""
        return LocustfileError(f"{self._path.name}: {said}{f'; first: {self.first}' if self.first else ''}")


def drive_locustfile(order: Order, stats: RequestStats, drain_ns: int) -> None:
    """Run the users of the order's locustfile for warm-up and window; any fault of it is the order's failure.

    `drain_ns`: what is in flight at the window's end has so long to end, and is recorded as nothing after it.
    """
    assert order.locustfile
    try:
        with loaded(Path(order.locustfile)) as file, _counted_connections(order):
            order.loop = file.label
            _drive(order, file, stats, drain_ns)
    except LocustfileError as fault:
        order.failure = str(fault)
    except OSError:
        raise  # Of the load, not of the file.
    except Exception as fault:  # noqa: BLE001 - it is the person's code: whatever it raises ends no generator.
        order.failure = describe_fault(fault, Path(order.locustfile))
    finally:
        # Users, their clients and their connections refer to one another, and no collector runs by itself.
        gc.collect()


def _drive(order: Order, file: Loaded, stats: RequestStats, drain_ns: int) -> None:
    environment = Environment(
        user_classes=list(file.user_classes),
        events=file.events,
        host=f"http://{authority(order.address, order.port)}",
        stop_timeout=drain_ns / 1e9,
    )
    runner = environment.create_local_runner()
    recorder, faults = Recorder(order, stats, runner), Faults(file.path)
    begun: set[User] = set()
    for kind in environment.user_classes:
        _note_begun(kind, begun)
        end_in_waiting(kind)
    events: Any = file.events
    events.request.add_listener(recorder.note)
    events.user_error.add_listener(faults.note)
    try:
        events.init.fire(environment=environment, runner=runner, web_ui=None)
        # Before the warm-up: to make a thousand users and their clients takes seconds.
        _spawn(runner, order.connections, faults)
        cores = read_cores()
        order.begin()
        cpu_ns, begun_ns = time.process_time_ns(), time.monotonic_ns()
        _wait(runner, order.window_start_ns)
        if (missing := order.connections - len(begun)) > 0:
            late = f"{missing} of {order.connections} users were in their on_start as the window opened"
            lasts = f": load.warm_up_s, {order.warm_up_s:g}, has to outlast it"
            failed = f"{missing} of {order.connections} users came to no end of their on_start"
            raise faults.after(failed if faults.first else late + lasts)
        order.connected = order.connections
        _wait(runner, order.window_end_ns)
        order.cpu_share = (time.process_time_ns() - cpu_ns) / (time.monotonic_ns() - begun_ns)
        order.core_busy = busy_shares(cores, read_cores())
        if not len(runner.user_greenlets):
            raise faults.after("every user had ended by itself before the window did")
        if not len(order.log):
            raise faults.after("its users made no request")
    finally:
        _stop(runner, drain_ns)
        recorder.end()
        begun.clear()
    if recorder.fault:
        raise recorder.fault
    if len(runner.user_greenlets):
        raise faults.after(f"{len(runner.user_greenlets)} users go on though they were stopped by force")


def _note_begun(kind: Any, begun: set[User]) -> None:
    """Have users of `kind` be in `begun` once they are through their on_start."""
    original: Callable[[User], None] = kind.on_start

    @wraps(original)
    def on_start(self: User) -> None:
        original(self)
        begun.add(self)

    kind.on_start = on_start


def end_in_waiting(kind: Any) -> None:
    """Have users of `kind` that are stopped while they wait end in their wait.

    Locust orders the end of such a user's greenlet a turn of the loop ahead. If the wait ends in that turn
    the user asks once more, and is ended with its request on the way: the server has it, and no record.
    """
    original: Callable[..., bool] = kind.stop

    def stop_in_hub(user: User) -> None:
        if user._state == LOCUST_STATE_WAITING:
            user.greenlet.throw(gevent.GreenletExit)
        else:  # It has woken: after its task, then.
            original(user)

    @wraps(original)
    def stop(self: User, force: bool = False) -> bool:
        if force or self._state != LOCUST_STATE_WAITING:
            return original(self, force)
        # A greenlet may be thrown into from the hub alone.
        gevent.get_hub().loop.run_callback(stop_in_hub, self)
        return False

    kind.stop = stop


def _spawn(runner: LocalRunner, count: int, faults: Faults) -> None:
    """Have `count` users, by their classes' weights, all at once."""
    runner.start(count, spawn_rate=count)
    spawning = runner.spawning_greenlet
    assert spawning
    spawning.join()
    if spawning.exception:
        faults.note(spawning.exception)
        raise faults.after("its users could not be made")


def _wait(runner: LocalRunner, until_ns: int) -> None:
    """Wait until then, or until no user is left."""
    runner.user_greenlets.join(timeout=max(until_ns - time.monotonic_ns(), 0) / 1e9)


def _stop(runner: LocalRunner, drain_ns: int) -> None:
    """Have users end after the task that they are at; by force those whose task outlasts the drain."""
    stopping = gevent.spawn(runner.quit)
    stopping.join(timeout=drain_ns / 1e9 + ON_STOP_S)
    # Those left are in their on_stop, or catch all that is raised in them, the order to end among it.
    for _ in range(3):
        runner.user_greenlets.kill(timeout=ON_STOP_S)
    stopping.kill(timeout=ON_STOP_S)
    runner.greenlet.kill(timeout=ON_STOP_S)


@contextmanager
def _counted_connections(order: Order) -> Iterator[None]:
    """Count the connections that are opened to the server meanwhile: no client of Locust's shows them."""
    kind: Any = socket.socket
    original = kind.connect

    def connect(self: object, address: Any) -> None:
        is_server = isinstance(address, tuple) and address[:2] == (order.address, order.port)
        try:
            original(self, address)
        except OSError as fault:
            order.without_port += is_server and fault.errno == errno.EADDRNOTAVAIL
            raise
        order.opened += is_server

    kind.connect = connect
    try:
        yield
    finally:
        kind.connect = original
