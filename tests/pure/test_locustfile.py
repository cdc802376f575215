"""A locustfile as the load: what it asked for is what is recorded, and what is wrong with it is said.

The users run in a process of the load generator's, which is asked as the controller asks it, against real
servers.
"""

import socket
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from bench.generator.protocol import Drive, Driven
from bench.generator.request_log import read_records
from bench.slots.requests import Outcome

from .servers import ADDRESS, PATIENCE_S, assert_stamps_in_order, outcomes, read_request, response, serving

PROGRAM = """
import sys
from bench.generator.executor import Executor
from bench.generator.users import ENGINES, OrderedEnvironment
from bench.generator.heap import keep_collector_away
from bench.generator.protocol import ORDERS
from gevent.fileobject import FileObjectPosix

environment = OrderedEnvironment(user_classes=list(ENGINES.values()))
executor = Executor(environment, environment.create_local_runner())
keep_collector_away()
for line in FileObjectPosix(sys.stdin, "rb"):
    print(executor.answer(ORDERS.validate_json(line)).line(), end="", flush=True)
"""
MS = 1_000_000


@dataclass
class Site:
    """A server of pages, and what it was asked for."""

    asked: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """By connection, in order: whole requests."""

    def serve(self, connection: socket.socket, number: int) -> None:
        while request := read_request(connection):
            self.asked[number].append(request)
            path = path_of(request)
            if path == "/never":
                connection.recv(1)  # Until the client goes.
                return
            if path == "/cut":
                return
            status = {"/missing": "404 Not Found", "/broken": "500 Internal Server Error"}.get(path, "200 OK")
            cookie = "Set-Cookie: session=open\r\n" if path == "/login" else ""
            connection.sendall(response(status=status, headers=f"Server: unit\r\n{cookie}"))

    @property
    def requests(self) -> list[bytes]:
        return [request for each in self.asked.values() for request in each]

    @property
    def paths(self) -> Counter[str]:
        return Counter(map(path_of, self.requests))


def path_of(request: bytes) -> str:
    return request.split()[1].decode()


@pytest.fixture(scope="module")
def process() -> Iterator[subprocess.Popen[str]]:
    """The generator's process; that it serves one test after another is a part of what is tested."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as started:
        yield started
        assert started.stdin
        started.stdin.close()
        assert started.wait(PATIENCE_S) == 0


@dataclass
class Loaded:
    """What came of a load."""

    driven: Driven
    records: np.ndarray
    site: Site

    def count(self) -> int:
        """Requests, which everybody counts alike."""
        counts = {len(self.records), len(self.site.requests), self.driven.locust_requests}
        assert len(counts) == 1, counts
        return counts.pop()


class Driver:
    """Drives locustfiles of a folder."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process, self.folder = process, folder

    def write(self, text: str, name: str = "users.py") -> Path:
        path = self.folder / "mine" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))
        return path

    def drive(
        self, text: str | None, connections: int = 2, *, warm_up_s: float = 0.5, **changes: Any
    ) -> Loaded:
        """Load a fresh server by a locustfile of this `text`; None: by the one that is there."""
        path = self.folder / "mine" / "users.py" if text is None else self.write(text)
        site, output = Site(), self.folder / "records"
        output.unlink(missing_ok=True)
        with serving(site.serve) as port:
            order = Drive(
                **{
                    "engine": "locustfile",
                    "name": "host",
                    "address": ADDRESS,
                    "port": port,
                    "asks": ({"path": "/1024"},),
                    "connections": connections,
                    "keep_alive": True,
                    "think_us": 0,
                    "warm_up_s": warm_up_s,
                    "measure_s": 0.2,
                    "rate_rps": None,
                    "arrivals": "poisson",
                    "arrival_seed": 0,
                    "pacing": "spin",
                    "watched": (),
                    "output": str(output),
                    "locustfile": str(path),
                }
                | changes
            )
            assert self.process.stdin
            assert self.process.stdout
            self.process.stdin.write(order.line())
            self.process.stdin.flush()
            driven = Driven.model_validate_json(self.process.stdout.readline())
        return Loaded(driven, read_records(output), site)

    def fail(self, text: str, **changes: Any) -> str:
        """Why there is no load by a locustfile of this `text`; one line."""
        failure = self.drive(text, **changes).driven.failure
        assert failure
        assert "\n" not in failure
        return failure


@pytest.fixture
def driver(process: subprocess.Popen[str], tmp_path: Path) -> Driver:
    return Driver(process, tmp_path)


@pytest.mark.parametrize("client", ["HttpUser", "FastHttpUser"])
def test_every_request_of_users_that_wait_between_is_recorded_once(driver: Driver, client: str) -> None:
    loaded = driver.drive(
        f"""
        from locust import {client}, between, task

        class Reader({client}):
            wait_time = between(0.001, 0.005)

            @task
            def read(self):
                self.client.get("/page")
        """,
        connections=3,
    )
    records, driven = loaded.records, loaded.driven

    assert loaded.count() > 3
    assert driven.failure == ""
    assert_stamps_in_order(records)
    assert set(outcomes(records)) == {Outcome.OK}
    assert set(records["status"].tolist()) == {200}
    assert set(records["bytes"].tolist()) == {1024}
    assert set(records["connection"].tolist()) == {0, 1, 2}
    assert driven.window_end_ns - driven.window_start_ns == 200 * MS
    assert (driven.connected, driven.opened, driven.without_port) == (3, len(loaded.site.asked), 0)
    assert driven.loop.startswith("Locust's clients, by users.py (SHA-256 ")
    assert 0 < driven.cpu_share <= 1.5
    assert driven.core_busy


def test_the_tasks_of_a_sequence_come_in_its_order_for_every_user(driver: Driver) -> None:
    loaded = driver.drive(
        """
        from locust import HttpUser, SequentialTaskSet, constant, task

        class Order(SequentialTaskSet):
            @task
            def choose(self):
                self.client.get("/choose")

            @task
            def pay(self):
                self.client.get("/pay")

            @task
            def leave(self):
                self.client.get("/leave")

        class Buyer(HttpUser):
            wait_time = constant(0.002)
            tasks = [Order]
        """
    )

    assert loaded.count() > 6
    assert len(loaded.site.asked) == 2
    for asked in loaded.site.asked.values():
        turns = ["/choose", "/pay", "/leave"] * len(asked)
        assert list(map(path_of, asked)) == turns[: len(asked)]


def test_what_a_with_block_says_of_a_response_is_its_outcome(driver: Driver) -> None:
    loaded = driver.drive(
        """
        from locust import HttpUser, task

        class Judge(HttpUser):
            @task
            def judge(self):
                with self.client.get("/page", catch_response=True) as answer:
                    answer.failure("not what I wanted")
                with self.client.get("/missing", catch_response=True) as answer:
                    answer.success()
                self.client.get("/broken")
        """
    )
    ended = Counter(zip(outcomes(loaded.records), loaded.records["status"].tolist(), strict=True))

    assert loaded.count() == sum(ended.values())
    assert set(ended) == {(Outcome.HTTP_ERROR, 200), (Outcome.OK, 404), (Outcome.HTTP_ERROR, 500)}
    asked = loaded.site.paths
    assert [ended[Outcome.HTTP_ERROR, 200], ended[Outcome.OK, 404], ended[Outcome.HTTP_ERROR, 500]] == [
        asked[path] for path in ("/page", "/missing", "/broken")
    ]


@pytest.mark.parametrize("client", ["HttpUser", "FastHttpUser"])
def test_a_response_that_does_not_come_is_an_error_of_the_connection(driver: Driver, client: str) -> None:
    loaded = driver.drive(
        f"""
        from locust import {client}, constant, task

        class Cut({client}):
            wait_time = constant(0.005)

            @task
            def cut(self):
                self.client.get("/cut")
        """
    )

    assert set(outcomes(loaded.records)) == {Outcome.CONNECTION_ERROR}
    assert set(loaded.records["status"].tolist()) == {0}
    assert loaded.driven.opened == len(loaded.site.asked)


def test_every_user_logs_in_before_all_else_and_stays_so(driver: Driver) -> None:
    loaded = driver.drive(
        """
        from locust import HttpUser, constant, task

        class Member(HttpUser):
            wait_time = constant(0.002)

            def on_start(self):
                self.client.post("/login")

            @task
            def read(self):
                self.client.get("/members")

            def on_stop(self):
                self.client.post("/logout")
        """,
        connections=4,
    )

    loaded.count()
    assert (loaded.site.paths["/login"], loaded.site.paths["/logout"]) == (4, 4)
    assert len(loaded.site.asked) == 4
    for first, *others in loaded.site.asked.values():
        assert path_of(first) == "/login"
        assert all(b"session=open" in request for request in others)


def test_users_of_two_classes_are_as_many_as_their_weights_say(driver: Driver) -> None:
    loaded = driver.drive(
        """
        from locust import FastHttpUser, HttpUser, constant, task

        class Many(HttpUser):
            weight = 3
            wait_time = constant(0.002)

            @task
            def many(self):
                self.client.get("/many")

        class Few(FastHttpUser):
            wait_time = constant(0.002)

            @task
            def few(self):
                self.client.get("/few")
        """,
        connections=8,
    )

    loaded.count()
    assert Counter(path_of(asked[0]) for asked in loaded.site.asked.values()) == {"/many": 6, "/few": 2}


def test_requests_that_a_user_makes_at_once_are_all_its_own(driver: Driver) -> None:
    loaded = driver.drive(
        """
        import gevent
        from locust import FastHttpUser, constant, task

        class Parallel(FastHttpUser):
            wait_time = constant(0.002)

            @task
            def read(self):
                gevent.joinall([gevent.spawn(self.client.get, path) for path in ("/a", "/b")])
        """,
        connections=3,
    )

    loaded.count()
    assert set(loaded.records["connection"].tolist()) == {0, 1, 2}
    assert loaded.driven.opened == len(loaded.site.asked) == 6


def test_a_user_that_is_stopped_as_it_wakes_ends_no_request_on_its_way() -> None:
    # While the program computes, first the time to stop the user comes, then the one at which its wait ends.
    program = """
        import bench.generator.executor  # Before gevent patches what it needs.
        import time
        import gevent.pool
        from bench.generator.locustfile import end_in_waiting
        from locust import User, constant, task
        from locust.env import Environment

        class Waiting(User):
            wait_time = constant(0.010)

            @task
            def ask(self):
                asked.append(self)
                gevent.sleep(0.001)
                answered.append(self)

        asked, answered = [], []
        end_in_waiting(Waiting)
        user, users = Waiting(Environment()), gevent.pool.Group()
        user.start(users)
        while not asked or user._state != "waiting":
            gevent.sleep(0)
        gevent.spawn_later(0.005, user.stop)
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            pass
        users.join()
        print(len(asked) - len(answered))
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert done.stdout == "0\n"


def test_every_load_has_its_files_anew_and_leaves_nothing_among_them(driver: Driver) -> None:
    driver.write("asked = []\n", "memory.py")
    text = """
        import memory
        from locust import HttpUser, constant, events, task

        @events.test_start.add_listener
        def begin(environment, **_):
            memory.asked.append("begun")

        class Counting(HttpUser):
            wait_time = constant(0.002)

            def on_start(self):
                self.client.get(f"/begun-{len(memory.asked)}")

            @task
            def read(self):
                self.client.get("/page")
        """
    first, second = driver.drive(text), driver.drive(text)
    driver.write("asked = []  # the same\n", "memory.py")
    third = driver.drive(text)

    assert [loaded.site.paths["/begun-1"] for loaded in (first, second, third)] == [2, 2, 2]
    assert first.driven.loop == second.driven.loop != third.driven.loop
    assert sorted(path.name for path in (driver.folder / "mine").iterdir()) == ["memory.py", "users.py"]


def test_what_outlasts_the_drain_is_recorded_as_nothing(driver: Driver) -> None:
    loaded = driver.drive(
        """
        from locust import HttpUser, constant, task

        class Patient(HttpUser):
            fixed_count = 1

            @task
            def wait_for_it(self):
                self.client.get("/never")

        class Reader(HttpUser):
            wait_time = constant(0.005)

            @task
            def read(self):
                self.client.get("/page")
        """
    )

    assert loaded.driven.failure == ""
    assert loaded.site.paths["/never"] == 1
    assert len(loaded.records) == loaded.site.paths["/page"] > 0


def test_another_engine_drives_its_load_in_the_same_process(driver: Driver) -> None:
    for engine in ("raw", "http", "fasthttp"):
        loaded = driver.drive("", engine=engine, locustfile=None)
        assert loaded.driven.failure == ""
        assert loaded.count() > 0
        assert set(loaded.site.paths) == {"/1024"}


USER = """
from locust import HttpUser, constant, task

class Reader(HttpUser):
    wait_time = constant(0.01)

    @task
    def read(self):
        self.client.get("/page")
"""
FAULTY = {
    "a syntax error": (
        "from locust import HttpUser\n\nclass Reader(HttpUser:\n",
        "users.py, line 3: SyntaxError: ",
    ),
    "a module that is not there": (
        "import locust\nimport no_such_module\n",
        "users.py, line 2: ModuleNotFoundError: No module named 'no_such_module'",
    ),
    "an end of its own": ("import sys\nsys.exit('enough')\n", "users.py, line 2: SystemExit: enough"),
    "no user class": (
        "from locust import HttpUser, User\n\nclass Base(HttpUser):\n    abstract = True\n",
        "users.py: it has no user class (a subclass of User that is not abstract)",
    ),
    "a shape": (
        f"{USER}\nfrom locust import LoadTestShape\n\nclass Stages(LoadTestShape):\n    pass\n",
        "users.py: Stages is a load shape, and the number of users is load.connections",
    ),
    "an exception in on_start": (
        f"{USER}\n    def on_start(self):\n        raise KeyError('token')\n",
        "users.py: 2 of 2 users came to no end of their on_start; first: users.py, line 12: KeyError",
    ),
    "a user that cannot be made": (
        f"{USER}\n    def __init__(self, environment):\n        raise RuntimeError('no')\n",
        "users.py: its users could not be made; first: users.py, line 12: RuntimeError: no",
    ),
    "an on_start without an end": (
        f"{USER}\n    def on_start(self):\n        self.client.get('/never')\n",
        "users.py: 2 of 2 users were in their on_start as the window opened: load.warm_up_s, 0.5, has to",
    ),
    "users that leave": (
        f"{USER}        self.stop(force=True)\n",
        "users.py: every user had ended by itself before the window did",
    ),
    "no request": (
        USER.replace('self.client.get("/page")', "pass"),
        "users.py: its users made no request",
    ),
    "tasks that fail before they ask": (
        USER.replace("client.get", "client.got"),
        "users.py: its users made no request; first: users.py, line 9: AttributeError: ",
    ),
}
SOME_FAIL = """
    made = []

    def on_start(self):
        self.made.append(self)
        assert len(self.made) > 1
"""


@pytest.mark.parametrize(("text", "said"), FAULTY.values(), ids=FAULTY)
def test_a_fault_of_the_file_is_one_line_that_names_the_place(driver: Driver, text: str, said: str) -> None:
    assert driver.fail(text).startswith(said)


def test_some_users_that_fail_are_a_fault_too(driver: Driver) -> None:
    assert driver.fail(f"{USER}{SOME_FAIL}", connections=3).startswith(
        "users.py: 1 of 3 users came to no end of their on_start; first: users.py, line 15: AssertionError"
    )


def test_a_fault_of_a_file_beside_is_named_by_that_file(driver: Driver) -> None:
    driver.write("x = 1\ny = x / 0\n", "helpers.py")

    assert driver.fail(f"import helpers\n{USER}") == "helpers.py, line 2: ZeroDivisionError: division by zero"


def test_a_file_that_is_not_there_is_named(driver: Driver) -> None:
    failure = driver.fail("", locustfile=str(driver.folder / "nobody.py"))

    assert failure == "nobody.py: FileNotFoundError: No such file or directory"
