"""A knee with an interval: by the likelihood of a curve through all probes of an arm."""

from math import log

import numpy as np
import pytest

from bench.judgement.capacity.curve import fit_knee, fit_ratio
from bench.judgement.capacity.knee import Outcome, Trial

HELD, REFUSED, VOID = Outcome.SUSTAINED, Outcome.REFUSED, Outcome.VOID


def trials_of(knee_rps: float, slope: float, seed: int, count: int = 30) -> list[Trial]:
    generator = np.random.default_rng(seed)
    rates = knee_rps * np.exp(generator.uniform(-0.2, 0.2, count))
    chances = 1 / (1 + np.exp((np.log(rates) - log(knee_rps)) / slope))
    return [
        Trial(float(rate), HELD if generator.random() < chance else REFUSED, confirming=True)
        for rate, chance in zip(rates, chances, strict=True)
    ]


def test_the_knee_is_where_a_rate_is_sustained_as_often_as_not() -> None:
    found = fit_knee(trials_of(10_000, 0.03, 1, count=200))

    assert found
    assert found.rps == pytest.approx(10_000, rel=0.03)
    assert found.ci95[0] < 10_000 < found.ci95[1]


def test_probes_that_all_agree_bound_the_knee_between_the_two_nearest() -> None:
    trials = [Trial(rate, HELD, confirming=True) for rate in (8_000.0, 9_000.0)] * 3
    trials += [Trial(rate, REFUSED, confirming=True) for rate in (9_500.0, 12_000.0)] * 3
    found = fit_knee(trials)

    assert found
    assert 9_000 < found.rps < 9_500
    assert 8_000 < found.ci95[0] < 9_050
    assert 9_500 < found.ci95[1] < 12_000


@pytest.mark.parametrize("outcome", [HELD, REFUSED])
def test_probes_that_were_all_alike_bound_nothing(outcome: Outcome) -> None:
    trials = [Trial(rate, outcome, confirming=True) for rate in (8_000.0, 9_000.0)]

    assert fit_knee(trials) is None
    assert fit_ratio(trials, trials_of(9_000, 0.02, 2)) is None


def test_a_void_probe_says_nothing() -> None:
    trials = trials_of(10_000, 0.03, 3)
    void = [Trial(rate, VOID, confirming=True) for rate in (2_000.0, 50_000.0)]

    assert fit_knee([*trials, *void]) is not None
    assert fit_knee(void) is None
    found, without = fit_ratio([*trials, *void], trials), fit_ratio(trials, trials)
    assert found
    assert without
    assert found.ci95 == pytest.approx(without.ci95, rel=0.005)


def test_two_knees_far_apart_are_told_apart_and_their_ratio_is_turned_by_turning_them() -> None:
    ours, others = trials_of(13_000, 0.02, 4, count=60), trials_of(10_000, 0.02, 5, count=60)
    there, back = fit_ratio(ours, others), fit_ratio(others, ours)

    assert there
    assert back
    assert there.ci95[0] > 1.15
    assert there.ratio == pytest.approx(1.3, rel=0.05)
    assert log(there.ratio) == pytest.approx(-log(back.ratio), abs=0.005)
    assert there.ci95[0] == pytest.approx(1 / back.ci95[1], rel=0.005)


def test_an_interval_of_a_knee_that_wavers_is_wider() -> None:
    def width(slope: float) -> float:
        found = fit_knee(trials_of(10_000, slope, 6, count=60))
        assert found
        return found.ci95[1] / found.ci95[0]

    assert width(0.12) > width(0.02) > 1
