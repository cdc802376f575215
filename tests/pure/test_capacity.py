"""Whole capacity measurements of simulated arms: what is measured next, what is concluded, what is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import InputError
from bench.judgement.capacity.bound import Bound, compare_knees, find_bound, plan_comparisons
from bench.judgement.capacity.knee import Outcome
from bench.judgement.capacity.record import (
    MIN_HEADROOM,
    NULL_SERVER,
    SCHEMA_VERSION,
    CapacityRecord,
    Probe,
    SecondWorker,
    Step,
    Workload,
    WrkReading,
)
from bench.judgement.capacity.search import judge_probe, next_step
from bench.records.run import Status
from bench.report.pages.capacity import answer_capacity, list_cautions, write_capacity_report
from bench.results import files, store
from bench.scenario.load import Load
from bench.scenario.model import Capacity
from bench.scenario.plan import plan_slots
from bench.slots.gates.gate import GateKind

from .conftest import make_gate, make_scenario, make_slot_record

KNEES_RPS = {"host": 12_000.0, "bridge": 9_000.0, NULL_SERVER: 30_000.0}
SETTINGS = Capacity(keep_alive=(True, False))


def begin(**settings: Any) -> CapacityRecord:
    scenario = make_scenario(
        load=Load(model="open", connections=64),
        capacity=SETTINGS.model_copy(update=settings),
    )
    return CapacityRecord(
        schema_version=SCHEMA_VERSION,
        id="20250102T030405Z-00ff",
        bench_version="0.1.0",
        status=Status.COMPLETE,
        started_at="2025-01-02T03:04:05+00:00",
        scenario=scenario,
        seed=1,
        machine={"cpu": "A CPU", "kernel": "6.1"},
        tools={},
        lab={"vantage": "same-kernel lab"},
    )


class Machine:
    """Arms with known knees; `changes` of what a probe at a rate that is too high shows."""

    def __init__(
        self, knees_rps: dict[str, float] = KNEES_RPS, added: float = 0.0, wrk: float = 1.1, **changes: Any
    ) -> None:
        self.knees_rps, self.added, self.wrk, self.changes = knees_rps, added, wrk, changes

    def take(self, record: CapacityRecord, step: Step) -> CapacityRecord:
        arm, kept = step.workload
        knee_rps = self.knees_rps[arm] * (1 if kept else 0.4)
        which: dict[str, Any] = {"arm": arm, "keep_alive": kept}
        if step.kind == "wrk":
            reading = WrkReading(**which, throughput_rps=self.wrk * knee_rps)
            return record.model_copy(update={"wrk": (*record.wrk, reading)})
        which["rate_rps"] = step.rate_rps
        if step.kind == "second worker":
            worker = SecondWorker(
                **which, generator_rps=1_000, wrk_rps=(1 + self.added) * 9_000 - 1_000, alone_rps=9_000
            )
            return record.model_copy(update={"second_workers": (*record.second_workers, worker)})
        good = step.rate_rps <= knee_rps
        shows: dict[str, Any] = {
            "outcome": Outcome.SUSTAINED if good else Outcome.REFUSED,
            "p99_ms": 1.0 if good else 50.0,
            "achieved_share": 1.0 if good else 0.95,
            "generator_busy": 0.5,
            "server_busy": 0.99,
        }
        probe = Probe(**which, confirming=step.kind == "confirm", **(shows if good else shows | self.changes))
        return record.model_copy(update={"probes": (*record.probes, probe)})


def measure(
    record: CapacityRecord, machine: Machine, watch: Callable[[Step], None] = lambda _: None
) -> CapacityRecord:
    for _ in range(500):
        step = next_step(record)
        if step is None:
            return record
        watch(step)
        record = machine.take(record, step)
    raise AssertionError("it does not end")


def test_every_arm_is_found_confirmed_witnessed_and_proved_to_be_the_bound() -> None:
    record = measure(begin(), Machine())
    assert len(record.workloads) == 4
    for workload in record.workloads:
        knee = record.knee(workload)
        true_rps = KNEES_RPS[workload.arm] * (1 if workload.keep_alive else 0.4)
        assert knee.confirmed_rps is not None
        assert knee.refuted_rps is not None
        assert knee.confirmed_rps <= true_rps < knee.refuted_rps <= 1.05 * knee.confirmed_rps
        assert len(record.wrk_rps(workload)) == SETTINGS.confirmations
        assert find_bound(record, workload) is Bound.SERVER
    ratios = compare_knees(record)
    assert [(ratio.arm, ratio.keep_alive, ratio.word) for ratio in ratios] == [
        ("bridge", True, "higher"),
        ("bridge", False, "higher"),
    ]
    for ratio in ratios:
        assert ratio.ratio == pytest.approx(12 / 9, rel=0.05)
        assert ratio.ci95 is not None
        assert ratio.ci95[0] < 12 / 9 < ratio.ci95[1]


def test_what_is_measured_next_follows_from_what_is_stored_alone() -> None:
    record, machine = begin(), Machine()
    while step := next_step(record):
        again = CapacityRecord.model_validate_json(record.model_dump_json())
        assert next_step(again) == step
        record = machine.take(again, step)
    assert find_bound(record, Workload("host", True)) is Bound.SERVER


def test_confirmations_go_round_the_arms_in_random_order_one_of_each_at_a_time() -> None:
    steps: list[Step] = []
    measure(begin(), Machine(), steps.append)
    confirming = [step for step in steps if step.kind == "confirm"]
    assert [step.repeat for step in confirming] == sorted(step.repeat for step in confirming)
    rounds = [[s.workload for s in confirming if s.repeat == repeat] for repeat in range(3)]
    assert all(len(found) == 8 for found in rounds)
    assert len({tuple(found) for found in rounds}) == 3


def test_the_searches_take_turns() -> None:
    steps: list[Step] = []
    measure(begin(), Machine(), steps.append)
    arms = [step.workload for step in steps if step.kind == "search"]
    assert len(set(arms[:6])) == 6


@pytest.mark.parametrize(
    ("machine", "bound"),
    [
        (Machine(KNEES_RPS | {NULL_SERVER: 8_000.0}), Bound.CLIENT),
        (Machine(outcome=Outcome.CLIENT), Bound.CLIENT),
        (Machine(generator_busy=0.97, server_busy=0.6), Bound.CLIENT),
        (Machine(KNEES_RPS | {NULL_SERVER: 9_000 * MIN_HEADROOM * 0.95}), Bound.UNDECIDED),
        (Machine(server_busy=0.6), Bound.UNDECIDED),
        (Machine(generator_busy=0.97), Bound.UNDECIDED),
        (Machine(added=0.2), Bound.UNDECIDED),
        (Machine(wrk=2.0), Bound.UNDECIDED),
    ],
    ids=[
        "the generator's ceiling is lower",
        "the probes failed for the client",
        "the client's core was full and the server's was not",
        "the generator's ceiling is hardly higher",
        "the server's core was not full",
        "both cores were full",
        "a second worker got more",
        "wrk alone got far more",
    ],
)
def test_a_figure_that_is_not_proved_to_be_the_servers_is_compared_with_none(
    machine: Machine, bound: Bound
) -> None:
    record = measure(begin(), machine)
    assert find_bound(record, Workload("bridge", True)) is bound
    assert all(ratio.word.startswith("INVALID: ") for ratio in compare_knees(record))
    [said] = [line for line in list_cautions(record) if line.startswith("bridge with kept-alive")]
    assert ("INVALID as a capacity" in said) is (bound is Bound.CLIENT)


def test_two_alike_arms_are_not_told_apart_and_not_called_equal() -> None:
    record = measure(begin(), Machine(KNEES_RPS | {"bridge": 12_000.0}))
    assert {ratio.word for ratio in compare_knees(record)} == {"not told apart"}


def test_the_comparison_is_at_shares_of_the_weakest_knee_and_an_ordinary_scenario() -> None:
    record = measure(begin(), Machine())
    kept, new = plan_comparisons(record)
    knee_rps = record.knee(Workload("bridge", True)).confirmed_rps
    assert knee_rps is not None
    assert kept.factors == {"load.rate_rps": (round(0.3 * knee_rps), round(0.6 * knee_rps))}
    assert (kept.name, new.name) == ("unit-kept-alive", "unit-new")
    assert kept.capacity is None
    assert (kept.load.keep_alive, new.load.keep_alive) == (True, False)
    assert kept.arms == record.scenario.arms


def test_an_arm_whose_probes_are_void_is_given_up_and_nothing_is_compared_with_it() -> None:
    class Disturbed(Machine):
        def take(self, record: CapacityRecord, step: Step) -> CapacityRecord:
            taken = super().take(record, step)
            if step.workload == ("bridge", True) and step.kind == "search":
                void = taken.probes[-1].model_copy(update={"outcome": Outcome.VOID})
                return taken.model_copy(update={"probes": (*taken.probes[:-1], void)})
            return taken

    record = measure(begin(), Disturbed())
    assert record.knee(Workload("bridge", True)).confirmed_rps is None
    assert [scenario.name for scenario in plan_comparisons(record)] == ["unit-new"]
    assert any("given up" in line for line in list_cautions(record))


def test_an_arm_that_cannot_be_had_is_not_measured() -> None:
    record = measure(begin().model_copy(update={"unavailable": {"bridge": "no reason"}}), Machine())
    assert {workload.arm for workload in record.workloads} == {"host"}
    assert compare_knees(record) == ()
    assert plan_comparisons(record) == ()


GOOD = Probe(
    arm="host",
    keep_alive=True,
    rate_rps=1_000,
    confirming=False,
    outcome=Outcome.VOID,
    achieved_share=0.995,
    error_share=0.0,
    p99_ms=9.0,
    generator_busy=0.5,
)


@pytest.mark.parametrize(
    ("changes", "gates", "lateness_us", "outcome"),
    [
        ({}, {}, 50.0, Outcome.SUSTAINED),
        ({}, {"quiet cores": "0.2", "listen drops": "3"}, 5_000.0, Outcome.SUSTAINED),
        ({}, {"path: served connections": "0"}, 50.0, Outcome.VOID),
        ({"p99_ms": 11.0}, {}, 50.0, Outcome.REFUSED),
        ({"p99_ms": 11.0}, {"path: served connections": "0"}, 50.0, Outcome.REFUSED),
        ({"p99_ms": 11.0}, {"image": "another"}, 50.0, Outcome.VOID),
        ({"achieved_share": 0.98}, {"achieved": "0.98", "listen drops": "9"}, 50.0, Outcome.REFUSED),
        ({"error_share": 0.01}, {"errors": "0.01"}, 50.0, Outcome.REFUSED),
        ({"p99_ms": 11.0}, {}, 1_500.0, Outcome.CLIENT),
        ({"p99_ms": 11.0, "generator_busy": 0.97}, {}, 50.0, Outcome.CLIENT),
        ({"error_share": 0.5}, {"errors": "0.5", "ports found": "9"}, 50.0, Outcome.CLIENT),
        ({"p99_ms": 11.0}, {"quiet cores": "0.2"}, 50.0, Outcome.VOID),
        ({"achieved_share": None}, {"answered": "no"}, None, Outcome.VOID),
    ],
)
def test_a_probe_counts_against_the_server_only_if_nothing_else_explains_it(
    changes: dict[str, Any], gates: dict[str, str], lateness_us: float | None, outcome: Outcome
) -> None:
    judged = judge_probe(
        GOOD.model_copy(update=changes),
        {GateKind(name): seen for name, seen in gates.items()},
        lateness_us,
        SETTINGS,
    )
    assert judged.outcome is outcome
    assert bool(judged.reasons) is (outcome is not Outcome.SUSTAINED)


@pytest.mark.parametrize("steps", [0, 3, 12, 500])
def test_the_report_can_be_written_at_any_moment(tmp_path: Path, steps: int) -> None:
    record, machine = begin(), Machine()
    for _ in range(steps):
        if step := next_step(record):
            record = machine.take(record, step)
    store.write_capacity(tmp_path, record)
    write_capacity_report(store.read_capacity(tmp_path), tmp_path)
    html, markdown = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    assert answer_capacity(record) in markdown
    assert ("<svg" in html) is (steps > 4)
    if steps == 500:
        assert html.count("server-bound") > 4


def test_a_record_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / files.CAPACITY_FILE).write_text("{}")
    with pytest.raises(InputError, match=r"capacity"):
        store.read_capacity(tmp_path)
    later = begin().model_copy(update={"schema_version": SCHEMA_VERSION + 1})
    store.write_capacity(tmp_path, later)
    with pytest.raises(InputError, match="schema version"):
        store.read_capacity(tmp_path)


def test_a_changed_measurement_is_refused_with_all_its_faults(tmp_path: Path) -> None:
    slot = make_slot_record(plan_slots(begin().scenario, seed=1)[0])
    lying = slot.model_copy(update={"gates": (make_gate(seen=1),)})
    probe = GOOD.model_copy(update={"arm": "moon", "slot": lying})
    worker = SecondWorker(arm="host", keep_alive=True, rate_rps=5.0)
    store.write_capacity(
        tmp_path, begin().model_copy(update={"probes": (probe,), "second_workers": (worker,)})
    )
    with pytest.raises(InputError) as caught:
        store.read_capacity(tmp_path)

    assert [line.strip() for line in caught.value.seen.splitlines()] == [
        "its capacity.json has 4 faults:",
        "probes: the scenario has no arm moon",
        f"probes.0.slot: is of {slot.slot.arm}, and the probe of moon",
        "probes.0.slot.gates.requests: passed, and saw 1 of a limit of 2",
        "second_workers.0.alone_rps: is nothing, and no reason says why",
    ]
