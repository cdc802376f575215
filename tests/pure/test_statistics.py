from collections.abc import Sequence
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from bench.statistics.estimate import (
    RESAMPLES,
    Estimate,
    estimate,
    estimate_shift,
    find_power,
    sensitivity,
    sensitivity_of_shift,
)

# Logs of block ratios are of this size, and stamps of whole nanoseconds keep them this far apart.
values = st.integers(-2_000_000, 2_000_000).map(lambda n: n / 1e6)
samples = st.lists(values, min_size=3, max_size=15)


def one_session(sample: Sequence[float]) -> Estimate:
    return estimate(sample, [0] * len(sample))


def width(interval: tuple[float, float]) -> float:
    return interval[1] - interval[0]


def test_the_interval_of_few_is_that_of_students_t() -> None:
    found = one_session([1, 2, 3, 4, 5])

    # By hand: standard error sqrt(2.5 / 5), t quantiles of 4 degrees of freedom 2.7764 and 2.1318.
    assert found.mean == 3
    assert found.ci95 == pytest.approx((3 - 1.9632, 3 + 1.9632), abs=1e-4)
    assert found.ci90 == pytest.approx((3 - 1.5074, 3 + 1.5074), abs=1e-4)
    assert found.p_value == pytest.approx(0.01324, abs=1e-5)
    assert (found.blocks, found.unit_of_replication) == (5, "block")


def test_the_interval_of_six_and_more_is_that_of_the_means_of_their_subsets() -> None:
    found = one_session([1, 2, 3, 4, 5, 6])

    # By hand: of the 63 means in order, 0.025 * 64 = 1.6 lies between 1 and 1.5, and 3.2 between 2 and 2.
    assert found.ci95 == pytest.approx((1.3, 5.7))
    assert found.ci90 == pytest.approx((2, 5))


@pytest.mark.parametrize("size", [6, 12, 14, 30])
def test_values_that_agree_in_sign_have_the_p_value_of_students_t_or_what_subsets_give_at_most(
    size: int,
) -> None:
    close, apart = [1 + 0.001 * n for n in range(size)], [1.0] * (size - 1) + [1000.0]
    floor = 2 / min(2**size, RESAMPLES + 1)

    assert one_session(close).p_value < 1e-9
    assert one_session(apart).p_value == pytest.approx(floor)


def test_a_mean_of_subsets_that_is_zero_more_than_once_counts_for_zero() -> None:
    assert one_session([-1, 1, -2, 2, -3, 3]).p_value == 1
    assert one_session([0, 0, 1, 1, 1, 1]).p_value == pytest.approx(2 * 3 / 64)


@given(samples)
def test_the_mean_lies_in_the_90_percent_interval_and_that_in_the_95_percent_one(sample: list[float]) -> None:
    found = one_session(sample)

    assert found.ci95[0] <= found.ci90[0] <= found.mean <= found.ci90[1] <= found.ci95[1]
    assert found.mean == pytest.approx(fmean(sample), abs=1e-9)


@given(samples)
def test_the_p_value_is_below_a_twentieth_exactly_where_the_interval_excludes_zero(
    sample: list[float],
) -> None:
    found = one_session(sample)
    excludes_zero = found.ci95[0] > 0 or found.ci95[1] < 0

    assert 0 <= found.p_value <= 1
    if abs(found.p_value - 0.05) > 1e-6:
        assert (found.p_value < 0.05) is excludes_zero


@given(samples)
def test_negated_values_give_the_mirrored_interval(sample: list[float]) -> None:
    there, back = one_session(sample), one_session([-value for value in sample])

    assert back.ci95 == pytest.approx((-there.ci95[1], -there.ci95[0]), abs=1e-9)
    assert back.p_value == pytest.approx(there.p_value, abs=1e-9)


@given(samples, values)
def test_a_constant_added_to_every_value_moves_the_interval_by_it(
    sample: list[float], constant: float
) -> None:
    before, after = one_session(sample), one_session([value + constant for value in sample])

    assert after.mean == pytest.approx(before.mean + constant, abs=1e-9)
    assert after.ci95 == pytest.approx([end + constant for end in before.ci95], abs=1e-7)


def test_the_order_of_blocks_does_not_matter() -> None:
    sample, sessions = [0.1, 0.12, 0.3, 0.31], [0, 0, 1, 1]
    backwards = estimate(sample[::-1], sessions[::-1])

    assert backwards.ci95 == pytest.approx(estimate(sample, sessions).ci95)


@pytest.mark.parametrize(("value", "p_value"), [(0.0, 1.0), (0.25, 0.0), (-0.25, 0.0)])
def test_values_without_any_spread_give_a_point(value: float, p_value: float) -> None:
    found = one_session([value] * 5)

    assert (found.mean, found.ci95, found.ci90) == (value, (value, value), (value, value))
    assert found.p_value == p_value


@pytest.mark.parametrize("size", [5, 8, 16])
def test_of_a_hundred_intervals_about_95_hold_the_truth(size: int) -> None:
    generator = np.random.default_rng(20250101)
    trials = [one_session(generator.normal(0.05, 0.02, size=size).tolist()) for _ in range(400)]
    hits = [trial.ci95[0] <= 0.05 <= trial.ci95[1] for trial in trials]

    assert 0.92 <= fmean(hits) <= 0.98


def test_outliers_on_either_side_leave_it_at_that() -> None:
    # Student's interval holds the truth 98 times in a hundred here: wider than it says.
    generator = np.random.default_rng(1)
    outliers = generator.choice([-1.0, 0.0, 1.0], p=[0.04, 0.92, 0.04], size=(600, 12))
    trials = [one_session(row.tolist()) for row in generator.normal(0, 0.02, (600, 12)) + outliers]

    assert 0.93 <= fmean(trial.ci95[0] <= 0 <= trial.ci95[1] for trial in trials) <= 0.97


def test_several_sessions_are_the_sample_whether_they_differ_or_not() -> None:
    generator = np.random.default_rng(1)
    sample = generator.normal(0.1, 0.01, 20)
    sessions = [block // 5 for block in range(20)]
    found = estimate(sample.tolist(), sessions)
    of_means = one_session(sample.reshape(4, 5).mean(axis=1).tolist())

    assert (found.unit_of_replication, found.blocks) == ("session", 20)
    assert found.mean == pytest.approx(sample.mean())
    assert found.ci95 == pytest.approx(of_means.ci95)
    assert found.p_value == pytest.approx(of_means.p_value)
    assert one_session(sample.tolist()).unit_of_replication == "block"


def test_the_same_seed_gives_the_same_sensitivity_and_another_nearly_the_same() -> None:
    sample = np.random.default_rng(1).normal(0.04, 0.02, size=15).tolist()
    first, again, other = sensitivity(sample, 1), sensitivity(sample, 1), sensitivity(sample, 2)

    assert first == again
    assert first != other
    assert other.bootstrap_ci95 == pytest.approx(first.bootstrap_ci95, abs=0.002)


def test_the_bootstrap_interval_lies_within_the_values_and_holds_their_mean() -> None:
    sample = [0.02, 0.05, 0.01, 0.08, 0.03, 0.04]
    low, high = sensitivity(sample, 1).bootstrap_ci95

    assert min(sample) < low < fmean(sample) < high < max(sample)


def test_flipping_signs_of_five_values_of_one_sign_reaches_two_in_32() -> None:
    assert sensitivity([1, 2, 3, 4, 5], 1).sign_flip_p_value == pytest.approx(2 / 32)
    assert sensitivity([1, -1, 2, -2], 1).sign_flip_p_value == 1


def test_the_hodges_lehmann_estimate_is_the_median_of_means_of_pairs() -> None:
    # Of the 15 means of pairs (each value with itself too) the eighth is 3; the mean would be 22.
    assert sensitivity([1, 2, 3, 4, 100], 1).hodges_lehmann == 3


def test_values_without_any_spread_have_a_point_as_bootstrap_interval() -> None:
    found = sensitivity([0.5] * 4, 1)

    assert (found.bootstrap_ci95, found.hodges_lehmann) == ((0.5, 0.5), 0.5)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_that_differ_by_rounding_alone_have_numbers_as_bootstrap_interval() -> None:
    low, high = sensitivity([1.0, 1.0, np.nextafter(1.0, 2.0)], 1).bootstrap_ci95

    assert low == pytest.approx(1.0)
    assert high == pytest.approx(1.0)


@given(samples, samples)
def test_a_shift_between_two_samples_is_that_of_welchs_test(before: list[float], after: list[float]) -> None:
    found = estimate_shift(before, [0] * len(before), after, [0] * len(after))
    assert found.mean == pytest.approx(fmean(after) - fmean(before), abs=1e-9)
    if max(np.ptp(before), np.ptp(after)) < 1e-9:
        assert found.ci95 == (found.mean, found.mean)
        return
    if min(np.ptp(before), np.ptp(after)) < 1e-3:
        return  # of samples so nearly without spread theirs warns that it is not to be relied upon
    theirs = ttest_ind(after, before, equal_var=False)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    for level, interval in ((0.95, found.ci95), (0.90, found.ci90)):
        assert interval == pytest.approx(tuple(theirs.confidence_interval(level)), rel=1e-6, abs=1e-9)


def test_of_a_shift_sessions_are_the_sample_of_the_run_that_has_them() -> None:
    found = estimate_shift([1, 2, 3], [0, 0, 0], [1, 3, 5, 7], [0, 0, 1, 1])
    by_means = estimate_shift([1, 2, 3], [0, 0, 0], [2, 6], [0, 0])
    assert found.ci95 == by_means.ci95
    assert found.unit_of_replication == "block and session"


def test_the_bootstrap_interval_of_a_shift_holds_it_and_resamples_both_samples() -> None:
    before, after = [1.0, 2.0, 4.0], [6.0, 7.0, 9.0]
    found = sensitivity_of_shift(before, after, seed=1)
    assert found.bootstrap_ci95[0] < 5 < found.bootstrap_ci95[1]
    assert found.bootstrap_ci95[1] - found.bootstrap_ci95[0] > 2, "equal resamples would cancel"
    assert found.hodges_lehmann == 5
    assert found.sign_flip_p_value is None


@given(sample=samples, margin=st.floats(0.001, 1))
def test_power_is_a_share_and_a_number_whatever_the_spread(sample: list[float], margin: float) -> None:
    assert 0 <= find_power(sample, [0] * len(sample), margin) <= 1.0001


@pytest.mark.parametrize("spread", [0.001, 0.01, 0.03, 0.1, 1.0])
@pytest.mark.parametrize("count", [3, 4, 6, 20])
def test_power_has_a_number_from_a_few_blocks_to_many(count: int, spread: float) -> None:
    sample = [spread * (-1) ** place for place in range(count)]

    assert 0 <= find_power(sample, [0] * count, 0.05) <= 1.0001
