"""TLS in the Python loops, against servers of the standard library's on the loopback."""

import json
import shutil
import socket
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.generator import readiness
from bench.generator.ask import Ask
from bench.generator.asks import Mix
from bench.generator.closed_loop import Connections
from bench.generator.connecting import Destination
from bench.generator.fresh_connections import FreshConnections
from bench.generator.open_loop import OpenConnections, OpenFreshConnections
from bench.generator.protocol import Tls
from bench.generator.readiness import await_ready
from bench.generator.request_log import RequestLog
from bench.generator.thinking import ThinkingConnections
from bench.lab.hosts import command
from bench.slots.requests import Outcome

from .servers import (
    ADDRESS,
    PATIENCE_S,
    Handler,
    after,
    answering,
    assert_stamps_in_order,
    chunked,
    do_nothing,
    outcomes,
    page,
    read_request,
    response,
    serving,
)

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")

NAME = "unit.test"
MAKE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -batch"
CLOSING = response(headers="Connection: close\r\n")
LOOPS: dict[str, Callable[..., Any]] = {
    "closed": Connections,
    "thinking": lambda *at: ThinkingConnections(*at, think_ns=100_000),
    "open": OpenConnections,
    "fresh": FreshConnections,
    "open, fresh": OpenFreshConnections,
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of NAME and its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command.run(
        f"{MAKE} -subj /CN=unit -addext subjectAltName=DNS:{NAME} -keyout {path}.key -out {path}".split()
    )
    path.write_text(path.read_text() + Path(f"{path}.key").read_text())
    return path


@pytest.fixture
def server(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def trusting(certificate: Path, *, name: str = NAME, resume: bool = True) -> Tls:
    text = certificate.read_text()
    return Tls(ca=text[: text.index("-----BEGIN PRIVATE")], server_name=name, resume=resume)


def drive(
    make: Callable[..., Any],
    port: int,
    tls: Tls,
    mix: Mix | None = None,
    count: int = 2,
    seconds: float = 0.2,
) -> tuple[np.ndarray, Any]:
    """Records of a short load, and the loop that drove it."""
    log = RequestLog()
    loop = make(Destination(ADDRESS, port, tls), mix or page(), count, log)
    if hasattr(loop, "schedule"):
        loop.schedule(time.monotonic_ns() + np.arange(0, 20) * 2_000_000)
    loop.drive(after(seconds), do_nothing)
    loop.drain(after(PATIENCE_S), do_nothing)
    loop.close()
    return log.records(), loop


def closing(seen: list[bytes] | None = None, answer: bytes = CLOSING) -> Handler:
    """Answer one request of each connection, and close it."""

    def handle(connection: socket.socket, _: int) -> None:
        if request := read_request(connection):
            if seen is not None:
                seen.append(request)
            connection.sendall(answer)

    return handle


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_every_loop_has_its_answers_through_tls(
    name: str, version: ssl.TLSVersion, server: ssl.SSLContext, certificate: Path
) -> None:
    server.minimum_version = server.maximum_version = version
    handle = closing() if "fresh" in name else answering(response())
    with serving(handle, context=server) as port:
        records, loop = drive(LOOPS[name], port, trusting(certificate))

    assert len(records) > 2
    assert set(outcomes(records)) == {Outcome.OK}
    assert set(records["bytes"].tolist()) == {1024}
    assert_stamps_in_order(records)
    handshakes, resumed = loop.handshakes
    assert handshakes == (len(records) if "fresh" in name else 2) == loop.opened
    # The first ones find no session; those after an answer do.
    assert resumed == 0 if "fresh" not in name else handshakes - 2 <= resumed < handshakes


def test_sessions_are_not_resumed_where_that_is_not_asked_for(
    server: ssl.SSLContext, certificate: Path
) -> None:
    with serving(closing(), context=server) as port:
        records, loop = drive(FreshConnections, port, trusting(certificate, resume=False))

    assert set(outcomes(records)) == {Outcome.OK}
    assert loop.handshakes == (len(records), 0)


def test_a_kept_connection_that_is_opened_anew_resumes_the_session(
    server: ssl.SSLContext, certificate: Path
) -> None:
    with serving(closing(), context=server) as port:
        records, loop = drive(Connections, port, trusting(certificate), count=1)

    assert set(outcomes(records)) == {Outcome.OK}
    assert loop.handshakes == (len(records) + 1, len(records)) == (loop.opened, loop.opened - 1)


@pytest.mark.parametrize("name", ["closed", "fresh"])
def test_big_bodies_pass_both_ways(name: str, server: ssl.SSLContext, certificate: Path) -> None:
    seen: list[bytes] = []
    body = bytes(range(256)) * 16_384  # 4 MiB
    big = chunked(*[b"m" * 65_536] * 16)

    def handle(connection: socket.socket, _: int) -> None:
        while request := read_request(connection):
            seen.append(request)
            connection.sendall(big)
            if name == "fresh":
                return

    mix = Mix((Ask(path="/", method="POST", body=body),))
    with serving(handle, room_bytes=65_536, context=server) as port:
        records, _ = drive(LOOPS[name], port, trusting(certificate), mix, count=1, seconds=0.01)

    assert set(outcomes(records)) == {Outcome.OK}
    assert set(records["bytes"].tolist()) == {1_048_576}
    assert all(request.endswith(body) for request in seen)
    assert len(seen) == len(records)


@pytest.mark.parametrize("wrong", ["another name", "another authority"])
def test_a_server_that_is_not_to_be_trusted_is_asked_nothing(
    wrong: str, server: ssl.SSLContext, certificate: Path, tmp_path: Path
) -> None:
    seen: list[bytes] = []
    tls = trusting(certificate, name="other.test" if wrong == "another name" else NAME)
    if wrong == "another authority":
        command.run(f"{MAKE} -subj /CN=x -keyout {tmp_path}/key -out {tmp_path}/ca".split())
        tls = tls.model_copy(update={"ca": (tmp_path / "ca").read_text()})
    with serving(answering(response(), seen=seen), context=server) as port:
        with pytest.raises(OSError, match="certificate verify failed"):
            drive(Connections, port, tls)
        records, loop = drive(FreshConnections, port, tls, seconds=0.02)

    assert set(outcomes(records)) == {Outcome.CONNECTION_ERROR}
    assert (loop.handshakes, seen) == ((0, 0), [])


def test_a_server_without_tls_is_an_error(certificate: Path) -> None:
    with serving(answering(response())) as port:
        log = RequestLog()
        with pytest.raises(OSError, match=r"SSL|TLS"):
            Connections(Destination(ADDRESS, port, trusting(certificate)), page(), 1, log, connect_s=0.2)


def test_a_server_that_refuses_connections_is_a_counted_error(certificate: Path) -> None:
    with socket.create_server((ADDRESS, 0)) as listener:
        port = listener.getsockname()[1]
    records, loop = drive(FreshConnections, port, trusting(certificate), seconds=0.02)

    assert set(outcomes(records)) == {Outcome.CONNECTION_ERROR}
    assert len(records) == loop.opened > 0


def test_a_server_is_ready_that_answers_as_it_is_to_through_tls(
    server: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "PROBE_ANSWER_S", PATIENCE_S)
    ask, tls = Ask(path="/", method="DELETE", status=404), trusting(certificate)
    with serving(answering(response(status="404 Gone")), context=server) as port:
        first_ns, attempts = await_ready(Destination(ADDRESS, port, tls), ask, PATIENCE_S)
        never_ns, _ = await_ready(Destination(ADDRESS, port, tls), Ask(path="/"), 0.05)

    assert (attempts, first_ns > 0, never_ns) == (3, True, 0)


PROGRAM = """
import json, sys
from pathlib import Path
from bench.generator.users import ENGINES, Order, OrderedEnvironment
from bench.generator.ask import Ask
from bench.generator.protocol import Tls

tls = Tls(ca=Path(sys.argv[2]).read_text(), server_name=sys.argv[3], resume=True)
found = []
for engine in ("raw", "raw-python"):
    for keep_alive in (True, False):
        User = ENGINES[engine]
        environment = OrderedEnvironment(user_classes=[User])
        asks = (Ask(path="/"),)
        how = {"keep_alive": keep_alive, "tls": tls}
        order = Order("host", "127.0.0.1", int(sys.argv[1]), asks, 2, 0.05, 0.1, 1, **how)
        User(environment).drive(order)
        outcomes = sorted(set(order.log.records()["outcome"].tolist()))
        found.append([order.loop, outcomes, order.handshakes[0] == order.opened])
print(json.dumps(found))
"""


def test_whatever_the_engine_the_python_loop_drives_it_and_says_why(
    server: ssl.SSLContext, certificate: Path
) -> None:
    def handle(connection: socket.socket, _: int) -> None:
        while request := read_request(connection):
            connection.sendall(response())
            if b"Connection: close" in request:
                return

    with serving(handle, context=server) as port:
        said = command.run([sys.executable, "-c", PROGRAM, str(port), str(certificate), NAME], timeout_s=60)

    assert json.loads(said) == [["Python (TLS is not in the compiled loop)", [Outcome.OK], True]] * 4
