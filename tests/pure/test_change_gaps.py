import pytest

from bench.judgement.change import ChangeWord
from bench.judgement.verdict import Verdict
from bench.scenario.conditions import conditions
from bench.scenario.metric import PERFORMANCE
from bench.scenario.model import Arm
from bench.scenario.modes.model import Mode

from .conftest import BRIDGE, HOST, make_slots
from .verdicts import (
    ENGINES,
    STEERING,
    THIRD,
    change_of,
    costing_by_condition,
    disturbed,
    make_factors,
    verdict_on,
)

# Which changes there are.


def test_each_arm_and_each_cost_has_a_change_a_pair_of_conditions_and_metric() -> None:
    scenario = make_factors(
        ENGINES | STEERING, blocks=4, arms=(HOST, BRIDGE, THIRD, Arm(name="none", mode=Mode.NONE))
    )
    slots = make_slots(make_factors(ENGINES | STEERING, blocks=4, arms=(HOST, BRIDGE, THIRD)), lambda _: 20.0)
    changes = verdict_on(scenario, slots).changes

    keys = {(c.metric, c.kind, c.candidate, c.reference_condition, c.condition) for c in changes}
    assert len(changes) == len(keys)
    for metric in PERFORMANCE:
        of_metric = [change for change in changes if change.metric is metric]
        assert {(c.kind, c.baseline, c.candidate) for c in of_metric} == {
            ("cost", "host", "bridge"),
            ("cost", "host", "third"),
            ("arm", "host", "host"),
            ("arm", "bridge", "bridge"),
            ("arm", "third", "third"),
        }
        assert len(of_metric) == 5 * 4


def test_what_is_unavailable_has_no_changes() -> None:
    engines = {"lab.engine": ("machine", "debian:bookworm", "debian:trixie")}
    scenario = make_factors(engines, blocks=4, arms=(HOST, BRIDGE, THIRD))
    slots = [
        slot
        for slot in make_slots(scenario, costing_by_condition(1.1, 1.1, 1.1))
        if slot.arm != "third" and slot.condition != 1
    ]
    verdict = verdict_on(scenario, slots, arms={"third": "no"}, conditions={1: "no"})

    assert {(c.candidate, c.level) for c in verdict.changes} == {
        ("host", "debian:trixie"),
        ("bridge", "debian:trixie"),
    }
    assert ChangeWord.INVALID not in {change.word for change in verdict.changes}


# Changes that are doubtful.


def test_a_block_counts_where_every_side_of_the_change_is_complete() -> None:
    scenario = make_factors(blocks=8)
    slots = make_slots(
        scenario,
        costing_by_condition(1.1, 1.1),
        invalid=lambda slot: (slot.block, slot.arm, slot.condition) in {(2, "bridge", 1), (5, "host", 0)},
    )
    verdict = verdict_on(scenario, slots)

    assert change_of(verdict, "cost").block_numbers == (0, 1, 3, 4, 6, 7)
    assert change_of(verdict, "arm", "host").block_numbers == (0, 1, 2, 3, 4, 6, 7)
    assert any("2 of 8 blocks left out" in note for note in change_of(verdict, "cost").notes)


def test_too_few_blocks_make_a_change_invalid_without_numbers() -> None:
    scenario = make_factors(blocks=2)
    change = change_of(verdict_on(scenario, make_slots(scenario, costing_by_condition(1.1, 1.2))), "cost")

    assert (change.word, change.ratio, change.p_value, change.p_holm) == ("INVALID", None, None, None)
    assert change.notes == ("only 2 of 2 blocks are complete and valid",)


@pytest.mark.parametrize("condition", [0, 1])
def test_a_change_is_invalid_where_what_was_before_moves_an_arm_under_either_condition(
    condition: int,
) -> None:
    scenario = make_factors(blocks=24)
    latency_us = disturbed(scenario, costing_by_condition(1.1, 1.3), "host", condition, "bridge")
    verdict = verdict_on(scenario, make_slots(scenario, latency_us))
    label = conditions(scenario)[condition].label

    assert change_of(verdict, "cost").word is ChangeWord.INVALID
    assert change_of(verdict, "arm", "host").word is ChangeWord.INVALID
    assert change_of(verdict, "arm", "bridge").word is ChangeWord.CHANGED
    assert any(f"under {label}, host is " in note for note in change_of(verdict, "cost").notes)


def test_changes_are_the_same_after_a_way_through_json() -> None:
    scenario = make_factors(ENGINES | STEERING, blocks=4)
    verdict = verdict_on(scenario, make_slots(scenario, costing_by_condition(1.1, 1.1, 1.2, 1.3)))

    assert len(verdict.changes) == 3 * 4 * len(scenario.metrics)
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
