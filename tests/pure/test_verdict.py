import re
from collections.abc import Callable, Iterator
from math import exp, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core import statistics
from bench.core.plan import Slot
from bench.core.scenario import Arm, Claim, LabSettings, Margins, Metric, Mode, Scenario, Schedule
from bench.core.verdict import (
    NEGLIGIBLE,
    ClaimWord,
    Comparison,
    SlotMetrics,
    Verdict,
    Word,
    choose_word,
    judge,
    judge_claim,
)

from .conftest import BRIDGE, HOST, Latency, make_scenario, make_slots, noise

P50, P99, THROUGHPUT = Metric
CLAIM = Claim(id="article", text="Host is faster.", better="host", than="bridge")
NARROW = Margins(p50_latency_us=0.001, p99_latency_us=0.001, throughput_rps=0.001)


@pytest.fixture(autouse=True, scope="module")
def _few_resamples() -> Iterator[None]:
    """No test here is about the resampling itself, whose time would be most of this file's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "RESAMPLES", 199)
        yield


def verdict_on(scenario: Scenario, slots: list[SlotMetrics]) -> Verdict:
    return judge(scenario, slots, {}, seed=1)


def compared(
    verdict: Verdict, metric: Metric = P50, kind: str = "arms", baseline: str = "host"
) -> Comparison:
    [found] = [c for c in verdict.comparisons if (c.metric, c.kind, c.baseline) == (metric, kind, baseline)]
    return found


def costing(factor: float, size: float = 0.01) -> Latency:
    """Host at about 20 us, every other arm at `factor` times that."""
    return lambda slot: 20 * (1 if slot.arm == "host" else factor) * noise(slot, size)


def ratio_of(comparison: Comparison) -> float:
    assert comparison.ratio is not None
    return comparison.ratio


def interval_of(comparison: Comparison) -> tuple[float, float]:
    assert comparison.ci95 is not None
    return comparison.ci95


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
    word, notes = choose_word(ci95, ci90, margin)
    inside = ci90[0] > 1 / (1 + margin) and ci90[1] < 1 + margin
    resolved = ci95[0] > 1 or ci95[1] < 1
    conditions_met = {
        Word.BETTER: ci95[0] > 1,
        Word.WORSE: ci95[1] < 1,
        Word.EQUIVALENT: not resolved and inside,
        Word.INCONCLUSIVE: not resolved and not inside,
    }

    assert [each for each, met in conditions_met.items() if met] == [word]
    assert (NEGLIGIBLE in notes) is (resolved and inside)
    assert len(notes) == resolved


@given(intervals(), st.floats(0.001, 0.5))
def test_the_inverse_interval_gives_the_mirrored_word(
    pair: tuple[tuple[float, float], tuple[float, float]], margin: float
) -> None:
    mirrored = {Word.BETTER: Word.WORSE, Word.WORSE: Word.BETTER}
    ci95, ci90 = ((1 / high, 1 / low) for low, high in pair)
    word, _ = choose_word(*pair, margin)

    assert choose_word(ci95, ci90, margin)[0] is mirrored.get(word, word)


@pytest.mark.parametrize(
    ("ci95", "ci90", "word", "note"),
    [
        ((1.06, 1.10), (1.07, 1.09), Word.BETTER, "larger than the margin"),
        ((1.01, 1.10), (1.02, 1.09), Word.BETTER, "not resolved against the margin"),
        ((1.01, 1.03), (1.015, 1.025), Word.BETTER, NEGLIGIBLE),
        ((0.90, 0.94), (0.91, 0.93), Word.WORSE, "larger than the margin"),
        ((0.90, 0.99), (0.91, 0.98), Word.WORSE, "not resolved against the margin"),
        ((0.97, 0.99), (0.975, 0.985), Word.WORSE, NEGLIGIBLE),
        ((0.98, 1.02), (0.985, 1.015), Word.EQUIVALENT, None),
        ((0.94, 1.06), (0.96, 1.04), Word.EQUIVALENT, None),
        ((0.90, 1.02), (0.91, 1.01), Word.INCONCLUSIVE, None),
        ((1.0, 1.2), (1.02, 1.18), Word.INCONCLUSIVE, None),
    ],
)
def test_words_of_a_margin_of_five_percent(
    ci95: tuple[float, float], ci90: tuple[float, float], word: Word, note: str | None
) -> None:
    assert choose_word(ci95, ci90, 0.05) == (word, [note] if note else [])


# The claim.


def outcome(
    metric: Metric,
    word: Word,
    p_value: float | None = None,
    *,
    negligible: bool = False,
    candidate: str = "bridge",
) -> Comparison:
    """A comparison that ended with `word`, by default with a p-value that fits it."""
    fitting = {Word.BETTER: 0.001, Word.WORSE: 0.001, Word.INVALID: None}.get(word, 0.5)
    return Comparison(
        metric=metric,
        unit=metric.unit,
        condition="",
        kind="arms",
        baseline="host",
        candidate=candidate,
        margin=0.05,
        blocks=12,
        word=word,
        p_value=fitting if p_value is None else p_value,
        notes=(NEGLIGIBLE,) if negligible else (),
    )


def outcomes(*words: str) -> list[Comparison]:
    """Comparisons on the metrics in turn; a word in small letters is a negligible one."""
    return [
        outcome(metric, Word(word.upper()), negligible=word.islower())
        for metric, word in zip(Metric, words, strict=False)
    ]


@pytest.mark.parametrize(
    ("words", "claim_word"),
    [
        (("BETTER", "BETTER", "BETTER"), "SUPPORTED"),
        (("BETTER", "EQUIVALENT", "EQUIVALENT"), "SUPPORTED"),
        (("EQUIVALENT", "EQUIVALENT", "BETTER"), "SUPPORTED"),
        (("BETTER", "INCONCLUSIVE", "INVALID"), "SUPPORTED"),
        (("BETTER", "better", "EQUIVALENT"), "SUPPORTED"),
        (("better", "EQUIVALENT", "EQUIVALENT"), "SUPPORTED BUT NEGLIGIBLE"),
        (("better", "better", "better"), "SUPPORTED BUT NEGLIGIBLE"),
        (("better", "INCONCLUSIVE", "EQUIVALENT"), "INCONCLUSIVE"),
        (("better", "EQUIVALENT", "INVALID"), "INCONCLUSIVE"),
        (("EQUIVALENT", "EQUIVALENT", "EQUIVALENT"), "NO PRACTICAL DIFFERENCE"),
        (("EQUIVALENT", "EQUIVALENT", "INCONCLUSIVE"), "INCONCLUSIVE"),
        (("EQUIVALENT", "EQUIVALENT", "INVALID"), "INCONCLUSIVE"),
        (("WORSE", "WORSE", "WORSE"), "REFUTED"),
        (("EQUIVALENT", "WORSE", "EQUIVALENT"), "REFUTED"),
        (("WORSE", "INCONCLUSIVE", "INVALID"), "REFUTED"),
        (("BETTER", "WORSE", "EQUIVALENT"), "MIXED"),
        (("BETTER", "INVALID", "WORSE"), "MIXED"),
        (("INCONCLUSIVE", "INCONCLUSIVE", "INCONCLUSIVE"), "INCONCLUSIVE"),
        (("INVALID", "INVALID", "INVALID"), "INCONCLUSIVE"),
        ((), "INCONCLUSIVE"),
    ],
    ids=lambda value: "+".join(value) or "nothing" if isinstance(value, tuple) else value,
)
def test_the_word_on_a_claim_follows_from_the_words_on_its_metrics(
    words: tuple[str, ...], claim_word: str
) -> None:
    assert judge_claim(CLAIM, "host", outcomes(*words), "").word == ClaimWord(claim_word)


@pytest.mark.parametrize(
    ("word", "claim_word"),
    [(Word.WORSE, ClaimWord.SUPPORTED), (Word.BETTER, ClaimWord.REFUTED)],
)
def test_a_claim_for_the_other_arm_is_supported_where_the_baseline_is_worse(
    word: Word, claim_word: ClaimWord
) -> None:
    reverse = Claim(id="reverse", text="Bridge is faster.", better="bridge", than="host")

    assert judge_claim(reverse, "host", outcomes(word, "EQUIVALENT", "EQUIVALENT"), "").word is claim_word


def test_a_difference_that_holm_does_not_let_pass_supports_nothing() -> None:
    lone = [outcome(P50, Word.BETTER, 0.04), *outcomes("EQUIVALENT", "EQUIVALENT", "EQUIVALENT")[1:]]
    verdict = judge_claim(CLAIM, "host", lone, "")

    assert verdict.holm_p_values[P50] == pytest.approx(0.12)
    assert verdict.word is ClaimWord.INCONCLUSIVE


def test_a_difference_that_holm_does_not_let_pass_contradicts_nothing() -> None:
    pair = [
        outcome(P50, Word.BETTER, 0.001),
        outcome(P99, Word.WORSE, 0.04),
        outcome(THROUGHPUT, Word.EQUIVALENT),
    ]

    assert judge_claim(CLAIM, "host", pair, "").word is ClaimWord.SUPPORTED


def test_holm_counts_the_claims_own_metrics_only() -> None:
    alone = CLAIM.model_copy(update={"metrics": (P50,)})
    comparisons = [outcome(P50, Word.BETTER, 0.04), *outcomes("WORSE", "WORSE", "WORSE")[1:]]
    verdict = judge_claim(alone, "host", comparisons, "")

    assert (verdict.word, verdict.holm_p_values) == (ClaimWord.SUPPORTED, {P50: 0.04})


def test_other_arms_do_not_decide_a_claim() -> None:
    others = [outcome(metric, Word.WORSE, candidate="third") for metric in Metric]
    verdict = judge_claim(CLAIM, "host", [*outcomes("BETTER", "BETTER", "BETTER"), *others], "")

    assert verdict.word is ClaimWord.SUPPORTED


def test_a_claim_gives_the_word_on_each_metric_as_its_reason() -> None:
    verdict = judge_claim(CLAIM, "host", outcomes("BETTER", "EQUIVALENT", "INVALID"), "connections=1")

    assert verdict.reason == "p50 latency BETTER; p99 latency EQUIVALENT; throughput INVALID"
    assert (verdict.id, verdict.text, verdict.condition) == ("article", "Host is faster.", "connections=1")


# The comparison.


@pytest.mark.parametrize("metric", Metric)
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

    for metric in Metric:
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

    assert len(verdict.comparisons) == 9
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
        (arm, arm, metric) for arm in ("host", "bridge") for metric in Metric
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


# Slots that do not count.


def in_block(number: int, arm: str = "bridge") -> Callable[[Slot], bool]:
    return lambda slot: (slot.block, slot.arm, slot.repeat) == (number, arm, 0)


def test_a_block_with_an_invalid_slot_is_left_out_and_noted() -> None:
    scenario = make_scenario(blocks=6)

    def latency_us(slot: Slot) -> float:
        return 1e6 if in_block(2)(slot) else costing(1.1)(slot)

    comparison = compared(verdict_on(scenario, make_slots(scenario, latency_us, invalid=in_block(2))))

    assert (comparison.blocks, comparison.block_numbers) == (5, (0, 1, 3, 4, 5))
    assert ratio_of(comparison) == pytest.approx(1.1, rel=0.02)
    assert any("1 of 6 blocks left out" in note for note in comparison.notes)


def test_a_complete_run_has_no_note_about_blocks() -> None:
    scenario = make_scenario(blocks=6)
    comparison = compared(verdict_on(scenario, make_slots(scenario, costing(1.1))))

    assert not [note for note in comparison.notes if "block" in note]


def test_a_block_that_was_not_finished_is_left_out() -> None:
    scenario = make_scenario(blocks=6)
    comparison = compared(verdict_on(scenario, make_slots(scenario, costing(1.1))[:-1]))

    assert comparison.block_numbers == (0, 1, 2, 3, 4)


def test_an_invalid_slot_of_a_third_arm_leaves_the_others_as_they_are() -> None:
    third = Arm(name="third", mode=Mode.BRIDGE, port=81)
    scenario = make_scenario(blocks=6, arms=(HOST, BRIDGE, third))
    verdict = verdict_on(scenario, make_slots(scenario, costing(1.1), invalid=in_block(2, "third")))
    blocks = {c.candidate: c.blocks for c in verdict.comparisons if c.kind == "arms" and c.metric is P50}

    assert blocks == {"bridge": 6, "third": 5}


def test_a_metric_that_a_slot_could_not_give_leaves_its_block_out_for_that_metric_alone() -> None:
    scenario = make_scenario(blocks=6)
    verdict = verdict_on(scenario, make_slots(scenario, costing(1.1), missing={P99: in_block(3)}))

    assert [compared(verdict, metric).blocks for metric in Metric] == [6, 5, 6]


def test_a_value_of_zero_leaves_its_block_out_instead_of_ending_the_run() -> None:
    scenario = make_scenario(blocks=6)
    slots = [
        slot.model_copy(update={"values": {P50: 0.0}}) if index == 0 else slot
        for index, slot in enumerate(make_slots(scenario, costing(1.1)))
    ]

    assert compared(verdict_on(scenario, slots)).block_numbers == (1, 2, 3, 4, 5)


def test_fewer_than_three_blocks_are_invalid_and_have_no_numbers() -> None:
    scenario = make_scenario(blocks=2)
    comparison = compared(verdict_on(scenario, make_slots(scenario, costing(1.1))))

    assert comparison.word is Word.INVALID
    assert (comparison.ratio, comparison.ci95, comparison.p_value) == (None, None, None)
    assert comparison.notes == ("only 2 of 2 blocks are complete and valid",)


def test_three_blocks_are_enough() -> None:
    scenario = make_scenario(blocks=3)

    assert compared(verdict_on(scenario, make_slots(scenario, costing(1.1)))).word is not Word.INVALID


@pytest.mark.parametrize(("lost", "valid"), [(5, True), (6, False)])
def test_a_comparison_that_lost_more_than_half_of_its_blocks_is_invalid(lost: int, *, valid: bool) -> None:
    scenario = make_scenario(blocks=10)
    slots = make_slots(scenario, costing(1.1), invalid=lambda slot: slot.block < lost)

    assert (compared(verdict_on(scenario, slots)).word is not Word.INVALID) is valid


def test_no_slots_at_all_give_invalid_comparisons_and_an_inconclusive_claim() -> None:
    verdict = verdict_on(make_scenario(claims=(CLAIM,)), [])

    assert {c.word for c in verdict.comparisons} == {Word.INVALID}
    assert [claim.word for claim in verdict.claims] == [ClaimWord.INCONCLUSIVE]


# What makes a comparison doubtful.


def test_sessions_that_differ_widen_the_interval_and_are_noted() -> None:
    scenario = make_scenario(blocks=12, sessions=3)

    def latency_us(slot: Slot) -> float:
        drift = 1 + 0.02 * slot.session if slot.arm == "bridge" else 1
        return 20 * drift * noise(slot, 0.001)

    slots = make_slots(scenario, latency_us)
    in_one = [slot.model_copy(update={"session": 0}) for slot in slots]
    seeing, blind = compared(verdict_on(scenario, slots)), compared(verdict_on(scenario, in_one))

    assert (seeing.unit_of_replication, blind.unit_of_replication) == ("session", "block")
    (low, high), (blind_low, blind_high) = interval_of(seeing), interval_of(blind)
    assert low < blind_low < blind_high < high
    assert any("sessions differ" in note for note in seeing.notes)
    assert not any("sessions differ" in note for note in blind.notes)


def drifting(arm: str) -> Latency:
    """Second slots of `arm` take a tenth longer than its first: the machine is not steady."""
    return lambda slot: costing(1.2)(slot) * (1.1 if slot.arm == arm and slot.repeat else 1)


@pytest.mark.parametrize("arm", ["host", "bridge"])
def test_a_comparison_is_invalid_where_one_of_its_arms_differs_from_itself(arm: str) -> None:
    scenario = make_scenario(blocks=8)
    comparison = compared(verdict_on(scenario, make_slots(scenario, drifting(arm))))

    assert comparison.word is Word.INVALID
    assert any(re.search(rf"A/A pairs of {arm} differ by \+(9|10)\.", note) for note in comparison.notes)


def test_an_arm_that_differs_from_itself_does_not_spoil_a_comparison_of_others() -> None:
    third = Arm(name="third", mode=Mode.BRIDGE, port=81)
    scenario = make_scenario(blocks=8, arms=(HOST, BRIDGE, third))
    verdict = verdict_on(scenario, make_slots(scenario, drifting("third")))
    words = {c.candidate: c.word for c in verdict.comparisons if c.kind == "arms" and c.metric is P50}

    assert words == {"bridge": Word.BETTER, "third": Word.INVALID}


def test_an_arm_that_differs_from_itself_by_less_than_half_the_margin_is_no_fault() -> None:
    latency: Latency = lambda slot: costing(1.2, 0.001)(slot) * (1.01 if slot.repeat else 1)  # noqa: E731
    wide = make_scenario(blocks=8)
    narrow = make_scenario(blocks=8, margins=NARROW)

    assert compared(verdict_on(wide, make_slots(wide, latency))).word is Word.BETTER
    assert compared(verdict_on(narrow, make_slots(narrow, latency))).word is Word.INVALID


def test_a_word_that_the_bootstrap_interval_contradicts_becomes_inconclusive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 9_999)
    # Of these six the t-interval is (+0.008, +0.136) and the bootstrap's begins at -0.003.
    logs = [0.098, 0.098, 0.099, 0.092, 0.098, -0.052]
    scenario = make_scenario(blocks=6)
    slots = make_slots(scenario, lambda slot: 20 * (exp(logs[slot.block]) if slot.arm == "bridge" else 1))
    comparison = compared(verdict_on(scenario, slots))
    assert comparison.bootstrap_ci95 is not None
    assert interval_of(comparison)[0] > 1 > comparison.bootstrap_ci95[0]

    assert comparison.word is Word.INCONCLUSIVE
    assert any("bootstrap" in note for note in comparison.notes)


# The whole verdict.


def test_each_condition_is_judged_on_its_own_slots() -> None:
    scenario = make_scenario(
        blocks=6, factors={"lab.receive_steering": (True, False)}, claims=(CLAIM,), lab=LabSettings()
    )
    slots = make_slots(scenario, lambda slot: costing(1.2 if slot.condition == 0 else 1.0)(slot))
    verdict = verdict_on(scenario, slots)
    ratios = {c.condition: ratio_of(c) for c in verdict.comparisons if c.kind == "arms" and c.metric is P50}

    assert ratios == {
        "receive_steering=true": pytest.approx(1.2, rel=0.01),
        "receive_steering=false": pytest.approx(1.0, rel=0.01),
    }
    assert [(claim.condition, claim.word) for claim in verdict.claims] == [
        ("receive_steering=true", ClaimWord.SUPPORTED),
        ("receive_steering=false", ClaimWord.NO_DIFFERENCE),
    ]


@pytest.mark.parametrize(
    ("factor", "margins", "word"),
    [
        (1.1, Margins(), ClaimWord.SUPPORTED),
        (1.02, Margins(), ClaimWord.NEGLIGIBLE),
        (1.0, Margins(), ClaimWord.NO_DIFFERENCE),
        (1.0, NARROW, ClaimWord.INCONCLUSIVE),
        (0.9, Margins(), ClaimWord.REFUTED),
    ],
)
def test_a_whole_run_gives_the_word_that_its_effect_deserves(
    factor: float, margins: Margins, word: ClaimWord
) -> None:
    scenario = make_scenario(blocks=12, margins=margins, claims=(CLAIM,))
    [claim] = verdict_on(scenario, make_slots(scenario, costing(factor))).claims

    assert claim.word is word


def test_a_run_in_which_the_metrics_disagree_is_mixed() -> None:
    scenario = make_scenario(blocks=12, claims=(CLAIM,))
    slots = [
        slot.model_copy(
            update={
                "values": {**slot.values, P99: 60 * noise_of(slot) / (1.5 if slot.arm == "bridge" else 1)}
            }
        )
        for slot in make_slots(scenario, costing(1.1))
    ]

    assert [claim.word for claim in verdict_on(scenario, slots).claims] == [ClaimWord.MIXED]


def noise_of(slot: SlotMetrics) -> float:
    return noise(Slot(index=0, session=0, block=slot.block, arm=slot.arm, condition=0, repeat=slot.repeat))


def test_the_margin_of_a_comparison_is_the_one_of_its_metric() -> None:
    margins = Margins(p50_latency_us=0.01, p99_latency_us=0.02, throughput_rps=0.03)
    scenario = make_scenario(blocks=4, margins=margins)
    verdict = verdict_on(scenario, make_slots(scenario, costing(1.1)))

    assert [compared(verdict, metric).margin for metric in Metric] == [0.01, 0.02, 0.03]


def test_scope_and_warnings_are_part_of_the_verdict() -> None:
    scenario = make_scenario(schedule=Schedule(blocks=3))
    verdict = judge(scenario, make_slots(scenario, costing(1.1)), {"kernel": "6.1"}, 1, ["idle states"])

    assert (verdict.scope, verdict.warnings) == ({"kernel": "6.1"}, ("idle states",))


def test_a_verdict_is_the_same_after_a_way_through_json() -> None:
    scenario = make_scenario(blocks=4, claims=(CLAIM,))
    verdict = verdict_on(scenario, make_slots(scenario, costing(1.1), invalid=in_block(1)))

    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_the_same_slots_and_seed_give_the_same_verdict() -> None:
    scenario = make_scenario(blocks=5, claims=(CLAIM,))
    slots = make_slots(scenario, costing(1.03))

    assert verdict_on(scenario, slots) == verdict_on(scenario, slots)
