"""Factories of the pure tests: scenarios, slots, requests and runs with exact numbers in them."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings

from bench.records.run import SCHEMA_VERSION, RunRecord, SlotRecord, Status
from bench.results import store
from bench.scenario.metric import Metric
from bench.scenario.model import Arm, Schedule
from bench.scenario.modes.footprint import Counter
from bench.scenario.modes.model import Mode
from bench.scenario.plan import Slot, plan_slots
from bench.scenario.scenario import Scenario
from bench.slots.gates.gate import Demand, Gate, GateKind
from bench.slots.observation import SlotMetrics
from bench.slots.requests import RECORD_DTYPE, Outcome

# The same examples on every machine and no file written: a red test is red for everybody.
settings.register_profile("pure", database=None, deadline=None, derandomize=True, max_examples=60)
settings.load_profile("pure")

HOST, BRIDGE = Arm(name="host", mode=Mode.HOST), Arm(name="bridge", mode=Mode.BRIDGE)
Latency = Callable[[Slot], float]


def make_scenario(*, blocks: int = 6, slots_per_arm: int = 2, sessions: int = 1, **changes: Any) -> Scenario:
    """Host (the baseline) against bridge, with `changes` of the scenario's fields."""
    fields: dict[str, Any] = {
        "name": "unit",
        "question": "What does bridge cost?",
        "baseline": "host",
        "arms": (HOST, BRIDGE),
        "schedule": Schedule(blocks=blocks, slots_per_arm=slots_per_arm, sessions=sessions),
    }
    return Scenario(**(fields | changes))


def make_values(latency_us: float) -> dict[Metric, float]:
    """The metrics of one connection in a closed loop whose requests take `latency_us`."""
    return {
        Metric.P50_LATENCY_US: latency_us,
        Metric.P10_LATENCY_US: 0.9 * latency_us,
        Metric.P99_LATENCY_US: 3 * latency_us,
        Metric.THROUGHPUT_RPS: 1e6 / latency_us,
    }


def make_slots(
    scenario: Scenario,
    latency_us: Latency,
    *,
    invalid: Callable[[Slot], bool] = lambda _: False,
    missing: Mapping[Metric, Callable[[Slot], bool]] | None = None,
) -> list[SlotMetrics]:
    """Every slot of the scenario's plan, with the latency that `latency_us` gives it."""
    missing = missing or {}
    return [
        SlotMetrics(
            session=slot.session,
            block=slot.block,
            arm=slot.arm,
            condition=slot.condition,
            repeat=slot.repeat,
            valid=not invalid(slot),
            values={
                metric: None if metric in missing and missing[metric](slot) else value
                for metric, value in make_values(latency_us(slot)).items()
            },
            index=slot.index,
        )
        for slot in plan_slots(scenario, seed=1)
    ]


def noise(slot: Slot, size: float = 0.01) -> float:
    """A factor about 1, of `size` or less, fixed by the slot and the same in no two of them."""
    generator = np.random.default_rng([slot.block, slot.repeat, slot.condition, len(slot.arm)])
    return float(1 + size * (generator.random() * 2 - 1))


def make_records(rows: Iterable[Mapping[str, int]]) -> np.ndarray:
    """Requests in the load path's own form: by default sent at 1,000 ns and done 20 us later."""
    defaults = {
        "intended_ns": 900,
        "sent_ns": 1_000,
        "first_byte_ns": 20_000,
        "done_ns": 21_000,
        "bytes": 1024,
        "connection": 0,
        "request": 0,
        "status": 200,
        "outcome": int(Outcome.OK),
    }
    return np.array(
        [tuple((defaults | dict(row))[name] for name in defaults) for row in rows], dtype=RECORD_DTYPE
    )


def make_gate(*, passed: bool = True, name: str = "requests", **changes: Any) -> Gate:
    """A gate that voids the whole slot where it failed, and that saw what it says."""
    kind = GateKind(name)
    failing = 1 if kind.demand is Demand.AT_LEAST else 3
    fields: dict[str, Any] = {"seen": 2 if passed else failing, "limit": 2, "unit": "of anything"}
    return Gate(name=kind, passed=passed, **(fields | changes))


def make_slot_record(slot: Slot, latency_us: float = 20.0, **changes: Any) -> SlotRecord:
    """A slot as it is stored, with all that a slot can hold."""
    fields: dict[str, Any] = {
        "slot": slot,
        "started_at": "2025-01-02T03:04:05.678+00:00",
        "window_start_ns": 1_000,
        "window_end_ns": 2_000_000,
        "realtime_offset_ns": 1_700_000_000_000_000_000,
        "requests": 12_345,
        "values": make_values(latency_us),
        "p999_latency_us": 5 * latency_us,
        "mean_latency_us": 1.1 * latency_us,
        "service_p50_us": 0.9 * latency_us,
        "service_p99_us": 2.5 * latency_us,
        "start_to_first_200_ms": 123.456,
        "wrk_witness_rps": None,
        "seconds": 1.75,
        "overhead_s": 0.5,
        "counters": {Counter.DNAT: 0, Counter.BRIDGE: 0},
        "gates": (make_gate(),),
        "evidence": {"idle states": "held"},
    }
    return SlotRecord(**(fields | changes))


def make_run(scenario: Scenario, latency_us: Latency | None = None, **changes: Any) -> RunRecord:
    """A complete run of `scenario`; without `latency_us` bridge costs a tenth more than host."""
    latency_us = latency_us or (lambda slot: (22 if slot.arm == "bridge" else 20) * noise(slot))
    planned = plan_slots(scenario, seed=1)
    fields: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "id": "20250102T030405Z-00ff",
        "bench_version": "0.1.0",
        "status": Status.COMPLETE,
        "started_at": "2025-01-02T03:04:05+00:00",
        "finished_at": "2025-01-02T03:05:05+00:00",
        "scenario": scenario,
        "seed": 1,
        "budget_s": None,
        "planned": planned,
        "machine": {"cpu": "A CPU", "usable_cores": "2", "kernel": "6.1"},
        "tools": {"ip": "6.1"},
        "lab": {"vantage": "same-kernel lab"},
        "engines": {"docker1": {"what": "the machine's own engine", "version": "26.1.5"}},
        "image": {"id": "sha256:0"},
        "warnings": ("a warning",),
        "slots": tuple(make_slot_record(slot, latency_us(slot)) for slot in planned),
    }
    return RunRecord(**(fields | changes))


def store_whole(folder: Path, record: RunRecord) -> RunRecord:
    """Store a run as one that has ended leaves it: sealed, a file a slot. What its slots hold lies there."""
    facts = record.surroundings
    slots = tuple(store.write_slot(folder, slot, facts.get(slot.surroundings, {})) for slot in record.slots)
    whole = record.model_copy(update={"slots": slots})
    store.finish_run(folder, whole)
    return whole
