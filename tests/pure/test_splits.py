"""What was before, place, half and session: found where something was put there, and not where it was not."""

import itertools
from collections.abc import Callable

import pytest

from bench.judgement.comparison import Word
from bench.judgement.samples import sort_slots
from bench.judgement.splits import Split, SplitKind, describe_doubt, find_doubt, find_splits
from bench.records.run import SlotRecord
from bench.scenario.model import Arm, Interleave, Schedule
from bench.scenario.modes.model import Mode
from bench.scenario.plan import Slot, plan_slots
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics
from bench.slots.turns_record import After, TurnsRecord

from .conftest import BRIDGE, HOST, Latency, make_gate, make_scenario, make_slot_record, make_slots
from .verdicts import compared, random_noise, verdict_on

ARMS = ("host", "bridge")
THIRD = Arm(name="third", mode=Mode.BRIDGE, port=81)


def split(scenario: Scenario, slots: list[SlotMetrics], kind: SplitKind) -> list[Split]:
    arms = [arm.name for arm in scenario.compared]
    return [found for found in find_splits(sort_slots(scenario, slots, 1), arms) if found.kind is kind]


def told(scenario: Scenario, latency: Latency) -> set[SplitKind]:
    found = find_splits(sort_slots(scenario, make_slots(scenario, latency), 1), ARMS)
    return {split.kind for split in found if split.is_told}


def quiet(slot: Slot) -> float:
    return 20 * random_noise(slot, 0.005, 5)


# By slots.


def test_a_run_in_which_nothing_is_left_behind_has_all_splits_and_tells_none() -> None:
    scenario = make_scenario(blocks=24, sessions=4)
    kinds = {found.kind for found in find_splits(sort_slots(scenario, make_slots(scenario, quiet), 1), ARMS)}

    assert kinds == set(SplitKind)
    assert told(scenario, quiet) == set()


def after_bridge(scenario: Scenario, size: float) -> Latency:
    """Longer by the share `size` where the slot before was bridge's."""
    planned = plan_slots(scenario, seed=1)
    before = {slot.index: other.arm for other, slot in itertools.pairwise(planned)}
    return lambda slot: quiet(slot) * (1 + size * (before.get(slot.index) == "bridge"))


def test_what_a_slot_leaves_behind_is_found_and_makes_the_comparison_invalid() -> None:
    scenario = make_scenario(blocks=24)
    latency = after_bridge(scenario, 0.05)
    found = split(scenario, make_slots(scenario, latency), SplitKind.PREDECESSOR)

    # Of two arms: after bridge, or after host, is one split.
    assert [(one.arm, one.after) for one in found] == [("host", "host"), ("bridge", "host")]
    assert all(one.is_told and one.ratio == pytest.approx(1 / 1.05, rel=0.01) for one in found)
    comparison = compared(verdict_on(scenario, make_slots(scenario, latency)))
    assert comparison.word is Word.INVALID
    assert any("after host: what is left behind" in note for note in comparison.notes)


def test_an_after_effect_below_half_the_margin_is_told_and_voids_nothing() -> None:
    scenario = make_scenario(blocks=30)
    latency = after_bridge(scenario, 0.015)

    assert SplitKind.PREDECESSOR in told(scenario, latency)
    assert compared(verdict_on(scenario, make_slots(scenario, latency))).word is not Word.INVALID


def test_the_first_slot_of_a_session_has_nothing_before_it() -> None:
    scenario = make_scenario(blocks=24, sessions=24)
    first = {slot.session: slot.index for slot in reversed(plan_slots(scenario, seed=1))}

    def latency(slot: Slot) -> float:
        return quiet(slot) * (2 if first[slot.session] == slot.index else 1)

    for one in split(scenario, make_slots(scenario, latency), SplitKind.PREDECESSOR):
        assert one.ratio == pytest.approx(1, abs=0.02)


def test_an_arm_that_is_slower_late_in_its_block_is_told() -> None:
    scenario = make_scenario(blocks=24)
    places = {slot.index: slot.index % 4 for slot in plan_slots(scenario, seed=1)}

    def latency(slot: Slot) -> float:
        return quiet(slot) * (1.03 if slot.arm == "bridge" and places[slot.index] > 1 else 1)

    found = {one.arm: one for one in split(scenario, make_slots(scenario, latency), SplitKind.PLACE)}
    assert found["bridge"].is_told
    assert found["bridge"].ratio == pytest.approx(1.03, rel=0.01)
    assert not found["host"].is_told


def test_a_cost_that_grows_in_the_middle_of_the_run_is_told_and_leaves_its_word() -> None:
    scenario = make_scenario(blocks=24)

    def latency(slot: Slot) -> float:
        return (
            quiet(slot)
            * (1.1 if slot.arm == "bridge" else 1)
            * (1 + 0.03 * (slot.block > 11) * (slot.arm == "bridge"))
        )

    assert told(scenario, latency) == {SplitKind.HALF}
    assert compared(verdict_on(scenario, make_slots(scenario, latency))).word is Word.BETTER


def test_sessions_that_differ_by_more_than_their_blocks_are_told() -> None:
    scenario = make_scenario(blocks=24, sessions=4)

    def latency(slot: Slot) -> float:
        return quiet(slot) * (1 + 0.02 * (slot.session % 2) * (slot.arm == "bridge"))

    [found] = split(scenario, make_slots(scenario, latency), SplitKind.SESSION)
    assert found.is_told
    assert (found.ratio, found.ci95) == (None, None)


def test_of_several_arms_each_is_split_by_each() -> None:
    scenario = make_scenario(blocks=40, arms=(HOST, BRIDGE, THIRD))
    found = split(scenario, make_slots(scenario, quiet), SplitKind.PREDECESSOR)

    assert {(one.arm, one.after) for one in found} == {
        (arm.name, after.name) for arm in scenario.arms for after in scenario.arms
    }


def test_a_doubt_is_of_a_side_and_of_half_the_margin_or_more() -> None:
    one = Split(
        kind=SplitKind.PREDECESSOR,
        condition=0,
        arm="bridge",
        after="host",
        ratio=1.03,
        ci95=(1.02, 1.04),
        p_value=1e-6,
        p_holm=1e-5,
        blocks=10,
    )
    measured = sort_slots(make_scenario(), [], 1)
    host, bridge = measured.side("host", 0), measured.side("bridge", 0)

    assert find_doubt([one], [host, bridge], 0.05) is one
    assert find_doubt([one], [host], 0.05) is None
    assert find_doubt([one], [bridge], 0.10) is None
    assert find_doubt([one.model_copy(update={"p_holm": 0.2})], [bridge], 0.05) is None
    assert find_doubt([one.model_copy(update={"kind": SplitKind.PLACE})], [bridge], 0.05) is None
    assert describe_doubt(one) == "bridge is +3.0 % after host: what is left behind is part of this"


# By turns.

Effect = Callable[[Slot, str], float]
"""Of a slot and the arm before it: the factor on its p50."""


def make_turns(effect: Effect, *, blocks: int = 8, sessions: int = 1) -> tuple[Scenario, list[SlotRecord]]:
    schedule = Schedule(blocks=blocks, sessions=sessions, interleave=Interleave())
    scenario = make_scenario(schedule=schedule)
    return scenario, [
        make_slot_record(
            slot,
            turns=TurnsRecord(
                turns=32,
                settled_s=0.7,
                proof_requests=1_000,
                proof_connections=1,
                after=tuple(
                    After(
                        arm=arm,
                        turns=16,
                        requests=8_000,
                        p50_latency_us=20 * effect(slot, arm) * random_noise(slot, 0.001, len(arm)),
                        otherwise_p50_us=20,
                    )
                    for arm in ("bridge", "host")
                ),
            ),
        )
        for slot in plan_slots(scenario, seed=3)
    ]


def splits_of(scenario: Scenario, records: list[SlotRecord]) -> list[Split]:
    return split(scenario, [record.metrics() for record in records], SplitKind.PREDECESSOR)


def test_what_a_turn_leaves_behind_is_found_and_on_nobody_else() -> None:
    found = splits_of(
        *make_turns(lambda slot, after: 1.01 if (slot.arm, after) == ("bridge", "host") else 1.0)
    )

    assert [(one.arm, one.after) for one in found if one.is_told] == [("bridge", "host")]
    assert next(one for one in found if one.is_told).ratio == pytest.approx(1.01, abs=0.001)


def test_the_sample_is_the_set_and_not_the_slot() -> None:
    assert {one.blocks for one in splits_of(*make_turns(lambda *_: 1.0, blocks=7))} == {7}


def test_sets_that_are_invalid_and_slots_that_took_no_turns_tell_nothing() -> None:
    scenario, records = make_turns(lambda *_: 1.0, blocks=4)
    void = [record.model_copy(update={"gates": (make_gate(passed=False),)}) for record in records]
    alone = [record.model_copy(update={"turns": None}) for record in records]

    assert splits_of(scenario, void) == splits_of(scenario, alone) == []


def test_five_sets_are_too_few_to_void_anything() -> None:
    assert splits_of(*make_turns(lambda *_: 1.0, blocks=5)) == []
