"""Where a distribution of latencies has several modes: their places, and the share of requests in each."""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from bench.statistics.histogram import WIDTH, find_quantiles

SMOOTHED = 0.015
"""Standard deviation of the smoothing, of a latency's logarithm: 1.5 %, so that modes 6 % apart are two."""
LEAST_HEIGHT = 0.03
"""Of the highest mode's: what is lower is tail."""
DEEPEST_VALLEY = 0.75
"""Of the lower of two modes: a valley that is less deep does not part them."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A hump of the distribution."""

    at_us: float
    share: float
    """Of all requests, those between the valleys on either side."""


def find_modes(counts: np.ndarray) -> list[Mode]:
    """The modes of `counts` (see `histogram`), from the fastest on; of one or more requests, one or more.

    Peaks of the smoothed histogram of logarithms, parted where it falls deep enough between them.
    """
    density = gaussian_filter1d(counts.astype(float), SMOOTHED / WIDTH)
    peaks, _ = find_peaks(density, height=LEAST_HEIGHT * density.max())
    kept: list[int] = []
    for place in map(int, peaks):
        peak = place
        while kept and density[kept[-1] : peak].min() > DEEPEST_VALLEY * min(
            density[kept[-1]], density[peak]
        ):
            peak = max(kept.pop(), peak, key=lambda at: density[at])
        kept.append(peak)
    kept = kept or [int(density.argmax())]
    ends = [0, *(a + int(density[a:b].argmin()) for a, b in itertools.pairwise(kept)), len(counts)]
    total = counts.sum()
    return [
        Mode(at_us=_place_us(counts, peak), share=float(counts[low:high].sum() / total))
        for peak, low, high in zip(kept, ends, ends[1:], strict=False)
    ]


def _place_us(counts: np.ndarray, place: int) -> float:
    """The latency in the middle of a bin."""
    one = np.zeros_like(counts)
    one[place] = 1
    return float(find_quantiles(one, np.array([0.5]))[0])
