"""The controller's end of the load generator: starts the Locust process, gives it orders."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile
from typing import TypeVar

from bench.errors import MeasurementInvalid
from bench.generator.ask import Ask
from bench.generator.failures import GeneratorDied, NotOurs, lost
from bench.generator.locust_report import Report, Reported
from bench.generator.message import Message
from bench.generator.protocol import (
    Drive,
    DriveCells,
    Driven,
    DrivenCells,
    Enter,
    Entered,
    Fetch,
    Fetched,
    Probe,
    Probed,
    Prove,
    Proved,
    Target,
    Tls,
)
from bench.generator.request_log import read_records
from bench.generator.results import CellsResult, LoadResult, Server
from bench.generator.shares import count_workers, merge
from bench.generator.web_ui import web_ui_options
from bench.lab.hosts import command
from bench.lab.hosts.host import Endpoint, Host
from bench.lab.hosts.journal import Journal
from bench.scenario.load import Load
from bench.scenario.model import Interleave
from bench.scenario.service import Secret

PROBE_TIMEOUT_S = 15.0
Answer = TypeVar("Answer", bound=Message)


@dataclass
class Generator:
    """A living generator, on the load host's cores."""

    process: command.Process
    home: Host
    """Where it runs, and keeps what it records."""
    log: Path
    sender: Host
    """Where its load comes from."""
    inputs: Path | None = field(default=None, kw_only=True)
    """The folder that holds the scenario's own files, on the host where the generator runs; absolute."""

    def send_from(self, host: Host) -> None:
        """Have what follows come from `host`; the generator keeps its cores."""
        if host.network_file != self.sender.network_file:
            self.ask(Enter(network=str(host.network_file)), Entered)
            self.sender = host

    def first_200_ns(
        self,
        endpoint: Endpoint,
        asked: str | Ask,
        timeout_s: float = PROBE_TIMEOUT_S,
        secret: Secret | None = None,
        tls: Tls | None = None,
    ) -> int | None:
        """Ask a started server until it answers: CLOCK_MONOTONIC of the first of three answers in a row;
        None if none came in time. `asked`: the request, or the path of one that is answered with 200. A
        server with a `secret` is asked for that first.
        """
        ask = Ask(path=asked) if isinstance(asked, str) else asked
        order = Probe(
            address=endpoint.address,
            port=endpoint.port,
            ask=ask,
            tls=tls,
            timeout_s=timeout_s,
            secret=secret,
        )
        probed = self.ask(order, Probed)
        if probed.failure:
            raise lost(probed.failure)
        return probed.first_200_ns or None

    def fetch(self, endpoint: Endpoint, ask: Ask, tls: Tls | None = None) -> Fetched:
        """One whole answer of the server at `endpoint`, or why there is none."""
        return self.ask(Fetch(address=endpoint.address, port=endpoint.port, ask=ask, tls=tls), Fetched)

    def prove(self, endpoint: Endpoint, secret: Secret | None) -> None:
        """See that the server at `endpoint` is the one that this run started, from everywhere that load comes
        from: it alone knows the `secret`. Raises NotOurs where it is another's. One without is in the
        lab alone, where nobody else's is.
        """
        if secret is None:
            return
        proved = self._ask_word(endpoint, secret)
        if proved.failure:
            raise lost(proved.failure)

    def refuse_stranger(self, endpoint: Endpoint, secret: Secret | None) -> None:
        """Raise NotOurs where somebody else answers at `endpoint`; nothing where nobody does."""
        if secret is not None:
            self._ask_word(endpoint, secret)

    def _ask_word(self, endpoint: Endpoint, secret: Secret) -> Proved:
        order = Prove(address=endpoint.address, port=endpoint.port, secret=secret)
        proved = self.ask(order, Proved)
        if proved.stranger:
            raise NotOurs(
                f"Asking who serves at {endpoint.address}:{endpoint.port}",
                f"it is not the server that this run started: {proved.stranger}",
                "No load was sent. Look what listens there (`ss -ltnp`), and give the arm another `port`.",
            )
        return proved

    def load(
        self,
        load: Load,
        endpoint: Endpoint,
        name: str,
        asks: Sequence[Ask],
        arrival_seed: int = 0,
        watched: Sequence[str] = (),
        *,
        tls: Tls | None = None,
    ) -> LoadResult:
        """Drive one window's load of `asks`, and wait for its end.

        `arrival_seed`: of the order of the asks, and of an open loop's arrivals. `watched`: of an open loop,
        files that are read at the ends of its window.
        """
        order = Drive(
            engine=load.engine,
            name=name,
            address=endpoint.address,
            port=endpoint.port,
            asks=tuple(asks),
            tls=tls,
            connections=load.connections,
            keep_alive=load.keep_alive,
            think_us=load.think_us,
            warm_up_s=load.warm_up_s,
            measure_s=load.measure_s,
            rate_rps=load.rate_rps,
            arrivals=load.arrivals,
            arrival_seed=arrival_seed,
            pacing=load.pacing,
            watched=tuple(watched),
            output=f"{self.home.scratch}/records",
            locustfile=self.find_locustfile(load),
            workers=self.count_workers(load),
        )
        driven = self.ask(order, Driven)
        if driven.failure:
            raise MeasurementInvalid(
                f"Sending load to {name} at {endpoint.address}:{endpoint.port}",
                driven.failure,
                "The slot is INVALID; see the server's and dockerd's messages.",
            )
        records = merge(
            [read_records(self.home_of(number).get(part.path)) for number, part in enumerate(driven.parts)],
            [part.connections for part in driven.parts],
            [part.clock_offset_ns for part in driven.parts],
        )
        return LoadResult(**dict(driven), records=records)

    def load_in_turns(
        self,
        load: Load,
        interleave: Interleave,
        servers: Sequence[Server],
        cells: Sequence[int],
        asks: Sequence[Ask],
        arrival_seed: int = 0,
        *,
        tls: Tls | None = None,
    ) -> CellsResult:
        """Let `servers` take turns in the order of `cells`, indexes of them, and wait for the end.

        `arrival_seed`: of the order of the asks.
        """
        self.send_from(servers[0].sender)
        cell_ns = round(interleave.cell_ms * 1e6)
        outputs = [f"{self.home.scratch}/records-{index}.bin" for index in range(len(servers))]
        order = DriveCells(
            engine=load.engine,
            targets=tuple(
                Target(
                    name=server.name,
                    network=str(server.sender.network_file or ""),
                    address=server.endpoint.address,
                    port=server.endpoint.port,
                    output=output,
                )
                for server, output in zip(servers, outputs, strict=True)
            ),
            cells=tuple(cells),
            asks=tuple(asks),
            tls=tls,
            arrival_seed=arrival_seed,
            connections=load.connections,
            keep_alive=load.keep_alive,
            think_us=load.think_us,
            warm_up_ns=cell_ns,
            cell_ns=cell_ns,
            settle_ns=round(interleave.settle_ms * 1e6),
        )
        driven = self.ask(order, DrivenCells)
        if driven.failure:
            raise MeasurementInvalid(
                f"Sending load to {', '.join(server.name for server in servers)} in turns",
                driven.failure,
                "The set is INVALID; see the server's and dockerd's messages.",
            )
        home, offset_ns = self.home_of(0), driven.clock_offset_ns
        records = [
            merge([read_records(home.get(output))], [load.connections], [offset_ns]) for output in outputs
        ]
        return CellsResult(**dict(driven), records=records)

    def find_locustfile(self, load: Load) -> str | None:
        """Where the load's locustfile is; None of another load. Raises MeasurementInvalid."""
        if load.locustfile is None:
            return None
        if self.inputs is None:
            raise MeasurementInvalid(
                f"Finding the locustfile {load.locustfile}",
                "this run was given no folder of the scenario's own files",
                "Keep it beside the scenario, and run the scenario by its path.",
            )
        return str(self.inputs / load.locustfile)

    def home_of(self, worker: int) -> Host:  # noqa: ARG002 - of workers elsewhere
        """Where a worker keeps what it records."""
        return self.home

    def count_workers(self, load: Load) -> int:
        """Processes that share `load`."""
        return count_workers(load, self.home)

    def revive(self) -> list[str]:
        """Have every worker again that was lost between loads; returns a line for each."""
        return []

    def write_report(self, path: Path) -> int:
        """Have Locust write its own HTML report; returns Locust's count of requests."""
        written = self.log.with_name("locust.html")
        reported = self.ask(Report(path=str(written)), Reported)
        copyfile(written, path)
        return reported.requests

    def ask(self, order: Message, answer: type[Answer]) -> Answer:
        """Give an order, and wait for its answer."""
        assert self.process.stdin
        assert self.process.stdout
        try:
            self.process.stdin.write(order.line())
            self.process.stdin.flush()
        except BrokenPipeError as fault:
            raise self._died() from fault
        line = self.process.stdout.readline()
        if not line.endswith("\n"):  # None, or the part that it came to.
            raise self._died()
        return answer.model_validate_json(line)

    def _died(self) -> GeneratorDied:
        messages = self.log.read_text()[-1500:]
        return GeneratorDied(
            "Driving the load",
            f"the Locust process ended (exit {self.process.wait()}); its last messages:\n{messages}\n",
            "What was measured before is kept: `bench resume` goes on from there.",
        )


def own_program(module: str, *words: str) -> list[str]:
    """Command line of a module of Python's that no interrupt ends: it is for the controller to see one.

    Python would say one that comes while it starts with a traceback, which nothing in the module can help.
    """
    return ["env", "--ignore-signal=INT", sys.executable, "-m", module, *words]


@contextmanager
def generator(
    client: Host, journal: Journal, web_ui_port: int | None = None, workers: int = 1
) -> Iterator[Generator]:
    """Start the generator in the client host's network, on the client's cores: for loads of at most `workers`
    (`count_workers`).
    """
    options = ["--network", str(client.network_file), "--workers", str(workers), *web_ui_options(web_ui_port)]
    log = journal.folder / "generator.log"
    argv = ["taskset", "-c", client.cpus, *own_program("bench.generator", *options)]
    process = command.start(argv, log=log, pipes=True)
    journal.write_process(process.pid, "load generator")
    try:
        yield Generator(process, client, log, client)
    finally:
        command.stop(process, timeout_s=2)
