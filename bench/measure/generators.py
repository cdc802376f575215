"""What the load generators do against a server that does nothing: their ceilings, and how late they are."""

import random
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import exp, log
from statistics import median

from bench.errors import MeasurementInvalid
from bench.generator.asks import page_asks
from bench.generator.client import Generator, generator
from bench.generator.wrk import measure_with_wrk
from bench.lab.hosts import machine, requirements
from bench.lab.hosts.host import Endpoint, Host
from bench.lab.hosts.journal import Journal, undo
from bench.lab.hosts.lab import hosts_of_lab, lab
from bench.lab.instruments.idle_states import IdleStates, hold_idle_states
from bench.lab.servers.null_server import null_server
from bench.measure import settings
from bench.measure.settings import set_receive_steering
from bench.paths import CACHE
from bench.records.calibration import Ceiling, Lateness
from bench.results import files
from bench.scenario.load import Load
from bench.scenario.metric import Metric
from bench.scenario.placement import DOCKER1
from bench.scenario.server_limits import DESCRIPTORS_BESIDE, PACKETS_QUEUED
from bench.slots.metrics import measure_requests
from bench.statistics.estimate import estimate

CONNECTIONS = (1, 16, 64, 1000)
ENGINES = ("raw", "raw-python", "fasthttp", "wrk")
RATES_RPS = (1_000, 10_000, 50_000)
OPEN_CONNECTIONS = 64
Tell = Callable[[str], None]


@dataclass
class _Row:
    connections: int
    engine: str
    rates_rps: list[float] = field(default_factory=list)
    requests: int = 0
    locust_requests: int = 0


@dataclass
class _Schedule:
    """An open loop at a rate, and what came of each round."""

    engine: str
    rate_rps: int
    p50_us: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)
    achieved_rps: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Generators:
    """What the generators do against a server that does nothing."""

    ceilings: list[Ceiling]
    latenesses: list[Lateness]
    idle: IdleStates
    """Whether idle states were."""
    loop: str


def measure_generators(seconds: int, rounds: int, tell: Tell) -> Generators:
    """Requests/s of every engine and lateness of every rate, in random order in each round."""
    client_cpus, docker_cpus = machine.divide_cores()
    run_id = files.new_run_id(datetime.now(UTC))
    rows = [_Row(connections, engine) for connections in CONNECTIONS for engine in ENGINES]
    schedules = [_Schedule(engine, rate) for engine in ("raw", "raw-python") for rate in RATES_RPS]
    requirements.require_descriptors(max(CONNECTIONS) + DESCRIPTORS_BESIDE)
    loop = ""
    journal = Journal(run_id)
    try:
        with ExitStack() as stack:
            settings.make_queue_room(PACKETS_QUEUED * max(CONNECTIONS), journal)
            plans = hosts_of_lab(client_cpus, docker_cpus, [DOCKER1], ipv6=False)
            found = stack.enter_context(lab(plans, journal))
            load = stack.enter_context(generator(found.client, journal))
            server = stack.enter_context(null_server(found.docker[DOCKER1.name], CACHE))
            idle = stack.enter_context(hold_idle_states(journal))
            for host in (found.client, *found.docker.values()):
                set_receive_steering(host, on=True)
            if load.first_200_ns(server, "/") is None:
                raise MeasurementInvalid("Starting the null server", "no answer came", "Try again.")
            for number in range(rounds):
                tell(f"ceilings: round {number + 1} of {rounds}")
                dice = random.Random(secrets.randbits(32))
                for row in dice.sample(rows, len(rows)):
                    loop = _measure(row, load, found.client, server, seconds) or loop
                for schedule in dice.sample(schedules, len(schedules)):
                    _measure_lateness(schedule, load, server, seconds, dice.getrandbits(31))
    finally:
        undo(run_id)
    raw = {row.connections: row.rates_rps for row in rows if row.engine == "raw"}
    ceilings = [_ceiling(row, raw[row.connections]) for row in rows]
    return Generators(
        ceilings, [_lateness(schedule) for schedule in schedules if schedule.p50_us], idle, loop
    )


def _measure(row: _Row, load: Generator, client: Host, server: Endpoint, seconds: int) -> str:
    """Measure one round of `row`; returns which loop the raw engine had."""
    if row.engine == "wrk":
        row.rates_rps.append(measure_with_wrk(client, server, "/", row.connections, seconds))
        return ""
    asked = Load(engine=row.engine, connections=row.connections, warm_up_s=0.2, measure_s=seconds)  # type: ignore[arg-type]
    result = load.load(asked, server, row.engine, page_asks(asked))
    inside = result.records["done_ns"] >= result.window_start_ns
    inside &= result.records["done_ns"] < result.window_end_ns
    row.rates_rps.append(float((inside & (result.records["outcome"] == 0)).sum()) / seconds)
    row.requests += len(result.records)
    row.locust_requests += result.locust_requests
    return result.loop if row.engine == "raw" else ""


def _measure_lateness(
    schedule: _Schedule, load: Generator, server: Endpoint, seconds: int, seed: int
) -> None:
    asked = Load(
        engine=schedule.engine,  # type: ignore[arg-type]
        model="open",
        rate_rps=schedule.rate_rps,
        connections=OPEN_CONNECTIONS,
        warm_up_s=0.2,
        measure_s=seconds,
    )
    result = load.load(asked, server, f"{schedule.engine} open", page_asks(asked), seed)
    found = measure_requests(result.records, result.window_start_ns, result.window_end_ns, asked)
    if found.open_loop and found.open_loop.lateness_us:
        schedule.p50_us.append(found.open_loop.lateness_us[0])
        schedule.p99_us.append(found.open_loop.lateness_us[1])
        schedule.achieved_rps.append(found.values[Metric.THROUGHPUT_RPS])


def _lateness(schedule: _Schedule) -> Lateness:
    return Lateness(
        engine=schedule.engine,
        rate_rps=schedule.rate_rps,
        p50_us=median(schedule.p50_us),
        p99_us=median(schedule.p99_us),
        achieved_rps=median(schedule.achieved_rps),
    )


def _ceiling(row: _Row, raw_rps: Sequence[float]) -> Ceiling:
    ratio = None
    answered = all((*raw_rps, *row.rates_rps))  # A thousand of Locust's users may get no answer in time.
    if row.engine != "raw" and answered:
        logs = [log(a / b) for a, b in zip(raw_rps, row.rates_rps, strict=True)]
        ratio = estimate(logs, [0] * len(logs))
    return Ceiling(
        connections=row.connections,
        engine=row.engine,
        rates_rps=tuple(row.rates_rps),
        requests=row.requests,
        locust_requests=row.locust_requests,
        raw_ratio=ratio and exp(ratio.mean),
        raw_ratio_ci95=ratio and (exp(ratio.ci95[0]), exp(ratio.ci95[1])),
    )
