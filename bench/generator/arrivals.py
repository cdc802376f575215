"""When the requests of an open loop arrive: drawn before the load, and the same again from the same seed."""

from math import ceil
from typing import Literal

import numpy as np

DRAWN_AT_ONCE = 65_536


def draw_arrivals(
    arrivals: Literal["poisson", "uniform"], rate_rps: float, seconds: float, seed: int
) -> np.ndarray:
    """Arrivals of `seconds` at `rate_rps`, as ns from their beginning (int64, ascending).

    `poisson`: as from many people who know nothing of one another, bursts and gaps included.
    `uniform`: evenly spaced, from a random start within the first gap.

    A seed gives one sequence in units of the mean gap: more seconds continue it, another rate
    stretches it. Exponential gaps are drawn by inversion: numpy keeps PCG64's stream from version to
    version, and promises nothing of its `exponential` (NEP 19).
    """
    generator = np.random.default_rng(seed)
    mean_gaps = rate_rps * seconds
    if arrivals == "uniform":
        times = generator.random() + np.arange(ceil(mean_gaps))
    else:
        parts = [np.zeros(0)]
        end = 0.0
        while end < mean_gaps:
            parts.append(end + np.cumsum(-np.log1p(-generator.random(DRAWN_AT_ONCE))))
            end = float(parts[-1][-1])
        times = np.concatenate(parts)
    arrivals_ns: np.ndarray = (times * (1e9 / rate_rps)).astype(np.int64)
    return arrivals_ns[arrivals_ns < round(seconds * 1e9)]
