"""The verdict without gates: what they took, from whom, and what it would be with it."""

import pytest

from bench.judgement.gates_left_out import NO_GATE, compare_void_shares, judge_without_gates
from bench.judgement.verdict import judge
from bench.records.run import RunRecord, SlotRecord
from bench.scenario.metric import Metric
from bench.scenario.plan import Slot

from .conftest import make_gate, make_run, make_scenario, make_slot_record, noise


def make(void: dict[int, str], *, worse: float = 1.0) -> RunRecord:
    """A run in which those slots of bridge failed a gate, and were `worse` times as slow."""
    plan = make_scenario(blocks=12)

    def record(slot: Slot) -> SlotRecord:
        latency = (22 if slot.arm == "bridge" else 20) * noise(slot)
        if slot.arm == "bridge" and slot.block in void:
            gates = (make_gate(), make_gate(passed=False, name=void[slot.block]))
            return make_slot_record(slot, latency * worse, gates=gates)
        return make_slot_record(slot, latency)

    planned = make_run(plan).planned
    return make_run(plan, slots=tuple(record(slot) for slot in planned))


def ratio(record: RunRecord, left_out: str) -> float:
    [found] = [variant for variant in judge_without_gates(record) if variant.left_out == left_out]
    [comparison] = [c for c in found.comparisons if c.metric is Metric.P50_LATENCY_US]
    assert comparison.ratio
    return comparison.ratio


def test_a_run_whose_slots_are_all_valid_has_nothing_to_leave_out() -> None:
    assert judge_without_gates(make({})) == []
    assert compare_void_shares(make({})) == []


def test_what_a_gate_took_from_one_arm_is_seen_where_it_is_left_out() -> None:
    record = make({2: "queue drops", 3: "queue drops"}, worse=1.5)
    [compared] = [
        c
        for c in judge(record.scenario, [slot.metrics() for slot in record.slots], {}, 1).comparisons
        if (c.kind, c.metric) == ("arms", Metric.P50_LATENCY_US)
    ]

    assert compared.ratio == pytest.approx(1.1, rel=0.01)
    assert ratio(record, NO_GATE) == pytest.approx(1.1 * 1.5 ** (2 / 12), rel=0.01)


def test_each_gate_is_left_out_by_itself_where_several_voided_slots() -> None:
    found = judge_without_gates(make({2: "queue drops", 3: "queue drops", 4: "requests"}))

    assert [(variant.left_out, variant.slots) for variant in found] == [
        (NO_GATE, 48),
        ("queue drops", 46),
        ("requests", 44),
    ]


def test_the_share_of_void_slots_is_compared_with_the_baselines() -> None:
    host, bridge = sorted(
        compare_void_shares(make(dict.fromkeys(range(6), "queue drops"))),
        key=lambda share: share.arm != "host",
    )

    assert (host.void, host.slots, host.p_value) == (0, 24, None)
    assert (bridge.void, bridge.slots) == (12, 24)
    assert bridge.p_value is not None
    assert bridge.p_value < 0.001


def test_a_slot_that_was_never_answered_counts_without_its_gate_no_more_than_with_it() -> None:
    record = make({})
    lost = record.slots[0].model_copy(
        update={"values": {}, "gates": (make_gate(passed=False, name="answered", seen="no", limit="yes"),)}
    )
    record = record.model_copy(update={"slots": (lost, *record.slots[1:])})

    assert judge_without_gates(record) == []
