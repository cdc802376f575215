import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics.histogram import HIGHEST_US, LOWEST_US, WIDTH, count_latencies, find_quantiles

LEVELS = np.array([0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0])
LATENCIES = st.lists(st.floats(LOWEST_US, HIGHEST_US), min_size=1, max_size=300).map(np.array)


@given(LATENCIES)
def test_a_quantile_lies_within_a_bin_of_the_values_around_its_rank(latencies_us: np.ndarray) -> None:
    found = find_quantiles(count_latencies(latencies_us), LEVELS)

    lower = np.quantile(latencies_us, LEVELS, method="lower")
    higher = np.quantile(latencies_us, LEVELS, method="higher")
    room = 1 + 1.01 * WIDTH
    assert (lower / room <= found).all()
    assert (found <= higher * room).all()


@given(LATENCIES, LATENCIES)
def test_counts_of_two_arrays_add_up_to_those_of_both(first: np.ndarray, second: np.ndarray) -> None:
    both = count_latencies(np.concatenate([first, second]))

    assert (both == count_latencies(first) + count_latencies(second)).all()
    assert both.sum() == len(first) + len(second)


def test_latencies_beyond_the_bins_are_counted_at_their_ends() -> None:
    counts = count_latencies(np.array([0.0, 1e12]))

    assert counts[0] == counts[-1] == 1


def test_nothing_counted_is_all_zero() -> None:
    assert not count_latencies(np.empty(0)).any()
