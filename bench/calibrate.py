"""What this machine's load generators can do at most: every engine against the same null server."""

import random
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import exp, log
from statistics import median
from typing import Any

from bench.core.errors import MeasurementInvalid
from bench.core.hosts import DOCKER1
from bench.core.scenario import Load
from bench.core.statistics import estimate
from bench.edges import machine, store
from bench.edges.generator import Generator, generator
from bench.edges.host import Endpoint, Host
from bench.edges.image import CACHE
from bench.edges.journal import Journal, machine_lock, undo, undo_dead_runs
from bench.edges.lab import hosts_of_lab, lab, set_receive_steering
from bench.edges.null_server import null_server
from bench.edges.wrk import measure_with_wrk

CONNECTIONS = (1, 16, 64)
ENGINES = ("raw", "fasthttp", "wrk")


@dataclass
class Ceiling:
    """One engine at one number of connections, over all rounds."""

    connections: int
    engine: str
    rates_rps: list[float] = field(default_factory=list)
    requests: int = 0
    locust_requests: int = 0
    """Locust's own count of the same requests; 0 for wrk, which Locust does not see."""
    raw_ratio: float | None = None
    """How many times as fast the raw engine is, over paired rounds."""
    raw_ratio_ci95: tuple[float, float] | None = None

    def as_text(self) -> tuple[str, ...]:
        """Cells of a table."""
        ratio = "" if self.raw_ratio is None else f"{self.raw_ratio:.3g}"
        if self.raw_ratio_ci95:
            ratio += f" [{self.raw_ratio_ci95[0]:.3g}, {self.raw_ratio_ci95[1]:.3g}]"
        counted = f"{self.locust_requests:,}" if self.locust_requests else "not its own"
        return (
            str(self.connections),
            self.engine,
            f"{median(self.rates_rps):,.0f}",
            ratio,
            f"{self.requests:,}" if self.requests else "not recorded",
            counted,
        )


@dataclass(frozen=True)
class Calibration:
    """All ceilings, and the machine that they are of."""

    rows: list[Ceiling]
    scope: str
    machine: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_ceilings(seconds: int, rounds: int, tell: Callable[[str], None]) -> Calibration:
    """Requests/s of every engine, `rounds` times in random order, `seconds` each, in one lab."""
    machine.require_all()
    client_cpus, docker_cpus = machine.divide_cores()
    run_id = store.new_run_id(datetime.now(UTC))
    rows = [Ceiling(connections, engine) for connections in CONNECTIONS for engine in ENGINES]
    with machine_lock("bench calibrate"):
        undo_dead_runs()
        journal = Journal(run_id)
        try:
            with ExitStack() as stack:
                found = stack.enter_context(
                    lab(hosts_of_lab(client_cpus, docker_cpus, [DOCKER1], ipv6=False), journal)
                )
                load = stack.enter_context(generator(found.client, journal))
                server = stack.enter_context(null_server(found.docker[DOCKER1.name], CACHE))
                held = stack.enter_context(machine.hold_idle_states(wanted=True))
                for host in (found.client, *found.docker.values()):
                    set_receive_steering(host, on=True)
                if load.first_200_ns(server, "/") is None:
                    raise MeasurementInvalid("Starting the null server", "no answer came", "Try again.")
                for number in range(rounds):
                    tell(f"round {number + 1} of {rounds}")
                    order = random.Random(secrets.randbits(32)).sample(rows, len(rows))
                    for row in order:
                        _measure(row, load, found.client, server, seconds)
        finally:
            undo(run_id)
    for row in rows:
        [raw] = [other for other in rows if (other.connections, other.engine) == (row.connections, "raw")]
        if row is not raw:
            logs = [log(a / b) for a, b in zip(raw.rates_rps, row.rates_rps, strict=True)]
            ratio = estimate(logs, [0] * rounds)
            row.raw_ratio, row.raw_ratio_ci95 = exp(ratio.mean), (exp(ratio.ci95[0]), exp(ratio.ci95[1]))
    scope = f"{rounds} rounds of {seconds} s, idle states {'held' if held else 'free'}, receive steering on"
    return Calibration(rows, scope, machine.describe_machine())


def _measure(row: Ceiling, load: Generator, client: Host, server: Endpoint, seconds: int) -> None:
    if row.engine == "wrk":
        row.rates_rps.append(measure_with_wrk(client, server, "/", row.connections, seconds))
        return
    asked = Load(engine=row.engine, connections=row.connections, warm_up_s=0.2, measure_s=seconds)  # type: ignore[arg-type]
    result = load.load(asked, server, row.engine)
    inside = result.records["done_ns"] >= result.window_start_ns
    inside &= result.records["done_ns"] < result.window_end_ns
    row.rates_rps.append(float((inside & (result.records["outcome"] == 0)).sum()) / seconds)
    row.requests += len(result.records)
    row.locust_requests += result.locust_requests
