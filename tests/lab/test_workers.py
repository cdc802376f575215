"""Locust's master and workers for real: a load that several processes share, and one of them is killed."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.generator.arrivals import draw_arrivals
from bench.generator.ask import Ask
from bench.generator.locust_report import Report, Reported
from bench.generator.message import Message
from bench.generator.protocol import Drive, Driven, Probe
from bench.generator.request_log import read_records
from bench.generator.shares import merge
from bench.procfs import parse_process
from tests.lab.conftest import wait_until
from tests.pure.servers import ADDRESS, answering, response, serving

WORKERS = 3


class Master:
    """A generator with several workers, in this process's own network."""

    def __init__(self) -> None:
        argv = [sys.executable, "-m", "bench.generator", "--network", "/proc/self/ns/net"]
        self.process = subprocess.Popen(
            [*argv, "--workers", str(WORKERS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def ask(self, order: Message) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(order.line())
        return self.process.stdout.readline()

    def drive(self, order: Drive) -> Driven:
        return Driven.model_validate_json(self.ask(order))

    def workers(self) -> list[int]:
        """Their process ids."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if parse_process((folder / "stat").read_text()).parent == self.process.pid:
                    found.append(int(folder.name))
            except OSError:
                continue
        return sorted(found)


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with serving(answering(response())) as port:
        yield port


@pytest.fixture(scope="module")
def master(server: int) -> Iterator[Master]:
    started = Master()
    started.ask(Probe(address=ADDRESS, port=server, ask=Ask(path="/"), timeout_s=60))
    yield started
    assert started.process.stdin
    started.process.stdin.close()
    started.process.wait(60)


@pytest.fixture
def order(server: int, tmp_path: Path) -> Drive:
    return Drive(
        engine="raw",
        name="host",
        address=ADDRESS,
        port=server,
        asks=(Ask(path="/1024", numbered=True),),
        connections=4,
        keep_alive=True,
        think_us=0,
        warm_up_s=1.0,  # Whoever is not ready when it has passed voids the load: no machine is so busy.
        measure_s=0.4,
        rate_rps=None,
        arrivals="poisson",
        arrival_seed=7,
        pacing="spin",
        watched=(),
        output=str(tmp_path / "records"),
        workers=WORKERS,
    )


def merged(driven: Driven) -> np.ndarray:
    return merge(
        [read_records(Path(part.path)) for part in driven.parts],
        [part.connections for part in driven.parts],
        [part.clock_offset_ns for part in driven.parts],
    )


def test_workers_share_the_connections_and_locust_counts_the_sum(master: Master, order: Drive) -> None:
    driven = master.drive(order)
    assert driven.failure == ""
    records = merged(driven)
    assert [part.connections for part in driven.parts] == [2, 1, 1]
    assert set(records["connection"].tolist()) == {0, 1, 2, 3}
    assert (driven.connected, driven.opened, driven.loop) == (4, 4, "compiled")
    assert driven.locust_requests == len(records)
    begun_ns = [records["sent_ns"][records["connection"] == number].min() for number in range(4)]
    assert min(begun_ns) >= driven.window_start_ns - 1_000_000_000  # The common start: nobody was earlier.
    assert driven.window_end_ns - driven.window_start_ns == 400_000_000
    again = master.drive(order.model_copy(update={"workers": 1}))
    assert [part.connections for part in again.parts] == [4]


def test_workers_arrivals_together_are_the_schedule_of_one(master: Master, order: Drive) -> None:
    driven = master.drive(order.model_copy(update={"rate_rps": 500.0}))
    assert driven.failure == ""
    records = merged(driven)
    expected = draw_arrivals("poisson", 500, 1.4, seed=7) - 1_000_000_000
    assert (np.sort(records["intended_ns"]) - driven.window_start_ns).tolist() == expected.tolist()
    assert driven.locust_requests == len(expected)


def test_a_worker_that_is_killed_in_a_load_makes_it_none_and_the_next_has_all_again(
    master: Master, order: Drive
) -> None:
    before = master.workers()
    assert len(before) == WORKERS

    def kill() -> None:
        output = Path(f"{order.output}.1")
        wait_until(output.exists, "the second worker's records")
        time.sleep(0.2)
        os.kill(before[1], 9)

    killer = threading.Thread(target=kill)
    killer.start()
    lost = master.drive(order.model_copy(update={"measure_s": 2.0}))
    killer.join()
    assert lost.failure == f"worker 2 of {WORKERS} was lost: its process ended (by signal 9)"
    after = master.workers()
    assert len(after) == WORKERS
    assert len(set(before) & set(after)) == WORKERS - 1
    whole = master.drive(order)
    assert (whole.failure, whole.connected) == ("", 4)


def test_a_worker_that_joins_in_a_load_makes_it_none(master: Master, order: Drive) -> None:
    options = Path(f"/proc/{master.workers()[0]}/cmdline").read_text().split("\0")
    options[options.index("--name") + 1] = "a stranger"
    strangers: list[subprocess.Popen[bytes]] = []

    def join() -> None:
        wait_until(Path(f"{order.output}.0").exists, "the first worker's records")
        strangers.append(subprocess.Popen(options[:-1]))

    joiner = threading.Thread(target=join)
    joiner.start()
    try:
        joined = master.drive(order.model_copy(update={"measure_s": 30.0}))
    finally:
        joiner.join()
        strangers[0].kill()
        strangers[0].wait()
    assert joined.failure == "a worker joined while the load lasted"
    assert master.drive(order).failure == ""


def test_a_load_that_cannot_be_opened_is_said_by_the_workers_and_ends_none(
    master: Master, order: Drive
) -> None:
    refused = master.drive(order.model_copy(update={"port": 1}))
    assert "Connection refused" in refused.failure
    assert master.drive(order).failure == ""


def test_locust_s_report_shows_the_sum(master: Master, order: Drive, tmp_path: Path) -> None:
    path = tmp_path / "locust.html"
    before = Reported.model_validate_json(master.ask(Report(path=str(path)))).requests
    driven = master.drive(order)
    after = Reported.model_validate_json(master.ask(Report(path=str(path)))).requests
    assert after - before == driven.locust_requests
    assert "host" in path.read_text()


def test_workers_end_with_their_master(server: int) -> None:
    started = Master()
    started.ask(Probe(address=ADDRESS, port=server, ask=Ask(path="/"), timeout_s=60))
    workers = started.workers()
    started.process.kill()
    started.process.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the workers' end")
