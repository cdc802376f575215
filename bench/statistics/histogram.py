"""Latencies of any number of requests as counts: small however many they are, and added as they come."""

import numpy as np

WIDTH = 0.0005
"""A bin is this share of its latency wide, and so no quantile is further off."""
LOWEST_US, HIGHEST_US = 0.1, 1e8
"""Latencies beyond these are counted in the first or the last bin."""
BINS = int(np.ceil(np.log(HIGHEST_US / LOWEST_US) / np.log1p(WIDTH)))


def count_latencies(latencies_us: np.ndarray) -> np.ndarray:
    """How many of `latencies_us` lie in each bin: int64, `BINS` long. Counts of two arrays add up."""
    scaled = np.log(np.maximum(latencies_us, LOWEST_US) / LOWEST_US) / np.log1p(WIDTH)
    return np.bincount(np.minimum(scaled.astype(np.int64), BINS - 1), minlength=BINS)


def find_quantiles(counts: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The latencies (us) below which the shares `levels` of all that was counted lie; of one or more."""
    ends = np.cumsum(counts)
    ranks = np.asarray(levels) * (ends[-1] - 1)
    bins = np.searchsorted(ends, ranks, side="right")
    inside = (ranks - (ends[bins] - counts[bins])) / counts[bins]
    return np.asarray(LOWEST_US * np.exp((bins + inside) * np.log1p(WIDTH)))
