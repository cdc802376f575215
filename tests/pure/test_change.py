from math import log
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from bench.judgement.change import (
    Change,
    Changed,
    ChangeWord,
    choose_change_word,
    choose_words,
    pair_conditions,
)
from bench.judgement.comparison import Size
from bench.scenario.conditions import conditions
from bench.scenario.metric import PERFORMANCE, Metric

from .conftest import BRIDGE, HOST, make_scenario, make_slots
from .verdicts import (
    ENGINES,
    NARROW,
    P50,
    STEERING,
    THIRD,
    change_of,
    costing_by_condition,
    make_factors,
    verdict_on,
)

# Which conditions are compared.


def test_two_factors_of_two_levels_give_four_pairs_that_differ_in_one_factor_each() -> None:
    pairs = list(pair_conditions(make_factors(ENGINES | STEERING)))

    assert [(p.factor, p.reference, p.condition, p.reference_level, p.level) for p in pairs] == [
        ("lab.engine", 0, 2, "machine", "debian:trixie"),
        ("lab.engine", 1, 3, "machine", "debian:trixie"),
        ("lab.receive_steering", 0, 1, "true", "false"),
        ("lab.receive_steering", 2, 3, "true", "false"),
    ]


levels = st.integers(2, 4)


@given(levels, levels, st.booleans())
def test_every_level_is_compared_once_with_its_factors_first_level_and_nothing_else_differs(
    connections: int, pages: int, steering: bool
) -> None:
    factors: dict[str, tuple[Any, ...]] = {
        "load.connections": tuple(range(1, connections + 1)),
        "load.page_bytes": (1024, 65536, 1048576)[: min(pages, 3)],
    } | (STEERING if steering else {})
    scenario = make_factors(factors)
    settled = conditions(scenario)
    pairs = list(pair_conditions(scenario))
    size = len(settled)

    assert len(pairs) == sum(size // len(names) * (len(names) - 1) for names in factors.values())
    assert len({(pair.reference, pair.condition) for pair in pairs}) == len(pairs)
    for pair in pairs:
        before, after = (settled[index].label.split(", ") for index in (pair.reference, pair.condition))
        differing = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
        field = pair.factor.split(".")[1]
        assert differing == [(f"{field}={pair.reference_level}", f"{field}={pair.level}")]
        assert pair.reference_level == str(factors[pair.factor][0]).lower()
        assert pair.notes == ()


def test_a_level_that_is_an_empty_text_has_a_name() -> None:
    [pair] = pair_conditions(make_factors({"lab.veth_offloads_off": ("", "gro")}))
    assert (pair.reference_level, pair.level) == ("none", "gro")


def test_the_next_level_is_the_reference_where_the_first_is_unavailable() -> None:
    engines = {"lab.engine": ("machine", "debian:bookworm", "debian:trixie")}
    [pair] = pair_conditions(make_factors(engines), unavailable=[0])

    assert (pair.reference_level, pair.level) == ("debian:bookworm", "debian:trixie")
    assert pair.notes == ("machine is NOT AVAILABLE here: debian:bookworm is the reference",)


def test_a_scenario_without_factors_has_no_changes() -> None:
    scenario = make_scenario(blocks=4)

    assert verdict_on(scenario, make_slots(scenario, costing_by_condition(1.1))).changes == ()


# The words.


def test_a_change_needs_an_interval_that_excludes_1_and_a_corrected_p_value() -> None:
    wide, far, near = (0.9, 1.1), (1.06, 1.1), (1.01, 1.03)

    assert choose_change_word(far, far, 0.05, 0.01) == (ChangeWord.CHANGED, Size.LARGER, [])
    assert choose_change_word(near, near, 0.05, 0.01) == (ChangeWord.CHANGED, Size.NEGLIGIBLE, [])
    assert choose_change_word(near, near, 0.05, 0.06) == (ChangeWord.NO_PRACTICAL_CHANGE, None, [])
    assert choose_change_word(wide, wide, 0.05, 0.9) == (ChangeWord.INCONCLUSIVE, None, [])
    assert choose_change_word(wide, (0.96, 1.04), 0.05, 0.9) == (ChangeWord.NO_PRACTICAL_CHANGE, None, [])
    word, _, [note] = choose_change_word(far, far, 0.05, 0.06)
    assert word is ChangeWord.INCONCLUSIVE
    assert "Holm" in note


def outcome(p_value: float | None, word: ChangeWord = ChangeWord.INCONCLUSIVE) -> Change:
    """A change of a tenth, with its p-value and before its word is chosen."""
    interval = (1.08, 1.12)
    return Change(
        metric=P50,
        unit="us",
        kind=Changed.ARM,
        factor="lab.engine",
        reference="machine",
        level="debian:trixie",
        reference_condition="engine=machine",
        condition="engine=debian:trixie",
        baseline="host",
        candidate="host",
        ci95=interval,
        ci90=interval,
        bootstrap_ci95=interval,
        margin=0.05,
        blocks=12,
        p_value=p_value,
        word=word,
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=15)
def test_p_values_are_holm_corrected_over_all_changes_and_decide_the_words(p_values: list[float]) -> None:
    decided = choose_words([outcome(p_value) for p_value in p_values])
    expected = multipletests(p_values, method="holm")[1]

    assert [change.p_holm for change in decided] == pytest.approx(list(expected))
    assert [change.p_value for change in decided] == p_values
    assert [change.word is ChangeWord.CHANGED for change in decided] == [p < 0.05 for p in expected]


def test_an_invalid_change_takes_no_part_in_the_correction() -> None:
    void = outcome(0.001, ChangeWord.INVALID)
    decided = choose_words([void, outcome(0.02), void, outcome(0.03)])

    assert [change.p_holm for change in decided] == [None, pytest.approx(0.04), None, pytest.approx(0.04)]
    assert [change.word for change in decided] == ["INVALID", "CHANGED", "INVALID", "CHANGED"]


def test_a_change_that_the_bootstrap_interval_contradicts_is_inconclusive() -> None:
    doubtful = outcome(0.001).model_copy(update={"bootstrap_ci95": (0.99, 1.12)})
    [change] = choose_words([doubtful])

    assert change.word is ChangeWord.INCONCLUSIVE
    assert any("bootstrap" in note for note in change.notes)


def test_no_changes_are_no_fault() -> None:
    assert choose_words([]) == []


# Changes with a known truth.


def test_a_cost_that_differs_between_conditions_is_recovered() -> None:
    scenario = make_factors()
    verdict = verdict_on(scenario, make_slots(scenario, costing_by_condition(1.10, 1.21)))
    change = change_of(verdict, "cost")
    low, high = change.ci95 or (0, 0)

    assert change.ratio == pytest.approx(1.1, rel=0.005)
    assert low < 1.1 < high
    assert change.difference == pytest.approx(20 * (0.21 - 0.10), abs=0.15)
    assert change.word is ChangeWord.CHANGED
    assert (change.baseline, change.candidate, change.blocks) == ("host", "bridge", 12)
    assert (change.factor, change.reference, change.level) == ("lab.engine", "machine", "debian:trixie")
    assert (change.reference_condition, change.condition) == ("engine=machine", "engine=debian:trixie")


@pytest.mark.parametrize("metric", PERFORMANCE)
def test_a_ratio_above_1_means_that_the_cost_grew_on_every_metric(metric: Metric) -> None:
    scenario = make_factors()
    change = change_of(
        verdict_on(scenario, make_slots(scenario, costing_by_condition(1.1, 1.32))), "cost", metric=metric
    )

    assert change.ratio == pytest.approx(1.2, rel=0.01)
    assert (change.difference or 0) * (-1 if metric.higher_is_better else 1) > 0
    assert change.unit == metric.unit


def test_the_same_cost_under_both_conditions_is_no_practical_change() -> None:
    scenario = make_factors()
    verdict = verdict_on(scenario, make_slots(scenario, costing_by_condition(1.1, 1.1)))

    assert {change.word for change in verdict.changes} == {ChangeWord.NO_PRACTICAL_CHANGE}
    assert change_of(verdict, "cost").ratio == pytest.approx(1, abs=0.005)


def test_a_slower_machine_changes_the_arms_but_not_the_ratio_of_their_cost() -> None:
    scenario = make_factors()
    latency = costing_by_condition(1.1, 1.1)
    slots = make_slots(scenario, lambda slot: latency(slot) * (1.3 if slot.condition else 1))
    verdict = verdict_on(scenario, slots)

    for arm in ("host", "bridge"):
        change = change_of(verdict, "arm", arm)
        assert (change.baseline, change.word) == (arm, ChangeWord.CHANGED)
        assert change.ratio == pytest.approx(1.3, rel=0.005)
    assert change_of(verdict, "arm", "host").difference == pytest.approx(6, abs=0.1)
    assert change_of(verdict, "cost").word is ChangeWord.NO_PRACTICAL_CHANGE


def test_a_cost_is_the_difference_of_the_changes_of_its_arms() -> None:
    scenario = make_factors(blocks=5)
    verdict = verdict_on(scenario, make_slots(scenario, costing_by_condition(1.1, 1.2, size=0.02)))
    for metric in PERFORMANCE:
        cost, host, bridge = (
            change_of(verdict, "cost", metric=metric),
            change_of(verdict, "arm", "host", metric),
            change_of(verdict, "arm", "bridge", metric),
        )
        assert cost.ratio == pytest.approx((bridge.ratio or 0) / (host.ratio or 1))
        assert cost.difference == pytest.approx((bridge.difference or 0) - (host.difference or 0))


def test_drift_between_blocks_does_not_widen_a_change() -> None:
    scenario = make_factors()
    latency = costing_by_condition(1.1, 1.21)
    steady = change_of(verdict_on(scenario, make_slots(scenario, latency)), "cost")
    drifting = change_of(
        verdict_on(scenario, make_slots(scenario, lambda slot: latency(slot) * 1.2**slot.block)), "cost"
    )

    assert drifting.ci95 == pytest.approx(steady.ci95)


def test_noise_alone_is_seldom_called_a_change() -> None:
    # Narrow margins, so that nothing but the intervals and Holm's correction decides.
    scenario = make_factors(blocks=8, arms=(HOST, BRIDGE, THIRD), margins=NARROW)
    verdicts = [
        verdict_on(scenario, make_slots(scenario, costing_by_condition(1.1, 1.1, size=0.02, seed=seed)))
        for seed in range(12)
    ]
    families = [
        [change for change in verdict.changes if change.metric is P50 and change.word != "INVALID"]
        for verdict in verdicts
    ]
    by_holm = sum(any(c.word is ChangeWord.CHANGED for c in family) for family in families)
    uncorrected = sum(any((c.p_value or 1) < 0.05 for c in family) for family in families)

    assert by_holm <= 1
    assert uncorrected > by_holm


@given(st.floats(0.8, 1.25), st.floats(0.8, 1.25))
@settings(max_examples=5)
def test_exchanging_the_levels_inverts_ratios_and_negates_differences(one: float, other: float) -> None:
    scenario = make_factors(blocks=4)
    reverse = make_factors({"lab.engine": ("debian:trixie", "machine")}, blocks=4)
    slots = make_slots(scenario, costing_by_condition(one, other))
    exchanged = [slot.model_copy(update={"condition": 1 - slot.condition}) for slot in slots]
    there, back = verdict_on(scenario, slots), verdict_on(reverse, exchanged)

    for kind in ("cost", "arm"):
        forth, again = change_of(there, kind), change_of(back, kind)
        assert log(again.ratio or 0) == pytest.approx(-log(forth.ratio or 0), abs=1e-12)
        assert again.difference == pytest.approx(-(forth.difference or 0))
        assert again.p_holm == pytest.approx(forth.p_holm)
        assert (again.reference, again.level) == (forth.level, forth.reference)
