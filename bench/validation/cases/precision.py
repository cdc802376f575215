"""Runs that end when they are precise, or told: simulated series of an arm's contrasts."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log1p, sqrt

import numpy as np
from scipy.special import stdtrit

from bench.judgement.precision import MIN_BLOCKS_TO_STOP, Contrast, find_end, is_told
from bench.scenario.model import Schedule
from bench.statistics.estimate import estimate, replicate
from bench.validation.cases import MARGIN, Draw, Tried


@dataclass(frozen=True, kw_only=True)
class _Series:
    """Contrasts of a run that may grow long, and their truth."""

    logs: np.ndarray
    sessions: np.ndarray
    schedule: Schedule
    precision: float
    truth: float = 0.0


LONGEST = 300
"""Blocks that a simulated run may grow to."""


def _one_session(draw: Draw) -> _Series:
    logs = 0.03 * draw.standard_normal(LONGEST)
    return _Series(logs=logs, sessions=np.zeros(LONGEST, int), schedule=Schedule(blocks=12), precision=0.01)


def _rare_blocks(draw: Draw) -> _Series:
    logs = 0.01 * draw.standard_normal(LONGEST) + 0.2 * (draw.random(LONGEST) < 0.08)
    return _Series(
        logs=logs,
        sessions=np.zeros(LONGEST, int),
        schedule=Schedule(blocks=12),
        precision=0.01,
        truth=0.2 * 0.08,
    )


def _several_sessions(draw: Draw, spread: float) -> _Series:
    sessions = np.arange(LONGEST) // 12
    own = spread * draw.standard_normal(LONGEST // 12 + 1)
    logs = 0.02 * draw.standard_normal(LONGEST) + own[sessions]
    return _Series(logs=logs, sessions=sessions, schedule=Schedule(blocks=72, sessions=6), precision=0.015)


PRECISION: dict[str, Callable[[Draw], _Series]] = {
    "one session, blocks of 3 %, to 1 %": _one_session,
    "8 % of blocks are 20 % off in one arm": _rare_blocks,
    "sessions of 12 blocks, of 1 %": lambda draw: _several_sessions(draw, 0.01),
    "sessions of 12 blocks, of 2 %": lambda draw: _several_sessions(draw, 0.02),
}


def end_precisely(draw: Draw, make: Callable[[Draw], _Series]) -> Tried:
    """Whether the interval with which a run ends holds the truth."""
    series = make(draw)
    logs, sessions = series.logs.tolist(), series.sessions.tolist()

    def holds(blocks: int | None) -> bool | None:
        if blocks is None:
            return None
        low, high = estimate(logs[:blocks], sessions[:blocks]).ci95
        return low <= series.truth <= high

    def is_narrow(blocks: int) -> bool:
        sample, _ = replicate(logs[:blocks], sessions[:blocks])
        return _reach(sample) <= series.precision

    # As it was: a look after every block from the eighth on; of one session seen, blocks were the sample.
    before = next((n for n in range(MIN_BLOCKS_TO_STOP, LONGEST + 1) if is_narrow(n)), None)
    contrast = Contrast(list(range(LONGEST)), logs, sessions, MARGIN)
    return holds(before), holds(find_end(series.schedule, [contrast], series.precision, LONGEST))


def decide(draw: Draw, truth: float) -> Tried:
    """Whether an arm that is 1 + `truth` times as slow is told, and on the wrong side of the margin."""
    logs = log1p(truth) + 0.03 * draw.standard_normal(100)
    limit = log1p(MARGIN)

    def is_wrong(low: float, high: float) -> bool:
        if low > limit:
            return truth <= MARGIN
        return high >= limit or truth >= MARGIN

    before = now = None
    for blocks in range(MIN_BLOCKS_TO_STOP, len(logs) + 1):
        seen = logs[:blocks].tolist()
        mean, reach = float(np.mean(seen)), _reach(np.array(seen))
        low, high = mean - reach, mean + reach
        if before is None and (low > limit or (-limit < low and high < limit)):
            before = is_wrong(low, high)
        contrast = Contrast(list(range(blocks)), seen, [0] * blocks, MARGIN)
        if now is None and is_told(contrast):
            now = is_wrong(*estimate(seen, [0] * blocks, anytime=True).ci95)
        if before is not None and now is not None:
            break
    return bool(before), bool(now)


def _reach(sample: np.ndarray) -> float:
    """Half of Student's interval: at every look the subsets' would take hours, and stops where this does."""
    count = len(sample)
    return float(stdtrit(count - 1, 0.975) * sample.std(ddof=1) / sqrt(count)) if count > 1 else inf
