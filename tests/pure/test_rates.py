from collections.abc import Sequence
from math import sqrt

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from bench.judgement import effect
from bench.judgement.verdict import judge
from bench.statistics import estimate
from bench.statistics.estimate import Estimate
from bench.validation import error_rates
from bench.validation.error_rates import TARGETS, Measure, Rate, count_experiments, count_families
from bench.validation.simulation import Noise, Setting, make_experiment

NORMAL = Noise(name="normal")
SESSIONS = Noise(name="sessions", session=0.03, sessions=4)


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "RESAMPLES", 199)


def counted(noise: Noise, experiments: int, blocks: int = 12) -> dict[Measure, Rate]:
    setting = Setting(noise=noise, blocks=blocks, slots_per_arm=2)
    return {rate.measure: rate for rate in count_experiments(setting, experiments)}


def rate_of(hits: int, trials: int, measure: Measure = Measure.COVERAGE) -> Rate:
    return Rate(
        part="simulated",
        setting="a",
        blocks=6,
        slots_per_arm=2,
        measure=measure,
        hits=hits,
        trials=trials,
    )


# A rate and its uncertainty.


@pytest.mark.parametrize(("hits", "trials"), [(0, 40), (2, 40), (40, 40), (50, 1000)])
def test_the_interval_of_a_rate_is_the_exact_binomial_one(hits: int, trials: int) -> None:
    expected = binomtest(hits, trials).proportion_ci(method="exact")

    assert rate_of(hits, trials).ci95 == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("hits", "is_off"), [(900, True), (922, False), (950, False), (978, False), (995, True)]
)
def test_a_rate_is_off_where_its_whole_interval_is_outside_of_the_target(hits: int, is_off: bool) -> None:
    assert rate_of(hits, 1000).is_off is is_off


def test_what_has_no_target_is_not_off() -> None:
    assert Measure.INVALID not in TARGETS
    assert not rate_of(999, 1000, Measure.INVALID).is_off


# Simulated experiments.


def test_a_setting_has_every_measure_and_gives_the_same_counts_again() -> None:
    first = counted(NORMAL, 20)

    assert first == counted(NORMAL, 20)
    assert set(first) == {
        Measure.INTERVAL_ALARM,
        Measure.WORD_ALARM,
        Measure.COVERAGE,
        Measure.FALSE_EQUIVALENT,
        Measure.CLAIM_ALARM,
        Measure.INVALID,
        Measure.POWER_2,
        Measure.POWER_5,
    }
    assert {first[measure].trials for measure in (Measure.INTERVAL_ALARM, Measure.COVERAGE)} == {20}
    assert first[Measure.POWER_5].trials == 2


@pytest.mark.slow
def test_what_is_large_is_always_found_and_what_is_small_in_much_noise_hardly_ever() -> None:
    quiet, loud = counted(Noise(name="quiet", slot=0.001), 30), counted(Noise(name="loud", slot=0.3), 30)

    assert (quiet[Measure.POWER_5].share, quiet[Measure.POWER_2].share) == (1, 1)
    assert loud[Measure.POWER_2].share < 1


@pytest.mark.slow
def test_the_real_method_is_on_target() -> None:
    assert [rate.measure for rate in counted(NORMAL, 50).values() if rate.is_off] == []
    assert [rate.measure for rate in counted(SESSIONS, 50).values() if rate.is_off] == []


# A check that cannot fail is a defect: broken methods must be caught.


def with_interval(mean: float, error: float) -> Estimate:
    """The normal interval of `mean`, whatever the number of blocks."""
    ends95, ends90 = (mean - 1.96 * error, mean + 1.96 * error), (mean - 1.645 * error, mean + 1.645 * error)
    return Estimate(
        mean=mean,
        ci95=ends95,
        ci90=ends90,
        blocks=1,
        unit_of_replication="block",
        p_value=float(2 * norm.sf(abs(mean) / error)),
    )


def as_if_requests_were_independent(values: Sequence[float], _: Sequence[int], **__: bool) -> Estimate:
    """A block's contrast counted as a hundred of its requests'."""
    return with_interval(float(np.mean(values)), float(np.std(values, ddof=1)) / sqrt(100 * len(values)))


def blind_to_sessions(values: Sequence[float], _: Sequence[int], **__: bool) -> Estimate:
    return estimate.estimate(values, [0] * len(values))


def twice_as_wide(values: Sequence[float], sessions: Sequence[int], **__: bool) -> Estimate:
    found = estimate.estimate(values, sessions)
    return with_interval(found.mean, (found.ci95[1] - found.ci95[0]) / 1.96)


def test_requests_that_pass_for_independent_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effect, "estimate", as_if_requests_were_independent)
    broken = counted(NORMAL, 40)

    assert broken[Measure.INTERVAL_ALARM].share > 0.6
    assert broken[Measure.COVERAGE].share < 0.4
    for measure in (Measure.INTERVAL_ALARM, Measure.COVERAGE, Measure.FALSE_EQUIVALENT):
        assert broken[measure].is_off, measure


def test_sessions_that_are_not_seen_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effect, "estimate", blind_to_sessions)
    broken = counted(SESSIONS, 50)

    assert broken[Measure.INTERVAL_ALARM].is_off
    assert broken[Measure.COVERAGE].is_off


@pytest.mark.slow
def test_intervals_that_are_too_wide_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effect, "estimate", twice_as_wide)
    assert counted(NORMAL, 125)[Measure.INTERVAL_ALARM].is_off


def test_a_margin_that_is_not_kept_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = make_experiment(Setting(noise=NORMAL, blocks=12, slots_per_arm=2))
    wide = scenario.model_copy(
        update={"margins": scenario.margins.model_copy(update={"p50_latency_us": 0.1})}
    )
    monkeypatch.setattr(error_rates, "_judge", lambda _, slots: judge(wide, slots, {}, 1))

    assert counted(NORMAL, 40)[Measure.FALSE_EQUIVALENT].is_off


# Families.


def test_a_family_counts_steps_changes_and_claims_where_nothing_differs() -> None:
    setting = Setting(noise=NORMAL, blocks=8, slots_per_arm=2)
    found = {rate.measure: rate for rate in count_families(setting, 10)}

    assert set(found) == {
        Measure.STEP_ALARM,
        Measure.CHANGE_INTERVAL_ALARM,
        Measure.CHANGE_ALARM,
        Measure.CLAIM_ALARM,
    }
    assert {rate.trials for rate in found.values()} == {10}
    assert not any(rate.is_off for rate in found.values())


@pytest.mark.slow
def test_a_family_without_holms_correction_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.judgement.change.correct_by_holm", list)
    setting = Setting(noise=NORMAL, blocks=8, slots_per_arm=2)
    found = {rate.measure: rate for rate in count_families(setting, 25)}

    assert found[Measure.CHANGE_ALARM].is_off
