"""The controller's end of the load generator: starts the Locust process, gives it orders."""

import json
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import EnvironmentLacks, MeasurementInvalid
from bench.generator.request_log import read_records
from bench.lab.hosts import command
from bench.lab.hosts.host import Endpoint, Host
from bench.lab.hosts.journal import Journal
from bench.lab.hosts.readings import Reading
from bench.scenario.model import Load

PROBE_TIMEOUT_S = 15.0


class GeneratorDied(MeasurementInvalid):
    """The Locust process ended: no further slot of this run can be measured."""


@dataclass(frozen=True)
class LoadResult:
    """What one load was, as the generator saw it."""

    window_start_ns: int
    window_end_ns: int
    opened: int
    without_port: int
    """Connections for which the client had no port left."""
    core_busy: dict[int, float]
    """Core of the machine -> its busy share, from the warm-up's begin to the window's end."""
    cpu_share: float
    """Busy share of the generator's core over the load, warm-up included; looking out for the next
    arrival of an open loop is not counted.
    """
    locust_requests: int
    """Locust's own count of the same load."""
    readings: list[Reading]
    """Of the watched files, as the window opened and as it closed; empty where none were watched."""
    records: np.ndarray
    """RECORD_DTYPE, warm-up included, in the order in which the requests ended; read-only."""
    connected: int | None
    """Connections with which the load began; None of an engine that does not show it."""
    loop: str
    """Which loop drove it: `compiled`, or `Python` and why; empty of an engine of Locust's."""


@dataclass
class Generator:
    """A living generator, on the client host's cores."""

    process: command.Process
    folder: Path
    network: str
    """Of the host that its load comes from."""

    def send_from(self, host: Host) -> None:
        """Have what follows come from `host`; the generator keeps its cores."""
        network = _network_of(host)
        if network != self.network:
            self._order(do="enter", network=network)
            self.network = self._answer()["network"]

    def first_200_ns(self, endpoint: Endpoint, path: str, timeout_s: float = PROBE_TIMEOUT_S) -> int | None:
        """Ask a started server for `path` until it answers: CLOCK_MONOTONIC of the first of three
        200s in a row; None if none came in time.
        """
        self._order(do="probe", address=endpoint.address, port=endpoint.port, path=path, timeout_s=timeout_s)
        return int(self._answer()["first_200_ns"]) or None

    def load(
        self,
        load: Load,
        endpoint: Endpoint,
        name: str,
        arrival_seed: int = 0,
        watched: Sequence[str] = (),
    ) -> LoadResult:
        """Drive one slot's load and wait for its end.

        Of an open loop: `arrival_seed`, and files that are `watched` at the ends of its window.
        """
        output = self.folder / "records.bin"
        self._order(
            do="load",
            engine=load.engine,
            name=name,
            address=endpoint.address,
            port=endpoint.port,
            path=f"/{load.page_bytes}",
            connections=load.connections,
            keep_alive=load.keep_alive,
            warm_up_s=load.warm_up_s,
            measure_s=load.measure_s,
            rate_rps=load.rate_rps,
            arrivals=load.arrivals,
            arrival_seed=arrival_seed,
            pacing=load.pacing,
            watched=list(watched),
            output=str(output),
        )
        answer = self._answer()
        if answer["failure"]:
            raise MeasurementInvalid(
                f"Sending load to {name} at {endpoint.address}:{endpoint.port}",
                answer["failure"],
                "The slot is INVALID; see Apache's and dockerd's messages.",
            )
        return LoadResult(
            window_start_ns=answer["window_start_ns"],
            window_end_ns=answer["window_end_ns"],
            opened=answer["opened"],
            without_port=answer["without_port"],
            core_busy={int(core): share for core, share in answer["core_busy"].items()},
            cpu_share=answer["cpu_share"],
            locust_requests=answer["locust_requests"],
            readings=answer["readings"],
            records=read_records(output),
            connected=answer["connected"],
            loop=answer["loop"],
        )

    def write_report(self, path: Path) -> int:
        """Have Locust write its own HTML report; returns Locust's count of requests."""
        self._order(do="report", path=str(path))
        return int(self._answer()["requests"])

    def _order(self, **order: Any) -> None:
        assert self.process.stdin
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as fault:
            raise self._died() from fault

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise self._died()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _died(self) -> GeneratorDied:
        messages = (self.folder / "generator.log").read_text()[-1500:]
        return GeneratorDied(
            "Driving the load",
            f"the Locust process ended (exit {self.process.wait()}); its last messages:\n{messages}\n",
            "What was measured before is kept: `bench resume` goes on from there.",
        )


def _network_of(host: Host) -> str:
    return f"/proc/{host.init_pid}/ns/net"


def _require_free_port(port: int) -> None:
    with socket.socket() as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
        except OSError as fault:
            raise EnvironmentLacks(
                f"Opening Locust's web UI on port {port}", str(fault), "Give --web-ui another port."
            ) from fault


@contextmanager
def generator(client: Host, journal: Journal, web_ui_port: int | None = None) -> Iterator[Generator]:
    """Start the generator in the client host's network, on the client's cores."""
    folder = client.folder
    if web_ui_port:
        _require_free_port(web_ui_port)
    web_ui = ["--web-ui", str(web_ui_port)] if web_ui_port else []
    network = _network_of(client)
    process = command.start(
        [
            "taskset",
            "-c",
            client.cpus,
            sys.executable,
            "-m",
            "bench.generator",
            "--network",
            network,
            *web_ui,
        ],
        log=folder / "generator.log",
        pipes=True,
    )
    journal.write_process(process.pid, "load generator")
    try:
        yield Generator(process, folder, network)
    finally:
        command.stop(process, timeout_s=2)
