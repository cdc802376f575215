import math

import numpy as np
import pytest
from scipy import stats

from bench.judgement.claim import ClaimWord
from bench.judgement.precision import (
    MIN_BLOCKS_TO_STOP,
    Contrast,
    extend,
    find_end,
    half_width,
    is_decided,
    is_reached,
    is_told,
    predict_blocks,
)
from bench.judgement.samples import sort_slots
from bench.judgement.verdict import judge
from bench.scenario.load import Load
from bench.scenario.metric import Metric
from bench.scenario.model import Claim, Schedule
from bench.scenario.plan import Slot
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics
from bench.statistics.estimate import estimate

from .conftest import make_scenario, make_slots, noise


def slots_of(blocks: int, size: float) -> tuple[Scenario, list[SlotMetrics]]:
    scenario = make_scenario(blocks=blocks)
    return scenario, make_slots(
        scenario, lambda slot: (22 if slot.arm == "bridge" else 20) * noise(slot, size)
    )


def test_the_interval_narrows_with_more_blocks_and_with_less_noise() -> None:
    def width(blocks: int, size: float) -> float:
        found = half_width(*slots_of(blocks, size))
        assert found is not None
        return found

    assert width(40, 0.02) < width(10, 0.02)
    assert width(10, 0.005) < width(10, 0.02)


def test_a_run_stops_when_its_interval_is_as_narrow_as_was_asked_and_not_before() -> None:
    scenario, slots = slots_of(20, 0.02)
    width = half_width(scenario, slots)
    assert width is not None
    assert is_reached(scenario, slots, width)
    assert not is_reached(scenario, slots, width * 0.999)


@pytest.mark.parametrize(("blocks", "stops"), [(MIN_BLOCKS_TO_STOP - 1, False), (MIN_BLOCKS_TO_STOP, True)])
def test_a_few_blocks_that_happen_to_agree_do_not_stop_a_run(blocks: int, *, stops: bool) -> None:
    assert is_reached(*slots_of(blocks, 0.0001), 0.1) is stops


def test_stopping_does_not_look_at_what_the_interval_says() -> None:
    scenario = make_scenario(blocks=12)

    def same(slot: Slot) -> float:
        return 20 * noise(slot)

    def dearer(slot: Slot) -> float:
        return same(slot) * (3 if slot.arm == "bridge" else 1)

    assert half_width(scenario, make_slots(scenario, same)) == pytest.approx(
        half_width(scenario, make_slots(scenario, dearer))
    )


def test_the_widest_interval_counts_and_one_of_an_arm_that_cannot_be_had_does_not() -> None:
    scenario = make_scenario(blocks=12)
    slots = make_slots(scenario, lambda slot: 20 * noise(slot))
    assert half_width(scenario, slots, ["bridge"]) is None
    assert not is_reached(scenario, slots, 0.5, ["bridge"])


def test_the_forecast_is_the_least_number_of_blocks_whose_interval_is_narrow_enough() -> None:
    scenario, slots = slots_of(30, 0.05)
    measured = sort_slots(scenario, slots, seed=0)
    sides = measured.side("host", 0), measured.side("bridge", 0)
    sample = measured.sample(Metric.P50_LATENCY_US, sides)
    spread = stats.tstd([block.logs[1] - block.logs[0] for block in sample.blocks])
    for precision in (0.002, 0.005, 0.01):
        blocks = predict_blocks(scenario, slots, precision)
        assert blocks is not None
        assert stats.t.ppf(0.975, blocks - 1) * spread / blocks**0.5 <= precision * 1.0001
        fewer = blocks - 1
        if fewer >= MIN_BLOCKS_TO_STOP:
            assert stats.t.ppf(0.975, fewer - 1) * spread / fewer**0.5 > precision * 0.9999


def test_without_enough_blocks_there_is_no_forecast() -> None:
    scenario, slots = slots_of(2, 0.01)
    assert predict_blocks(scenario, slots, 0.01) is None
    assert half_width(scenario, slots) is None


@pytest.mark.parametrize(
    ("blocks", "sessions", "longer"), [(18, 1, (900, 1)), (16, 4, (400, 100)), (2_000, 2, (10_000, 10))]
)
def test_a_run_may_grow_fifty_times_and_its_sessions_keep_their_length(
    blocks: int, sessions: int, longer: tuple[int, int]
) -> None:
    schedule = extend(make_scenario(schedule=Schedule(blocks=blocks, sessions=sessions))).schedule
    assert (schedule.blocks, schedule.sessions) == longer


def test_precision_is_asked_of_slots_without_taps_alone() -> None:
    load = Load(model="open", rate_rps=500)
    scenario = make_scenario(blocks=20, factors={"lab.taps": (False, True)}, load=load)
    slots = make_slots(
        scenario,
        lambda slot: (22 if slot.arm == "bridge" else 20) * noise(slot, 0.3 if slot.condition else 0.002),
    )
    without = make_scenario(blocks=20)
    calm = [slot for slot in slots if slot.condition == 0]

    assert half_width(scenario, slots) == half_width(without, calm)


# When it is looked at.


def contrast(logs: list[float], sessions: list[int] | None = None) -> Contrast:
    return Contrast(list(range(len(logs))), logs, sessions or [0] * len(logs), 0.05)


def test_no_run_ends_before_all_sessions_of_its_plan_however_narrow_the_first_is() -> None:
    logs = [0.1 + 0.001 * (block % 3) for block in range(48)]
    of = contrast(logs, [block // 12 for block in range(48)])
    plan = Schedule(blocks=48, sessions=4)

    assert [find_end(plan, [of], 0.5, measured) for measured in (12, 47, 48)] == [None, None, 48]


def test_a_lucky_stretch_between_two_looks_ends_nothing() -> None:
    noisy = [0.03 * (-1) ** block for block in range(20)]
    lucky = noisy + [0.0] * 4
    plan = Schedule(blocks=20)
    width = half_width_of(lucky)

    assert half_width_of(noisy) > width
    assert find_end(plan, [contrast(lucky)], width, 24) is None


def half_width_of(logs: list[float]) -> float:
    low, high = estimate(logs, [0] * len(logs)).ci95
    return (high - low) / 2


def test_a_resumed_run_has_the_looks_of_one_that_was_not_interrupted() -> None:
    generator = np.random.default_rng(3)
    logs = (0.03 * generator.standard_normal(600)).tolist()
    plan = Schedule(blocks=10)
    ends = {find_end(plan, [contrast(logs[:measured])], 0.006, measured) for measured in range(8, 601)}

    assert len(ends) == 2
    assert None in ends


def test_the_looks_are_at_the_end_of_whole_sessions() -> None:
    generator = np.random.default_rng(4)
    logs = (0.03 * generator.standard_normal(600)).tolist()
    sessions = [block // 10 for block in range(600)]
    end = find_end(Schedule(blocks=40, sessions=4), [contrast(logs, sessions)], 0.006, 600)

    assert end
    assert end % 10 == 0


# What is told.


@pytest.mark.parametrize(
    ("effect", "blocks", "is_so"),
    [(0.13, 12, True), (0.13, 4, False), (0.0, 12, True), (0.05, 40, False), (-0.13, 12, True)],
)
def test_a_decision_is_made_where_the_effect_is_far_from_the_margin_and_not_at_it(
    effect: float, blocks: int, *, is_so: bool
) -> None:
    generator = np.random.default_rng(5)
    logs = (np.log1p(effect) + 0.01 * generator.standard_normal(blocks)).tolist()

    assert is_told(contrast(logs)) is is_so


def test_a_decision_waits_for_every_arm_and_for_the_end_of_a_session() -> None:
    scenario, slots = slots_of(12, 0.002)
    of_sessions = make_scenario(blocks=12, sessions=6)
    in_sessions = make_slots(
        of_sessions, lambda slot: (22 if slot.arm == "bridge" else 20) * noise(slot, 0.002)
    )

    assert is_decided(scenario, slots)
    assert not is_decided(scenario, [])
    assert is_decided(of_sessions, in_sessions)
    assert not is_decided(of_sessions, [slot for slot in in_sessions if slot.block < 11])


def test_an_interval_that_may_be_looked_at_at_any_time_is_the_wider_one() -> None:
    generator = np.random.default_rng(6)
    logs = generator.standard_normal(20).tolist()
    fixed, anytime = (estimate(logs, [0] * 20, anytime=when).ci95 for when in (False, True))

    assert anytime[0] < fixed[0] < fixed[1] < anytime[1]
    assert estimate(logs[:4], [0] * 4, anytime=True).ci95 == (-math.inf, math.inf)


def test_what_is_decided_is_enough_for_a_claim_on_several_metrics() -> None:
    claim = Claim(id="article", text="Host is faster.", better="host", than="bridge")
    scenario = make_scenario(blocks=30, claims=(claim,))
    slots = make_slots(scenario, lambda slot: (23 if slot.arm == "bridge" else 20) * noise(slot, 0.03))
    for blocks in range(3, 31):
        seen = [slot for slot in slots if slot.block < blocks]
        if is_decided(scenario, seen):
            break
    [word] = judge(scenario, seen, {}, 1, anytime=True).claims

    assert blocks < 30
    assert word.word is ClaimWord.SUPPORTED
