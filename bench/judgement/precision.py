"""Measure until it is enough: until an interval is narrow, or until it is told on which side of the margin.

A precision is looked at few times: after the scenario's own blocks (all of its sessions), and then only when
the spread so far says that it should be reached. An interval that was looked at after every block until it
looked narrow would too often be one that was narrow by luck. A decision is looked at after every block, by a
confidence sequence, whose intervals may be: its run is judged by them (`estimate`, `anytime`).
"""

from collections.abc import Sequence
from math import ceil, log1p, sqrt
from typing import NamedTuple

from scipy.special import stdtrit

from bench.judgement.effect import contrast_blocks
from bench.judgement.samples import MIN_BLOCKS, Measured, sort_slots
from bench.scenario.contradictions import MAX_SLOTS, count_slots
from bench.scenario.metric import PERFORMANCE
from bench.scenario.model import MOST_SESSIONS, Schedule
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics
from bench.statistics.estimate import estimate, replicate

MIN_BLOCKS_TO_STOP = 8
"""With fewer, the estimated spread is itself so uncertain that a lucky run would stop too early."""
MAX_EXTENSION = 50
"""A run may grow to so many times the blocks of its scenario, however far its precision is. On a noisy
virtual machine 1 % wants 35 times those of `quick`, by forecast, an hour; a budget ends it before."""
SURE = 0.05 / len(PERFORMANCE)
"""A decision's p-value: a claim asks on several metrics, and corrects for their number."""
LEAST_GROWTH = 1.25
"""From one look to the next, so that there are few."""


def extend(scenario: Scenario) -> Scenario:
    """`scenario` with the blocks that a wished precision may need; a session keeps its length."""
    schedule = scenario.schedule
    blocks = min(schedule.blocks * MAX_EXTENSION, 10_000, MAX_SLOTS // count_slots(scenario))
    sessions = 1
    if schedule.sessions > 1:
        sessions = min(blocks * schedule.sessions // schedule.blocks, MOST_SESSIONS)
        blocks = sessions * schedule.blocks // schedule.sessions
    longer = schedule.model_copy(update={"blocks": blocks, "sessions": sessions})
    return scenario.model_copy(update={"schedule": longer})


class Contrast(NamedTuple):
    """Of one arm under one condition: a complete block each."""

    numbers: list[int]
    logs: list[float]
    """Logarithm of the block's ratio."""
    sessions: list[int]
    margin: float

    def before(self, blocks: int) -> "Contrast":
        """Those of the first so many blocks of the plan."""
        kept = sum(number < blocks for number in self.numbers)
        return Contrast(self.numbers[:kept], self.logs[:kept], self.sessions[:kept], self.margin)


def half_width(
    scenario: Scenario, slots: Sequence[SlotMetrics], unavailable: Sequence[str] = ()
) -> float | None:
    """Half of the widest 95 % interval of the arms' ratios, as a fraction; None if there is none yet.

    Of the logarithm of the ratio, which for the widths in question is a fraction of the ratio.
    """
    return _half_width(_contrasts(scenario, slots, unavailable))


def is_reached(
    scenario: Scenario, slots: Sequence[SlotMetrics], precision: float, unavailable: Sequence[str] = ()
) -> bool:
    """Whether at one of the looks every arm's ratio was known to `precision` (a fraction).

    The looks follow from the slots, so that a resumed run has the same ones.
    """
    contrasts = _contrasts(scenario, slots, unavailable)
    return find_end(scenario.schedule, contrasts, precision, _count_measured(slots)) is not None


def find_end(
    schedule: Schedule, contrasts: Sequence[Contrast], precision: float, measured: int
) -> int | None:
    """The blocks after which a run of so many `measured` ones should have ended; None where it goes on."""
    look = max(schedule.blocks, MIN_BLOCKS_TO_STOP)
    while contrasts and look <= measured:
        seen = [contrast.before(look) for contrast in contrasts]
        width = _half_width(seen)
        enough = all(len(contrast.logs) >= MIN_BLOCKS_TO_STOP for contrast in seen)
        if enough and width is not None and width <= precision:
            return look
        predicted = _predict(schedule, seen, precision) or 0
        look = _whole_sessions(schedule, max(predicted, ceil(LEAST_GROWTH * look)))
    return None


def is_decided(scenario: Scenario, slots: Sequence[SlotMetrics], unavailable: Sequence[str] = ()) -> bool:
    """Whether every arm's ratio is told to be beyond its margin, or inside it, by a confidence sequence."""
    measured = _count_measured(slots)
    if measured != _whole_sessions(scenario.schedule, measured):
        return False
    contrasts = _contrasts(scenario, slots, unavailable)
    return bool(contrasts) and all(is_told(contrast) for contrast in contrasts)


def predict_blocks(
    scenario: Scenario, slots: Sequence[SlotMetrics], precision: float, unavailable: Sequence[str] = ()
) -> int | None:
    """Blocks after which `precision` is expected, from the spread of earlier slots of `scenario`.

    None where the slots tell no spread.
    """
    return _predict(scenario.schedule, _contrasts(scenario, slots, unavailable), precision)


def _whole_sessions(schedule: Schedule, blocks: int) -> int:
    """So many blocks or more, in sessions of the plan's length."""
    if schedule.sessions == 1:
        return blocks
    return ceil(ceil(blocks * schedule.sessions / schedule.blocks) * schedule.blocks / schedule.sessions)


def _predict(schedule: Schedule, contrasts: Sequence[Contrast], precision: float) -> int | None:
    """The least n with t(0.975, n - 1) s / sqrt(n) <= precision, for the arm that spreads most.

    n is of blocks, or of sessions where there are several: then so many times a session's blocks.
    """
    spreads, units = [], set()
    for contrast in contrasts:
        if len(contrast.logs) >= MIN_BLOCKS:
            sample, unit = replicate(contrast.logs, contrast.sessions)
            if len(sample) > 1:
                spreads.append(float(sample.std(ddof=1)))
                units.add(unit)
    if not spreads:
        return None
    spread = max(spreads)
    n = max(2, ceil((1.96 * spread / precision) ** 2))
    while stdtrit(n - 1, 0.975) * spread / sqrt(n) > precision:
        n += 1
    if units == {"block"}:
        return max(n, MIN_BLOCKS_TO_STOP)
    return max(ceil(n * schedule.blocks / schedule.sessions), MIN_BLOCKS_TO_STOP)


def _half_width(contrasts: Sequence[Contrast]) -> float | None:
    widths = [
        (found.ci95[1] - found.ci95[0]) / 2
        for contrast in contrasts
        if len(contrast.logs) >= MIN_BLOCKS
        for found in [estimate(contrast.logs, contrast.sessions)]
    ]
    return max(widths, default=None)


def is_told(contrast: Contrast) -> bool:
    """Whether a contrast is beyond its margin or inside it, by its confidence sequence."""
    if len(contrast.logs) < MIN_BLOCKS:
        return False
    found = estimate(contrast.logs, contrast.sessions, anytime=True)
    (low, high), limit = found.ci95, log1p(contrast.margin)
    if low > limit or high < -limit:
        return found.p_value < SURE
    return -limit < low and high < limit


def _count_measured(slots: Sequence[SlotMetrics]) -> int:
    """Blocks of the plan that are behind."""
    return max((slot.block for slot in slots), default=-1) + 1


def _contrasts(
    scenario: Scenario, slots: Sequence[SlotMetrics], unavailable: Sequence[str]
) -> list[Contrast]:
    """Of every arm under every condition."""
    measured: Measured = sort_slots(scenario, slots, seed=0)
    found = []
    for condition, about in enumerate(measured.conditions):
        if not about.is_compared:
            continue
        base = measured.side(scenario.baseline, condition)
        for arm in scenario.compared:
            if arm.name == scenario.baseline or arm.name in unavailable:
                continue
            sample = measured.sample(scenario.leading, (base, measured.side(arm.name, condition)))
            if sample.blocks:
                logs, _, sessions = contrast_blocks(sample, (-1, 1), scenario.leading)
                numbers = [block.number for block in sample.blocks]
                found.append(Contrast(numbers, logs, sessions, scenario.margins.of(scenario.leading)))
    return found
