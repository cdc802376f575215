"""When a server is ready: three answers in a row, on a connection each."""

import socket
import sys
import time
from contextlib import suppress

import pytest

from bench.generator import readiness
from bench.generator.ask import Ask
from bench.generator.readiness import await_ready
from bench.lab.hosts import command

from .servers import ADDRESS, PATIENCE_S, answering, at, read_request, response, serving


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no reason for a probe to fail."""
    monkeypatch.setattr(readiness, "PROBE_ANSWER_S", PATIENCE_S)


@pytest.mark.usefixtures("_patient")
def test_a_server_is_ready_after_three_answers_in_a_row_on_a_connection_each() -> None:
    numbers: list[int] = []

    def handle(connection: socket.socket, number: int) -> None:
        numbers.append(number)
        answering(response())(connection, number)

    before_ns = time.monotonic_ns()
    with serving(handle) as port:
        first_ns, attempts = await_ready(at(port), Ask(path="/1024"), PATIENCE_S)

    assert (attempts, len(numbers)) == (3, 3)
    assert before_ns < first_ns < time.monotonic_ns()


@pytest.mark.usefixtures("_patient")
def test_a_failure_among_the_three_begins_the_count_anew() -> None:
    failed_at_ns: list[int] = []

    def handle(connection: socket.socket, number: int) -> None:
        read_request(connection)
        if number == 2:
            failed_at_ns.append(time.monotonic_ns())
        connection.sendall(response(status="500 Not Yet" if number == 2 else "200 OK"))
        read_request(connection)

    with serving(handle) as port:
        first_ns, attempts = await_ready(at(port), Ask(path="/1024"), PATIENCE_S)

    assert attempts == 6
    assert first_ns > failed_at_ns[0]


@pytest.mark.usefixtures("_patient")
def test_a_server_is_ready_that_answers_as_its_request_is_to_be_answered() -> None:
    ask = Ask(path="/", method="POST", body=b"x", status=404)
    seen: list[bytes] = []
    with serving(answering(response(status="404 Gone"), seen=seen)) as port:
        first_ns, attempts = await_ready(at(port), ask, PATIENCE_S)

    assert (attempts, first_ns > 0) == (3, True)
    assert all(request.endswith(b"\r\n\r\nx") for request in seen)


@pytest.mark.parametrize("answer", [response(status="500 Not Yet"), b"", b"junk"], ids=["500", "end", "junk"])
def test_a_server_without_a_200_is_never_ready(answer: bytes) -> None:
    def handle(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(answer)

    with serving(handle) as port:
        first_ns, attempts = await_ready(at(port), Ask(path="/1024"), 0.1)

    assert first_ns == 0
    assert attempts > 0


def test_a_port_that_nobody_listens_on_is_never_ready() -> None:
    with socket.create_server((ADDRESS, 0)) as listener:
        port = listener.getsockname()[1]
    first_ns, attempts = await_ready(at(port), Ask(path="/"), 0.05)

    assert first_ns == 0
    assert attempts > 1


def test_a_server_that_is_slow_to_answer_is_ready_all_the_same() -> None:
    def handle(connection: socket.socket, number: int) -> None:
        read_request(connection)
        time.sleep(6 * readiness.PROBE_ANSWER_S)
        with suppress(OSError):  # A probe may have given up.
            connection.sendall(response())
            read_request(connection)

    with serving(handle) as port:
        first_ns, attempts = await_ready(at(port), Ask(path="/1024"), PATIENCE_S)

    assert first_ns > 0
    assert attempts > 3


# The module itself.


def test_the_load_path_imports_nothing_that_patches_the_interpreter() -> None:
    loaded = command.run(
        [sys.executable, "-c", "import sys, bench.generator.closed_loop; print(*sys.modules)"],
        timeout_s=PATIENCE_S,
    ).split()

    assert "bench.generator.closed_loop" in loaded
    assert not {"locust", "gevent"} & set(loaded)


def test_the_load_path_refuses_an_interpreter_that_is_patched_already() -> None:
    program = "from gevent import monkey; monkey.patch_all(); import bench.generator.closed_loop"

    with pytest.raises(command.CommandFailed, match="ImportError"):
        command.run([sys.executable, "-c", program], timeout_s=PATIENCE_S)
