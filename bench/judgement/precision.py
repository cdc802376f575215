"""Precision on demand: measure until the interval is narrow enough, whatever it says.

Stopping looks at the interval's width alone. Stopping on its place (until it excludes 1) would find
an effect where there is none sooner or later.
"""

from collections.abc import Sequence
from math import ceil, sqrt

from scipy import stats

from bench.judgement.samples import MIN_BLOCKS, Measured, sort_slots
from bench.scenario.contradictions import MAX_SLOTS, count_slots
from bench.scenario.metric import Metric
from bench.scenario.model import MOST_SESSIONS
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics
from bench.statistics.estimate import estimate

PRECISE_METRIC = Metric.P50_LATENCY_US
"""Whose ratio the precision is asked of: the one metric that every slot gives."""
MIN_BLOCKS_TO_STOP = 8
"""With fewer, the estimated spread is itself so uncertain that a lucky run would stop too early."""
MAX_EXTENSION = 50
"""A run may grow to so many times the blocks of its scenario, however far its precision is. On a noisy
virtual machine 1 % wants 35 times those of `quick`, by forecast, an hour; a budget ends it before."""


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


def half_width(
    scenario: Scenario, slots: Sequence[SlotMetrics], unavailable: Sequence[str] = ()
) -> float | None:
    """Half of the widest 95 % interval of the arms' ratios, as a fraction; None if there is none yet.

    Of the logarithm of the ratio, which for the widths in question is a fraction of the ratio.
    """
    widths = [
        (found.ci95[1] - found.ci95[0]) / 2
        for logs, sessions in _contrasts(scenario, slots, unavailable)
        if len(logs) >= MIN_BLOCKS
        for found in [estimate(logs, sessions)]
    ]
    return max(widths, default=None)


def is_reached(
    scenario: Scenario, slots: Sequence[SlotMetrics], precision: float, unavailable: Sequence[str] = ()
) -> bool:
    """Whether every arm's ratio is known to `precision` (a fraction), from enough blocks."""
    contrasts = _contrasts(scenario, slots, unavailable)
    width = half_width(scenario, slots, unavailable)
    enough = contrasts and all(len(logs) >= MIN_BLOCKS_TO_STOP for logs, _ in contrasts)
    return bool(enough) and width is not None and width <= precision


def predict_blocks(scenario: Scenario, slots: Sequence[SlotMetrics], precision: float) -> int | None:
    """Blocks after which `precision` is expected, from the spread of earlier slots of `scenario`.

    The least n with t(0.975, n - 1) s / sqrt(n) <= precision, for the arm that spreads most; None
    where the slots tell no spread.
    """
    spreads = [stats.tstd(logs) for logs, _ in _contrasts(scenario, slots, ()) if len(logs) >= MIN_BLOCKS]
    if not spreads:
        return None
    spread = float(max(spreads))
    n = max(MIN_BLOCKS_TO_STOP, ceil((1.96 * spread / precision) ** 2))
    while stats.t.ppf(0.975, n - 1) * spread / sqrt(n) > precision:
        n += 1
    return n


def _contrasts(
    scenario: Scenario, slots: Sequence[SlotMetrics], unavailable: Sequence[str]
) -> list[tuple[list[float], list[int]]]:
    """(log-ratio of every complete block, its session) of every arm under every condition."""
    measured: Measured = sort_slots(scenario, slots, seed=0)
    found = []
    for condition, about in enumerate(measured.conditions):
        if not about.is_compared:
            continue
        base = measured.side(scenario.baseline, condition)
        for arm in scenario.compared:
            if arm.name == scenario.baseline or arm.name in unavailable:
                continue
            blocks = measured.sample(PRECISE_METRIC, (base, measured.side(arm.name, condition))).blocks
            if blocks:
                found.append(
                    ([block.logs[1] - block.logs[0] for block in blocks], [block.session for block in blocks])
                )
    return found
