import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bench.statistics.estimate import correct_by_holm
from bench.statistics.resampling import (
    bootstrap_interval,
    draw_subsets,
    sign_flip_p_value,
    subset_means,
    values_at,
)


def draw_sample(count: int) -> np.ndarray:
    """Sums of these are exact in any order, so that equal means are equal in every library."""
    return np.round(np.random.default_rng(count).normal(0.02, 0.03, count) * 2**12) / 2**12


@pytest.mark.parametrize("count", [4, 8, 16, 300])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_bootstrap_interval_is_scipys_with_the_same_seed(count: int, seed: int) -> None:
    sample = draw_sample(count)
    expected = stats.bootstrap(
        (sample,), np.mean, n_resamples=2_500, method="BCa", rng=np.random.default_rng(seed)
    ).confidence_interval

    assert bootstrap_interval(sample, 2_500, seed) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("count", [3, 6, 9])
def test_the_sign_flip_test_is_scipys_where_all_flips_are_taken(count: int) -> None:
    sample = draw_sample(count)
    expected = stats.permutation_test((sample,), np.mean, permutation_type="samples", n_resamples=999).pvalue

    assert sign_flip_p_value(sample, 999) == pytest.approx(expected)


def test_the_sign_flip_test_is_nearly_scipys_where_flips_are_drawn() -> None:
    sample = draw_sample(20)
    expected = stats.permutation_test(
        (sample,), np.mean, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(1)
    ).pvalue

    assert sign_flip_p_value(sample, 9999) == pytest.approx(expected, abs=0.01)


def test_subsets_of_many_values_take_half_of_them_on_the_whole_and_their_means_are_exact() -> None:
    sample = draw_sample(200)
    subsets = draw_subsets(200, 2_500)
    expected = [float(sample[row > 0].mean()) for row in subsets]

    assert subsets.shape == (2_500, 200)
    assert subsets.nbytes == subsets.size
    assert subsets.mean() == pytest.approx(0.5, abs=0.01)
    assert subset_means(sample, 2_500).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("count", "most", "rows"), [(3, 7, 7), (3, 6, 6), (5, 99, 31), (20, 99, 99)])
def test_subsets_are_all_that_are_not_empty_or_as_many_as_may_be(count: int, most: int, rows: int) -> None:
    subsets = draw_subsets(count, most)

    assert subsets.shape == (rows, count)
    assert subsets.any(axis=1).all()
    if rows == 2**count - 1:
        assert len(np.unique(subsets, axis=0)) == rows


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30), st.lists(st.floats(0, 1), min_size=1))
def test_values_at_places_are_quantiles(values: list[float], levels: list[float]) -> None:
    found = values_at(np.array(values), np.array(levels) * (len(values) - 1))

    assert found == pytest.approx(np.quantile(values, levels).tolist(), abs=1e-12)


@pytest.mark.slow
@given(st.lists(st.floats(0, 1), max_size=12))
@settings(max_examples=15)
def test_holms_correction_is_that_of_statsmodels(p_values: list[float]) -> None:
    expected = multipletests(p_values, method="holm")[1] if p_values else []

    assert correct_by_holm(p_values) == pytest.approx(list(expected))
