import re
from collections import Counter
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.plan import (
    RUN_OVERHEAD_S,
    expected_seconds,
    measuring_seconds,
    overhead_seconds,
    plan_slots,
    slot_seconds,
)
from bench.scenario.scenario import Scenario

from .conftest import make_scenario

ORDER_OF_SEED_1 = [
    *(("bridge", 1), ("host", 0), ("bridge", 0), ("host", 1)),
    *(("bridge", 1), ("host", 1), ("host", 0), ("bridge", 0)),
]
FACTORS: dict[str, tuple[Any, ...]] = {"load.connections": (1, 16, 64)}


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    blocks = draw(st.integers(2, 12))
    return make_scenario(
        blocks=blocks,
        slots_per_arm=draw(st.integers(2, 4)),
        sessions=draw(st.integers(1, blocks)),
        factors=draw(st.sampled_from([{}, FACTORS])),
    )


@given(scenarios(), st.integers())
def test_the_same_seed_gives_the_same_order(scenario: Scenario, seed: int) -> None:
    assert plan_slots(scenario, seed) == plan_slots(scenario, seed)


@given(scenarios(), st.integers())
def test_each_block_holds_every_arm_condition_and_repeat_exactly_once(scenario: Scenario, seed: int) -> None:
    slots = plan_slots(scenario, seed)
    cells = set(
        product(("host", "bridge"), range(len(conditions(scenario))), range(scenario.schedule.slots_per_arm))
    )

    assert {slot.block for slot in slots} == set(range(scenario.schedule.blocks))
    for block in range(scenario.schedule.blocks):
        found = Counter((slot.arm, slot.condition, slot.repeat) for slot in slots if slot.block == block)
        assert found == Counter(cells)


@given(scenarios(), st.integers())
def test_slots_are_numbered_in_order_and_blocks_and_sessions_are_contiguous(
    scenario: Scenario, seed: int
) -> None:
    slots = plan_slots(scenario, seed)

    assert [slot.index for slot in slots] == list(range(len(slots)))
    assert all(after.block - before.block in {0, 1} for before, after in pairwise(slots))
    assert all(after.session - before.session in {0, 1} for before, after in pairwise(slots))
    assert {slot.session for slot in slots} == set(range(scenario.schedule.sessions))


@given(scenarios(), st.integers())
def test_sessions_hold_whole_blocks_in_equal_parts(scenario: Scenario, seed: int) -> None:
    session_of_block = {(slot.block, slot.session) for slot in plan_slots(scenario, seed)}
    sizes = Counter(session for _, session in session_of_block)

    assert len(session_of_block) == scenario.schedule.blocks
    assert max(sizes.values()) - min(sizes.values()) <= 1


@given(scenarios(), st.integers())
def test_the_arrivals_are_those_of_the_block_in_all_of_its_slots_and_in_no_other(
    scenario: Scenario, seed: int
) -> None:
    seeds = {(slot.block, slot.arrival_seed) for slot in plan_slots(scenario, seed)}

    assert len(seeds) == len({arrival_seed for _, arrival_seed in seeds}) == scenario.schedule.blocks
    assert all(0 <= arrival_seed < 2**53 for _, arrival_seed in seeds)
    assert not seeds & {(slot.block, slot.arrival_seed) for slot in plan_slots(scenario, seed + 1)}


def test_the_order_of_a_seed_is_that_of_earlier_versions() -> None:
    slots = plan_slots(make_scenario(blocks=2), seed=1)

    assert [(slot.arm, slot.repeat) for slot in slots] == ORDER_OF_SEED_1


def test_another_seed_gives_another_order() -> None:
    scenario = make_scenario(blocks=12)

    assert len({plan_slots(scenario, seed) for seed in range(20)}) == 20


def test_every_cell_comes_first_in_some_block_and_last_in_another() -> None:
    slots = plan_slots(make_scenario(blocks=60), seed=1)
    cells = set(product(("host", "bridge"), (0, 1)))

    assert {(slot.arm, slot.repeat) for slot in slots[::4]} == cells
    assert {(slot.arm, slot.repeat) for slot in slots[3::4]} == cells


def test_more_blocks_leave_the_order_of_the_first_ones_as_it_was() -> None:
    few, many = (plan_slots(make_scenario(blocks=blocks), seed=7) for blocks in (3, 9))

    assert many[: len(few)] == few


def test_each_slot_has_a_folder_of_its_own_of_number_and_arm() -> None:
    slots = plan_slots(make_scenario(blocks=300), seed=1)
    folders = [slot.directory for slot in slots]

    assert len(set(folders)) == len(folders) == 1200
    assert folders[7] == f"slots/007-{slots[7].arm}"
    assert all(re.fullmatch(r"slots/[0-9]{3,}-[a-z]+", folder) for folder in folders)


def test_a_slot_takes_its_warm_up_its_window_its_witness_and_an_overhead() -> None:
    bare, witnessed = (
        conditions(make_scenario(load=Load(warm_up_s=0.5, measure_s=2.0, wrk_witness_s=witness)))[0]
        for witness in (0, 3)
    )

    assert slot_seconds(bare) > 2.5
    assert slot_seconds(witnessed) - slot_seconds(bare) == pytest.approx(3)


def test_a_run_is_expected_to_take_its_slots_and_each_session_a_restart() -> None:
    def expected(**schedule: int) -> float:
        scenario = make_scenario(**schedule)
        return expected_seconds(scenario, plan_slots(scenario, seed=1))

    block_s = 4 * slot_seconds(conditions(make_scenario())[0])
    assert expected(blocks=6) == pytest.approx(RUN_OVERHEAD_S + 6 * block_s)
    restart_s = expected(blocks=6, sessions=2) - expected(blocks=6)
    assert restart_s > 0
    assert expected(blocks=6, sessions=3) - expected(blocks=6) == pytest.approx(2 * restart_s)


def test_a_walkthrough_takes_its_time_once_an_engine_and_no_budget_has_a_part_in_it() -> None:
    def overhead(**changes: Any) -> float:
        return overhead_seconds(make_scenario(**changes))

    engines = {"lab.engine": ("machine", "debian:trixie")}
    one = overhead(walkthrough=True) - overhead()
    assert one > 0
    assert overhead(walkthrough=True, factors=engines) - overhead(factors=engines) == pytest.approx(2 * one)
    plain, walked = make_scenario(), make_scenario(walkthrough=True)
    slots = plan_slots(plain, seed=1)
    assert measuring_seconds(walked, slots) == measuring_seconds(plain, slots)
