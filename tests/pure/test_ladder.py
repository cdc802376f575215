from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.judgement.comparison import Comparison, Word
from bench.judgement.ladder import list_steps
from bench.judgement.verdict import Verdict
from bench.scenario.metric import PERFORMANCE, Metric
from bench.scenario.model import Arm
from bench.scenario.modes.model import Mode
from bench.scenario.scenario import Scenario

from .conftest import BRIDGE, HOST, Latency, make_scenario, make_slots, noise
from .verdicts import P50, costing, disturbed, ratio_of, verdict_on

WIRED, ROUTED = Arm(name="wired", mode=Mode.WIRED), Arm(name="routed", mode=Mode.BRIDGE_ROUTED)
LADDER = ("host", "wired", "routed", "bridge")
ADDED_US = {"host": 0.0, "wired": 0.9, "routed": 2.0, "bridge": 2.3}
"""What each rung takes longer than host, as measured on the first day."""


def make_ladder(*, blocks: int = 10, ladder: tuple[str, ...] = LADDER, **changes: Any) -> Scenario:
    return make_scenario(blocks=blocks, arms=(HOST, WIRED, ROUTED, BRIDGE), ladder=ladder, **changes)


def adding(size: float = 0.001) -> Latency:
    return lambda slot: 20 * noise(slot, size) + ADDED_US[slot.arm]


def steps_on(verdict: Verdict, metric: Metric = P50) -> dict[tuple[str, str], Comparison]:
    return {(step.baseline, step.candidate): step for step in verdict.steps if step.metric is metric}


names = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(names, st.sets(st.sampled_from("abcdefgh")))
@settings(max_examples=200)
def test_steps_join_the_available_rungs_in_order_and_go_past_every_other_between_them(
    rungs: list[str], unavailable: set[str]
) -> None:
    steps = list_steps(rungs, unavailable)
    available = [rung for rung in rungs if rung not in unavailable]

    assert [(low, high) for low, high, _ in steps] == list(pairwise(available))
    for low, high, passed in steps:
        assert passed == rungs[rungs.index(low) + 1 : rungs.index(high)]
        assert set(passed) <= unavailable


def test_each_step_is_what_its_rung_adds_to_the_rung_below() -> None:
    scenario = make_ladder()
    steps = steps_on(verdict_on(scenario, make_slots(scenario, adding())))

    assert list(steps) == [("host", "wired"), ("wired", "routed"), ("routed", "bridge")]
    for (lighter, heavier), step in steps.items():
        truth_us = ADDED_US[heavier] - ADDED_US[lighter]
        low, high = step.difference_ci95 or (0, 0)
        assert step.kind == "step"
        assert step.difference == pytest.approx(truth_us, abs=0.02)
        assert low - 0.01 < truth_us < high + 0.01
    assert [step.word for step in steps.values()] == [Word.BETTER] * 3


@given(st.lists(st.integers(-64, 64).map(lambda n: n / 64), min_size=3, max_size=3))
@settings(max_examples=10)
def test_the_steps_of_a_ladder_add_up_to_the_comparison_of_its_ends(added_us: list[float]) -> None:
    scenario = make_ladder(blocks=4)
    sums = dict(zip(LADDER, (0.0, added_us[0], sum(added_us[:2]), sum(added_us)), strict=True))
    slots = make_slots(scenario, lambda slot: 20 * noise(slot, 0.01) + sums[slot.arm])
    verdict = verdict_on(scenario, slots)
    for metric in PERFORMANCE:
        [whole] = [
            c for c in verdict.comparisons if (c.kind, c.candidate, c.metric) == ("arms", "bridge", metric)
        ]
        steps = steps_on(verdict, metric).values()
        product = 1.0
        for step in steps:
            product *= ratio_of(step)

        assert product == pytest.approx(ratio_of(whole))
        assert sum(step.difference or 0 for step in steps) == pytest.approx(whole.difference, abs=1e-6)


@pytest.mark.parametrize("metric", PERFORMANCE)
def test_a_ratio_above_1_means_that_the_lighter_rung_is_better_on_every_metric(metric: Metric) -> None:
    scenario = make_ladder()
    steps = steps_on(verdict_on(scenario, make_slots(scenario, adding())), metric)

    assert ratio_of(steps["wired", "routed"]) == pytest.approx(22 / 20.9, rel=0.002)
    assert (steps["wired", "routed"].difference or 0) * (-1 if metric.higher_is_better else 1) > 0


def test_a_step_goes_past_a_rung_that_is_unavailable_and_says_so() -> None:
    scenario = make_ladder()
    slots = [slot for slot in make_slots(scenario, adding()) if slot.arm != "wired"]
    steps = steps_on(verdict_on(scenario, slots, arms={"wired": "no veth"}))

    assert list(steps) == [("host", "routed"), ("routed", "bridge")]
    assert steps["host", "routed"].difference == pytest.approx(2.0, abs=0.02)
    assert "wired is NOT AVAILABLE here: this step goes past it" in steps["host", "routed"].notes
    assert not [note for note in steps["routed", "bridge"].notes if "NOT AVAILABLE" in note]


def test_a_ladder_of_which_one_rung_is_left_has_no_step() -> None:
    scenario = make_ladder(ladder=("wired", "bridge"))
    slots = [slot for slot in make_slots(scenario, adding()) if slot.arm != "wired"]

    assert verdict_on(scenario, slots, arms={"wired": "no veth"}).steps == ()


def test_a_ladder_need_not_hold_the_baseline() -> None:
    scenario = make_ladder(ladder=("wired", "bridge"))
    steps = steps_on(verdict_on(scenario, make_slots(scenario, adding())))

    assert steps["wired", "bridge"].difference == pytest.approx(1.4, abs=0.02)


def test_a_step_has_the_blocks_that_its_own_two_rungs_completed() -> None:
    scenario = make_ladder(blocks=8)
    slots = make_slots(scenario, adding(), invalid=lambda slot: (slot.arm, slot.block) == ("wired", 3))
    steps = steps_on(verdict_on(scenario, slots))

    assert [step.blocks for step in steps.values()] == [7, 7, 8]
    assert steps["host", "wired"].block_numbers == (0, 1, 2, 4, 5, 6, 7)


def test_both_steps_of_a_rung_that_what_was_before_moves_are_invalid() -> None:
    scenario = make_ladder(blocks=40)
    latency_us = disturbed(scenario, adding(), "wired", 0, "host")
    steps = steps_on(verdict_on(scenario, make_slots(scenario, latency_us)))

    assert [step.word for step in steps.values()] == [Word.INVALID, Word.INVALID, Word.BETTER]
    assert any("wired is " in note and "after host" in note for note in steps["host", "wired"].notes)


def test_each_condition_has_its_own_steps() -> None:
    scenario = make_ladder(blocks=5, factors={"lab.receive_steering": (True, False)})
    slots = make_slots(scenario, lambda slot: 20 + (1 + slot.condition) * ADDED_US[slot.arm])
    verdict = verdict_on(scenario, slots)
    first = {
        step.condition: step.difference
        for step in verdict.steps
        if (step.metric, step.candidate) == (P50, "wired")
    }

    assert first == {
        "receive_steering=true": pytest.approx(0.9),
        "receive_steering=false": pytest.approx(1.8),
    }


def test_steps_are_kept_apart_from_comparisons() -> None:
    scenario = make_ladder(blocks=4)
    slots = make_slots(scenario, costing(1.1))
    with_steps = verdict_on(scenario, slots)
    without = verdict_on(make_ladder(blocks=4, ladder=()), slots)

    assert {c.kind for c in with_steps.comparisons} == {"arms", "A/A"}
    assert with_steps.comparisons == without.comparisons
    assert without.steps == ()
