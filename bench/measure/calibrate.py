"""What this machine's instrument can tell: ceilings of the generators, their error, the noise floor."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import bench
from bench import paths
from bench.errors import MeasurementInvalid
from bench.judgement.samples import sort_slots
from bench.lab.hosts import machine, requirements
from bench.lab.hosts.journal import undo_dead_runs
from bench.lab.hosts.lock import machine_lock
from bench.lab.instruments.core_speed import measure_pauses
from bench.measure.generators import measure_generators
from bench.measure.interleaving import measure_set
from bench.measure.lab_testbed import prepare_bed
from bench.measure.slot import measure_slot
from bench.measure.testbed import Bed
from bench.records.calibration import BeyondWire, Calibration, Floor, find_floor, find_pauses
from bench.records.run import SlotRecord
from bench.results import columns, files, store
from bench.results.spreads import list_blocks
from bench.scenario.conditions import Condition, conditions
from bench.scenario.load import Load
from bench.scenario.model import Arm, Interleave, LabSettings, Schedule
from bench.scenario.plan import Slot, lives, plan_slots, slot_seconds, turns
from bench.scenario.scenario import Scenario
from bench.slots.metrics import number_requests
from bench.slots.observation import SlotMetrics
from bench.statistics.components import Components, find_components

CAPTURED = Condition(
    label="",
    load=Load(model="open", rate_rps=1000, arrivals="uniform", connections=4, measure_s=2.0),
    lab=LabSettings(taps=True),
)
CAPTURES = 3
SESSIONS, SETS_OF_SESSION = 4, 4
"""Of the variance components: some sessions, and in each of them more than one set."""
SET_SLOTS = 500_000
"""Numbers of their slots begin here."""
CAPTURED_SLOTS = 1_000_000
"""Numbers of these slots begin here, beyond those of the floors."""
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
        bare = measure_generators(seconds, rounds, tell)
        scenario = _like_arms(blocks)
        run_id = files.new_run_id(datetime.now(UTC))
        with prepare_bed(scenario, run_id, tell) as bed:
            folder = paths.STATE / run_id / "slots"  # Beside the journal, with which it goes.
            folder.mkdir()
            floors = _measure_floors(bed, folder, tell)
            components, set_s = _measure_components(bed, folder, tell)
            beyond_wire, beyond_wire_python = (
                _measure_beyond_wire(bed, folder, engine, tell) for engine in ("raw", "raw-python")
            )
    [condition] = conditions(scenario)
    found = Calibration(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bench_version=bench.__version__,
        machine=machine.describe_machine(),
        scope=f"{rounds} rounds of {seconds} s, idle states {bare.idle}, receive steering on",
        ceilings=tuple(bare.ceilings),
        floors=tuple(floors),
        block_s=len(scenario.arms) * scenario.schedule.slots_per_arm * slot_seconds(condition),
        beyond_wire=beyond_wire,
        beyond_wire_python=beyond_wire_python,
        pauses=pauses,
        loop=bare.loop,
        latenesses=tuple(bare.latenesses),
        components=components,
        set_s=set_s,
    )
    store.write_calibration(found)
    return found


def _like_arms(blocks: int) -> Scenario:
    """Two arms that differ in their name and port alone, loaded as the scenarios' default is."""
    return Scenario(
        name="calibration",
        question="What do two arms that are the same show as a difference?",
        baseline="host",
        arms=(Arm(name="host", mode="host"), Arm(name="host-again", mode="host", port=8080)),
        schedule=Schedule(blocks=blocks, interleave=Interleave()),
    )


def _measure_floors(bed: Bed, folder: Path, tell: Tell) -> list[Floor]:
    scenario, seed = bed.scenario, secrets.randbits(31)
    [condition] = conditions(scenario)
    slots: list[SlotMetrics] = []
    # Each by itself, as a slot is unless a scenario says otherwise.
    alone = scenario.schedule.model_copy(update={"interleave": None})
    for slot in plan_slots(scenario.model_copy(update={"schedule": alone}), seed):
        if slot.index % (len(scenario.arms) * scenario.schedule.slots_per_arm) == 0:
            tell(f"noise floor: block {slot.block + 1} of {scenario.schedule.blocks}")
        slots.append(measure_slot(bed, slot, condition, folder)[0].metrics())
    measured = sort_slots(scenario, slots, seed)
    sides = [measured.side(arm.name, 0) for arm in scenario.arms]
    floors = []
    for metric in scenario.metrics:
        sample = measured.sample(metric, sides)
        if not sample.is_enough and metric is not measured.scenario.leading:
            continue  # A p99 wants more requests than a slow machine sends.
        if not sample.is_enough:
            raise MeasurementInvalid(
                f"Measuring the noise floor of the {metric.label}",
                sample.gap,
                "Calibrate while the machine has nothing else to do; more --blocks forgive more.",
            )
        floors.append(find_floor(metric, [block.logs[1] - block.logs[0] for block in sample.blocks]))
    return floors


def _measure_components(bed: Bed, folder: Path, tell: Tell) -> tuple[Components | None, float]:
    """Of the same arms taking turns, in sessions of few sets; and how long a set takes."""
    seed = secrets.randbits(31)
    schedule = bed.scenario.schedule.model_copy(
        update={"blocks": SESSIONS * SETS_OF_SESSION, "sessions": SESSIONS}
    )
    scenario = bed.scenario.model_copy(update={"schedule": schedule})
    [condition] = conditions(scenario)
    planned = [
        slot.model_copy(update={"index": SET_SLOTS + slot.index}) for slot in plan_slots(scenario, seed)
    ]
    records, session = list[SlotRecord](), 0
    for life in lives(planned):
        if life[0].session != session:
            session = life[0].session
            bed.restart_engines()
        tell(f"variance components: set {life[0].block + 1} of {schedule.blocks}")
        cells = turns(scenario, seed, planned, life)
        records += [record for record, _ in measure_set(bed, life, condition, cells, folder)]
    names = (scenario.arms[0].name, scenario.arms[1].name)
    repeats = [schedule.slots_per_arm] * 2
    found = find_components(list_blocks(folder, records, names, repeats))
    return found, sum(record.seconds for record in records) / schedule.blocks


def _measure_beyond_wire(bed: Bed, folder: Path, engine: str, tell: Tell) -> BeyondWire | None:
    tell(f"the generator's own share, by captures: {engine}")
    captured = CAPTURED.model_copy(update={"load": CAPTURED.load.model_copy(update={"engine": engine})})
    beyond: list[NDArray[np.float64]] = []
    first = CAPTURED_SLOTS + CAPTURES * (engine != "raw")
    for index in range(first, first + CAPTURES):
        slot = Slot(index=index, session=0, block=0, arm=bed.scenario.baseline, condition=0, repeat=0)
        record, _ = measure_slot(bed, slot, captured, folder)
        if record.valid:
            beyond.append(_beyond_wire_us(folder, slot.directory))
    if not beyond:
        return None
    own_us, service_us = np.concatenate(beyond, axis=1)
    p25, p50, p75, p99 = (float(value) for value in np.percentile(own_us, [25, 50, 75, 99]))
    return BeyondWire(
        p50_us=p50,
        p99_us=p99,
        requests=len(own_us),
        spread_us=p75 - p25,
        share=float(np.median(own_us / service_us)),
    )


def _beyond_wire_us(folder: Path, slot_directory: str) -> NDArray[np.float64]:
    """Of each request: done minus sent, less its time between the packets at the client's interface; and
    done minus sent, whole. A row each.
    """
    requests = columns.to_frame(columns.read_requests(folder, slot_directory))
    hops = columns.to_frame(columns.read_hops(folder, slot_directory)).set_index("id")
    service_ns = (requests["done_ns"] - requests["sent_ns"]).set_axis(
        number_requests(requests[["intended_ns"]].to_records(index=False))
    )
    wire_ns = hops["client_last_ns"] - hops["client_request_ns"]
    service_ns = service_ns.reindex(hops.index)
    both: NDArray[np.float64] = np.stack([(service_ns - wire_ns).to_numpy(), service_ns.to_numpy()]) / 1e3
    return both
