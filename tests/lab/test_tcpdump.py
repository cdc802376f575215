"""tcpdump as a tap: what it was to be given, it was given, and what it was not is counted once."""

import signal
import threading
from collections.abc import Iterator

import pytest

from bench.lab.hosts.host import LocalHandle, Program
from bench.lab.hosts.namespaces import NamespaceHost
from bench.lab.instruments import tcpdump
from bench.lab.instruments.tcpdump import Capture, TapPlace, capture
from bench.scenario.modes.model import LOOPBACK

PORT = 8099
HELD_UP_S = 2.5
CONNECT = f"""
import socket
for _ in range({{times}}):
    with socket.socket() as one:
        one.connect_ex(("127.0.0.1", {PORT}))
"""
"""To a port where nobody listens: a SYN and a RST, each time."""


@pytest.fixture
def running(host: NamespaceHost) -> Iterator[Capture]:
    with capture((TapPlace("client", host, 1, LOOPBACK, PORT),), "0") as begun:
        yield begun


def _connect(running: Capture, times: int) -> None:
    running.places[0].on.run(["python3", "-c", CONNECT.format(times=times)])


def _go_on(program: Program) -> None:
    """Have it go on, and nsenter(1), which stops itself when what it started is stopped."""
    assert isinstance(program.outer, LocalHandle)
    program.signal("CONT")
    program.outer.process.send_signal(signal.SIGCONT)


def test_a_tcpdump_that_is_held_up_is_waited_for_until_it_was_given_all(running: Capture) -> None:
    [program] = running.programs
    _connect(running, 100)
    program.signal("STOP")
    threading.Timer(HELD_UP_S, _go_on, [program]).start()

    [seen] = running.end()

    assert (seen.received, seen.captured, seen.missing) == (200, 200, 0)


def test_what_comes_after_the_load_is_not_waited_for_and_is_no_loss(running: Capture) -> None:
    ended = threading.Event()

    def go_on() -> None:
        while not ended.is_set():
            _connect(running, 10)

    _connect(running, 100)
    later = threading.Thread(target=go_on)
    later.start()
    try:
        [seen] = running.end()
    finally:
        ended.set()
        later.join()

    assert seen.received >= 200
    assert seen.missing == 0


def test_a_packet_for_which_the_kernel_had_no_room_is_counted_once(
    host: NamespaceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcpdump, "BUFFER_KIB", 256)
    with capture((TapPlace("client", host, 1, LOOPBACK, PORT),), "0") as running:
        [program] = running.programs
        program.signal("STOP")
        _connect(running, 2000)
        _go_on(program)

        [seen] = running.end()

    assert seen.received == 4000
    assert 0 < seen.missing < 4000
