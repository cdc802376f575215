"""What this machine's instrument can tell: ceilings of the generators, their error, the noise floor."""

import random
import secrets
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import exp, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import bench
from bench.errors import MeasurementInvalid
from bench.generator.client import Generator, generator
from bench.generator.wrk import measure_with_wrk
from bench.judgement.precision import PRECISE_METRIC
from bench.judgement.samples import sort_slots
from bench.lab.hosts import machine, requirements
from bench.lab.hosts.host import Endpoint, Host
from bench.lab.hosts.journal import Journal, undo, undo_dead_runs
from bench.lab.hosts.lock import machine_lock
from bench.lab.hosts.namespaces import hosts_of_lab, lab, set_receive_steering
from bench.lab.instruments.core_speed import measure_pauses
from bench.lab.servers.image import CACHE
from bench.lab.servers.null_server import null_server
from bench.measure import settings
from bench.measure.slot import measure_slot
from bench.measure.testbed import Bed, prepare_bed
from bench.records.calibration import BeyondWire, Calibration, Ceiling, Floor, find_floor, find_pauses
from bench.results import columns, files, store
from bench.scenario.conditions import Condition, conditions
from bench.scenario.model import Arm, LabSettings, Load, Schedule
from bench.scenario.placement import DOCKER1
from bench.scenario.plan import Slot, plan_slots, slot_seconds
from bench.scenario.scenario import Scenario
from bench.slots.metrics import number_requests
from bench.slots.observation import SlotMetrics
from bench.statistics.estimate import estimate

CONNECTIONS = (1, 16, 64)
ENGINES = ("raw", "fasthttp", "wrk")
CAPTURED = Condition(
    label="",
    load=Load(model="open", rate_rps=1000, arrivals="uniform", connections=4, measure_s=2.0),
    lab=LabSettings(taps=True),
)
CAPTURES = 3
WATCHED_S = 10.0
"""For pauses: some come once in seconds."""
Tell = Callable[[str], None]


def calibrate(seconds: int, rounds: int, blocks: int, tell: Tell) -> Calibration:
    """Measure the ceilings (`seconds` a load, `rounds` times) and two like arms over `blocks`; store it."""
    requirements.require_all(also=[requirements.WRK])
    with machine_lock("bench calibrate"):
        undo_dead_runs()
        tell("pauses of the machine's own")
        pauses = find_pauses(measure_pauses(machine.usable_cores(), WATCHED_S), WATCHED_S)
        ceilings, held = _measure_ceilings(seconds, rounds, tell)
        scenario = _like_arms(blocks)
        run_id = files.new_run_id(datetime.now(UTC))
        with tempfile.TemporaryDirectory() as folder, prepare_bed(scenario, run_id, tell) as bed:
            floors = _measure_floors(bed, Path(folder), tell)
            beyond_wire = _measure_beyond_wire(bed, Path(folder), tell)
    [condition] = conditions(scenario)
    found = Calibration(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bench_version=bench.__version__,
        machine=machine.describe_machine(),
        scope=f"{rounds} rounds of {seconds} s, idle states {'held' if held else 'free'},"
        " receive steering on",
        ceilings=tuple(ceilings),
        floors=tuple(floors),
        block_s=len(scenario.arms) * scenario.schedule.slots_per_arm * slot_seconds(condition),
        beyond_wire=beyond_wire,
        pauses=pauses,
    )
    store.write_calibration(found)
    return found


@dataclass
class _Row:
    connections: int
    engine: str
    rates_rps: list[float] = field(default_factory=list)
    requests: int = 0
    locust_requests: int = 0


def _measure_ceilings(seconds: int, rounds: int, tell: Tell) -> tuple[list[Ceiling], bool]:
    """Requests/s of every engine, in random order in each round; whether idle states were held."""
    client_cpus, docker_cpus = machine.divide_cores()
    run_id = files.new_run_id(datetime.now(UTC))
    rows = [_Row(connections, engine) for connections in CONNECTIONS for engine in ENGINES]
    journal = Journal(run_id)
    try:
        with ExitStack() as stack:
            plans = hosts_of_lab(client_cpus, docker_cpus, [DOCKER1], ipv6=False)
            found = stack.enter_context(lab(plans, journal))
            load = stack.enter_context(generator(found.client, journal))
            server = stack.enter_context(null_server(found.docker[DOCKER1.name], CACHE))
            held = stack.enter_context(settings.hold_idle_states(wanted=True))
            for host in (found.client, *found.docker.values()):
                set_receive_steering(host, on=True)
            if load.first_200_ns(server, "/") is None:
                raise MeasurementInvalid("Starting the null server", "no answer came", "Try again.")
            for number in range(rounds):
                tell(f"ceilings: round {number + 1} of {rounds}")
                for row in random.Random(secrets.randbits(32)).sample(rows, len(rows)):
                    _measure(row, load, found.client, server, seconds)
    finally:
        undo(run_id)
    raw = {row.connections: row.rates_rps for row in rows if row.engine == "raw"}
    return [_ceiling(row, raw[row.connections]) for row in rows], held


def _measure(row: _Row, load: Generator, client: Host, server: Endpoint, seconds: int) -> None:
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


def _ceiling(row: _Row, raw_rps: Sequence[float]) -> Ceiling:
    ratio = None
    if row.engine != "raw":
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


def _like_arms(blocks: int) -> Scenario:
    """Two arms that differ in their name and port alone, loaded as the scenarios' default is."""
    return Scenario(
        name="calibration",
        question="What do two arms that are the same show as a difference?",
        baseline="host",
        arms=(Arm(name="host", mode="host"), Arm(name="host-again", mode="host", port=8080)),
        schedule=Schedule(blocks=blocks),
    )


def _measure_floors(bed: Bed, folder: Path, tell: Tell) -> list[Floor]:
    scenario, seed = bed.scenario, secrets.randbits(31)
    [condition] = conditions(scenario)
    slots: list[SlotMetrics] = []
    for slot in plan_slots(scenario, seed):
        if slot.index % (len(scenario.arms) * scenario.schedule.slots_per_arm) == 0:
            tell(f"noise floor: block {slot.block + 1} of {scenario.schedule.blocks}")
        slots.append(measure_slot(bed, slot, condition, folder)[0].metrics())
    measured = sort_slots(scenario, slots, seed)
    sides = [measured.side(arm.name, 0) for arm in scenario.arms]
    floors = []
    for metric in scenario.metrics:
        sample = measured.sample(metric, sides)
        if not sample.is_enough and metric is not PRECISE_METRIC:
            continue  # A p99 wants more requests than a slow machine sends.
        if not sample.is_enough:
            raise MeasurementInvalid(
                f"Measuring the noise floor of the {metric.label}",
                sample.gap,
                "Calibrate while the machine has nothing else to do; more --blocks forgive more.",
            )
        floors.append(find_floor(metric, [block.logs[1] - block.logs[0] for block in sample.blocks]))
    return floors


def _measure_beyond_wire(bed: Bed, folder: Path, tell: Tell) -> BeyondWire | None:
    tell("the generator's own share, by captures")
    beyond: list[NDArray[np.float64]] = []
    for index in range(CAPTURES):
        slot = Slot(
            index=1_000_000 + index, session=0, block=0, arm=bed.scenario.baseline, condition=0, repeat=0
        )
        record, _ = measure_slot(bed, slot, CAPTURED, folder)
        if record.valid:
            beyond.append(_beyond_wire_us(folder, slot.directory))
    if not beyond:
        return None
    p50, p99 = np.percentile(np.concatenate(beyond), [50, 99])
    return BeyondWire(p50_us=float(p50), p99_us=float(p99), requests=sum(map(len, beyond)))


def _beyond_wire_us(folder: Path, slot_directory: str) -> NDArray[np.float64]:
    """Of each request: done minus sent, less its time between the packets at the client's interface."""
    requests = columns.read_requests(folder, slot_directory).to_pandas()
    hops = columns.read_hops(folder, slot_directory).to_pandas().set_index("id")
    service_ns = (requests["done_ns"] - requests["sent_ns"]).set_axis(
        number_requests(requests[["intended_ns"]].to_records(index=False))
    )
    wire_ns = hops["client_last_ns"] - hops["client_request_ns"]
    beyond: NDArray[np.float64] = (service_ns.reindex(hops.index) - wire_ns).to_numpy() / 1e3
    return beyond
