"""A knee as the middle of a curve: how likely a rate is to be sustained, fitted to every probe of an arm.

Near its knee a rate is sustained at one time and not at another, so that two rates between which a knee was
confirmed say nothing of how sure that is. The likelihood of a logistic curve does: its profile gives an
interval of the knee, and of the ratio of two knees.
"""

from collections.abc import Sequence
from math import exp, log

import numpy as np
from scipy.special import log_expit

from bench.judgement.capacity.knee import Outcome, Trial
from bench.stored import Stored

SLOPES = np.geomspace(0.01, 0.15, 25)
"""Width of the curve on the logarithm of the rate. It goes from 10 to 90 % over 4.4 times that: a few percent
of the rate on a quiet machine, half of it on one that stands still for as long as the limit."""
STEP = 0.002
"""Of the knee, on the logarithm of the rate."""
REACH = 1.2
"""Beyond the rates that were probed, on the same logarithm."""
CRITICAL = 4.9
"""Of twice the logarithm of the likelihood's ratio. Chi-square's 3.84 is for many probes: of the twenty that
a search takes, it told two equal knees apart in up to 12 % of simulated searches, and this in 5."""


class FittedKnee(Stored):
    """The rate that is sustained as often as not."""

    rps: float
    ci95: tuple[float, float]
    """By the profile likelihood; an end that no probe bounds is at the reach of the fit."""


class FittedRatio(Stored):
    """Of two knees."""

    ratio: float
    ci95: tuple[float, float]


def fit_knee(trials: Sequence[Trial]) -> FittedKnee | None:
    """The knee of one arm's trials, void ones aside; None where all were sustained, or none."""
    places = _grid([trials])
    profile = _profile(trials, places)
    if profile is None:
        return None
    inside = places[2 * (profile.max() - profile) <= CRITICAL]
    return FittedKnee(rps=exp(places[_middle_of_best(profile)]), ci95=(exp(inside.min()), exp(inside.max())))


def fit_ratio(ours: Sequence[Trial], others: Sequence[Trial]) -> FittedRatio | None:
    """The knee of `ours` by that of `others`; None where either has none."""
    places = _grid([ours, others])
    first, second = _profile(ours, places), _profile(others, places)
    if first is None or second is None:
        return None
    # Of every ratio, the likelihood of the best two knees that have it: shifted sums, on one grid.
    count = len(places)
    shifts = np.arange(1 - count, count)
    joint = np.array([_best_sum(first, second, shift) for shift in range(1 - count, count)])
    inside = shifts[2 * (joint.max() - joint) <= CRITICAL]
    best = exp(shifts[_middle_of_best(joint)] * STEP)
    return FittedRatio(ratio=best, ci95=(exp(inside.min() * STEP), exp(inside.max() * STEP)))


def _best_sum(first: np.ndarray, second: np.ndarray, shift: int) -> float:
    """The largest sum of a value of `first` and that of `second` so many places before it."""
    count = len(first)
    ours = first[max(shift, 0) : count + min(shift, 0)]
    return float(np.max(ours + second[max(-shift, 0) : count - max(shift, 0)]))


def _grid(series: Sequence[Sequence[Trial]]) -> np.ndarray:
    rates = [log(trial.rate_rps) for trials in series for trial in trials] or [0.0]
    return np.arange(min(rates) - REACH, max(rates) + REACH, STEP)


def _profile(trials: Sequence[Trial], places: np.ndarray) -> np.ndarray | None:
    """Of each place of the knee, the log-likelihood with the slope that fits best."""
    counted = [trial for trial in trials if trial.outcome is not Outcome.VOID]
    held = [trial.outcome is Outcome.SUSTAINED for trial in counted]
    if all(held) or not any(held):
        return None
    rates = np.log([trial.rate_rps for trial in counted])
    signs = np.where(held, 1.0, -1.0)
    likelihoods = np.zeros((len(SLOPES), len(places)))
    for rate, sign in zip(rates, signs, strict=True):
        likelihoods += log_expit(sign * (places[None, :] - rate) / SLOPES[:, None])
    return np.asarray(likelihoods.max(axis=0))


def _middle_of_best(profile: np.ndarray) -> int:
    """Of a likelihood that is flat at its top: between two rates that all probes agree on."""
    best = np.flatnonzero(profile >= profile.max() - 1e-6)
    return int(best[len(best) // 2])
