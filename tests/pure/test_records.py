from bench.scenario.metric import Metric, Voids
from bench.scenario.plan import plan_slots

from .conftest import make_gate, make_run, make_scenario, make_slot_record

SLOT = plan_slots(make_scenario(), seed=1)[0]


def test_what_remains_of_a_run_is_what_was_planned_and_not_measured_in_order() -> None:
    whole = make_run(make_scenario(blocks=3))
    half = whole.model_copy(update={"slots": (whole.slots[4], whole.slots[0])})

    assert [slot.index for slot in half.remaining()] == [1, 2, 3, *range(5, 12)]
    assert whole.remaining() == ()


def test_a_slot_says_which_of_its_gates_failed_and_is_valid_unless_one_voids_it() -> None:
    throughput = make_gate(name="generator", passed=False, voids=Voids.THROUGHPUT)
    doubtful = make_slot_record(SLOT, gates=(make_gate(), throughput))
    invalid = make_slot_record(SLOT, gates=(make_gate(passed=False), throughput))

    assert (doubtful.valid, [gate.name for gate in doubtful.failed_gates]) == (True, ["generator"])
    assert (invalid.valid, [gate.name for gate in invalid.failed_gates]) == (False, ["requests", "generator"])


def test_a_verdict_gets_a_slots_place_its_validity_and_its_values() -> None:
    slot = plan_slots(make_scenario(blocks=6, sessions=3), seed=1)[-1]
    found = make_slot_record(slot, 30.0, gates=(make_gate(passed=False),)).metrics()

    assert (found.session, found.block, found.arm, found.condition, found.repeat) == (
        slot.session,
        slot.block,
        slot.arm,
        slot.condition,
        slot.repeat,
    )
    assert (found.valid, found.values[Metric.P50_LATENCY_US]) == (False, 30.0)
