from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.judgement.comparison import Comparison, Size, Word, choose_word, correct_for_family
from bench.scenario.metric import PERFORMANCE, Metric
from bench.scenario.model import Arm, Margins
from bench.scenario.modes.model import Mode
from bench.scenario.plan import Slot

from .conftest import BRIDGE, HOST, Latency, make_scenario, make_slots, noise
from .verdicts import CLAIM, NARROW, P50, P99, compared, costing, interval_of, ratio_of, verdict_on

# The words.

ends = st.floats(0.5, 2.0)


@st.composite
def intervals(draw: st.DrawFn) -> tuple[tuple[float, float], tuple[float, float]]:
    """A 95 % interval and a 90 % interval inside it."""
    low95, low90, high90, high95 = sorted(draw(st.tuples(ends, ends, ends, ends)))
    return (low95, high95), (low90, high90)


@given(intervals(), st.floats(0.001, 0.5))
@settings(max_examples=300)
def test_exactly_one_word_holds_and_it_is_the_one_whose_condition_is_met(
    pair: tuple[tuple[float, float], tuple[float, float]], margin: float
) -> None:
    ci95, ci90 = pair
    word, size = choose_word(ci95, ci90, margin)
    inside = ci90[0] > 1 / (1 + margin) and ci90[1] < 1 + margin
    resolved = ci95[0] > 1 or ci95[1] < 1
    conditions_met = {
        Word.BETTER: ci95[0] > 1,
        Word.WORSE: ci95[1] < 1,
        Word.EQUIVALENT: not resolved and inside,
        Word.INCONCLUSIVE: not resolved and not inside,
    }

    assert [each for each, met in conditions_met.items() if met] == [word]
    assert (size is Size.NEGLIGIBLE) is (resolved and inside)
    assert (size is not None) is resolved


@given(intervals(), st.floats(0.001, 0.5))
def test_the_inverse_interval_gives_the_mirrored_word(
    pair: tuple[tuple[float, float], tuple[float, float]], margin: float
) -> None:
    mirrored = {Word.BETTER: Word.WORSE, Word.WORSE: Word.BETTER}
    ci95, ci90 = ((1 / high, 1 / low) for low, high in pair)
    word, _ = choose_word(*pair, margin)

    assert choose_word(ci95, ci90, margin)[0] is mirrored.get(word, word)


@pytest.mark.parametrize(
    ("ci95", "ci90", "word", "size"),
    [
        ((1.06, 1.10), (1.07, 1.09), Word.BETTER, Size.LARGER),
        ((1.01, 1.10), (1.02, 1.09), Word.BETTER, Size.UNRESOLVED),
        ((1.01, 1.03), (1.015, 1.025), Word.BETTER, Size.NEGLIGIBLE),
        ((0.90, 0.94), (0.91, 0.93), Word.WORSE, Size.LARGER),
        ((0.90, 0.99), (0.91, 0.98), Word.WORSE, Size.UNRESOLVED),
        ((0.97, 0.99), (0.975, 0.985), Word.WORSE, Size.NEGLIGIBLE),
        ((0.98, 1.02), (0.985, 1.015), Word.EQUIVALENT, None),
        ((0.94, 1.06), (0.96, 1.04), Word.EQUIVALENT, None),
        ((0.90, 1.02), (0.91, 1.01), Word.INCONCLUSIVE, None),
        ((1.0, 1.2), (1.02, 1.18), Word.INCONCLUSIVE, None),
    ],
)
def test_words_of_a_margin_of_five_percent(
    ci95: tuple[float, float], ci90: tuple[float, float], word: Word, size: Size | None
) -> None:
    assert choose_word(ci95, ci90, 0.05) == (word, size)


# The comparison.


@pytest.mark.parametrize("metric", PERFORMANCE)
@pytest.mark.parametrize(("factor", "word"), [(1.1, Word.BETTER), (1 / 1.1, Word.WORSE)])
def test_ratios_above_1_mean_that_the_baseline_is_better_on_every_metric(
    metric: Metric, factor: float, word: Word
) -> None:
    scenario = make_scenario(blocks=10)
    comparison = compared(verdict_on(scenario, make_slots(scenario, costing(factor))), metric)

    assert ratio_of(comparison) == pytest.approx(factor, rel=0.01)
    assert comparison.word is word
    assert (comparison.unit, comparison.blocks) == (metric.unit, 10)


@given(st.floats(0.5, 2.0))
@settings(max_examples=15)
def test_swapping_the_arms_inverts_ratios_and_negates_differences(factor: float) -> None:
    scenario = make_scenario(blocks=5)
    swapped = scenario.model_copy(update={"baseline": "bridge"})
    slots = make_slots(scenario, costing(factor))
    there, back = verdict_on(scenario, slots), verdict_on(swapped, slots)

    for metric in PERFORMANCE:
        one, other = compared(there, metric), compared(back, metric, baseline="bridge")
        assert (other.baseline, other.candidate) == (one.candidate, one.baseline)
        assert ratio_of(other) == pytest.approx(1 / ratio_of(one))
        low, high = interval_of(one)
        assert other.ci95 == pytest.approx((1 / high, 1 / low))
        assert other.difference == pytest.approx(-(one.difference or 0))
        assert other.p_value == pytest.approx(one.p_value)


@given(st.floats(0.01, 1000))
@settings(max_examples=15)
def test_a_machine_that_is_slower_by_a_factor_has_the_same_ratio(scale: float) -> None:
    scenario = make_scenario(blocks=5)
    before = compared(verdict_on(scenario, make_slots(scenario, costing(1.1))))
    slower = make_slots(scenario, lambda slot: scale * costing(1.1)(slot))
    after = compared(verdict_on(scenario, slower))

    assert ratio_of(after) == pytest.approx(ratio_of(before))
    assert after.ci95 == pytest.approx(before.ci95)
    assert after.difference == pytest.approx(scale * (before.difference or 0))
    assert after.word is before.word


@given(st.integers(-5 * 64, 50 * 64).map(lambda n: n / 64))
@settings(max_examples=15)
def test_microseconds_that_an_arm_costs_are_seen_as_its_difference(cost_us: float) -> None:
    scenario = make_scenario(blocks=5)
    slots = make_slots(scenario, lambda slot: 20 + slot.block + (cost_us if slot.arm == "bridge" else 0))
    comparison = compared(verdict_on(scenario, slots))

    assert comparison.difference == pytest.approx(cost_us, abs=1e-9)
    assert comparison.difference_ci95 == pytest.approx((cost_us, cost_us), abs=1e-9)


def test_equal_values_give_a_ratio_of_1_and_are_equivalent() -> None:
    scenario = make_scenario(blocks=5)
    verdict = verdict_on(scenario, make_slots(scenario, lambda _: 20.0))

    assert len(verdict.comparisons) == 3 * len(scenario.metrics)
    for comparison in verdict.comparisons:
        assert ratio_of(comparison) == 1
        assert (comparison.ci95, comparison.difference, comparison.p_value) == ((1, 1), 0, 1)
        assert comparison.word is Word.EQUIVALENT


def test_two_arms_with_nothing_but_noise_are_equivalent() -> None:
    scenario = make_scenario(blocks=12)

    assert compared(verdict_on(scenario, make_slots(scenario, costing(1.0)))).word is Word.EQUIVALENT


def test_values_of_each_arm_are_geometric_means_in_the_metrics_unit() -> None:
    scenario = make_scenario(blocks=4)
    slots = make_slots(
        scenario, lambda slot: (10 if slot.block % 2 else 40) * (1.1 if slot.arm == "bridge" else 1)
    )
    comparison = compared(verdict_on(scenario, slots))

    assert comparison.baseline_value == pytest.approx(20)
    assert comparison.candidate_value == pytest.approx(22)


def test_each_block_gives_one_ratio_from_the_means_of_its_logs() -> None:
    scenario = make_scenario(blocks=3)
    latency_us = {("host", 0): 10.0, ("host", 1): 40.0, ("bridge", 0): 11.0, ("bridge", 1): 44.0}
    comparison = compared(
        verdict_on(scenario, make_slots(scenario, lambda slot: latency_us[slot.arm, slot.repeat]))
    )

    assert comparison.block_ratios == pytest.approx([1.1] * 3)
    assert comparison.block_numbers == (0, 1, 2)
    assert comparison.difference == pytest.approx(27.5 - 25)


def test_every_arm_is_compared_with_itself_on_every_metric() -> None:
    scenario = make_scenario(blocks=4)
    latency: Latency = lambda slot: 20.0 if slot.repeat == 0 else 22.0  # noqa: E731
    verdict = verdict_on(scenario, make_slots(scenario, latency))
    own = [c for c in verdict.comparisons if c.kind == "A/A"]

    assert {(c.baseline, c.candidate, c.metric) for c in own} == {
        (arm, arm, metric) for arm in ("host", "bridge") for metric in scenario.metrics
    }
    assert all(ratio_of(c) == pytest.approx(1.1) for c in own)


@pytest.mark.parametrize("slots_per_arm", [2, 3, 5])
def test_all_slots_of_an_arm_count_in_its_comparison_with_itself(slots_per_arm: int) -> None:
    scenario = make_scenario(blocks=3, slots_per_arm=slots_per_arm)
    latency: Latency = lambda slot: 10 * 2**slot.repeat * noise(slot, 0.001)  # noqa: E731
    own = compared(verdict_on(scenario, make_slots(scenario, latency)), kind="A/A")
    half = slots_per_arm // 2
    repeats = range(slots_per_arm)
    expected = sum(repeats[half:]) / (slots_per_arm - half) - sum(repeats[:half]) / half

    assert log2(ratio_of(own)) == pytest.approx(expected, abs=0.01)


# Of several arms, and of too few requests.


def test_an_arm_whose_pairs_differ_by_chance_voids_nothing() -> None:
    latency: Latency = lambda slot: costing(1.2)(slot) * (1.1 if slot.repeat else 1)  # noqa: E731
    scenario = make_scenario(blocks=8)
    verdict = verdict_on(scenario, make_slots(scenario, latency))

    assert compared(verdict, kind="A/A").word is Word.BETTER
    assert compared(verdict).word is Word.BETTER


def outcome(p_value: float, word: Word) -> Comparison:
    scenario = make_scenario(blocks=4)
    found = compared(verdict_on(scenario, make_slots(scenario, costing(1.2))))
    notes = ("larger than the margin",) if word in (Word.BETTER, Word.WORSE) else ()
    return found.model_copy(update={"p_value": p_value, "word": word, "notes": notes})


def test_the_words_of_several_arms_hold_for_all_of_them_together() -> None:
    family = [outcome(0.001, Word.BETTER), outcome(0.04, Word.WORSE), outcome(0.5, Word.EQUIVALENT)]
    found = correct_for_family(family)

    assert [c.p_holm for c in found] == pytest.approx([0.003, 0.08, 0.5])
    assert [c.word for c in found] == [Word.BETTER, Word.INCONCLUSIVE, Word.EQUIVALENT]
    assert found[1].notes == (
        "alone it would be WORSE; p is 0.08 by Holm's correction: among so many arms it may be chance",
    )


def test_an_invalid_comparison_takes_no_part_in_the_correction() -> None:
    found = correct_for_family([outcome(0.04, Word.BETTER), outcome(0.01, Word.INVALID)])

    assert [c.p_holm for c in found] == [pytest.approx(0.04), None]
    assert found[0].word is Word.BETTER


def test_a_claim_is_about_two_arms_however_many_others_there_are() -> None:
    others = tuple(Arm(name=f"other-{port}", mode=Mode.BRIDGE, port=port) for port in range(81, 89))
    scenario = make_scenario(blocks=12, arms=(HOST, BRIDGE, *others), claims=(CLAIM,), margins=NARROW)

    def latency(slot: Slot) -> float:
        generator = np.random.default_rng([slot.block, slot.repeat, sum(slot.arm.encode())])
        cost = 1.02 if slot.arm == "bridge" else 1
        return 20 * cost * float(np.exp(0.03 * generator.standard_normal()))

    verdict = verdict_on(scenario, make_slots(scenario, latency))
    [found] = [c for c in verdict.comparisons if (c.candidate, c.metric, c.kind) == ("bridge", P50, "arms")]
    assert found.p_value is not None
    assert found.p_holm is not None
    assert found.p_holm > 8 * found.p_value
    assert verdict.claims[0].holm_p_values[P50] < found.p_holm / 2


def test_a_p99_wants_ten_thousand_requests_of_an_arm_in_a_typical_block() -> None:
    scenario = make_scenario(blocks=8)

    def compare_with(*requests: int) -> Comparison:
        slots = [
            slot.model_copy(update={"requests": requests[slot.block % len(requests)]})
            for slot in make_slots(scenario, costing(1.2))
        ]
        return compared(verdict_on(scenario, slots), P99)

    assert compare_with(5_000).word is Word.BETTER
    assert compare_with(4_999).word is Word.INVALID
    [note] = compare_with(4_999).notes
    assert note.startswith("a p99 latency wants 10,000 requests of an arm in a block, and host has 9,998")
    # Those that have fewer are the slow ones: they stay.
    assert compare_with(9_000, 9_000, 9_000, 2_000).blocks == 8


def test_a_metric_that_a_run_does_not_know_is_compared_with_nothing() -> None:
    scenario = make_scenario(blocks=4)
    slots = [
        slot.model_copy(update={"values": {P50: slot.values[P50]}})
        for slot in make_slots(scenario, costing(1.2))
    ]

    assert {c.metric for c in verdict_on(scenario, slots).comparisons} == {P50}


def test_a_new_session_is_expected_in_a_wider_interval_than_the_mean_is() -> None:
    scenario = make_scenario(blocks=12, sessions=6)
    comparison = compared(verdict_on(scenario, make_slots(scenario, costing(1.1))))
    low, high = interval_of(comparison)
    new = comparison.new_session_ci95

    assert new is not None
    assert new[0] < low < high < new[1]
    one = make_scenario(blocks=12)
    assert compared(verdict_on(one, make_slots(one, costing(1.1)))).new_session_ci95 is None


def test_more_blocks_have_more_power_at_the_margin() -> None:
    def power(blocks: int) -> float:
        scenario = make_scenario(blocks=blocks, margins=Margins(p50_latency_us=0.005))
        found = compared(verdict_on(scenario, make_slots(scenario, costing(1.0, 0.02)))).power_at_margin
        assert found is not None
        return found

    assert 0.05 < power(6) < power(40) <= 1
