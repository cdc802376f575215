"""Where a series of runs changes its level, and whether that may be chance.

The sample is the run: what differs from one run to the next by itself is in its spread. A run's
own interval knows nothing of that, and is not used.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb, sqrt

import numpy as np
from scipy.stats import permutation_test

LEAST = 2
"""Runs of a level: one alone may be an accident."""
STAGES = ((199, 0.4), (1_999, 0.12), (19_999, 0.0))
"""Random orders, and the p-value above which more of them would change nothing."""
FIRST_SHARE = 0.25
"""By simulation of normal runs."""
SEED = 1
"""Of the permutations: the same for everybody."""


@dataclass(frozen=True)
class ChangePoint:
    """The first run of a new level, by its place in the series."""

    index: int
    p_value: float


def find_change_points(values: Sequence[float], alpha: float) -> list[ChangePoint]:
    """Change points of `values` (in order of time; logarithms of ratios), each with a p-value below `alpha`.

    The best split is the one with the largest sum of squares between its two parts. Its p-value is
    the share of random orders of the same values whose best split is as good: where the runs do not
    depend on their order, a series without a change has one in a share `alpha` of cases, however
    many runs there are and whatever their noise. Each part is then searched in the same way (binary
    segmentation: Scott & Knott, Biometrics 30, 1974; Vostrikova 1981).
    """
    return sorted(_split(np.asarray(values, dtype=float), 0, alpha), key=lambda point: point.index)


def share_of_look(count: int) -> float:
    """Of the level that a history may spend, the share of the look after its run number `count`.

    A history is read again after every run, and what was shown once was shown: so no look may spend all.
    Looks go together, and more so the longer a history is: see docs/decisions/0014. One of no usable run is
    looked at as one of a single run: neither shows anything.
    """
    return min(1.0, FIRST_SHARE / sqrt(max(count, 1)))


def fewest_runs(alpha: float, *, looked: bool = False) -> int:
    """How many runs a series needs, for the clearest change in its middle to be told at `alpha`.

    Of all orders of n values those with the same halves on either side are 2 in n over n/2. `looked`: of a
    history that is read after every run.
    """
    count = 2 * LEAST
    while 2 / comb(count, count // 2) >= alpha * (share_of_look(count) if looked else 1):
        count += 1
    return count


def _split(values: np.ndarray, start: int, alpha: float) -> Iterator[ChangePoint]:
    if len(values) < fewest_runs(alpha) or np.ptp(values) == 0:
        return
    p_value = _test_orders(values)
    if p_value >= alpha:
        return
    place = LEAST + int(_between(values).argmax())
    yield ChangePoint(start + place, p_value)
    yield from _split(values[:place], start, alpha)
    yield from _split(values[place:], start + place, alpha)


def _test_orders(values: np.ndarray) -> float:
    """Share of random orders whose best split is as good; of few orders where it is no small one."""
    for resamples, enough in STAGES:
        found = permutation_test(
            (values,),
            lambda orders, axis: _between(np.moveaxis(orders, axis, -1)).max(axis=-1),
            permutation_type="pairings",
            vectorized=True,
            n_resamples=resamples,
            alternative="greater",
            rng=SEED,
        )
        if found.pvalue >= enough:
            break
    return float(found.pvalue)


def _between(orders: np.ndarray) -> np.ndarray:
    """Sum of squares between the parts of every split, a column a split; `LEAST` values or more in each."""
    count = orders.shape[-1]
    first = np.arange(LEAST, count - LEAST + 1)
    sums = np.cumsum(orders, axis=-1)
    before, total = sums[..., LEAST - 1 : count - LEAST], sums[..., -1:]
    gap = before / first - (total - before) / (count - first)
    return np.asarray(first * (count - first) / count * gap**2)
