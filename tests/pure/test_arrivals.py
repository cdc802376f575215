"""Arrivals of an open loop: what a seed gives, and whether a Poisson process it is."""

from math import sqrt
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.generator.arrivals import DRAWN_AT_ONCE, draw_arrivals

KINDS = st.sampled_from(["poisson", "uniform"])
Kind = Literal["poisson", "uniform"]
RATES = st.floats(0.5, 50_000)
SECONDS = st.floats(0.01, 2)
SEEDS = st.integers(0, 2**53 - 1)
COUNT = 200_000


def gaps_s(kind: Kind, rate_rps: float, seed: int = 1) -> np.ndarray:
    gaps: np.ndarray = np.diff(draw_arrivals(kind, rate_rps, COUNT / rate_rps, seed)) / 1e9
    return gaps


@given(KINDS, RATES, SECONDS, SEEDS)
def test_a_seed_gives_the_same_arrivals_again(kind: Kind, rate: float, seconds: float, seed: int) -> None:
    first = draw_arrivals(kind, rate, seconds, seed)

    assert first.tolist() == draw_arrivals(kind, rate, seconds, seed).tolist()
    assert first.dtype == np.int64


@given(KINDS, RATES, SECONDS, SEEDS)
def test_arrivals_ascend_and_lie_inside_their_time(
    kind: Kind, rate: float, seconds: float, seed: int
) -> None:
    arrivals = draw_arrivals(kind, rate, seconds, seed)

    assert (np.diff(arrivals) >= 0).all()
    assert ((arrivals >= 0) & (arrivals < round(seconds * 1e9))).all()


@given(KINDS, RATES, SECONDS, SEEDS)
def test_more_seconds_continue_the_same_arrivals(kind: Kind, rate: float, seconds: float, seed: int) -> None:
    short, long = draw_arrivals(kind, rate, seconds, seed), draw_arrivals(kind, rate, 2 * seconds, seed)

    assert long[: len(short)].tolist() == short.tolist()


@pytest.mark.parametrize("kind", ["poisson", "uniform"])
def test_another_rate_stretches_the_same_arrivals(kind: Kind) -> None:
    slow, fast = draw_arrivals(kind, 1_000, 2, seed=5), draw_arrivals(kind, 2_000, 1, seed=5)

    assert len(slow) == len(fast)
    assert np.abs(slow - 2 * fast).max() <= 2  # Each is cut to a whole nanosecond.


@pytest.mark.parametrize("kind", ["poisson", "uniform"])
def test_another_seed_gives_other_arrivals(kind: Kind) -> None:
    assert len({draw_arrivals(kind, 1_000, 0.1, seed)[0] for seed in range(50)}) == 50


@pytest.mark.parametrize("rate", [100.0, 3_000.0, 50_000.0])
def test_gaps_of_a_poisson_process_have_the_mean_and_the_variance_of_an_exponential(rate: float) -> None:
    gaps = gaps_s("poisson", rate) * rate

    # Five standard errors: of the mean 1 / sqrt(n), of the variance sqrt(8 / n), whose kurtosis is 9.
    assert gaps.mean() == pytest.approx(1, abs=5 / sqrt(COUNT))
    assert gaps.var() == pytest.approx(1, abs=5 * sqrt(8 / COUNT))
    assert (gaps > 1).mean() == pytest.approx(np.exp(-1), abs=5 * sqrt(0.25 / COUNT))
    assert np.corrcoef(gaps[:-1], gaps[1:])[0, 1] == pytest.approx(0, abs=5 / sqrt(COUNT))


def test_counts_of_a_poisson_process_vary_as_much_as_their_mean() -> None:
    counts = np.array([len(draw_arrivals("poisson", 500, 1, seed)) for seed in range(400)])

    assert counts.mean() == pytest.approx(500, abs=5 * sqrt(500 / 400))
    assert counts.var(ddof=1) == pytest.approx(500, abs=5 * 500 * sqrt(2 / 399))


def test_a_poisson_process_goes_on_where_one_draw_ends() -> None:
    arrivals = draw_arrivals("poisson", 1e6, 3 * DRAWN_AT_ONCE / 1e6, seed=2)
    after = np.diff(arrivals)[DRAWN_AT_ONCE - 5 : DRAWN_AT_ONCE + 5]

    assert len(arrivals) > 2 * DRAWN_AT_ONCE
    assert ((after >= 0) & (after < 30_000)).all()


def test_uniform_arrivals_are_evenly_spaced_from_a_start_inside_the_first_gap() -> None:
    arrivals = draw_arrivals("uniform", 4_000, 0.5, seed=3)

    assert len(arrivals) == 2_000
    assert 0 <= arrivals[0] < 250_000
    assert set(np.diff(arrivals).tolist()) <= {249_999, 250_000, 250_001}
