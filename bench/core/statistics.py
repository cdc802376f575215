"""Numbers in, numbers out: the estimate of an effect from one value a block.

The unit is the block, never the request: requests of one slot share its container, its memory
layout and its moment, so they are pseudo-replicates (Kalibera & Jones, ISMM 2013).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import stdtr, stdtrit

from bench.core.resampling import bootstrap_interval, sign_flip_p_value

SESSION_SHARE_LIMIT = 0.25
"""Share of the variance between sessions above which the session becomes the unit."""
EQUAL = 1e-12
"""Spread below which values (logarithms of ratios, or microseconds) are equal but for rounding."""
RESAMPLES = 9_999
"""Resamples of the bootstrap and of the sign-flip test (odd, so that quantiles fall on values)."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over blocks with its intervals, in the unit of the values."""

    mean: float
    ci95: tuple[float, float]
    ci90: tuple[float, float]
    blocks: int
    unit_of_replication: str
    """`block`, or `session` where sessions differ by more than their blocks explain."""
    p_value: float
    """Two-sided, of a mean of zero, from the same t distribution as the intervals."""


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """The same mean by methods that assume less; printed beside the estimate."""

    bootstrap_ci95: tuple[float, float]
    sign_flip_p_value: float
    hodges_lehmann: float


def estimate(values: Sequence[float], sessions: Sequence[int]) -> Estimate:
    """t-interval of the mean of `values` (one a block), each from the session of that place.

    Needs two values or more. Where more than `SESSION_SHARE_LIMIT` of the variance lies between
    sessions, their means are the sample and the interval is that much wider.
    """
    sample, unit = np.asarray(values, dtype=float), "block"
    if session_share(values, sessions) > SESSION_SHARE_LIMIT:
        groups = [sample[np.asarray(sessions) == session] for session in sorted(set(sessions))]
        sample, unit = np.array([group.mean() for group in groups]), "session"
    mean = float(sample.mean())
    spread = float(sample.std(ddof=1) / sqrt(len(sample))) if np.ptp(sample) > EQUAL else 0.0
    return Estimate(
        mean=mean,
        ci95=_interval(mean, spread, len(sample) - 1, 0.95),
        ci90=_interval(mean, spread, len(sample) - 1, 0.90),
        blocks=len(values),
        unit_of_replication=unit,
        p_value=float(2 * stdtr(len(sample) - 1, -abs(mean / spread)))
        if spread
        else float(abs(mean) <= EQUAL),
    )


def _interval(mean: float, spread: float, freedom: int, level: float) -> tuple[float, float]:
    half = float(stdtrit(freedom, (1 + level) / 2)) * spread
    return mean - half, mean + half


def session_share(values: Sequence[float], sessions: Sequence[int]) -> float:
    """Share of the variance that lies between sessions, 0 to 1: one-way ANOVA estimator.

    (MSB - MSW) / (MSB + (n - 1) MSW) with n the mean blocks a session, never below 0
    (Searle, Casella & McCulloch, Variance Components, 1992, chapter 3).
    """
    sample, labels = np.asarray(values, dtype=float), np.asarray(sessions)
    groups = [sample[labels == session] for session in sorted(set(sessions))]
    if len(groups) < 2 or len(sample) <= len(groups):
        return 0.0
    between = sum(len(g) * (g.mean() - sample.mean()) ** 2 for g in groups) / (len(groups) - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (len(sample) - len(groups))
    per_session = len(sample) / len(groups)
    total = between + (per_session - 1) * within
    return float(max(0.0, (between - within) / total)) if total > 0 else 0.0


def sensitivity(values: Sequence[float], seed: int) -> Sensitivity:
    """Bootstrap interval, sign-flip test and Hodges-Lehmann estimate of the mean of `values`.

    The bootstrap (BCa) under-covers below about 15 blocks: it stands beside the t-interval,
    never instead of it.
    """
    sample = np.asarray(values, dtype=float)
    if np.ptp(sample) <= EQUAL:
        low = high = float(sample.mean())
    else:
        low, high = bootstrap_interval(sample, RESAMPLES, seed)
    walsh = (sample[:, None] + sample[None, :])[np.triu_indices(len(sample))] / 2
    return Sensitivity(
        bootstrap_ci95=(low, high),
        sign_flip_p_value=sign_flip_p_value(sample, RESAMPLES),
        hodges_lehmann=float(np.median(walsh)),
    )


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
