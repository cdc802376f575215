"""Numbers in, numbers out: the estimate of an effect from one value a block.

The unit is the block, never the request: requests of one slot share its container, its memory
layout and its moment, so they are pseudo-replicates (Kalibera & Jones, ISMM 2013).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log1p, sqrt

import numpy as np
from scipy.special import nctdtr, stdtr, stdtrit

from bench.statistics.resampling import (
    bootstrap_interval,
    bootstrap_shift_interval,
    sign_flip_p_value,
    subset_means,
    values_at,
)

FEWEST_SUBSETS = 6
"""Values whose subsets give a 95 % interval: of n values 2 in 2^n lie outside of all their means."""
EQUAL = 1e-12
"""Spread below which values (logarithms of ratios, or microseconds) are equal but for rounding."""
LEVELS = np.array([0.025, 0.05, 0.95, 0.975])
PRIOR_VALUES = 1.0
"""What the prior of a confidence sequence weighs, in values: its intervals are narrowest for some ten."""
MOST_SHIFTED = 6.0
"""Times the limit, beyond which power is 1, and the non-central t at length no number."""
RESAMPLES = 9_999
"""Resamples of the bootstrap, and most subsets (odd, so that quantiles fall on values)."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over blocks with its intervals, in the unit of the values."""

    mean: float
    ci95: tuple[float, float]
    ci90: tuple[float, float]
    blocks: int
    unit_of_replication: str
    """`block`, or `session` where there are several."""
    p_value: float
    """Two-sided, of a mean of zero; below 0.05 where the 95 % interval excludes it."""


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """The same by other methods, printed beside the estimate."""

    bootstrap_ci95: tuple[float, float]
    sign_flip_p_value: float | None
    """None of two samples: there are no signs to flip."""
    hodges_lehmann: float


def estimate(values: Sequence[float], sessions: Sequence[int], *, anytime: bool = False) -> Estimate:
    """Interval of the mean of `values` (one a block), each from the session of that place.

    Needs two values or more. Where there are several sessions, their means are the sample: what a
    session does to one arm and not to another is in every block of it alike.

    The interval of six or more is that of the means of all subsets of the sample: where values lie
    evenly about the truth, it is as likely to lie between any two neighbouring ones (Hartigan,
    JASA 64, 1969). It inverts the sign-flip test, and the plan's shuffle is all that it assumes.
    Of fewer it is Student's.

    `anytime`: of a sample that was looked at after every value, and may have ended by what it said (see
    `_follow_sequence`).
    """
    sample, unit = replicate(values, sessions)
    if np.ptp(sample) <= EQUAL:  # a point: there is nothing to tell how far off it may be
        mean = float(sample.mean())
        ci95, ci90, p_value = (mean, mean), (mean, mean), float(abs(mean) <= EQUAL)
    elif anytime:
        ci95, ci90, p_value = _follow_sequence(sample)
    elif len(sample) < FEWEST_SUBSETS:
        ci95, ci90, p_value = _follow_student(sample)
    else:
        ci95, ci90, p_value = _follow_subsets(sample)
    return Estimate(
        mean=float(sample.mean()),
        ci95=ci95,
        ci90=ci90,
        blocks=len(values),
        unit_of_replication=unit,
        p_value=p_value,
    )


def estimate_shift(
    before: Sequence[float],
    before_sessions: Sequence[int],
    after: Sequence[float],
    after_sessions: Sequence[int],
) -> Estimate:
    """How far the mean of `after` lies above that of `before`: two independent samples of blocks.

    Each needs two values or more; of a run with several sessions their means are the sample, as in
    `estimate`. Welch's t (Biometrika 34, 1947): the two may differ in spread and in number.
    """
    first, first_unit = replicate(before, before_sessions)
    second, second_unit = replicate(after, after_sessions)
    samples = first, second
    shift = float(second.mean() - first.mean())
    shares = [float(sample.var(ddof=1)) / len(sample) for sample in samples]
    error = sqrt(sum(shares))
    if error <= EQUAL:
        ci95, ci90, p_value = (shift, shift), (shift, shift), float(abs(shift) <= EQUAL)
    else:
        freedom = sum(shares) ** 2 / sum(
            share**2 / (len(sample) - 1) for share, sample in zip(shares, samples, strict=True)
        )
        ci95, ci90, p_value = _spread_by_student(shift, error, freedom)
    return Estimate(
        mean=shift,
        ci95=ci95,
        ci90=ci90,
        blocks=len(before) + len(after),
        unit_of_replication=" and ".join(dict.fromkeys((first_unit, second_unit))),
        p_value=p_value,
    )


def find_power(values: Sequence[float], sessions: Sequence[int], margin: float) -> float:
    """How often a run with so many values, and their spread, would tell a mean of log(1 + margin) from none.

    At the two-sided 5 % level; from the non-central t distribution (Cohen 1988). Of a spread of nothing, 1.
    """
    sample, _ = replicate(values, sessions)
    error = float(sample.std(ddof=1)) / sqrt(len(sample))
    if error <= EQUAL:
        return 1.0
    freedom, shift = len(sample) - 1, log1p(margin) / error
    limit = float(stdtrit(freedom, 0.975))
    if shift > MOST_SHIFTED * limit:
        return 1.0
    # Far out in a tail scipy's has no number: there it is nothing.
    missed, other = (float(np.nan_to_num(nctdtr(freedom, shift, end))) for end in (limit, -limit))
    return 1 - missed + other


def find_new_session(values: Sequence[float], sessions: Sequence[int]) -> tuple[float, float] | None:
    """Where the mean of one more session is expected, with 95 %; None of a single session.

    Student's prediction interval, of the means of the sessions so far.
    """
    sample, unit = replicate(values, sessions)
    if unit != "session":
        return None
    reach = float(stdtrit(len(sample) - 1, 0.975) * sample.std(ddof=1) * sqrt(1 + 1 / len(sample)))
    return float(sample.mean()) - reach, float(sample.mean()) + reach


def replicate(values: Sequence[float] | np.ndarray, sessions: Sequence[int]) -> tuple[np.ndarray, str]:
    """What is independent of one another, and its name: the blocks, or the means of several sessions.

    `values`: one a block, or a row a block.
    """
    sample, labels = np.asarray(values, dtype=float), np.asarray(sessions)
    if len(set(sessions)) == 1:
        return sample, "block"
    return np.array([sample[labels == session].mean(axis=0) for session in sorted(set(sessions))]), "session"


Found = tuple[tuple[float, float], tuple[float, float], float]
"""95 % interval, 90 % interval, p-value of a mean of zero."""


def _follow_student(sample: np.ndarray) -> Found:
    error = float(sample.std(ddof=1)) / sqrt(len(sample))
    return _spread_by_student(float(sample.mean()), error, len(sample) - 1)


def _spread_by_student(mean: float, error: float, freedom: float) -> Found:
    half95, half90 = (float(stdtrit(freedom, level)) * error for level in (0.975, 0.95))
    p_value = float(2 * stdtr(freedom, -abs(mean) / error))
    return (mean - half95, mean + half95), (mean - half90, mean + half90), p_value


def _follow_sequence(sample: np.ndarray) -> Found:
    """A confidence sequence: with 95 % its intervals hold the truth at all sizes of the sample together.

    The Bayes factor of a mean against none, with a normal prior of the mean in standard deviations and the
    right Haar prior of these, is below 1 / alpha at all times with probability 1 - alpha whatever the
    deviation (Hendriksen, de Heide & Grunwald, Bayesian Analysis 16, 2021; Wang & Ramdas, Anytime-valid
    t-tests, 2024); solved here for the mean. Of a few values it has no ends.
    """
    count, mean = len(sample), float(sample.mean())
    error = float(sample.std(ddof=1)) / sqrt(count)
    growth = 1 + count / PRIOR_VALUES
    reach95, reach90 = (_reach_of_sequence(count, growth, alpha) * error for alpha in (0.05, 0.1))
    squared = (mean / error) ** 2
    shrunk = ((count - 1 + squared) / (count - 1 + squared / growth)) ** (count / 2)
    p_value = min(1.0, sqrt(growth) / shrunk)
    return (mean - reach95, mean + reach95), (mean - reach90, mean + reach90), p_value


def _reach_of_sequence(count: int, growth: float, alpha: float) -> float:
    """In standard errors."""
    limit = (sqrt(growth) / alpha) ** (2 / count)
    return sqrt((count - 1) * (limit - 1) / (1 - limit / growth)) if limit < growth else inf


def _follow_subsets(sample: np.ndarray) -> Found:
    means = subset_means(sample, RESAMPLES)
    low95, low90, high90, high95 = values_at(means, LEVELS * (len(means) + 1) - 1)
    below, above = means[means < 0], means[means > 0]
    if len(below) == len(means) or len(above) == len(means):
        # All agree in sign: subsets cannot say by how much, and Holm's correction must know.
        p_value = min(2 / (len(means) + 1), _follow_student(sample)[2])
    else:
        # The places of the first and the last mean that are zero, or of zero between two.
        first, last = len(below) + 1.0, float(len(means) - len(above))
        if first > last:
            first = last = last + below.max() / (below.max() - above.min())
        p_value = float(min(1.0, 2 * min(last, len(means) + 1 - first) / (len(means) + 1)))
    return (low95, high95), (low90, high90), p_value


def sensitivity(values: Sequence[float], seed: int) -> Sensitivity:
    """Bootstrap interval, sign-flip test and Hodges-Lehmann estimate of the mean of `values`.

    The bootstrap (BCa) under-covers below about 15 blocks: it stands beside the interval, never
    instead of it.
    """
    sample = np.asarray(values, dtype=float)
    if np.ptp(sample) <= EQUAL:
        low = high = float(sample.mean())
    else:
        low, high = bootstrap_interval(sample, RESAMPLES, seed)
    walsh = np.concatenate([sample[place:] + value for place, value in enumerate(sample)]) / 2
    return Sensitivity(
        bootstrap_ci95=(low, high),
        sign_flip_p_value=sign_flip_p_value(sample, RESAMPLES),
        hodges_lehmann=float(np.median(walsh)),
    )


def sensitivity_of_shift(before: Sequence[float], after: Sequence[float], seed: int) -> Sensitivity:
    """Percentile bootstrap and Hodges-Lehmann estimate of the shift from `before` to `after`."""
    samples = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    return Sensitivity(
        bootstrap_ci95=bootstrap_shift_interval(*samples, RESAMPLES, seed),
        sign_flip_p_value=None,
        hodges_lehmann=float(np.median(samples[1][:, None] - samples[0][None, :])),
    )


def equivalence_p_value(logs: Sequence[float], sessions: Sequence[int], margin: float) -> float:
    """Of a mean ratio outside [1/(1+margin), 1+margin]; `logs` are logarithms of ratios, one a block.

    The larger p-value of the two one-sided tests (Schuirmann 1987): below 0.05 where the 90 %
    interval of `estimate` lies inside the margin.
    """
    half_width = log1p(margin)
    above = estimate([half_width + value for value in logs], sessions)
    below = estimate([half_width - value for value in logs], sessions)
    return max(found.p_value / 2 if found.mean > 0 else 1 - found.p_value / 2 for found in (above, below))


def correct_by_holm(p_values: Sequence[float]) -> list[float]:
    """The p-values that hold for all of a family together (Holm 1979), in their own order.

    Not statsmodels': its multipletests collects garbage in every call, which takes longer than a
    run's whole verdict.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - place)))
        corrected[index] = largest
    return corrected
