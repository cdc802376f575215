"""What a turn leaves behind for the next: found where it was put, and not where it was not."""

from collections.abc import Callable

import pytest

from bench.judgement.carry_over import pool_carry_over
from bench.records.run import SlotRecord
from bench.scenario.model import Interleave, Schedule
from bench.scenario.plan import Slot, plan_slots
from bench.slots.turns_record import After, TurnsRecord

from .conftest import make_gate, make_scenario, make_slot_record, noise

Effect = Callable[[Slot, str], float]
"""Of a slot and the arm before it: the factor on its p50."""


def make_records(effect: Effect, *, blocks: int = 8, sessions: int = 1) -> list[SlotRecord]:
    schedule = Schedule(blocks=blocks, sessions=sessions, interleave=Interleave())
    slots = plan_slots(make_scenario(schedule=schedule), seed=3)
    return [
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
                        p50_latency_us=20 * effect(slot, arm) * noise(slot, 0.002),
                        otherwise_p50_us=20,
                    )
                    for arm in ("bridge", "host")
                ),
            ),
        )
        for slot in slots
    ]


def test_an_effect_of_one_arm_on_another_is_found_and_on_nobody_else() -> None:
    records = make_records(lambda slot, after: 1.01 if (slot.arm, after) == ("host", "bridge") else 1.0)

    found = {(pair.arm, pair.after): pair for pair in pool_carry_over(records)}

    assert set(found) == {(arm, after) for arm in ("host", "bridge") for after in ("host", "bridge")}
    assert [pair for pair, about in found.items() if about.excludes_one] == [("host", "bridge")]
    assert found["host", "bridge"].ratio == pytest.approx(1.01, abs=0.001)
    low, high = found["host", "bridge"].ci95
    assert low < 1.01 < high


def test_the_sample_is_the_set_and_not_the_slot() -> None:
    pairs = pool_carry_over(make_records(lambda *_: 1.0, blocks=5))

    assert [pair.sets for pair in pairs] == [5] * 4


def test_where_there_are_sessions_they_are_the_sample() -> None:
    of_sessions = make_records(lambda slot, _: 1.0 + 0.01 * slot.session, blocks=8, sessions=2)
    of_one = [
        record.model_copy(update={"slot": record.slot.model_copy(update={"session": 0})})
        for record in of_sessions
    ]

    def width(records: list[SlotRecord]) -> float:
        low, high = pool_carry_over(records)[0].ci95
        return high - low

    assert width(of_sessions) > 2 * width(of_one)


def test_sets_that_are_invalid_and_slots_that_took_no_turns_tell_nothing() -> None:
    records = make_records(lambda *_: 1.0, blocks=4)
    void = [record.model_copy(update={"gates": (make_gate(passed=False),)}) for record in records]
    alone = [record.model_copy(update={"turns": None}) for record in records]

    assert pool_carry_over(void) == pool_carry_over(alone) == []


def test_two_sets_are_too_few_for_an_interval() -> None:
    assert pool_carry_over(make_records(lambda *_: 1.0, blocks=2)) == []
