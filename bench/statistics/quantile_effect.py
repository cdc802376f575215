"""An effect at many quantiles at once: the shift function, with bands that hold for all levels together.

The shift function (Doksum, Annals of Statistics 2, 1974) is what one distribution must be moved by at each
of its quantiles to become the other. Its sample here is the block, as that of every other effect.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.statistics.estimate import EQUAL, replicate

FLIPS = 1_999
SEED = 1
"""Of the signs: the same for everybody."""
COVERAGE = 0.95


@dataclass(frozen=True, kw_only=True)
class Band:
    """A mean at every level, and between which ends all of the true ones lie together; arrays by level."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    unit_of_replication: str


def estimate_band(values: np.ndarray, sessions: Sequence[int]) -> Band:
    """Mean and simultaneous 95 % band of `values`, a row a block and a column a level.

    The band is mean +- c s / sqrt(n), with c the level that the largest |t| over all columns stays below
    in 95 % of ways to turn the signs of whole rows about the mean (Westfall & Young, Resampling-Based
    Multiple Testing, 1993): how columns go together is kept, so neighbours cost little. Where there are
    several sessions, their means are the rows. Needs three rows or more, and knows no width of fewer.
    """
    sample, unit = replicate(values, sessions)
    count, mean = len(sample), sample.mean(axis=0)
    if count < 3:
        nothing = np.full(mean.shape, np.nan)
        return Band(mean=mean, low=nothing, high=nothing, unit_of_replication=unit)
    error = sample.std(axis=0, ddof=1) / np.sqrt(count)
    centred = (sample - mean)[:, error > EQUAL]
    signs = np.random.default_rng(SEED).choice((-1.0, 1.0), (FLIPS, count))
    means = signs @ centred / count
    # Turning a sign leaves a square as it is, so a flip's spread follows from its mean.
    spreads = np.sqrt(((centred**2).sum(axis=0) - count * means**2).clip(min=0) / (count - 1) / count)
    with np.errstate(divide="ignore", invalid="ignore"):
        largest = np.nanmax(np.abs(means) / spreads, axis=1, initial=0.0)
    reach = np.quantile(largest, COVERAGE) * error
    return Band(mean=mean, low=mean - reach, high=mean + reach, unit_of_replication=unit)
