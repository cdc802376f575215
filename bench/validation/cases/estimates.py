"""Intervals, on simulated values whose truth is known."""

from math import sqrt

import numpy as np

from bench.statistics.change_points import find_change_points, share_of_look
from bench.statistics.estimate import estimate, estimate_shift, find_new_session
from bench.statistics.quantile_effect import estimate_band
from bench.validation.cases import Draw, Tried


def select_by_requests(draw: Draw, level: float) -> Tried:
    """A slow slot has fewer requests and a longer p99: whoever drops it drops the longest p99s of its arm."""
    blocks = 18
    speed = 0.05 * draw.standard_normal((blocks, 2, 2))
    requests = 10_000 * np.array([2.0, level])[None, :, None] * np.exp(-speed)
    p99 = speed + 0.01 * draw.standard_normal(speed.shape)
    contrasts = p99.mean(axis=2)[:, 1] - p99.mean(axis=2)[:, 0]
    kept = contrasts[(requests >= 10_000).all(axis=(1, 2))].tolist()
    before = None
    if len(kept) >= blocks / 2:
        low, high = estimate(kept, [0] * len(kept)).ci95
        before = low <= 0 <= high
    low, high = estimate(contrasts.tolist(), [0] * blocks).ci95
    return before, low <= 0 <= high


def predict_session(draw: Draw, spread: float) -> Tried:
    """What is expected of the next session: of one alone its own interval, of six theirs."""
    own = spread * draw.standard_normal(7)
    logs = own[:, None] + 0.02 * draw.standard_normal((7, 12))
    low, high = estimate(logs[0].tolist(), [0] * 12).ci95
    before = low <= own[6] <= high
    found = find_new_session(logs[:6].ravel().tolist(), np.repeat(range(6), 12).tolist())
    assert found
    return before, found[0] <= logs[6].mean() <= found[1]


def compare_runs(draw: Draw, sessions: int, spread: float) -> Tried:
    """As `compare` has it: CHANGED by Welch's interval, and now not of a single session."""
    sides = []
    for _ in range(2):
        own = spread * draw.standard_normal(sessions)
        sides.append(
            (own[:, None] + 0.015 * sqrt(0.5) * draw.standard_normal((sessions, 12))).ravel().tolist()
        )
    of = np.repeat(range(sessions), 12).tolist()
    changed = estimate_shift(sides[0], of, sides[1], of).p_value < 0.05
    return changed, changed and sessions > 1


def read_history(draw: Draw, runs: int) -> Tried:
    """Whether a history without a change ever showed one, looked at after every run."""
    logs = draw.standard_normal(runs).tolist()
    before = now = False
    for count in range(4, runs + 1):
        before = before or bool(find_change_points(logs[:count], 0.05))
        now = now or bool(find_change_points(logs[:count], 0.05 * share_of_look(count)))
        if before and now:
            break
    return before, now


def measure_hops(draw: Draw) -> Tried:
    """Whether the interval of a hop of four sessions holds the truth."""
    own = 0.02 * draw.standard_normal(4)
    values = (own[:, None] + 0.015 * draw.standard_normal((4, 3))).ravel().tolist()
    found = [estimate(values, sessions).ci95 for sessions in ([0] * 12, np.repeat(range(4), 3).tolist())]
    return found[0][0] <= 0 <= found[0][1], found[1][0] <= 0 <= found[1][1]


def band_holds(draw: Draw, blocks: int) -> Tried:
    """Of levels that go together; before, there were intervals of each by itself."""
    levels = 60
    values = np.cumsum(draw.standard_normal((blocks, levels)), axis=1) / np.sqrt(np.arange(1, levels + 1))
    band = estimate_band(values, [0] * blocks)
    alone = [estimate(column.tolist(), [0] * blocks).ci95 for column in values.T]
    return (
        all(low <= 0 <= high for low, high in alone),
        bool(((band.low <= 0) & (band.high >= 0)).all()),
    )
